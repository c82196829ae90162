/**
 * Beginning a case anew from a copy that was verified, at another relay or at the same: mirror of core/eigenkring/importing.py.
 * Spec: docs/spec/export.md, Importing.
 *
 * Nothing of the old case is touched: whoever still has to come reads on there, until its owner erases it.
 */
import { concat, sha256 } from "../crypto/kdf";
import { claimsAttachment, parseAttachment } from "./attachment";
import type { Case } from "./case";
import type { Grant, Invitation, Person } from "./charter/state";
import { EigenkringError, Inadmissible, Misuse } from "./errors";
import { type Content, fileOf, MANIFEST } from "./exported";
import { type Verified, verified } from "./exporting";
import { attachFile } from "./filing";
import { access, type Given } from "./giving";
import { hex, same } from "./ids";
import type { Device } from "./library";
import { relayAddress } from "./link";
import { addItem, type Invited, renamed, STAYS } from "./onward";
import { dayOf } from "./receipts";
import { splitPart } from "./schema";
import { termsOf } from "./session/doors";
import { checkSelection, type PartSelection, type Selection } from "./view";
import { linkAt } from "./waiting";

/** Facts of the new case: which export it is being made of; and which it was made of, with what was left (JSON). */
const MARK = "importing";
const DONE = "imported";

export interface GivenTo extends Given {
  readonly to: string;
}

/** What came of it. `left` is access that could not be given anew, each with the code of why. */
export interface Brought {
  readonly one: Case;
  readonly invited: readonly Invited[];
  readonly given: readonly GivenTo[];
  readonly left: readonly Left[];
}

export interface Left {
  readonly to: string;
  readonly code: string;
}

/** How far it is: people who were invited, then parts that were written, of how many. */
export interface Step {
  readonly what: "people" | "parts";
  readonly done: number;
  readonly of: number;
}

export interface Bringing {
  /** One's own name; the one in the export where none is given. */
  readonly name?: string | undefined;
  readonly step?: ((step: Step) => void) | undefined;
}

/**
 * Starts the case of an export anew at `relay`; `files` are its files by their place in the folder.
 *
 * What was interrupted goes on where it was when it is asked for again: nobody is invited twice, and nothing stands twice.
 * What was finished is only told again, with the links that nobody used yet.
 *
 * Throws Inadmissible `bad_export`; Misuse `not_permitted` for who was neither owner nor member, or is somebody else in that
 * case; Unreachable, Refused, RelayMisbehaved: where the relay did not take the founding, nothing was started.
 */
export async function bring(
  device: Device,
  files: ReadonlyMap<string, Uint8Array>,
  relay: string,
  { name, step = () => {} }: Bringing = {},
): Promise<Brought> {
  await device.around.engineReady();
  // What is brought is what the records say. A label that this program spells otherwise must not keep a family out.
  const found = await verified(files, device.around.schema, { page: false });
  const me = check(device, found);
  const which = nameOf(files);
  const before = await begun(device, which, relay);
  const done = before && device.store.fact(before.id, DONE);
  if (done) {
    await before.syncQuietly();
    const left: Left[] = JSON.parse(new TextDecoder().decode(done.subarray(which.length)));
    return { one: before, ...(await links(before)), left };
  }
  let one: Case;
  let people: { invited: Invited[]; ids: ReadonlyMap<string, string> };
  try {
    one = before ?? (await device.start(found.charter.title, relay, name?.trim() || me.name, "owner", mark));
    await one.sync();
    await one.makeSingletons();
    people = await invite(one, found, me, step);
  } catch (error) {
    if (error instanceof EigenkringError) await dropUnsent(device, which);
    throw error;
  }
  const { invited, ids } = people;
  await copy(one, found, ids, step);
  const { given, left } = await give(device, one, found, ids);
  await device.store.step(() => {
    const said = new TextEncoder().encode(JSON.stringify(left));
    device.store.putFact(one.id, DONE, concat(which, said));
    device.store.putFact(one.id, MARK, null);
  });
  await one.syncQuietly();
  return { one, invited, given, left };

  function mark(made: Case["id"]): void {
    device.store.putFact(made, MARK, which);
  }
}

/** Which export it is. Throws Inadmissible `bad_export` by way of `verified`, which is asked first. */
const nameOf = (files: ReadonlyMap<string, Uint8Array>): Uint8Array =>
  sha256(files.get(MANIFEST) ?? new Uint8Array());

/** Nothing was started where no relay took the founding. */
async function dropUnsent(device: Device, which: Uint8Array): Promise<void> {
  const { store } = device;
  for (const row of store.cases()) {
    const isUnsent = store.outbox(row.case).some(({ stream }) => stream === null);
    const mark = store.fact(row.case, MARK);
    if (!isUnsent || !mark || !same(mark, which)) continue;
    await store.step(() => store.eraseCase(row.case));
    device.forget(row.case);
  }
}

