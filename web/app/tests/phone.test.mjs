// A phone: 390 by 844 points, and fingers. And the dark.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { approved, browser, device, newHeap, newNote, safe, url } from "./world.mjs";

let chromium, ada;
before(async () => {
  chromium = await browser();
});
after(() => chromium.close());

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** fits checks that nothing is wider than the screen, and nothing too small for a finger. */
async function fits(page, what) {
  const found = await page.evaluate(() => {
    const small = [];
    for (const button of document.querySelectorAll("button, .button, select, input:not([type=file]), summary, [role=treeitem]")) {
      const { width, height } = button.getBoundingClientRect();
      if (button.checkVisibility({ visibilityProperty: true }) && width > 0 && (width < 24 || height < 24)) small.push(`${button.outerHTML.slice(0, 80)}: ${width}x${height}`);
    }
    // What is wider than the screen and has no box of its own to scroll in.
    return { wide: document.documentElement.scrollWidth - innerWidth, main: (document.querySelector("#main")?.scrollWidth ?? 0) - innerWidth, small };
  });
  assert.deepEqual(found, { wide: 0, main: found.main > 0 ? 0 : found.main, small: [] }, what);
}

const menu = async (page) => {
  await page.getByRole("button", { name: "Menu" }).tap();
  await page.locator(".menu-open").waitFor();
};

test("somebody signs up and writes on a phone", async () => {
  const first = await device(chromium, phone);
  await first.page.goto(url);
  await first.page.getByRole("button", { name: "Make a new key" }).waitFor();
  await fits(first.page, "the first page");
  await first.page.getByRole("button", { name: "Make a new key" }).tap();
  await first.page.locator(".phrase li").nth(11).waitFor();
  await fits(first.page, "the phrase");
  await first.context.close();

  ada = await approved(chromium, phone);
  const { page } = ada;
  await fits(page, "the start");
  await menu(page);
  await fits(page, "the menu");
  await page.locator(".veil").tap({ position: { x: 380, y: 400 } });
  await page.locator(".menu-open").waitFor({ state: "detached" });
  await menu(page);
  await newHeap(page, "Pocket");
  await page.locator(".menu-open").waitFor({ state: "detached" });
  await fits(page, "an empty heap");
  await newNote(page, "A rather long title of a note that was written on a phone", "Words. ");
  await fits(page, "a note");
  const bar = page.getByRole("toolbar");
  assert.ok(await bar.evaluate((b) => b.scrollWidth > b.clientWidth), "the tools have more room than the screen");
  await bar.getByRole("button").last().scrollIntoViewIfNeeded();
  await bar.getByRole("button", { name: "Table", exact: true }).tap();
  await page.locator(".ProseMirror td, .ProseMirror th").first().waitFor();
  await fits(page, "a note with a table");
  await page.keyboard.type("inthecellaverylongwordthatnobodycanbreakanywhereatallreally");
  await safe(page);
  await fits(page, "a note with a long word in a table");
  await page.getByRole("link", { name: "History" }).tap();
  await page.locator(".moment").first().tap();
  await page.locator(".history-view").getByRole("button").first().waitFor();
  await fits(page, "the history");
  await page.goBack();
  await page.locator(".ProseMirror").waitFor();
  await page.getByRole("button", { name: "Move to…" }).tap();
  await page.getByRole("dialog").waitFor();
  await fits(page, "a dialog");
  await page.keyboard.press("Escape");
  await page.locator(".crumbs a").first().tap();
  await page.getByRole("link", { name: /A rather long title/ }).waitFor();
  await fits(page, "a list");
  await page.getByLabel("Files to upload").setInputFiles({ name: "a-file-with-a-name-that-is-much-too-long-for-any-phone.txt", mimeType: "text/plain", buffer: Buffer.from("bytes") });
  await page.getByText("safe on the server").waitFor();
  await fits(page, "an upload");
  await page.getByRole("searchbox").fill("words");
  await page.locator("mark").first().waitFor();
  await fits(page, "a search");
  await page.getByRole("button", { name: "Grid" }).tap();
  await page.locator(".cell").first().waitFor();
  await fits(page, "a grid");
  await page.getByRole("button", { name: "Share" }).tap();
  await page.getByRole("dialog").waitFor();
  await fits(page, "sharing");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "More" }).tap();
  await page.getByRole("link", { name: "Trash" }).waitFor();
  await fits(page, "a menu");
  await page.getByRole("link", { name: "Trash" }).tap();
  await page.getByText("Nothing is in the trash.").waitFor();
  await fits(page, "the trash");
  await menu(page);
  await page.getByRole("link", { name: "Account" }).tap();
  await page.getByRole("heading", { level: 1, name: "Account" }).waitFor();
  await fits(page, "the account");
  assert.deepEqual(ada.faults, []);
});

test("light or dark, as the system says or as one chose, also in the editor and after a reload", async () => {
  const { page } = ada;
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const [light, dark] = ["rgb(255, 255, 255)", "rgb(22, 24, 29)"];
  await page.emulateMedia({ colorScheme: "dark" });
  assert.equal(await paper(), dark);
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await paper(), light);
  for (const [choice, system, want] of [["dark", "light", dark], ["light", "dark", light], ["auto", "dark", dark]]) {
    await page.goto(`${url}/account`);
    await page.emulateMedia({ colorScheme: system });
    await page.getByLabel("Colours").selectOption(choice);
    assert.equal(await paper(), want, `${choice} on a ${system} system`);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Account" }).waitFor();
    assert.equal(await paper(), want, `${choice} on a ${system} system, after a reload`);
    await page.goto(url);
    await page.locator(".heap-card").first().tap();
    await page.getByRole("link", { name: /A rather long title/ }).tap();
    await page.locator(".ProseMirror").waitFor();
    const seen = await page.locator(".ProseMirror").evaluate((e) => {
      const bar = getComputedStyle(document.querySelector(".toolbar"));
      return [bar.backgroundColor, getComputedStyle(e).color];
    });
    assert.deepEqual(seen, [want, want === dark ? "rgb(232, 234, 238)" : "rgb(29, 33, 41)"], `${choice} on a ${system} system, in the editor`);
  }
  assert.deepEqual(ada.faults, []);
});
