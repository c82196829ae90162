/**
 * Keybags: room secrets, boxed for each device, signed by their sender. Spec: docs/spec/charter.md, Keys.
 *
 * The one piece of randomness that is not an argument is inside HPKE (crypto/box.ts).
 */
import { BoxKey, openBox, sealBox } from "../crypto/box";
import { BadKey, BadSignature, CryptoError } from "../crypto/errors";
import { concat, hmac } from "../crypto/kdf";
import { paddedBytes } from "../crypto/pad";
import { type SigningKey, sign, verify } from "../crypto/sign";
import { MAX_INTEGER } from "./charter/entry";
import { type Charter, hereAt } from "./charter/state";
import { Inadmissible } from "./errors";
import {
  type CapabilityHash,
  type CaseId,
  type Chain,
  type DeviceId,
  type EntryHash,
  type Hex,
  hex,
  type RoomSecret,
  type StreamId,
  same,
  unhex,
} from "./ids";
import { BadPacked } from "./packed";
import {
  bytes,
  list,
  type Of,
  optional,
  pack,
  type Shape,
  struct,
  text,
  tuple,
  u32,
  uint,
  unpack,
} from "./shape";

export type Random = (bytes: number) => Uint8Array;
export const BOXES_AT_ONCE = 4;
const LENGTH_BYTES = 4;

const count: Shape<number> = {
  read: (value) => {
    const found = u32.read(value);
    if (found < 1) throw new BadPacked("a number from 1");
    return found;
  },
  write: (value) => value,
};
const secretShape = tuple(text, count, bytes<RoomSecret>(32));
/** A room, one of its epochs, and its secret. */
export type Given = Of<typeof secretShape>;
const blankShape = tuple(bytes<StreamId>(16), bytes<CapabilityHash>(32));
/**
 * A stream nobody opened yet and the manage hash of its owners: whoever founds a part that owners manage needs one.
 */
export type Blank = Of<typeof blankShape>;
const askShape = struct({
  act: bytes(),
  approvals: optional(list(struct({ by: bytes<DeviceId>(16), sig: bytes(64) })), []),
});
/** How they are kept until they are used. */
export const blanksShape = list(blankShape);

export const asksShape = list(askShape);

/** An act that needs a majority, and who agreed so far (charter.md, Majority). */
export type Ask = Of<typeof askShape>;

const bagShape = struct({
  rooms: optional(list(secretShape), []),
  acts: optional(list(askShape), []),
  blanks: optional(list(blankShape), []),
  pad: optional(bytes(), new Uint8Array() as Uint8Array),
});
/** What one device is given. */
export type Bag = Of<typeof bagShape>;

const bodyShape = struct({
  case: bytes<CaseId>(16),
  by: bytes<DeviceId>(16),
  length: uint(MAX_INTEGER),
  chain: bytes<Chain>(32),
  head: bytes<EntryHash>(32),
  n: count,
  boxes: list(tuple(bytes(16), bytes())),
});
type BagsBody = Of<typeof bodyShape>;
const payloadShape = struct({ body: bytes(), sig: bytes(64) });

/** A bag as found, before anything of it is believed: `checkBag` it against the charter that it helps to read. */
export interface OpenedBag extends Omit<BagsBody, "case" | "boxes"> {
  readonly bag: Bag;
  readonly bodyBytes: Uint8Array;
  readonly sig: Uint8Array;
  readonly stream: StreamId;
}

/**
 * Throws `bad_keybag` unless `by` belonged at that entry and signed this. The secrets are checked one by one with
 * `Keyring.check`.
 */
export async function checkBag(opened: Omit<OpenedBag, "bag">, charter: Charter): Promise<void> {
  const { by, n, head, stream, bodyBytes, sig } = opened;
  const device = charter.devices.get(hex(by));
  const known = charter.heads.get(n);
  const at = known && same(known, head) ? n : charter.dropped.get(hex(head));
  if (!device || at === undefined || !hereAt(device, at)) {
    throw new Inadmissible("bad_keybag", "a keybag by one who did not belong", hex(by));
  }
  try {
    await verify(device.sign, "keys", stream, bodyBytes, sig);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw new Inadmissible("bad_keybag", "a keybag that nobody signed", hex(by));
  }
}

/** How a device finds its box among the others, and nobody without the stream's S does. */
export function hint(keysSecret: Uint8Array, device: DeviceId, head: EntryHash): Uint8Array {
  return hmac(keysSecret, "hint", concat(device, head)).slice(0, 16);
}

export function bagOf(
  rooms: readonly Given[],
  acts: readonly Ask[] = [],
  blanks: readonly Blank[] = [],
): Bag {
  return { rooms, acts, blanks, pad: new Uint8Array() };
}

export interface Sender {
  readonly by: DeviceId;
  readonly key: SigningKey;
  readonly keysSecret: Uint8Array;
  /** The keys stream as this device saw it. */
  readonly seen: { readonly length: number; readonly chain: Chain };
  readonly random: Random;
}

