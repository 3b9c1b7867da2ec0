import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, newHeap, newNote, safe } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
  await newHeap(ada.page, "House");
});
after(() => chromium.close());

async function newFolder(page, name) {
  page.once("dialog", (d) => d.accept(name));
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

const toHeap = (page) => page.locator(".crumbs a").first().click();

test("folders hold notes and folders, and the tree shows them by keyboard", async () => {
  const { page } = ada;
  await newFolder(page, "Garden");
  await newNote(page, "Tomatoes", "Plant them in May.");
  await safe(page);
  await toHeap(page);
  const tree = page.getByRole("tree");
  const garden = tree.getByRole("treeitem", { name: "Garden" });
  await garden.waitFor();
  assert.equal(await tree.getByRole("treeitem").count(), 1, "a note in a folder is not at the root");
  await garden.focus();
  await page.keyboard.press("ArrowRight");
  await tree.getByRole("treeitem", { name: "Tomatoes" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByText("Plant them in May.").waitFor();
  assert.equal(await tree.getByRole("treeitem", { name: "Tomatoes" }).getAttribute("aria-level"), "2");
  await tree.getByRole("treeitem", { name: "Tomatoes" }).focus();
  await page.keyboard.press("ArrowLeft"); // to the folder
  await page.keyboard.press("ArrowLeft"); // which closes
  await tree.getByRole("treeitem", { name: "Tomatoes" }).waitFor({ state: "detached" });
  await page.getByRole("navigation", { name: "Where this lies" }).getByRole("link", { name: "Garden" }).click();
  await page.getByRole("link", { name: /Tomatoes/ }).waitFor();
  assert.deepEqual(ada.faults, []);
});

test("a note is moved, but never into itself", async () => {
  const { page } = ada;
  await newFolder(page, "Herbs");
  await toHeap(page);
  await newNote(page, "Basil", "In the sun.");
  await safe(page);
  await page.getByRole("button", { name: "Move to…" }).click();
  await page.getByRole("dialog").getByRole("combobox").fill("herb");
  await page.getByRole("option", { name: "Herbs" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("Moved to “Herbs”.").waitFor();
  await page.getByRole("navigation", { name: "Where this lies" }).getByRole("link", { name: "Herbs" }).click();
  await page.getByRole("link", { name: /Basil/ }).waitFor();
  // Herbs lies in Garden already.
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Move to…" }).click();
  await page.getByRole("dialog").getByRole("combobox").fill("basil");
  await page.getByRole("option", { name: "Basil" }).click();
  await page.getByText("lies in “Herbs” itself").waitFor();
  await page.getByRole("button", { name: "Out of all folders" }).click();
  await page.getByText("Moved out of its folder.").waitFor();
  await page.getByRole("treeitem", { name: "Herbs" }).and(page.locator('[aria-level="1"]')).waitFor();
  assert.deepEqual(ada.faults, []);
});

test("tags are put on, listed, and narrow a list", async () => {
  const { page } = ada;
  await page.getByRole("link", { name: /Basil/ }).click();
  await page.getByLabel("Add a tag").fill("green");
  await page.keyboard.press("Enter");
  await page.getByLabel("Add a tag").fill("#summer");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Take the tag summer off" }).waitFor();
  await safe(page);
  await toHeap(page);
  await page.locator(".row", { hasText: "Basil" }).getByText("#summer").waitFor();
  await newNote(page, "Green paint", "For the fence.");
  await safe(page);
  await toHeap(page);
  await page.getByRole("link", { name: /Green paint/ }).waitFor();
  await page.getByRole("combobox", { name: "Tag" }).selectOption("green");
  await page.getByRole("link", { name: /Green paint/ }).waitFor({ state: "detached" });
  assert.equal(await page.locator(".row").count(), 1, "only what has the tag is listed, not what has the word");
  await page.getByRole("combobox", { name: "Tag" }).selectOption("");
  await page.getByRole("combobox", { name: "Type" }).selectOption("folder");
  await page.getByRole("link", { name: /Basil/ }).waitFor({ state: "detached" });
  await page.getByRole("link", { name: /Herbs/ }).waitFor();
  await page.getByRole("combobox", { name: "Type" }).selectOption("");
  await page.getByRole("link", { name: /Basil/ }).click();
  await page.getByRole("button", { name: "Take the tag summer off" }).click();
  await page.getByRole("button", { name: "Take the tag summer off" }).waitFor({ state: "detached" });
  await safe(page);
  assert.deepEqual(ada.faults, []);
});
