/**
 * Saying what the relay showed this device, and comparing it with what it showed another one: mirror of
 * core/eigenkring/reporting.py. Spec: docs/spec/report.md.
 */
import type { Case } from "./case";
import type { Device } from "./charter/state";
import { type Difference, differences } from "./differing";
import { Inadmissible } from "./errors";
import { type Hex, hex, type StreamId, same } from "./ids";
import {
  CaseTags,
  checkSignature,
  goneKey,
  type Line,
  LineTags,
  MAX_LINES,
  openReport,
  type Point,
  type Report,
  ruler,
  signReport,
  VERSION,
} from "./report";
import { notYet } from "./session/case";
import type { CaseSession } from "./session/parts";
import { generations, isGone, linkedFrom, sightings } from "./session/sightings";
import { pack, u64, unpack } from "./shape";
import { byCodePoint } from "./texts";

/** The worst first. What cannot be compared is the last, because it says nothing. */
const WORST_FIRST = [
  "forked",
  "other_generation",
  "you_behind",
  "first_behind",
  "they_behind",
  "second_behind",
  "same",
  "unchecked",
] as const;
export type ReportVerdict = (typeof WORST_FIRST)[number];
const DAY_SECONDS = 24 * 3600;

/** What comes of one stream; null where it is not known. Times are of the clocks of the two devices. */
export interface ComparedStream {
  /** `charter`, `keys`, a part, or `view up` and `view down` with the access; of files alone the beginning of a tag. */
  readonly what: string;
  readonly verdict: ReportVerdict;
  readonly left: number;
  readonly right: number | null;
  readonly sameTo: number;
  readonly differsAt: number | null;
  readonly since: number | null;
  readonly leftSince: number | null;
  readonly rightSince: number | null;
}

export interface ComparedReport {
  readonly verdict: ReportVerdict;
  readonly by: {
    readonly person: Hex;
    readonly name: string;
    readonly device: Hex;
    readonly here: boolean;
    /** Made by this very device. */
    readonly this: boolean;
  };
  readonly at: number;
  /** A newer one of that device was compared here before. */
  readonly older: boolean;
  readonly entries: { readonly yours: number; readonly theirs: number };
  readonly streams: readonly ComparedStream[];
  /** How many streams are in it that this device cannot read. */
  readonly unknown: number;
}

export interface ComparedFiles {
  readonly verdict: ReportVerdict;
  readonly checked: false;
  readonly at: { readonly first: number; readonly second: number };
  readonly entries: { readonly first: number; readonly second: number };
  readonly streams: readonly ComparedStream[];
  readonly unknown: number;
}

/**
 * What the relay showed this device: a signed text to send by another way than the relay. It holds no words, no names, no
 * keys. `own`: also of the streams that only this person reads, to compare with an own device. Throws `not_yet`.
 */
export function report({ session }: Case, own = false): Promise<string> {
  return session.inTurn(() => signReport(session.keys.sign, session.case, made(session, own).report));
}

/**
 * What a report of another device of this case shows beside what is here. `forked` stays as an alarm of the case. Throws
 * Inadmissible `bad_report`, `too_large`, `future_version`, `other_case`, `unknown_device`; BadSignature; `not_yet`.
 */
export function compare({ session }: Case, text: string): Promise<ComparedReport> {
  return session.inTurn(async () => {
    const theirs = openReport(text);
    const device = deviceOf(session, theirs);
    await checkSignature(text, session.case, device.sign);
    const ours = made(session, true);
    const linked = new Map<Hex, number>();
    const compared = differences(ours.report, theirs, (id, index) => {
      const known = ours.streams.get(id);
      if (!known) return undefined;
      const first = linked.get(id) ?? linkedFrom(session, known.stream);
      linked.set(id, first);
      const chain = index < first ? undefined : session.store.chainAt(session.case, known.stream, index);
      return chain && known.tags.point(index, chain);
    });
    const nameOf = (id: Hex): string => ours.streams.get(id)?.name ?? id;
    const streams = [...compared.found].map(([id, one]) => shown(nameOf(id), one, SIDES));
    for (const { id, length } of ours.report.lines) {
      if (!compared.onlyLeft.includes(hex(id)) || !shouldBeThere(session, nameOf(hex(id)), device)) continue;
      streams.push(shown(nameOf(hex(id)), { ...NOTHING, left: length }, SIDES));
    }
    const charter = session.known();
    const head = charter.heads.get(theirs.n);
    const hasOtherEntry = head !== undefined && !same(caseTags(session).head(theirs.n, head), theirs.head);
    const told = hasOtherEntry ? streams.map(withOtherEntries) : streams;
    const verdict = worst(told);
    if (verdict === "forked") session.alarm("forked", `report of device ${hex(device.device)}`);
    return {
      verdict,
      by: {
        person: hex(device.person),
        name: charter.people.get(hex(device.person))?.name ?? "",
        device: hex(device.device),
        here: device.untilN === null,
        this: same(device.device, session.device()),
      },
      at: theirs.at,
      older: isOlder(session, device, theirs.at),
      entries: { yours: charter.n, theirs: theirs.n },
      streams: told,
      unknown: compared.onlyRight.length,
    };
  });
}

