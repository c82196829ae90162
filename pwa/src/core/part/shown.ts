/** The document that people see, held to what was admitted. Spec: docs/spec/part.md (Fold). */
import { EngineFailed } from "../errors";
import type { Hex } from "../ids";

export interface FoldEngine {
  apply(changes: readonly Uint8Array[]): void;
  heads(): Hex[];
  changeHashes(): Hex[];
}

/** What was admitted, each change after what it depends on. */
export interface Admitted {
  admitted(): Uint8Array[];
  admittedHashes(): Hex[];
}

export class Shown {
  engine: FoldEngine | undefined;
  /** The engine does not hold what was admitted, and could not be made to. */
  alarm = false;

  constructor(
    private readonly of: Admitted,
    private readonly newEngine: (() => FoldEngine) | undefined,
  ) {
    this.engine = newEngine?.();
  }

  /**
   * The engine held what leads to `before`; with `fresh` it is to hold what leads to `after`. True when it had to be made anew,
   * as it must where something went. Heads are compared, not sets: a head commits by hash to all its ancestors, so equal heads
   * are equal sets.
   */
  add(fresh: readonly Uint8Array[], before: readonly Hex[], after: readonly Hex[]): boolean {
    if (!this.engine) return false;
    const held = this.engine.heads().join();
    if (held === after.join()) return false;
    if (held === before.join() && this.took(fresh, after)) return false;
    this.remake();
    return true;
  }

  private took(fresh: readonly Uint8Array[], after: readonly Hex[]): boolean {
    try {
      this.engine?.apply(fresh);
      return this.engine?.heads().join() === after.join();
    } catch (error) {
      if (error instanceof EngineFailed) return false;
      throw error;
    }
  }

  /** An empty engine and everything admitted. Where that fails the part stays as it was last shown. */
  remake(): void {
    if (!this.newEngine) return;
    try {
      const engine = this.newEngine();
      engine.apply(this.of.admitted());
      const held = engine.changeHashes().sort().join();
      this.alarm = held !== this.of.admittedHashes().sort().join();
      if (!this.alarm) this.engine = engine;
    } catch (error) {
      if (!(error instanceof EngineFailed)) throw error;
      this.alarm = true;
    }
  }
}
