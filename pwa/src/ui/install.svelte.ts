/** The service worker: the app opens without internet, and a new version comes in only when the person agrees. */
import { trustOwnWorkers } from "../app/trusted";

/** The browser looks by itself when the app is opened; a home-screen app may stay open for weeks. */
const LOOK_EVERY_MS = 3_600_000;

class Install {
  /** `ready`: a new version lies ready. `elsewhere`: another window took it, and this one still runs the old one. */
  state = $state<"current" | "ready" | "elsewhere">("current");
  #worker: ServiceWorker | null = null;
  #looked = Date.now();

  async begin(): Promise<void> {
    if (!("serviceWorker" in navigator)) return;
    trustOwnWorkers();
    try {
      const registration = await navigator.serviceWorker.register("sw.js");
      // Without a controller it is the first one, which lies waiting for a moment too: nothing to agree to.
      const isFirst = !navigator.serviceWorker.controller;
      if (!isFirst) this.#offer(registration.waiting);
      registration.addEventListener("updatefound", () => {
        const next = registration.installing;
        next?.addEventListener("statechange", () => {
          if (next.state === "installed" && navigator.serviceWorker.controller) this.#offer(next);
        });
      });
      // The files of this window's version are gone now: what it has in memory still runs, a half-written text stays.
      if (!isFirst) {
        navigator.serviceWorker.addEventListener("controllerchange", () => {
          this.state = "elsewhere";
        });
      }
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState !== "visible" || Date.now() - this.#looked < LOOK_EVERY_MS) return;
        this.#looked = Date.now();
        void registration.update().catch(() => undefined);
      });
    } catch {
      // A browser that forbids it (a private window) still runs the app, with internet.
    }
  }

  take = (): void => {
    if (this.state === "elsewhere") {
      location.reload();
      return;
    }
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    this.#worker?.postMessage("take over");
  };

  #offer(worker: ServiceWorker | null): void {
    if (!worker) return;
    this.#worker = worker;
    this.state = "ready";
  }
}

export const install = new Install();
