// A relay put back to before a decision, and another decision written since: nobody goes along until an owner adopts, and
// then removed stays removed, and every word that was written is there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { Unreachable } from "../src/core/errors";
import { hex } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { holdsBack } from "../src/core/session/adopting";
import { pack } from "../src/core/session/packing";
import { agreements, codes, familyOn, joined } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const names = (one: Case) =>
  one
    .people()
    .map(({ name }) => name)
    .sort();
const what = (lines: readonly { readonly what: string }[]) => lines.map((line) => line.what);
const add = (one: Case, words: string) => one.add("plan", "agreements", { what: words });
/** All that lies readable on the phone, also of one who was put out. */
const readable = ({ session }: Case) =>
  [...session.parts.values()].flatMap((opened) =>
    [...(session.read(opened).get("agreements")?.values() ?? [])].map((fields) => fields.get("what")),
  );
const charterHead = (one: Case) => hex(one.session.known().head);

/** Nora removes Karim; the relay forgets it; Lotte, who never heard of it, goes: another entry. */
async function parted({ known = false, role = "member" as "member" | "owner" } = {}) {
  const { nora, home, fatima, there } = await familyOn(relay.address);
  if (role === "owner") await home.setRole("Fatima", "owner");
  const karim = await joined(home, "Karim");
  const lotte = await joined(home, "Lotte");
  for (const one of [home, there, home, karim.there, lotte.there]) await one.sync();
  await relay.backUp();
  await home.remove("Karim");
  await add(home, "Nadat Karim weg was");
  await home.sync();
  if (known) await there.sync();
  await relay.putBack();
  return { nora, home, fatima, there, karim, lotte };
}

