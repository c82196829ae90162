/**
 * The way back on paper, what a recovery code gives and the space it opens: mirror of core/eigenkring/paper.py. Spec:
 * docs/spec/recovery.md.
 *
 * A phone can add to its person's space and cannot read what it added: a thief with the phone finds no seed there.
 */
import { BOX_PUBLIC_BYTES, BoxKey, openBox, sealBox } from "../crypto/box";
import { CryptoError } from "../crypto/errors";
import { derive } from "../crypto/kdf";
import { type CaseId, type Chain, type EntryHash, named, type RecordBytes, type StreamId } from "./ids";
import { BadPacked } from "./packed";
import { bytes, pack, struct, text, uint, unpack } from "./shape";
import { openRecord as openInStream, type StreamSecrets, sealRecord } from "./stream";

export { CODE_BYTES } from "../crypto/words";

const number = uint(Number.MAX_SAFE_INTEGER);
/** How a sheet is written. */
export const sheetShape = struct({
  case: bytes<CaseId>(16),
  relay: text,
  seed: bytes(32),
  keys: bytes<StreamId>(16),
  secret: bytes(32),
  n: number,
  head: bytes<EntryHash>(32),
});
const recordShape = struct({ length: number, chain: bytes<Chain>(32), box: bytes() });
const spaceShape = struct({
  relay: text,
  stream: bytes<StreamId>(16),
  read: bytes(32),
  write: bytes(32),
  box: bytes(BOX_PUBLIC_BYTES),
});

/** One case as the paper knows it: the seed of a sleeping device, and where its keys lie. Never log it. */
export interface Sheet {
  readonly case: CaseId;
  readonly relay: string;
  readonly seed: Uint8Array;
  /** The stream of the keys, and its S. */
  readonly keys: StreamId;
  readonly secret: Uint8Array;
  readonly n: number;
  readonly head: EntryHash;
}

/** What a phone keeps of a space: enough to add to it. `box` is the public half of the paper key. */
export interface Space {
  readonly relay: string;
  readonly stream: StreamId;
  readonly read: Uint8Array;
  readonly write: Uint8Array;
  readonly box: Uint8Array;
}

export const packSpace = (space: Space): Uint8Array => pack(spaceShape, space);
export const unpackSpace = (packed: Uint8Array): Space => unpack(spaceShape, packed);

export function spaceSecrets({ stream, read, write }: Space): StreamSecrets {
  return { stream, read: { secret: read, epoch: 0 }, write: { secret: write, epoch: 0 } };
}

/** All that the 160 bits of a code give. Never log it. */
export interface Code {
  readonly space: Space;
  readonly manage: Uint8Array;
  readonly key: BoxKey;
}

/** `code` is 20 bytes, as `decodeCode` gives them. */
export async function openCode(code: Uint8Array, relay: string): Promise<Code> {
  const stream = named<StreamId>(derive(code, "space").slice(0, 16));
  const key = await BoxKey.fromSeed(derive(code, "space box", stream));
  const space: Space = {
    relay,
    stream,
    read: derive(code, "space read", stream),
    write: derive(code, "space write", stream),
    box: key.public,
  };
  return { space, manage: derive(code, "space manage", stream), key };
}

/** With the right to close, which no phone keeps. */
export function codeSecrets({ space, manage }: Code): StreamSecrets {
  return { ...spaceSecrets(space), manage: { secret: manage, epoch: 0 } };
}

/** A sealed record of the space that only the code opens. `length` and `chain` are seen, `nonce` is 24 random bytes. */
export async function makeRecord(
  space: Space,
  sheet: Sheet,
  length: number,
  chain: Chain,
  nonce: Uint8Array,
): Promise<RecordBytes> {
  const box = await sealBox(space.box, "space", space.stream, pack(sheetShape, sheet));
  return sealRecord(spaceSecrets(space), pack(recordShape, { length, chain, box }), nonce);
}

/** The sheet in a record; undefined for noise, which whoever has the phone can add. */
export async function openRecord(code: Code, record: Uint8Array): Promise<Sheet | undefined> {
  try {
    const { box } = unpack(recordShape, await openInStream(codeSecrets(code), record));
    return unpack(sheetShape, await openBox(code.key, "space", code.space.stream, box));
  } catch (error) {
    if (error instanceof CryptoError || error instanceof BadPacked) return undefined;
    throw error;
  }
}
