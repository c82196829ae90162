/**
 * When a snapshot takes the place of a part's records, and by whom. Mirror of core/eigenkring/session/compacting.py.
 * Spec: docs/spec/part.md (Snapshot).
 *
 * Whoever manages the stream does it, at a sync, when it pays. It costs every device that is there one reading of the
 * snapshot, and saves every newcomer, and the relay, all that lay before it. Where a person writes and owners manage
 * (`voice@`, `answers@`, `contacts@`), an owner's device makes it, and it stands only where it leaves out nothing.
 */
import { sha256 } from "../../crypto/kdf";
import type { Part } from "../charter/state";
import { hex } from "../ids";
import { makeSnapshot } from "../part/snapshot";
import { pack, u64, unpack } from "../shape";
import { manageCap, type Position, sealRecord } from "../stream";
import { MAX_RECORD_BYTES, type Operation } from "../wire";
import type { CaseSession, OpenPart, ReadPart } from "./parts";

/** Fewer records a newcomer reads in one answer and folds in a blink; a snapshot of them would only be read twice. */
export const FEWEST_RECORDS = 200;
/**
 * A record with what somebody typed in a long time counts as many short ones: else forty words at a time would lie there for a
 * long while at seven times the bytes.
 */
const BYTES_OF_ONE = 1024;
/**
 * Devices wait for more records than that, each for another number: so mostly one of them makes the snapshot, and the others
 * find it made. Where two meet, compare-and-replace lets one through.
 */
const MOST_PATIENCE = 100;
/**
 * A record that waits for a charter entry holds a snapshot up this many times as long: its author, who knows that entry,
 * gives it back; and nobody can keep a part long for ever by naming an entry that never was.
 */
const WAITING_HOLDS_UP = 4;

/** Whether so much came since the last snapshot of this part that another one may pay. */
export function mayPay(session: CaseSession, { part }: ReadPart): boolean {
  const { first, tail, bytes } = tailOf(session, part);
  // Devices that are there read the snapshot too: not before they read as much of what it replaces.
  return tail >= fewest(session, part) && bytes >= first;
}

interface Tail {
  /** Bytes of the snapshot. */
  readonly first: number;
  /** How many short records those after it come to, and their bytes. */
  readonly tail: number;
  readonly bytes: number;
}
/** By where the stream stood: asked for at every sync, and most parts stand where they stood. */
const tails = new WeakMap<Position, Tail>();

function tailOf(session: CaseSession, { stream }: Part): Tail {
  const position = session.position(stream);
  const known = tails.get(position);
  if (known) return known;
  const { base, length } = position;
  const sizes = session.store.records(session.case, stream, base).map(({ record }) => record.length);
  const isWhole = sizes.length === length - base;
  const first = base > 0 ? (sizes.shift() ?? 0) : 0; // a snapshot is no news
  const tail = sizes.reduce((sum, size) => sum + Math.max(1, Math.floor(size / BYTES_OF_ONE)), 0);
  const found = { first, tail, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  if (isWhole) tails.set(position, found);
  return found;
}

function fewest(session: CaseSession, { stream }: Part): number {
  return FEWEST_RECORDS + patience(session.device(), stream);
}

/** Whether a snapshot of this part pays now, is ours to make, and would leave nothing out. */
export function due(session: CaseSession, opened: OpenPart): boolean {
  if (!mayPay(session, opened)) return false;
  const charter = session.known();
  const { part, fold } = opened;
  const { length } = session.position(part.stream);
  if (!manageCap(session.secrets(part.stream))) return false;
  if (charter.rooms.get(part.write)?.due || fold.length !== length) return false;
  // What is of a newer version would be gone, and only that version could give it back.
  if (fold.alarm || opened.setAside || mayStillOpen(session, opened)) return false;
  // Of what another one writes nothing may be left out, or it would not stand; who writes holds up the own part only.
  const writes = charter.mayWrite(session.me(), part.name);
  if (opened.waits && (!writes || tailOf(session, part).tail < WAITING_HOLDS_UP * fewest(session, part)))
    return false;
  return !isTooLarge(session, opened);
}

export function patience(device: Uint8Array, stream: Uint8Array): number {
  return new DataView(sha256(device, stream).buffer).getUint32(0) % MOST_PATIENCE;
}

/** By what it replaces: a race that was lost is decided again on what is there then. */
export function nameOf(session: CaseSession, { part }: OpenPart): string {
  return `snapshot ${hex(part.stream)} ${session.position(part.stream).length}`;
}

/**
 * The snapshot of what is settled now, to be put in the place of all that was read. Nothing where no record holds it: then
 * the part stays as long as it is until it is founded anew.
 */
export async function replacement(session: CaseSession, opened: OpenPart): Promise<Operation[]> {
  const { part, fold } = opened;
  const { stream } = part;
  const charter = session.known();
  const { length: n, chain } = session.position(stream);
  const secrets = session.secrets(stream);
  const { atts, changes, witnesses } = fold.basis();
  const epoch = charter.rooms.get(part.write)?.epoch;
  if (epoch === undefined) throw new Error("a part without a room that writes");
  const claim = { device: session.device(), epoch, head: charter.head, n, chain, atts };
  const payload = await makeSnapshot(session.keys.sign, stream, claim, changes, witnesses);
  const record = await sealRecord(secrets, payload, session.around.random(24));
  const cap = manageCap(secrets);
  if (!cap || record.length > MAX_RECORD_BYTES) {
    session.store.putFact(session.case, mark(opened), pack(u64, changes.length));
    return [];
  }
  return [{ op: "replace", stream, cap, expect: chain, record }];
}

/** It was found too large for one record; it is tried again only when a cut made it smaller. */
function isTooLarge(session: CaseSession, opened: OpenPart): boolean {
  const found = session.store.fact(session.case, mark(opened));
  return found !== undefined && opened.fold.ledger.entries.length >= unpack(u64, found);
}

function mark({ part }: OpenPart): string {
  return `too large ${hex(part.stream)}`;
}

/** A record whose key is still to come. What names an epoch that never was is noise. */
function mayStillOpen(session: CaseSession, { part, unopened }: OpenPart): boolean {
  const present = session.known().rooms.get(part.read)?.epoch ?? 0;
  return [...unopened].some((epoch) => epoch <= present);
}
