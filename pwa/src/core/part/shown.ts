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

  /** Adds changes to a document that had the heads `before`, and is to have the heads `after`. */
  add(fresh: readonly Uint8Array[], before: readonly Hex[], after: readonly Hex[]): void {
    if (!this.engine) return;
    if (this.engine.heads().join() !== before.join()) {
      this.remake();
      return;
    }
    try {
      this.engine.apply(fresh);
    } catch (error) {
      if (!(error instanceof EngineFailed)) throw error;
      this.remake();
      return;
    }
    // Equal heads are equal sets: a head commits by hash to all its ancestors.
    if (this.engine.heads().join() !== after.join()) this.remake();
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
