/**
 * What a relay showed one device, as a signed text that goes from hand to hand outside the relay: mirror of
 * core/eigenkring/report.py. Spec: docs/spec/report.md.
 *
 * Pure: what it says is given, and `differing` compares two. It holds no name, no id and no hash of the case: each stands
 * there as a tag, an HMAC that only who reads the same can work out.
 */
import { concat, derive, hmac } from "../crypto/kdf";
import { type SigningKey, sign, verify } from "../crypto/sign";
import { Inadmissible } from "./errors";
import { type CaseId, type Chain, type DeviceId, type EntryHash, hex, type StreamId, same } from "./ids";
import { BadPacked } from "./packed";
import { bytes, list, type Of, pack, type Shape, struct, tuple, uint, unpack } from "./shape";

export const VERSION = 1;
export const MAX_REPORT_BYTES = 1_048_576;
export const MAX_GENERATIONS = 16;
export const MAX_LINES = 512;
export const MAX_POINTS = 256;
export const MAX_GONE = 32;
export const MOST = Number.MAX_SAFE_INTEGER;
/** So many of the newest places are all in a report; of those before, ever fewer. */
export const NEWEST = 32;

const number = uint(MOST);
const place: Shape<number> = {
  read: (value) => {
    const found = number.read(value);
    if (found < 1) throw new BadPacked("expected a place");
    return found;
  },
  write: (value) => value,
};
/** Generation (from 1 in the report's list, 0 unknown), when it was seen first (0 unknown), index, tag of the chain. */
const pointShape = tuple(number, number, place, bytes(32));
const lineShape = struct({
  id: bytes(16),
  base: number,
  length: place,
  /** In which the end of the log was seen last. */
  generation: number,
  /** Of the log that lies there now. */
  points: list(pointShape, 1, MAX_POINTS),
  /** Of logs that lay there before. */
  gone: list(pointShape, 0, MAX_GONE),
});
const reportShape = struct({
  v: uint(),
  case: bytes(16),
  by: bytes(16),
  at: number,
  /** Oldest first. */
  generations: list(bytes(16), 0, MAX_GENERATIONS),
  n: place,
  head: bytes(32),
  lines: list(lineShape, 0, MAX_LINES),
});
const versionShape = struct({ v: uint() });
const signedShape = struct({ body: bytes(), sig: bytes(64) });

export type Point = Of<typeof pointShape>;
export type Line = Of<typeof lineShape>;
export type Report = Of<typeof reportShape>;
/** 16 bytes of an id, 32 of a chain. */
export type Tag = Uint8Array;

// --- tags

/**
 * The tags that everybody who reads the charter can work out. `keysSecret` is the S of the keys stream, which lasts as long
 * as the case: devices that a relay tells different things would not have one secret of a room.
 */
export class CaseTags {
  readonly #secret: Uint8Array;
  readonly #case: CaseId;

  constructor(keysSecret: Uint8Array, caseId: CaseId) {
    this.#case = caseId;
    this.#secret = derive(keysSecret, "report", caseId);
  }

