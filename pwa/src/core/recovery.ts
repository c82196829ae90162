/**
 * From paper to writing again: making a recovery code, keeping its space in step, and coming back with it. Mirror of
 * core/eigenkring/recovery.py. Spec: docs/spec/recovery.md.
 *
 * Nobody else needs to be online. Each step may be interrupted and done again. One of these at a time: two that make
 * sheets would make them twice.
 */
import { DeviceKeys } from "../crypto/device";
import { decodeCode, encodeCode } from "../crypto/words";
import type { Case } from "./case";
import * as compose from "./charter/compose";
import type { Author } from "./charter/draft";
import { deviceId } from "./charter/entry";
import { isHere } from "./charter/state";
import { Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type CaseId, type DeviceId, hex, join, same } from "./ids";
import type { Device } from "./library";
import { relayAddress } from "./link";
import { removal } from "./own-devices";
import {
  CODE_BYTES,
  type Code,
  codeSecrets,
  makeRecord,
  openCode,
  openRecord,
  packSpace,
  type Sheet,
  type Space,
  spaceSecrets,
  unpackSpace,
} from "./paper";
import { authorOf, type Exchange, exchangeOf, held } from "./session/acting";
import type { CaseSession } from "./session/parts";
import {
  addSleeper,
  comingSeed,
  keysOf,
  RECOVERING,
  readFrom,
  sent,
  sheetFor,
  takePlace,
  wake,
} from "./sleeping";
import { NO_CASE } from "./store";
import { appendCap, manageCap, opening, type PlacedRecord, startOf } from "./stream";
import { act, SyncReport } from "./sync";
import type { Transport } from "./transport";

// --- making a code

export interface NewCode {
  readonly code: string;
  /** How many cases other paper still opens. */
  readonly older: number;
}

/**
 * A new code, shown once. `old` is the code it replaces: that one is dead then.
 *
 * Throws Misuse: `not_yet` (no case, or one still comes back with `old`), `bad_value` (`old` is another one); BadCode; Unreachable.
 */
export async function makeCode(device: Device, old?: string): Promise<NewCode> {
  return device.onPaper(async () => {
    const [first] = await openCases(device);
    if (!first) throw new Misuse("not_yet", "start or join a case first");
    const known = spaceOf(device);
    const relay = known?.relay ?? first.session.row.relay;
    const before = old === undefined ? undefined : await openCode(decodeCode(old), relay);
    if (before && known && !same(known.stream, before.space.stream)) {
      throw new Misuse("bad_value", "that is another code than the one this device keeps in step");
    }
    const sheets = before ? await sheetsOf(device, before) : [];
    if (sheets.some((sheet) => isHalfway(device, sheet.case))) {
      // Nothing else brings back a case that is halfway.
      const why = "a case is still coming back with that code: come back with it once more first";
      throw new Misuse("not_yet", why);
    }
    const code = await newSpace(device, relay);
    if (before) await kill(device, before, sheets);
    const older = (await openCases(device)).filter((one) => papers(one) > 1).length;
    return { code, older };
  });
}

/** Its new device may stand in the charter. Of one whose relay never answered nothing was begun. */
function isHalfway({ store }: Device, caseId: CaseId): boolean {
  return store.case(caseId)?.state === "open" && store.fact(caseId, RECOVERING) !== undefined;
}

async function newSpace(device: Device, relay: string): Promise<string> {
  const raw = device.around.random(CODE_BYTES);
  const code = await openCode(raw, relay);
  await sent(device.transport(code.space.stream, relay), [opening(codeSecrets(code))]);
  await device.store.step(() => device.store.putFact(NO_CASE, "space", packSpace(code.space)));
  await allOnPaper(device);
  for (const one of await openCases(device)) {
    if (!hasSheet(device, one, code.space)) {
      throw new Misuse("not_yet", "not every case is on the new paper; sync, and ask for a code again");
    }
  }
  return encodeCode(raw);
}

export function spaceOf(device: Device): Space | undefined {
  const packed = device.store.fact(NO_CASE, "space");
  return packed && unpackSpace(packed);
}

/** Whether this device keeps a paper in step, how many cases are not on it yet, and whether other paper opens a case. */
export async function paperState(
  device: Device,
): Promise<{ readonly made: boolean; readonly missing: number; readonly older: boolean }> {
  const space = spaceOf(device);
  const open = await openCases(device);
  const missing = open.filter((one) => !space || !hasSheet(device, one, space));
  const others = (one: Case): number => papers(one) - (missing.includes(one) ? 0 : 1);
  return { made: space !== undefined, missing: missing.length, older: open.some((one) => others(one) > 0) };
}

async function openCases(device: Device): Promise<Case[]> {
  return (await device.cases()).filter(({ session }) => session.row.state === "open");
}

