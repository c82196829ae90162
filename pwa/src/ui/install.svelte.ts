/**
 * The service worker: the app opens without internet, and a new version comes in only when the person agrees. And the home
 * screen, in browsers that put the app there when they are asked.
 */
import { trustOwnWorkers } from "../app/trusted";

/** The browser looks by itself when the app is opened; a home-screen app may stay open for weeks. */
const LOOK_EVERY_MS = 3_600_000;

/** The browser's own question. It can be asked once. */
interface Question extends Event {
  prompt(): Promise<{ readonly outcome: "accepted" | "dismissed" }>;
}

export class Install {
  /** Whether this browser puts the app on the home screen when it is asked. */
  offered = $state(false);
  #question: Question | null = null;

  /** `ready`: a new version lies ready. `elsewhere`: another window took it, and this one still runs the old one. */
  state = $state<"current" | "ready" | "elsewhere">("current");
  #worker: ServiceWorker | null = null;
  #looked = Date.now();

  /** From the first moment: the browser offers it once, and early. */
  listen(page: EventTarget): void {
    page.addEventListener("beforeinstallprompt", (event) => {
      // Else the browser asks by itself, before there is anything to see.
      event.preventDefault();
      this.#question = event as Question;
      this.offered = true;
    });
    page.addEventListener("appinstalled", () => this.#over());
  }

  /** Only when the person pressed for it. Gives whether they said yes. */
  async ask(): Promise<boolean> {
    const question = this.#question;
    this.#over();
    return (await question?.prompt())?.outcome === "accepted";
  }

  #over(): void {
    this.#question = null;
    this.offered = false;
  }

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
