/**
 * The relay shows other decisions than this device knows: what they are, in words, and going on with them. Mirror of
 * core/eigenkring/parting.py. Spec: docs/spec/charter.md, Adopt.
 */
import { type Again, mayAdopt, type Owed, owed, partedAt } from "./charter/branches";
import type { Charter } from "./charter/state";
import { Misuse } from "./errors";
import { hex } from "./ids";
import * as adopting from "./session/adopting";
import type { CaseSession } from "./session/parts";
import { type EntryLine, entryLines } from "./story";

/** What is entered again: whom or what it is about, and the room of a `let_out`. */
export interface OwedLine {
  readonly what: Again;
  readonly name: string;
  readonly room: string;
}

/** Lines are those of the log. */
export interface Told {
  /** What the shown charter has beside ours. */
  readonly takes: readonly EntryLine[];
  /** What ours has beside it. */
  readonly drops: readonly EntryLine[];
  /** What of that is entered again. */
  readonly again: readonly OwedLine[];
  /** Whether this person may say that they go on. */
  readonly mayAdopt: boolean;
}

/** Throws Misuse `not_yet` where the relay shows no other decisions. */
export async function told(session: CaseSession): Promise<Told> {
  const { branch, shown, states } = await bothOf(session);
  const parted = partedAt(branch, shown);
  const entries = states.filter(({ charter }) => charter.n > parted).map(({ entry }) => entry);
  return {
    takes: entryLines(shown, entries),
    drops: entryLines(branch, session.entries.slice(parted)),
    again: owed(branch, shown, shown.n).map((one) => line(branch, one)),
    mayAdopt: mayAdopt(branch, shown, session.me()),
  };
}

/** Goes on with what the relay shows; `owed` is what others must still enter. Throws Misuse: `not_yet`, `not_permitted`. */
export async function adopt(
  session: CaseSession,
  sync: () => Promise<unknown>,
): Promise<Told & { readonly owed: readonly OwedLine[] }> {
  const answer = await session.inTurn(async () => {
    const found = await told(session);
    if (!found.mayAdopt) {
      throw new Misuse("not_permitted", "an owner who is one in both says which decisions go on");
    }
    const { position, placed, states } = await bothOf(session);
    await adopting.follow(session, position, placed, 0, states);
    return found;
  });
  await sync();
  const left = await session.inTurn(() => adopting.stillOwed(session));
  return { ...answer, owed: left.map(({ was, one }) => line(was, one)) };
}

async function bothOf(session: CaseSession) {
  const [position, placed] = adopting.shownRecords(session);
  const states = await adopting.foldShown(session, placed);
  const shown = states.at(-1)?.charter;
  if (position.length === 0 || !shown) {
    throw new Misuse("not_yet", "the relay shows no other decisions than those known here");
  }
  return { position, placed, states, branch: session.known(), shown };
}

function line(branch: Charter, { what, of, room }: Owed): OwedLine {
  const id = hex(of);
  const device = branch.devices.get(id);
  const person = branch.people.get(device ? hex(device.person) : id);
  const name = person?.name ?? branch.invitations.get(id)?.name ?? "";
  return { what, name, room };
}
