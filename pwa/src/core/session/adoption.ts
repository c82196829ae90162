/**
 * What a device owes after its circle parted: the entry `adopt`, and entering again what was ended on the branch given up.
 * Mirror of core/eigenkring/session/adoption.py. Spec: docs/spec/charter.md, Adopt. `adopting` says what is owed; here are
 * the exchanges.
 */
import * as compose from "../charter/compose";
import type { Draft } from "../charter/draft";
import type { Body, CutEntry } from "../charter/entry";
import type { Charter } from "../charter/state";
import { Misuse } from "../errors";
import {
  type DeviceId,
  type GrantId,
  type Hex,
  hex,
  type InvitationId,
  type PersonId,
  same,
  unhex,
} from "../ids";
import type { Operation } from "../wire";
import { authorOf, cutsFor, type Exchange, exchangeOf } from "./acting";
import type { Branch, StillOwed } from "./adopting";
import * as adopting from "./adopting";
import type { CaseSession } from "./parts";

type Make = (now: CaseSession) => Promise<Exchange>;

/** Throws Misuse `not_yet` where nothing is to be adopted. */
export async function adoptEntry(now: CaseSession): Promise<Exchange> {
  const what = await adopting.toAdopt(now);
  if (!what) throw new Misuse("not_yet", "nothing is to be adopted");
  return exchangeOf(now, await compose.adopt(now.known(), authorOf(now), what.heads, what.floors));
}

/** A name and an act for everything that this person may enter again. */
export async function entriesAgain(session: CaseSession): Promise<[name: string, make: Make][]> {
  const found: [string, Make][] = [];
  for (const still of await adopting.stillOwed(session)) {
    const { one } = still;
    if (!adopting.mine(session, one)) continue;
    const make: Make = async (now) => exchangeOf(now, await draftFor(now, still));
    found.push([`again ${one.what} ${hex(one.of)}${one.room}`, make]);
  }
  return found;
}

/** Streams that only a branch knew: a link, a view, a part nobody will find any more. */
export function closing(session: CaseSession): Operation[] {
  return adopting.closes(session).map(([stream, cap]) => ({ op: "close", stream, cap }));
}

async function draftFor(now: CaseSession, { branch, was, one }: StillOwed): Promise<Draft> {
  const charter = now.known();
  const author = authorOf(now);
  const person = one.of as PersonId;
  switch (one.what) {
    case "withdraw":
      return compose.withdraw(charter, author, one.of as GrantId);
    case "cancel":
      return compose.cancel(charter, author, one.of as InvitationId);
    case "let_out":
      return compose.letOut(charter, author, one.room, [person], await cutsFor(now, [person]));
    case "remove_device": {
      const device = one.of as DeviceId;
      return compose.removeDevice(charter, author, [device], await cutsFor(now, [], [device]));
    }
    case "hand_over": {
      const [owner] = [...charter.withRole("owner")].sort();
      if (!owner) throw new Misuse("not_yet", "there is no owner to hand over to");
      return compose.handOver(charter, author, unhex<PersonId>(owner as Hex));
    }
    case "set_role": {
      const said = saidIn(branch, "set_role", person);
      const known = was.people.get(hex(person));
      if (!known) throw new Error("a role of nobody");
      const { role, until } = known;
      return compose.setRole(
        charter,
        author,
        person,
        role,
        until,
        await cutsOf(now, was, said, person),
        agreedIn(said),
      );
    }
    case "remove_person": {
      const gone = saidIn(branch, "remove_person", person);
      const cuts = await cutsOf(now, was, gone, person);
      return compose.removePerson(charter, author, person, cuts, agreedIn(gone));
    }
  }
}

type Said = Body<"remove_person" | "set_role">;

/** The entry of the branch that did it: the yeses in it were given before the two parted, and hold still. */
function saidIn(branch: Branch, what: Said["what"], person: PersonId): Said | undefined {
  const found = adopting.entriesOf(branch).flatMap(({ body }): Said[] => {
    if (body?.what !== "remove_person" && body?.what !== "set_role") return [];
    return body.what === what && same(body.person, person) ? [body] : [];
  });
  return found.at(-1);
}

function agreedIn(said: Said | undefined): compose.Agreed {
  return said ? { act: said.act, approvals: said.approvals } : compose.NOT_ASKED;
}

/**
 * Where the branch cut, where that cut can still be read: what was written by who was put out, on a relay that had
 * forgotten it, stays void.
 */
async function cutsOf(
  now: CaseSession,
  was: Charter,
  said: Said | undefined,
  person: PersonId,
): Promise<CutEntry[]> {
  const charter = now.known();
  const own = new Map((await cutsFor(now, [person])).map((cut) => [hex(cut.stream), cut]));
  for (const cut of said?.cuts ?? []) {
    const stream = hex(cut.stream);
    const part = charter.partStreams.get(stream);
    const made = was.cuts.get(stream)?.find(({ n }) => n === said?.n);
    if (!part || !made || !own.has(stream)) continue;
    if (made.readEpoch === charter.rooms.get(part.read)?.epoch) own.set(stream, cut);
  }
  return [...own.values()];
}
