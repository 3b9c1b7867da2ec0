import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { approved, browser, device, newHeap, restore, url } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser("heap.lan");
  ada = await approved(chromium);
});
after(() => chromium.close());

test("an empty heap offers a welcome note, whose words are there", async () => {
  const { page } = ada;
  await newHeap(page, "First");
  await page.getByRole("button", { name: "A welcome note" }).click();
  await page.getByRole("link", { name: /Welcome/ }).click();
  await page.locator(".ProseMirror li", { hasText: "Make another note" }).waitFor();
  assert.match(await page.title(), /^Welcome · /);
  assert.deepEqual(ada.faults, []);
});

test("a demo is imported, exported, and imported into another heap", async () => {
  const { page } = ada;
  await newHeap(page, "Demo");
  await page.getByRole("button", { name: "Import a demo" }).click();
  await page.getByRole("link", { name: /Read me first/ }).waitFor();
  await page.getByRole("treeitem", { name: "Kitchen" }).waitFor();
  await page.getByRole("combobox", { name: "Tag" }).selectOption("kitchen");
  await page.getByRole("link", { name: /Read me first/ }).waitFor({ state: "detached" });
  assert.deepEqual((await page.locator(".row .row-title").allTextContents()).sort(), ["Basil", "Tomato salad"]);
  await page.getByRole("link", { name: /^Basil/ }).click();
  await page.locator(".related").getByRole("link", { name: "Tomato salad" }).first().waitFor();
  await page.locator(".crumbs a").first().click();
  await page.getByRole("button", { name: "More" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export" }).click()]);
  assert.equal(download.suggestedFilename(), "Demo.zip");
  const archive = readFileSync(await download.path());
  await newHeap(page, "Copy");
  await page.locator('input[aria-label="Archive to import"]').setInputFiles({ name: "Demo.zip", mimeType: "application/zip", buffer: archive });
  await page.getByText("7 blocks are imported.").waitFor();
  await page.getByRole("link", { name: /Read me first/ }).waitFor();
  assert.deepEqual(ada.faults, []);
});

test("over plain http the app says once what https would add", async () => {
  const tv = await device(chromium);
  await restore(tv.page, ada.phrase, { at: url.replace("127.0.0.1", "heap.lan"), passphrase: "correct horse" });
  await tv.page.getByText("This page came over plain http").waitFor();
  await tv.page.getByRole("button", { name: "Understood" }).click();
  await tv.page.reload();
  await tv.page.getByRole("heading", { name: "Your heaps" }).waitFor();
  assert.equal(await tv.page.getByText("This page came over plain http").count(), 0);
  assert.equal(await ada.page.getByText("This page came over plain http").count(), 0);
  assert.deepEqual(tv.faults, []);
  await tv.context.close();
});

test("one search finds what is in any heap", async () => {
  const { page } = ada;
  await page.getByRole("link", { name: "heapsync" }).click();
  await page.getByRole("searchbox", { name: "Search all heaps" }).fill("basil");
  await page.getByRole("link", { name: /Basil.*Demo/ }).waitFor();
  await page.getByRole("link", { name: /Basil.*Copy/ }).waitFor();
  await page.getByRole("searchbox", { name: "Search all heaps" }).fill("nowhere to be found");
  await page.getByText("Nothing found.").waitFor();
  await page.getByRole("searchbox", { name: "Search all heaps" }).fill("");
  await page.locator(".heap-card").first().waitFor();
  assert.deepEqual(ada.faults, []);
});