describe("after the circle parted", () => {
  test("removed stays removed when another branch grew", async () => {
    const { home, there, karim, lotte } = await parted();
    await lotte.there.leave();
    await add(karim.there, "Van Karim, na zijn afscheid");
    await karim.there.sync();
    await there.sync();
    expect(agreements(there)).toContain("Van Karim, na zijn afscheid");
    await home.sync();
    expect(codes(home)).toContain("parted charter");
    expect(names(home)).toEqual(["Fatima", "Lotte", "Nora"]);
    const told = await home.parted();
    expect(what(told.takes)).toEqual(["leave"]);
    expect(what(told.drops)).toContain("remove_person");
    expect(told.again).toEqual([{ what: "remove_person", name: "Karim", room: "" }]);
    expect(told.mayAdopt).toBe(true);
    expect((await home.adopt()).owed).toEqual([]);
    await there.sync();
    await home.sync();
    expect(names(home)).toEqual(["Fatima", "Nora"]);
    expect(names(there)).toEqual(names(home));
    expect(charterHead(there)).toBe(charterHead(home));
    expect(codes(home)).not.toContain("parted charter");
    expect(agreements(home)).toEqual(["Nadat Karim weg was"]);
    expect(agreements(there)).toEqual(agreements(home));
    await karim.there.sync();
    expect(codes(karim.there)).toContain("removed charter");
    expect(readable(karim.there)).toEqual(["Van Karim, na zijn afscheid"]);
  });

  test("who saw the removal goes along only when it was entered again; nothing is said to Karim meanwhile", async () => {
    const { nora, home, there, karim, lotte } = await parted({ known: true });
    await lotte.there.leave();
    await add(there, "Dit is niet voor Karim");
    await there.sync();
    expect(codes(there)).toContain("parted charter");
    expect(names(there)).toEqual(["Fatima", "Lotte", "Nora"]);
    await expect(there.adopt()).rejects.toMatchObject({ code: "not_permitted" });
    await home.sync();
    // The battery dies between `adopt` and the removal: the entry is there, and Karim is in.
    nora.switch.lie = (honest) => async (ops, atomic) => {
      const reply = await honest(ops, atomic);
      const wrote = atomic && ops.some((op) => op.op === "append");
      if (wrote) nora.switch.online = false;
      return reply;
    };
    await expect(home.adopt()).rejects.toBeInstanceOf(Unreachable);
    nora.switch.lie = undefined;
    expect(names(home)).toContain("Karim");
    expect(await holdsBack(home.session)).toBe(true);
    await add(home, "Een");
    await add(home, "Twee");
    const waiting = () => home.session.store.outbox(home.id).length;
    const before = waiting();
    await home.session.inTurn(() => pack(home.session));
    expect(waiting()).toBe(before); // nothing is signed for nothing
    await there.sync();
    expect(names(there)).not.toContain("Karim");
    await karim.there.sync();
    nora.switch.online = true;
    await home.sync();
    await there.sync();
    await home.sync();
    await there.sync();
    expect(names(home)).toEqual(["Fatima", "Nora"]);
    expect(names(there)).toEqual(names(home));
    expect(agreements(home)).toEqual(["Dit is niet voor Karim", "Een", "Nadat Karim weg was", "Twee"]);
    expect(agreements(there)).toEqual(agreements(home));
    await karim.there.sync();
    expect(readable(karim.there)).toEqual([]);
    expect([home.session, there.session].map((one) => one.store.fact(one.case, "branches"))).toEqual([
      undefined,
      undefined,
    ]);
  });

  test("both branches turned the same lock: of one epoch there are never two secrets", async () => {
    const { home, there, karim, lotte } = await parted({ role: "owner" });
    await there.sync();
    await there.remove("Lotte");
    await add(there, "Fatima, zonder Lotte");
    await there.sync();
    await home.sync();
    expect(codes(home)).toContain("parted charter");
    expect(names(home)).toContain("Lotte");
    expect((await home.adopt()).owed).toEqual([]);
    await there.sync();
    await home.sync();
    expect(names(home)).toEqual(["Fatima", "Nora"]);
    expect(names(there)).toEqual(names(home));
    expect(agreements(home)).toEqual(["Fatima, zonder Lotte", "Nadat Karim weg was"]);
    expect(agreements(there)).toEqual(agreements(home));
    expect(home.session.known().rooms.get("owner+member")?.epoch).toBe(3);
    await add(home, "Na alles");
    await home.sync();
    for (const out of [karim.there, lotte.there]) {
      await out.sync();
      expect(readable(out)).not.toContain("Na alles");
    }
  });

  test("nothing is shown while one who was put out is in again", async () => {
    const { nora, home, there } = await familyOn(relay.address);
    const lea = await joined(home, "Lea");
    const karim = await joined(home, "Karim");
    const owners = [there, lea.there, karim.there];
    for (const one of owners) await one.sync();
    for (const [at, name] of ["Fatima", "Lea", "Karim"].entries()) {
      if (at === 0) await home.setRole(name, "owner");
      else await home.propose("role", name, "owner");
      for (const one of owners.slice(0, at)) {
        await one.sync();
        if (one.charter.withRole("owner").size === at + 1) await one.approve();
      }
      await home.sync();
    }
    expect(home.charter.withRole("owner").size).toBe(4);
    for (const one of owners) await one.sync();
    const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    const { grant } = await home.grant("De Wit", "Meedenken", until, home.selection({ parts: ["plan"] }));
    await home.propose("remove", "Lea");
    await karim.there.sync();
    await there.sync();
    await relay.backUp();
    expect((await karim.there.approve()).done).toBe(false);
    await there.sync();
    expect((await there.approve()).done).toBe(true);
    await home.sync();
    expect(names(home)).not.toContain("Lea");
    await relay.putBack();
    // The yeses were given in another company of owners.
    await karim.there.sync();
    await karim.there.leave();
    await home.sync();
    expect((await home.adopt()).owed).toEqual([{ what: "remove_person", name: "Lea", room: "" }]);
    const written: string[] = [];
    nora.switch.lie = (honest) => (ops, atomic) => {
      written.push(...ops.flatMap((op) => ("stream" in op && op.op !== "read" ? [hex(op.stream)] : [])));
      return honest(ops, atomic);
    };
    await add(home, "Dit leest Lea niet");
    await home.sync();
    // A view would be published under keys that Lea has.
    const down = hex(home.charter.grants.get(hex(grant))?.down as Uint8Array);
    expect(written).not.toContain(down);
    await lea.there.sync();
    expect(readable(lea.there)).not.toContain("Dit leest Lea niet");
    await home.propose("remove", "Lea");
    await there.sync();
    expect((await there.approve()).done).toBe(true);
    await home.sync();
    await there.sync();
    expect(agreements(there)).toContain("Dit leest Lea niet");
    expect(written).toContain(down);
  }, 150_000);

  test("without another branch there is nothing to adopt", async () => {
    const { nora, home } = await familyOn(relay.address);
    expect(await new LocalEngine(nora).parted(hex(home.id))).toBe(null);
    await expect(home.parted()).rejects.toMatchObject({ code: "not_yet" });
    await expect(home.adopt()).rejects.toMatchObject({ code: "not_yet" });
  });
});
