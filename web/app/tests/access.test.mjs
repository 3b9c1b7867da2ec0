import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { check } from "./axe.mjs";
import { approved, browser, device, newHeap, safe, url } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
});
after(() => chromium.close());

test("axe finds nothing serious on any page", async () => {
  const { page } = ada;
  const found = [];
  const stranger = await device(chromium);
  await stranger.page.goto(url);
  await stranger.page.getByRole("button", { name: "Make a new key" }).waitFor();
  found.push(...(await check(stranger.page, "sign-in")));
  await stranger.page.getByRole("button", { name: "Make a new key" }).click();
  await stranger.page.locator(".phrase li").nth(11).waitFor();
  found.push(...(await check(stranger.page, "phrase")));
  await stranger.context.close();

  await newHeap(page, "Garden");
  found.push(...(await check(page, "empty heap")));
  await page.getByRole("button", { name: "Import a demo" }).click();
  await page.getByRole("link", { name: /Read me first/ }).waitFor();
  await page.getByRole("treeitem", { name: "Kitchen" }).click();
  await page.getByRole("heading", { level: 1, name: "Kitchen" }).waitFor();
  found.push(...(await check(page, "folder")));
  await page.locator(".crumbs a").first().click();
  await page.getByRole("combobox", { name: "Tag" }).waitFor();
  found.push(...(await check(page, "list")));
  await page.getByRole("button", { name: "Grid" }).click();
  await page.locator(".cell").first().waitFor();
  found.push(...(await check(page, "grid")));
  await page.getByRole("button", { name: "List" }).click();
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("dialog").waitFor();
  found.push(...(await check(page, "share dialog")));
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("link", { name: /The garden|Garden/ }).and(page.locator("a.row")).first().click();
  await page.locator(".ProseMirror table").waitFor();
  await page.getByText("Safe on the server").waitFor();
  found.push(...(await check(page, "note")));
  await page.getByRole("button", { name: "Move to…" }).click();
  await page.getByRole("option").first().waitFor();
  found.push(...(await check(page, "move dialog")));
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("link", { name: "History" }).click();
  await page.locator(".moment").first().click();
  await page.locator(".as-it-was").waitFor();
  found.push(...(await check(page, "history")));
  await page.getByRole("link", { name: "Back to the note" }).click();
  await page.getByRole("button", { name: "Put into the trash" }).click();
  await page.getByRole("button", { name: "More" }).click();
  found.push(...(await check(page, "menu")));
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: /^Restore / }).first().waitFor();
  found.push(...(await check(page, "trash")));
  await page.getByRole("link", { name: "heapsync" }).click();
  await page.getByRole("heading", { name: "Your heaps" }).waitFor();
  found.push(...(await check(page, "home")));
  await page.getByRole("link", { name: "Account" }).click();
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  found.push(...(await check(page, "account")));
  assert.deepEqual(found, []);
  assert.deepEqual(ada.faults, []);
});

/** tabTo presses the tab key until an element that is called so has the focus. */
async function tabTo(page, name, most = 60) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    const [called, visible] = await page.evaluate(() => {
      const at = document.activeElement;
      const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
      return [label.trim(), at.matches(":focus-visible") && getComputedStyle(at).outlineStyle !== "none"];
    });
    if (!name.test(called)) continue;
    if (!/^Text$/.test(called)) assert.ok(visible, `the focus on ${called} is seen`);
    return;
  }
  assert.fail(`the tab key does not lead to ${name}`);
}

test("everything is done by keyboard", async () => {
  const { page, context, faults } = await device(chromium);
  const focused = () => page.waitForFunction(() => /^H[12]$/.test(document.activeElement?.tagName));
  await page.goto(url);
  await page.getByRole("button", { name: "Make a new key" }).waitFor();
  await tabTo(page, /recovery phrase/);
  await page.keyboard.press("Enter");
  await page.getByLabel("The words, in their order").waitFor();
  await focused();
  await tabTo(page, /^The words/);
  await page.keyboard.type(ada.phrase);
  await tabTo(page, /^Continue$/);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  await focused();
  await tabTo(page, /^Sign in$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Your heaps" }).waitFor();
  await tabTo(page, /New heap/);
  await page.keyboard.press("Enter");
  await page.keyboard.type("By keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "By keyboard" }).waitFor();
  await focused();
  await tabTo(page, /^New note$/);
  await page.keyboard.press("Enter");
  await focused();
  await page.getByLabel("Title", { exact: true }).waitFor();
  await tabTo(page, /^Title$/);
  await page.keyboard.type("Keys");
  await tabTo(page, /^Bold$/);
  await page.keyboard.press("Enter"); // which goes on in the text
  await page.waitForFunction(() => document.activeElement?.classList.contains("ProseMirror"));
  await page.keyboard.type("strong");
  await page.locator(".ProseMirror strong", { hasText: "strong" }).waitFor();
  await safe(page);
  await page.keyboard.press("Shift+Tab");
  for (let i = 0; i < 12 && (await page.evaluate(() => document.activeElement.textContent !== "History")); i++) await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "History", level: 1 }).waitFor();
  await focused();
  assert.match(await page.title(), /^History · /);
  assert.deepEqual(faults, []);
  await context.close();
});
