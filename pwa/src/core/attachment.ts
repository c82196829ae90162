/**
 * An attachment: what a field holds of a photo or file, and its bytes as sealed chunks. Mirrors core/eigenkring/attachment.py.
 *
 * The key is in the field, so whoever reads the part reads the attachment, and nobody else. Spec: docs/spec/attachments.md.
 */
import { FutureVersion } from "../crypto/errors";
import { sha256 } from "../crypto/kdf";
import { openSealed, seal } from "../crypto/seal";
import { Inadmissible } from "./errors";
import { join, named, type RecordBytes, type StreamId, same } from "./ids";
import { BadPacked } from "./packed";
import { bytes, pack, type Shape, struct, text, uint, unpack } from "./shape";

export const PREFIX = "eigenkring:attachment:";
export const VERSION = 1;
export const CHUNK_BYTES = 262_144;
export const MAX_ATTACHMENT_BYTES = 33_554_432;
export const MAX_PREVIEW_BYTES = 12_288;
export const MAX_NAME_BYTES = 400;
const EPOCH = 0;
const TYPE = /^[a-z]{1,20}\/[a-z0-9.+-]{1,100}$/;
/** Signs that end a line, lead into a folder or turn the text around: a name is shown, and offered when saving. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NO_NAME = /[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** What the field of an item holds. `size` in bytes, `hash` the SHA-256 of the bytes. Never log it: the key reads the file. */
export interface Attachment {
  readonly v: number;
  readonly stream: StreamId;
  readonly key: Uint8Array;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly hash: Uint8Array;
  /** A small picture, or nothing. */
  readonly preview: Uint8Array;
}

/** What a view shows of an attachment: no stream and no key. */
export type Shown = Pick<Attachment, "v" | "name" | "type" | "size" | "preview">;

const most = Number.MAX_SAFE_INTEGER;
const attachmentShape: Shape<Attachment> = struct({
  v: uint(most),
  stream: bytes<StreamId>(16),
  key: bytes(32),
  name: text,
  type: text,
  size: uint(MAX_ATTACHMENT_BYTES),
  hash: bytes(32),
  preview: bytes(),
});
const shownShape: Shape<Shown> = struct({
  v: uint(most),
  name: text,
  type: text,
  size: uint(MAX_ATTACHMENT_BYTES),
  preview: bytes(),
});
const versionShape = struct({ v: uint() });
const kindShape = struct({ k: text });
const chunkShape = struct({ k: text, n: uint(most), of: uint(most), data: bytes() });

export function chunksOf({ size }: Pick<Attachment, "size">): number {
  return Math.ceil(size / CHUNK_BYTES);
}

/** Whether a value says that it is an attachment; it may still be a broken one, or of a newer version. */
export function claimsAttachment(value: unknown): value is string {
  return typeof value === "string" && value.startsWith(PREFIX);
}

/** The value of the field. Throws Inadmissible `bad_attachment` for what no reader would take. */
export function packAttachment(attachment: Attachment): string {
  check(attachment);
  return PREFIX + base64(pack(attachmentShape, attachment));
}

/** Throws Inadmissible: `bad_attachment`, `future_version`. */
export function parseAttachment(value: string): Attachment {
  return parsed(value, attachmentShape);
}

/** As it stands in a view. Throws Inadmissible: `bad_attachment`, `future_version`. */
export function parseShown(value: string): Shown {
  return parsed(value, shownShape);
}

/**
 * What a view shows of an attachment, as a value; null where that cannot be told: what a newer program wrote may hold a
 * key where this one does not look.
 */
export function shownOf(value: string): string | null {
  try {
    const { name, type, size, preview } = parseAttachment(value);
    return PREFIX + base64(pack(shownShape, { v: VERSION, name, type, size, preview }));
  } catch (error) {
    if (error instanceof Inadmissible) return null;
    throw error;
  }
}

/** For people and programs, without the key; where it cannot be read, the code of why. */
export type Described =
  | {
      readonly attachment: string;
      readonly type: string;
      readonly size: number;
      readonly preview: Uint8Array;
    }
  | { readonly attachment: null; readonly code: string };

export function described(value: string): Described {
  let code = "bad_attachment";
  for (const shape of [attachmentShape, shownShape]) {
    try {
      const { name, type, size, preview } = parsed<Shown>(value, shape);
      return { attachment: name, type, size, preview };
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      code = error.code;
    }
  }
  return { attachment: null, code };
}

