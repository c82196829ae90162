/**
 * What to read in one round trip, and taking in the answers: keys first, then the charter, then everything else. Mirror of
 * core/eigenkring/session/taking.py.
 */
import { readCapability, readSecret } from "../../crypto/capability";
import { extend } from "../../crypto/chain";
import { RelayMisbehaved } from "../errors";
import { type Capability, type Chain, hex, named, type StreamId, same } from "../ids";
import type { Heard } from "../live";
import { EVERYONE } from "../rooms";
import { pack, u64, unpack } from "../shape";
import { type Accepted, accept, type Position, readCap } from "../stream";
import { type Batch, type Failed, isFailed, type Read, type Result } from "../wire";
import { comeTogether } from "./adopting";
import { giveBack, type Purpose, suspect, takeAnew } from "./astray";
import { checkKeys, takeKeys } from "./boxes";
import { watched } from "./doors";
import * as healing from "./healing";
import { askedDoors } from "./own-door";
import type { CaseSession } from "./parts";
import { noteGeneration } from "./sightings";

const MAX_BYTES = 1_000_000;
/** Secrets told by keybags that are tried on the charter in one exchange. */
const TRIED_AT_ONCE = 16;

/** A read, and what it is for. `anew`: the whole stream, to compare with ours. */
export interface Want {
  readonly purpose: Purpose;
  readonly stream: StreamId;
  readonly op: Read;
  readonly anew: boolean;
}

/** One read for every stream this device may read, in the order in which the answers are taken in. */
export async function wants(session: CaseSession): Promise<Want[]> {
  const found: Want[] = [];
  const { keysStream } = session.row;
  if (!keysStream) return found;
  const want = (purpose: Purpose, stream: StreamId, cap: Capability | undefined): void => {
    if (!cap) return;
    const astray = session.astray.get(hex(stream));
    const after = (astray?.position ?? session.position(stream)).length;
    const op: Read = { op: "read", stream, cap, after, max_bytes: MAX_BYTES };
    found.push({ purpose, stream, op, anew: astray !== undefined });
  };
  want("keys", keysStream, readCap(session.secrets(keysStream)));
  for (const cap of charterCaps(session)) want("charter", session.charterStream, cap);
  const { charter } = session;
  if (!charter) return found;
  for (const { stream } of charter.parts.values()) want("part", stream, readCap(session.secrets(stream)));
  for (const door of await watched(session)) want("door", door.stream, readCap(door.secrets));
  for (const own of askedDoors(session)) want("door", own.stream, readCap(own.secrets));
  for (const { down, up, endedN } of charter.grants.values()) {
    if (endedN !== null) continue;
    want("view", down, readCap(session.secrets(down)));
    want("view", up, readCap(session.secrets(up)));
  }
  return found;
}

/** What to follow, so that news are heard of: all that is read. */
export async function heardIn(session: CaseSession): Promise<Heard[]> {
  const found = new Map<string, Heard>();
  for (const { stream, op } of await wants(session)) {
    // Of several keys for the charter the last one is the one it confirmed.
    found.set(hex(stream), { stream, cap: op.cap, length: session.position(stream).length });
  }
  return [...found.values()];
}

/**
 * The capability of the newest secret that the charter confirmed; when the relay refuses it, of those that keybags told of,
 * some at a time, for any of them may be a lie.
 */
function charterCaps(session: CaseSession): Capability[] {
  const stream = session.charterStream;
  const confirmed = session.ring.newest(EVERYONE);
  const secrets: { readonly epoch: number; readonly secret: Uint8Array }[] = confirmed ? [confirmed] : [];
  const told = session.told();
  if (session.charterTry > 0 || !confirmed) {
    const start = (Math.max(session.charterTry - 1, 0) * TRIED_AT_ONCE) % Math.max(told.length, 1);
    secrets.unshift(...told.slice(start, start + TRIED_AT_ONCE));
  }
  if (confirmed && healing.mayBeBehind(session)) {
    // Read before any lock is turned: what is shown may have gone another way.
    session.triedEarlier = true;
    const earlier = [...session.ring].filter(
      ({ room, epoch }) => room === EVERYONE && epoch < confirmed.epoch,
    );
    secrets.push(...earlier.sort((a, b) => b.epoch - a.epoch).slice(0, TRIED_AT_ONCE));
  }
  return secrets.map(({ epoch, secret }) => named(readCapability(readSecret(secret, stream), stream, epoch)));
}

