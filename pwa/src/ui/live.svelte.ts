/** What a screen reads, read again when something changes. The old answer stays on the screen until the new one is there. */
import { Failure } from "../app/engine";
import { app } from "./app.svelte";
import { sharing } from "./sharing";

export class Live<T> {
  data = $state.raw<T | undefined>(undefined);
  failure = $state.raw<Failure | undefined>(undefined);
  #again = $state(0);
  #turn = 0;

  /** Made while a component starts. `read` reads its props before its first `await`, so that they are followed. */
  constructor(read: () => Promise<T>) {
    $effect(() => {
      void app.tick;
      void this.#again;
      const turn = ++this.#turn;
      read().then(
        (data) => {
          if (turn !== this.#turn) return;
          this.data = sharing(this.data, data);
          this.failure = undefined;
        },
        (error: unknown) => {
          if (turn === this.#turn) this.failure = asFailure(error);
        },
      );
    });
  }

  again = (): void => {
    this.#again++;
  };
}

export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const code = (error as { code?: unknown } | null)?.code;
  return new Failure(typeof code === "string" ? code : "internal", "internal");
}

/** One thing a person does: busy while it runs, its failure kept for the screen. */
export class Act {
  busy = $state(false);
  failure = $state.raw<Failure | undefined>(undefined);

  run = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    if (this.busy) return undefined;
    this.busy = true;
    this.failure = undefined;
    try {
      return await work();
    } catch (error) {
      this.failure = asFailure(error);
      return undefined;
    } finally {
      this.busy = false;
    }
  };
}
