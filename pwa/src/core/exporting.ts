/**
 * Taking a case along, files that anybody can read and that prove offline who wrote what: mirror of
 * core/eigenkring/exporting.py. Spec: docs/spec/export.md.
 */
import { readSecret } from "../crypto/capability";
import { CryptoError } from "../crypto/errors";
import { sha256 } from "../crypto/kdf";
import { fetchAttachment } from "./carrying";
import type { Case } from "./case";
import type { Charter, Part } from "./charter/state";
import { Engine } from "./crdt";
import { EigenkringError } from "./errors";
import {
  attachmentsOf,
  BadExport,
  CHARTER,
  CONTENT,
  type Content,
  checkSignature,
  describedWithFiles,
  endOf,
  FILES,
  type Folded,
  fileOf,
  foldCharter,
  foldPart,
  jsonOf,
  type Log,
  MANIFEST,
  type Manifest,
  openLog,
  openManifest,
  packLog,
  READABLE,
  signManifest,
  VERSION,
} from "./exported";
import { type CaseId, hex, named, type PersonId, same } from "./ids";
import { readable, schemaHash } from "./readable";
import type { Schema } from "./schema";
import { attachmentsIn } from "./session/attachments";
import type { CaseSession } from "./session/parts";
import { byCodePoint } from "./texts";
import { NoTransport } from "./transport";

/**
 * All that this device reads of a case, as files by their place in the folder; where it is over for this person, all that it
 * read until then. It is as secret as the plan itself: not locked. In the session's turn nothing changes meanwhile.
 */
export async function exportCase(one: Case): Promise<Map<string, Uint8Array>> {
  // Not `one.charter`: what was read here, and the own pages, stay this person's to take along after a removal.
  const { session } = one;
  const charter = session.known();
  await session.around.engineReady();
  const taken = await fetched(one);
  return session.inTurn(async () => {
    const logs = new Map<string, Log>([["", await charterLog(session)]]);
    const parts = byCodePoint(charter.parts.keys()).flatMap((name) => charter.parts.get(name) ?? []);
    for (const part of parts) {
      if (session.parts.has(hex(part.stream))) logs.set(part.name, await partLog(session, part));
    }
    const content = new Map<string, Content extends ReadonlyMap<string, infer C> ? C : never>();
    const files = new Map<string, Uint8Array>();
    for (const [name, log] of logs) {
      files.set(logAt(name), packLog(log));
      const part = charter.parts.get(name);
      if (part) content.set(name, (await foldPart(part, log, charter, newEngine)).content);
    }
    const there = new Set<string>();
    for (const path of attachmentsOf(content).keys()) {
      const data = taken.get(path);
      if (!data) continue;
      there.add(path);
      files.set(path, data);
    }
    for (const [path, data] of pages(session.around.schema, charter, content, there)) files.set(path, data);
    const listed = byCodePoint(files.keys()).map(
      (path) => [path, sha256(files.get(path) as Uint8Array)] as const,
    );
    const manifest = await signManifest(session.keys.sign, {
      v: VERSION,
      case: session.case,
      by: session.device(),
      at: session.around.clock(),
      n: charter.n,
      head: charter.head,
      files: listed,
      streams: byCodePoint(logs.keys()).map((name) => [name, ...endOf(logs.get(name) as Log)] as const),
      schema: schemaHash(session.around.schema),
    });
    return files.set(MANIFEST, manifest);
  });
}

/** Photos and files by their place in the folder. One that cannot be had must not keep the plan from being taken along. */
async function fetched(one: Case): Promise<Map<string, Uint8Array>> {
  const { session } = one;
  const found = new Map<string, Uint8Array>();
  // Who was removed takes along what lies here, and asks the relay for nothing more.
  const transport = session.row.state === "removed" ? new NoTransport() : one.transport;
  for (const opened of session.parts.values()) {
    for (const attachment of attachmentsIn(session.read(opened))) {
      try {
        const data = await fetchAttachment(session, transport, opened.part.name, attachment);
        found.set(fileOf(attachment), data);
      } catch (error) {
        if (!(error instanceof EigenkringError || error instanceof CryptoError)) throw error;
      }
    }
  }
  return found;
}

