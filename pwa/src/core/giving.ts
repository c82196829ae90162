/** Invitations and access, what an owner gives to others: mirror of core/eigenkring/giving.py. */
import { atTheDoor } from "./charter/coming";
import * as compose from "./charter/compose";
import type { Draft } from "./charter/draft";
import type { Role } from "./charter/entry";
import type { Grant } from "./charter/state";
import { greetingPin, knockKey, makeGreeting, PERSON, VIEW } from "./doorstep";
import { Misuse } from "./errors";
import { granterKey, sealTerms, type Terms } from "./grant";
import {
  type EntryHash,
  type GrantId,
  hex,
  named,
  type PersonId,
  type RoomSecret,
  type StreamId,
} from "./ids";
import { formatLink } from "./link";
import { CIRCLE, OWNERS, ownRoom } from "./rooms";
import { authorOf, type Exchange, exchangeOf, held } from "./session/acting";
import * as clocks from "./session/clocks";
import { doorSecrets, termsOf } from "./session/doors";
import type { CaseSession } from "./session/parts";
import { projectionFor } from "./session/publishing";
import { appendCap, sealRecord } from "./stream";
import { checkSelection, type Projection, type Selection } from "./view";
import type { Append } from "./wire";

const DAY_SECONDS = 86_400;
/** Access is given anew rather than forgotten. Three months, whichever they are, where the family set nothing else. */
const MAX_GRANT_DAYS = 92;
const LONGEST_GRANT_DAYS = 366;
/** Carries out an act on the charter. */
export type Act = (make: (now: CaseSession) => Promise<Exchange>) => Promise<Exchange>;

/** A grant, and the link for the one who may read. The link is the secret: shown once, and sent by the person. */
export interface Given {
  readonly grant: GrantId;
  readonly link: string;
}

/** An invitation on a doorstep of its own, and the link to it. Throws Misuse `not_permitted`: who is no owner. */
export async function invite(
  session: CaseSession,
  act: Act,
  { role, name, compare, days }: { role: Role; name: string; compare: boolean; days: number },
): Promise<string> {
  if (!session.known().isOwner(session.me())) {
    throw new Misuse("not_permitted", "only an owner invites: ask one of them");
  }
  const draft: Drafting = (now, seed, expires) =>
    compose.invite(now.known(), authorOf(now), { name, role, seed, expires, compare });
  return linkTo(session, act, draft, days);
}

/** A link for a sole owner who lost everything; words are always compared. */
export function readmission(
  session: CaseSession,
  act: Act,
  person: PersonId,
  agreed: compose.Agreed,
  days: number,
): Promise<string> {
  const draft: Drafting = (now, seed, expires) =>
    compose.readmit(now.known(), authorOf(now), person, seed, expires, agreed);
  return linkTo(session, act, draft, days);
}

type Drafting = (now: CaseSession, seed: Uint8Array, expires: number) => Promise<Draft>;

async function linkTo(session: CaseSession, act: Act, drafting: Drafting, days: number): Promise<string> {
  clocks.check(session);
  const seed = session.around.random(32);
  let doorstep: StreamId | undefined;
  let pin: Uint8Array | undefined;
  await act(async (now) => {
    const draft = await drafting(now, seed, now.around.clock() + days * DAY_SECONDS);
    return exchangeOf(now, draft, async (after) => {
      const invitation = [...after.invitations.values()].find(({ n }) => n === after.n);
      if (!invitation) throw new Error("an invite that invites nobody");
      const greeting = await compose.greetingFor(after, authorOf(now), invitation, nameOf(now, now.me()));
      const payload = makeGreeting(greeting);
      doorstep = invitation.doorstep;
      pin = greetingPin(payload);
      now.store.putFact(now.case, `seed ${hex(doorstep)}`, seed);
      return [await firstRecord(now, doorstep, seed, payload)];
    });
  });
  if (!doorstep || !pin) throw new Error("an invitation without a door");
  return formatLink({ relay: session.row.relay, kind: PERSON, doorstep, seed, pin });
}

function nameOf(session: CaseSession, person: PersonId): string {
  return session.known().people.get(hex(person))?.name ?? "";
}

