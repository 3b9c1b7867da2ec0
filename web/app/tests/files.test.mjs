import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomFillSync } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { approved, browser, newHeap } from "./world.mjs";

let chromium, ada, dir;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), "heapsync-web-"));
  chromium = await browser();
  ada = await approved(chromium);
  await newHeap(ada.page, "Pictures");
});
after(async () => {
  await chromium.close();
  rmSync(dir, { recursive: true });
});

const pick = (page, ...paths) => page.getByLabel("Files to upload").setInputFiles(paths);

test("50 MB that a reload interrupts go on, and arrive whole", async () => {
  const { page } = ada;
  const path = join(dir, "big.bin");
  writeFileSync(path, randomFillSync(Buffer.alloc(50_000_000)));
  // So slow that there is time to reload.
  let sent = 0;
  let slow = true;
  let arrived;
  const begun = new Promise((resolve) => (arrived = resolve));
  await page.route("**/api/upload/chunk/**", async (route) => {
    if (++sent === 8) arrived();
    if (slow) await new Promise((resolve) => setTimeout(resolve, 150));
    await route.continue().catch(() => {}); // the page may be gone
  });
  await pick(page, path);
  await begun;
  await page.locator(".upload-words", { hasText: /^\d+ MB of 50 MB/ }).waitFor();
  await page.reload();
  const before = sent;
  slow = false;
  await page.getByText("safe on the server").waitFor();
  await page.unrouteAll();
  assert.ok(before >= 5 && before < 64 && sent < 64 + 12, `${before} chunks were sent before the reload, ${sent} in all, of 64`);
  await page.getByRole("link", { name: /big\.bin/ }).click();
  await page.getByRole("link", { name: "Download" }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  execFileSync("cmp", [await download.path(), path]);
  assert.deepEqual(ada.faults, []);
});

test("a video seeks, and shows a picture of itself in lists", async (t) => {
  const path = join(dir, "film.webm");
  try {
    execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "testsrc=duration=20:size=320x240:rate=10", "-c:v", "libvpx", "-b:v", "500k", path]);
  } catch {
    return t.skip("there is no ffmpeg to make a video");
  }
  const { page } = ada;
  await page.locator(".crumbs a").first().click();
  await pick(page, path);
  await page.getByRole("link", { name: /film\.webm/ }).locator("img.picture").waitFor();
  await page.getByRole("link", { name: /film\.webm/ }).click();
  const video = page.locator("video");
  await video.waitFor();
  const at = await video.evaluate(async (v) => {
    if (v.readyState < 1) await new Promise((resolve) => v.addEventListener("loadedmetadata", resolve, { once: true }));
    v.currentTime = 15;
    await new Promise((resolve) => v.addEventListener("seeked", resolve, { once: true }));
    return [v.currentTime, v.videoWidth];
  });
  assert.deepEqual(at, [15, 320]);
  assert.deepEqual(ada.faults, []);
});

test("a document is shown on its page", async (t) => {
  const { page } = ada;
  if (!(await page.evaluate(() => navigator.pdfViewerEnabled))) return t.skip("this browser shows no documents");
  await page.locator(".crumbs a").first().click();
  const parts = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>"];
  let text = "%PDF-1.4\n";
  const at = parts.map((part, i) => {
    const from = text.length;
    text += `${i + 1} 0 obj${part}endobj\n`;
    return from;
  });
  const table = `xref\n0 4\n0000000000 65535 f \n${at.map((n) => `${String(n).padStart(10, "0")} 00000 n \n`).join("")}trailer<</Size 4/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF\n`;
  await page.getByLabel("Files to upload").setInputFiles({ name: "Manual.pdf", mimeType: "application/pdf", buffer: Buffer.from(text + table) });
  await page.getByRole("link", { name: /Manual\.pdf/ }).click();
  const loaded = page.waitForResponse((r) => /Manual\.pdf/.test(r.url()) && r.status() === 200);
  const frame = page.locator("iframe.document");
  await frame.waitFor();
  const answer = await loaded;
  assert.equal(answer.headers()["x-frame-options"], "SAMEORIGIN");
  await (await (await frame.elementHandle()).contentFrame()).waitForLoadState();
  assert.deepEqual(ada.faults, []);
});
