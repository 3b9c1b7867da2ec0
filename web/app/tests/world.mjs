// A browser, and people who use it. The server is at HEAPSYNC_URL, and its data in HEAPSYNC_DIR.

import { chromium } from "playwright-core";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const url = process.env.HEAPSYNC_URL;

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** browser starts Chromium; host is a name by which it also finds the server. */
export const browser = (host) =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: host ? [...args, `--host-resolver-rules=MAP ${host} 127.0.0.1`] : args });

/** claimCode is the code of the first start, "" once it is used. */
export function claimCode() {
  try {
    return readFileSync(join(process.env.HEAPSYNC_DIR, "claim-code"), "utf8").trim();
  } catch {
    return "";
  }
}

/** device is a browser profile of its own. What the page complains about is in its faults. */
export async function device(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, ...options });
  context.setDefaultTimeout(60_000); // other tests run beside this one
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (err) => faults.push(String(err)));
  page.on("console", (m) => m.type() === "error" && !/Failed to load resource|WebSocket connection/.test(m.text()) && faults.push(m.text()));
  return { context, page, faults };
}

/** signUp makes a key, checks its phrase and signs in with it. It returns the phrase. */
export async function signUp(page, { claim = "", at = url, passphrase = "" } = {}) {
  await page.goto(claim ? `${at}/#claim=${claim}` : at);
  await page.getByRole("button", { name: "Make a new key" }).click();
  await page.locator(".phrase li").nth(11).waitFor();
  const words = await page.locator(".phrase li").allTextContents();
  await page.getByRole("button", { name: "I have written them down" }).click();
  for (const label of await page.locator("form label").all()) {
    const n = Number(/Word (\d+)/.exec(await label.textContent())[1]);
    await label.locator("input").fill(words[n - 1]);
  }
  await page.getByRole("button", { name: "Continue" }).click();
  await finish(page, passphrase);
  return words.join(" ");
}

/** approved is a device whose new account an administrator has let in. */
export async function approved(browser, options) {
  const it = await device(browser, options);
  it.phrase = await signUp(it.page);
  it.key = (await it.page.locator(".key").textContent()).trim();
  execFileSync(process.env.HEAPSYNC_BIN, ["admin", "approve", it.key, "--data", process.env.HEAPSYNC_DIR]);
  await it.page.getByRole("heading", { name: "Welcome" }).waitFor();
  return it;
}

/** restore signs in with a phrase. */
export async function restore(page, phrase, { at = url, passphrase = "" } = {}) {
  await page.goto(at);
  await page.getByRole("button", { name: "I have a recovery phrase" }).click();
  await page.getByLabel("The words, in their order").fill(phrase);
  await page.getByRole("button", { name: "Continue" }).click();
  await finish(page, passphrase);
}

async function finish(page, passphrase) {
  if (passphrase) await page.getByLabel("Passphrase").fill(passphrase);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { name: /^(Welcome|Your heaps|Waiting for approval)$/ }).waitFor();
}

/** newHeap makes a heap from the sidebar and goes there. */
export async function newHeap(page, name) {
  await page.getByRole("navigation").getByRole("button", { name: "New heap" }).click();
  await page.getByRole("navigation").getByLabel("Name of the heap").fill(name);
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** newNote makes a note in the heap that is shown, and writes in it. */
export async function newNote(page, title, text) {
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByLabel("Title", { exact: true }).fill(title);
  await page.locator(".ProseMirror").click();
  await page.keyboard.type(text);
}

/** safe waits until the server has everything on its disk. */
export const safe = (page) => page.locator('.badge[data-saved="server"]', { hasText: "Safe on the server" }).waitFor();

/** reads waits until the note that is open says a text, whoever's cursors are in it. */
export const reads = (page, text) =>
  page.waitForFunction((text) => {
    const note = document.querySelector(".ProseMirror")?.cloneNode(true);
    note?.querySelectorAll(".caret").forEach((caret) => caret.remove());
    return note?.textContent.replaceAll("\u2060", "").includes(text);
  }, text);
