/**
 * A person's own devices in one case, another one added with a link, one that was lost put out: mirror of
 * core/eigenkring/own_devices.py.
 */
import type { Case } from "./case";
import * as compose from "./charter/compose";
import type { Device as Known } from "./charter/state";
import { isHere } from "./charter/state";
import { greetingPin, OWN_DEVICE } from "./doorstep";
import { Misuse, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type DeviceId, type GrantId, hex, same } from "./ids";
import { formatLink } from "./link";
import { authorOf, cutsFor, type Exchange, exchangeOf, held } from "./session/acting";
import { greeting, LINK_OUT, type OwnDoor, opening, ownDoors } from "./session/own-door";
import type { CaseSession } from "./session/parts";
import { pack, u64 } from "./shape";
import { openRecord, readCap } from "./stream";
import { isFailed, MAX_FRAME_BYTES } from "./wire";

/**
 * A link for another device of this person. It lets in whoever comes first: show it to nobody else. With `compare` nobody
 * before four words were compared (`pending`, `confirm` with the own name).
 *
 * Any device of the person that is online lets the new one in. Throws Misuse `not_yet`, Unreachable.
 */
export async function addDevice(one: Case, { compare = false } = {}): Promise<string> {
  void one.charter;
  const { session } = one;
  const door = ownDoors(session).find((own) => own.compare === compare);
  if (!door) throw new Misuse("not_yet", "this person has no room of the own yet; sync first");
  const payload = await greeting(session, door);
  // Before anybody can knock: from now on this device asks for the door.
  session.store.putFact(session.case, LINK_OUT, pack(u64, door.expires));
  const { results } = await one.transport.exchange(await opening(session, door, payload), true);
  const failed = results.filter(isFailed).find(({ code }) => code !== "not_done");
  if (failed && failed.code !== "exists") throw new Refused(failed.code);
  // Another device, or this one before, may have opened the door of this hour: what lies there first is the greeting.
  const pin = greetingPin(await firstOn(one, door));
  return formatLink({
    relay: session.row.relay,
    kind: OWN_DEVICE,
    doorstep: door.stream,
    seed: door.seed,
    pin,
  });
}

async function firstOn(one: Case, door: OwnDoor): Promise<Uint8Array> {
  const cap = held(readCap(door.secrets));
  const read = { op: "read", stream: door.stream, cap, after: 0, max_bytes: MAX_FRAME_BYTES } as const;
  const result = (await one.transport.exchange([read])).results[0];
  const first = result && !isFailed(result) && "records" in result ? result.records[0] : undefined;
  if (!first) throw new RelayMisbehaved("relay_garbage", "the relay does not show the door that it opened");
  return openRecord(door.secrets, first);
}

export interface OwnDevice {
  readonly device: DeviceId;
  readonly kind: "device" | "link" | "paper";
  /** Seconds, by the clock of who let it in; 0 where that is not known. */
  readonly since: number;
  readonly isThis: boolean;
}

/** One's own devices that belong now. */
export function devices(one: Case): OwnDevice[] {
  const { session } = one;
  const at = new Map(session.entries.flatMap(({ body }) => (body ? [[body.n, body.at] as const] : [])));
  return ownOf(one).map((known) => ({
    device: known.device,
    kind: known.sleeping || "device",
    since: at.get(known.sinceN) ?? 0,
    isThis: same(known.device, session.device()),
  }));
}

function ownOf({ charter, session }: Case): Known[] {
  const me = session.me();
  return [...charter.devices.values()].filter((known) => isHere(known) && same(known.person, me));
}

const MIN_PREFIX = 4;

/**
 * Puts one of one's own devices out: nothing it writes counts any more, and it reads nothing that comes after; of rooms
 * that others turn, once they have. Gives the grants that another key signs from now on.
 *
 * Throws Misuse: `no_such_item`, `ambiguous`; Inadmissible `not_permitted` for paper.
 */
export async function removeDevice(
  one: Case,
  text: string,
): Promise<{ readonly removed: DeviceId; readonly renewed: readonly GrantId[] }> {
  const wanted = text.trim().toLowerCase();
  const found = ownOf(one).filter(
    ({ device }) => hex(device).startsWith(wanted) && wanted.length >= MIN_PREFIX,
  );
  const [only] = found;
  if (!only || found.length !== 1) {
    throw new Misuse(only ? "ambiguous" : "no_such_item", "you have no device with that number");
  }
  await one.act((now) => removal(now, [only.device]));
  try {
    await one.sync(); // the readers are told of the key that signs from now on
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
  }
  const me = one.session.me();
  const given = [...one.charter.grants.values()].filter(
    ({ endedN, granter }) => endedN === null && same(granter, me),
  );
  return { removed: only.device, renewed: given.map(({ grant }) => grant) };
}

/**
 * The entry that puts these own devices out, with the cuts and the turned locks; and with them what sleeps in an address:
 * whoever had the phone may have made it.
 */
export async function removal(session: CaseSession, devices: readonly DeviceId[]): Promise<Exchange> {
  const asleep = [...session.known().devices.values()].filter(
    (one) => isHere(one) && same(one.person, session.me()) && one.sleeping === "link",
  );
  const all = new Map([...devices, ...asleep.map(({ device }) => device)].map((one) => [hex(one), one]));
  const gone = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  const cuts = await cutsFor(session, [], gone);
  return exchangeOf(session, await compose.removeDevice(session.known(), authorOf(session), gone, cuts));
}
