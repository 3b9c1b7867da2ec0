// A grid of many pictures.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { crc32, deflateSync } from "node:zlib";
import { approved, browser, newHeap, url } from "./world.mjs";

const many = 120;

let chromium, ada, heap;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium, { serviceWorkers: "block" }); // it would hide requests
  await newHeap(ada.page, "Pictures");
  heap = new URL(ada.page.url()).pathname.split("/")[2];
});
after(() => chromium.close());

/** png is a picture of two colours that run into each other, other ones for each i. */
function png(i) {
  const [width, height] = [96, 64];
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows.set([(i * 37 + x * 2) % 256, (i * 91 + y * 3) % 256, (i * 17 + x + y) % 256], y * (1 + width * 3) + 1 + x * 3);
  }
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

test("pictures are asked for when they are seen, and nothing moves when they come", async () => {
  const { page } = ada;
  let told; // what the list says of the pictures
  page.on("response", async (r) => {
    if (r.url().endsWith("/api/heap") && r.request().postDataJSON()?.skip === 0) told = await r.json().catch(() => told);
  });
  const files = Array.from({ length: many }, (_, i) => ({ name: `picture ${String(i).padStart(3, "0")}.png`, mimeType: "image/png", buffer: png(i) }));
  await page.getByLabel("Files to upload").setInputFiles(files);
  for (;;) {
    await page.waitForResponse((r) => r.url().endsWith("/api/heap"), { timeout: 60_000 }).catch(() => page.reload());
    if (told?.total === many && told.blocks.every((b) => b.file?.thumbhash)) break;
  }
  await page.evaluate(() => localStorage.setItem("view", "grid"));

  const asked = [];
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route("**/thumbnail/**", async (route) => {
    asked.push(route.request().url());
    await held;
    await route.continue().catch(() => {});
  });
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((entries) => entries.getEntries().forEach((e) => (window.shifted += e.value))).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`${url}/h/${heap}`);
  await page.locator(".cell img.picture").first().waitFor();
  const loading = await page.evaluate(() => window.shifted); // what comes by and by before there are pictures
  const cells = () => page.locator(".cell").count();
  const kinds = () => page.locator(".cell .picture").evaluateAll((all) => all.map((e) => (e.getAttribute("src") ?? "none").split(":")[0]));
  const first = await cells();
  assert.ok(first >= 20 && first < 60, `${first} cells are in the page`);
  assert.deepEqual(new Set(await kinds()), new Set(["data"]), "the placeholders come first");
  release();
  await page.waitForFunction(() => [...document.querySelectorAll(".cell .picture")].every((e) => e.src?.startsWith("blob:") && e.complete));
  assert.ok(asked.length <= first, `${asked.length} thumbnails were asked for, for ${first} cells`);
  // Through all of it: each one once, and not those that were only passed.
  await page.locator(".virtual").evaluate((box) => (box.scrollTop = box.scrollHeight));
  await page.waitForFunction((name) => [...document.querySelectorAll(".cell")].some((e) => e.textContent === name), "picture 000.png");
  await page.waitForFunction(() => [...document.querySelectorAll(".cell .picture")].every((e) => e.src?.startsWith("blob:") && e.complete));
  assert.ok(asked.length < many * 0.75, `${asked.length} thumbnails were asked for, of ${many}`);
  assert.equal(new Set(asked).size, asked.length, "one was asked for twice");
  const shifted = (await page.evaluate(() => window.shifted)) - loading;
  console.log(`${many} pictures: ${first} cells in the page, ${asked.length} thumbnails asked for, layout shift ${loading.toFixed(3)} while the page loads, then ${shifted}`);
  assert.equal(shifted, 0);
  assert.deepEqual(ada.faults, []);
});
