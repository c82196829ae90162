/**
 * The shelf, a stream by which the own devices of one person keep their list of cases in step: mirror of
 * core/eigenkring/shelf.py. Spec: docs/spec/shelf.md.
 *
 * It holds one record: the newest signed page of every device on it. What follows from the pages is in `shelving`.
 */
import { BOX_PUBLIC_BYTES, type BoxKey, openBox, sealBox } from "../crypto/box";
import type { DeviceKeys } from "../crypto/device";
import { CryptoError } from "../crypto/errors";
import { derive, label, sha256 } from "../crypto/kdf";
import { sign, verify } from "../crypto/sign";
import {
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  type Hex,
  hex,
  join,
  type Named,
  named,
  type PersonId,
  type RecordBytes,
  type StreamId,
  same,
} from "./ids";
import { BadPacked } from "./packed";
import type { Random } from "./session/case";
import { bytes, list, type Of, optional, pack, type Shape, struct, text, uint, unpack } from "./shape";
import { NO_CASE, type Store } from "./store";
import { openRecord as opened, type StreamSecrets, sealRecord } from "./stream";

/** What a device is called on a shelf, 16 bytes: it has other keys there than in any case. */
export type MemberId = Named<"MemberId">;

/** More devices than a person has in one case; more at once would make a record that no phone reads in a moment. */
export const MAX_PAGES = 16;
export const MAX_ROWS = 1_000;
export const MAX_ASKS = 64;

const number = uint(Number.MAX_SAFE_INTEGER);
export const shelfShape = struct({ relay: text, secret: bytes(32) });
/** Where a shelf stands, and all there is to it: whoever knows the secret reads, writes and closes it. Never log it. */
export type Shelf = Of<typeof shelfShape>;

const rowShape = struct({
  case: bytes<CaseId>(16),
  relay: text,
  person: bytes<PersonId>(8),
  device: bytes<DeviceId>(16),
});
/** A case that the device of the page has open, and which device and person it is there. */
export type Row = Of<typeof rowShape>;

const askedShape = struct({
  case: bytes<CaseId>(16),
  sign: bytes(32),
  box: bytes(BOX_PUBLIC_BYTES),
  add_sig: bytes(64),
});
/** Keys that the device of the page made for a case of another page: `add_sig` as in charter.md, `add_device`. */
export type Asked = Of<typeof askedShape>;

const givenShape = struct({
  case: bytes<CaseId>(16),
  device: bytes<DeviceId>(16),
  keys: bytes<StreamId>(16),
  secret: bytes(32),
  n: number,
  head: bytes<EntryHash>(32),
});
/** `device` is in that case now: where its keys lie, and the charter (`n`, `head`) that says so. */
export type Given = Of<typeof givenShape>;

const nextShape = struct({ to: bytes<MemberId>(16), box: bytes() });
/** The shelf that takes the place of this one, in a box for one device on it. */
export type Next = Of<typeof nextShape>;

const none: readonly Next[] = [];
const pageShape = struct({
  sign: bytes(32),
  box: bytes(BOX_PUBLIC_BYTES),
  n: number,
  length: number,
  chain: bytes<Chain>(32),
  cases: list(rowShape, 0, MAX_ROWS),
  gone: list(bytes<CaseId>(16), 0, MAX_ROWS),
  asks: list(askedShape, 0, MAX_ASKS),
  gives: list(givenShape, 0, MAX_ROWS),
  next: optional(list(nextShape, 0, MAX_PAGES), none),
});
/** What one device says: its list, what it erased, what it asks for, what it gives, and where to go on. */
export type Page = Of<typeof pageShape>;

const signedShape = struct({ body: bytes(), sig: bytes(64) });
const recordShape = struct({ pages: list(bytes(), 0, MAX_PAGES) });

export const shelfStream = ({ secret }: Shelf): StreamId => named(derive(secret, "shelf").slice(0, 16));

export function shelfSecrets(shelf: Shelf): StreamSecrets {
  const stream = shelfStream(shelf);
  const of = (name: string) => ({ secret: derive(shelf.secret, name, stream), epoch: 0 });
  return { stream, read: of("shelf read"), write: of("shelf write"), manage: of("shelf manage") };
}

export function memberOf(signKey: Uint8Array, boxKey: Uint8Array): MemberId {
  return named(sha256(label("shelf member"), signKey, boxKey).slice(0, 16));
}

export const byOf = (page: Page): MemberId => memberOf(page.sign, page.box);

export async function makePage(stream: StreamId, page: Page, keys: DeviceKeys): Promise<Uint8Array> {
  const body = pack(pageShape, page);
  return pack(signedShape, { body, sig: await sign(keys.sign, "shelf page", stream, body) });
}

/** Undefined for what is no page of this shelf, or not signed by the device that it names. */
export async function openPage(stream: StreamId, signed: Uint8Array): Promise<Page | undefined> {
  return orNothing(async () => {
    const { body, sig } = unpack(signedShape, signed);
    const page = unpack(pageShape, body);
    await verify(page.sign, "shelf page", stream, body, sig);
    return page;
  });
}

