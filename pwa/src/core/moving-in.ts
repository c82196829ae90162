/**
 * Moving in by an address alone, with nobody else awake, every case of it on this device, once: mirror of
 * core/eigenkring/moving_in.py. Spec: docs/spec/recovery.md, Moving in.
 *
 * The address is made by `moving-out`. Each step may be interrupted and done again.
 */
import { CryptoError } from "../crypto/errors";
import * as compose from "./charter/compose";
import { deviceId } from "./charter/entry";
import { isHere } from "./charter/state";
import { type EigenkringError, Ended, Inadmissible, Misuse, Refused, Unreachable } from "./errors";
import { type Hall, hallSecrets, MOVE, openHall } from "./hall";
import { type CaseId, hex, join, same } from "./ids";
import type { Device } from "./library";
import { type Link, parseLink } from "./link";
import { closeHall, isOut, letInBy, mayFail, type NotMoved } from "./moving-out";
import type { Sheet } from "./paper";
import { authorOf, type Exchange, exchangeOf } from "./session/acting";
import { takeKeys } from "./session/boxes";
import { CaseSession } from "./session/parts";
import { catchUp, comingSeed, keysOf, RECOVERING, readFrom, takePlace, wake } from "./sleeping";
import { NO_CASE } from "./store";
import { openRecord, type PlacedRecord, startOf } from "./stream";
import { act, SyncReport } from "./sync";
import type { Transport } from "./transport";

/** The fact of no case: the halls by which this device came in. */
const CAME_BY = "moved in";
const CAME_BY_KEPT = 64;

export interface Inside {
  readonly name: string;
  /** Seconds. */
  readonly until: number;
  /** How many. */
  readonly cases: number;
}

/**
 * What an address opens, before anything is done. Throws Misuse: `bad_link`, `already_member` (of this very device, or it
 * came by it); Ended: `link_used`, `link_expired`; Inadmissible `wrong_pin`; Unreachable, Refused.
 */
export async function lookInside(device: Device, link: string): Promise<Inside> {
  const { name, until, sheets } = await read(device, address(device, link));
  return { name, until, cases: sheets.length };
}

export interface MovedIn {
  readonly cases: readonly CaseId[];
  /** Those it opens no more, or that were here. */
  readonly left: readonly NotMoved[];
}

/**
 * All cases of an address on this device, and the address dead. The person's other devices stay. Throws as `lookInside`, and
 * Ended `removed`: the person belongs to none of them any more.
 */
export function moveIn(device: Device, text: string): Promise<MovedIn> {
  return device.onPaper(async () => {
    const link = address(device, text);
    const hall = await read(device, link);
    const cases: CaseId[] = [];
    const left: NotMoved[] = [];
    let unreached: Unreachable | undefined;
    for (const sheet of hall.sheets) {
      let fault: string | undefined;
      try {
        fault = await enter(device, sheet);
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        unreached = error; // its relay may never answer: that keeps no other case out
        continue;
      }
      if (fault === undefined) cases.push(sheet.case);
      else left.push({ case: sheet.case, code: fault });
    }
    if (unreached) throw unreached; // the address stays: nothing else brings that one in
    if (cases.length === 0) throw nothingOpened(left);
    const { store } = device;
    const came = join(store.fact(NO_CASE, CAME_BY) ?? new Uint8Array(), link.doorstep);
    await store.step(() => store.putFact(NO_CASE, CAME_BY, came.slice(-16 * CAME_BY_KEPT)));
    try {
      await closeHall(device, link);
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
    return { cases, left };
  });
}

function nothingOpened(left: readonly NotMoved[]): EigenkringError {
  const codes = new Set(left.map(({ code }) => code));
  if (codes.has("already_member")) return new Misuse("already_member", "those cases are on this device");
  const dead = ["link_used", "link_expired"].find((code) => codes.has(code));
  return dead
    ? new Ended(dead, "the address is dead")
    : new Ended("removed", "this address opens no case any more");
}

function address(device: Device, text: string): Link {
  const link = parseLink(text);
  if (link.kind !== MOVE) throw new Misuse("bad_link", "no address to move in by");
  const came = device.store.fact(NO_CASE, CAME_BY) ?? new Uint8Array();
  let isOwn = false;
  for (let at = 0; at < came.length; at += 16) isOwn ||= same(came.slice(at, at + 16), link.doorstep);
  if (isOwn || isOut(device, link)) {
    throw new Misuse("already_member", "everything behind this address is on this device");
  }
  return link;
}

async function read(device: Device, link: Link): Promise<Hall> {
  const secrets = hallSecrets(link);
  let placed: PlacedRecord[];
  try {
    placed = await readFrom(device.transport(link.doorstep, link.relay), secrets, startOf(link.doorstep));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "closed") throw new Ended("link_used", "this address was used or taken back");
    if (error.code === "expired" || error.code === "no_stream") {
      throw new Ended("link_expired", "this address does not work any more, or not at this relay");
    }
    throw error;
  }
  try {
    const [first] = placed;
    return openHall(first ? await openRecord(secrets, first.record) : new Uint8Array(), link.pin);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new Inadmissible("wrong_pin", "what lies there is no hall");
  }
}

