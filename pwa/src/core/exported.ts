/**
 * What an export is made of and says, worked out from its records alone: mirror of core/eigenkring/exported.py. Spec:
 * docs/spec/export.md.
 *
 * `verify` makes `content.json` and `lezen.html` again from the records and asks for the same bytes; so numbers and the
 * order of names are written here as Python writes them. Pure: bytes go in, a case comes out.
 */
import { extend, first } from "../crypto/chain";
import { CryptoError } from "../crypto/errors";
import { type SigningKey, sign, verify } from "../crypto/sign";
import { type Attachment, claimsAttachment, described, parseAttachment } from "./attachment";
import { fold } from "./charter/rules";
import type { Charter, Part } from "./charter/state";
import { type DocumentEngine, read } from "./document";
import { Inadmissible } from "./errors";
import { type CaseId, type Chain, type Hex, hex, named, type PersonId, same } from "./ids";
import { BadPacked } from "./packed";
import { PartFold } from "./part/fold";
import type { FoldEngine } from "./part/shown";
import type { Schema } from "./schema";
import { attachmentsIn } from "./session/attachments";
import {
  bytes,
  list,
  nullable,
  optional,
  pack,
  type Shape,
  struct,
  text,
  tuple,
  uint,
  unpack,
} from "./shape";
import { byCodePoint } from "./texts";

/** 1 did not name the schema. */
export const VERSION = 2;
/** The ways in which an export is not what was made. The code is always `bad_export`; a screen has words for each. */
export const FAULTS = {
  none: "there is no list of files in it",
  newer: "made by a newer program; please update",
  archive: "the archive is damaged or cut off",
  large: "more than an export holds",
  files: "a file was altered, taken away or added",
  shape: "a file is not written as it should be",
  charter: "the charter is not the one that was exported",
  signature: "the list of files is not signed by a device of the case",
  part: "a part was left out",
  log: "a log does not lead to where it should",
  attachment: "a photo or file is not the one that was attached",
  words: "the pages say something else than the records",
  left_out: "the authors of a part saw another log than this one",
} as const;
export type Fault = keyof typeof FAULTS;

export class BadExport extends Inadmissible {
  constructor(
    readonly fault: Fault,
    /** Which part, where that is known. */
    readonly part = "",
  ) {
    super("bad_export", part ? `${FAULTS[fault]}: ${part}` : FAULTS[fault]);
  }
}

export const MANIFEST = "eigenkring.msgpack";
export const CHARTER = "charter.msgpack";
export const CONTENT = "content.json";
export const READABLE = "lezen.html";
const number = uint(Number.MAX_SAFE_INTEGER);
const signedShape = struct({ body: bytes(), sig: bytes(64) });
const manifestShape = struct({
  v: number,
  case: bytes(16),
  by: bytes(16),
  at: number,
  n: number,
  head: bytes(32),
  files: list(tuple(text, bytes(32))),
  streams: list(tuple(text, number, bytes(32))),
  /** `schemaHash` of its program; absent in version 1. */
  schema: optional(nullable(bytes(32)), null, true),
});
const versionedShape = struct({ v: uint() });
const logShape = struct({
  stream: bytes(16),
  base: number,
  base_chain: bytes(32),
  records: list(tuple(bytes(), nullable(bytes()))),
  secrets: list(tuple(number, bytes(32))),
});
type Read<S> = S extends Shape<infer T> ? T : never;
export type Manifest = Read<typeof manifestShape>;
export type Log = Read<typeof logShape>;

/** The list of files, its signature not checked: that takes the charter. Throws Inadmissible `bad_export`. */
export function openManifest(data: Uint8Array): Manifest {
  const { body } = exactly(signedShape, data);
  // First, because a newer one has other keys: altered is what nobody may be told.
  if (versionOf(body) > VERSION) throw new BadExport("newer");
  const manifest = exactly(manifestShape, body);
  if (manifest.v === 0 || (manifest.schema === null) !== (manifest.v === 1)) throw new BadExport("shape");
  return manifest;
}

function versionOf(body: Uint8Array): number {
  try {
    return unpack(versionedShape, body).v;
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    return 0;
  }
}

/** Who made the export. Throws Inadmissible `bad_export`: not a device of the case, or another signature. */
export async function checkSignature(
  data: Uint8Array,
  manifest: Manifest,
  charter: Charter,
): Promise<PersonId> {
  const device = charter.devices.get(hex(manifest.by));
  if (!device) throw new BadExport("signature");
  await checkList(data, manifest, device.sign);
  return device.person;
}

