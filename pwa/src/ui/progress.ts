/** How agreements go, from what each person says of them in the own voice. Pure. */
import type { Parts, Person } from "../app/engine";
import { personName, splitPart } from "./schema";

export interface Progress {
  item: string;
  /** In whose part it stands. */
  by: string;
  name: string;
  /** Who said it, where somebody else wrote it down; else empty. */
  of: string;
  result: string;
  text: string;
  date: string;
}

/** The newest word of each person about one agreement, newest first. */
export function progressOf(agreement: string, parts: Parts, people: readonly Person[]): Progress[] {
  const said = Object.entries(parts)
    .filter(([part]) => splitPart(part).kind === "voice")
    .flatMap(([part, collections]) =>
      Object.entries(collections.progress ?? {})
        .filter(([, fields]) => fields.agreement === agreement)
        .map(([item, fields]) => {
          const by = splitPart(part).about;
          const of = typeof fields.for === "string" ? fields.for : "";
          const line = parts.circle?.people?.[of]?.name;
          return {
            item,
            by,
            name: personName(people, by),
            of: of && String(line ?? personName(people, of)),
            result: String(fields.result ?? ""),
            text: String(fields.text ?? ""),
            date: String(fields.date ?? ""),
          };
        }),
    )
    .sort((a, b) => b.date.localeCompare(a.date) || b.item.localeCompare(a.item));
  const seen = new Set<string>();
  return said.filter(({ by, of }) => {
    const key = `${by} ${of}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
