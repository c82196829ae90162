// Keeps the app on the device, so that it opens without internet. It touches only the app's own files: never the relay's
// answers, never a link (the part behind # does not reach it). A new version waits until the person agrees.
const version = "VERSION";
const files = ["FILES"];

const scope = new URL("./", self.location.href).href;
const name = `app-${version}`;
const known = new Set(files.map((file) => new URL(file, scope).href));

self.addEventListener("install", (event) => {
  const fresh = [...known].map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(name).then((cache) => cache.addAll(fresh)));
});

self.addEventListener("activate", (event) => {
  const old = caches
    .keys()
    .then((names) => Promise.all(names.filter((one) => one !== name).map((one) => caches.delete(one))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const address = request.url.split("#")[0].split("?")[0];
  const page = request.mode === "navigate" && address === scope;
  if (!page && !known.has(address)) return;
  const wanted = page ? new URL("index.html", scope).href : address;
  event.respondWith(caches.open(name).then(async (cache) => (await cache.match(wanted)) ?? fetch(request)));
});