  case(): Tag {
    return hmac(this.#secret, "report case", this.#case).slice(0, 16);
  }

  device(device: DeviceId): Tag {
    return hmac(this.#secret, "report device", device).slice(0, 16);
  }

  generation(generation: number): Tag {
    return hmac(this.#secret, "report generation", u64(generation)).slice(0, 16);
  }

  head(n: number, head: EntryHash): Tag {
    return hmac(this.#secret, "report head", concat(u64(n), head));
  }

  /** Of a stream that all of the case read: charter and keys. */
  line(stream: StreamId): LineTags {
    return new LineTags(this.#secret, stream);
  }
}

/**
 * The tags of one stream. `secret` is the first that its reading room had, which every later reader gets too; so who may not
 * read a stream does not find it in a report.
 */
export class LineTags {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array, stream: StreamId) {
    this.#secret = derive(secret, "report line", stream);
  }

  id(): Tag {
    return hmac(this.#secret, "report stream", new Uint8Array()).slice(0, 16);
  }

  point(index: number, chain: Chain): Tag {
    return hmac(this.#secret, "report point", concat(u64(index), chain));
  }
}

function u64(value: number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

/**
 * The places of a log that a report gives: the newest, every power of two, and the last two multiples of each. Two logs of
 * lengths that differ by d so have one in common that is less than 2d before the end of the shorter, and never before its
 * half.
 */
export function ruler(length: number): number[] {
  const found = new Set<number>();
  for (let at = Math.max(1, length - NEWEST + 1); at <= length; at++) found.add(at);
  for (let step = 1; step <= length; step *= 2) {
    const top = length - (length % step);
    found.add(step);
    found.add(top);
    if (top > step) found.add(top - step);
  }
  return [...found].sort((a, b) => a - b);
}

// --- the text

const BEGIN = "-----BEGIN EIGENKRING REPORT-----";
const END = "-----END EIGENKRING REPORT-----";

function refused(why: string): Inadmissible {
  return new Inadmissible("bad_report", why);
}

/** The text of a report. The case is signed and not in it. */
export async function signReport(key: SigningKey, caseId: CaseId, report: Report): Promise<string> {
  const body = pack(reportShape, report);
  const packed = base64(pack(signedShape, { body, sig: await sign(key, "report", caseId, body) }));
  return [BEGIN, ...(packed.match(/.{1,64}/g) ?? []), END, ""].join("\n");
}

/** What a text says, its signature not checked: that takes the charter. Throws Inadmissible. */
export function openReport(text: string): Report {
  const { body } = unpacked(text);
  let version: number;
  try {
    version = unpack(versionShape, body).v;
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw refused("the report is not whole");
  }
  if (version > VERSION) {
    throw new Inadmissible("future_version", "a newer program made this report; please update");
  }
  const found = exactly(reportShape, body);
  if (version < 1 || !holds(found)) throw refused("the report contradicts itself");
  return found;
}

/** Resolves when this key signed the report, for this case. Throws BadSignature. */
export async function checkSignature(text: string, caseId: CaseId, key: Uint8Array): Promise<void> {
  const { body, sig } = unpacked(text);
  await verify(key, "report", caseId, body, sig);
}

function unpacked(text: string): Of<typeof signedShape> {
  if (text.length > MAX_REPORT_BYTES || new TextEncoder().encode(text).length > MAX_REPORT_BYTES) {
    throw new Inadmissible("too_large", "no report is that long");
  }
  if (text.split(BEGIN).length !== 2 || text.split(END).length !== 2) {
    throw refused("the report is not whole: copy all of it, with its first and last line");
  }
  const [, after = ""] = text.split(BEGIN);
  const packed = (after.split(END)[0] ?? "").replace(/[ \t\r\n]+/g, "");
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(packed)) {
    throw refused("the report is not whole");
  }
  const data = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  if (base64(data) !== packed) throw refused("the report is written in another way than it should be");
  return exactly(signedShape, data);
}

function base64(data: Uint8Array): string {
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}

/** What only one sequence of bytes can say, so that no byte is free to carry anything. */
function exactly<T>(shape: Shape<T>, data: Uint8Array): T {
  let found: T;
  try {
    found = unpack(shape, data);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw refused("the report is not whole");
  }
  if (!same(pack(shape, found), data)) {
    throw refused("the report is written in another way than it should be");
  }
  return found;
}

function holds({ generations, lines }: Report): boolean {
  const known = generations.length;
  return (
    new Set(generations.map(hex)).size === known &&
    rises(lines.map(({ id }) => hex(id))) &&
    lines.every((line) => lineHolds(line, known))
  );
}

/** One tag for each place of the log, the last of them its end; every generation one of the list. */
function lineHolds({ base, length, generation, points, gone }: Line, known: number): boolean {
  return (
    base <= length &&
    generation <= known &&
    [...points, ...gone].every(([of, at]) => of <= known && (of > 0 || at === 0)) &&
    rises(points.map(([, , index]) => ordered(index))) &&
    points.at(-1)?.[2] === length &&
    rises(gone.map(goneKey))
  );
}

/** By place, generation and tag. */
export function goneKey([generation, , index, tag]: Point): string {
  return ordered(index) + ordered(generation) + hex(tag);
}

/** A number as a text of one length, so that texts come in the order of the numbers. */
const ordered = (value: number): string => value.toString().padStart(16, "0");

function rises(keys: readonly string[]): boolean {
  return keys.every((key, at) => at === 0 || (keys[at - 1] as string) < key);
}