function papers({ charter, session }: Case): number {
  const me = session.me();
  return [...charter.devices.values()].filter(
    (one) => isHere(one) && same(one.person, me) && one.sleeping === "paper",
  ).length;
}

/**
 * Every case of this device on the paper: for one that is not, a sleeping device is made whose seed only the code opens.
 * Where that fails the next sync tries again.
 */
export function keepInStep(device: Device): Promise<void> {
  return device.onPaper(() => allOnPaper(device));
}

async function allOnPaper(device: Device): Promise<void> {
  const space = spaceOf(device);
  if (!space) return;
  for (const one of await openCases(device)) {
    if (hasSheet(device, one, space)) continue;
    try {
      await addSheet(device, one, space);
    } catch (error) {
      if (!mayFail(error) && !(error instanceof Unreachable)) throw error;
    }
  }
}

function mayFail(error: unknown): error is Refused | Inadmissible | RelayMisbehaved | Ended {
  return (
    error instanceof Refused ||
    error instanceof Inadmissible ||
    error instanceof RelayMisbehaved ||
    error instanceof Ended
  );
}

/** Whether a case is on this paper, and the sleeping device is in its charter. */
export function hasSheet(device: Device, one: Case, space: Space): boolean {
  const packed = device.store.fact(one.id, "paper");
  const { charter } = one.session;
  if (!packed || !charter || !same(packed.slice(0, 16), space.stream)) return false;
  const known = charter.devices.get(hex(packed.slice(16)));
  return known !== undefined && isHere(known);
}

async function addSheet(device: Device, one: Case, space: Space): Promise<void> {
  const sheet = sheetFor(device, one);
  if (!sheet) return;
  // The seed is on the paper before the device exists: a device whose seed was lost could never be put out.
  await append(device, space, sheet);
  device.store.putFact(one.id, "paper", join(space.stream, await addSleeper(one, sheet, "paper")));
  await device.store.settled();
}

/** Adds a sheet, and sees that it is there: a relay's word is not enough for the only way back. */
async function append(device: Device, space: Space, sheet: Sheet): Promise<void> {
  const { stream } = space;
  const transport = device.transport(stream, space.relay);
  const at = device.store.position(NO_CASE, stream) ?? startOf(stream);
  const record = await makeRecord(space, sheet, at.length, at.chain, device.around.random(24));
  const cap = held(appendCap(spaceSecrets(space)));
  await sent(transport, [{ op: "append", stream, cap, record, expect: null }]);
  const placed = await readFrom(transport, spaceSecrets(space), at);
  const last = placed.at(-1);
  if (!last || !placed.some((one) => same(one.record, record))) {
    throw new RelayMisbehaved("broken_chain", "the relay does not show what it took");
  }
  await device.store.step(() =>
    device.store.putRecords(NO_CASE, stream, { base: 0, length: last.index, chain: last.chain }, placed),
  );
}

// --- coming back

export interface CameBack {
  /** The new code; the one that was used is dead. */
  readonly code: string;
  readonly cases: readonly CaseId[];
  /** Cases that this paper opens no more, and why. */
  readonly left: readonly { readonly case: CaseId; readonly code: string }[];
}

/**
 * Every case back on this device, the other devices of the person put out, and a new code.
 *
 * Throws BadCode, Ended (`link_expired`: the code is dead; `removed`: it opens no case any more), Unreachable: then what
 * could be reached is back, and the code goes on working.
 */
export async function recover(device: Device, text: string, relay: string): Promise<CameBack> {
  return device.onPaper(async () => {
    const code = await openCode(decodeCode(text), relayAddress(relay));
    const sheets = await sheetsOf(device, code);
    const cases: CaseId[] = [];
    const left: { case: CaseId; code: string }[] = [];
    let unreached: Unreachable | undefined;
    for (const tries of byCase(sheets)) {
      const [{ case: caseId }] = tries;
      let fault: string | undefined;
      try {
        fault = await comeBack(device, caseId, tries);
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        unreached = error; // its relay may never answer again: that keeps no other case away
        continue;
      }
      if (fault === undefined) cases.push(caseId);
      else left.push({ case: caseId, code: fault });
    }
    if (unreached) throw unreached; // the paper stays: nothing else brings that one back
    if (cases.length === 0) throw new Ended("removed", "this paper opens no case any more");
    const fresh = await newSpace(device, code.space.relay);
    await kill(device, code, sheets);
    return { code: fresh, cases, left };
  });
}