/** Resolves when this key signed the list of files. Throws Inadmissible `bad_export`. */
export async function checkList(data: Uint8Array, manifest: Manifest, key: Uint8Array): Promise<void> {
  const { body, sig } = exactly(signedShape, data);
  try {
    await verify(key, "export", manifest.case, body, sig);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new BadExport("signature");
  }
}

/** The log of one stream. Throws Inadmissible `bad_export`. */
export const openLog = (data: Uint8Array): Log => exactly(logShape, data);

export const packLog = (log: Log): Uint8Array => pack(logShape, log);

export async function signManifest(key: SigningKey, manifest: Manifest): Promise<Uint8Array> {
  const body = pack(manifestShape, manifest);
  return pack(signedShape, { body, sig: await sign(key, "export", manifest.case, body) });
}

/** The running hash at every place of a log. One from the beginning takes no word for its first chain. */
export function chainsOf({ stream, base, base_chain, records }: Log): Map<number, Chain> {
  let running = named<Chain>(base === 0 ? first(stream) : base_chain);
  const found = new Map([[base, running]]);
  for (const [at, [record]] of records.entries()) {
    running = named<Chain>(extend(running, record));
    found.set(base + at + 1, running);
  }
  return found;
}

/** Where a log leads to: length and chain. */
export function endOf(log: Log): readonly [number, Uint8Array] {
  const length = log.base + log.records.length;
  return [length, chainsOf(log).get(length) as Chain];
}

/** What only one sequence of bytes can say, so that no byte is free to be altered. */
function exactly<T>(shape: Shape<T>, data: Uint8Array): T {
  let found: T;
  try {
    found = unpack(shape, data);
  } catch (error) {
    if (!(error instanceof BadPacked)) throw error;
    throw new BadExport("shape");
  }
  if (!same(pack(shape, found), data)) throw new BadExport("shape");
  return found;
}

// --- folding

export type Value = string | number | boolean | null | readonly string[];
export type Content = ReadonlyMap<
  string,
  ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, Value>>>
>;

/**
 * The charter of a log, to its entry `until`: who made the export with an older program folded no further. What is not
 * admitted is passed over, as everybody does. Throws Inadmissible `bad_export`.
 */
export async function foldCharter(caseId: CaseId, log: Log, schema: Schema, until: number): Promise<Charter> {
  if (!same(log.stream, caseId) || log.base !== 0) throw new BadExport("charter");
  const chains = chainsOf(log);
  let charter: Charter | undefined;
  for (const [before, [, payload]] of log.records.entries()) {
    if (charter?.n === until) break;
    if (!payload) continue;
    try {
      charter = await fold(charter, payload, caseId, chains.get(before) as Chain, schema);
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
      // Altered is what nobody may be told: an update reads it.
      if (error.code === "future_version") throw new BadExport("newer");
    }
  }
  if (!charter) throw new BadExport("charter");
  return charter;
}

/** What came of the records of one part. */
export interface Folded {
  readonly content: ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, Value>>>;
  /** How many changes, by person; "" where the charter knows nobody. */
  readonly by: ReadonlyMap<string, number>;
  /** Codes of what everybody passes over, sorted. */
  readonly passed: readonly string[];
  /** The devices that say to have seen another log. */
  readonly elsewhere: ReadonlySet<Hex>;
}

/** What the records of a part say; from the records, not from the screen. Throws Inadmissible `bad_export`. */
export async function foldPart(
  part: Part,
  log: Log,
  charter: Charter,
  newEngine: () => FoldEngine & DocumentEngine,
): Promise<Folded> {
  if (!same(log.stream, part.stream)) throw new BadExport("log", part.name);
  const secrets = new Map(log.secrets);
  const made = new PartFold(
    { stream: part.stream, name: part.name, writeRoom: part.write, manageRoom: part.manage },
    (epoch) => secrets.get(epoch),
    newEngine,
  );
  const chains = chainsOf(log);
  const opened: (readonly [number, Uint8Array])[] = [];
  for (const [at, [, payload]] of log.records.entries()) {
    if (payload) opened.push([log.base + at + 1, payload]);
  }
  const { refused, waits } = await made.refold(opened, (length) => chains.get(length), charter);
  if (made.alarm || !made.engine) throw new BadExport("words", part.name);
  const by = new Map<string, number>();
  for (const { device } of made.ledger.entries) {
    const person = charter.personOf(device)?.person;
    const id = person ? hex(person) : "";
    by.set(id, (by.get(id) ?? 0) + 1);
  }
  const shut = log.records.length - opened.length;
  const passed = [
    ...refused.map(({ code }) => code),
    ...Array<string>(shut).fill("unopenable"),
    ...(waits ? ["unknown_head"] : []),
  ];
  const seen = refused.flatMap(({ code, device }) => (code === "false_seen" && device ? [device] : []));
  return {
    content: read(made.engine as FoldEngine & DocumentEngine, undefined),
    by,
    passed: passed.sort(),
    elsewhere: new Set(seen),
  };
}

