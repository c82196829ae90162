// From paper to writing again, on the real relay: two phones of Nora, Fatima, and a thief.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../src/app/memory-store";
import { Unreachable } from "../src/core/errors";
import { hex, named, type RecordBytes } from "../src/core/ids";
import { type Case, Device } from "../src/core/library";
import { addDevice, devices, removeDevice } from "../src/core/own-devices";
import { codeSecrets, makeRecord, openCode, openRecord, type Sheet, spaceSecrets } from "../src/core/paper";
import { hasSheet, makeCode, recover, spaceOf } from "../src/core/recovery";
import { ownDoors, SLOT_SECONDS } from "../src/core/session/own-door";
import { RECOVERING, sheetFor } from "../src/core/sleeping";
import { NO_CASE } from "../src/core/store";
import { appendCap, startOf } from "../src/core/stream";
import { HttpTransport, type Transport } from "../src/core/transport";
import type { Operation } from "../src/core/wire";
import { decodeCode } from "../src/crypto/words";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** A phone whose connection breaks where a test says so. */
class Phone extends Device {
  readonly line: { breaks: (ops: readonly Operation[]) => boolean };

  constructor(clock?: () => number) {
    const line: Phone["line"] = { breaks: () => false };
    super(
      new MemoryStore(),
      (address): Transport => {
        const http = new HttpTransport(address);
        return {
          exchange: (ops, atomic) => {
            if (line.breaks(ops)) throw new Unreachable("offline");
            return http.exchange(ops, atomic);
          },
        };
      },
      clock ? { clock } : {},
    );
    this.line = line;
  }

  async only(): Promise<Case> {
    const [one] = await this.cases();
    if (!one) throw new Error("no case here");
    return one;
  }
}

async function nora(title = "Thuis bij Nora") {
  const phone = new Phone();
  const home = await phone.start(title, relay.address, "Nora");
  await home.add("plan", "agreements", { what: "Fatima komt" });
  await home.add("diary", "entries", { text: "Alleen voor mij" });
  await phone.sync();
  return { phone, home };
}

const words = (one: Case, part: string, collection: string, field: string) =>
  [...(one.show(part).get(collection)?.values() ?? [])].map((fields) => fields.get(field));