function parsed<T extends Shown>(value: string, shape: Shape<T>): T {
  const data = unpacked(value);
  let found: T;
  try {
    const { v } = unpack(versionShape, data);
    if (v > VERSION) throw new Inadmissible("future_version", "an attachment of a newer program");
    found = unpack(shape, data);
  } catch (error) {
    if (error instanceof BadPacked) throw bad("the field does not say which file it is");
    throw error;
  }
  check(found);
  return found;
}

function check({ v, name, type, size, preview }: Shown): void {
  const length = new TextEncoder().encode(name).length;
  if (v !== VERSION) throw bad("no version");
  if (length < 1 || length > MAX_NAME_BYTES || NO_NAME.test(name) || /\p{Surrogate}/u.test(name)) {
    throw bad("the name is no name of a file");
  }
  if (!TYPE.test(type)) throw bad("the kind of the file is not told");
  // It goes into every reader's page: nothing but a picture that a browser shows as one.
  if (preview.length > 0 && !isPicture(preview)) throw bad("the preview is no picture");
  if (size < 1 || size > MAX_ATTACHMENT_BYTES || preview.length > MAX_PREVIEW_BYTES) throw bad("too large");
}

/** Whether bytes begin as JPEG, PNG or WebP. */
export function isPicture(data: Uint8Array): boolean {
  const begins = (signs: string, at = 0): boolean =>
    [...signs].every((sign, i) => data[at + i] === sign.charCodeAt(0));
  return begins("\xff\xd8\xff") || begins("\x89PNG\r\n\x1a\n") || (begins("RIFF") && begins("WEBP", 8));
}

function bad(why: string): Inadmissible {
  return new Inadmissible("bad_attachment", why);
}

// --- base64 of RFC 4648, section 5, without padding; exactly one text for any bytes

function base64(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function unpacked(value: string): Uint8Array {
  const packed = value.slice(PREFIX.length);
  if (!claimsAttachment(value) || !/^[A-Za-z0-9_-]*$/.test(packed) || packed.length % 4 === 1) {
    throw bad("no attachment");
  }
  const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const data = Uint8Array.from(binary, (sign) => sign.charCodeAt(0));
  if (base64(data) !== packed) throw bad("bits are left over"); // two texts would be one attachment
  return data;
}

// --- the bytes

/** The records of the stream. One nonce of 24 random bytes for each chunk. */
export function sealChunks(
  attachment: Attachment,
  data: Uint8Array,
  nonces: readonly Uint8Array[],
): Promise<RecordBytes[]> {
  const of = chunksOf(attachment);
  if (data.length !== attachment.size || nonces.length !== of || !same(sha256(data), attachment.hash)) {
    throw new Error("other bytes than the attachment says");
  }
  return Promise.all(
    nonces.map(async (nonce, at) => {
      const piece = data.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES);
      const payload = pack(chunkShape, { k: "chunk", n: at + 1, of, data: piece });
      return named<RecordBytes>(await seal(attachment.key, attachment.stream, EPOCH, payload, nonce));
    }),
  );
}

/**
 * The file. Throws Unopenable, FutureVersion; Inadmissible `bad_attachment` where a chunk is missing, double, one too many
 * or in another place, or the whole is another file than the field says.
 */
export async function openChunks(
  attachment: Attachment,
  records: readonly Uint8Array[],
): Promise<Uint8Array> {
  const of = chunksOf(attachment);
  if (records.length > of) throw bad("more chunks than the file has");
  const pieces: Uint8Array[] = [];
  for (const [at, record] of records.entries()) pieces.push(await openChunk(attachment, at + 1, record));
  if (records.length < of) throw bad("the file is not whole");
  const data = join(...pieces);
  if (data.length !== attachment.size || !same(sha256(data), attachment.hash)) {
    throw bad("another file than the field says");
  }
  return data;
}

async function openChunk(attachment: Attachment, n: number, record: Uint8Array): Promise<Uint8Array> {
  const { epoch, plaintext } = await openSealed(attachment.key, attachment.stream, record);
  const of = chunksOf(attachment);
  const size = n === of ? attachment.size - (n - 1) * CHUNK_BYTES : CHUNK_BYTES;
  try {
    if (unpack(kindShape, plaintext).k !== "chunk") throw new FutureVersion("a record of a newer kind");
    const chunk = unpack(chunkShape, plaintext);
    if (epoch !== EPOCH || chunk.n !== n || chunk.of !== of || chunk.data.length !== size) {
      throw bad("a chunk in another place than its own");
    }
    return chunk.data;
  } catch (error) {
    if (error instanceof BadPacked) throw bad("no chunk");
    throw error;
  }
}
