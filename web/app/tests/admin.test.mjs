import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./axe.mjs";
import { approved, browser, device, newHeap, newNote, restore, safe, signUp, url } from "./world.mjs";

const files = 40;
let chromium, ada, media, photos;
before(async () => {
  media = realpathSync(mkdtempSync(join(tmpdir(), "heapsync-admin-")));
  photos = join(media, "photos");
  mkdirSync(photos);
  for (let i = 0; i < files; i++) put(join(photos, `letter ${i}.txt`), `Dear ${i}`);
  chromium = await browser();
  ada = await approved(chromium);
  execFileSync(process.env.HEAPSYNC_BIN, ["admin", "grant", ada.key, "--data", process.env.HEAPSYNC_DIR]);
  await newHeap(ada.page, "Letters");
  await ada.page.reload(); // an administrator since the page was loaded
});
after(async () => {
  await chromium.close();
  rmSync(media, { recursive: true, force: true });
});

/** put writes a file that has not changed for long. */
function put(path, content) {
  writeFileSync(path, content);
  utimesSync(path, 1_600_000_000, 1_600_000_000);
}

/** open goes to a view of administration. */
async function open(page, name) {
  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: "Administration" }).click();
  await page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name }).click();
  await page.locator("#main .loading").waitFor({ state: "detached" });
}

/** over is what is said of the last scan that has ended. */
const over = (page, text) => page.locator("h2", { hasText: /^Over$/ }).locator("xpath=following-sibling::ul[1]/li[1]").filter({ hasText: text });

test("an account is approved, blocked and let in again", async () => {
  const { page } = ada;
  const bob = await device(chromium);
  const phrase = await signUp(bob.page);
  const key = (await bob.page.locator(".key").textContent()).trim();
  await open(page, "People");
  await page.getByRole("listitem").filter({ hasText: key }).getByRole("button", { name: /^Approve / }).click();
  await bob.page.getByRole("heading", { name: "Welcome" }).waitFor();
  await newHeap(bob.page, "Bob's");
  const tablet = await device(chromium);
  await restore(tablet.page, phrase);
  await tablet.page.getByRole("heading", { name: "Your heaps" }).waitFor();

  const row = page.getByRole("listitem").filter({ hasText: key.slice(0, 12) });
  await row.getByRole("button", { name: /^Devices of / }).click();
  const devices = page.getByRole("dialog").getByRole("button", { name: /^Sign out / });
  await devices.nth(1).waitFor();
  await devices.first().click();
  await devices.nth(1).waitFor({ state: "detached" });
  assert.equal(await devices.count(), 1);
  await page.getByRole("button", { name: "Close" }).click();
  await row.getByRole("button", { name: /^Block / }).click();
  await row.getByText("blocked", { exact: true }).waitFor();
  await bob.page.reload();
  await bob.page.getByText("It says: this account is blocked.").waitFor();
  await row.getByRole("button", { name: /^Unblock / }).click();
  await row.getByRole("button", { name: /^Block / }).waitFor();
  await bob.page.getByRole("button", { name: "Try again" }).click();
  await bob.page.getByRole("heading", { level: 1, name: "Bob's" }).waitFor();
  assert.deepEqual([...ada.faults, ...bob.faults], []);
  await bob.context.close();
  await tablet.context.close();
});

test("a folder of the server is scanned into a heap, after a look at what that would do", async () => {
  const { page } = ada;
  await open(page, "Scans");
  await page.getByLabel("Another folder, with all in it").fill(media);
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("button", { name: `Remove ${media}` }).waitFor();

  await page.getByLabel("Folder on the server").fill(photos);
  await page.getByLabel("Follow what changes in it").uncheck();
  await page.getByRole("button", { name: "See what a scan would do" }).click();
  await page.getByText(`${files} files: ${files} new.`).waitFor();
  await page.getByText("No scan is running.").waitFor();
  assert.equal(await page.getByRole("button", { name: `Scan now: ${photos}` }).count(), 0, "a look makes nothing");
  await page.getByRole("button", { name: "Start the scan" }).click();
  await over(page, `${files} files: ${files} new`).waitFor();
  await page.getByText("No scan is running.").waitFor();
  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /Letters/ }).click();
  await page.locator("a.row", { hasText: "letter 1" }).first().waitFor();

  await open(page, "Scans");
  await page.getByLabel("Folder on the server").fill("/etc");
  await page.getByRole("button", { name: "See what a scan would do" }).click();
  await page.getByText(/not in one that the administrator allows/).waitFor();
});

