/**
 * The end of a case, streams closed at the relay, keys destroyed here, the others told: mirror of
 * core/eigenkring/erasing.py. Spec: docs/spec/export.md, Erasing.
 */
import type { Case } from "./case";
import * as compose from "./charter/compose";
import { Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable } from "./errors";
import { type Hex, hex, type StreamId, same, unhex } from "./ids";
import { about } from "./rooms";
import { authorOf, exchangeOf } from "./session/acting";
import { closing, heldStreams } from "./session/attachments";
import type { CaseSession } from "./session/parts";
import { noteGone } from "./shelf";
import { manageCap } from "./stream";
import { type Close, isFailed, type Operation } from "./wire";

const BATCH = 100;

export interface Erased {
  readonly closed: number;
  /** Streams that could not be closed. */
  readonly kept: number;
  readonly wasOwner: boolean;
  readonly wasAlone: boolean;
}

/**
 * An owner ends the case for all; somebody else leaves it and takes the own pages out; who does not belong any more, or whose
 * case an owner ended, empties this device.
 *
 * Throws Misuse `not_permitted` where other owners have to agree first, Unreachable: nothing is erased then. Where it is over
 * for this person nobody else is needed, and neither is thrown.
 */
export async function erase(one: Case): Promise<Erased> {
  const { session } = one;
  const charter = session.known();
  const isRemoved = session.row.state === "removed";
  const wasOwner = !isRemoved && charter.isOwner(session.me());
  if (isRemoved || (charter.closedN !== null && !wasOwner)) return eraseEnded(one);
  const wasAlone = charter.present().every(({ person }) => same(person, session.me()));
  if (wasOwner && charter.closedN === null) await end(one);
  const shared: StreamId[] = [session.case, charter.keysStream];
  const streams = wasOwner ? session.known().liveStreams() : ownStreams(session);
  const wanted = streams.filter((stream) => !shared.some((other) => same(other, stream)));
  const files = attachmentsOf(session, wasOwner ? undefined : new Set(wanted.map(hex)));
  const result = await closeAll(one, wanted);
  let closed = result.closed + (await closeFiles(one, files));
  if (wasOwner && wasAlone) closed += (await closeAll(one, shared)).closed; // nobody is left to be told
  if (!wasOwner) await one.leave();
  await takeFromHere(session);
  return { closed, kept: result.kept, wasOwner, wasAlone };
}

async function eraseEnded(one: Case): Promise<Erased> {
  const { session } = one;
  // Nobody took the lock of these from a person who was removed. Who put out a device of their own turned it: what lies in a
  // thief's hand closes nothing.
  const streams = ownStreams(session);
  let [closed, kept] = [0, streams.length];
  try {
    ({ closed, kept } = await closeAll(one, streams));
    closed += await closeFiles(one, attachmentsOf(session, new Set(streams.map(hex))));
  } catch (error) {
    // The relay may be gone for ever: that must keep nobody from emptying the own device.
    const isOfRelay = [Unreachable, Refused, RelayMisbehaved].some((kind) => error instanceof kind);
    if (!isOfRelay) throw error;
  }
  await takeFromHere(session);
  return { closed, kept, wasOwner: false, wasAlone: false };
}

/**
 * Go, and take everything of it from this device. What one wrote stays with the circle. Throws Unreachable: nothing is gone
 * then.
 */
export async function goAway(one: Case): Promise<void> {
  await one.leave();
  await takeFromHere(one.session);
}

async function takeFromHere({ store, case: caseId, row }: CaseSession): Promise<void> {
  await store.step(() => {
    noteGone(store, caseId, row.person);
    store.eraseCase(caseId);
  });
  await store.tidy();
}

async function end(one: Case): Promise<void> {
  try {
    await one.act(async (now) => exchangeOf(now, await compose.close(now.known(), authorOf(now))));
  } catch (error) {
    if (!(error instanceof Inadmissible) || error.code !== "not_permitted") throw error;
    throw new Misuse("not_permitted", "the other owners have to agree first");
  }
}

/** The parts about this person that nobody but this person manages: also after a removal, which takes those from nobody. */
function ownStreams(session: CaseSession): StreamId[] {
  const charter = session.known();
  const me = session.me();
  return [...charter.parts.values()]
    .filter((part) => part.about && same(part.about, me))
    .map(({ stream }) => stream)
    .filter((stream) => {
      const managing = about(charter.streamRooms(stream)?.manage ?? "");
      return managing !== undefined && same(managing, me);
    });
}

/** What closes the photos and files of these parts, or of all that this device writes. */
function attachmentsOf(session: CaseSession, of: ReadonlySet<Hex> | undefined): Operation[] {
  return [...session.parts].flatMap(([stream, opened]) =>
    of && !of.has(stream)
      ? []
      : [...heldStreams(session, opened)]
          .sort()
          .flatMap((attached) => closing(session, opened.part, unhex<StreamId>(attached))),
  );
}

/** Each under every lock it may have; one of them opens. */
async function closeFiles({ transport }: Case, ops: readonly Operation[]): Promise<number> {
  let closed = 0;
  for (let start = 0; start < ops.length; start += BATCH) {
    const { results } = await transport.exchange(ops.slice(start, start + BATCH));
    closed += results.filter((one) => !isFailed(one)).length;
  }
  return closed;
}

/** Closes what this device manages. One that does not close must not keep the others. */
async function closeAll(
  { session, transport }: Case,
  streams: readonly StreamId[],
): Promise<{ readonly closed: number; readonly kept: number }> {
  const ops: Close[] = [];
  const named = new Set<string>();
  for (const stream of streams) {
    const cap = manageCap(session.secrets(stream));
    if (cap && !named.has(hex(stream))) ops.push({ op: "close", stream, cap });
    named.add(hex(stream));
  }
  let closed = 0;
  for (let start = 0; start < ops.length; start += BATCH) {
    const { results } = await transport.exchange(ops.slice(start, start + BATCH));
    closed += results.filter((one) => !isFailed(one) || ["closed", "no_stream"].includes(one.code)).length;
  }
  return { closed, kept: streams.length - closed };
}
