/** The service worker: the app opens without internet, and a new version comes in only when the person agrees. */
import { trustOwnWorkers } from "../app/trusted";

class Install {
  /** A new version lies ready. */
  waiting = $state(false);
  #worker: ServiceWorker | null = null;

  async begin(): Promise<void> {
    if (!("serviceWorker" in navigator)) return;
    trustOwnWorkers();
    try {
      const registration = await navigator.serviceWorker.register("sw.js");
      // Without a controller it is the first one, which lies waiting for a moment too: nothing to agree to.
      if (navigator.serviceWorker.controller) this.#offer(registration.waiting);
      registration.addEventListener("updatefound", () => {
        const next = registration.installing;
        next?.addEventListener("statechange", () => {
          if (next.state === "installed" && navigator.serviceWorker.controller) this.#offer(next);
        });
      });
    } catch {
      // A browser that forbids it (a private window) still runs the app, with internet.
    }
  }

  take = (): void => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    this.#worker?.postMessage("take over");
  };

  #offer(worker: ServiceWorker | null): void {
    if (!worker) return;
    this.#worker = worker;
    this.waiting = true;
  }
}

export const install = new Install();
