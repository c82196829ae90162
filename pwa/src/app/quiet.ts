/** When the page asks for nothing: then is the time for what nobody waits for. */

/** A slow phone draws for so long between two questions of one screen. */
const QUIET_MS = 500;
/** A screen that never stops asking must not keep it for ever. */
const MOST_MS = 4_000;

export class Quiet {
  private underWay = 0;
  private last = Date.now();

  /** Something that the page waits for. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.underWay += 1;
    try {
      return await work();
    } finally {
      this.underWay -= 1;
      this.last = Date.now();
    }
  }

  async wait(): Promise<void> {
    const began = Date.now();
    for (;;) {
      const now = Date.now();
      const since = now - this.last;
      // A clock that was put back must not make anybody wait.
      if (since < 0 || now < began || now - began >= MOST_MS) return;
      if (this.underWay === 0 && since >= QUIET_MS) return;
      await new Promise((resolve) => setTimeout(resolve, Math.max(50, QUIET_MS - since)));
    }
  }
}