/** Takes in the answers of one exchange. Gives whether another round would bring more. */
export async function takeAll(
  session: CaseSession,
  answers: readonly (readonly [Want, Result])[],
  received: (count: number) => void,
): Promise<boolean> {
  let again = false;
  let charterRefused = false;
  let charterRead = false;
  let partsBegun = false;
  const toldBefore = session.told().length;
  const isCrowded = answers.some(
    ([, result]) => !isFailed(result) && "records" in result && result.records.length > 0,
  );
  for (const [want, result] of answers) {
    const isCharter = want.purpose === "charter";
    if (want.purpose === "part" && !partsBegun) {
      // A snapshot may rest on an entry that came with it.
      partsBegun = true;
      again = (await session.foldCharter()) || again;
    }
    if (isCharter && charterRead) continue; // another key for the same door
    if (isFailed(result)) {
      if (isCharter && result.code === "not_allowed") charterRefused = true;
      else if (["closed", "expired", "no_stream"].includes(result.code)) gone(session, want, result.code);
      continue;
    }
    if (!("records" in result)) {
      throw new RelayMisbehaved("relay_garbage", "the relay answered another operation");
    }
    charterRead ||= isCharter;
    const more = want.anew
      ? await takeAnew(session, want.purpose, want.stream, result)
      : await takeOne(session, want, result, received, isCrowded);
    again ||= more;
  }
  again = (await session.foldCharter()) || again;
  await checkKeys(session);
  await session.openParts();
  if (charterRead) {
    session.charterTry = 0;
    session.letInAgain();
    return again;
  }
  if (charterRefused && !session.triedEarlier && healing.mayBeBehind(session)) return true;
  return charterRefused ? tryOtherKeys(session, toldBefore, again) : again;
}

function tryOtherKeys(session: CaseSession, toldBefore: number, again: boolean): boolean {
  const told = session.told().length;
  if (told !== toldBefore) session.charterTry = 0; // new keys came with this very answer
  if (told > 0 && session.charterTry < 1 + Math.floor(told / TRIED_AT_ONCE)) {
    session.charterTry += 1;
    return true;
  }
  session.charterTry = 0;
  if (!again && !healing.tryLocksOfBefore(session)) session.lockedOut();
  else if (!session.triedEarlier) return true;
  return again;
}

/** One answer to an ordinary read. Gives whether another round would bring more. */
async function takeOne(
  session: CaseSession,
  { purpose, stream }: Want,
  batch: Batch,
  received: (count: number) => void,
  isCrowded: boolean,
): Promise<boolean> {
  const ours = session.position(stream);
  // Who holds nothing has nothing to forget, and reads what is there.
  const isEmpty = purpose === "part" && ours.length === 0;
  let accepted: Accepted;
  let stands: boolean;
  try {
    accepted = accept(ours, batch, (index) => session.store.chainAt(session.case, stream, index));
    stands = await doesStand(session, purpose, stream, ours, accepted, batch.base_chain);
    if (accepted.replaced && !stands && !isEmpty) {
      throw new RelayMisbehaved(
        "broken_chain",
        "records were taken away, and no snapshot stands in their place",
      );
    }
  } catch (error) {
    if (!(error instanceof RelayMisbehaved)) throw error;
    session.alarm(error.code, purpose);
    if (error.code === "rolled_back") healing.begin(session);
    return suspect(session, stream, error.code);
  }
  session.gone.delete(hex(stream));
  const { placed, more } = accepted;
  if (more && placed.length === 0) {
    if (isCrowded) return true; // the frame was full before it was this stream's turn
    // It promises more and gives nothing: not worth another round.
    session.alarm("relay_garbage", purpose);
    return false;
  }
  if (purpose === "charter") {
    session.founded();
    comeTogether(session);
  }
  if (!more) {
    session.answered.add(hex(stream));
    if (purpose !== "door") session.readWhole.add(hex(stream));
  }
  if (placed.length === 0) return false;
  const position = stands || isEmpty ? accepted.position : { ...accepted.position, base: ours.base };
  const keep = (): void => {
    session.store.putRecords(session.case, stream, position, placed);
    session.arrived(stream, new Set(placed.map(({ record }) => hex(record))));
  };
  if (!stands && !isEmpty) {
    // What came before is here and not there any more: it is not forgotten, and whoever comes later needs it.
    session.alarm("broken_chain", purpose);
    await giveBack(session, purpose, stream, new Set());
  }
  if (purpose === "part" && position.base !== ours.base) {
    await session.takeReplacing(stream, placed, keep);
  } else await session.store.step(keep);
  if (purpose === "keys") await takeKeys(session, placed);
  received(placed.length);
  return more || purpose === "keys" || purpose === "charter" || purpose === "door";
}