/** Gives the code of what stood in the way, undefined when the case is here. */
async function enter(device: Device, sheet: Sheet): Promise<string | undefined> {
  const { store } = device;
  const row = store.case(sheet.case);
  if (row && !store.fact(sheet.case, RECOVERING)) {
    // What lies here is not thrown away for an address: it may be all that is left of it.
    return row.state === "open" && row.relay === sheet.relay ? undefined : "already_member";
  }
  let fault: string;
  try {
    const { session, transport } = await wake(device, sheet);
    await takeOver(device, session, transport);
    return undefined;
  } catch (error) {
    if (!(mayFail(error) || error instanceof Misuse)) throw error;
    fault = error.code;
  }
  await store.step(() => store.eraseCase(sheet.case)); // half a case, behind an address that opens nothing
  device.forget(sheet.case);
  return fault;
}

async function takeOver(device: Device, woken: CaseSession, transport: Transport): Promise<void> {
  let session = woken;
  const fresh = hex(deviceId(session.case, (await keysOf(comingSeed(session))).keys));
  if (!session.charter) throw new Ended("link_expired", "this address opens the case no more");
  if (!session.known().devices.has(fresh)) {
    try {
      await act(session, transport, letIn, new SyncReport());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // It was let in before the interruption, and the locks were turned since: only its own keys open now.
      session = await asNew(device, session, transport);
      if (!session.known().devices.has(fresh)) throw new Ended("link_used", error.message);
    }
  }
  const known = session.known().devices.get(fresh);
  if (!known || !isHere(known)) throw new Ended("removed", "this device was put out");
  await takePlace(device, session);
  try {
    await (await device.case(hex(session.case))).sync();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
  }
}

async function asNew(device: Device, session: CaseSession, transport: Transport): Promise<CaseSession> {
  const { store } = device;
  const seed = comingSeed(session);
  const { keys } = await keysOf(seed);
  const row = { ...session.row, seed, device: deviceId(session.case, keys), state: "entering" as const };
  await store.step(() => store.putCase(row));
  const again = await CaseSession.open(store, row, device.around);
  // What was read for the one that slept may hold boxes for this one.
  if (row.keysStream) await takeKeys(again, store.records(row.case, row.keysStream));
  await catchUp(again, transport);
  return again;
}

/** The entry that adds the new device, with which the sleeping one goes. The box is signed by the one that stays. */
async function letIn(session: CaseSession): Promise<Exchange> {
  const charter = session.known();
  const sleeper = session.device();
  const known = charter.devices.get(hex(sleeper));
  if (!known) throw new Ended("link_expired", "this address was not finished");
  if (!charter.people.get(hex(known.person))?.here) {
    throw new Ended("removed", "the person does not belong any more");
  }
  if (!isHere(known)) {
    const code = letInBy(session, sleeper) ? "link_used" : "link_expired";
    throw new Ended(code, "this address let somebody in, or was taken back");
  }
  const { grown, keys } = await keysOf(comingSeed(session));
  const signed = await compose.signNewDevice(session.case, session.me(), keys, grown.sign);
  const draft = await compose.addDevice(charter, authorOf(session), keys, "", signed);
  const sealer = { by: deviceId(session.case, keys), key: grown.sign };
  return exchangeOf(session, draft, undefined, undefined, sealer);
}
