/**
 * Going on without one person: a new case from the present state of what this person reads. Mirror of
 * core/eigenkring/onward.py.
 *
 * Nothing is sent to the one who is left out, and nothing changes in the old case. What only others may say (their voice,
 * answers, contacts) stays theirs: they bring it themselves.
 */
import { claimsAttachment } from "./attachment";
import type { Case } from "./case";
import type { Person } from "./charter/state";
import type { Document, Intent, Value } from "./document";
import { Misuse } from "./errors";
import { copyFile } from "./filing";
import { hex, type PersonId, same } from "./ids";

/** What was given in the old case was not given in the new one. */
export const STAYS: ReadonlySet<string> = new Set(["access"]);

export interface Invited {
  readonly name: string;
  readonly role: string;
  readonly link: string;
}

/** Throws Misuse: `not_permitted`, `bad_argument`. */
export function check(old: Case, without: PersonId): void {
  const me = old.session.me();
  if (same(without, me)) throw new Misuse("bad_argument", "to go yourself, use `leave`");
  const role = old.charter.people.get(hex(me))?.role;
  if (role !== "owner" && role !== "member") {
    throw new Misuse("not_permitted", "the circle can go on without somebody: an owner or a member");
  }
}

/** Invites the others and copies what is there. Gives the invitations. */
export async function goOn(old: Case, fresh: Case, without: PersonId): Promise<Invited[]> {
  const me = old.session.me();
  const others = old.people().filter(({ person }) => !same(person, me) && !same(person, without));
  const invited: Invited[] = [];
  // An owner is invited as long as there is one owner, who decides alone: the one who starts.
  const ids = new Map([[hex(me), hex(fresh.session.me())]]);
  for (const { person, name, role } of others) {
    const link = await fresh.invite(role, name);
    const newest = [...fresh.charter.invitations.values()].reduce((a, b) => (b.n > a.n ? b : a));
    ids.set(hex(person), hex(newest.person));
    invited.push({ name, role, link });
  }
  await copy(old, fresh, old.charter.people.get(hex(without)) as Person, ids);
  await fresh.syncQuietly();
  return invited;
}

async function copy(
  old: Case,
  fresh: Case,
  without: Person,
  ids: ReadonlyMap<string, string>,
): Promise<void> {
  const documents = new Map<string, Document>();
  for (const [name, document] of old.showAll()) {
    const there = nameThere(old, fresh, name);
    if (there) documents.set(there, document);
  }
  // People who have no new id stay as the name they had: the new case does not know them.
  const words = new Map<string, string>();
  for (const [id, { name }] of old.charter.people) words.set(id, name);
  const items = new Map<string, string>();
  for (const document of documents.values()) {
    for (const [collection, found] of document) {
      for (const item of found.keys()) {
        if (item !== collection) items.set(item, hex(fresh.session.around.random(10)));
      }
    }
  }
  for (const [id, other] of [...items, ...ids]) words.set(id, other);
  for (const [name, document] of documents) {
    for (const [collection, found] of document) {
      for (const [item, fields] of found) {
        if (name === "circle" && isAbout(fields, without)) continue;
        const there = items.get(item) ?? collection;
        const plain = new Map([...fields].filter(([, value]) => !claimsAttachment(value)));
        await addItem(fresh, name, collection, there, renamed(plain, words));
        for (const [field, value] of fields) {
          if (claimsAttachment(value)) await copyFile(old, value, fresh, name, [collection, there, field]);
        }
      }
    }
  }
}

function nameThere(old: Case, fresh: Case, name: string): string | undefined {
  const [kind = "", who] = name.split("@", 2);
  if (STAYS.has(kind) || (who !== undefined && who !== hex(old.session.me()))) return undefined;
  const there = who === undefined ? kind : `${kind}@${hex(fresh.session.me())}`;
  return fresh.charter.parts.has(there) ? there : undefined;
}

function isAbout(fields: ReadonlyMap<string, Value>, { person, name }: Person): boolean {
  const who = fields.get("person");
  return who === hex(person) || (!who && fields.get("name") === name);
}

export function renamed(
  fields: ReadonlyMap<string, Value>,
  words: ReadonlyMap<string, string>,
): ReadonlyMap<string, Value> {
  const one = (value: string): string => words.get(value) ?? value;
  const found = new Map<string, Value>();
  for (const [field, value] of fields) {
    if (value === null) continue;
    if (typeof value === "string") found.set(field, one(value));
    else found.set(field, Array.isArray(value) ? value.map(one) : value);
  }
  return found;
}

export function addItem(
  fresh: Case,
  name: string,
  collection: string,
  item: string,
  fields: ReadonlyMap<string, Value>,
): Promise<void> {
  const { session } = fresh;
  return session.inTurn(() => {
    const isThere = item === collection && session.read(session.part(name)).get(collection)?.has(item);
    const intents: Intent[] = isThere
      ? [...fields].map(([field, value]) => ["set", [collection, item, field], value])
      : [["add", collection, item, Object.fromEntries(fields)]];
    return session.edit(name, intents);
  });
}
