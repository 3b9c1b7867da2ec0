import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, device, newHeap, newNote, restore, safe } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
  await newHeap(ada.page, "Workshop");
});
after(() => chromium.close());

const tool = (page, name) => page.getByRole("toolbar", { name: "Formatting" }).getByRole("button", { name, exact: true }).click();

test("a table grows and shrinks, and the server keeps it", async () => {
  const { page } = ada;
  await newNote(page, "Parts", "");
  const size = async () => [await page.locator(".ProseMirror tr").count(), await page.locator(".ProseMirror tr").first().locator("th, td").count()];
  await tool(page, "Table");
  assert.deepEqual(await size(), [3, 3]);
  await page.keyboard.type("Bolts");
  await tool(page, "Add a row below");
  await tool(page, "Add a column after");
  assert.deepEqual(await size(), [4, 4]);
  await tool(page, "Delete the column");
  await tool(page, "Delete the row");
  assert.deepEqual(await size(), [3, 3]);
  await safe(page);
  await page.reload();
  await page.locator(".ProseMirror td").first().waitFor();
  assert.deepEqual(await size(), [3, 3]);
  await page.locator(".ProseMirror td").first().click();
  await tool(page, "Delete the table");
  await page.locator(".ProseMirror table").waitFor({ state: "detached" });
  assert.deepEqual(ada.faults, []);
});

test("a link leads to an address, is changed, and is taken off", async () => {
  const { page } = ada;
  await page.locator(".crumbs a").first().click();
  await newNote(page, "Links", "See the manual");
  await page.keyboard.press("Shift+Home");
  await tool(page, "Link");
  await page.getByRole("combobox", { name: /address/ }).fill("javascript:alert(1)");
  await page.getByText("Nothing found.").waitFor();
  await page.getByRole("combobox", { name: /address/ }).fill("example.org/manual?page=2");
  await page.getByRole("option", { name: "https://example.org/manual?page=2" }).waitFor();
  await page.keyboard.press("Enter");
  const link = page.locator(".ProseMirror a");
  assert.equal(await link.getAttribute("href"), "https://example.org/manual?page=2");
  assert.equal(await link.textContent(), "See the manual");
  await link.click();
  await tool(page, "Link");
  await page.getByRole("combobox", { name: /address/ }).fill("somebody@example.org");
  await page.keyboard.press("Enter");
  assert.equal(await link.getAttribute("href"), "mailto:somebody@example.org");
  await tool(page, "Link");
  await page.getByRole("button", { name: "Remove the link" }).click();
  await link.waitFor({ state: "detached" });
  assert.equal(await page.locator(".ProseMirror").textContent(), "See the manual");
  assert.deepEqual(ada.faults, []);
});

test("others see one's name beside the cursor", async () => {
  const { page } = ada;
  const note = page.url();
  await page.getByRole("link", { name: "Account" }).click();
  await page.getByLabel("Your name").fill("Ada");
  await page.keyboard.press("Enter");
  await page.getByText("Others see your new name").waitFor();
  await page.goto(note);
  const tablet = await device(chromium);
  await restore(tablet.page, ada.phrase);
  await tablet.page.goto(note);
  await tablet.page.getByText("See the manual").waitFor();
  await page.getByRole("toolbar").waitFor(); // one may write
  await page.getByText("See the manual").click();
  await tablet.page.locator(".caret-name", { hasText: "Ada" }).waitFor();
  assert.deepEqual([...ada.faults, ...tablet.faults], []);
  await tablet.context.close();
});
