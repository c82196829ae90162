// What is pushed is taken in by itself, in its place and by the rules of every record; what is written goes out the same way.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Watching } from "../src/app/watching";
import { OWN_WAITS_MS } from "../src/core/gathering";
import { hex, type RecordBytes, type StreamId } from "../src/core/ids";
import type { Case } from "../src/core/library";
import type { Pushed } from "../src/core/session/pushed";
import { HttpTransport } from "../src/core/transport";
import { agreements, codes, familyOn, type Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());
const watchers: Watching[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const one of watchers.splice(0)) one.end();
});

const later = setTimeout;
/**
 * Where the clock is a test's own, `vi.waitFor` would let it run as the real one does, and what rings after two seconds rang
 * while a busy machine looked for what comes before: here a look is a thousandth of a second.
 */
async function soon<T>(read: () => T, expected: T): Promise<void> {
  for (let looks = 0; ; looks++) {
    try {
      expect(read()).toEqual(expected);
      return;
    } catch (error) {
      if (looks > 1_500) throw error;
    }
    if (vi.isFakeTimers()) vi.advanceTimersByTime(1);
    await new Promise((resolve) => later(resolve, 20));
  }
}
const planOf = (one: Case): StreamId => one.session.part("plan").part.stream;
const lengthOf = (one: Case): number => one.session.position(planOf(one)).length;

/** What one wrote since, as the relay would push it. */
async function written(by: Case, what: string): Promise<Pushed> {
  await by.add("plan", "agreements", { what });
  await by.sync();
  const stream = planOf(by);
  const last = by.session.store.records(by.id, stream).at(-1);
  if (!last) throw new Error("nothing was written");
  return { stream, index: last.index, record: last.record };
}

/** A phone that is looked at, with a line for live news only: nothing is asked for. */
async function livesOn(phone: Phone): Promise<{ readonly watching: Watching; readonly rung: () => number }> {
  let rings = 0;
  const ring = (): void => {
    rings += 1;
  };
  const watching = new Watching(phone, { ring });
  watchers.push(watching);
  await watching.adjust();
  await soon(() => watching.isWhole, true);
  phone.switch.online = false;
  return { watching, rung: () => rings };
}

describe("over the live connection alone", () => {
  test("what others write is shown, what is written here goes out, and what comes back empties the outbox", async () => {
    const { nora, home, fatima, there } = await familyOn(relay.address);
    await home.sync();
    const { rung } = await livesOn(fatima);
    await home.add("plan", "agreements", { what: "Van Nora" });
    await home.sync();
    await soon(() => agreements(there), ["Van Nora"]);
    const { watching } = await livesOn(nora);
    expect(watching.isUp(hex(home.id))).toBe(true);
    for (const what of ["Een", "Twee", "Drie"]) await home.add("plan", "agreements", { what });
    expect(await watching.send(hex(home.id))).toBe(true);
    await soon(() => agreements(there), ["Drie", "Een", "Twee", "Van Nora"]);
    await soon(() => home.session.store.outbox(home.id).length, 0);
    // The three were one record, and no sync was needed to see it come back.
    expect(lengthOf(home)).toBe(lengthOf(there));
    expect(rung()).toBe(0);
    expect([...codes(home), ...codes(there)]).toEqual([]);
  });

  test("a sync follows when there was rest, and a device that was too busy to hear the clock had none", async () => {
    const { nora, home } = await familyOn(relay.address);
    await home.sync();
    const { watching, rung } = await livesOn(nora);
    await home.add("plan", "agreements", { what: "Van Nora" });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    expect(await watching.send(hex(home.id))).toBe(true);
    await soon(() => home.session.store.outbox(home.id).length, 0);
    // Five seconds of work on its own, and then the clock rings for the two seconds of rest.
    vi.setSystemTime(Date.now() + 5_000);
    vi.advanceTimersByTime(2_000);
    expect(rung()).toBe(0);
    vi.advanceTimersByTime(2_000);
    expect(rung()).toBe(1);
  });

  test("where words are written on, or a long record is still taken in, there was no rest", async () => {
    const { nora, home, there } = await familyOn(relay.address);
    await home.sync();
    const { watching, rung } = await livesOn(nora);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    await home.add("plan", "agreements", { what: "Eén" });
    expect(await watching.send(hex(home.id))).toBe(true);
    await soon(() => home.session.store.outbox(home.id).length, 0);
    await home.add("plan", "agreements", { what: "Twee" });
    vi.advanceTimersByTime(2_000);
    expect(rung(), "words that were written since").toBe(0);
    let goOn = (): void => undefined;
    const held = home.session.inTurn(() => new Promise<void>((done) => (goOn = done)));
    const hear = vi.spyOn(home, "hear");
    await there.add("plan", "agreements", { what: "Van Fatima" });
    await there.sync();
    await soon(() => hear.mock.calls.length, 1);
    vi.advanceTimersByTime(2_000);
    expect(rung(), "a record on its way in").toBe(0);
    goOn();
    await held;
    await soon(() => agreements(home).includes("Van Fatima"), true);
    vi.advanceTimersByTime(2_000);
    expect(rung(), "two seconds in which nothing moved, and a word that is not sent").toBe(1);
  });

  test("who is not there yet, or waits for keys, sends nothing so", async () => {
    const { nora, home } = await familyOn(relay.address);
    const { watching } = await livesOn(nora);
    expect(await watching.send("00".repeat(16))).toBe(false);
    nora.switch.online = true;
    watching.end();
    await home.add("plan", "agreements", { what: "Later" });
    expect(await watching.send(hex(home.id))).toBe(false);
    expect(home.session.store.outbox(home.id)).toHaveLength(1);
  });
});