/** The payload of a record of the keys stream. `charter` has the entry that goes with it; `bags` by device (hex). */
export async function sealBags(
  charter: Charter,
  sender: Sender,
  bags: ReadonlyMap<Hex, Bag>,
): Promise<Uint8Array> {
  const { case: caseId, head } = charter;
  const plain = ofOneSize([...bags.values()]);
  const boxes: (readonly [Uint8Array, Uint8Array])[] = [];
  for (const [at, id] of [...bags.keys()].entries()) {
    const device = unhex<DeviceId>(id);
    const content = plain[at] as Uint8Array;
    const known = charter.devices.get(id);
    if (!known) throw new RangeError("a keybag for a device that nobody knows");
    boxes.push([
      hint(sender.keysSecret, device, head),
      await boxFor(known.box, concat(caseId, device, head), content, sender.random),
    ]);
  }
  const size = plain[0]?.length ?? 0;
  while (boxes.length % BOXES_AT_ONCE !== 0 || boxes.length === 0) {
    boxes.push([sender.random(16), await boxForNobody(size, sender.random)]);
  }
  // In the order of their hints: the order in which they were made would tell who is who.
  boxes.sort(([a], [b]) => (hex(a) < hex(b) ? -1 : 1));
  const { length, chain } = sender.seen;
  const body = pack(bodyShape, { case: caseId, by: sender.by, length, chain, head, n: charter.n, boxes });
  return pack(payloadShape, { body, sig: await sign(sender.key, "keys", charter.keysStream, body) });
}

async function boxFor(
  key: Uint8Array,
  context: Uint8Array,
  content: Uint8Array,
  random: Random,
): Promise<Uint8Array> {
  try {
    return await sealBox(key, "keybag", context, content);
  } catch (error) {
    if (!(error instanceof BadKey)) throw error;
    // A device whose key is no key must not stop the others from getting theirs.
    return boxForNobody(content.length, random);
  }
}

/** Sealed to a key thrown away here. Not random bytes: an X25519 key has its top bit clear, so they would show. */
async function boxForNobody(size: number, random: Random): Promise<Uint8Array> {
  const nobody = await BoxKey.fromSeed(random(32));
  return sealBox(nobody.public, "keybag", new Uint8Array(), new Uint8Array(size));
}

/**
 * This device's bag; undefined where the record has none for it. Throws `bad_keybag`.
 *
 * It is opened before the charter can be read, for it holds what reads the charter: then MUST come `checkBag`.
 */
export async function openBags(
  payload: Uint8Array,
  caseId: CaseId,
  keysStream: StreamId,
  keysSecret: Uint8Array,
  device: DeviceId,
  key: BoxKey,
): Promise<OpenedBag | undefined> {
  const { body, ...signed } = readBody(payload, caseId);
  const wanted = hint(keysSecret, device, body.head);
  const box = body.boxes.find(([found]) => same(found, wanted))?.[1];
  if (!box) return undefined;
  try {
    const content = await openBox(key, "keybag", concat(caseId, device, body.head), box);
    return { ...body, ...signed, bag: unpack(bagShape, content), stream: keysStream };
  } catch (error) {
    if (!(error instanceof CryptoError || error instanceof BadPacked)) throw error;
    throw new Inadmissible("bad_keybag", "a keybag does not open", hex(body.by));
  }
}

/** Author and what they saw of the keys stream, of any record in it. Throws `bad_keybag`. */
export async function checkPayload(
  payload: Uint8Array,
  charter: Charter,
): Promise<{ readonly by: DeviceId; readonly length: number; readonly chain: Chain }> {
  const { body, ...signed } = readBody(payload, charter.case);
  await checkBag({ ...body, ...signed, stream: charter.keysStream }, charter);
  return { by: body.by, length: body.length, chain: body.chain };
}

function readBody(
  payload: Uint8Array,
  caseId: CaseId,
): { readonly body: BagsBody; readonly bodyBytes: Uint8Array; readonly sig: Uint8Array } {
  let body: BagsBody;
  let outer: Of<typeof payloadShape>;
  try {
    outer = unpack(payloadShape, payload);
    body = unpack(bodyShape, outer.body);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new Inadmissible("bad_keybag", "a record of keys does not decode");
  }
  if (!same(body.case, caseId)) throw new Inadmissible("bad_keybag", "keys of another case", hex(body.by));
  return { body, bodyBytes: outer.body, sig: outer.sig };
}

/** Each bag with zeros, so that all pad to one size: otherwise sizes tell who is in how many rooms. */
function ofOneSize(bags: readonly Bag[]): Uint8Array[] {
  if (bags.length === 0) return [];
  const sizes = bags.map((bag) => pack(bagShape, bag).length);
  // The longest text of the size class that the longest falls in; the header of `pad` grows by up to three bytes.
  const top = paddedBytes(Math.max(...sizes) + 3) - LENGTH_BYTES;
  const filled = bags.map((bag, at) => {
    const free = top - (sizes[at] as number);
    const fill = free - (free < 256 ? 0 : free < 65_537 ? 1 : 3);
    return pack(bagShape, { ...bag, pad: new Uint8Array(fill) });
  });
  if (new Set(filled.map((content) => paddedBytes(content.length))).size !== 1)
    throw new Error("boxes of two sizes");
  return filled;
}
