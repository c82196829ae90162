// What the screens "Iemand is de telefoon kwijt", "Iemand zonder telefoon" and the open links do, on the app's own engine.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { hex } from "../src/core/ids";
import { everyName } from "../src/ui/circle";
import { familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);

async function family() {
  const { nora, home, fatima } = await familyOn(relay.address);
  const case_ = hex(home.id);
  return { case_, home, nora: new LocalEngine(nora), fatima: new LocalEngine(fatima) };
}

describe("somebody lost their phone", () => {
  test("a member comes back by a new link and four words, and the old phone reads nothing new", async () => {
    const { case_, nora, fatima } = await family();
    const [, who] = await nora.people(case_);
    await nora.remove(case_, who?.person ?? "");
    const link = await nora.invite(case_, "member", "Fatima", true);
    const fresh = new LocalEngine(new Phone());
    await fresh.join(link, "Fatima");
    for (const one of [nora, nora, fresh]) await one.sync();
    const [waiting] = await nora.pending(case_);
    expect(waiting).toMatchObject({ kind: "words", name: "Fatima", own: false });
    expect((await fresh.cases())[0]?.words).toEqual(waiting?.words);
    await nora.confirm(case_, "Fatima");
    await fresh.sync();
    expect(await fresh.cases()).toMatchObject([{ state: "open", role: "member" }]);
    await nora.add(case_, "plan", "agreements", { what: "daarna" });
    for (const one of [nora, fresh, fatima]) await one.sync();
    expect(JSON.stringify(await fresh.show(case_, "plan"))).toContain("daarna");
    expect(await fatima.cases()).toMatchObject([{ state: "ended" }]);
  });

  test("the only owner comes back when the members say so, and not before", async () => {
    const { case_, home, nora, fatima } = await family();
    const karim = new LocalEngine((await joined(home, "Karim")).phone);
    const lea = new LocalEngine((await joined(home, "Lea")).phone);
    for (const one of [nora, fatima, karim, lea]) await one.sync();
    const person = (await fatima.people(case_)).find(({ name }) => name === "Nora")?.person ?? "";
    await expect(fatima.readmit(case_, person)).rejects.toMatchObject({ code: "not_permitted" });
    await fatima.propose(case_, "readmit", person);
    for (const one of [karim, lea]) {
      await one.sync();
      expect(await one.asked(case_)).toMatchObject([{ what: "readmit", person, name: "Nora", mine: false }]);
      await one.approve(case_, person);
    }
    const [asked] = await lea.asked(case_);
    expect([asked?.yes.length, asked?.needed, asked?.mine]).toEqual([3, 3, true]);
    const fresh = new LocalEngine(new Phone());
    await fresh.join(await lea.readmit(case_, person), "Nora");
    for (const one of [lea, fresh, lea]) await one.sync();
    const [waiting] = await lea.pending(case_);
    expect(waiting).toMatchObject({ kind: "words", name: "Nora", own: false });
    await lea.confirm(case_, "Nora");
    for (const one of [fresh, fresh]) await one.sync();
    expect(await fresh.cases()).toMatchObject([{ state: "open", role: "owner" }]);
  });
});

describe("a link that was sent to the wrong person", () => {
  test("is taken back, of an invitation and of access alike", async () => {
    const { case_, nora } = await family();
    const invited = await nora.invite(case_, "member", "Bas");
    expect(await nora.pending(case_)).toMatchObject([{ kind: "invited", name: "Bas" }]);
    await nora.cancel(case_, " bas ");
    expect(await nora.pending(case_)).toEqual([]);
    await expect(new Phone().join(invited, "Bas")).rejects.toMatchObject({ code: "link_expired" });
    const selection = { parts: { plan: { items: "all", fields: "all" } } } as const;
    const given = await nora.grant(case_, "De Wit", "Hulp", until, selection);
    await nora.cancel(case_, "De Wit");
    expect(await nora.access(case_)).toMatchObject([{ to: "De Wit", state: "stopped" }]);
    await expect(new Phone().accept(given.link, "De Wit")).rejects.toMatchObject({ code: "link_expired" });
    await expect(nora.cancel(case_, "De Wit")).rejects.toMatchObject({ code: "no_such_person" });
  });

  test("is not guessed among two, and who reads already is not put out by a name", async () => {
    const { case_, nora } = await family();
    await nora.invite(case_, "member", "Bas");
    await nora.invite(case_, "member", "Bas");
    await expect(nora.cancel(case_, "Bas")).rejects.toMatchObject({ code: "ambiguous" });
    await expect(nora.cancel(case_, "Fatima")).rejects.toMatchObject({ code: "no_such_person" });
    const selection = { parts: { plan: { items: "all", fields: "all" } } } as const;
    const given = await nora.grant(case_, "De Wit", "Hulp", until, selection);
    const reader = new Phone();
    await reader.accept(given.link, "De Wit");
    await nora.sync();
    await expect(nora.cancel(case_, "De Wit")).rejects.toMatchObject({ code: "no_such_person" });
    expect(await nora.access(case_)).toMatchObject([{ state: "running" }]);
  });
});

describe("somebody without a phone", () => {
  test("has a name wherever people have one, and is nobody who reads", async () => {
    const { case_, nora, fatima } = await family();
    const [, stand] = await nora.people(case_);
    const line = await nora.addWithoutPhone(case_, "Opa Henk", stand?.person ?? "");
    for (const one of [nora, fatima]) await one.sync();
    const parts = await fatima.show(case_);
    const people = await fatima.people(case_);
    expect(everyName(parts, people).at(-1)).toMatchObject({
      person: line,
      name: "Opa Henk",
      via: stand?.person,
    });
    expect(people.map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
    expect((await nora.readers(case_, "circle")).map(({ name }) => name).sort()).toEqual(["Fatima", "Nora"]);
    await fatima.add(case_, `voice@${stand?.person}`, "suggestions", { name: "Bep", for: line });
    for (const one of [fatima, nora]) await one.sync();
    expect(JSON.stringify((await nora.show(case_))[`voice@${stand?.person}`])).toContain(line);
  });
});