describe("the recovery code", () => {
  test("brings every case back with full rights, with nobody else online, and puts the lost phone out", async () => {
    const { phone, home } = await nora();
    const { code } = await makeCode(phone);
    const second = await phone.start("Werk", relay.address, "Nora");
    await phone.sync(); // a case that comes later is on the paper too
    const space = spaceOf(phone);
    expect(space && hasSheet(phone, second, space)).toBe(true);

    const fresh = new Phone();
    const back = await recover(fresh, code, relay.address);
    expect(back.cases.map(hex).sort()).toEqual([hex(home.id), hex(second.id)].sort());
    expect(back.left).toEqual([]);
    expect(back.code).not.toBe(code);
    const there = await fresh.case(hex(home.id));
    expect(words(there, "plan", "agreements", "what")).toEqual(["Fatima komt"]);
    expect(words(there, "diary", "entries", "text")).toEqual(["Alleen voor mij"]);
    expect(devices(there).map(({ kind, isThis }) => [kind, isThis])).toEqual([
      ["device", true],
      ["paper", false],
    ]);
    // Writes, invites, and gives access: all that an owner may.
    await there.add("plan", "agreements", { what: "Weer terug" });
    await there.invite("member", "Fatima");
    await fresh.sync();
    expect(fresh.store.alarms(there.id)).toEqual([]);

    await phone.sync();
    expect((await phone.case(hex(home.id))).session.row.state).toBe("removed");
    // The old code opens nothing any more.
    await expect(recover(new Phone(), code, relay.address)).rejects.toMatchObject({ code: "link_expired" });
  });

  test("a new code kills the old one; without the old one both work, and that is said", async () => {
    const { phone, home } = await nora();
    const first = await makeCode(phone);
    expect(first.older).toBe(0);
    const second = await makeCode(phone, first.code);
    expect(second.older).toBe(0);
    await expect(recover(new Phone(), first.code, relay.address)).rejects.toMatchObject({
      code: "link_expired",
    });
    await expect(makeCode(phone, first.code)).rejects.toMatchObject({ code: "bad_value" });
    await phone.sync();
    expect(devices(home).filter(({ kind }) => kind === "paper")).toHaveLength(1);
    const third = await makeCode(phone);
    expect(third.older).toBe(1);
    // The older paper stands above the younger one: whoever has the phone cannot throw it away.
    const back = await recover(new Phone(), second.code, relay.address);
    expect(back.cases).toHaveLength(1);
    await expect(recover(new Phone(), third.code, relay.address)).rejects.toMatchObject({ code: "removed" });
  });

  test("a typing error is found before anything is asked of a relay", async () => {
    const { phone } = await nora();
    const { code } = await makeCode(phone);
    const typed = code.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    const fresh = new Phone();
    fresh.line.breaks = () => {
      throw new Error("it asked");
    };
    await expect(recover(fresh, typed, relay.address)).rejects.toMatchObject({ code: "bad_code" });
    await expect(makeCode(new Phone())).rejects.toMatchObject({ code: "not_yet" });
  });

  test("a thief with the phone finds no seed of paper there, and what the thief adds opens nothing", async () => {
    const { phone, home } = await nora();
    const { code } = await makeCode(phone);
    const opened = await openCode(decodeCode(code), relay.address);
    const space = spaceOf(phone);
    if (!space) throw new Error("no space");
    expect(codeSecrets(opened).manage).toBeDefined();
    expect(spaceSecrets(space).manage).toBeUndefined();
    const kept = phone.store.records(NO_CASE, space.stream);
    expect(kept).toHaveLength(1);
    const sheet = await openRecord(opened, kept[0]?.record as RecordBytes);
    expect(hex(sheet?.case as Uint8Array)).toBe(hex(home.id));
    expect(hex(sheet?.seed as Uint8Array)).not.toBe(hex(phone.store.case(home.id)?.seed as Uint8Array));

    // Noise, and a sheet with a seed of the thief's for the same case.
    const { stream } = space;
    const cap = appendCap(spaceSecrets(space));
    if (!cap || !sheet) throw new Error("no capability");
    const false_ = { ...sheet, seed: crypto.getRandomValues(new Uint8Array(32)) };
    const at = startOf(stream);
    const nonce = crypto.getRandomValues(new Uint8Array(24));
    const forged = await makeRecord(space, false_, 1, at.chain, nonce);
    const noise = named<RecordBytes>(crypto.getRandomValues(new Uint8Array(300)));
    const http = new HttpTransport(relay.address);
    for (const record of [forged, noise]) {
      await http.exchange([{ op: "append", stream, cap, record, expect: null }]);
    }
    const fresh = new Phone();
    const back = await recover(fresh, code, relay.address);
    expect(back.cases.map(hex)).toEqual([hex(home.id)]);
    expect(back.left).toEqual([]);
  });

  test("who is interrupted anywhere begins again with the same code; half a case is nobody's", async () => {
    const { phone, home } = await nora();
    const { code } = await makeCode(phone);
    let steps = 0;
    const counting = new Phone();
    counting.line.breaks = () => {
      steps += 1;
      return false;
    };
    // How many round trips it takes, on a case of its own.
    const other = await nora("Elders");
    await recover(counting, (await makeCode(other.phone)).code, relay.address);
    expect(steps).toBeGreaterThan(8);

    const fresh = new Phone();
    let halfway = 0;
    for (let after = 1; after < steps; after += 2) {
      let left = after;
      fresh.line.breaks = () => {
        left -= 1;
        return left < 0;
      };
      await recover(fresh, code, relay.address).catch(() => undefined);
      if (fresh.store.fact(home.id, RECOVERING)) {
        halfway += 1;
        expect(await fresh.cases()).toEqual([]);
        await fresh.sync(); // the background must not act as the paper
      }
      const isBack = (await fresh.cases()).some(({ session }) => session.row.state === "open");
      if (isBack) break;
    }
    expect(halfway).toBeGreaterThan(1);
    fresh.line.breaks = () => false;
    const back = await recover(fresh, code, relay.address).catch((error) => error);
    const there = await fresh.only();
    await fresh.sync();
    expect(words(there, "plan", "agreements", "what")).toEqual(["Fatima komt"]);
    expect(devices(there).filter(({ kind }) => kind === "device")).toHaveLength(1);
    // Interrupted after the old paper went, the code is dead: then a new one is made by the phone that is back.
    const codeNow = back instanceof Error ? (await makeCode(fresh)).code : back.code;
    expect((await recover(new Phone(), codeNow, relay.address)).cases).toHaveLength(1);
  }, 150_000);
});

/** As whoever has the phone can: what it keeps of the paper is enough to add to it. */
async function addSheet(phone: Phone, sheet: Sheet): Promise<void> {
  const space = spaceOf(phone);
  const cap = space && appendCap(spaceSecrets(space));
  if (!space || !cap) throw new Error("no paper");
  const nonce = crypto.getRandomValues(new Uint8Array(24));
  const record = await makeRecord(space, sheet, 0, startOf(space.stream).chain, nonce);
  const op = { op: "append", stream: space.stream, cap, record, expect: null } as const;
  await new HttpTransport(space.relay).exchange([op]);
}

