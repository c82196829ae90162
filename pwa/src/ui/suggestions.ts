/** Whom people of the circle thought of. Each suggestion stands in the part of who made it; an owner says yes. Pure. */
import type { Parts, Person } from "../app/engine";
import { personName, splitPart } from "./schema";

export interface Suggestion {
  item: string;
  name: string;
  relation: string;
  why: string;
  /** Who thought of this person: kept when it is taken over. */
  by: string;
  byName: string;
}

/** What nobody took over yet, by name: who is in the circle or on its list was already thought of. */
export function suggestions(parts: Parts, people: readonly Person[], aside: readonly string[]): Suggestion[] {
  const key = (name: unknown): string =>
    String(name ?? "")
      .trim()
      .toLocaleLowerCase("nl");
  const known = new Set([
    ...people.map((one) => key(one.name)),
    ...Object.values(parts.circle?.people ?? {}).map((one) => key(one.name)),
  ]);
  return Object.entries(parts)
    .filter(([part]) => splitPart(part).kind === "voice")
    .flatMap(([part, collections]) =>
      Object.entries(collections.suggestions ?? {}).map(([item, one]) => {
        const by = splitPart(part).about;
        return {
          item,
          name: String(one.name ?? "").trim(),
          relation: String(one.relation ?? ""),
          why: String(one.text ?? ""),
          by,
          byName: personName(people, by),
        };
      }),
    )
    .filter((one) => one.name !== "" && !known.has(key(one.name)) && !aside.includes(one.item))
    .sort((a, b) => a.name.localeCompare(b.name, "nl"));
}
