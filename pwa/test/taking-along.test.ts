// The end of a case: nothing of it stays at the relay, photos and files included; and going, after which nothing stays here.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { erase } from "../src/core/erasing";
import { hex, unhex } from "../src/core/ids";
import { heldStreams, readCaps } from "../src/core/session/attachments";
import type { OpenPart } from "../src/core/session/parts";
import { HttpTransport } from "../src/core/transport";
import { familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

describe("erasing", () => {
  test("takes the photos and files from the relay too", async () => {
    const phone = new Phone();
    const home = await phone.start("Thuis", relay.address, "Nora");
    const item = await home.add("information", "questions", { text: "Wat staat er?" });
    const data = new TextEncoder().encode("een brief");
    await home.attach("information", `questions/${item}`, { name: "brief.txt", data, asIs: true });
    await phone.sync();
    const part = [...home.session.parts.values()].find((one) => one.part.name === "information") as OpenPart;
    const [held] = heldStreams(home.session, part);
    const stream = unhex<Parameters<typeof readCaps>[2]>(held as string);
    const [cap] = readCaps(home.session, part.part, stream);
    if (!cap) throw new Error("no key to an own file");
    const ask = async () =>
      (
        await new HttpTransport(relay.address).exchange([
          { op: "read", stream, cap, after: 0, max_bytes: 1000 },
        ])
      ).results[0];
    expect(await ask()).toHaveProperty("records");
    await erase(home);
    expect(await ask()).toMatchObject({ code: "closed" });
  });
});

describe("leaving", () => {
  test("takes everything of the case from this device, and what one wrote stays with the others", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    const item = await there.add("plan", "agreements", { what: "Ik kom zes weken" });
    await there.sync();
    const engine = new LocalEngine(fatima);
    const caseId = there.id;
    await engine.leave(hex(caseId));
    expect(await engine.cases()).toEqual([]);
    const { store } = fatima;
    expect(store.cases()).toEqual([]);
    expect(store.roomSecrets(caseId)).toEqual([]);
    expect(store.outbox(caseId)).toEqual([]);
    for (const { stream } of home.charter.parts.values()) expect(store.records(caseId, stream)).toEqual([]);
    await home.sync();
    expect(home.charter.present().map(({ name }) => name)).toEqual(["Nora"]);
    expect(home.show("plan").get("agreements")?.has(item)).toBe(true);
  });
});
