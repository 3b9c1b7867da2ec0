// A heap of 5,000 blocks, or of as many as HEAPSYNC_MANY says. What is checked are counts;
// how long things take is printed.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import * as Y from "yjs";
import { approved, browser, newHeap, safe, url } from "./world.mjs";

const many = Number(process.env.HEAPSYNC_MANY ?? 5000);
const folders = 5000; // on one level of a tree
const pageSize = 200; // of what the app asks for at once

let chromium, ada, token, heap;

/** post asks the server as Ada does. */
async function post(path, body) {
  const answer = await fetch(url + path, { method: "POST", headers: { Authorization: token, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`);
  return answer.json();
}

/** fill pushes blocks into a heap: of(i) are a block's id, type and title; last wins over what stands there. */
async function fill(heap, count, of, last = false) {
  for (let from = 0; from < count; from += 500) {
    const blocks = [];
    for (let i = from; i < Math.min(count, from + 500); i++) {
      const { id, ...fields } = of(i);
      const doc = new Y.Doc();
      if (last) doc.clientID = 0xffffffff; // of two who set a field without having seen the other, it wins
      doc.transact(() => {
        for (const [key, value] of Object.entries(fields)) doc.getMap("block").set(key, value);
        const p = new Y.XmlElement("paragraph");
        p.insert(0, [new Y.XmlText(`Some words that number ${i} begins with, as notes do, and a few more.`)]);
        doc.getXmlFragment("default").insert(0, [p]);
      });
      blocks.push({ block_id: id, workspace_id: heap, update: Buffer.from(Y.encodeStateAsUpdate(doc)).toString("base64") });
    }
    const { results } = await post("/api/sync/push", { blocks });
    assert.ok(results.every((r) => !r.error), JSON.stringify(results.find((r) => r.error)));
  }
  for (;;) {
    const { total } = await post("/api/heap_count", { heap_id: heap });
    if (total >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 100)); // the lists follow
  }
}

const titleOf = (i) => `Note ${String(i).padStart(6, "0")}`;

before(async () => {
  chromium = await browser();
  ada = await approved(chromium);
  const asked = ada.page.waitForRequest((r) => r.url().endsWith("/api/heaps") && r.headers().authorization);
  await newHeap(ada.page, "Many");
  await ada.page.reload();
  token = (await asked).headers().authorization;
  heap = new URL(ada.page.url()).pathname.split("/")[2];
  await fill(heap, many, (i) => ({ id: `n${i}`, type: "note", title: titleOf(i) }));
});
after(() => chromium.close());

const print = (what, figures) => console.log(`${many} blocks, ${what}: ${Object.entries(figures).map(([name, n]) => `${name} ${typeof n === "number" ? Math.round(n * 10) / 10 : n}`).join(", ")}`);

const list = (page) => page.getByRole("region", { name: "Blocks" });

/** shown is the titles of the rows that can be seen. */
const shown = (page) =>
  list(page).evaluate((box) => {
    const { top, bottom } = box.getBoundingClientRect();
    return [...box.querySelectorAll("li")]
      .map((li) => [li.getBoundingClientRect(), li.querySelector(".row-title")?.textContent ?? ""])
      .filter(([r]) => r.bottom > top + 1 && r.top < bottom - 1)
      .sort(([a], [b]) => a.top - b.top)
      .map(([, title]) => title);
  });

/** settled waits until all rows that can be seen are there, and one of them is this. */
const settled = (page, title) =>
  page.waitForFunction(
    (title) => !document.querySelector(".virtual [aria-busy]") && [...document.querySelectorAll(".virtual .row-title, .virtual .cell .row-title")].some((e) => e.textContent === title),
    title,
  );

const byTitle = (page) => page.getByRole("combobox", { name: "Order" }).selectOption("title");

/** watch begins to measure frames, long tasks and interactions in the page; its end returns the worst of them. */
async function watch(page) {
  await page.evaluate(() => {
    const m = (window.measured = { frame: 0, frames: 0, task: 0, event: 0, on: true });
    const see = (type, take, more) => {
      const observer = new PerformanceObserver((entries) => entries.getEntries().forEach(take));
      observer.observe({ type, ...more });
      return observer;
    };
    m.observers = [
      see("longtask", (e) => (m.task = Math.max(m.task, e.duration))),
      see("event", (e) => e.interactionId && (m.event = Math.max(m.event, e.duration)), { durationThreshold: 16 }),
    ];
    let last = performance.now();
    const frame = (now) => {
      m.frame = Math.max(m.frame, now - last);
      m.frames++;
      last = now;
      if (m.on) requestAnimationFrame(frame);
    };
    requestAnimationFrame((now) => ((last = now), requestAnimationFrame(frame)));
  });
  return () =>
    page.evaluate(async () => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const m = window.measured;
      m.on = false;
      m.observers.forEach((o) => o.disconnect());
      return { "longest frame ms": m.frame, frames: m.frames, "longest task ms": m.task, "slowest interaction ms": m.event };
    });
}

test("the page and its list come soon", async () => {
  const { page, context } = ada;
  const load = async () => {
    await page.goto(`${url}/h/${heap}`);
    const listed = await page.evaluate(async () => {
      while (!document.querySelector(".row")) await new Promise(requestAnimationFrame);
      return performance.now();
    });
    const painted = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const found = (entries) => entries.getEntriesByName("first-contentful-paint").forEach((e) => resolve(e.startTime));
          new PerformanceObserver(found).observe({ type: "paint", buffered: true });
        }),
    );
    return { "first contentful paint ms": painted, "list ms": listed };
  };
  const cdp = await context.newCDPSession(page);
  for (let i = 0; i < 3; i++) {
    await page.evaluate(async () => {
      for (const worker of await navigator.serviceWorker.getRegistrations()) await worker.unregister();
      for (const name of await caches.keys()) await caches.delete(name);
    });
    await cdp.send("Network.clearBrowserCache");
    print("a cold load", await load());
  }
  for (let i = 0; i < 3; i++) print("a warm load", await load());
  assert.deepEqual(ada.faults, []);
});

test("whoever scrolls or jumps sees the right rows, and no more than some are in the page", async () => {
  const { page } = ada;
  await page.goto(`${url}/h/${heap}`);
  await byTitle(page);
  await settled(page, titleOf(0));
  await list(page).focus();
  await page.keyboard.press("End");
  await settled(page, titleOf(many - 1));
  assert.equal((await shown(page)).at(-1), titleOf(many - 1));
  await page.keyboard.press("Home");
  await settled(page, titleOf(0));
  assert.equal((await shown(page))[0], titleOf(0));
  const at = Math.floor(many * 0.7);
  await list(page).evaluate((box, at) => (box.scrollTop = at * 68), at);
  await settled(page, titleOf(at));
  const rows = await shown(page);
  assert.deepEqual(rows, rows.map((_, i) => titleOf(at + i)), "the rows follow each other");
  assert.ok((await page.locator(".virtual li").count()) < 60);
  // When a link that has the focus is scrolled away the list has it, and keys go on to work.
  await page.getByRole("link", { name: titleOf(at) }).focus();
  await list(page).evaluate((box) => (box.scrollTop = 0));
  await settled(page, titleOf(0));
  await page.keyboard.press("End");
  await settled(page, titleOf(many - 1));
  assert.deepEqual(ada.faults, []);
});

test("scrolling through all of it asks for each page once, and keeps what is near", async () => {
  const { page, context } = ada;
  await page.goto(`${url}/h/${heap}`);
  await byTitle(page);
  await settled(page, titleOf(0));
  const cdp = await context.newCDPSession(page);
  const heapSize = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return (await cdp.send("Runtime.getHeapUsage")).usedSize / 1e6;
  };
  const before = await heapSize();
  const asked = { pages: 0, others: 0 };
  const count = (r) => r.url().startsWith(url + "/api/") && asked[r.postDataJSON()?.skip === undefined ? "others" : "pages"]++;
  page.on("request", count);
  await list(page).hover();
  const stop = await watch(page);
  let most = 0;
  // As fast as a hand turns a wheel, and faster where there is very much.
  const turn = Math.max(1000, (many * 68) / 400);
  for (let from = -1, now = 0; now !== from; ) {
    from = now;
    await page.mouse.wheel(0, turn);
    [now, most] = await page.evaluate(async (most) => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      return [document.querySelector(".virtual").scrollTop, Math.max(most, document.querySelectorAll(".virtual li").length)];
    }, most);
  }
  await settled(page, titleOf(many - 1));
  const figures = await stop();
  page.off("request", count);
  const after = await heapSize();
  print("scrolling from end to end", { ...figures, requests: asked.pages + asked.others, "rows in the page": most, "memory before MB": before, "memory after MB": after });
  assert.ok(most < 100, `${most} rows were in the page`);
  // Some are asked for again: the lists are looked at anew some seconds after one came.
  const pages = Math.ceil(many / pageSize);
  assert.ok(asked.pages <= pages + 10 && asked.others <= 30, `${asked.pages} requests for ${pages} pages, and ${asked.others} others`);
  assert.ok(after < before + 8, `the page holds ${before} MB before and ${after} MB after`);
  assert.deepEqual(ada.faults, []);
});

test("a list stays where it is when blocks come, and shows what changed", async () => {
  const { page } = ada;
  await page.goto(`${url}/h/${heap}`);
  await page.locator(".row").first().waitFor();
  const middle = Math.floor(many / 2);
  await list(page).evaluate((box, middle) => (box.scrollTop = middle * 68 + 20), middle);
  const { blocks } = await post("/api/heap", { heap_id: heap, skip: middle, limit: 5 });
  await settled(page, blocks[0].title);
  const where = (title) => page.locator(".virtual li", { hasText: title }).evaluate((li) => li.getBoundingClientRect().top);
  const before = await where(blocks[1].title);
  const came = page.waitForResponse((r) => r.url().endsWith("/api/heap_count"));
  await fill(heap, 3, (i) => ({ id: `new${i}`, type: "note", title: `New ${i}` }));
  await page.waitForFunction((all) => document.querySelector(".virtual li")?.getAttribute("aria-setsize") === String(all), many + 3);
  await came;
  await settled(page, blocks[1].title);
  assert.equal(await where(blocks[1].title), before, "the row that was looked at moved");
  // One that is looked at is changed elsewhere: it goes to the top, and the others stay.
  await fill(heap, 1, () => ({ id: blocks[3].block_id, type: "note", title: "Changed elsewhere" }), true);
  await page.locator(".virtual li", { hasText: blocks[3].title }).waitFor({ state: "detached" });
  assert.equal(await where(blocks[1].title), before, "the row that was looked at moved");
  await list(page).evaluate((box) => (box.scrollTop = 0));
  await settled(page, "Changed elsewhere");
  await settled(page, "New 2");
  assert.deepEqual(ada.faults, []);
});

test("typing, opening and writing answer at once", async () => {
  const { page } = ada;
  await page.goto(`${url}/h/${heap}`);
  await page.locator(".row").first().waitFor();
  let stop = await watch(page);
  await page.getByRole("searchbox").pressSequentially("number 123", { delay: 60 });
  await page.waitForFunction(() => document.querySelector(".virtual .row")?.textContent.includes("number 123"));
  print("typing in the search", await stop());
  await page.getByRole("searchbox").fill("");
  await page.waitForFunction((all) => Number(document.querySelector(".virtual li")?.getAttribute("aria-setsize")) >= all, many);
  await page.locator(".row").nth(5).click();
  await page.locator(".ProseMirror").waitFor(); // the editor is loaded once
  await page.locator(".crumbs a").first().click();
  stop = await watch(page);
  await page.locator(".row").nth(6).click();
  await page.locator(".ProseMirror").waitFor();
  print("opening a note", await stop());
  stop = await watch(page);
  await page.locator(".ProseMirror").click();
  await page.keyboard.type("Written here. ", { delay: 40 });
  await safe(page);
  print("writing", await stop());
  await page.locator(".crumbs a").first().click();
  await page.locator(".row").first().waitFor();
  stop = await watch(page);
  await list(page).focus();
  for (const key of ["PageDown", "PageDown", "End", "Home", "PageDown"]) {
    await page.keyboard.press(key);
    await page.waitForFunction(() => !document.querySelector(".virtual [aria-busy]"));
  }
  print("scrolling by keyboard", await stop());
  assert.deepEqual(ada.faults, []);
});

test("a tree with very many folders has few of them in the page", async () => {
  const { page } = ada;
  const made = page.waitForResponse((r) => r.url().endsWith("/api/heap/add"));
  await newHeap(page, "Folders");
  const { id } = await (await made).json();
  await fill(id, folders, (i) => ({ id: `f${i}`, type: "folder", title: `Folder ${String(i).padStart(6, "0")}` }));
  await page.reload();
  const tree = page.getByRole("tree");
  const line = (i) => tree.getByRole("treeitem", { name: `Folder ${String(i).padStart(6, "0")}`, exact: true });
  await line(0).focus();
  const stop = await watch(page);
  let most = 0;
  // What is at the end is read when one comes there.
  while ((await line(folders - 1).count()) === 0) {
    await page.keyboard.press("End");
    await page.waitForFunction(() => document.activeElement.getAttribute("role") === "treeitem" && document.activeElement.getBoundingClientRect().top < innerHeight);
    most = Math.max(most, await tree.getByRole("treeitem").count());
    await page.waitForFunction(() => ![...document.querySelectorAll('[role="treeitem"]')].some((e) => e.textContent === "More…" && e.getBoundingClientRect().top < innerHeight));
  }
  await page.keyboard.press("End");
  await page.waitForFunction((title) => document.activeElement.textContent.endsWith(title), `Folder ${String(folders - 1).padStart(6, "0")}`);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.activeElement.textContent.endsWith("Folder 000000"));
  print("the tree, from end to end", { ...(await stop()), "lines in the page": most });
  assert.ok(most < 100, `${most} lines were in the page`);
  assert.deepEqual(ada.faults, []);
});