// --- content.json, as Python writes it

export type Json = string | number | boolean | null | readonly Json[] | ReadonlyMap<string, Json>;

/** As `json.dumps(..., ensure_ascii=False, indent=1, sort_keys=True)`. */
export function jsonOf(value: Json, depth = 0): string {
  const inner = " ".repeat(depth + 1);
  const close = `\n${" ".repeat(depth)}`;
  if (value instanceof Map) {
    if (value.size === 0) return "{}";
    const lines = byCodePoint(value.keys()).map(
      (key) => `${inner}${JSON.stringify(key)}: ${jsonOf(value.get(key) as Json, depth + 1)}`,
    );
    return `{\n${lines.join(",\n")}${close}}`;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((one: Json) => inner + jsonOf(one, depth + 1)).join(",\n")}${close}]`;
  }
  return typeof value === "number" ? numberOf(value) : JSON.stringify(value);
}

/** As Python's `repr`: another limit for the form with an exponent, and two digits in it. */
export function numberOf(value: number): string {
  // A whole number within 2^53 is an integer to everybody.
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? "0" : `${value}`;
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential()) ?? [];
  const exponent = Number(power);
  const digits = whole + fraction;
  if (exponent < -4 || exponent >= 16) {
    const two = `${Math.abs(exponent)}`.padStart(2, "0");
    return `${sign}${whole}${fraction ? `.${fraction}` : ""}e${exponent < 0 ? "-" : "+"}${two}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const before = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${before}.${digits.slice(exponent + 1) || "0"}`;
}

// --- attachments

export const FILES = "files/";
const ENDINGS: Readonly<Record<string, string>> = {
  "image/jpeg": ".jpg",
  "image/png": ".png",
  "image/webp": ".webp",
  "application/pdf": ".pdf",
  "text/plain": ".txt",
};

/**
 * Where its bytes lie in the folder: named by what they are. Never under the name that somebody gave it, and not by its
 * stream, which a second field may name with other bytes, so that nobody could take the case along.
 */
export const fileOf = ({ hash, type }: Attachment): string =>
  `${FILES}${hex(hash)}${ENDINGS[type] ?? ".bin"}`;

/** Every attachment that the parts hold, by its place in the folder. */
export function attachmentsOf(content: Content): Map<string, Attachment> {
  const found = new Map<string, Attachment>();
  for (const part of content.values()) {
    for (const attachment of attachmentsIn(part)) found.set(fileOf(attachment), attachment);
  }
  return found;
}

/** What people want to know of an attachment, in the place of its key. `files`: those that are in the folder. */
function withFiles(value: Value, files: ReadonlySet<string>): Json {
  if (!claimsAttachment(value)) return value;
  const found = described(value);
  if (found.attachment === null)
    return new Map([
      ["attachment", null],
      ["code", found.code],
    ] as const);
  const place = placeOf(value);
  return new Map<string, Json>([
    ["attachment", found.attachment],
    ["type", found.type],
    ["size", found.size],
    ["file", place !== undefined && files.has(place) ? place : null],
  ]);
}

/** Undefined where a field only looks like what a view shows: whoever writes the part can put that there. */
function placeOf(value: string): string | undefined {
  try {
    return fileOf(parseAttachment(value));
  } catch (error) {
    if (!(error instanceof Inadmissible)) throw error;
    return undefined;
  }
}

export type Told = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, Json>>>>;

export function describedWithFiles(content: Content, files: ReadonlySet<string>): Told {
  return mapped(content, (collections) =>
    mapped(collections, (items) =>
      mapped(items, (fields) => mapped(fields, (value) => withFiles(value, files))),
    ),
  );
}

function mapped<T, U>(map: ReadonlyMap<string, T>, turn: (value: T) => U): ReadonlyMap<string, U> {
  return new Map([...map].map(([key, value]) => [key, turn(value)]));
}
