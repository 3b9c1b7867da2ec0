import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, newHeap, newNote, restore, safe, url } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
  await newHeap(ada.page, "Kitchen");
  await newNote(ada.page, "Flour", "From the mill.");
  await safe(ada.page);
});
after(() => chromium.close());

const toHeap = (page) => page.locator(".crumbs a").first().click();

test("a note links to another, which says so", async () => {
  const { page } = ada;
  await toHeap(page);
  await newNote(page, "Bread", "Take [[");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").fill("flo");
  await dialog.getByRole("option", { name: "Flour" }).waitFor();
  await page.keyboard.press("Enter");
  await page.keyboard.type("and water.");
  const link = page.locator(".ProseMirror a", { hasText: "Flour" });
  assert.match(await link.getAttribute("href"), /^#block\//);
  await page.waitForFunction(() => document.querySelector(".ProseMirror").textContent === "Take Flour and water.");
  await page.locator(".related").getByRole("link", { name: "Flour" }).waitFor();
  await safe(page);
  await link.click();
  await page.getByText("From the mill.").waitFor();
  const back = page.locator(".related").getByRole("link", { name: "Bread" });
  await back.waitFor();
  await back.click();
  await link.waitFor();
  // Without the link there is no relation.
  await page.locator(".ProseMirror").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Nothing.");
  await page.locator(".related").waitFor({ state: "detached" });
  assert.deepEqual(ada.faults, []);
});

test("a picture is put into a note, and others see it", async () => {
  const { page } = ada;
  const picture = Buffer.from(
    await page.evaluate(() => {
      const canvas = document.createElement("canvas");
      canvas.width = 320;
      canvas.height = 200;
      const draw = canvas.getContext("2d");
      draw.fillStyle = "#c2410c";
      draw.fillRect(40, 40, 200, 100);
      return canvas.toDataURL("image/png").split(",")[1];
    }),
    "base64",
  );
  await page.locator('input[aria-label="Files for this note"]').setInputFiles([
    { name: "oven.png", mimeType: "image/png", buffer: picture },
    { name: "times.txt", mimeType: "text/plain", buffer: Buffer.from("40 minutes") },
  ]);
  await page.locator(".ProseMirror figure img").waitFor();
  await page.locator(".ProseMirror a", { hasText: "times.txt" }).waitFor();
  await page.getByText("All files are there").waitFor();
  await safe(page);
  const other = await (async () => {
    const context = await chromium.newContext();
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    await restore(page, ada.phrase, { at: url });
    return page;
  })();
  await other.goto(page.url());
  const img = other.locator(".ProseMirror figure img");
  await img.waitFor();
  await other.waitForFunction(() => document.querySelector(".ProseMirror figure img")?.naturalWidth === 320);
  assert.equal(await img.getAttribute("alt"), "oven.png");
  await other.locator(".ProseMirror a", { hasText: "times.txt" }).click();
  await other.locator(".file").getByText("times.txt").waitFor();
  await other.getByRole("navigation", { name: "Where this lies" }).getByRole("link", { name: "Bread" }).waitFor();
  await other.context().close();

  // Pasted as well; and a picture of another server is not loaded.
  await page.locator(".ProseMirror p").first().click();
  await page.evaluate((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "pasted.png", { type: "image/png" }));
    document.querySelector(".ProseMirror").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, picture.toString("base64"));
  await page.locator('.ProseMirror img[alt="pasted.png"]').waitFor();
  await page.getByText("All files are there").waitFor();
  await safe(page);
  await toHeap(page);
  const tree = page.getByRole("tree");
  await tree.getByRole("treeitem", { name: "Bread" }).focus();
  await page.keyboard.press("ArrowRight");
  await tree.getByRole("treeitem", { name: "pasted.png" }).waitFor();
  assert.deepEqual(ada.faults, []);
});
