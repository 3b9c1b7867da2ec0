// The service worker: the app itself is here when the server is not. Nothing of the API
// is kept, only the files of one version of the app.

declare const __FILES__: string[];
const worker = globalThis as unknown as ServiceWorkerGlobalScope;

const base = "/assets/version/"; // the server puts the real one here
const cacheName = "heapsync " + base;
const page = "/";

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(cacheName)
      .then((cache) => cache.addAll([page, ...__FILES__.map((file) => base + file)].map((path) => new Request(path, { cache: "reload" }))))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith("heapsync ") && name !== cacheName).map((name) => caches.delete(name))))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && !/^\/(api|metrics|sync)\b/.test(url.pathname)) {
    // The newest page if there is a server, else the one that is here.
    event.respondWith(fetch(request).catch(async () => (await caches.match(page, { cacheName })) ?? Response.error()));
  } else if (url.pathname.startsWith("/assets/")) {
    event.respondWith(caches.match(request).then((found) => found ?? fetch(request)));
  }
});