async function charterLog(session: CaseSession): Promise<Log> {
  const { charterStream: stream } = session;
  const records = session.store.records(session.case, stream);
  const payloads = await session.openCharter(records);
  const start = session.store.chainAt(session.case, stream, 0);
  if (!start) throw new Error("a charter without a beginning");
  return {
    stream,
    base: 0,
    base_chain: start,
    records: records.map(({ index, record }) => {
      const payload = payloads.get(index);
      return [record, payload?.length ? payload : null] as const;
    }),
    secrets: [],
  };
}

async function partLog(session: CaseSession, part: Part): Promise<Log> {
  const { stream } = part;
  const { base } = session.position(stream);
  const chain = session.store.chainAt(session.case, stream, base);
  if (!chain) throw new Error("a part without the chain at its base");
  const records: (readonly [Uint8Array, Uint8Array | null])[] = [];
  for (const { record } of session.store.records(session.case, stream)) {
    let payload: Uint8Array | null = null;
    try {
      payload = await session.openRecord(stream, part.read, record);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
    }
    records.push([record, payload]);
  }
  return { stream, base, base_chain: chain, records, secrets: endedSecrets(session, part) };
}

/** For checking cuts. Never of the present epoch: whoever found the files could read on at the relay. */
function endedSecrets(session: CaseSession, part: Part): (readonly [number, Uint8Array])[] {
  const { cuts, rooms } = session.known();
  const now = rooms.get(part.read)?.epoch;
  const epochs = new Set((cuts.get(hex(part.stream)) ?? []).map(({ readEpoch }) => readEpoch));
  const found: (readonly [number, Uint8Array])[] = [];
  for (const epoch of [...epochs].sort((a, b) => a - b)) {
    const secret = epoch === now ? undefined : session.ring.secret(part.read, epoch);
    if (secret) found.push([epoch, readSecret(secret, part.stream)]);
  }
  return found;
}

/** What the parts say, as data and to read. */
export function pages(
  schema: Schema,
  charter: Charter,
  parts: Content,
  files: ReadonlySet<string>,
): Map<string, Uint8Array> {
  const content = describedWithFiles(parts, files);
  const everybody = [...charter.people.values()];
  const names = new Map(everybody.map(({ person, name }) => [hex(person), name]));
  const packed = new Map<string, Parameters<typeof jsonOf>[0]>([
    ["case", hex(charter.case)],
    ["title", charter.title],
    [
      "people",
      everybody.map(
        ({ person, name, role, here }) =>
          new Map<string, string | boolean>([
            ["person", hex(person)],
            ["name", name],
            ["role", role],
            ["here", here],
          ]),
      ),
    ],
    ["parts", content],
  ]);
  const utf8 = new TextEncoder();
  return new Map([
    [CONTENT, utf8.encode(`${jsonOf(packed)}\n`)],
    [READABLE, utf8.encode(readable(charter.title, content, names, schema))],
  ]);
}

const newEngine = (): Engine => new Engine(new Uint8Array(24));
const logAt = (part: string): string => (part ? `parts/${part}.msgpack` : CHARTER);

// --- verifying

/** What is known of one part of an export that is whole. */
export interface VerifiedPart {
  /** How many changes, by the name of who made them. */
  readonly changes: ReadonlyMap<string, number>;
  /** Codes of what everybody passes over, such as noise. */
  readonly passed: readonly string[];
}

/** An export that is whole. `content` is that of the records, by part; `person` made it. */
export interface Verified {
  readonly charter: Charter;
  readonly person: PersonId;
  /** When it was made, in seconds, by the clock of the device that made it. */
  readonly at: number;
  readonly content: Content;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly parts: ReadonlyMap<string, VerifiedPart>;
  /** The page for people, where another program made it, with other words around what was written. */
  readonly unchecked: readonly string[];
}

/**
 * Whether an export is whole, offline and without a store: `given` are its files by their place in the folder. Throws
 * BadExport for any byte that was altered, left out or added. Without `page` the page for people may be another program's,
 * whose labels were other words: nothing may be read from it then.
 */
