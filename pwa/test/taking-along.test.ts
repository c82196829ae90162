// The end of a case: what one takes along of it, nothing of it stays at the relay, photos and files included; and going, after which nothing stays here.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { erase } from "../src/core/erasing";
import { hex, unhex } from "../src/core/ids";
import { addDevice, devices, removeDevice } from "../src/core/own-devices";
import { heldStreams, readCaps } from "../src/core/session/attachments";
import type { OpenPart } from "../src/core/session/parts";
import { readCap } from "../src/core/stream";
import { HttpTransport } from "../src/core/transport";
import { familyOn, joined, Phone } from "./phone";
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

describe("taking along what is over", () => {
  test("gives who was removed what was read until then and the own pages, and asks the relay for nothing", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    await home.add("plan", "agreements", { what: "Roerdomp" });
    await home.sync();
    await there.sync();
    await there.add("diary", "entries", { text: "Waterhoen, van mij alleen" });
    await there.sync();
    await home.remove("Fatima");
    await home.add("plan", "agreements", { what: "Kwartelkoning" });
    await home.sync();
    await fatima.sync();
    expect(there.session.row.state).toBe("removed");
    const asked = vi.spyOn(there.transport, "exchange");
    const engine = new LocalEngine(fatima);
    const { content } = await engine.exportCase(hex(there.id));
    expect(asked).not.toHaveBeenCalled();
    const checked = await new LocalEngine(new Phone()).verify(content);
    expect(checked).toMatchObject({ whole: true, by: "Fatima" });
    const all = new TextDecoder("latin1").decode(content);
    expect(all).toContain("Roerdomp");
    expect(all).toContain("Waterhoen");
    expect(all).not.toContain("Kwartelkoning");
  });

  test("gives everybody of a case that an owner ended what they read, also without a relay", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    await home.add("plan", "agreements", { what: "Roerdomp" });
    await home.sync();
    await there.sync();
    await erase(home);
    await fatima.sync();
    expect(there.session.row.state).toBe("closed");
    fatima.switch.online = false;
    const { content } = await new LocalEngine(fatima).exportCase(hex(there.id));
    expect(await new LocalEngine(new Phone()).verify(content)).toMatchObject({ whole: true });
    expect(new TextDecoder("latin1").decode(content)).toContain("Roerdomp");
  });
});

describe("erasing what is over", () => {
  const titles = (phone: Phone) => phone.store.cases().map(({ title }) => title);

  test("empties this device of who was removed, and takes the own pages from the relay", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    await there.add("diary", "entries", { text: "van mij alleen" });
    await there.sync();
    const diary = there.session.part(there.fullName("diary")).part.stream;
    await home.remove("Fatima");
    await fatima.sync();
    expect(there.session.row.state).toBe("removed");
    const engine = new LocalEngine(fatima);
    const read = { op: "read", stream: diary, after: 0, max_bytes: 1000 } as const;
    const cap = readCap(there.session.secrets(diary));
    if (!cap) throw new Error("no key to an own page");
    expect(await engine.erase(hex(there.id))).toMatchObject({ closed: 2, kept: 0, wasOwner: false });
    const { results } = await new HttpTransport(relay.address).exchange([{ ...read, cap }]);
    expect(results[0]).toMatchObject({ code: "closed" });
    expect(titles(fatima)).toEqual([]);
    expect(fatima.store.roomSecrets(there.id)).toEqual([]);
    await home.sync();
    expect(home.charter.present().map(({ name }) => name)).toEqual(["Nora"]);
  });

  test("needs no relay", async () => {
    const { home, fatima, there } = await familyOn(relay.address);
    const { phone: karim, there: his } = await joined(home, "Karim");
    await home.remove("Fatima");
    await fatima.sync();
    fatima.switch.online = false;
    expect(await erase(there)).toMatchObject({ closed: 0, kept: 2 });
    expect(titles(fatima)).toEqual([]);
    await erase(home);
    await karim.sync();
    expect(karim.store.cases().map(({ state }) => state)).toEqual(["closed"]);
    karim.switch.online = false;
    await erase(his);
    expect(titles(karim)).toEqual([]);
  });

  test("on a device that was put out takes no pages of its person along", async () => {
    const { nora: phone, home } = await familyOn(relay.address);
    const lost = new Phone();
    await lost.join(await addDevice(home), "x");
    await home.sync();
    await lost.sync();
    const there = await lost.case(hex(home.id));
    await home.add("diary", "entries", { text: "van mij alleen" });
    await phone.sync();
    await lost.sync();
    const [other] = devices(home).filter(({ isThis }) => !isThis);
    await removeDevice(home, hex(other?.device ?? new Uint8Array()));
    await lost.sync();
    expect(there.session.row.state).toBe("removed");
    expect(await erase(there)).toMatchObject({ closed: 0, kept: 2 });
    expect(titles(lost)).toEqual([]);
    await home.add("diary", "entries", { text: "nog een" });
    expect((await phone.sync()).alarms).toEqual([]);
    expect(home.show("diary").get("entries")?.size).toBe(2);
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
