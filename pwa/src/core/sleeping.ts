/**
 * Entering as a device that was only a seed, on paper or in an address, and putting a real one in its place. Mirror of
 * core/eigenkring/sleeping.py. Spec: docs/spec/recovery.md. Each step may be interrupted and done again.
 */
import { DeviceKeys } from "../crypto/device";
import type { Case } from "./case";
import * as compose from "./charter/compose";
import { deviceId, type Keys, type Sleeping } from "./charter/entry";
import { Refused, RelayMisbehaved } from "./errors";
import { type DeviceId, same } from "./ids";
import type { Device } from "./library";
import type { Sheet } from "./paper";
import { authorOf, exchangeOf, held } from "./session/acting";
import { CaseSession } from "./session/parts";
import type { StoredCase } from "./store";
import { accept, type PlacedRecord, type Position, readCap, type StreamSecrets } from "./stream";
import { roundTrip, SyncReport } from "./sync";
import type { Transport } from "./transport";
import { packPinned } from "./visiting";
import { isFailed, MAX_FRAME_BYTES, type Operation } from "./wire";

/**
 * The fact of a case that is on its way here: the seed of the device that is to live in it. Until then it is nobody's to
 * read or to sync.
 */
export const RECOVERING = "recovering";
const MAX_ROUNDS = 24;
const MAX_READS = 64;

/** A seed for a case, and where its keys lie; undefined where this device does not know that yet. */
export function sheetFor(device: Device, one: Case): Sheet | undefined {
  const { session } = one;
  const { keysStream, keysSecret, relay } = session.row;
  if (!keysStream || !keysSecret) return undefined;
  const { n, head } = session.known();
  const seed = device.around.random(32);
  return { case: session.case, relay, seed, keys: keysStream, secret: keysSecret, n, head };
}

export async function keysOf(seed: Uint8Array): Promise<{ readonly grown: DeviceKeys; readonly keys: Keys }> {
  const grown = await DeviceKeys.fromSeed(seed);
  return { grown, keys: { sign: grown.sign.public, box: grown.box.public } };
}

/** The entry that makes the seed a device. Throws Unreachable, Refused, Inadmissible. */
export async function addSleeper(one: Case, sheet: Sheet, sleeping: Sleeping): Promise<DeviceId> {
  const { session } = one;
  const { grown, keys } = await keysOf(sheet.seed);
  const signed = await compose.signNewDevice(session.case, session.me(), keys, grown.sign);
  await one.act(async (now) =>
    exchangeOf(now, await compose.addDevice(now.known(), authorOf(now), keys, sleeping, signed)),
  );
  return deviceId(session.case, keys);
}

/**
 * This home as the sleeping device of a sheet, caught up. What was known of the case here goes, but for the seed of the
 * device that is to come.
 */
export async function wake(
  device: Device,
  sheet: Sheet,
): Promise<{ readonly session: CaseSession; readonly transport: Transport }> {
  const { store } = device;
  const { random } = device.around;
  const { keys } = await keysOf(sheet.seed);
  let row: StoredCase = {
    case: sheet.case,
    relay: sheet.relay,
    state: "entering",
    seed: sheet.seed,
    incarnation: random(8),
    person: null,
    device: deviceId(sheet.case, keys),
    keysStream: sheet.keys,
    keysSecret: sheet.secret,
    joinedHead: null,
    link: null,
    title: "",
  };
  await store.step(() => {
    const known = store.case(sheet.case);
    if (known && same(known.seed, sheet.seed)) {
      row = known;
      return;
    }
    const kept = store.fact(sheet.case, RECOVERING);
    if (known) store.eraseCase(sheet.case);
    store.putCase(row);
    store.putFact(sheet.case, RECOVERING, kept ?? random(32));
    store.putFact(sheet.case, "pinned", packPinned([[sheet.n, sheet.head]]));
  });
  device.forget(sheet.case);
  const session = await CaseSession.open(store, row, device.around);
  const transport = device.transport(sheet.case, sheet.relay);
  await catchUp(session, transport);
  return { session, transport };
}

/** Reads all there is. Without duties: what sleeps only wakes to let its person in. */
export async function catchUp(session: CaseSession, transport: Transport): Promise<void> {
  session.beginSync();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (!(await roundTrip(session, transport, new SyncReport()))) return;
  }
}

/** The seed of the device that takes its place. */
export function comingSeed(session: CaseSession): Uint8Array {
  const seed = session.store.fact(session.case, RECOVERING);
  if (!seed) throw new Error("waking without the seed of the new device");
  return seed;
}

/** From here on this home is the new device. */
export async function takePlace(device: Device, session: CaseSession): Promise<void> {
  const { store } = device;
  const caseId = session.case;
  const seed = comingSeed(session);
  const { keys } = await keysOf(seed);
  const { row } = session;
  await store.step(() => {
    store.putCase({
      ...row,
      seed,
      device: deviceId(caseId, keys),
      incarnation: device.around.random(8),
      state: row.state === "removed" ? "open" : row.state,
    });
    store.putFact(caseId, RECOVERING, null);
    store.dropAlarm(caseId, "removed", "charter");
  });
  device.forget(caseId);
}

// --- streams of one person

/** All or nothing. Throws Refused, Unreachable. */
export async function sent(transport: Transport, ops: readonly Operation[]): Promise<void> {
  const { results } = await transport.exchange(ops, true);
  const failed = results.filter(isFailed).find(({ code }) => code !== "not_done");
  if (failed) throw new Refused(failed.code);
}

/** The records after a position. Throws Refused, RelayMisbehaved, Unreachable. */
export async function readFrom(
  transport: Transport,
  secrets: StreamSecrets,
  from: Position,
): Promise<PlacedRecord[]> {
  const found: PlacedRecord[] = [];
  const { stream } = secrets;
  const cap = held(readCap(secrets));
  let at = from;
  for (let round = 0; round < MAX_READS; round++) {
    const read = { op: "read", stream, cap, after: at.length, max_bytes: MAX_FRAME_BYTES } as const;
    const result = (await transport.exchange([read])).results[0];
    if (!result) throw new RelayMisbehaved("relay_garbage", "an answer is missing");
    if (isFailed(result)) throw new Refused(result.code);
    if (!("records" in result)) {
      throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
    }
    const { placed, position, more } = accept(at, result, () => undefined);
    found.push(...placed);
    at = position;
    if (!more || placed.length === 0) break;
  }
  return found;
}
