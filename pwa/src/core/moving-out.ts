/**
 * An address by which a person moves in elsewhere with nobody else awake, making it and seeing to it that it ends: mirror of
 * core/eigenkring/moving_out.py. Spec: docs/spec/recovery.md, Moving in.
 *
 * For a home-screen app with a storage of its own. Each step may be done again. One of these at a time.
 */
import type { Case } from "./case";
import { deviceId } from "./charter/entry";
import { isHere, type Device as Known } from "./charter/state";
import { EigenkringError, Ended, Inadmissible, Misuse, Refused, RelayMisbehaved } from "./errors";
import { hallOpening, hallPin, hallSecrets, MAX_SHEETS, MOVE, packHall } from "./hall";
import { type CaseId, type DeviceId, hex, named, type StreamId, same } from "./ids";
import type { Device } from "./library";
import { formatLink, type Link, parseLink } from "./link";
import { removal } from "./own-devices";
import type { Sheet } from "./paper";
import { held } from "./session/acting";
import type { CaseSession } from "./session/parts";
import { bool, bytes, list, pack, struct, text, tuple, uint, unpack } from "./shape";
import { addSleeper, keysOf, sent, sheetFor } from "./sleeping";
import { NO_CASE } from "./store";
import { appendCap, manageCap, sealRecord } from "./stream";

/** Long enough for an evening and the weekend after it, short enough for who forgets it. */
export const LIFE_SECONDS = 3 * 86_400;
/** The fact of no case: the address that is out. */
const OUT = "moving";

/** `whole`: everything that the address was to open is at the relay. Never log it. */
const outShape = struct({
  link: text,
  until: uint(Number.MAX_SAFE_INTEGER),
  sleepers: list(tuple(bytes<CaseId>(16), bytes<DeviceId>(16))),
  whole: bool,
});
type Out = ReturnType<typeof outShape.read>;

export interface NotMoved {
  readonly case: CaseId;
  readonly code: string;
}

export interface Address {
  readonly link: string;
  /** Seconds. */
  readonly until: number;
  /** Cases that it does not open. */
  readonly left: readonly NotMoved[];
}

/**
 * An address by which this person moves in elsewhere with all cases of this device; the one that is out where there is one.
 * Whoever has it reads, until it was used, is taken back, or has expired, all that this person may read.
 *
 * Throws Misuse: `not_yet` (no case), `clock` (this device's is days behind); Unreachable, Refused; where no case could be put behind it what stood in the way, such
 * as Inadmissible `limit`: too many own devices.
 */
export function makeAddress(device: Device): Promise<Address> {
  return device.onPaper(async () => {
    const out = outOf(device);
    if (out?.whole && (await state(device, out)).state === "out") {
      return { link: out.link, until: out.until, left: [] };
    }
    if (out) await ended(device);
    const pairs: { one: Case; sheet: Sheet }[] = [];
    for (const one of await openCases(device)) {
      const sheet = sheetFor(device, one);
      if (sheet && pairs.length < MAX_SHEETS) pairs.push({ one, sheet });
    }
    const [first] = pairs;
    if (!first) throw new Misuse("not_yet", "start or join a case first");
    return put(device, first.one.session, pairs);
  });
}

async function put(
  device: Device,
  first: CaseSession,
  pairs: readonly { readonly one: Case; readonly sheet: Sheet }[],
): Promise<Address> {
  const { random } = device.around;
  const until = device.around.clock() + LIFE_SECONDS;
  const name = first.known().people.get(hex(first.me()))?.name ?? "";
  const payload = packHall({ name, until, sheets: pairs.map(({ sheet }) => sheet) });
  const doorstep = named<StreamId>(random(16));
  const link: Link = {
    relay: first.row.relay,
    kind: MOVE,
    doorstep,
    seed: random(32),
    pin: hallPin(payload),
  };
  const secrets = hallSecrets(link);
  const record = await sealRecord(secrets, payload, random(24));
  const sleepers: (readonly [CaseId, DeviceId])[] = [];
  for (const { one, sheet } of pairs) {
    sleepers.push([one.id, deviceId(one.id, (await keysOf(sheet.seed)).keys)]);
  }
  const out: Out = { link: formatLink(link), until, sleepers, whole: false };
  // Kept before anything is sent: what was begun can be taken back.
  await keep(device, out);
  const cap = held(appendCap(secrets));
  try {
    await sent(device.transport(doorstep, link.relay), [
      hallOpening(link, until),
      { op: "append", stream: doorstep, cap, record, expect: null },
    ]);
  } catch (error) {
    if (!(error instanceof Refused && error.code === "expired")) throw error;
    throw new Misuse("clock", "by the clock of this device the address is over before it begins");
  }
  const left: NotMoved[] = [];
  let fault: EigenkringError | undefined;
  for (const { one, sheet } of pairs) {
    try {
      await addSleeper(one, sheet, "link");
    } catch (error) {
      if (!mayFail(error)) throw error;
      left.push({ case: one.id, code: error.code });
      fault = error;
    }
  }
  if (fault && left.length === pairs.length) {
    await ended(device);
    throw fault;
  }
  await keep(device, { ...out, whole: true });
  return { link: out.link, until, left };
}

/** What keeps one case from coming along, and no other. */
export function mayFail(error: unknown): error is Refused | Inadmissible | RelayMisbehaved | Ended {
  return (
    error instanceof Refused ||
    error instanceof Inadmissible ||
    error instanceof RelayMisbehaved ||
    error instanceof Ended
  );
}

