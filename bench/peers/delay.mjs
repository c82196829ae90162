// A proxy for TCP that passes each piece on DELAY milliseconds later, in order, both ways: a longer wire.
import { connect, createServer } from "node:net";

const later = (from, to, delayMs) => {
  from.on("data", (piece) => setTimeout(() => to.writable && to.write(piece), delayMs));
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
};

export const DelayedProxy = {
  /** The address to use in place of `url`; one way takes `delayMs`, a round trip two of them. */
  async before(url, delayMs) {
    const { hostname, port, protocol } = new URL(url);
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      near.setNoDelay(true);
      far.setNoDelay(true);
      later(near, far, delayMs);
      later(far, near, delayMs);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return `${protocol}//127.0.0.1:${server.address().port}`;
  },
};
