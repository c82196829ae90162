/** One thing at a time: each work begins when the one before it has ended, well or badly. */
export class Turn {
  private last: Promise<unknown> = Promise.resolve();

  /** Not inside itself: it would wait for itself for ever. */
  take<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }
}
