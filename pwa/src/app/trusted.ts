/**
 * Under the relay's policy (`require-trusted-types-for 'script'`) no text becomes an address of a script, unless a policy
 * made it one. This is the only one for addresses: the app's own worker and service worker, and nothing else.
 */
interface TrustedTypes {
  createPolicy(name: "default", rules: { createScriptURL: (address: string) => string }): unknown;
  readonly defaultPolicy: unknown;
}

const OWN = /^\/(?:[A-Za-z0-9._~-]+\/)*(?:assets\/worker-[\w-]+\.js|sw\.js)$/;

export function trustOwnWorkers(): void {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (!types || types.defaultPolicy) return;
  types.createPolicy("default", {
    createScriptURL: (address) => {
      const { origin, pathname } = new URL(address, location.href);
      if (origin === location.origin && OWN.test(pathname)) return address;
      throw new TypeError("only the app's own workers");
    },
  });
}
