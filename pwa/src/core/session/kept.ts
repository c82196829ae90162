/**
 * A part as it was last folded, in this device's own store: opening it checks no signature a second time. Mirror of
 * core/eigenkring/session/kept.py.
 *
 * What was kept must fit what the store holds now: the chain where it stopped, and heads of the document that are those of
 * the verdicts. Where it does not, or is damaged, it is passed over and the part is folded from its records.
 *
 * Beside it lies the document as people see it (`keepShown`), as plain data: to read a part, neither its verdicts nor the
 * engine are needed. It is small and kept at every sync, so it may be of a later day than the fold.
 */
import { concat, concatAll, sha256 } from "../../crypto/kdf";
import type { Part } from "../charter/state";
import type { Document, DocumentEngine, Value } from "../document";
import { EigenkringError } from "../errors";
import { type Chain, hex, type StreamId, same } from "../ids";
import { BadPacked, type Packable, type Packed } from "../packed";
import { dumpFold, loadFold } from "../part/cache";
import { isOutdated, type Outlook } from "../part/standing";
import {
  bool,
  bytes,
  dict,
  list,
  nullable,
  number,
  pack,
  type Shape,
  struct,
  text,
  u64,
  unpack,
} from "../shape";
import type { Folding, OpenPart } from "./folding";

/** So many records are folded in a moment; to write a large part anew after every single one would wear out a phone. */
export const KEPT_EVERY = 32;
/** One record may hold what was typed in an hour, or, as a snapshot, in years: so much is dear to fold again. */
export const KEPT_BYTES = 16_384;
/** A document larger than this is kept as seldom as its fold. */
export const SHOWN_BYTES = 65_536;
const SHOWN_VERSION = 1;
const DIGEST_BYTES = 32;

const keptShape = struct({
  length: u64,
  chain: bytes<Chain>(32),
  unopened: list(u64),
  waits: bool,
  set_aside: bool,
  fold: bytes(),
  document: bytes(),
});

/** A text, a number, yes or no, nothing, or a set. */
const valueShape: Shape<Value> = {
  read: (value: Packed): Value => {
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "string") return text.read(value);
    return Array.isArray(value) ? list(text).read(value) : number.read(value);
  },
  write: (value): Packable => {
    if (typeof value === "number") return number.write(value);
    return value as Packable;
  },
};

const shownShape = struct({
  version: u64,
  length: u64,
  chain: bytes<Chain>(32),
  unopened: list(u64),
  waits: bool,
  /** An Outlook. */
  height: u64,
  waiting: list(text),
  may_heal: bool,
  cuts: u64,
  /** Own records that waited to be sent: their words are in the document. */
  queued: list(bytes(32)),
  /** Of the own changes that are remembered, where all of them are settled. */
  own: nullable(bytes(32)),
  document: dict(dict(dict(valueShape))),
});

/** A part of which only the document was read, as it was kept. */
export interface ShownPart {
  readonly part: Part;
  readonly unopened: ReadonlySet<number>;
  readonly waits: boolean;
  readonly setAside: false;
  readonly document: Document;
  readonly length: number;
  readonly outlook: Outlook;
  readonly queued: ReadonlySet<string>;
  readonly own: Uint8Array | null;
  /** Not folded: `Folding.opened` does that. */
  readonly fold?: undefined;
  opening?: Promise<OpenPart> | undefined;
}

/** After a sync: the document wherever something came, the fold where it is enough. */
export async function keep(session: Folding, opened: OpenPart): Promise<void> {
  const { part, fold } = opened;
  const chain = session.store.chainAt(session.case, part.stream, fold.length);
  const { loadEngine } = session.around;
  if (fold.alarm || !chain || !loadEngine || !fold.engine) return;
  const isDue = isEnough(session, opened);
  const laid = isDue ? await folded(opened, chain) : undefined;
  // What a newer version wrote is judged again at every start: the next one may be that version.
  const shown = opened.setAside ? undefined : shownNow(session, opened, chain, isDue);
  if (!laid && !shown) return;
  await session.store.step(() => {
    if (laid) session.store.putLarge(session.case, nameOf(part.stream), laid);
    if (shown) session.store.putFact(session.case, nameOfShown(part.stream), shown);
  });
  if (isDue) opened.keptAt = fold.length;
}

async function folded(opened: OpenPart, chain: Chain): Promise<Uint8Array> {
  const packed = pack(keptShape, {
    length: opened.fold.length,
    chain,
    unopened: [...opened.unopened].sort((a, b) => a - b),
    waits: opened.waits,
    set_aside: opened.setAside,
    fold: dumpFold(opened.fold),
    document: (opened.fold.engine as DocumentEngine).save(),
  });
  // Bits rot on cheap phones: a verdict that did would go out with the next snapshot.
  return withDigest(packed);
}

/** By the platform: of a megabyte `sha256` takes a slow phone a quarter of a second. */
async function digest(packed: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", packed as Uint8Array<ArrayBuffer>));
}

/** As it is laid in the store; `whole` takes it back. */
export async function withDigest(packed: Uint8Array): Promise<Uint8Array> {
  return concat(await digest(packed), packed);
}

/** Without its digest; undefined where it is damaged. */
export async function whole(found: Uint8Array | undefined): Promise<Uint8Array | undefined> {
  const packed = found?.subarray(DIGEST_BYTES);
  return packed && same(await digest(packed), (found as Uint8Array).subarray(0, DIGEST_BYTES))
    ? packed
    : undefined;
}

