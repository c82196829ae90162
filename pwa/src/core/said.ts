/**
 * What a reader says to the family, the record on `up`: mirror of core/eigenkring/said.py. Spec: docs/spec/view.md, Up.
 *
 * It is all that a professional can write. Signed by the reader's own device, so that it stays proven who said it.
 */
import { label, sha256 } from "../crypto/kdf";
import { type SigningKey, sign } from "../crypto/sign";
import { Inadmissible } from "./errors";
import { type Chain, type GrantId, type Hex, hex, type StreamId, same } from "./ids";
import { BadPacked } from "./packed";
import { bytes, choice, optional, pack, type Shape, struct, text, uint } from "./shape";
import { opened, positive, signedShape, verified } from "./view";

const most = Number.MAX_SAFE_INTEGER;
export const WHATS = ["answer", "answer_help", "condition", "need", "ask", "opened", "copied"] as const;
export type What = (typeof WHATS)[number];
/** What a person of the circle takes into a part; the others are receipts. */
export const WORDS: ReadonlySet<What> = new Set<What>(["answer", "answer_help", "condition", "need", "ask"]);
export const MAX_TEXT_BYTES = 20_000;
export const INCOMING_BYTES = 10;

const pseudonym: Shape<string> = {
  read: (value) => {
    const given = text.read(value);
    if (!/^([0-9a-f]{20})?$/.test(given)) throw new BadPacked("expected a pseudonym");
    return given;
  },
  write: text.write,
};
const saidShape = struct({
  grant: bytes<GrantId>(16),
  n: positive(most),
  length: uint(most),
  chain: bytes<Chain>(32),
  what: choice(...WHATS),
  at: uint(most),
  text: optional(text, ""),
  why: optional(text, ""),
  of: optional(pseudonym, ""),
  v: optional(uint(most), 0),
});

/** `length` and `chain` are seen. `at` is the reader's clock; it decides nothing. */
export interface Said {
  readonly grant: GrantId;
  readonly n: number;
  readonly length: number;
  readonly chain: Chain;
  readonly what: What;
  readonly at: number;
  readonly text: string;
  readonly why: string;
  /** The pseudonym of the question or request that is answered. */
  readonly of: string;
  /** Of a receipt, the version of the view. */
  readonly v: number;
}

export async function makeSaid(key: SigningKey, up: StreamId, said: Said): Promise<Uint8Array> {
  const body = pack(saidShape, said);
  return pack(signedShape, { body, sig: await sign(key, "up", up, body) });
}

/**
 * `reader` is the key in the grant's `join` entry, `above` the highest `n` taken before.
 *
 * Throws Inadmissible: `bad_view` (another signer, stream or grant, or nonsense), `not_newer` (said before: who holds the
 * stream's keys could lay a reader's words there a second time).
 */
export async function openSaid(
  payload: Uint8Array,
  up: StreamId,
  grant: GrantId,
  reader: Uint8Array,
  above: number,
): Promise<Said> {
  const signed = opened(signedShape, payload);
  await verified(reader, "up", up, signed, "bad_view");
  const said = opened(saidShape, signed.body);
  if (!same(said.grant, grant)) throw new Inadmissible("bad_view", "said for another grant");
  if (sizeOf(said.text) > MAX_TEXT_BYTES || sizeOf(said.why) > MAX_TEXT_BYTES) {
    throw new Inadmissible("bad_view", "longer than anybody may say");
  }
  if (said.n <= above) throw new Inadmissible("not_newer", "said before");
  return said;
}

export function sizeOf(words: string): number {
  return new TextEncoder().encode(words).length;
}

/**
 * How the family names one thing that was said; also the id of the item that it becomes, so that two devices that take it
 * at once make one.
 */
export function incomingId(grant: GrantId, payload: Uint8Array): Hex {
  return hex(sha256(label("incoming"), grant, payload).slice(0, INCOMING_BYTES));
}
