/**
 * What professionals said, on the family's side, listed, and taken into a part by a person of the circle: mirror of
 * core/eigenkring/incoming.py.
 *
 * Nothing that a professional says is in the plan by itself. Spec: docs/spec/view.md, Up.
 */
import type { Case } from "./case";
import type { Grant } from "./charter/state";
import type { Intent } from "./document";
import { Misuse } from "./errors";
import { type Hex, hex } from "./ids";
import { dayOf, received } from "./receipts";
import { type Said, WORDS } from "./said";
import { termsOf } from "./session/doors";
import type { CaseSession, ReadPart } from "./session/parts";
import { pseudonym } from "./view";

const MIN_PREFIX = 4;
/** Read by exactly the circle, and never shown: what was taken from one professional is no other's to know. */
const MARKS = ["private", "taken"] as const;

/** One thing a reader said. `item`: the item of the family's that it answers. */
export interface Incoming {
  readonly id: Hex;
  readonly grant: Grant;
  readonly said: Said;
  readonly sender: string;
  readonly item: string | undefined;
}

/** What waits for somebody of the circle. Throws Misuse `not_permitted`. */
export async function incoming({ session, charter }: Case): Promise<Incoming[]> {
  if (!charter.audience("owner+member").has(hex(session.me()))) {
    throw new Misuse("not_permitted", "what professionals say is for the circle");
  }
  const [kind, collection] = MARKS;
  const marks = openPart(session, kind);
  const taken = marks && session.read(marks).get(collection);
  const found: Incoming[] = [];
  for (const grant of charter.grants.values()) {
    const terms = await termsOf(session, grant);
    if (!terms) continue;
    for (const { id, said } of await received(session, grant)) {
      if (!WORDS.has(said.what) || taken?.has(id)) continue;
      found.push({ id, grant, said, sender: terms.to, item: itemOf(session, said, terms.pseudonyms) });
    }
  }
  return found;
}

function openPart(session: CaseSession, name: string): ReadPart | undefined {
  const part = session.known().parts.get(name);
  return part && session.parts.get(hex(part.stream));
}

function placeOf({ what }: Said): readonly [part: string, collection: string] | undefined {
  if (what === "answer") return ["information", "questions"];
  return what === "answer_help" ? ["help", "requests"] : undefined;
}

/** The question or request that is answered: only the family can tell which item a pseudonym stands for. */
function itemOf(session: CaseSession, said: Said, pseudonyms: Uint8Array): string | undefined {
  const place = placeOf(said);
  const opened = place && openPart(session, place[0]);
  const items = place && opened ? session.read(opened).get(place[1]) : undefined;
  return [...(items?.keys() ?? [])].find((item) => pseudonym(pseudonyms, item) === said.of);
}

export interface Taken {
  readonly taken: Hex;
  readonly part: string;
  readonly item: string;
}

/**
 * Writes it into the part where it belongs, in the sender's name.
 *
 * Throws Misuse: `no_such_item` (nothing of that number waits, or the question is gone), `ambiguous`.
 */
export function take(one: Case, text: string): Promise<Taken> {
  void one.charter;
  const { session } = one;
  return session.inTurn(async () => {
    const wanted = text.trim().toLowerCase();
    const found = (await incoming(one)).filter(
      ({ id }) => id.startsWith(wanted) && wanted.length >= MIN_PREFIX,
    );
    const [only] = found;
    if (!only || found.length !== 1) {
      throw new Misuse(only ? "ambiguous" : "no_such_item", "nothing with that number waits");
    }
    const { part, item, intents } = written(session, only);
    await session.edit(part, intents);
    const me = session.known().people.get(hex(session.me()))?.name ?? "";
    const mark = { what: only.said.what, by: me, date: dayOf(session.around.clock()) };
    const [kind, collection] = MARKS;
    await session.edit(kind, [["add", collection, only.id, mark]]);
    return { taken: only.id, part, item };
  });
}

interface Written {
  readonly part: string;
  readonly item: string;
  readonly intents: readonly Intent[];
}

function written(session: CaseSession, one: Incoming): Written {
  const { said, sender } = one;
  switch (said.what) {
    case "answer":
    case "answer_help":
      return answered(session, one);
    case "condition":
      return added(session, one, "safety", "conditions", { set_by: sender, why: said.why, agreed: false });
    case "need":
      return added(session, one, "safety", "needs", { by: sender });
    default:
      return added(session, one, "information", "questions", { author: sender });
  }
}

/**
 * An item of its own under the id that everybody gives it: two who take it at once make one, where two who wrote it into
 * the question's own text would say it twice.
 */
function answered(session: CaseSession, one: Incoming): Written {
  const place = placeOf(one.said);
  if (!place || one.item === undefined)
    throw new Misuse("no_such_item", "what this answers is not there any more");
  const [part, collection] = place;
  const { said, sender, item } = one;
  const made = added(session, one, part, "answers", { about: [item], by: sender, date: dayOf(said.at) });
  if (said.what === "answer") return made;
  return { ...made, intents: [["set", [collection, item, "status"], "answered"], ...made.intents] };
}

function added(
  session: CaseSession,
  { id, said }: Incoming,
  part: string,
  collection: string,
  fields: Readonly<Record<string, string | boolean | readonly string[]>>,
): Written {
  const whole = { ...Object.fromEntries(session.around.schema.newItem(part, collection)), text: said.text };
  // There from an interrupted taking, or from another device that took it at once: then only the mark is missing.
  const isThere = session.read(session.part(part)).get(collection)?.has(id);
  return { part, item: id, intents: isThere ? [] : [["add", collection, id, { ...whole, ...fields }]] };
}