/**
 * Two reports of one case, for who has neither device: streams have no names, and no signature is checked, because that
 * takes the charter. Throws Inadmissible as `compare`, without `unknown_device`.
 */
export function compareFiles(first: string, second: string): ComparedFiles {
  const left = openReport(first);
  const right = openReport(second);
  if (!same(left.case, right.case)) {
    throw new Inadmissible("other_case", "the two reports are of two cases, or one was altered");
  }
  const compared = differences(left, right);
  const streams = [...compared.found].map(([id, one]) => shown(id.slice(0, 8), one, FILES));
  return {
    verdict: worst(streams),
    checked: false,
    at: { first: left.at, second: right.at },
    entries: { first: left.n, second: right.n },
    streams,
    unknown: compared.onlyLeft.length + compared.onlyRight.length,
  };
}

// --- a report

interface Named {
  readonly name: string;
  readonly stream: StreamId;
  readonly tags: LineTags;
}

function caseTags({ row, case: of }: CaseSession): CaseTags {
  if (!row.keysSecret) throw notYet();
  return new CaseTags(row.keysSecret, of);
}

/** Name, stream and tags of all that this device reads of the case, but for doorsteps and photos. */
function streamsOf(session: CaseSession, own: boolean): Named[] {
  const tags = caseTags(session);
  const charter = session.known();
  const { charterStream, row } = session;
  const found: Named[] = [{ name: "charter", stream: charterStream, tags: tags.line(charterStream) }];
  if (row.keysStream) found.push({ name: "keys", stream: row.keysStream, tags: tags.line(row.keysStream) });
  const rooms: { readonly name: string; readonly stream: StreamId; readonly room: string | undefined }[] = [];
  for (const name of byCodePoint(charter.parts.keys())) {
    const part = charter.parts.get(name);
    if (part) rooms.push({ name, stream: part.stream, room: part.read });
  }
  for (const { grant, down, up, endedN } of charter.grants.values()) {
    if (endedN !== null) continue;
    rooms.push({ name: `view down ${hex(grant)}`, stream: down, room: charter.streamRooms(down)?.read });
    rooms.push({ name: `view up ${hex(grant)}`, stream: up, room: charter.streamRooms(up)?.read });
  }
  for (const { name, stream, room } of rooms) {
    const known = room === undefined ? undefined : charter.rooms.get(room);
    if (room === undefined || !known) continue;
    // Who came later, and who was there before a lock was turned, have the first secret both: it is under the next ones.
    const secret = session.ring.secret(room, Math.min(...known.commits.keys()));
    const isOwn = [...charter.audience(room)].every((person) => person === hex(session.me()));
    if (secret && (own || !isOwn)) found.push({ name, stream, tags: new LineTags(secret, stream) });
  }
  return found;
}

function made(
  session: CaseSession,
  own: boolean,
): { readonly report: Report; readonly streams: ReadonlyMap<Hex, Named> } {
  const tags = caseTags(session);
  const charter = session.known();
  const known = generations(session);
  const numbers = new Map(known.map((generation, at) => [generation, at + 1]));
  const streams = new Map<Hex, Named>();
  const lines: Line[] = [];
  for (const one of streamsOf(session, own)) {
    const line = lineOf(session, one, numbers);
    if (!line || lines.length >= MAX_LINES) continue;
    streams.set(hex(line.id), one);
    lines.push(line);
  }
  const report = {
    v: VERSION,
    case: tags.case(),
    by: tags.device(session.device()),
    at: session.around.clock(),
    generations: known.map((generation) => tags.generation(generation)),
    n: charter.n,
    head: tags.head(charter.n, charter.head),
    lines: lines.sort((a, b) => (hex(a.id) < hex(b.id) ? -1 : 1)),
  };
  return { report, streams };
}