test("when many files have vanished somebody has to say that they are gone", async () => {
  const { page } = ada;
  const gone = 4;
  for (let i = 0; i < gone; i++) rmSync(join(photos, `letter ${i}.txt`));
  await open(page, "Scans");
  const scan = page.getByRole("button", { name: `Scan now: ${photos}` });
  await scan.click();
  await page.getByText(`${gone} files that were there are gone`).waitFor();
  await open(page, "Health");
  await page.getByRole("listitem").filter({ hasText: `${photos}: ${gone} files are gone.` }).waitFor();
  await open(page, "Scans");
  await page.getByRole("button", { name: "Leave them" }).click();
  await page.getByText("No scan is running.").waitFor();
  await scan.click();
  await page.getByRole("button", { name: `Put ${gone} blocks into the trash` }).click();
  await over(page, `${files - gone} files: ${gone} gone`).waitFor();
  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /Letters/ }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("link", { name: "Trash" }).click();
  const trashed = page.getByRole("button", { name: /^Restore letter/ });
  for (const late = Date.now() + 10_000; Date.now() < late && (await trashed.count()) < gone; ) { // lists follow within 2 s
    await page.reload();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.locator("#main .loading").waitFor({ state: "detached" });
  }
  assert.equal(await trashed.count(), gone);
});

test("a folder that is not there is offline, and its blocks stay", async () => {
  const { page } = ada;
  renameSync(photos, `${photos} elsewhere`);
  await open(page, "Scans");
  const scan = page.getByRole("button", { name: `Scan now: ${photos}` });
  await scan.click();
  await page.getByText(/The folder cannot be reached: \d+ files are offline\. The blocks stay as they are\./).waitFor();
  await open(page, "Health");
  const problem = page.getByText(/^Scan of .*could not be reached/);
  await problem.waitFor();
  renameSync(`${photos} elsewhere`, photos);
  await open(page, "Scans");
  await scan.click();
  await page.getByText("offline", { exact: true }).waitFor({ state: "detached" });
  await open(page, "Health");
  await page.getByRole("heading", { name: "Parts" }).waitFor();
  assert.equal(await problem.count(), 0);
});

test("a scan shows how far it is, and is stopped", async () => {
  const { page } = ada;
  const films = join(media, "films");
  mkdirSync(films);
  put(join(films, "short.txt"), "short");
  put(join(films, "long.bin"), "");
  truncateSync(join(films, "long.bin"), 2 ** 40); // which nobody reads to its end
  utimesSync(join(films, "long.bin"), 1_600_000_000, 1_600_000_000);
  await open(page, "Scans");
  await page.getByLabel("Folder on the server").fill(films);
  await page.getByRole("button", { name: "See what a scan would do" }).click();
  await page.getByText("1.1 TB would be read").waitFor();
  await page.getByRole("button", { name: "Start the scan" }).click();
  const row = page.locator("li.scan");
  await row.getByText(/^1 of 2 files, .*B read/).waitFor();
  const bar = row.getByRole("progressbar", { name: `Scan of ${films}` });
  assert.deepEqual(await bar.evaluate((e) => [e.value, e.max]), [1, 2]);
  const before = await row.textContent();
  await page.waitForFunction((before) => document.querySelector("li.scan")?.textContent !== before, before); // the socket tells
  await row.getByRole("button", { name: `Stop the scan of ${films}` }).click();
  await over(page, "Stopped after 1 of 2 files").waitFor();
  rmSync(join(films, "long.bin"));
});

