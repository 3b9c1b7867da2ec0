import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, device, newHeap, newNote, reads, restore, safe } from "./world.mjs";

// The server's administrator is in signin.test.mjs; here are two people whom he has let in.
let chromium, ada, bob;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
  bob = await approved(chromium);
});
after(() => chromium.close());


test("a heap is shared by a link, and what its members may do changes at once", async () => {
  const { page } = ada;
  await newHeap(page, "Kitchen");
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByLabel("They").selectOption("viewer");
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByLabel("Whoever has this link").inputValue();
  await page.getByRole("button", { name: "Close" }).click();
  await newNote(page, "Bread", "Flour and water.");
  await safe(page);

  await bob.page.goto(link);
  await bob.page.getByRole("button", { name: "Join" }).click();
  await bob.page.getByRole("heading", { name: "Kitchen" }).waitFor();
  assert.equal(await bob.page.getByRole("button", { name: "New note" }).count(), 0);
  await bob.page.getByRole("link", { name: /Bread/ }).click();
  await reads(bob.page, "Flour and water.");
  await bob.page.getByText("You can read this").waitFor();
  await bob.page.locator(".ProseMirror").click();
  await bob.page.keyboard.type("salt!");
  await bob.page.waitForTimeout(300);
  assert.ok(!(await bob.page.locator(".ProseMirror").textContent()).includes("salt"), "a viewer has written");
  assert.deepEqual([...ada.faults, ...bob.faults], []);
});

test("a note goes back to what it was, also where others have it open", async () => {
  const { page } = ada;
  page.once("dialog", (d) => d.accept("first"));
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("button", { name: "Name this moment" }).click();
  await page.getByRole("button", { name: /first/ }).waitFor();
  await page.getByRole("link", { name: "Back to the note" }).click();
  await reads(page, "Flour and water.");
  await page.locator(".ProseMirror").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" And salt.");
  await safe(page);
  await reads(bob.page, "And salt.");
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("button", { name: /first/ }).click();
  await page.locator("ins", { hasText: "Flour and water." }).waitFor(); // what this moment has brought
  await page.getByRole("combobox", { name: "Show" }).selectOption("What changed since");
  await page.locator("ins", { hasText: "salt" }).waitFor();
  await page.getByRole("button", { name: "Restore" }).click();
  await page.waitForFunction(() => document.querySelector(".ProseMirror")?.textContent === "Flour and water.");
  await bob.page.waitForFunction(() => {
    const note = document.querySelector(".ProseMirror").cloneNode(true);
    note.querySelectorAll(".caret").forEach((caret) => caret.remove());
    return note.textContent.replaceAll("\u2060", "") === "Flour and water.";
  });
  assert.deepEqual([...ada.faults, ...bob.faults], []);
});

test("the trash gives back what was put into it", async () => {
  const { page } = ada;
  await page.getByRole("button", { name: "Put into the trash" }).click();
  await page.getByText("Nothing here yet.").waitFor();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: "Restore Bread" }).click();
  await page.getByText("Nothing is in the trash.").waitFor();
  await page.getByRole("link", { name: /Kitchen/ }).first().click();
  await page.getByRole("link", { name: /Bread/ }).waitFor();
  assert.deepEqual(ada.faults, []);
});

test("the key alone brings everything to another device", async () => {
  const other = await device(chromium, { colorScheme: "dark" });
  await restore(other.page, ada.phrase);
  await other.page.locator("#main").getByRole("link", { name: /Kitchen/ }).click();
  await other.page.getByRole("searchbox").fill("flou");
  await other.page.locator("mark", { hasText: /flou/i }).waitFor();
  assert.deepEqual(other.faults, []);
  await other.context.close();
});
