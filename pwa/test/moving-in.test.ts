// Moving in by an address alone, on the real relay: Nora's page, Fatima's page, her home screen, and who found the address.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../src/app/memory-store";
import { Unreachable } from "../src/core/errors";
import { hallSecrets, openHall } from "../src/core/hall";
import { hex, type RecordBytes } from "../src/core/ids";
import { type Case, Device } from "../src/core/library";
import { parseLink } from "../src/core/link";
import { lookInside, moveIn } from "../src/core/moving-in";
import { LIFE_SECONDS, makeAddress, moving, takeBack } from "../src/core/moving-out";
import { devices, removeDevice } from "../src/core/own-devices";
import { RECOVERING, wake } from "../src/core/sleeping";
import { openRecord, readCap } from "../src/core/stream";
import { HttpTransport, type Transport } from "../src/core/transport";
import type { Operation } from "../src/core/wire";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

class Phone extends Device {
  readonly line: { breaks: (ops: readonly Operation[]) => boolean; late: boolean };

  constructor(clock?: () => number) {
    const line: Phone["line"] = { breaks: () => false, late: false };
    super(
      new MemoryStore(),
      (address): Transport => {
        const http = new HttpTransport(address);
        return {
          exchange: async (ops, atomic) => {
            if (!line.breaks(ops)) return http.exchange(ops, atomic);
            if (line.late) await http.exchange(ops, atomic);
            throw new Unreachable("offline");
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

async function family(clock?: () => number) {
  const nora = new Phone();
  const home = await nora.start("Thuis bij Nora", relay.address, "Nora");
  await home.add("plan", "agreements", { what: "Fatima komt" });
  const link = await home.invite("member", "Fatima");
  const page = new Phone(clock);
  await page.join(link, "Fatima");
  await nora.sync();
  await page.sync();
  await page.sync();
  await nora.sync();
  return { nora, home, page };
}

const words = (one: Case, part: string, collection: string, field: string) =>
  [...(one.show(part).get(collection)?.values() ?? [])].map((fields) => fields.get(field)).sort();
const kinds = (one: Case) =>
  devices(one)
    .map(({ kind }) => kind)
    .sort();

async function hallOf(link: string) {
  const parsed = parseLink(link);
  const cap = readCap(hallSecrets(parsed));
  if (!cap) throw new Error("no capability");
  const read = { op: "read", stream: parsed.doorstep, cap, after: 0, max_bytes: 1_000_000 } as const;
  const [result] = (await new HttpTransport(relay.address).exchange([read])).results;
  const record = result && "records" in result ? (result.records[0] as RecordBytes) : undefined;
  if (!record) throw new Error("no hall");
  return openHall(await openRecord(hallSecrets(parsed), record), parsed.pin);
}

describe("moving in", () => {
  test("by the address alone, with nobody else awake; the page stays, and the address is dead", async () => {
    const { nora, home, page } = await family();
    const there = await page.only();
    await there.add("diary", "entries", { text: "Alleen voor mij" });
    await page.sync();
    const { link, left } = await makeAddress(page);
    expect(left).toEqual([]);
    expect((await makeAddress(page)).link).toBe(link);
    expect(kinds(there)).toEqual(["device", "link"]);

    const app = new Phone();
    expect(await lookInside(app, link)).toMatchObject({ name: "Fatima", cases: 1 });
    const done = await moveIn(app, link);
    expect([done.cases.map(hex), done.left]).toEqual([[hex(home.id)], []]);
    const now = await app.only();
    expect(words(now, "plan", "agreements", "what")).toEqual(["Fatima komt"]);
    expect(words(now, "diary", "entries", "text")).toEqual(["Alleen voor mij"]);
    expect(kinds(now)).toEqual(["device", "device"]);
    await now.add("plan", "agreements", { what: "Van het beginscherm" });
    await app.sync();

    await page.sync();
    expect(words(there, "plan", "agreements", "what")).toEqual(["Fatima komt", "Van het beginscherm"]);
    const told = await moving(page);
    expect(told.state).toBe("used");
    expect(told.came.map(({ device }) => hex(device))).toEqual([hex(now.session.device())]);
    await nora.sync();
    await nora.sync();
    for (const device of [nora, page, app]) {
      await device.sync();
      expect(device.store.alarms(home.id)).toEqual([]);
    }
    await expect(moveIn(new Phone(), link)).rejects.toMatchObject({ code: "link_used" });
    // The icon keeps the dead address: on both it leads home.
    for (const device of [page, app]) {
      await expect(lookInside(device, link)).rejects.toMatchObject({ code: "already_member" });
    }
  }, 150_000);

  test("every case comes along, and an owner's rooms are turned at once", async () => {
    const { nora, home } = await family();
    const work = await nora.start("Werk", relay.address, "Nora");
    await nora.sync();
    const { link } = await makeAddress(nora);
    const app = new Phone();
    const { cases } = await moveIn(app, link);
    expect(cases.map(hex).sort()).toEqual([hex(home.id), hex(work.id)].sort());
    for (const one of await app.cases()) expect(one.charter.dueRooms()).toEqual([]);
  }, 150_000);

  test("of two at once one comes in; the other is told, and keeps nothing and loses nothing", async () => {
    const { page } = await family();
    const { link } = await makeAddress(page);
    const [first, second] = [new Phone(), new Phone()];
    const results = await Promise.allSettled([moveIn(first, link), moveIn(second, link)]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = results.find((one) => one.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: "link_used" });
    const other = results[0]?.status === "rejected" ? first : second;
    expect(other.store.cases()).toEqual([]);
    await page.sync();
    expect(kinds(await page.only())).toEqual(["device", "device"]);
  }, 150_000);

  test("who is interrupted anywhere moves in with the same address", async () => {
    const { page, home } = await family();
    const { link } = await makeAddress(page);
    for (const late of [false, true]) {
      await takeBack(page);
      const address = (await makeAddress(page)).link;
      const app = new Phone();
      app.line.late = late;
      let halfway = 0;
      for (let after = 1; after < 30; after += 1) {
        let left = after;
        app.line.breaks = () => {
          left -= 1;
          return left < 0;
        };
        const done = await moveIn(app, address).catch(() => undefined);
        if (app.store.fact(home.id, RECOVERING)) {
          halfway += 1;
          expect(await app.cases()).toEqual([]);
        }
        if (done) break;
      }
      expect(halfway).toBeGreaterThan(1);
      app.line.breaks = () => false;
      await app.sync();
      expect(words(await app.only(), "plan", "agreements", "what")).toEqual(["Fatima komt"]);
      await page.sync();
    }
    await expect(moveIn(new Phone(), link)).rejects.toMatchObject({ code: "link_used" });
  }, 150_000);

  test("whoever was interrupted comes in after the locks were turned", async () => {
    const { nora, home, page } = await family();
    const { link } = await makeAddress(page);
    const app = new Phone();
    app.line.late = true;
    // The answer to the entry is lost, and an owner turns the locks before it is asked for again.
    app.line.breaks = (ops) => ops.some((op) => op.op === "append");
    await expect(moveIn(app, link)).rejects.toMatchObject({ code: "offline" });
    app.line.breaks = () => false;
    await nora.sync();
    await nora.sync();
    await home.add("plan", "agreements", { what: "Na de sloten" });
    await nora.sync();
    await moveIn(app, link);
    await app.sync();
    expect(words(await app.only(), "plan", "agreements", "what")).toEqual(["Fatima komt", "Na de sloten"]);
  }, 150_000);
});

describe("an address ends", () => {
  test("when it is taken back, when its days are over, and with a phone that is put out", async () => {
    let now = Math.floor(Date.now() / 1000);
    const { page } = await family(() => now);
    const there = await page.only();
    const first = await makeAddress(page);
    await takeBack(page);
    expect(kinds(there)).toEqual(["device"]);
    expect((await moving(page)).state).toBe("none");
    await expect(moveIn(new Phone(), first.link)).rejects.toMatchObject({ code: "link_used" });

    const second = await makeAddress(page);
    now += LIFE_SECONDS - 60;
    await page.sync();
    expect(kinds(there)).toEqual(["device", "link"]);
    now += 61;
    await page.sync();
    expect(kinds(there)).toEqual(["device"]);
    await expect(moveIn(new Phone(), second.link)).rejects.toMatchObject({ code: "link_used" });

    now = Math.floor(Date.now() / 1000);
    const third = await makeAddress(page);
    const tablet = new Phone();
    await moveIn(tablet, third.link);
    await page.sync();
    await takeBack(page);
    const fourth = await makeAddress(page); // whoever took the phone made it
    await tablet.sync();
    const one = await tablet.only();
    const lost = devices(one).find(({ kind, isThis }) => kind === "device" && !isThis);
    await removeDevice(one, hex(lost?.device ?? new Uint8Array()));
    expect(kinds(one)).toEqual(["device"]);
    await expect(moveIn(new Phone(), fourth.link)).rejects.toMatchObject({ code: "link_expired" });
  }, 150_000);

  test("unused when its days are over: its maker's device closes it then, and nobody is told that it was used", async () => {
    let behind = 0;
    const { page } = await family(() => Math.floor(Date.now() / 1000) - behind);
    const used = await makeAddress(page);
    await takeBack(page);
    behind = LIFE_SECONDS - 12;
    const { link, until } = await makeAddress(page);
    behind = 0;
    await new Promise((resolve) => setTimeout(resolve, until * 1000 - Date.now() + 1000));
    await expect(moveIn(new Phone(), link)).rejects.toMatchObject({ code: "link_expired" });
    await page.sync();
    expect((await moving(page)).state).toBe("none");
    await expect(moveIn(new Phone(), link)).rejects.toMatchObject({ code: "link_expired" });
    await expect(moveIn(new Phone(), used.link)).rejects.toMatchObject({ code: "link_used" });
  }, 150_000);

  test("with its person: who was put out comes in by no address of before, nor by its seeds", async () => {
    const { nora, home, page } = await family();
    const { link } = await makeAddress(page);
    const [sheet] = (await hallOf(link)).sheets;
    if (!sheet) throw new Error("an empty hall");
    await nora.sync();
    await home.remove("Fatima");
    await home.add("plan", "agreements", { what: "Roerdomp" });
    await nora.sync();
    const app = new Phone();
    await expect(moveIn(app, link)).rejects.toThrow();
    expect(app.store.cases()).toEqual([]);
    const thief = new Phone();
    const { session } = await wake(thief, sheet);
    expect(!session.charter || session.row.state === "removed").toBe(true);
  }, 150_000);

  test("offline nothing is begun, and it is done later", async () => {
    const { page } = await family();
    page.line.breaks = () => true;
    await expect(makeAddress(page)).rejects.toMatchObject({ code: "offline" });
    expect((await moving(page)).state).toBe("none");
    page.line.breaks = () => false;
    const { link } = await makeAddress(page);
    const app = new Phone();
    app.line.breaks = () => true;
    await expect(moveIn(app, link)).rejects.toMatchObject({ code: "offline" });
    app.line.breaks = () => false;
    expect((await moveIn(app, link)).cases).toHaveLength(1);
  }, 150_000);
});
