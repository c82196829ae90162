// What De Wit says to Nora's family, on the real relay: sent, taken over once, in no other place; and an end that holds offline.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { MemoryStore } from "../src/app/memory-store";
import { upSecrets } from "../src/core/answering";
import { Unreachable } from "../src/core/errors";
import { Device } from "../src/core/library";
import { alarmsOf, stateOf } from "../src/core/receiving";
import { makeSaid, openSaid, type Said } from "../src/core/said";
import { appendCap, sealRecord, startOf } from "../src/core/stream";
import { HttpTransport, type Transport } from "../src/core/transport";
import { SigningKey } from "../src/crypto/sign";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

const line = { online: true, ahead: 0 };
const clock = () => Math.floor(Date.now() / 1000) + line.ahead;
function phone(): LocalEngine {
  const device = new Device(
    new MemoryStore(),
    (address): Transport => {
      const http = new HttpTransport(address);
      return {
        exchange: (ops, atomic) => {
          if (!line.online) throw new Unreachable("offline");
          return http.exchange(ops, atomic);
        },
      };
    },
    { clock },
  );
  return new LocalEngine(device);
}

const soon = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

async function shown() {
  const nora = phone();
  const home = await nora.start("Thuis", "Nora", relay.address);
  const question = await nora.add(home, "information", "questions", { text: "Kan De Wit mee naar school?" });
  const request = await nora.add(home, "help", "requests", { what: "Vervoer", why: "Niemand rijdt" });
  await nora.sync();
  const all = { items: "all", fields: "all" } as const;
  const selection = { parts: { information: all, help: all } };
  const { grant, link } = await nora.grant(home, "De Wit", "Meekijken", soon(30), selection);
  const dewit = phone();
  await dewit.accept(link, "De Wit");
  await nora.sync();
  await dewit.sync();
  return { nora, home, dewit, grant, link, question, request };
}

async function carried(from: LocalEngine, to: LocalEngine): Promise<void> {
  await from.sync();
  await to.sync();
}

describe("what a professional says", () => {
  test("comes in once, in the sender's name, and is in the plan only when somebody takes it over", async () => {
    const { nora, home, dewit, grant, question, request } = await shown();
    const { parts } = await dewit.view(grant);
    const [asked = ""] = Object.keys(parts.information?.questions ?? {});
    const [wanted = ""] = Object.keys(parts.help?.requests ?? {});
    expect([question, request]).not.toContain(asked);
    line.online = false;
    await dewit.answerQuestion(grant, asked.slice(0, 8), "Ja, dat kan.");
    await expect(dewit.sync()).rejects.toMatchObject({ code: "offline" });
    line.online = true;
    await dewit.answerHelp(grant, wanted, "Er is een buurtbus");
    await dewit.proposeCondition(grant, "Er slaapt een volwassene in huis", "Sam is negen");
    await dewit.need(grant, "Een telefoonnummer");
    await dewit.ask(grant, "Wie haalt Sam op?");
    await expect(dewit.answerQuestion(grant, "0".repeat(20), "x")).rejects.toMatchObject({
      code: "no_such_item",
    });
    await expect(dewit.need(grant, "  ")).rejects.toMatchObject({ code: "bad_value" });
    await expect(dewit.ask(grant, "é".repeat(10_001))).rejects.toMatchObject({ code: "bad_value" });
    expect((await dewit.status()).unsent).toBe(5);
    await carried(dewit, nora);
    expect((await dewit.status()).unsent).toBe(0);

    const all = await nora.incoming(home);
    expect(all.map(({ from, what, about }) => [from, what, about])).toEqual([
      ["De Wit", "answer", question],
      ["De Wit", "answer_help", request],
      ["De Wit", "condition", null],
      ["De Wit", "need", null],
      ["De Wit", "ask", null],
    ]);
    expect(JSON.stringify(await nora.show(home))).not.toContain("Ja, dat kan.");
    for (const { incoming } of all) await nora.take(home, incoming);
    expect(await nora.incoming(home)).toEqual([]);
    await expect(nora.take(home, all[0]?.incoming ?? "")).rejects.toMatchObject({ code: "no_such_item" });
    const now = await nora.show(home);
    expect(now.information?.answers?.[all[0]?.incoming ?? ""]).toMatchObject({
      text: "Ja, dat kan.",
      about: { [question]: true },
      by: "De Wit",
    });
    expect(now.help?.requests?.[request]).toMatchObject({ status: "answered" });
    expect(Object.values(now.help?.answers ?? {})).toMatchObject([{ text: "Er is een buurtbus" }]);
    expect(Object.values(now.safety?.conditions ?? {})).toMatchObject([
      { text: "Er slaapt een volwassene in huis", set_by: "De Wit", why: "Sam is negen", agreed: false },
    ]);
    expect(Object.values(now.safety?.needs ?? {})).toMatchObject([
      { text: "Een telefoonnummer", by: "De Wit" },
    ]);
    expect(now.information?.questions?.[all[4]?.incoming ?? ""]).toMatchObject({
      text: "Wie haalt Sam op?",
      author: "De Wit",
    });

    // A second word on the same question stands beside the first.
    await dewit.sync();
    await dewit.answerQuestion(grant, asked, "En anders mijn collega.");
    await carried(dewit, nora);
    const [second] = await nora.incoming(home);
    await nora.take(home, second?.incoming ?? "");
    const after = await nora.show(home, "information");
    expect(Object.values(after.answers ?? {}).map(({ text }) => text)).toEqual(
      expect.arrayContaining(["Ja, dat kan.", "En anders mijn collega."]),
    );
    expect((await nora.status()).alarms).toEqual([]);
    expect((await dewit.status()).alarms).toEqual([]);
  });

  test("receipts: opened once for each version, a copy is reported before it is given", async () => {
    const { nora, home, dewit, grant } = await shown();
    await dewit.opened(grant);
    await dewit.opened(grant);
    expect(dewit.device.store.outbox(alarmsOf((await dewit.device.grantRow(grant)).grant))).toHaveLength(1);
    const copy = await dewit.saveCopy(grant);
    expect(JSON.parse(copy.content)).toMatchObject({ from: "Nora", for: "De Wit", grant, version: 1 });
    expect((await nora.access(home))[0]).toMatchObject({ opened: null, copied: null });
    await carried(dewit, nora);
    const day = new Date().toISOString().slice(0, 10);
    expect((await nora.access(home))[0]).toMatchObject({ opened: day, copied: day });
    expect(await nora.incoming(home)).toEqual([]);
  });

  test("nobody else's words pass for the reader's, and none twice", async () => {
    const { nora, home, dewit, grant } = await shown();
    await dewit.need(grant, "Een nummer");
    await carried(dewit, nora);
    const row = await dewit.device.grantRow(grant);
    const { up } = stateOf(row);
    const secrets = upSecrets(row);
    const cap = appendCap(secrets);
    if (!cap) throw new Error("no capability");
    const [first] = dewit.device.store.records(alarmsOf(row.grant), up);
    // A member of the circle holds the keys of `up` too: laid there again, and signed by another.
    const stranger = await SigningKey.fromSeed(new Uint8Array(32).fill(7));
    const said: Said = {
      grant: row.grant,
      n: 9_999_999_999,
      length: 0,
      chain: startOf(up).chain,
      what: "need",
      at: 1,
      text: "Van een ander",
      why: "",
      of: "",
      v: 0,
    };
    const forged = await makeSaid(stranger, up, said);
    const record = await sealRecord(secrets, forged, new Uint8Array(24).fill(1));
    const http = new HttpTransport(relay.address);
    await http.exchange([{ op: "append", stream: up, cap, record, expect: null }]);
    await nora.sync();
    expect((await nora.incoming(home)).map(({ text }) => text)).toEqual(["Een nummer"]);
    expect((await nora.status()).alarms.map(({ code }) => code)).toEqual(["bad_view"]);
    await expect(openSaid(forged, up, row.grant, stranger.public, said.n)).rejects.toMatchObject({
      code: "not_newer",
    });
    expect(first).toBeDefined();
  });
});

