import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { browser, claimCode, device, newHeap, newNote, reads, restore, safe, signUp, url } from "./world.mjs";

let chromium, admin;
before(async () => {
  chromium = await browser("heap.lan");
  admin = await device(chromium);
  admin.phrase = await signUp(admin.page, { claim: claimCode() });
  await admin.page.getByRole("heading", { name: "Welcome" }).waitFor();
});
after(() => chromium.close());

test("a note is written by two devices at once", async () => {
  await newHeap(admin.page, "Garden");
  await newNote(admin.page, "Tomatoes", "Plant them in May. ");
  await safe(admin.page);
  const phone = await device(chromium, { viewport: { width: 390, height: 800 } });
  await restore(phone.page, admin.phrase);
  await phone.page.goto(admin.page.url());
  await phone.page.getByText("Plant them in May.").click();
  await phone.page.keyboard.press("End");
  await phone.page.keyboard.type("Water them.");
  await admin.page.getByText("Water them.").waitFor();
  await admin.page.locator(".caret").waitFor();
  assert.deepEqual([...admin.faults, ...phone.faults], []);

  // Both go offline, write, and come back.
  await admin.context.setOffline(true);
  await phone.context.setOffline(true);
  await admin.page.locator(".ProseMirror").click();
  await admin.page.keyboard.press("Home");
  await admin.page.keyboard.type("From the desk. ");
  await admin.page.getByText("Saved on this device").waitFor();
  await phone.page.keyboard.type(" From the garden.");
  await phone.page.getByText("Saved on this device").waitFor();
  await admin.context.setOffline(false);
  await phone.context.setOffline(false);
  for (const { page } of [admin, phone]) {
    await reads(page, "From the desk. Plant them in May. Water them. From the garden.");
    await safe(page);
  }
  await phone.context.close();
});

test("what was written offline and closed is pushed when the server is back", async () => {
  const laptop = await device(chromium);
  await restore(laptop.page, admin.phrase);
  await laptop.page.getByRole("heading", { name: "Your heaps" }).waitFor();
  await laptop.page.locator("#main").getByRole("link", { name: "Garden" }).click();
  await laptop.page.getByText("Tomatoes").waitFor();
  await laptop.context.setOffline(true);
  await newNote(laptop.page, "Beans", "They climb.");
  await laptop.page.getByText("Saved on this device").waitFor();
  await laptop.page.locator(".crumbs a").first().click();
  await laptop.page.getByText("Offline, 1 change waiting").waitFor();
  await laptop.context.setOffline(false);
  await laptop.page.locator(".waiting").waitFor({ state: "detached", timeout: 60_000 });
  await admin.page.locator(".crumbs a").first().click();
  await admin.page.getByText("They climb.").waitFor();
  assert.deepEqual(laptop.faults, []);
  await laptop.context.close();
});

test("somebody new waits, and goes on when an administrator approves", async () => {
  const bob = await device(chromium);
  await signUp(bob.page);
  await bob.page.getByRole("heading", { name: "Waiting for approval" }).waitFor();
  const key = (await bob.page.locator(".key").textContent()).trim();
  execFileSync(process.env.HEAPSYNC_BIN, ["admin", "approve", key, "--data", process.env.HEAPSYNC_DIR]);
  await bob.page.getByRole("heading", { name: "Welcome" }).waitFor();
  assert.deepEqual(bob.faults, []);
  await bob.context.close();
});

test("over plain http, a passphrase keeps the key", async () => {
  const lan = url.replace("127.0.0.1", "heap.lan");
  const tv = await device(chromium);
  await restore(tv.page, admin.phrase, { at: lan, passphrase: "correct horse" });
  await tv.page.getByRole("heading", { name: "Your heaps" }).waitFor();
  await tv.page.reload();
  await tv.page.getByRole("heading", { name: "Your heaps" }).waitFor();
  assert.deepEqual(tv.faults, []);
  await tv.context.close();
});

test("words that are no phrase are refused with the reason", async () => {
  const { page, context } = await device(chromium);
  await page.goto(url);
  await page.getByRole("button", { name: "I have a recovery phrase" }).click();
  const words = page.getByLabel("The words, in their order");
  for (const [typed, reason] of [
    ["tomato xyzzy", "“xyzzy” is none of the words"],
    ["tomato tomato", "A phrase has 12 words"],
    ["tomato ".repeat(12), "do not belong together"],
  ]) {
    await words.fill(typed);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("alert").getByText(reason).waitFor();
  }
  await context.close();
});

test("another server in the place of the one that is known is not trusted", async () => {
  const { page, context, faults } = await device(chromium);
  await restore(page, admin.phrase);
  await page.getByRole("heading", { name: "Your heaps" }).waitFor();
  await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const open = indexedDB.open("heapsync");
        open.onsuccess = () => {
          const tx = open.result.transaction("settings", "readwrite");
          tx.objectStore("settings").put("9jvFAcMD8iW2bRr1ZJN6S8AYhTqP1wrq9xTB4zVfLDuG", "server");
          tx.oncomplete = resolve;
          tx.onabort = reject;
        };
      }),
  );
  const sent = [];
  page.on("request", (r) => r.headers().authorization && sent.push(r.url()));
  await page.reload();
  await page.getByRole("heading", { name: "This is not the server you know" }).waitFor();
  assert.deepEqual(sent, []);
  await page.getByRole("button", { name: "I know why" }).click();
  await page.getByRole("heading", { name: "Your heaps" }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test("two tabs agree without a server, and nothing of either is forgotten", async () => {
  const { page, context, faults } = await device(chromium);
  await restore(page, admin.phrase);
  await newHeap(page, "Tabs");
  await newNote(page, "Both", "one ");
  await safe(page);
  const other = await context.newPage();
  await other.goto(page.url());
  await reads(other, "one ");
  await safe(other);
  await context.setOffline(true);
  await page.keyboard.type("two ");
  await reads(other, "one two ");
  await other.locator(".ProseMirror").click();
  await other.keyboard.press("Control+End");
  await other.keyboard.type("three");
  await reads(page, "one two three");
  await page.getByText("Saved on this device").waitFor();
  await page.close(); // what it wrote is pushed by the other
  await context.setOffline(false);
  await safe(other);
  await admin.page.goto(other.url());
  await reads(admin.page, "one two three");
  assert.deepEqual(faults, []);
  await context.close();
});
