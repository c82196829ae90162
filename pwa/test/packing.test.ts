// What is typed between two syncs is one record of its part, and nothing of it is lost or doubled on the way.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { MemoryStore, type Written } from "../src/app/memory-store";
import { Inadmissible, Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { agreements, familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const length = (one: Case) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("a case without a plan");
  return one.session.position(part.stream).length;
};
const waiting = (one: Case) =>
  one.session.store.outbox(one.id).map(({ record }) => hex(record ?? new Uint8Array()));
const add = (one: Case, what: string) => one.add("plan", "agreements", { what });

test("forty agreements are one record", async () => {
  const { home, there } = await familyOn(relay.address);
  await home.sync();
  const before = length(home);
  for (let at = 0; at < 40; at++) await add(home, `afspraak ${at}`);
  await home.sync();
  await there.sync();
  expect(length(there)).toBe(before + 1);
  expect(waiting(home)).toEqual([]);
  expect(agreements(there)).toEqual(agreements(home));
  expect(agreements(there)).toHaveLength(40);
});

test("a record that may have been sent keeps its bytes", async () => {
  const { nora, home, there } = await familyOn(relay.address);
  await home.sync();
  const before = length(home);
  await add(home, "eerste");
  const [sent] = waiting(home);
  // It arrives, the answer does not.
  nora.switch.lie = (honest) => async (ops, atomic) => {
    await honest(ops, atomic);
    throw new Unreachable("timed_out");
  };
  await home.sync().catch(() => {});
  expect(waiting(home)).toEqual([sent]);
  await add(home, "tweede");
  await add(home, "derde");
  await home.sync().catch(() => {});
  expect(waiting(home)[0]).toBe(sent);
  expect(waiting(home)).toHaveLength(2);
  nora.switch.lie = undefined;
  await home.sync();
  await there.sync();
  expect(length(there)).toBe(before + 2);
  expect(agreements(there)).toEqual(["derde", "eerste", "tweede"]);
});

test("of what the door refuses nothing waits to be sent, though it was signed meanwhile", async () => {
  const { home, there } = await familyOn(relay.address);
  await home.sync();
  const opened = await home.session.opened(home.session.part("plan"));
  vi.spyOn(opened.fold, "takeOwn").mockImplementationOnce(() => {
    throw new Inadmissible("bad_chunk");
  });
  await expect(add(home, "wat de motor verkeerd maakte")).rejects.toMatchObject({ code: "bad_chunk" });
  expect(waiting(home)).toEqual([]);
  expect(agreements(home)).toEqual([]);
  await add(home, "daarna");
  await home.sync();
  await there.sync();
  expect(agreements(there)).toEqual(["daarna"]);
});

/** A disk that answers when it is let. */
class SlowStore extends MemoryStore {
  readonly kept: (readonly Written[])[] = [];
  private gate: Promise<void> | undefined;
  open: () => void = () => {};

  shut(): void {
    this.gate = new Promise((done) => {
      this.open = done;
    });
  }

  protected override async keep(rows: readonly Written[]): Promise<void> {
    await this.gate;
    this.kept.push(rows);
  }
}

test("what is written while the disk is busy is made at once, kept together, and said to be done when it is", async () => {
  const store = new SlowStore();
  const phone = new Phone({}, store);
  const home = await phone.start("Thuis bij Nora", relay.address, "Nora");
  await home.sync();
  await store.settled();
  store.kept.length = 0;
  store.shut();
  const done: string[] = [];
  const words = ["Een", "Twee", "Drie", "Vier", "Vijf"];
  const all = words.map((what) => add(home, what).then(() => done.push(what)));
  await vi.waitFor(() => expect(agreements(home)).toHaveLength(words.length), 60_000);
  expect(done).toEqual([]);
  // Nothing goes that was not kept.
  const asked: string[] = [];
  phone.switch.lie = (honest) => (ops, atomic) => {
    asked.push(...ops.map(({ op }) => op));
    return honest(ops, atomic);
  };
  const synced = home.sync();
  await new Promise((after) => setTimeout(after, 50));
  expect(asked).toEqual([]);
  store.open();
  await Promise.all(all);
  expect(done.sort()).toEqual([...words].sort());
  // The first began while nothing else was there, all others wait for it together.
  const own = store.kept.map((rows) => rows.filter(({ table }) => table === "own").length);
  expect(own.slice(0, 2)).toEqual([1, words.length - 1]);
  await synced;
  expect(asked).toContain("append");
});
