// What has to come over the network before something shows, in bytes as they are sent.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, device, newHeap, newNote, url } from "./world.mjs";

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium.close());

/** loaded is the files of the app that a page has asked for, and the page itself, with their sizes. */
const loaded = (page) =>
  page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter((e) => !e.name.includes("/api/"))
      .map((e) => ({ name: e.name.replace(/.*\//, "") || "the page", size: e.encodedBodySize })),
  );

function weigh(what, files, most) {
  const sum = files.reduce((n, f) => n + f.size, 0);
  console.log(`${what}: ${(sum / 1024).toFixed(1)} KB of ${most} KB in ${files.length} files: ${files.map((f) => `${f.name} ${f.size}`).join(", ")}`);
  assert.ok(files.length > 2 && files.every((f) => f.size > 0), "there are sizes of all files");
  assert.ok(sum <= most * 1024, `${what} weighs ${sum} bytes`);
}

test("what comes before one signs in is small, and so are the lists and the editor", async () => {
  const { page, context } = await device(chromium, { serviceWorkers: "block" });
  await page.goto(url);
  await page.getByRole("button", { name: "Make a new key" }).waitFor();
  weigh("before sign-in", await loaded(page), 60);
  await context.close();

  const ada = await approved(chromium, { serviceWorkers: "block" });
  await newHeap(ada.page, "Light");
  await ada.page.reload();
  await ada.page.getByRole("heading", { level: 1, name: "Light" }).waitFor();
  const before = await loaded(ada.page);
  weigh("a list, with what pushes edits", before, 90);
  await newNote(ada.page, "Editor", "It is here.");
  weigh("the editor", (await loaded(ada.page)).slice(before.length), 200);
});