async function firstRecord(
  session: CaseSession,
  stream: StreamId,
  seed: Uint8Array,
  payload: Uint8Array,
): Promise<Append> {
  const secrets = doorSecrets(session, stream, seed, OWNERS);
  const record = await sealRecord(secrets, payload, session.around.random(24));
  return { op: "append", stream, cap: held(appendCap(secrets)), record, expect: null };
}

export interface Giving {
  readonly to: string;
  readonly purpose: string;
  /** The last day, `2026-12-31`. */
  readonly until: string;
  readonly selection: Selection;
  /** Nobody is let read before four words were compared. */
  readonly compare: boolean;
}

/** How long access lasts at most in this case: what its owners set in `access`, 92 where they set nothing. */
export function maxGrantDays(session: CaseSession): number {
  const part = session.known().parts.get("access");
  const open = part && session.parts.get(hex(part.stream));
  const days = open && session.read(open).get("settings")?.get("settings")?.get("max_grant_days");
  const usable =
    typeof days === "number" && Number.isInteger(days) && days >= 1 && days <= LONGEST_GRANT_DAYS;
  return usable ? days : MAX_GRANT_DAYS;
}

/** Access for one person outside the circle, for a purpose, until a day. */
export async function grant(session: CaseSession, act: Act, giving: Giving): Promise<Given> {
  const { to, purpose, until, selection, compare } = giving;
  if (!to || !purpose) throw new Misuse("bad_argument", "say who may read, and what for");
  if (!session.known().isOwner(session.me())) {
    throw new Misuse("not_permitted", "only an owner lets somebody read: ask one of them");
  }
  clocks.check(session);
  const ends = endOfDay(until);
  if (ends <= session.around.clock()) throw new Misuse("bad_value", "that day is over");
  const last = dayOf(session.around.clock() + maxGrantDays(session) * DAY_SECONDS);
  if (until.trim() > last) {
    throw new Misuse("bad_value", `access is given until ${last} at the latest`);
  }
  checkSelection(selection, session.around.schema, session.me());
  const { random } = session.around;
  const id = named<GrantId>(random(16));
  const doorstep = named<StreamId>(random(16));
  const streams = { doorstep, down: named<StreamId>(random(16)), up: named<StreamId>(random(16)) };
  const seed = random(32);
  const item = hex(random(10));
  const terms: Terms = { to, selection, until: ends, seed, pseudonyms: random(32), access: item, compare };
  let pin: Uint8Array | undefined;
  await act(async (now) => {
    const circle = secretOf(now, CIRCLE, "only the circle can let somebody read");
    const owners = secretOf(now, OWNERS, "only an owner can let somebody read");
    const own = secretOf(now, ownRoom(now.me()), "this person has no room of the own yet; sync first");
    const key = (await granterKey(own.secret, id)).public;
    const sealed = await sealTerms(circle.secret, circle.epoch, id, terms, random(24));
    const granting = { grant: id, ...streams, seed, until: ends, terms: sealed, granterKey: key };
    const draft = await compose.grant(now.known(), authorOf(now), granting);
    return exchangeOf(now, draft, async () => {
      const payload = makeGreeting({
        kind: VIEW,
        // Nothing that two readers could lay side by side: no id, no count of decisions.
        case: atTheDoor({ grant: id }),
        invitation: id,
        box: (await knockKey(owners.secret, doorstep)).public,
        from: nameOf(now, now.me()),
        name: to,
        role: "",
        compare,
        expires: ends,
        n: 0,
        head: named<EntryHash>(new Uint8Array(32)),
        granter_key: key,
      });
      pin = greetingPin(payload);
      return [await firstRecord(now, doorstep, seed, payload)];
    });
  });
  if (!pin) throw new Error("a grant without a door");
  const fields = {
    grant: hex(id),
    who: to,
    parts: [...selection.parts.keys()].sort().join(", "),
    purpose,
    from: today(session),
    until,
  };
  await session.inTurn(() => session.edit("access", [["add", "grants", item, fitting(session, fields)]]));
  return { grant: id, link: formatLink({ relay: session.row.relay, kind: VIEW, doorstep, seed, pin }) };
}

function secretOf(
  session: CaseSession,
  room: string,
  otherwise: string,
): { readonly epoch: number; readonly secret: RoomSecret } {
  const found = session.roomSecret(room);
  if (!found) throw new Misuse("not_permitted", otherwise);
  return { epoch: found.epoch, secret: named<RoomSecret>(found.secret) };
}