/** Who made the export, and may begin anew with it. Throws Misuse `not_permitted`. */
export function check(device: Device, { charter, person }: Verified): Person {
  const me = charter.people.get(hex(person)) as Person;
  const known = device.store.case(charter.case);
  if (known?.person && !same(known.person, person)) {
    // The own pages of one, and what one agreed to, would become another's.
    throw new Misuse(
      "not_permitted",
      "somebody else made this export: begin with one of your own, or let them begin",
    );
  }
  if (me.role !== "owner" && me.role !== "member") {
    throw new Misuse("not_permitted", "an owner or a member takes a case to another relay");
  }
  return me;
}

/**
 * What an earlier import of this very export to this relay made, or began; as long as nobody came to what it only began, and
 * its links still work: whether they were ever seen is not known here, so they are given once more.
 */
async function begun(device: Device, which: Uint8Array, relay: string): Promise<Case | undefined> {
  const { store } = device;
  let half: Case | undefined;
  for (const row of store.cases()) {
    if (row.state !== "open" || row.relay !== relayAddress(relay)) continue;
    const is = (fact: string): boolean =>
      same(store.fact(row.case, fact)?.subarray(0, which.length) ?? new Uint8Array(), which);
    if (is(DONE)) return device.case(hex(row.case));
    if (!is(MARK)) continue;
    const one = await device.case(hex(row.case));
    if (goesOn(one)) half = one;
  }
  return half;
}

/** The case that this copy was made into, or is being made into. */
export async function before(
  device: Device,
  files: ReadonlyMap<string, Uint8Array>,
  relay: string,
): Promise<{ readonly one: Case; readonly isDone: boolean } | undefined> {
  const one = await begun(device, nameOf(files), relay);
  return one && { one, isDone: device.store.fact(one.id, DONE) !== undefined };
}

function goesOn({ charter, session }: Case): boolean {
  const now = session.around.clock();
  const isWaitedFor = ({ state, expires }: Invitation): boolean => state !== "used" && now < expires;
  return (
    [...charter.invitations.values()].every(isWaitedFor) &&
    [...charter.grants.values()].every(({ device }) => !device)
  );
}

/** To whom nobody came yet. */
async function links({ charter, session }: Case): Promise<{ invited: Invited[]; given: GivenTo[] }> {
  const now = session.around.clock();
  const invited: Invited[] = [];
  const given: GivenTo[] = [];
  const found = async (doorstep: Invitation["doorstep"]): Promise<string | undefined> => {
    try {
      return await linkAt(session, doorstep);
    } catch (error) {
      if (!(error instanceof Misuse)) throw error;
      return undefined;
    }
  };
  for (const { state, expires, doorstep, name, role } of charter.invitations.values()) {
    const link = state === "open" && now < expires ? await found(doorstep) : undefined;
    if (link) invited.push({ name, role, link });
  }
  for (const grant of charter.grants.values()) {
    const isOpen = grant.endedN === null && !grant.device && now < grant.until;
    const terms = isOpen ? await termsOf(session, grant) : undefined;
    const link = terms && (await found(grant.doorstep));
    if (link) given.push({ to: terms.to, grant: grant.grant, link });
  }
  return { invited, given };
}

async function invite(
  one: Case,
  { charter }: Verified,
  me: Person,
  step: (step: Step) => void,
): Promise<{ invited: Invited[]; ids: ReadonlyMap<string, string> }> {
  const ids = new Map([[hex(me.person), hex(one.session.me())]]);
  const invited: Invited[] = [];
  const others = charter.present().filter(({ person }) => !same(person, me.person));
  for (const [done, { person, name, role }] of others.entries()) {
    step({ what: "people", done, of: others.length });
    const known = invitedBefore(one, name, role, new Set(ids.values()));
    const link = known ? await linkAt(one.session, known.doorstep) : await one.invite(role, name);
    const made = known ?? [...one.charter.invitations.values()].reduce((a, b) => (b.n > a.n ? b : a));
    ids.set(hex(person), hex(made.person));
    invited.push({ name, role, link });
  }
  return { invited, ids };
}

/** Before an interruption; of two who are called the same, each once. */
function invitedBefore(
  one: Case,
  name: string,
  role: string,
  taken: ReadonlySet<string>,
): Invitation | undefined {
  return [...one.charter.invitations.values()].find(
    (made) =>
      made.state === "open" && made.role === role && made.name === name && !taken.has(hex(made.person)),
  );
}

/** What a part of the old case is called in the new one; undefined where somebody else brings it. */
function there(one: Case, name: string, ids: ReadonlyMap<string, string>): string | undefined {
  const { kind, about } = splitPart(name);
  if (STAYS.has(kind)) return undefined;
  const known = about === undefined ? kind : `${kind}@${ids.get(hex(about)) ?? ""}`;
  return one.charter.parts.has(known) && one.charter.mayWrite(one.session.me(), known) ? known : undefined;
}

async function copy(
  one: Case,
  found: Verified,
  ids: ReadonlyMap<string, string>,
  step: (step: Step) => void,
): Promise<void> {
  const words = new Map([...found.charter.people].map(([id, { name }]) => [id, name] as const));
  for (const [id, other] of ids) words.set(id, other);
  let done = 0;
  for (const [name, document] of found.content) {
    step({ what: "parts", done: done++, of: found.content.size });
    const part = there(one, name, ids);
    if (part) await copyPart(one, part, document, found.files, words);
  }
}