describe("an own word that comes back", () => {
  /** As the relay pushes it at the next place. */
  const back = (home: Case, after = 0): Pushed => {
    const { record } = home.session.store.outbox(home.id)[after] ?? {};
    if (!record) throw new Error("nothing waits there");
    return { stream: planOf(home), index: lengthOf(home) + 1 + after, record };
  };
  /** Longer than all that has begun. */
  const rest = async (home: Case): Promise<void> => {
    for (let n = 0; n < 20; n++) await home.session.inTurn(() => undefined);
  };

  test("waits a moment for others, and is then taken in and sent no more", async () => {
    const { home } = await familyOn(relay.address);
    await home.sync();
    await home.add("plan", "agreements", { what: "Eigen" });
    const before = lengthOf(home);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const taken = home.hear(back(home));
    await rest(home);
    expect(lengthOf(home)).toBe(before);
    vi.advanceTimersByTime(OWN_WAITS_MS);
    expect(await taken).toBe(true);
    expect(lengthOf(home)).toBe(before + 1);
    expect(home.session.store.outbox(home.id)).toEqual([]);
    expect(home.session.part("plan").fold?.pending()).toEqual([]);
  });

  test("goes first where another's follows, and makes nobody wait", async () => {
    const { home, there } = await familyOn(relay.address);
    await home.sync();
    const other = await written(there, "Van Fatima");
    await home.add("plan", "agreements", { what: "Eigen" });
    const before = lengthOf(home);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const own = home.hear(back(home));
    expect(await home.hear({ ...other, index: before + 2 })).toBe(true);
    expect(await own).toBe(true);
    expect(lengthOf(home)).toBe(before + 2);
    expect(agreements(home)).toEqual(["Eigen", "Van Fatima"]);
    expect(codes(home)).toEqual([]);
  });
});

describe("a relay that pushes lies", () => {
  test("a gap, another record at a place that is taken, one under a key that is not here: nothing moves, a sync must look", async () => {
    const { home, there } = await familyOn(relay.address);
    await there.sync();
    const first = await written(home, "Een");
    const second = await written(home, "Twee");
    const before = lengthOf(there);
    expect(await there.hear(second)).toBe(false);
    expect(lengthOf(there)).toBe(before);
    expect(await there.hear(first)).toBe(true);
    expect(agreements(there)).toEqual(["Een"]);
    expect(await there.hear(first)).toBe(true); // said again is no news
    expect(await there.hear({ ...second, index: first.index })).toBe(false);
    const future = new Uint8Array(second.record) as RecordBytes;
    future[4] = (future[4] ?? 0) + 1; // its epoch
    expect(await there.hear({ ...second, record: future })).toBe(false);
    expect(lengthOf(there)).toBe(first.index);
    expect(codes(there)).toEqual([]);
    expect(await there.hear(second)).toBe(true);
    expect(agreements(there)).toEqual(["Een", "Twee"]);
  });

  test("a true record at a place where it is not: the next sync tells of the fork, and shows what is so", async () => {
    const { home, there } = await familyOn(relay.address);
    const first = await written(home, "Een");
    await there.sync();
    expect(await there.hear({ ...first, index: first.index + 1 })).toBe(true); // it says nothing new
    await written(home, "Twee");
    await there.sync();
    expect(codes(there)).toContain("forked part");
    await there.sync();
    expect(agreements(there)).toEqual(["Een", "Twee"]);
  });

  test("a record that says another past than this device knows names its author's word at once", async () => {
    const { home, there } = await familyOn(relay.address);
    const hidden = await written(home, "Verborgen");
    // The relay keeps one record from Fatima, and pushes the next one at its place.
    const shown = await written(home, "Getoond");
    expect(await there.hear({ ...shown, index: hidden.index })).toBe(false);
    expect(codes(there).some((code) => code.startsWith("false_seen") || code.startsWith("missing"))).toBe(
      true,
    );
    expect(agreements(there)).toEqual([]);
  });

  test("an answer that says another place or chain than the one at which the words came back is doubted", async () => {
    const { home } = await familyOn(relay.address);
    await home.sync();
    const http = new HttpTransport(relay.address);
    await home.add("plan", "agreements", { what: "Van Nora" });
    const lies = {
      exchange: async (...asked: Parameters<HttpTransport["exchange"]>) => {
        const reply = await http.exchange(...asked);
        const [{ record }] = asked[0] as unknown as [{ record: RecordBytes }];
        await home.hear({ stream: planOf(home), index: lengthOf(home) + 1, record });
        const results = reply.results.map((result) => ({ ...result, chain: new Uint8Array(32) as never }));
        return { ...reply, results };
      },
    };
    expect(await home.send(lies)).toBe(false);
  });

  test("what it refuses stays in the outbox, and a sync decides", async () => {
    const { home } = await familyOn(relay.address);
    await home.sync();
    await home.add("plan", "agreements", { what: "Van Nora" });
    const refuses = {
      exchange: async () => ({
        id: 1,
        generation: 1,
        results: [{ code: "quota", length: null, chain: null }] as never,
      }),
    };
    expect(await home.send(refuses)).toBe(false);
    expect(home.session.store.outbox(home.id)).toHaveLength(1);
    expect(codes(home)).toContain("quota outbox");
  });
});
