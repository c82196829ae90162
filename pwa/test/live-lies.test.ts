// What a relay may push, without one: in a file of its own, because its clock is not the real one, and the connections of
// other tests set timers too.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Live, type Socket } from "../src/core/live";
import { encode, type Packable } from "../src/core/packed";

afterEach(() => {
  vi.useRealTimers();
});

describe("a relay that pushes what it likes", () => {
  class Fake implements Socket {
    static all: Fake[] = [];
    binaryType = "";
    onopen: (() => void) | null = null;
    onmessage: ((event: { readonly data: unknown }) => void) | null = null;
    onclose: (() => void) | null = null;
    onerror: (() => void) | null = null;
    closed = false;
    sent = 0;

    constructor() {
      Fake.all.push(this);
    }
    send(): void {
      this.sent += 1;
    }
    close(): void {
      this.closed = true;
    }
  }

  test("garbage, an answer to nothing, a text: the connection ends, and is tried again with patience", async () => {
    vi.useFakeTimers();
    Fake.all = [];
    let rings = 0;
    const live = new Live({
      relay: "http://relay",
      streams: async () => [],
      known: () => 0,
      ring: () => {
        rings += 1;
      },
      connect: () => new Fake(),
    });
    const gaps: number[] = [];
    for (let n = 0; n < 12; n++) {
      const socket = Fake.all.at(-1) as Fake;
      socket.onopen?.();
      await Promise.resolve();
      const answer = new Uint8Array([0x83, 0xa2, 0x69, 0x64, 0x07]); // cut off
      socket.onmessage?.({ data: n % 2 ? "text" : answer.buffer });
      expect(socket.closed).toBe(true);
      expect(live.isHearing).toBe(false);
      const before = Date.now();
      await vi.advanceTimersToNextTimerAsync();
      gaps.push(Date.now() - before);
      expect(Fake.all).toHaveLength(n + 2);
    }
    expect(gaps[0]).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_000);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(30_000);
    live.end();
    await vi.advanceTimersByTimeAsync(200_000);
    expect(Fake.all).toHaveLength(13);
    // What was missed while it was away is asked for, once for each time.
    expect(rings).toBe(11);
  });

  test("a connection that swallows what is said is given up after five seconds, and whoever waits is told", async () => {
    vi.useFakeTimers();
    Fake.all = [];
    const live = new Live({
      relay: "http://relay",
      streams: async () => [],
      known: () => 0,
      ring: () => {},
      connect: () => new Fake(),
    });
    await expect(live.exchange([])).rejects.toMatchObject({ code: "offline" });
    const [socket] = Fake.all as [Fake];
    socket.onopen?.();
    await Promise.resolve();
    const asked = expect(live.exchange([])).rejects.toMatchObject({ code: "timed_out" });
    await vi.advanceTimersByTimeAsync(4_900);
    expect(socket.closed).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    await asked;
    expect(socket.closed).toBe(true);
    live.end();
  });

  test("an answer that lay unread while this device was busy is no sign of a dead connection", async () => {
    vi.useFakeTimers();
    Fake.all = [];
    const live = new Live({
      relay: "http://relay",
      streams: async () => [],
      known: () => 0,
      ring: () => {},
      connect: () => new Fake(),
    });
    const [socket] = Fake.all as [Fake];
    socket.onopen?.();
    await Promise.resolve();
    const asked = live.exchange([]);
    // As after six seconds of folding: the clock rings first, then the socket is read.
    await vi.advanceTimersByTimeAsync(5_000);
    socket.onmessage?.({ data: new Uint8Array(encode({ id: 1, generation: 7, results: [] })).buffer });
    expect(await asked).toEqual({ id: 1, generation: 7, results: [] });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(socket.closed).toBe(false);
    live.end();
  });

  test("an answer, a refusal and the end of the line each reach whoever waits", async () => {
    Fake.all = [];
    const live = new Live({
      relay: "http://relay",
      streams: async () => [],
      known: () => 0,
      ring: () => {},
      connect: () => new Fake(),
    });
    const [socket] = Fake.all as [Fake];
    socket.onopen?.();
    const hears = (frame: Record<string, Packable>) => {
      socket.onmessage?.({ data: new Uint8Array(encode(frame)).buffer });
    };
    const first = live.exchange([]);
    hears({ id: 1, generation: 7, results: [] });
    expect(await first).toEqual({ id: 1, generation: 7, results: [] });
    const second = live.exchange([]);
    hears({ id: 2, code: "slow_down" });
    await expect(second).rejects.toMatchObject({ code: "slow_down" });
    const third = live.exchange([]);
    live.end();
    await expect(third).rejects.toMatchObject({ code: "offline" });
    expect(socket.closed).toBe(true);
  });
});