function isEnough(session: Folding, { part, fold, keptAt }: OpenPart): boolean {
  const came = fold.length - keptAt;
  if (came <= 0 || came >= KEPT_EVERY) return came > 0;
  const since = session.store.records(session.case, part.stream, keptAt);
  return since.reduce((sum, { record }) => sum + record.length, 0) >= KEPT_BYTES;
}

/** Fills a part that was just made. False where it must be folded from its records. */
export async function load(session: Folding, opened: OpenPart, actor: Uint8Array): Promise<boolean> {
  const { stream } = opened.part;
  const { loadEngine } = session.around;
  if (!loadEngine) return false;
  const packed = await whole(await session.store.large(session.case, nameOf(stream)));
  if (!packed) return false;
  try {
    const kept = unpack(keptShape, packed);
    const chain = session.store.chainAt(session.case, stream, kept.length);
    if (!chain || !same(chain, kept.chain)) return false; // the store holds another log now
    if (!loadFold(opened.fold, kept.fold, loadEngine(kept.document, actor))) return false;
    for (const epoch of kept.unopened) opened.unopened.add(epoch);
    opened.waits = kept.waits;
    opened.setAside = kept.set_aside;
    opened.keptAt = opened.fold.length;
    return true;
  } catch (error) {
    if (error instanceof BadPacked || error instanceof EigenkringError) return false;
    throw error;
  }
}

/** As `whole`, of what is small: there are some fifty of them, and each question to the platform is a turn of its own. */
function wholeOfSmall(found: Uint8Array | undefined): Uint8Array | undefined {
  const packed = found?.subarray(DIGEST_BYTES);
  return packed && same(sha256(packed), (found as Uint8Array).subarray(0, DIGEST_BYTES)) ? packed : undefined;
}

// --- the document as people see it

/** The document as it is now; undefined where it lies there already, or would wear out the phone. */
function shownNow(session: Folding, opened: OpenPart, chain: Chain, isDue: boolean): Uint8Array | undefined {
  const { part, fold, unopened, waits } = opened;
  const queued = queuedIn(session, part.stream);
  const state = [fold.length, ...unopened, waits, ...(fold.engine?.heads() ?? []), ...queued].join();
  if (state === opened.shownAs || (opened.isLarge && !isDue)) return undefined;
  const { height, waiting, mayHeal, cuts } = fold.outlook();
  const own = ownIn(session, part.stream);
  const isAllSettled = session.store
    .ownChanges(session.case, part.stream)
    .every(({ hash }) => fold.ledger.find(hex(hash)));
  const packed = pack(shownShape, {
    version: SHOWN_VERSION,
    length: fold.length,
    chain,
    unopened: [...unopened],
    waits,
    height,
    waiting: [...waiting],
    may_heal: mayHeal,
    cuts,
    queued,
    own: isAllSettled ? own : null,
    document: session.documentOf(opened),
  });
  opened.shownAs = state;
  opened.isLarge = packed.length > SHOWN_BYTES;
  return concat(sha256(packed), packed);
}

function queuedIn(session: Folding, stream: StreamId): Uint8Array[] {
  return session.store
    .outbox(session.case)
    .flatMap(({ stream: of, record, ops }) => (of && same(of, stream) ? [sha256(record ?? ops)] : []));
}

/** As it was kept, or undefined where that is not what the store leads to now. */
export function loadShown(session: Folding, part: Part): ShownPart | undefined {
  const packed = wholeOfSmall(session.store.fact(session.case, nameOfShown(part.stream)));
  if (!packed || !session.around.loadEngine) return undefined;
  try {
    const kept = unpack(shownShape, packed);
    // Of an earlier place it is not what is to be seen now; and the records may not be read yet.
    const { length, chain } = session.position(part.stream);
    if (kept.version !== SHOWN_VERSION || length !== kept.length || !same(chain, kept.chain))
      return undefined;
    return {
      part,
      unopened: new Set(kept.unopened),
      waits: kept.waits,
      setAside: false,
      document: kept.document,
      length: kept.length,
      outlook: { height: kept.height, waiting: kept.waiting, mayHeal: kept.may_heal, cuts: kept.cuts },
      queued: new Set(kept.queued.map(hex)),
      own: kept.own,
    };
  } catch (error) {
    if (error instanceof BadPacked) return undefined;
    throw error;
  }
}

/** Whether it is still what is to be seen: no record, own word, key or charter entry came since. */
export function isStill(session: Folding, { part, length, outlook, queued, unopened }: ShownPart): boolean {
  if (session.position(part.stream).length !== length) return false;
  if ([...unopened].some((epoch) => session.ring.secret(part.read, epoch))) return false;
  if (isOutdated(outlook, part.stream, session.known())) return false;
  // One that is gone from there without having come back was taken out: its words are not to be seen.
  const waiting = new Set(queuedIn(session, part.stream).map(hex));
  return waiting.size === queued.size && [...waiting].every((digest) => queued.has(digest));
}

/** Whether all own changes that are remembered are in it, and were taken by everybody. */
export function hasAllOwn(session: Folding, { part, own }: ShownPart): boolean {
  return own !== null && same(own, ownIn(session, part.stream));
}

function ownIn(session: Folding, stream: StreamId): Uint8Array {
  return sha256(concatAll(session.store.ownChanges(session.case, stream).map(({ hash }) => hash)));
}

/** Own changes in it are to be made again, or the stream is gone. */
export function forget(session: Folding, stream: StreamId): void {
  session.store.putLarge(session.case, nameOf(stream), null);
  session.store.putFact(session.case, nameOfShown(stream), null);
}

function nameOf(stream: StreamId): string {
  return `fold ${hex(stream)}`;
}

function nameOfShown(stream: StreamId): string {
  return `shown ${hex(stream)}`;
}