function lineOf(
  session: CaseSession,
  { stream, tags }: Named,
  numbers: ReadonlyMap<number, number>,
): Line | undefined {
  const { base, length, chain: end } = session.position(stream);
  if (length === 0) return undefined;
  const on = new Map<number, Point>();
  const gone = new Map<string, Point>();
  const linked = linkedFrom(session, stream);
  let generation = 0;
  for (const one of sightings(session, stream)) {
    const [of, at, index, chain] = one;
    const number = numbers.get(of) ?? 0;
    const point: Point = [number, number ? at : 0, index, tags.point(index, chain)];
    if (isGone(session, stream, one, linked)) {
      if (!gone.has(goneKey(point))) gone.set(goneKey(point), point);
      continue;
    }
    generation = number;
    if (!on.has(index)) on.set(index, point);
  }
  for (const index of ruler(length)) {
    const chain = index === length ? end : session.store.chainAt(session.case, stream, index);
    if (chain && index >= linked && !on.has(index)) on.set(index, [0, 0, index, tags.point(index, chain)]);
  }
  return {
    id: tags.id(),
    base,
    length,
    generation,
    points: [...on.values()].sort(([, , a], [, , b]) => a - b),
    gone: [...gone].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, point]) => point),
  };
}

// --- what comes of it

function deviceOf(session: CaseSession, theirs: Report): Device {
  const tags = caseTags(session);
  if (!same(theirs.case, tags.case())) throw new Inadmissible("other_case", "this report is of another case");
  for (const known of session.known().devices.values()) {
    if (same(tags.device(known.device), theirs.by)) return known;
  }
  throw new Inadmissible(
    "unknown_device",
    "the charter known here has no device that made this report: sync both devices and compare again; where that does " +
      "not help, the relay hides from one of you who belongs",
  );
}

/** Whether that device reads a stream that its report does not have. Of those that only one person reads none says. */
function shouldBeThere(session: CaseSession, name: string, device: Device): boolean {
  if (name === "charter" || name === "keys") return true;
  const charter = session.known();
  const part = charter.parts.get(name);
  if (!part) return false;
  const audience = charter.audience(part.read);
  return audience.has(hex(device.person)) && audience.has(hex(session.me()));
}

type Sides = Readonly<Record<"left_behind" | "right_behind", ReportVerdict>>;
const SIDES: Sides = { left_behind: "you_behind", right_behind: "they_behind" };
const FILES: Sides = { left_behind: "first_behind", right_behind: "second_behind" };
const NOTHING: Difference = {
  verdict: "unchecked",
  left: 0,
  right: 0,
  sameTo: 0,
  index: 0,
  since: 0,
  leftAt: 0,
  rightAt: 0,
};

function shown(what: string, one: Difference, sides: Sides): ComparedStream {
  const { verdict } = one;
  return {
    what,
    verdict: verdict === "left_behind" || verdict === "right_behind" ? sides[verdict] : verdict,
    left: one.left,
    right: one.right || null,
    sameTo: one.sameTo,
    differsAt: one.index || null,
    since: one.since || null,
    leftSince: one.leftAt || null,
    rightSince: one.rightAt || null,
  };
}

/** Entry `n` is another one there. Their logs may not tell, where generations differ, or a report lies. */
function withOtherEntries(one: ComparedStream): ComparedStream {
  const isTold = one.verdict === "forked" || one.verdict === "other_generation";
  return one.what === "charter" && !isTold ? { ...one, verdict: "forked" } : one;
}

function worst(streams: readonly ComparedStream[]): ReportVerdict {
  return WORST_FIRST.find((word) => streams.some(({ verdict }) => verdict === word)) ?? "unchecked";
}

/** Whether a newer report of that device was compared here before: somebody may have sent the old one again. */
function isOlder(session: CaseSession, { device }: Device, at: number): boolean {
  const name = `compared ${hex(device)}`;
  const packed = session.store.fact(session.case, name);
  const newest = packed ? unpack(u64, packed) : 0;
  // A date far ahead would make every later one old.
  if (at > newest && at < session.around.clock() + DAY_SECONDS) {
    session.store.putFact(session.case, name, pack(u64, at));
  }
  return at < newest;
}
