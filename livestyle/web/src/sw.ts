/** The service worker: after the first visit the page works without a connection, from files whose checksums fit. */

const VERSION = "__VERSION__";
const CACHE = `livestyle-${VERSION}`;
/** What only machines with WebGPU take, and as large as all the rest: kept when it has been asked for. */
const ON_DEMAND = /webgpu|asyncify/;

interface ServiceWorker {
  addEventListener(kind: "install" | "activate", run: (event: { waitUntil(done: Promise<unknown>): void }) => void): void;
  addEventListener(
    kind: "fetch",
    run: (event: { request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  registration: { scope: string };
}
const worker = self as unknown as ServiceWorker;

async function install() {
  const list: Record<string, string> = await (await fetch("files.json", { cache: "no-store" })).json();
  const cache = await caches.open(CACHE);
  for (const [path, sha256] of Object.entries(list)) {
    if (ON_DEMAND.test(path)) continue;
    const response = await fetch(path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer()));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) throw new Error(`${path} is damaged, or of another version`);
    await cache.put(path, response);
  }
  await worker.skipWaiting();
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("livestyle-") && name !== CACHE) await caches.delete(name);
  }
  await worker.clients.claim();
}

async function respond(request: Request): Promise<Response> {
  const url = new URL(request.url);
  url.hash = url.search = "";
  if (url.href === worker.registration.scope) url.pathname += "index.html";
  // Storage may be full, or blocked since the installation: the network has everything.
  const cache = await caches.open(CACHE).catch(() => null);
  const cached = await cache?.match(url.href).catch(() => undefined);
  if (!cached) {
    const response = await fetch(request);
    if (cache && ON_DEMAND.test(url.pathname) && response.status === 200) {
      await cache.put(url.href, response.clone()).catch(() => undefined);
    }
    return response;
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (!range) return cached;
  // Videos are asked for in parts.
  const whole = await cached.blob();
  const begin = Number(range[1]);
  const end = Math.min(whole.size, range[2] ? Number(range[2]) + 1 : whole.size);
  return new Response(whole.slice(begin, end), {
    status: 206,
    headers: {
      "Content-Type": cached.headers.get("Content-Type") ?? "",
      "Content-Range": `bytes ${begin}-${end - 1}/${whole.size}`,
      "Content-Length": String(end - begin),
    },
  });
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(respond(event.request));
});
