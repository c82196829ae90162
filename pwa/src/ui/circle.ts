/** Who belongs, with those who have no phone: a line of the part `circle` whose words a stand-in writes down. Pure. */
import type { Parts, Person } from "../app/engine";

/** `id`: the line's, as fields such as `for` and `asked` name it. */
export interface Line {
  id: string;
  name: string;
  /** The person who is asked to write it down. */
  standIn: string;
}

/** Lines with a stand-in and without a device. Whoever came with a phone later is a person, and no line any more. */
export function withoutPhone(parts: Parts, people: readonly Person[]): Line[] {
  return Object.entries(parts.circle?.people ?? {})
    .filter(([, one]) => one.stand_in && !one.person && !["no", "gone"].includes(String(one.status)))
    .filter(([, one]) => !people.some((each) => each.name === one.name))
    .map(([id, one]) => ({ id, name: String(one.name ?? ""), standIn: String(one.stand_in) }));
}

/** Somebody to name or to choose. `via`: has no phone; who writes for them. */
export interface Named extends Person {
  via?: string;
}

/** People, and those without a phone as if they were: for names and choices, never for who reads or decides. */
export function everyName(parts: Parts, people: readonly Person[]): Named[] {
  const lines = withoutPhone(parts, people).map(
    ({ id, name, standIn }): Named => ({ person: id, name, role: "member", me: false, via: standIn }),
  );
  return [...people, ...lines];
}

/** For whom this person writes down what they say. */
export const heardThrough = (parts: Parts, people: readonly Person[], me: string): Line[] =>
  withoutPhone(parts, people).filter(({ standIn }) => standIn === me);