/** A set where the schema has a set: which fields those are is the schema's to say. */
function fitting(
  session: CaseSession,
  fields: Readonly<Record<string, string>>,
): Record<string, string | string[]> {
  const isSet = (name: string): boolean =>
    session.around.schema.field("access", "grants", name)?.type === "set";
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, isSet(name) ? value.split(", ") : value]),
  );
}

/** The last second of a day, local time: the day itself still counts. Throws `bad_value`. */
export function endOfDay(text: string): number {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text.trim());
  const [year, month, day] = match ? match.slice(1).map(Number) : [];
  const after = new Date(year ?? Number.NaN, (month ?? 0) - 1, (day ?? 0) + 1);
  // A day that does not exist would quietly become another one.
  if (dayOf(after.getTime() / 1000 - 1) !== text.trim()) {
    throw new Misuse("bad_value", "a day is written as 2026-12-31");
  }
  return after.getTime() / 1000 - 1;
}

/** The day of a moment, local time, as 2026-12-31. */
export function dayOf(seconds: number): string {
  const when = new Date(1000 * seconds);
  const two = (n: number): string => `${n}`.padStart(2, "0");
  return `${`${when.getFullYear()}`.padStart(4, "0")}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

export function today(session: CaseSession): string {
  return dayOf(session.around.clock());
}

/** One entry, and the streams closed with it. */
export async function withdraw(session: CaseSession, act: Act, id: GrantId): Promise<void> {
  const known = session.known().grants.get(hex(id)) as Grant;
  // Stopped before: nothing is open any more, which is what was asked.
  if (known.endedN !== null) return;
  const terms = await termsOf(session, known);
  await act(async (now) => exchangeOf(now, await compose.withdraw(now.known(), authorOf(now), id)));
  if (!terms || !session.known().mayWrite(session.me(), "access")) return;
  const path = (field: string): string[] => ["grants", terms.access, field];
  await session.inTurn(() =>
    session.edit("access", [
      ["set", path("stopped"), today(session)],
      ["set", path("stopped_by"), nameOf(session, session.me())],
    ]),
  );
}

/** What a reader of this selection would see now, made by the same function as the view itself. */
export function preview(session: CaseSession, selection: Selection, pseudonyms: Uint8Array): Projection {
  checkSelection(selection, session.around.schema, session.me());
  const projection = projectionFor(session, selection, pseudonyms);
  if (!projection) {
    throw new Misuse("not_permitted", "this device does not read all that is shown there");
  }
  return projection;
}

/** What is known of access that was given. Days are `2026-12-31`; null is what nobody wrote down. */
export interface AccessRow {
  readonly grant: string;
  readonly to: string;
  readonly parts: readonly string[];
  readonly purpose: string | null;
  readonly from: string | null;
  readonly until: string | null;
  readonly opened: string | null;
  readonly copied: string | null;
  readonly stopped_by: string | null;
}

/** Access as it was written down, and what the charter alone knows of. */
export async function access(session: CaseSession): Promise<AccessRow[]> {
  const rows: AccessRow[] = [];
  for (const fields of session.read(session.part("access")).get("grants")?.values() ?? []) {
    const text = (name: string): string | null => {
      const value = fields.get(name);
      return typeof value === "string" ? value : null;
    };
    const parts = fields.get("parts");
    rows.push({
      grant: text("grant") ?? "",
      to: text("who") ?? "",
      parts: Array.isArray(parts) ? parts : [],
      purpose: text("purpose"),
      from: text("from"),
      until: text("until"),
      opened: text("opened"),
      copied: text("copied"),
      stopped_by: text("stopped_by"),
    });
  }
  const told = new Set(rows.map(({ grant }) => grant));
  // A device that stopped halfway, or an owner who wrote nothing down: who may read is what the charter says.
  for (const [id, one] of session.known().grants) {
    const terms = one.endedN === null && !told.has(id) ? await termsOf(session, one) : undefined;
    if (!terms) continue;
    const unknown = { purpose: null, from: null, opened: null, copied: null, stopped_by: null };
    const parts = [...terms.selection.parts.keys()].sort();
    rows.push({ grant: id, to: terms.to, parts, until: dayOf(terms.until), ...unknown });
  }
  return rows;
}