/**
 * Whether what came before may be forgotten. A relay's word is not enough: a snapshot is, by a writer, made there. Of the
 * other streams only a view is ever replaced.
 */
async function doesStand(
  session: CaseSession,
  purpose: Purpose,
  stream: StreamId,
  ours: Position,
  { position: { base }, placed }: Accepted,
  baseChain: Chain,
): Promise<boolean> {
  if (base === ours.base || purpose === "view") return true;
  const first = placed.find(({ index }) => index === base + 1);
  return (
    first !== undefined && purpose === "part" && (await session.snapshotStands(stream, first, baseChain))
  );
}

/** Whether a refused append is worth another try: the locks may have been turned, and the keys have come since. */
export function learned(session: CaseSession): boolean {
  return session.refusals < 3;
}

/** What the relay says it took must be where it says. Else it is sent again another day, and told now. */
export function checkClaims(session: CaseSession): void {
  const waiting = new Map(session.store.outbox(session.case).map(({ number, record }) => [number, record]));
  for (const [number, { stream, length, chain }] of session.claimed) {
    if (!mayReadBack(session, stream)) {
      session.store.dropOutbox(number); // the relay's word is all there is
      continue;
    }
    const record = waiting.get(number);
    const known = session.store.chainAt(session.case, stream, length);
    const before = length > 0 ? session.store.chainAt(session.case, stream, length - 1) : undefined;
    // The chain of that place is not enough: a relay may say it of any record, and throw this one away.
    const isIt =
      known && chain && record && before && same(known, chain) && same(extend(before, record), chain);
    if (isIt) {
      session.store.dropOutbox(number); // given back: it lay at that very place here already
    } else if (session.position(stream).length < length) session.alarm("rolled_back", "outbox");
    else if (known && chain && record) session.alarm("forked", "outbox");
  }
}

/** Not who may no longer read what they wrote: a member who became a child, and had words waiting in the own voice. */
function mayReadBack({ row, charter }: CaseSession, stream: StreamId): boolean {
  const part = charter?.partStreams.get(hex(stream));
  if (!row.person || !charter || !part || !charter.parts.has(part.name)) return true;
  return charter.mayRead(row.person, part.name);
}

/** A record that the relay did not take stays in the outbox, unless the circle itself left that stream behind. */
export function appendRefused(
  session: CaseSession,
  number: number,
  stream: StreamId,
  { code }: Failed,
): boolean {
  const part = session.charter?.partStreams.get(hex(stream));
  const present = part && session.charter?.parts.get(part.name);
  const leftBehind = present !== undefined && !same(present.stream, stream);
  // An entry that was given back comes too late where another one followed.
  const tooLate = code === "conflict" && same(stream, session.charterStream);
  if ((code === "closed" && leftBehind) || tooLate) {
    session.alarm(code, "outbox");
    session.store.dropOutbox(number);
    return false;
  }
  session.refusals += 1;
  if (code !== "not_allowed") session.alarm(code, "outbox");
  return true;
}

/** A relay's word that a stream is over ends nothing here: that the charter says. */
function gone(session: CaseSession, { purpose, stream }: Want, code: string): void {
  const isRead = purpose === "keys" || purpose === "charter" || purpose === "part";
  if (code === "no_stream" && isRead) healing.begin(session);
  if (code === "no_stream" && purpose === "part") session.gone.add(hex(stream));
  if (purpose === "keys" || purpose === "charter") session.alarm(code, purpose);
  if (purpose !== "part") return;
  const part = session.known().partStreams.get(hex(stream));
  const present = part && session.known().parts.get(part.name);
  // Else it was founded anew, says an entry that came with this.
  if (part && present && same(present.stream, stream)) session.alarm(code, part.name);
}

/**
 * A relay that was restored says so by a higher generation, a lower one is a lie or an old copy: both are told to people. It
 * is nobody's signed word, so it stops nothing: what lengths and chains say counts.
 */
export function checkGeneration(session: CaseSession, generation: number): void {
  const packed = session.store.fact(session.case, "generation");
  const known = packed ? unpack(u64, packed) : undefined;
  if (known === generation) return;
  noteGeneration(session, generation);
  session.store.putFact(session.case, "generation", pack(u64, generation));
  if (known === undefined) return;
  session.alarm(generation > known ? "new_generation" : "rolled_back", "relay");
  healing.generationChanged(session);
}