async function copyPart(
  one: Case,
  part: string,
  document: Content extends ReadonlyMap<string, infer D> ? D : never,
  files: ReadonlyMap<string, Uint8Array>,
  words: ReadonlyMap<string, string>,
): Promise<void> {
  const { session } = one;
  const { kind } = splitPart(part);
  for (const [collection, items] of document) {
    for (const [item, fields] of items) {
      const here = session.read(session.part(part)).get(collection)?.get(item);
      let plain = new Map([...fields].filter(([, value]) => !claimsAttachment(value)));
      if (here && item === collection) {
        const fresh = new Map(session.around.schema.newItem(kind, collection));
        // What was written since stays.
        const isAsItBegan = (field: string): boolean => {
          const value = here.get(field) ?? null;
          return isEmpty(value) || value === fresh.get(field);
        };
        plain = new Map([...plain].filter(([field]) => isAsItBegan(field)));
      }
      // Else it was brought before an interruption.
      if (!here || item === collection) await addItem(one, part, collection, item, renamed(plain, words));
      for (const [field, value] of fields) {
        if (!claimsAttachment(value) || here?.has(field)) continue;
        // What somebody wrote that is no photo, or in a field for words, keeps nobody from moving.
        try {
          await attach(one, part, `${collection}/${item}/${field}`, value, files);
        } catch (error) {
          if (!(error instanceof Inadmissible || error instanceof Misuse)) throw error;
          session.alarm(error.code, `attachment in ${part}`);
        }
      }
    }
  }
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === "" || (Array.isArray(value) && value.length === 0);

async function attach(
  one: Case,
  part: string,
  path: string,
  value: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const attachment = parseAttachment(value);
  const data = files.get(fileOf(attachment));
  if (!data) return; // one that was not at hand when it was exported stays behind
  const { name, preview } = attachment;
  const { session } = one;
  await session.inTurn(() => attachFile(session, part, path, { name, data, preview, asIs: true }));
}

/** Access anew, with the same choice, purpose and day, where this device knows what was chosen. */
async function give(
  device: Device,
  one: Case,
  found: Verified,
  ids: ReadonlyMap<string, string>,
): Promise<{ given: GivenTo[]; left: Left[] }> {
  const logged = [...(found.content.get("access")?.get("grants")?.values() ?? [])];
  const known = device.rows().find((row) => same(row.case, found.charter.case) && row.state === "open");
  const old = known && (await device.case(hex(known.case)));
  const given: GivenTo[] = [];
  const left: Left[] = [];
  for (const grant of found.charter.grants.values()) {
    if (grant.endedN !== null) continue;
    const row = logged.find((fields) => fields.get("grant") === hex(grant.grant));
    const said = (field: string): string => String(row?.get(field) ?? "");
    const terms = old && (await termsOf(old.session, grant));
    const to = said("who") || (terms?.to ?? "");
    try {
      const purpose = said("purpose");
      if (!terms || !purpose) {
        throw new Misuse("not_permitted", "only a device of the circle knows what was chosen");
      }
      const taken = new Set(given.map((before) => hex(before.grant)));
      const made = await givenBefore(one, to, purpose, taken);
      if (made) {
        given.push({ to, grant: made.grant, link: await linkAt(one.session, made.doorstep) });
        continue;
      }
      const until = said("until") || dayOf(grant.until);
      const selection = chosen(one, terms.selection, ids);
      given.push({ to, ...(await one.grant(to, purpose, until, selection, terms.compare)) });
    } catch (error) {
      if (!(error instanceof EigenkringError)) throw error;
      left.push({ to, code: error.code });
    }
  }
  return { given, left };
}

/** Before an interruption. Access whose purpose was not written down any more is stopped, to be given whole. */
async function givenBefore(
  one: Case,
  to: string,
  purpose: string,
  taken: ReadonlySet<string>,
): Promise<Grant | undefined> {
  const rows = (await access(one.session)).filter((row) => row.to === to);
  const purposes = new Map(rows.map((row) => [row.grant, row.purpose]));
  for (const [id, grant] of [...one.charter.grants]) {
    if (grant.endedN !== null || taken.has(id) || !purposes.has(id)) continue;
    if (purposes.get(id) === purpose) return grant;
    if (purposes.get(id) === null) await one.withdraw(id);
  }
  return undefined;
}

/** Items keep their ids; persons have others. Throws Misuse `no_such_part`: half a choice is none. */
function chosen(one: Case, selection: Selection, ids: ReadonlyMap<string, string>): Selection {
  const parts = new Map<string, PartSelection>();
  for (const [name, of] of selection.parts) {
    const part = there(one, name, ids);
    if (!part) throw new Misuse("no_such_part", "somebody else has to bring a part that was shown");
    parts.set(part, { ...of, naming: of.naming?.map((person) => ids.get(person) ?? person) ?? null });
  }
  const made = { parts };
  checkSelection(made, one.session.around.schema, one.session.me());
  return made;
}
