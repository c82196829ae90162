// Ours as the app runs it, under Node: the engine of `pwa/src/core`, a store in memory, the real relay in Python.
import { MemoryStore } from "../../pwa/src/app/memory-store";
import { type Case, Device } from "../../pwa/src/core/library";
import { HttpTransport } from "../../pwa/src/core/transport";
import "../../pwa/test/setup";

export interface Person {
  readonly device: Device;
  readonly store: MemoryStore;
  plan: Case;
}

export function device(store: MemoryStore): Device {
  return new Device(store, (relay) => new HttpTransport(relay));
}

export { Device, MemoryStore };