export async function verified(
  given: ReadonlyMap<string, Uint8Array>,
  schema: Schema,
  { page = true }: { readonly page?: boolean } = {},
): Promise<Verified> {
  const files = new Map(given);
  const list = files.get(MANIFEST);
  if (!list) throw new BadExport("none");
  files.delete(MANIFEST);
  const manifest = openManifest(list);
  checkFiles(files, manifest.files);
  const caseId = named<CaseId>(manifest.case);
  const logs = new Map([["", openLog(files.get(CHARTER) ?? new Uint8Array())]]);
  const charter = await foldCharter(caseId, logs.get("") as Log, schema, manifest.n);
  const person = await checkSignature(list, manifest, charter);
  if (charter.n !== manifest.n || !same(charter.head, manifest.head)) throw new BadExport("charter");
  for (const name of byCodePoint(charter.parts.keys())) {
    const log = files.get(logAt(name));
    if (log) logs.set(name, openLog(log));
    else if (charter.mayRead(person, name)) throw new BadExport("part", name);
  }
  checkEnds(logs, manifest.streams);
  const content = new Map<string, Folded["content"]>();
  const parts = new Map<string, VerifiedPart>();
  const elsewhere: (readonly [string, ReadonlySet<string>])[] = [];
  for (const [name, log] of logs) {
    const part = charter.parts.get(name);
    if (!part) continue;
    const folded = await foldPart(part, log, charter, newEngine);
    const nameOf = (who: string): string => charter.people.get(who)?.name ?? who;
    const changes = new Map([...folded.by].map(([who, count]) => [nameOf(who), count]));
    content.set(name, folded.content);
    parts.set(name, { changes, passed: folded.passed });
    elsewhere.push([name, folded.elsewhere]);
  }
  const there = checkAttachments(files, content);
  const unchecked: string[] = [];
  const isOfOtherWords = manifest.schema === null || !same(manifest.schema, schemaHash(schema));
  for (const [name, data] of pages(schema, charter, content, there)) {
    if (same(files.get(name) ?? new Uint8Array(), data)) continue;
    if (name !== READABLE || (page && !(isOfOtherWords && files.has(name)))) throw new BadExport("words");
    unchecked.push(name);
  }
  for (const [name, devices] of elsewhere) {
    // A record that was left out makes all later authors liars, its exporter among them. One liar makes one.
    if (devices.has(hex(manifest.by)) || devices.size > 1) throw new BadExport("left_out", name);
  }
  return { charter, person, at: manifest.at, content, files, parts, unchecked };
}

function checkFiles(files: ReadonlyMap<string, Uint8Array>, listed: Manifest["files"]): void {
  const names = byCodePoint(files.keys());
  const isSame = ([name, hash]: readonly [string, Uint8Array], at: number): boolean =>
    name === names[at] && same(sha256(files.get(name) as Uint8Array), hash);
  if (names.length !== listed.length || !listed.every(isSame)) throw new BadExport("files");
}

function checkEnds(logs: ReadonlyMap<string, Log>, streams: Manifest["streams"]): void {
  const names = byCodePoint(logs.keys());
  const leads = ([name, length, chain]: Manifest["streams"][number], at: number): boolean => {
    const [n, end] = endOf(logs.get(name) ?? (logs.get("") as Log));
    return name === names[at] && n === length && same(end, chain);
  };
  if (names.length !== streams.length || !streams.every(leads)) throw new BadExport("log");
}

/** Each file below `files/` is an attachment of a part. Gives their places. */
function checkAttachments(files: ReadonlyMap<string, Uint8Array>, content: Content): Set<string> {
  const wanted = attachmentsOf(content);
  const there = new Set([...files.keys()].filter((name) => name.startsWith(FILES)));
  for (const name of there) {
    const data = files.get(name) as Uint8Array;
    const known = wanted.get(name);
    if (!known || !same(known.hash, sha256(data))) throw new BadExport("attachment");
  }
  return there;
}
