// What `opening-eigenkring.mjs` needs of ours: the engine of the app, and the store of the browser.
export { IndexedStore } from "../../pwa/src/app/indexed-store";
/** What everybody else calls: `load_ms`. */
export * as Automerge from "../../pwa/node_modules/@automerge/automerge/dist/mjs/entrypoints/slim.js";
export { hex } from "../../pwa/src/core/ids";
export { Device } from "../../pwa/src/core/library";
export { HttpTransport } from "../../pwa/src/core/transport";
export { engineOf } from "../../pwa/src/core/session/folding";
import "../../pwa/test/setup";
