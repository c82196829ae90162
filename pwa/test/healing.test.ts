// A relay that was put back, also by somebody who says nothing: what it lacks comes back, and who was put out stays out. And
// words that were not sent before their writer lost the right to write.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MemoryStore } from "../src/app/memory-store";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { FEWEST_RECORDS, patience } from "../src/core/session/compacting";
import type { Result } from "../src/core/wire";
import { agreements, codes, type Exchange, familyOn, joined, Phone, signAlone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const planOf = (one: Case) => {
  const part = one.charter.parts.get("plan");
  if (!part) throw new Error("a case without a plan");
  return part.stream;
};
const add = (one: Case, what: string) => one.add("plan", "agreements", { what });

describe("a relay that was put back", () => {
  test("behind a snapshot: what it stood for comes back, also without its author", async () => {
    const { home, there } = await familyOn(relay.address);
    const { there: karim } = await joined(home, "Karim");
    for (const one of [home, there, karim]) await one.sync();
    await relay.backUp();
    // So many records of Karim, each as if it were sent alone, that Nora's phone puts a snapshot in their place.
    const times = FEWEST_RECORDS + patience(home.session.device(), planOf(home)) + 2;
    const item = await add(karim, "0");
    for (let at = 1; at <= times; at++) {
      await signAlone(karim);
      await karim.set("plan", `agreements/${item}/what`, `${at}`);
    }
    await karim.sync();
    await home.sync();
    expect(home.session.position(planOf(home)).base).toBeGreaterThan(FEWEST_RECORDS);
    await there.sync();
    await home.remove("Karim");
    await add(home, "na Karim");
    await home.sync();
    await there.sync();
    await relay.putBack();
    for (const one of [there, home, there, home, there]) await one.sync();
    const whole = [`${times}`, "na Karim"].sort();
    expect(agreements(home)).toEqual(whole);
    expect(agreements(there)).toEqual(whole);
    // Whoever comes later finds it at the relay; and it ends: nobody puts snapshots there for ever.
    const { there: lotte } = await joined(home, "Lotte");
    expect(agreements(lotte)).toEqual(whole);
    await there.sync();
    const { length } = home.session.position(planOf(home));
    for (const one of [home, there, home]) await one.sync();
    expect(home.session.position(planOf(home)).length).toBe(length);
    for (const { session } of [home, there]) {
      expect(session.store.fact(session.case, `owed ${hex(planOf(home))}`)).toBeUndefined();
    }
  });

  test("while somebody who was let in was offline: the keys are at the door still", async () => {
    const { home, there } = await familyOn(relay.address);
    const phone = new Phone();
    const id = await phone.join(await home.invite("member", "Lotte"), "Lotte");
    await home.sync();
    await relay.backUp();
    await relay.putBack();
    for (const one of [home, there, home]) await one.sync();
    await phone.sync();
    const lotte = await phone.case(hex(id));
    await lotte.sync();
    expect(agreements(lotte)).toEqual(agreements(home));
    expect(codes(lotte).filter((code) => code.startsWith("link"))).toEqual([]);
  });

  test.each([
    ["the welcome", "nora"],
    ["the welcome", "bo"],
    ["the whole door", "nora"],
    ["the whole door", "bo"],
    ["everything", "bo"],
  ])("that lost %s of who was let in: an owner's phone (%s) lays it again", async (lost, by) => {
    const { nora, home, there } = await familyOn(relay.address);
    const { there: bo } = await joined(home, "Bo", "owner");
    for (const one of [home, there, bo]) await one.sync();
    if (lost === "the whole door") await relay.backUp();
    const link = await home.invite("member", "Lotte");
    for (const one of [home, bo]) await one.sync();
    const phone = new Phone();
    const id = await phone.join(link, "Lotte");
    if (lost === "the welcome") await relay.backUp();
    for (const one of [home, bo, there]) await one.sync();
    expect(home.people().map(({ name }) => name)).toContain("Lotte");
    if (lost === "everything") await relay.beginEmpty();
    else await relay.putBack();
    nora.switch.online = by === "nora";
    for (let n = 0; n < 3; n++) await (by === "nora" ? home : bo).sync();
    await phone.sync();
    const lotte = await phone.case(hex(id));
    await lotte.sync();
    expect(agreements(lotte)).toEqual(agreements(there));
    expect(lotte.people().map(({ name }) => name)).toContain("Lotte");
    expect(codes(lotte).filter((code) => code.startsWith("link"))).toEqual([]);
  });

  test("emptied: a word that was not sent blames nobody, and comes after what its author had seen", async () => {
    const { home, there } = await familyOn(relay.address);
    await add(home, "van Nora");
    await home.sync();
    await there.sync();
    await add(there, "van Fatima");
    await there.sync();
    await home.sync();
    await there.sync();
    await add(home, "onderweg");
    await relay.beginEmpty();
    for (const one of [home, there, home, there]) await one.sync();
    for (const one of [home, there]) {
      expect(agreements(one)).toEqual(["onderweg", "van Fatima", "van Nora"]);
      expect(codes(one).filter((said) => !/^(new_generation|rolled_back) /.test(said))).toEqual([]);
      expect(one.session.store.outbox(one.id)).toEqual([]);
    }
    const { there: lotte } = await joined(home, "Lotte");
    expect(agreements(lotte)).toEqual(agreements(home));
  });

  test("unsaid, behind a turned lock: it is turned again, and who was put out stays out", async () => {
    const { home, there } = await familyOn(relay.address);
    const { there: karim } = await joined(home, "Karim");
    for (const one of [home, there, karim, home]) await one.sync();
    await relay.backUp();
    await home.remove("Karim");
    await add(home, "na Karim");
    await home.sync();
    await there.sync();
    await relay.putBackUnsaid();
    await home.sync();
    await home.sync();
    expect(home.session.row.state).toBe("open");
    await add(home, "nog later");
    await home.sync();
    await karim.sync();
    expect(codes(karim)).toContain("removed charter");
    await there.sync();
    await there.sync();
    expect(agreements(there)).toEqual(["na Karim", "nog later"]);
    expect(agreements(home)).toEqual(agreements(there));
    expect(home.people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
  });
});

describe("an owner whom every lock refuses", () => {
  test("tries those of before once: the relay was put back unsaid, and another owner went on there", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    await home.setRole("Fatima", "owner");
    const { there: karim } = await joined(home, "Karim");
    for (const one of [home, there, karim, home]) await one.sync();
    await relay.backUp();
    fatima.switch.online = false;
    await home.remove("Karim");
    await home.sync();
    await relay.putBackUnsaid();
    fatima.switch.online = true;
    // As many boxes as were lost, and more: no log is shorter than what Nora's phone knows.
    await joined(there, "Lotte");
    await joined(there, "Bea");
    await home.sync();
    await home.sync();
    expect(home.session.row.state).toBe("open");
    expect(codes(home)).toContain("parted charter");
    expect((await home.adopt()).owed).toEqual([]);
    await there.sync();
    expect(there.people().map(({ name }) => name)).toEqual(["Nora", "Fatima", "Lotte", "Bea"]);
    await karim.sync();
    expect(codes(karim)).toContain("removed charter");
  });
});

describe("a relay that turned the locks and threw the entry away", () => {
  /** Of an exchange that is to be done whole it does the locks only. */
  const onlyTheLocks =
    (answer: string) =>
    (honest: Exchange): Exchange =>
    async (ops, atomic) => {
      const rekeys = ops.filter(({ op }) => op === "rekey");
      if (!atomic || rekeys.length === 0) return honest(ops, atomic);
      const reply = await honest(rekeys, false);
      if (answer === "nothing") throw new Unreachable("offline");
      const failed = (code: string) => ({ code, length: null, chain: null }) as Result;
      const done = { length: 1_000_000, chain: new Uint8Array(32) } as Result;
      const results = ops.map((_, at) => {
        if (answer === "done") return done;
        return failed(at === 0 ? answer : "not_done");
      });
      return { ...reply, results };
    };

  test.each(["nothing", "conflict", "not_allowed", "done"])("and answered %s", async (answer) => {
    const { nora, home, there } = await familyOn(relay.address);
    const { there: yusuf } = await joined(home, "Yusuf", "owner");
    for (const one of [home, there, yusuf, home]) await one.sync();
    await add(home, "voor");
    await home.sync();
    // An owner goes: the room that manages turns too, so that nobody has a key of now or of before that turns it back.
    await yusuf.leave();
    nora.switch.lie = onlyTheLocks(answer);
    await home.sync().catch(() => undefined);
    nora.switch.lie = undefined;
    // Nobody but this phone has the keys of those locks: it turns them back, also when it was off in between.
    const again = new Phone({}, nora.store as MemoryStore);
    const back = await again.case(hex(home.id));
    for (const one of [back, there, back, there, back]) await one.sync();
    expect(back.charter.dueRooms(back.session.me())).toEqual([]);
    await add(back, "na");
    for (const one of [back, there]) await one.sync();
    expect(there.session.row.state).toBe("open");
    expect(agreements(there)).toEqual(["na", "voor"]);
    expect(agreements(back)).toEqual(["na", "voor"]);
    expect(again.store.fact(home.id, "prepared locks")).toBeUndefined();
  });
});

describe("words that were not sent", () => {
  test("before their writer lost the right: told, and not shown to one alone for ever", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    await add(there, "op tijd");
    await there.sync();
    fatima.switch.online = false;
    await add(there, "te laat");
    expect(agreements(there)).toEqual(["op tijd", "te laat"]);
    await home.sync();
    await home.setRole("Fatima", "child");
    await home.sync();
    fatima.switch.online = true;
    await there.sync();
    await there.sync();
    await home.sync();
    expect(agreements(home)).toEqual(["op tijd"]);
    expect(agreements(there)).toEqual(["op tijd"]);
    expect(codes(there)).toContain("not_permitted a change in plan could not be made again");
    const waits = there.session.store
      .outbox(there.id)
      .filter(({ stream }) => hex(stream ?? new Uint8Array()) === hex(planOf(there)));
    expect(waits).toEqual([]);
  });
});
