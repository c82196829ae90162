// What `opening-eigenkring.mjs` needs of ours: the engine of the app, and the store of the browser.
export { IndexedStore } from "../../pwa/src/app/indexed-store";
export { Engine } from "../../pwa/src/core/crdt";
export { hex } from "../../pwa/src/core/ids";
export { Device } from "../../pwa/src/core/library";
export { HttpTransport } from "../../pwa/src/core/transport";
export { engineOf } from "../../pwa/src/core/session/folding";
import "../../pwa/test/setup";
