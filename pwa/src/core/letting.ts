/**
 * A part that lets others read: a child its page, a person the own phone number, owners the plan that is presented. Mirror of
 * core/eigenkring/letting.py.
 */
import * as compose from "./charter/compose";
import { Misuse } from "./errors";
import type { Act } from "./giving";
import { hex, type PersonId, same } from "./ids";
import { authorOf, exchangeOf } from "./session/acting";
import type { CaseSession } from "./session/parts";

/**
 * Throws Misuse: `not_permitted` where this person may not, or that role never reads it; `bad_argument` for one who reads it
 * already; `no_such_part`.
 */
export async function letIn(session: CaseSession, act: Act, part: string, person: PersonId): Promise<void> {
  const room = roomOf(session, part);
  const charter = session.known();
  const known = session.around.schema.kinds.get(part.split("@", 1)[0] as string);
  if (charter.audience(room).has(hex(person))) {
    throw new Misuse("bad_argument", "that person reads it already");
  }
  const role = charter.people.get(hex(person))?.role;
  if (!role || !known?.letIn.includes(role)) {
    throw new Misuse("not_permitted", `a ${role} is never let in here`);
  }
  await act(async (now) => exchangeOf(now, await compose.letIn(now.known(), authorOf(now), room, [person])));
}

/**
 * Turns the lock: what comes from now on that person reads no more. What was read stays known. Throws Misuse: `not_permitted`;
 * `bad_argument` for one who reads by role.
 */
export async function letOut(session: CaseSession, act: Act, part: string, person: PersonId): Promise<void> {
  const room = roomOf(session, part);
  if (!session.known().rooms.get(room)?.people.has(hex(person)) || same(person, session.me())) {
    throw new Misuse("bad_argument", "that person was not let in");
  }
  await act(async (now) => exchangeOf(now, await compose.letOut(now.known(), authorOf(now), room, [person])));
}

/** The room of those who read it, where this person may say who that is. */
function roomOf(session: CaseSession, part: string): string {
  const charter = session.known();
  const known = charter.parts.get(part);
  if (!known) throw new Misuse("no_such_part", `there is no part ${part} here`);
  const [kind = "", about] = part.split("@", 2);
  if (!session.around.schema.kinds.get(kind)?.letIn.length) {
    throw new Misuse("not_permitted", "who reads this part does not change person by person");
  }
  const mine = about === undefined ? charter.isOwner(session.me()) : about === hex(session.me());
  if (!mine) {
    throw new Misuse(
      "not_permitted",
      "only the person it is about, else an owner, lets others read this part",
    );
  }
  return known.read;
}
