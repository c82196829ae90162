/** The service worker: the app opens without internet, and a new version comes in only when the person agrees. */

class Install {
  /** A new version lies ready. */
  waiting = $state(false);
  #worker: ServiceWorker | null = null;

  async begin(): Promise<void> {
    if (!("serviceWorker" in navigator)) return;
    try {
      const registration = await navigator.serviceWorker.register(scriptAddress("sw.js"));
      this.#offer(registration.waiting);
      registration.addEventListener("updatefound", () => {
        const next = registration.installing;
        next?.addEventListener("statechange", () => {
          // Without a controller it is the first one: nothing to agree to.
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

/** Under Trusted Types an address of a script needs a policy; this one lets through our own file and nothing else. */
function scriptAddress(file: string): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  const checked = (address: string): string => {
    if (address !== file) throw new TypeError("only our own worker");
    return address;
  };
  return types
    ? (types.createPolicy("eigenkring-sw", { createScriptURL: checked }).createScriptURL(file) as string)
    : file;
}
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (address: string) => string },
  ): { createScriptURL(address: string): unknown };
}

export const install = new Install();
