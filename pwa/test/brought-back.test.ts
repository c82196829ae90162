// A sole owner who lost everything, brought back by the members: what only the old phone had the keys of begins anew. And
// somebody of the circle who has no phone.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hex } from "../src/core/ids";
import { agreements, codes, familyOn, joined, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

describe("a sole owner who lost everything", () => {
  test("is brought back by three members; what only the old phone could open begins anew", async () => {
    const { home, there: fatima } = await familyOn(relay.address);
    const { there: karim } = await joined(home, "Karim");
    const { there: lea } = await joined(home, "Lea");
    await home.add("plan", "agreements", { what: "van voor het verlies" });
    await home.add("diary", "entries", { text: "dagboek van Nora" });
    for (const one of [home, fatima, karim, lea, home]) await one.sync();
    const id = hex(home.id);

    await expect(fatima.readmit("Nora")).rejects.toMatchObject({ code: "not_permitted" });
    await fatima.propose("readmit", "Nora");
    for (const one of [karim, lea]) {
      await one.sync();
      await one.approve("Nora");
    }
    const link = await lea.readmit("Nora");
    const fresh = new Phone();
    await fresh.join(link, "Nora");
    await lea.sync();
    await fresh.sync();
    await lea.sync();
    await lea.confirm("Nora");
    const nora = await fresh.case(id);
    for (const one of [nora, nora, nora, fatima, lea, nora]) await one.sync();

    expect(nora.charter.isOwner(nora.session.me())).toBe(true);
    expect(agreements(nora)).toEqual(["van voor het verlies"]);
    expect(nora.show("diary").get("entries")?.size ?? 0).toBe(0);
    // The owner writes again where the keys went with the phone: the own page, and who may read.
    await nora.add("diary", "entries", { text: "weer zelf" });
    await nora.add("voice", "suggestions", { name: "Bas" });
    const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    const given = await nora.grant("De Wit", "Meedenken", until, nora.selection({ parts: ["plan"] }));
    await nora.sync();
    await fatima.sync();
    const me = nora.session.me();
    expect(
      JSON.stringify(
        [...fatima.show(`voice@${hex(me)}`)].map(([, items]) =>
          [...items.values()].map((one) => one.get("name")),
        ),
      ),
    ).toContain("Bas");
    const reader = new Phone();
    await reader.accept(given.link, "De Wit");
    await nora.sync();
    await reader.syncView(given.grant);
    expect((await reader.grantRow(hex(given.grant))).status).toBe("open");
    // The locks of old streams stay as they are: what opened them went with the phone. That is told, and nothing else.
    expect(codes(nora).filter((line) => !/^not_allowed lock of /.test(line))).toEqual([]);
    // A room whose locks cannot be turned is not turned: the others read on.
    await fatima.add("plan", "agreements", { what: "daarna" });
    await fatima.sync();
    await nora.sync();
    expect(agreements(nora)).toEqual(["daarna", "van voor het verlies"]);
    await home.sync();
    expect(() => home.people()).toThrow(expect.objectContaining({ code: "removed" }));
  });
});

describe("somebody without a phone", () => {
  test("is in the circle, and heard through another", async () => {
    const { home, there } = await familyOn(relay.address);
    const item = await home.addWithoutPhone(" Opa ", "Fatima");
    await home.sync();
    await there.sync();
    const opa = { person: item, name: "Opa", standIn: "Fatima" };
    expect(there.withoutPhone()).toEqual([opa]);
    await home.set("circle", `people/${item}/status`, "gone");
    expect(home.withoutPhone()).toEqual([]);
    await expect(home.addWithoutPhone(" ", "Fatima")).rejects.toMatchObject({ code: "bad_argument" });
    await joined(home, "Sam", "child");
    await expect(home.addWithoutPhone("Oma", "Sam")).rejects.toMatchObject({ code: "bad_argument" });
  });

  test("a member cannot invite, and is told who can", async () => {
    const { there } = await familyOn(relay.address);
    await expect(there.invite("member", "Bas")).rejects.toMatchObject({
      code: "not_permitted",
      message: expect.stringContaining("only an owner"),
    });
  });
});
