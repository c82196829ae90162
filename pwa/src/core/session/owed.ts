/**
 * What a part held and the log that a relay shows now does not. Mirror of core/eigenkring/session/owed.py. Spec:
 * docs/spec/part.md (Snapshot).
 *
 * Records go back in their own bytes, but those a snapshot took the place of are nowhere any more, and what their signatures
 * saw does not lie in another log. So a device that follows another log keeps what it had; whoever manages the stream puts a
 * snapshot of both in the place of that log, and only then it is forgotten here.
 */
import { readSecret } from "../../crypto/capability";
import { MIN_RECORD_BYTES } from "../../crypto/seal";
import { hex, type StreamId } from "../ids";
import { changeHash } from "../part/author";
import { type Basis, PartFold } from "../part/fold";

import { makeSnapshot } from "../part/snapshot";
import { bytes, list, pack, tuple, unpack } from "../shape";
import { manageCap, type Position, sealRecord } from "../stream";
import { MAX_RECORD_BYTES, type Operation } from "../wire";
import type { CaseSession, OpenPart } from "./parts";

const basisShape = tuple(list(bytes()), list(bytes()), list(bytes()));

const factOf = (stream: StreamId): string => `owed ${hex(stream)}`;

function kept(session: CaseSession, stream: StreamId): Basis | undefined {
  const packed = session.store.fact(session.case, factOf(stream));
  if (!packed) return undefined;
  const [atts, changes, witnesses] = unpack(basisShape, packed);
  return { atts, changes, witnesses };
}

function both(mine: Basis, more: Basis | undefined): Basis {
  if (!more) return mine;
  const once = (all: readonly Uint8Array[]) => [...new Map(all.map((raw) => [hex(raw), raw])).values()];
  return {
    atts: once([...mine.atts, ...more.atts]),
    changes: once([...mine.changes, ...more.changes]),
    witnesses: once([...mine.witnesses, ...more.witnesses]),
  };
}

/** Before another log is followed, and in the same step; the part is opened before it. */
export function remember(session: CaseSession, stream: StreamId): void {
  const opened = session.parts.get(hex(stream));
  if (!opened) return;
  if (!opened.fold) throw new Error("a part that was not opened");
  if (opened.fold.ledger.entries.length === 0) return;
  const now = opened.fold.basis();
  const before = kept(session, stream);
  const { atts, changes, witnesses } = before ? both(before, now) : now;
  session.store.putFact(session.case, factOf(stream), pack(basisShape, [atts, changes, witnesses]));
}

/** Parts for which this device should put a snapshot in the place of the log that is shown, each with a name for it. */
export async function isDue(session: CaseSession): Promise<[string, OpenPart][]> {
  const found: [string, OpenPart][] = [];
  for (const [id, one] of [...session.parts]) {
    const { part } = one;
    const owed = kept(session, part.stream);
    const shown = session.unfollowed.get(id);
    if (!owed && !shown) continue;
    const opened = await session.opened(one);
    const { fold } = opened;
    if (owed && !shown && !(await hasGained(session, opened, owed))) {
      session.store.putFact(session.case, factOf(part.stream), null);
      continue;
    }
    const charter = session.known();
    const may = manageCap(session.secrets(part.stream));
    if (may && !charter.rooms.get(part.write)?.due && !opened.waits && !fold.alarm) {
      found.push([`owed ${id} ${(shown ?? session.position(part.stream)).length}`, opened]);
    }
  }
  return found;
}

/** Whether everybody would have more by a snapshot of both: what is void or had another variant first stays out. */
async function hasGained(session: CaseSession, opened: OpenPart, owed: Basis): Promise<boolean> {
  const { part, fold } = opened;
  const here = new Set(fold.ledger.entries.map(({ hash }) => hash));
  if (owed.changes.every((raw) => here.has(hex(changeHash(raw))))) return false;
  const of = { stream: part.stream, name: part.name, writeRoom: part.write, manageRoom: part.manage };
  const alone = new PartFold(of, (epoch) => {
    const secret = session.ring.secret(part.read, epoch);
    return secret && readSecret(secret, part.stream);
  });
  const at = session.position(part.stream);
  const payload = await payloadOf(session, opened, at, both(fold.basis(), owed));
  const { admitted } = await alone.take(at.length + 1, payload, () => undefined, session.known());
  return admitted.length > here.size || [...here].some((hash) => !admitted.includes(hash));
}

/** The snapshot of all that this device has and had, to be put in the place of the log that is shown. */
export async function replacement(session: CaseSession, opened: OpenPart): Promise<Operation[]> {
  const { stream } = opened.part;
  const at = session.unfollowed.get(hex(stream)) ?? session.position(stream);
  const payload = await payloadOf(session, opened, at, both(opened.fold.basis(), kept(session, stream)));
  const secrets = session.secrets(stream);
  const cap = manageCap(secrets);
  // It stays here, and the part is founded anew by whoever decides to.
  if (!cap || payload.length + MIN_RECORD_BYTES > MAX_RECORD_BYTES) return [];
  const record = await sealRecord(secrets, payload, session.around.random(24));
  return [{ op: "replace", stream, cap, expect: at.chain, record }];
}

/** The relay took it: the log is looked at once more in this sync, and followed. */
export function replaced(session: CaseSession, { part }: OpenPart): void {
  session.unfollowed.delete(hex(part.stream));
  session.reread.delete(hex(part.stream));
}

function payloadOf(
  session: CaseSession,
  { part }: OpenPart,
  at: Position,
  basis: Basis,
): Promise<Uint8Array> {
  const charter = session.known();
  const epoch = charter.rooms.get(part.write)?.epoch;
  if (epoch === undefined) throw new Error("a part without a room that writes");
  const { length: n, chain } = at;
  const claim = { device: session.device(), epoch, head: charter.head, n, chain, atts: [...basis.atts] };
  return makeSnapshot(session.keys.sign, part.stream, claim, basis.changes, basis.witnesses);
}
