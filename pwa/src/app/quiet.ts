/** When the page asks for nothing: then is the time for what nobody waits for. */

/** A slow phone draws for so long between two questions of one screen, and after the last one. */
const QUIET_MS = 1_000;
/** A page that never stops asking, or has nothing to ask, must not keep it for ever. */
const MOST_MS = 5_000;

export class Quiet {
  private underWay = 0;
  private last = 0;

  /** Something that a screen waits for. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.underWay += 1;
    try {
      return await work();
    } finally {
      this.underWay -= 1;
      this.last = Date.now();
    }
  }

  /** Until no screen waits; where none asked anything yet, for the first one. */
  async wait(): Promise<void> {
    const began = Date.now();
    for (;;) {
      const now = Date.now();
      // A clock that was put back must not make anybody wait.
      if (now < began || now - began >= MOST_MS) return;
      if (this.underWay === 0 && this.last > 0 && now - this.last >= QUIET_MS) return;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