test("charts say what takes up how much, and when there was something to do", async () => {
  const { page } = ada;
  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /Letters/ }).click();
  await newNote(page, "Charts", "One edit. ");
  await safe(page);
  await page.locator(".crumbs a").first().click();
  await page.locator("a.row", { hasText: "Charts" }).waitFor(); // what is counted is as old as the list
  await open(page, "Storage");
  const heap = page.getByRole("table", { name: "Bytes by heap" }).getByRole("row", { name: /Letters/ });
  assert.match(await heap.textContent(), /Present state .*, History .*, New edits .*, Files .*\d+(\.\d+)? (bytes|KB|MB)$/);
  const widths = await heap.locator("rect").evaluateAll((all) => all.map((r) => Number(r.getAttribute("width"))));
  assert.ok(widths.length === 4 && widths.some((w) => w > 0), `the bar has widths: ${widths}`);
  await page.getByRole("table", { name: "Bytes by account" }).getByRole("row").filter({ hasText: ada.key.slice(0, 12) }).waitFor();
  const days = page.locator(".days rect");
  assert.equal(await days.count(), 90);
  const heights = await days.evaluateAll((all) => all.map((r) => Number(r.getAttribute("height"))));
  assert.ok(Math.max(...heights.slice(-2)) === 100, "the edits are of now"); // or of before midnight
  assert.ok(heights.slice(0, -2).every((h) => h === 0));

  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /Letters/ }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Statistics" }).click();
  const dialog = page.getByRole("dialog", { name: "Statistics" });
  const types = dialog.getByRole("table", { name: "Blocks by type" });
  await types.getByRole("row", { name: /^file/ }).filter({ hasText: String(files - 4 + 1) }).waitFor();
  await types.getByRole("row", { name: /^note/ }).waitFor();
  assert.deepEqual(await check(page, "statistics"), []);
  await dialog.getByRole("button", { name: "Close" }).click();
});

test("a heap that its owner has deleted is brought back", async () => {
  const { page } = ada;
  await newHeap(page, "Attic");
  await page.getByRole("button", { name: "More" }).click();
  page.once("dialog", (d) => d.accept());
  await page.getByRole("button", { name: "Delete" }).click();
  const heap = page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /Attic/ });
  await heap.waitFor({ state: "detached" });
  await open(page, "Storage");
  await page.getByRole("button", { name: "Bring back Attic" }).click();
  await heap.waitFor();
  await page.getByRole("button", { name: "Bring back Attic" }).waitFor({ state: "detached" });
});

test("health says what is wrong, and that nothing is", async () => {
  const { page } = ada;
  const answer = (status, parts) => page.route("**/api/health", (route) => route.fulfill({ status, json: { server: { status: "ok" }, database: { status: "ok", latency_ms: 0.4 }, storage: { status: "ok" }, media: { status: "ok", formats: ["png"], missing: [] }, ...parts } }));
  await open(page, "People");
  await answer(503, { server: { status: "degraded" }, database: { status: "down", latency_ms: 2000 }, media: { status: "partial", formats: [], missing: ["ffmpeg: no pictures of videos"] } });
  await open(page, "Health");
  await page.getByText("The database does not answer.").waitFor();
  await page.getByText("ffmpeg: no pictures of videos").waitFor();
  await page.getByText("down", { exact: true }).waitFor();
  await page.unroute("**/api/health");
  await answer(200, {});
  await open(page, "People");
  await open(page, "Health");
  await page.getByText("There is nothing to worry about.").waitFor();
  await page.unroute("**/api/health");
});

test("health names files of which no picture could be made", async () => {
  const { page } = ada;
  await page.getByRole("navigation", { name: "Heaps" }).getByRole("link", { name: /^Letters/ }).click();
  await page.getByLabel("Files to upload").setInputFiles({ name: "torn.png", mimeType: "image/png", buffer: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "base64") });
  await page.getByRole("link", { name: /torn\.png/ }).waitFor();
  await open(page, "Health");
  await page.getByText("Files without the picture they should have").click();
  await page.getByRole("link", { name: "torn.png" }).click();
  await page.locator(".file").getByText("torn.png").waitFor();
});

test("the settings are kept", async () => {
  const { page } = ada;
  await open(page, "Settings");
  await page.getByLabel("Heaps an account may own").fill("12");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.reload();
  await page.waitForFunction(() => document.querySelector("fieldset label:nth-of-type(3) input")?.value === "12");
  await open(page, "Scans");
  await page.getByRole("button", { name: `Remove ${media}` }).waitFor(); // is no part of the form, and stays
});

test("every view is readable by all, and fits on a phone", async () => {
  const { page } = ada;
  const found = [];
  for (const viewport of [{ width: 1100, height: 760 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(viewport);
    for (const view of ["", "health", "scans", "storage", "settings", "log"]) {
      await page.goto(`${url}/admin/${view}`);
      await page.getByRole("heading", { name: "Administration" }).waitFor();
      await page.locator("#main .loading").waitFor({ state: "detached" });
      found.push(...(await check(page, `${view || "people"}, ${viewport.width} wide`)));
      const [wide, room, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth, document.getElementById("main").scrollWidth]);
      if (wide > room || inner > room) found.push(`${view || "people"} is ${Math.max(wide, inner)} wide in ${room}`);
    }
  }
  assert.deepEqual(found, []);
  assert.deepEqual(ada.faults, []);
});