describe("the end of a view", () => {
  test("the copy is dropped when the day passes, with nobody online; a withdrawal takes what waits with it", async () => {
    const { dewit, grant } = await shown();
    const id = alarmsOf((await dewit.device.grantRow(grant)).grant);
    await dewit.ask(grant, "Nog een vraag");
    line.online = false;
    line.ahead = 32 * 86_400;
    try {
      expect(await dewit.view(grant)).toMatchObject({ state: "ended", parts: {} });
      await expect(dewit.ask(grant, "x")).rejects.toMatchObject({ code: "withdrawn" });
      const [row] = dewit.device.views();
      expect(row?.view.length, "a digest and no word").toBe(32);
      // This device's clock alone says so: the relay does not, and people are told.
      line.online = true;
      await dewit.sync();
      expect(dewit.device.store.alarms(id).map(({ code }) => code)).toContain("clock");
      expect((await dewit.view(grant)).state).toBe("ended");
      // Set right, the view is read anew, and what was to be said goes out.
      line.ahead = 0;
      await dewit.sync();
      const seen = await dewit.view(grant);
      expect(seen.state).toBe("open");
      expect(Object.values(seen.parts.help?.requests ?? {})).toMatchObject([{ what: "Vervoer" }]);
      expect(dewit.device.store.alarms(id)).toEqual([]);
      expect(dewit.device.store.outbox(id)).toEqual([]);
    } finally {
      line.online = true;
      line.ahead = 0;
    }
    const other = await shown();
    await other.nora.withdraw(other.home, other.grant);
    await other.dewit.sync();
    expect(await other.dewit.view(other.grant)).toMatchObject({ state: "stopped", parts: {} });
    await expect(other.dewit.saveCopy(other.grant)).rejects.toMatchObject({ code: "withdrawn" });
  });

  test("a colleague takes over in one step, and the one before reads no more", async () => {
    const { nora, home, dewit, grant } = await shown();
    const given = await nora.renew(home, grant, "Bakker");
    const bakker = phone();
    await bakker.accept(given.link, "Bakker");
    await nora.sync();
    await bakker.sync();
    await dewit.sync();
    expect((await dewit.view(grant)).state).toBe("stopped");
    const seen = await bakker.view(given.grant);
    expect(Object.values(seen.parts.help?.requests ?? {})).toMatchObject([{ what: "Vervoer" }]);
    const rows = await nora.access(home);
    expect(rows.map(({ to, purpose, state }) => [to, purpose, state]).sort()).toEqual([
      ["Bakker", "Meekijken", "running"],
      ["De Wit", "Meekijken", "stopped"],
    ]);
    expect(rows[0]?.until).toBe(rows[1]?.until);
  });
});
