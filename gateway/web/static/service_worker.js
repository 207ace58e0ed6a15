// Shows a notice where there is no network, and push messages. It stores the notice alone: a page
// of before must never look as if it were alive. SETTINGS stands in front of this file (/sw.js).
self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const stored = await caches.open(SETTINGS.cache);
    await stored.addAll(SETTINGS.stored.map((path) => new Request(path, { cache: "reload" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== SETTINGS.cache) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url);
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => find(SETTINGS.notice)));
  else if (path.origin === location.origin && SETTINGS.stored.includes(path.pathname + path.search)) {
    event.respondWith(fetch(request).catch(() => find(request)));
  }
});

async function find(what) {
  return (await (await caches.open(SETTINGS.cache)).match(what)) || Response.error();
}
