// At the door: a knock that was interrupted, two links one after the other, and who came second.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Unreachable } from "../src/core/errors";
import { granterKey, makeTurned, signState } from "../src/core/grant";
import { hex, named } from "../src/core/ids";
import type { Case } from "../src/core/library";
import { parseLink } from "../src/core/link";
import { addDevice } from "../src/core/own-devices";
import { alarmsOf, stateOf, wordsOf } from "../src/core/receiving";
import { renew } from "../src/core/renewing";
import { ownRoom } from "../src/core/rooms";
import { held } from "../src/core/session/acting";
import { appendCap, sealRecord } from "../src/core/stream";
import { HttpTransport } from "../src/core/transport";
import { doorSecrets } from "../src/core/visiting";
import { codes, type Exchange, familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const names = async (phone: Phone, id: string) => (await phone.case(id)).people().map(({ name }) => name);

/** The relay takes what is written, and its answer is lost; or nothing arrives. */
const lost =
  (arrives: boolean) =>
  (honest: Exchange): Exchange =>
  async (ops, atomic) => {
    if (!ops.some(({ op }) => op === "append")) return honest(ops, atomic);
    if (arrives) await honest(ops, atomic);
    throw new Unreachable("timed_out");
  };

describe("a knock that was interrupted", () => {
  test.each([
    ["after it arrived", true],
    ["before it arrived", false],
  ])("%s: the same bytes go again, at the next sync or by the same link", async (_, arrives) => {
    const { home } = await familyOn(relay.address);
    const link = await home.invite("member", "Lea");
    const lea = new Phone();
    lea.switch.lie = lost(arrives);
    await expect(lea.join(link, "Lea")).rejects.toMatchObject({ code: "timed_out" });
    lea.switch.lie = undefined;
    const id = hex(home.id);
    const [before] = lea.store.cases();
    if (arrives) await lea.join(link, "Lea");
    else await (await lea.case(id)).sync();
    const [after] = lea.store.cases();
    expect(hex(after?.device as Uint8Array)).toBe(hex(before?.device as Uint8Array));
    await home.sync();
    await (await lea.case(id)).sync();
    expect(await names(lea, id)).toContain("Lea");
    expect(home.people().filter(({ name }) => name === "Lea")).toHaveLength(1);
  });

  test("of a professional: the next look at the view sends it", async () => {
    const { home } = await familyOn(relay.address);
    const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    const given = await home.grant("De Wit", "Meedenken", until, home.selection({ parts: ["plan"] }));
    const reader = new Phone();
    reader.switch.lie = lost(false);
    await expect(reader.accept(given.link, "De Wit")).rejects.toMatchObject({ code: "timed_out" });
    reader.switch.lie = undefined;
    await reader.syncView(given.grant);
    await home.sync();
    await reader.syncView(given.grant);
    expect((await reader.grantRow(hex(given.grant))).status).toBe("open");
  });
});

describe("several links", () => {
  test.each([
    ["the first one", true],
    ["the second one", false],
  ])("who followed a second link comes in by whichever opens: %s", async (_, isFirst) => {
    const { home } = await familyOn(relay.address);
    const links = [await home.invite("member", "Lea"), await home.invite("member", "Lea (2)")] as const;
    const lea = new Phone();
    await lea.join(links[0], "Lea");
    if (isFirst) await home.sync(); // the door of the first link opens, before the second is followed
    await lea.join(links[1], "Lea");
    await home.sync();
    const there = await lea.case(hex(home.id));
    await there.sync();
    await there.sync();
    await home.sync();
    expect(home.people().filter(({ name }) => name.startsWith("Lea"))).toHaveLength(1);
    expect([...home.charter.invitations.values()].filter(({ state }) => state === "open")).toEqual([]);
    expect(codes(home)).toEqual([]);
    await there.add("plan", "agreements", { what: "van Lea" });
    await there.sync();
    await home.sync();
    expect(
      JSON.stringify(
        [...(home.show("plan").get("agreements")?.values() ?? [])].map((one) => one.get("what")),
      ),
    ).toContain("van Lea");
  });

  test("who came second is told, and the others are not kept", async () => {
    const { home } = await familyOn(relay.address);
    const link = await home.invite("member", "Lea");
    const [lea, thief] = [new Phone(), new Phone()];
    await lea.join(link, "Lea");
    await thief.join(link, "Lea");
    await home.sync();
    const id = hex(home.id);
    await (await lea.case(id)).sync();
    await expect(thief.sync()).rejects.toMatchObject({ code: "link_used" });
    expect(codes(await thief.case(id))).toEqual(["link_used link"]);
    expect(codes(await lea.case(id))).toEqual([]);
  });
});

test("whoever holds the granter's key dates access far away: it ends on the day that the link said", async () => {
  const { home } = await familyOn(relay.address);
  const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
  const given = await home.grant("De Wit", "Hulp", until, home.selection({ parts: ["plan"] }));
  const reader = new Phone();
  await reader.accept(given.link, "De Wit");
  await home.sync();
  await reader.syncView(given.grant);
  const row = await reader.grantRow(hex(given.grant));
  expect(row.status).toBe("open");
  // As a thief with the store of then would, and a relay that takes it.
  const { session } = home;
  const own = session.roomSecret(ownRoom(session.me()));
  const known = session.known().grants.get(hex(given.grant));
  if (!own || !known?.device) throw new Error("nobody reads");
  const state = { ...stateOf(row), n: row.stateN + 1, until: row.until * 2 };
  const signed = await signState([await granterKey(named(own.secret), given.grant)], state);
  const { box, device } = known.device;
  const payload = await makeTurned(box, known.doorstep, device, signed);
  const { seed } = parseLink(given.link);
  const record = await sealRecord(doorSecrets(known.doorstep, seed), payload, new Uint8Array(24));
  const cap = held(appendCap(session.secrets(known.doorstep)));
  const transport = new HttpTransport(relay.address);
  const { results } = await transport.exchange([
    { op: "append", stream: known.doorstep, cap, record, expect: null },
  ]);
  expect(results[0]).not.toHaveProperty("code");
  await reader.syncView(given.grant);
  const after = await reader.grantRow(hex(given.grant));
  expect(after.stateN).toBe(row.stateN + 1);
  expect([after.until, stateOf(after).until]).toEqual([row.until, row.until]);
});

describe("a professional whose link asks for words", () => {
  const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
  const offered = async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis bij Nora", relay.address, "Nora");
    await home.sync();
    const given = await home.grant("De Wit", "Hulp", until, home.selection({ parts: ["plan"] }), true);
    return { home, ...given };
  };
  const reading = async (link: string, name = "De Wit") => {
    const phone = new Phone();
    const grant = await phone.accept(link, name);
    const row = () => phone.grantRow(hex(grant));
    return { phone, row, look: () => phone.syncView(grant) };
  };
  const shown = async (home: Case) =>
    (await home.pending()).filter(({ compare }) => compare).map(({ words }) => words);

  test("reads nothing before both screens show the same four, and somebody said so", async () => {
    const { home, grant, link } = await offered();
    const reader = await reading(link);
    await expect(home.confirm("De Wit")).rejects.toMatchObject({ code: "no_such_person" });
    await home.sync();
    await home.sync();
    await reader.look();
    const words = wordsOf(reader.phone.store, await reader.row());
    expect(words).toHaveLength(4);
    expect(await shown(home)).toEqual([words]);
    expect((await reader.row()).status).toBe("waiting");
    expect(home.charter.grants.get(hex(grant))?.device).toBeFalsy();
    expect(hex(await home.confirm("de wit"))).toBe(hex(grant));
    await reader.look();
    expect((await reader.row()).status).toBe("open");
    expect(wordsOf(reader.phone.store, await reader.row())).toBeUndefined();
    expect(await shown(home)).toEqual([]);
    const next = await renew(home, hex(grant), "Bos");
    const bos = await reading(next.link, "Bos");
    await home.sync();
    await home.sync();
    await bos.look();
    expect((await bos.row()).status).toBe("waiting");
    expect(await shown(home)).toEqual([wordsOf(bos.phone.store, await bos.row())]);
  });

  test("a thief who was first gets nothing, and the right one's screen no words", async () => {
    const { home, grant, link } = await offered();
    const thief = await reading(link);
    await home.sync();
    const reader = await reading(link);
    for (const sync of [reader.look, thief.look, () => home.sync(), reader.look, thief.look]) await sync();
    expect(wordsOf(reader.phone.store, await reader.row())).toBeUndefined();
    expect(await shown(home)).toEqual([wordsOf(thief.phone.store, await thief.row())]);
    // Who takes the name of another that waits is not let in by the words of that one.
    const lea = new Phone();
    await lea.join(await home.invite("member", "Lea", true), "De Wit");
    await home.sync();
    await home.sync();
    await expect(home.confirm("De Wit")).rejects.toMatchObject({ code: "ambiguous" });
    await home.withdraw(hex(grant));
    await thief.look();
    expect((await thief.row()).status).toBe("link_expired");
    expect(thief.phone.store.fact(alarmsOf(grant), "nonce")).toBeUndefined();
  });
});

test("a visitor who calls themselves as you is no device of yours", async () => {
  const nora = new Phone();
  const home = await nora.start("Thuis bij Nora", relay.address, "Nora");
  await home.sync();
  const thief = new Phone();
  await thief.join(await home.invite("member", "Lea", true), "Nora");
  const second = new Phone();
  await second.join(await addDevice(home, { compare: true }), "Nora");
  await home.sync();
  await home.sync();
  const waiting = (await home.pending()).map(({ name, role, own }) => ({ name, role, own }));
  expect(waiting).toEqual([
    { name: "Nora", role: "member", own: false },
    { name: "Nora", role: null, own: true },
  ]);
  await expect(home.confirm("Nora")).rejects.toMatchObject({ code: "ambiguous" });
});
