/** The charter told in plain words, for the log that the family reads: mirror of core/eigenkring/story.py. */
import type { Entry } from "./charter/entry";
import type { Charter } from "./charter/state";
import { hex, type PersonId } from "./ids";
import { type Event, shownDay } from "./part/history";
import type { KindSchema } from "./schema";

export interface EntryLine {
  readonly n: number;
  readonly what: string;
  readonly by: string;
  /** Whom it is about, where it is about somebody. */
  readonly name: string | null;
  readonly role: string | null;
  /** What the author's clock said; it decides nothing. */
  readonly at: number;
  readonly text: string;
}

/** One line for every admitted entry, in order. */
export function entryLines(charter: Charter, entries: readonly Entry[]): EntryLine[] {
  return entries.map((entry) => {
    const { n, what, by, at } = entry.outline;
    const author = charter.personOf(by)?.name ?? "";
    return { n, what, by: author, at, ...told(charter, entry, author) };
  });
}

type Told = Pick<EntryLine, "name" | "role" | "text">;

function told(charter: Charter, { outline, body }: Entry, by: string): Told {
  const nameOf = (person: PersonId): string => charter.people.get(hex(person))?.name || "iemand";
  const line = (text: string, name: string | null = null, role: string | null = null): Told => ({
    name,
    role,
    text,
  });
  switch (body?.what) {
    case "found":
      return line(`${by} begon deze kring`);
    case "invite":
      return line(
        `${by} nodigde ${body.name || "iemand"} uit (${ROLES[body.role] ?? body.role})`,
        body.name || null,
        body.role,
      );
    case "cancel":
      return line(`${by} trok een uitnodiging in`);
    case "join": {
      if (!body.invitation) return line("iemand die mag meelezen opende de deur");
      const invited = charter.invitations.get(hex(body.invitation));
      const name = invited ? nameOf(invited.person) : "iemand";
      return line(`${name} kwam erbij`, name, invited?.role ?? null);
    }
    case "remove_person":
      return line(`${by} haalde ${nameOf(body.person)} uit de kring`, nameOf(body.person));
    case "set_role":
      return line(
        `${nameOf(body.person)} is nu ${ROLES[body.role] ?? body.role}`,
        nameOf(body.person),
        body.role,
      );
    case "hand_over":
      return line(`${by} droeg de kring over aan ${nameOf(body.person)}`, nameOf(body.person));
    case "grant":
      return line(`${by} liet iemand meelezen`);
    case "withdraw":
      return line(`${by} stopte dat iemand meeleest`);
    case "expire":
      return line("een einddatum is bereikt");
    case "part":
      return line(`${by} maakte ${body.parts.length} onderdelen`);
    default:
      return line(OTHERS[outline.what] ?? `${by} veranderde iets`);
  }
}

const ROLES: Readonly<Record<string, string>> = {
  owner: "eigenaar",
  member: "kringlid",
  child: "kind",
  coordinator: "coördinator",
};
const OTHERS: Readonly<Record<string, string>> = {
  leave: "iemand ging weg",
  room: "de sloten zijn vernieuwd",
  add_device: "iemand voegde een apparaat toe",
  remove_device: "iemand haalde een apparaat weg",
  close: "de kring is afgesloten",
  adopt: "de kring ging verder na een herstel",
};

/** What a change did in one item. */
export interface ItemChange {
  readonly did: "made" | "changed" | "removed";
  readonly collection: string;
  readonly fields: readonly string[];
}

export interface ChangeLine {
  readonly by: string;
  /** The day that the author's device claims; it decides nothing. */
  readonly at: string | null;
  readonly what: string;
  readonly told: readonly ItemChange[];
}

/** Who did what where, without the words themselves, which may have been deleted. */
export function changeLines(
  charter: Charter,
  kind: KindSchema | undefined,
  events: Iterable<Event>,
): ChangeLine[] {
  const known = new Set<string>();
  return Array.from(events, (event) => {
    const byItem = new Map<string, string[]>();
    for (const { item, field } of event.places) {
      byItem.set(item, [...(byItem.get(item) ?? []), ...(field === null ? [] : [field])]);
    }
    const told = [...byItem].map(([item, fields]): ItemChange => {
      const [collection = ""] = item.split("/", 1);
      const wasThere = known.has(item);
      const did = fields.length > 0 && wasThere ? "changed" : wasThere ? "removed" : "made";
      return { did, collection, fields };
    });
    for (const item of byItem.keys()) known.add(item);
    const what = told.map((one) => sentence(kind, one, event)).join("; ") || "niets";
    return { by: charter.personOf(event.device)?.name ?? "", at: shownDay(event.day), what, told };
  });
}

function sentence(
  kind: KindSchema | undefined,
  { did, collection, fields }: ItemChange,
  { added, removed }: Event,
): string {
  const rules = kind?.collections.get(collection);
  const title = rules?.title.nl ?? collection;
  if (fields.length === 0) return did === "removed" ? `haalde iets weg uit ${title}` : `maakte ${title}`;
  const labels = fields.map((field) => rules?.fields.get(field)?.label.nl ?? field);
  const signs = added || removed ? ` (+${added} −${removed})` : "";
  return `${did === "changed" ? "veranderde in" : "voegde toe aan"} ${title}: ${labels.join(", ")}${signs}`;
}