test("a thief with the phone leads nobody to another relay, and a relay that is gone keeps no other case away", async () => {
  const { phone, home } = await nora();
  const { code } = await makeCode(phone);
  const sheet = sheetFor(phone, home);
  if (!sheet) throw new Error("no sheet");
  // Nobody is there; a thief would keep a copy of the case there, with a paper of the thief's own in it.
  const false_ = { ...sheet, relay: "http://127.0.0.1:1" };
  await addSheet(phone, false_);
  const back = await recover(new Phone(), code, relay.address);
  expect(back.cases.map(hex)).toEqual([hex(home.id)]);

  const other = await nora("Elders");
  const second = await makeCode(other.phone);
  await addSheet(other.phone, false_);
  const fresh = new Phone();
  await expect(recover(fresh, second.code, relay.address)).rejects.toThrow(Unreachable);
  expect((await fresh.only()).id).toEqual(other.home.id);
  // The person gives that one up: a new paper for what is here.
  expect((await makeCode(fresh, second.code)).code).not.toBe(second.code);
});

test("no code takes the place of one that a case still comes back with", async () => {
  const { phone, home } = await nora();
  const { code } = await makeCode(phone);
  const fresh = new Phone();
  await fresh.start("Iets anders", relay.address, "Nora");
  let left = 8;
  fresh.line.breaks = () => {
    left -= 1;
    return left < 0;
  };
  await recover(fresh, code, relay.address).catch(() => undefined);
  fresh.line.breaks = () => false;
  expect(fresh.store.fact(home.id, RECOVERING)).toBeDefined();
  await expect(makeCode(fresh, code)).rejects.toMatchObject({ code: "not_yet" });
  expect(spaceOf(fresh)).toBeUndefined(); // and none is begun
  expect((await recover(fresh, code, relay.address)).cases.map(hex)).toEqual([hex(home.id)]);
});

describe("own devices", () => {
  test("own doors are asked for only while a link of the person can be out", async () => {
    let now = Math.floor(Date.now() / 1000);
    const phone = new Phone(() => now);
    const home = await phone.start("Thuis", relay.address, "Nora");
    const asked = async (): Promise<number> => {
      const own = new Set(ownDoors(home.session).map(({ stream }) => hex(stream)));
      const read = new Set<string>();
      phone.line.breaks = (ops) => {
        for (const op of ops) if (op.op === "read" && own.has(hex(op.stream))) read.add(hex(op.stream));
        return false;
      };
      await home.sync();
      return read.size;
    };
    expect(await asked()).toBe(0);
    const link = await addDevice(home);
    expect(await asked()).toBe(4);
    const second = new Phone(() => now);
    await second.join(link, "x");
    await home.sync();
    await second.sync();
    now += 3 * SLOT_SECONDS;
    expect(await asked()).toBe(4); // of a link that the other one makes nothing tells this one
    const other = devices(home).find(({ isThis }) => !isThis);
    await removeDevice(home, hex(other?.device ?? new Uint8Array()));
    expect(await asked()).toBe(0);
  }, 150_000);

  test("a link brings a second phone in with all rights; it is listed, and put out", async () => {
    const { phone, home } = await nora();
    const link = await addDevice(home);
    expect(await addDevice(home)).toBe(link); // of this hour there is one door
    const second = new Phone();
    expect((await second.greet(link)).from).toBe("Nora");
    await second.join(link, "wordt niet gevraagd");
    await home.sync();
    await second.sync();
    const there = await second.only();
    expect(words(there, "diary", "entries", "text")).toEqual(["Alleen voor mij"]);
    await there.add("diary", "entries", { text: "Van mijn tablet" });
    await second.sync();
    await phone.sync();
    expect(words(home, "diary", "entries", "text").sort()).toEqual(["Alleen voor mij", "Van mijn tablet"]);
    expect(devices(home).map(({ kind, isThis }) => [kind, isThis])).toEqual([
      ["device", true],
      ["device", false],
    ]);

    // The link is dead, and another one lets in another device.
    const third = new Phone();
    await expect(third.join(link, "Nora")).rejects.toMatchObject({ code: "link_used" });
    const lost = devices(home).find(({ isThis }) => !isThis);
    if (!lost) throw new Error("no second device");
    await expect(removeDevice(home, "ffffffff")).rejects.toMatchObject({ code: "no_such_item" });
    expect(await removeDevice(home, hex(lost.device))).toEqual({ removed: lost.device, renewed: [] });
    await home.add("diary", "entries", { text: "Na het verlies" });
    await phone.sync();
    await second.sync();
    expect(there.session.row.state).toBe("removed");
    expect(phone.store.alarms(home.id)).toEqual([]);
  });

  test("a link of yesterday opens nothing", async () => {
    let now = Math.floor(Date.now() / 1000);
    const phone = new Phone(() => now);
    const home = await phone.start("Thuis", relay.address, "Nora");
    await phone.sync();
    const link = await addDevice(home);
    const second = new Phone();
    await second.join(link, "Nora");
    now += 3 * 3600;
    await home.sync();
    await second.sync().catch(() => undefined);
    expect(second.store.cases()[0]?.state).toBe("waiting");
    expect(devices(home)).toHaveLength(1);
  });
});