export interface Moving {
  readonly state: "none" | "out" | "used";
  readonly link: string | null;
  /** Seconds. */
  readonly until: number | null;
  /** Whom it let in. */
  readonly came: readonly { readonly case: CaseId; readonly device: DeviceId }[];
}

/**
 * How it is with this device's address. Every page asks this before there is anything on it: only where one is out is more
 * read than what is shown.
 */
export async function moving(device: Device): Promise<Moving> {
  const out = outOf(device);
  if (!out) return { state: "none", link: null, until: null, came: [] };
  await device.stand();
  return state(device, out);
}

async function state(device: Device, out: Out): Promise<Moving> {
  const came: { case: CaseId; device: DeviceId }[] = [];
  let anyHere = false;
  for (const { one, sleeper } of await sleepers(device, out)) {
    const known = one.charter.devices.get(hex(sleeper));
    anyHere ||= known !== undefined && isHere(known);
    const fresh = letInBy(one.session, sleeper);
    if (fresh) came.push({ case: one.id, device: fresh });
  }
  const now = came.length > 0 ? "used" : anyHere ? "out" : "none";
  return { state: now, link: now === "out" ? out.link : null, until: out.until, came };
}

/**
 * The address is dead from now on: its hall is closed, and what slept in it is put out. Nothing where none is out. Throws
 * Unreachable, Refused: then it is done at a later sync.
 */
export function takeBack(device: Device): Promise<void> {
  return device.onPaper(() => ended(device));
}

async function ended(device: Device): Promise<void> {
  const out = outOf(device);
  if (!out) return;
  await closeHall(device, parseLink(out.link));
  for (const { one, sleeper } of await sleepers(device, out)) {
    const known = one.charter.devices.get(hex(sleeper));
    if (!known || !isHere(known)) continue;
    try {
      await one.act((now) => removal(now, [sleeper]));
    } catch (error) {
      if (!(error instanceof Inadmissible || error instanceof Ended)) throw error;
    }
  }
  await device.store.step(() => device.store.putFact(NO_CASE, OUT, null));
}

/**
 * At each sync: the own address when its days are over or somebody put it out, and any that lies about in one of the cases:
 * whoever made it may be a page that nobody opens any more.
 */
export function endAddresses(device: Device): Promise<void> {
  return device.onPaper(async () => {
    const now = device.around.clock();
    const out = outOf(device);
    await quietly(async () => {
      const isOver = out && (now >= out.until || (out.whole && (await state(device, out)).state === "none"));
      if (isOver) await ended(device);
    });
    for (const one of await openCases(device)) {
      const old = asleep(one).filter(({ at }) => at + LIFE_SECONDS <= now);
      if (old.length === 0) continue;
      const gone = old.map(({ known }) => known.device);
      await quietly(async () => void (await one.act((session) => removal(session, gone))));
    }
  });
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof EigenkringError)) throw error;
  }
}

/** Own devices in an address, each with when it was put there. */
function asleep({ session }: Case): { readonly known: Known; readonly at: number }[] {
  if (!session.charter) return [];
  const me = session.me();
  const mine = [...session.charter.devices.values()].filter(
    (known) => isHere(known) && same(known.person, me) && known.sleeping === "link",
  );
  if (mine.length === 0) return []; // nearly always: the entries are not walked at each sync
  const at = new Map(session.entries.flatMap(({ body }) => (body ? [[body.n, body.at] as const] : [])));
  return mine.map((known) => ({ known, at: at.get(known.sinceN) ?? 0 }));
}

function outOf(device: Device): Out | undefined {
  const packed = device.store.fact(NO_CASE, OUT);
  return packed && unpack(outShape, packed);
}

async function keep(device: Device, out: Out): Promise<void> {
  await device.store.step(() => device.store.putFact(NO_CASE, OUT, pack(outShape, out)));
}

async function sleepers(
  device: Device,
  out: Out,
): Promise<{ readonly one: Case; readonly sleeper: DeviceId }[]> {
  const cases = new Map((await openCases(device)).map((one) => [hex(one.id), one]));
  return out.sleepers.flatMap(([caseId, sleeper]) => {
    const one = cases.get(hex(caseId));
    return one?.session.charter ? [{ one, sleeper }] : [];
  });
}

async function openCases(device: Device): Promise<Case[]> {
  return (await device.cases()).filter(({ session }) => session.row.state === "open");
}

/** The device that an address let in; undefined where it let in nobody. */
export function letInBy(session: CaseSession, sleeper: DeviceId): DeviceId | undefined {
  for (const { body } of session.entries) {
    if (body?.what === "add_device" && same(body.by, sleeper)) return deviceId(session.case, body.device);
  }
  return undefined;
}

/** Nothing where it is closed already. Throws Refused, Unreachable. */
export async function closeHall(device: Device, link: Link): Promise<void> {
  const cap = held(manageCap(hallSecrets(link)));
  try {
    await sent(device.transport(link.doorstep, link.relay), [{ op: "close", stream: link.doorstep, cap }]);
  } catch (error) {
    if (!(error instanceof Refused && ["closed", "expired", "no_stream"].includes(error.code))) throw error;
  }
}

/** Whether this address is this very device's own. */
export function isOut(device: Device, link: Link): boolean {
  const out = outOf(device);
  return out !== undefined && same(parseLink(out.link).doorstep, link.doorstep);
}
