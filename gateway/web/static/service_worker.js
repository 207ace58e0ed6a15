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

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* without content it is shown all the same: something has happened */ }
  const { title = SETTINGS.name, body = "", tag, path = "/", kind = "alarm", language } = told;
  event.waitUntil((async () => {
    await self.registration.showNotification(title, {
      body, tag, lang: language, icon: SETTINGS.icon, badge: SETTINGS.badge, data: { path },
      renotify: Boolean(tag), requireInteraction: kind === "call", vibrate: kind === "call" ? [400, 150, 400, 150, 400] : [200],
    });
    for (const page of await self.clients.matchAll({ type: "window" })) page.postMessage({ kind: "push", of: kind });
  })());
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const path = new URL(event.notification.data?.path || "/", location.origin);
  if (path.origin !== location.origin) return;
  event.waitUntil((async () => {
    const [page] = await self.clients.matchAll({ type: "window" });
    if (!page) return self.clients.openWindow(path.href);
    await page.focus();
    if (new URL(page.url).pathname !== path.pathname) await page.navigate(path.href).catch(() => self.clients.openWindow(path.href));
  })());
});