async function orNothing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CryptoError || error instanceof BadPacked) return undefined;
    throw error;
  }
}

/** The one record of the shelf. `nonce` is 24 random bytes. */
export function makeRecord(
  shelf: Shelf,
  pages: readonly Uint8Array[],
  nonce: Uint8Array,
): Promise<RecordBytes> {
  return sealRecord(shelfSecrets(shelf), pack(recordShape, { pages }), nonce);
}

export interface SignedPage {
  readonly page: Page;
  readonly signed: Uint8Array;
}

/** The pages in a record by member, each with its signed bytes, the newest of each; nothing in what is no record. */
export async function openRecord(shelf: Shelf, record: Uint8Array): Promise<Map<Hex, SignedPage>> {
  const found = new Map<Hex, SignedPage>();
  const secrets = shelfSecrets(shelf);
  const held = await orNothing(async () => unpack(recordShape, await opened(secrets, record)));
  for (const signed of held?.pages ?? []) {
    const page = await openPage(secrets.stream, signed);
    if (!page) continue;
    const by = hex(byOf(page));
    if ((found.get(by)?.page.n ?? -1) < page.n) found.set(by, { page, signed });
  }
  return found;
}

/**
 * `stream` is that of the shelf that ends, `box` the public key of `to`. Throws BadKey of the crypto package.
 */
export async function sealNext(stream: StreamId, to: MemberId, box: Uint8Array, shelf: Shelf): Promise<Next> {
  return { to, box: await sealBox(box, "shelf next", join(stream, to), pack(shelfShape, shelf)) };
}

/** The shelf on which `member` goes on, by this page; undefined where it says none. */
export async function openNext(
  stream: StreamId,
  page: Page,
  member: MemberId,
  key: BoxKey,
): Promise<Shelf | undefined> {
  for (const { to, box } of page.next) {
    if (!same(to, member)) continue;
    const shelf = await orNothing(async () =>
      unpack(shelfShape, await openBox(key, "shelf next", join(stream, member), box)),
    );
    if (shelf) return shelf;
  }
  return undefined;
}

// --- what a device keeps of it

const keptShape = struct({ shelf: shelfShape, seed: bytes(32), n: number, page: bytes() });
/**
 * The shelf this device is on, its own seed there, the number of its newest page, and the page of it that lies there, as it
 * was signed (empty: none that is known of). Never log it.
 */
export type Kept = Of<typeof keptShape>;

/** A case that another device has, and the seed of the keys this one asks to come in with. Never log it. */
export const wishShape = struct({
  case: bytes<CaseId>(16),
  relay: text,
  person: bytes<PersonId>(8),
  seed: bytes(32),
});
export type Wish = Of<typeof wishShape>;

/** Facts of no case. OFFERED: the shelf of who let this device in. GONE: what was erased here. */
export const SHELF = "shelf";
export const OFFERED = "shelf offered";
export const GONE = "shelf gone";

/** A fact of no case, in its shape. */
export function factOf<T>(store: Store, name: string, shape: Shape<T>): T | undefined {
  const packed = store.fact(NO_CASE, name);
  return packed && unpack(shape, packed);
}

export const keptBy = (store: Store): Kept | undefined => factOf(store, SHELF, keptShape);

export function keep(store: Store, kept: Kept | null): void {
  store.putFact(NO_CASE, SHELF, kept && pack(keptShape, kept));
}

/** The shelf that another own device is to be on too; begun here where there is none. */
export function forAnother(store: Store, relay: string, random: Random): Shelf {
  const known = keptBy(store);
  if (known) return known.shelf;
  const shelf = { relay, secret: random(32) };
  keep(store, { shelf, seed: random(32), n: 0, page: new Uint8Array() });
  return shelf;
}

/** Keeps the shelf that a welcome named. It is gone to at the next sync. */
export function offer(store: Store, shelf: Shelf): void {
  store.putFact(NO_CASE, OFFERED, pack(shelfShape, shelf));
}

const linesShape = list(bytes());

export interface Gone {
  readonly case: CaseId;
  readonly person: PersonId | null;
}
/** What was erased here, and who this person was in it, where that was kept. */
export function goneBy(store: Store): readonly Gone[] {
  return (factOf(store, GONE, linesShape) ?? []).map((line) => ({
    case: named(line.slice(0, 16)),
    person: line.length > 16 ? named(line.slice(16)) : null,
  }));
}

/** Erased here, on purpose: the other devices of this person erase it too, once they see that it ended. */
export function noteGone(store: Store, caseId: CaseId, person: PersonId | null): void {
  const others = goneBy(store).filter((one) => !same(one.case, caseId));
  const lines = [...others, { case: caseId, person }].map((one) =>
    join(one.case, one.person ?? new Uint8Array()),
  );
  store.putFact(NO_CASE, GONE, pack(linesShape, lines.slice(-MAX_ROWS)));
}
