/** What waits for this person, from the parts they can read. Pure. */
import type { CaseInfo, Fields, Parts, Person } from "../app/engine";
import { heard } from "./rounds";

export interface Agreement {
  item: string;
  fields: Fields;
  mine: boolean;
}

export const isMine = (fields: Fields, me: Person | undefined): boolean =>
  me !== undefined && ["who", "with"].some((name) => fields[name] === me.person || fields[name] === me.name);

/** What goes on now, one's own first. */
export function runningAgreements(parts: Parts, me: Person | undefined): Agreement[] {
  const all = Object.entries(parts.plan?.agreements ?? {})
    .filter(([, fields]) => !["done", "stopped"].includes(String(fields.status ?? "open")))
    .map(([item, fields]) => ({ item, fields, mine: isMine(fields, me) }));
  return [...all.filter((one) => one.mine), ...all.filter((one) => !one.mine)];
}

/** Appointments from today to a week from now, soonest first. */
export function thisWeek(parts: Parts, now: Date): { item: string; fields: Fields }[] {
  const today = localDay(now);
  const end = localDay(new Date(now.getTime() + 7 * 86_400_000));
  return Object.entries(parts.agenda?.appointments ?? {})
    .map(([item, fields]) => ({ item, fields, at: String(fields.time ?? "") }))
    .filter((one) => one.at.slice(0, 10) >= today && one.at.slice(0, 10) <= end)
    .sort((a, b) => a.at.localeCompare(b.at));
}

/** Proposals in their consent round to which this person has not answered in the present text, also for who has no phone. */
export function openRounds(
  parts: Parts,
  people: readonly Person[],
  me: Person | undefined,
): { item: string; fields: Fields }[] {
  if (!me) return [];
  return Object.entries(parts.decisions?.decisions ?? {})
    .map(([item, fields]) => ({ item, fields }))
    .filter(
      ({ item, fields }) =>
        fields.state === "consent_round" &&
        heard(item, fields, parts, people).some(
          (one) => one.answer === null && (one.id === me.person || one.standIn === me.person),
        ),
    );
}

/**
 * Whether there is something of one's own that it would be a pity to lose: who was invited is asked for nothing before they
 * wrote something themselves. An owner's is the case, also where this phone wrote nothing in it yet.
 */
export function hasOwnToKeep(one: Pick<CaseInfo, "contributed" | "role">, parts: Parts): boolean {
  const question = parts.question?.question?.question?.text;
  const isThere = Boolean(question) || Object.keys(parts.plan?.agreements ?? {}).length > 0;
  return one.contributed || (one.role === "owner" && isThere);
}

/** The day here, not the day in Greenwich. */
export const localDay = (when: Date): string =>
  `${when.getFullYear()}-${String(when.getMonth() + 1).padStart(2, "0")}-${String(when.getDate()).padStart(2, "0")}`;
