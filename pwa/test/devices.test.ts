// Two devices of this library on the real relay: the whole way of a family, without a screen.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore } from "../src/app/memory-store";
import { hex, type RecordBytes } from "../src/core/ids";
import { type Case, Device } from "../src/core/library";
import { addDevice } from "../src/core/own-devices";
import { ownWords } from "../src/core/session/comparing";
import { appendCap } from "../src/core/stream";
import { HttpTransport } from "../src/core/transport";
import { u32 } from "../src/crypto/kdf";
import { agreements, codes, familyOn, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const family = () => familyOn(relay.address);

const soon = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

describe("two devices", () => {
  test("a case starts offline and is sent later", async () => {
    const nora = new Phone();
    nora.switch.online = false;
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.set("question", "question/question/text", "Wie helpt er?");
    expect(home.show("question").get("question")?.get("question")?.get("text")).toBe("Wie helpt er?");
    await expect(home.sync()).rejects.toMatchObject({ code: "offline" });
    nora.switch.online = true;
    const report = await home.sync();
    expect(report.sent).toBeGreaterThan(0);
    expect(report.alarms).toEqual([]);
    expect(nora.store.outbox(home.id)).toEqual([]);
  });

  test("who follows an invitation is let in, and both write, also while one is offline", async () => {
    const { home, fatima, there, link } = await family();
    expect(there.people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
    await home.add("plan", "agreements", { what: "Fatima komt zes weken bij ons wonen" });
    await home.sync();
    fatima.switch.online = false;
    await there.add("plan", "agreements", { what: "Nora slaapt uit" });
    await home.add("plan", "agreements", { what: "Karim rijdt" });
    await home.sync();
    fatima.switch.online = true;
    await there.sync();
    await home.sync();
    const both = ["Fatima komt zes weken bij ons wonen", "Karim rijdt", "Nora slaapt uit"];
    expect(agreements(home)).toEqual(both);
    expect(agreements(there)).toEqual(both);
    const again = new Phone();
    await expect(again.join(link, "Iemand")).rejects.toMatchObject({ code: expect.stringMatching(/^link_/) });
  });

  test("four words are the same on both screens, and only then is anybody let in", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const fatima = new Phone();
    const id = hex(await fatima.join(await home.invite("member", "Fatima", true), "Fatima"));
    await home.sync();
    await home.sync();
    await fatima.sync();
    const { session } = await fatima.case(id);
    const [waiting] = (await home.pending()).filter(({ what }) => what === "knocks");
    expect(waiting?.words).toHaveLength(4);
    expect(ownWords(session.store, session.case)).toEqual(waiting?.words);
    expect(session.row.state).toBe("waiting");
    await home.confirm("Fatima");
    await fatima.sync();
    expect((await fatima.case(id)).people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
  });

  test("two people type in one text at once and no word is lost", async () => {
    const { home, there } = await family();
    await home.set("question", "question/question/text", "Hoe blijven de kinderen thuis?");
    await home.sync();
    await there.sync();
    await there.set("question", "question/question/text", "Hoe blijven de kinderen allebei thuis?");
    await home.set("question", "question/question/text", "Nora vraagt: Hoe blijven de kinderen thuis?");
    await home.sync();
    await there.sync();
    await home.sync();
    const text = (one: Case) => one.show("question").get("question")?.get("question")?.get("text");
    expect(text(home)).toBe("Nora vraagt: Hoe blijven de kinderen allebei thuis?");
    expect(text(there)).toBe(text(home));
  });

  test("who is taken out reads nothing that comes after, and writes nothing that counts", async () => {
    const { home, there } = await family();
    await home.add("plan", "agreements", { what: "Voor iedereen" });
    await home.sync();
    await there.sync();
    await home.remove("Fatima");
    await there.session.inTurn(() =>
      there.session.edit("plan", [["add", "agreements", "x", { what: "Na" }]]),
    );
    await home.add("plan", "agreements", { what: "Zonder Fatima" });
    await home.sync();
    await there.sync();
    await home.sync();
    expect(agreements(home)).toEqual(["Voor iedereen", "Zonder Fatima"]);
    expect(() => there.people()).toThrow(expect.objectContaining({ code: "removed" }));
  });

  test("a device comes back from its store and knows all it knew", async () => {
    const { nora, home } = await family();
    await home.add("plan", "agreements", { what: "Blijft" });
    const later = new Device(nora.store, (address) => new HttpTransport(address));
    const again = await later.case(hex(home.id));
    expect(agreements(again)).toEqual(["Blijft"]);
    await again.sync();
    expect(again.session.store.alarms(home.id)).toEqual([]);
  });

  test("a professional reads a view, follows a change, and sees that it ended", async () => {
    const { home } = await family();
    const item = await home.add("plan", "agreements", { what: "Fatima komt", who: "Fatima" });
    await home.add("private", "ideas", { text: "KANARIE" });
    const selection = home.selection({ parts: ["plan"] });
    await expect(home.grant("De Wit", "Meedenken", soon(99), selection)).rejects.toMatchObject({
      code: "bad_value",
    });
    const given = await home.grant("De Wit", "Meedenken", soon(60), selection);
    const reader = new Phone();
    await reader.accept(given.link, "De Wit");
    await home.sync();
    await reader.sync();
    const id = hex(given.grant);
    const seen = async () =>
      [...((await reader.view(id)).get("plan")?.get("agreements")?.values() ?? [])].map((f) => f.get("what"));
    expect(await seen()).toEqual(["Fatima komt"]);
    await home.set("plan", `agreements/${item}/what`, "Fatima komt op zondag");
    await home.sync();
    await reader.sync();
    expect(await seen()).toEqual(["Fatima komt op zondag"]);
    await home.withdraw(id);
    await reader.sync();
    await expect(reader.view(id)).rejects.toMatchObject({ code: "withdrawn" });
    expect(reader.store.grants()[0]).toMatchObject({ status: "withdrawn", view: new Uint8Array() });
  });
});

describe("a relay that lies", () => {
  test("says that it took a change and threw it away: it is sent again, and told", async () => {
    const { nora, home, there } = await family();
    await home.sync();
    nora.switch.lie = (honest) => async (ops, atomic) => {
      const reply = await honest(
        ops.filter(({ op }) => op !== "append"),
        atomic,
      );
      const results = [...reply.results];
      const taken = { length: 99, chain: new Uint8Array(32) };
      const all = ops.map(({ op }) => (op === "append" ? taken : results.shift()));
      return { ...reply, results: all as typeof reply.results };
    };
    await home.add("plan", "agreements", { what: "Niet weg" });
    await home.sync();
    expect(codes(home)).toContain("rolled_back outbox");
    expect(nora.store.outbox(home.id)).toHaveLength(1);
    nora.switch.lie = undefined;
    await home.sync();
    await there.sync();
    expect(agreements(there)).toEqual(["Niet weg"]);
    expect(nora.store.outbox(home.id)).toEqual([]);
  });

  test("takes records away and shows nothing in their place: what was read stays, and it is told", async () => {
    const { home, fatima, there } = await family();
    await home.add("plan", "agreements", { what: "Blijft staan" });
    await home.sync();
    await there.sync();
    const plan = there.charter.parts.get("plan")?.stream as Uint8Array;
    fatima.switch.lie = (honest) => async (ops, atomic) => {
      const reply = await honest(ops, atomic);
      const results = reply.results.map((result, at) => {
        const op = ops[at];
        if (op?.op !== "read" || hex(op.stream) !== hex(plan) || !("records" in result)) return result;
        const length = result.length + 1;
        const chain = new Uint8Array(32) as typeof result.chain;
        return {
          ...result,
          base: length,
          base_chain: chain,
          length,
          chain,
          first: length + 1,
          records: [],
          more: false,
        };
      });
      return { ...reply, results };
    };
    await there.sync();
    expect(codes(there)).toContain("broken_chain part");
    expect(agreements(there)).toEqual(["Blijft staan"]);
    fatima.switch.lie = undefined;
    await home.add("plan", "agreements", { what: "Daarna" });
    await home.sync();
    await there.sync();
    expect(agreements(there)).toEqual(["Blijft staan", "Daarna"]);
  });

  test("noise in the charter by somebody who belongs stops nobody, whatever epoch it claims", async () => {
    const { nora, home, there } = await family();
    const { session } = there;
    const cap = appendCap(session.secrets(session.charterStream));
    if (!cap) throw new Error("a member who cannot append");
    for (const epoch of [1, 2, 0xffff_ffff]) {
      const record = new Uint8Array(333).fill(7) as RecordBytes;
      record.set([1, ...u32(epoch)]);
      const append = { op: "append", stream: session.charterStream, cap, record, expect: null } as const;
      await there.transport.exchange([append]);
    }
    await home.sync();
    const link = await home.invite("member", "Karim");
    const karim = new Phone();
    const id = await karim.join(link, "Karim");
    await home.sync();
    await karim.sync();
    await there.sync();
    const names = ["Nora", "Fatima", "Karim"];
    for (const one of [home, there, await karim.case(hex(id))]) {
      expect(one.people().map(({ name }) => name)).toEqual(names);
    }
    expect(nora.store.alarms(home.id).length).toBeGreaterThan(0);
  });
});

test("who waits is told who lets them in, also after the app was opened anew", async () => {
  const { home } = await familyOn(relay.address);
  for (const [link, own] of [
    [await addDevice(home), true],
    [await home.invite("member", "Karim"), false],
  ] as const) {
    const phone = new Phone();
    await phone.join(link, "Karim");
    const again = new LocalEngine(new Phone({}, phone.store as MemoryStore));
    expect(await again.cases()).toMatchObject([{ state: "waiting", own }]);
    await home.sync();
    await phone.sync();
    const next = new LocalEngine(new Phone({}, phone.store as MemoryStore));
    expect(await next.cases()).toMatchObject([{ state: "open", own: false }]);
  }
});

test("what one owner has at two relays is asked of each of them", () => {
  const asked: string[] = [];
  const phone = new Device(new MemoryStore(), (address) => ({
    exchange: async () => {
      asked.push(address);
      return { results: [], generation: 1 } as never;
    },
  }));
  const owner = new Uint8Array(16);
  for (const address of ["https://een.example", "https://twee.example", "https://een.example"])
    void phone.transport(owner, address).exchange([]);
  expect(asked).toEqual(["https://een.example", "https://twee.example", "https://een.example"]);
  expect(phone.transport(owner, asked[0] ?? "")).toBe(phone.transport(owner, asked[2] ?? ""));
});