/** The sheets of a space, in order. */
async function sheetsOf(device: Device, code: Code): Promise<Sheet[]> {
  const { space } = code;
  let placed: PlacedRecord[];
  try {
    placed = await readFrom(
      device.transport(space.stream, space.relay),
      spaceSecrets(space),
      startOf(space.stream),
    );
  } catch (error) {
    if (error instanceof Refused && ["closed", "no_stream", "not_allowed"].includes(error.code)) {
      throw new Ended("link_expired", "this code does not work any more, or not at this relay");
    }
    throw error;
  }
  const found: Sheet[] = [];
  for (const { record } of placed) {
    const sheet = await openRecord(code, record);
    if (sheet) found.push(sheet);
  }
  return found;
}

type Tries = readonly [Sheet, ...Sheet[]];

/**
 * The newest sheet of a case first: whoever had the phone can have added others, which open nothing. A case stays at its relay:
 * a sheet that names another than the first did would lead into a copy of the case that a thief keeps there.
 */
function byCase(sheets: readonly Sheet[]): Tries[] {
  const found = new Map<string, Tries>();
  for (const sheet of sheets) {
    const id = hex(sheet.case);
    const tries = found.get(id);
    if (!tries || tries[0].relay === sheet.relay) found.set(id, [sheet, ...(tries ?? [])]);
  }
  return [...found.values()];
}

/** Gives the code of what stood in the way, undefined when the case is back. */
async function comeBack(device: Device, caseId: CaseId, tries: Tries): Promise<string | undefined> {
  const { store } = device;
  const row = store.case(caseId);
  let fault = "not_allowed";
  if (row?.state === "open" && !store.fact(caseId, RECOVERING)) return undefined; // before the interruption, or never away
  for (const sheet of tries) {
    try {
      const { session, transport } = await wake(device, sheet);
      if (!session.charter || session.row.state !== "open") {
        fault = session.row.state === "removed" ? "removed" : "not_allowed";
        continue;
      }
      await becomePhone(device, session, transport);
      return undefined;
    } catch (error) {
      if (!(mayFail(error) || error instanceof Misuse)) throw error;
      fault = error.code;
    }
  }
  // Half a case of a paper that opens nothing.
  if (store.fact(caseId, RECOVERING) || !row) await store.step(() => store.eraseCase(caseId));
  return fault;
}

async function becomePhone(device: Device, session: CaseSession, transport: Transport): Promise<void> {
  const caseId = session.case;
  const { grown, keys } = await keysOf(comingSeed(session));
  const phone = deviceId(caseId, keys);
  const report = new SyncReport();
  if (!session.known().devices.has(hex(phone))) {
    const signed = await compose.signNewDevice(caseId, session.me(), keys, grown.sign);
    const add = async (now: CaseSession): Promise<Exchange> =>
      exchangeOf(now, await compose.addDevice(now.known(), authorOf(now), keys, "", signed));
    await act(session, transport, add, report);
  }
  if (toPutOut(session, phone).length > 0) {
    await act(session, transport, (now) => removal(now, toPutOut(now, phone)), report);
  }
  await takePlace(device, session);
  await (await device.case(hex(caseId))).sync();
}

/** All the person's other devices, but for paper that is older than this one: that stands above it. */
function toPutOut(session: CaseSession, phone: DeviceId): DeviceId[] {
  const { devices } = session.known();
  const paper = devices.get(hex(session.device()));
  if (!paper) throw new Error("paper that does not belong");
  return [...devices.values()]
    .filter(
      (one) =>
        isHere(one) &&
        same(one.person, session.me()) &&
        !same(one.device, paper.device) &&
        !same(one.device, phone) &&
        !(one.sleeping === "paper" && one.sinceN <= paper.sinceN),
    )
    .map(({ device }) => device)
    .sort((a, b) => (hex(a) < hex(b) ? -1 : 1));
}

// --- the old paper

/** Puts out the sleeping devices of a code, each by its own hand, and closes its space. */
async function kill(device: Device, code: Code, sheets: readonly Sheet[]): Promise<void> {
  for (const sheet of sheets) {
    const row = device.store.case(sheet.case);
    if (row?.state !== "open") continue;
    const one = await device.case(hex(row.case));
    const grown = await DeviceKeys.fromSeed(sheet.seed);
    const paper = deviceId(row.case, { sign: grown.sign.public, box: grown.box.public });
    const known = one.charter.devices.get(hex(paper));
    if (!known || !isHere(known)) continue;
    await one.act((now) => leave(now, paper, grown));
    await one.sync();
  }
  const { space } = code;
  const cap = held(manageCap(codeSecrets(code)));
  await sent(device.transport(space.stream, space.relay), [{ op: "close", stream: space.stream, cap }]);
}

/** Paper goes by its own hand only, so that a thief with the phone cannot throw it away. */
async function leave(session: CaseSession, paper: DeviceId, keys: DeviceKeys): Promise<Exchange> {
  const author: Author = { ...authorOf(session), device: paper };
  const draft = await compose.removeDevice(session.known(), author, [paper]);
  return exchangeOf(session, draft, undefined, keys.sign);
}
