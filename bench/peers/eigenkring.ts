// What the peer needs of ours: the engine as the app runs it.
export { MemoryStore } from "../../pwa/src/app/memory-store";
export { hex } from "../../pwa/src/core/ids";
export { Device } from "../../pwa/src/core/library";
export { Watching } from "../../pwa/src/app/watching";
export { HttpTransport } from "../../pwa/src/core/transport";
import "../../pwa/test/setup";
