// From the first moment: what begins a case is at the relay before anything is decided in it, with the founder's own box.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LocalEngine } from "../src/app/local-engine";
import { type DeviceId, hex, unhex } from "../src/core/ids";
import { bagOf, openBags } from "../src/core/keys";
import { BOXES_IN_A_RECORD, keysAppends } from "../src/core/session/acting";
import { allTold } from "../src/core/session/boxes";
import { openRecord } from "../src/core/stream";
import { codes, Phone } from "./phone";
import { type Relay, startRelay } from "./relay";

let relay: Relay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

describe("starting", () => {
  test("who started a moment ago, or without a connection, invites as soon as there is one", async () => {
    const nora = new Phone();
    const engine = new LocalEngine(nora);
    nora.switch.online = false;
    const id = await engine.start("Thuis", "Nora", relay.address);
    nora.switch.online = true;
    const link = await engine.invite(id, "member", "Fatima");
    const fatima = new Phone();
    await fatima.join(link, "Fatima");
    await engine.sync();
    const there = await fatima.case(id);
    await there.sync();
    expect(there.people().map(({ name }) => name)).toEqual(["Nora", "Fatima"]);
    expect(codes(await nora.case(id))).toEqual([]);
  });

  test("at an address where no relay is, it fails at once, and nothing is kept", async () => {
    const other = createServer((_, response) => response.writeHead(404).end("no page here"));
    await new Promise<void>((resolve) => {
      other.listen(0, "127.0.0.1", resolve);
    });
    const { port } = other.address() as AddressInfo;
    const nora = new Phone();
    const begun = nora.start("Thuis", `http://127.0.0.1:${port}`, "Nora");
    await expect(begun).rejects.toMatchObject({ code: "bad_argument" });
    expect(nora.store.cases()).toEqual([]);
    other.close();
  });

  test("the founder has a box of the own, with every room", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const told = await allTold(home.session);
    expect(told.map(({ room }) => room).sort()).toEqual([...home.charter.rooms.keys()].sort());
    for (const { room, epoch, secret } of told) {
      expect(hex(home.session.ring.secret(room, epoch) as Uint8Array)).toBe(hex(secret));
    }
    expect(codes(home)).toEqual([]);
  });

  test("boxes of a very large circle go into several records, and each finds its own", async () => {
    const nora = new Phone();
    const home = await nora.start("Thuis", relay.address, "Nora");
    await home.sync();
    const { session } = home;
    const [known] = home.charter.devices.values();
    if (!known) throw new Error("a case without a device");
    const many = Array.from({ length: BOXES_IN_A_RECORD + 1 }, (_, n) => n.toString(16).padStart(32, "0"));
    const devices = new Map(many.map((id) => [id, { ...known, device: unhex<DeviceId>(id) }] as const));
    const charter = home.charter.with({ devices: new Map([...home.charter.devices, ...devices]) });
    const bags = new Map([...devices.keys()].map((id) => [id, bagOf([], [], [])] as const));
    const ops = await keysAppends(session, charter, bags);
    expect(ops).toHaveLength(2);
    const { keysStream, keysSecret } = session.row;
    if (!keysStream || !keysSecret) throw new Error("a case without keys");
    const found: boolean[][] = [];
    for (const { record } of ops) {
      const at = { stream: keysStream, read: { secret: keysSecret, epoch: 0 } };
      const payload = await openRecord(at, record);
      const opens = [many[0], many.at(-1)].map(async (id) =>
        openBags(
          payload,
          home.id,
          keysStream,
          keysSecret,
          unhex<DeviceId>(id as string),
          await session.keys.box(),
        ),
      );
      found.push((await Promise.all(opens)).map((bag) => bag !== undefined));
    }
    expect(found).toEqual([
      [true, false],
      [false, true],
    ]);
  });
});
