/**
 * What this device owes the others now: letting in who knocked, turning rooms somebody left, founding its own parts, keeping
 * views up to date. Mirror of core/eigenkring/session/duties.py.
 *
 * One at a time, each made on the newest state; another device may have done it in the meantime.
 */
import { sha256 } from "../../crypto/kdf";
import * as compose from "../charter/compose";
import { capabilityHashes, locksToTurn } from "../charter/draft";
import { isHere } from "../charter/state";
import { encodeWelcome, makeNonce, makeWelcome } from "../doorstep";
import { Misuse } from "../errors";
import { hex, type PersonId, type StreamId, same } from "../ids";
import { partName } from "../schema";
import { appendCap, manageCap, sealRecord } from "../stream";
import type { Append, Operation } from "../wire";
import { authorOf, cutsFor, type Exchange, exchangeOf, held } from "./acting";
import * as adopting from "./adopting";
import * as adoption from "./adoption";
import * as asks from "./asks";
import * as clocks from "./clocks";
import * as compacting from "./compacting";
import { confirmed, nonceFor, wasGiven } from "./comparing";
import { type Door, firstKnock, type Knocked, watched } from "./doors";
import * as forgetting from "./forgetting";
import * as owed from "./owed";
import * as ownDoor from "./own-door";
import type { CaseSession } from "./parts";
import * as preparing from "./preparing";
import * as publishing from "./publishing";

/** An act on the charter, made again when a race was lost; or plain operations, sent whole, and what follows them. */
export type Duty =
  | {
      readonly kind: "act";
      readonly name: string;
      readonly make: (now: CaseSession) => Promise<Exchange>;
      readonly done?: (now: CaseSession) => void;
    }
  | {
      readonly kind: "plain";
      readonly name: string;
      readonly make: (now: CaseSession) => readonly Operation[] | Promise<readonly Operation[]>;
      /** When the relay has taken all of them, not before: what was lost on the way is done again. */
      readonly done?: (now: CaseSession) => void;
      readonly atomic?: boolean;
    };
type Find = (session: CaseSession, done: ReadonlySet<string>) => Promise<Duty | undefined>;

/** The first thing to do that was not tried in this sync. */
export async function nextDuty(session: CaseSession, done: ReadonlySet<string>): Promise<Duty | undefined> {
  if (!session.charter || session.row.state !== "open") return undefined;
  // While somebody who was put out on another branch is in, nothing is shown or given.
  const ordinary = (await adopting.holdsBack(session)) ? [] : ORDINARY;
  for (const find of [...FIRST, ...ordinary]) {
    const duty = await find(session, done);
    if (duty && !done.has(duty.name)) return duty;
  }
  return undefined;
}

/** The entry that says which charter goes on, where this device's person decided so. */
const adopt: Find = async (session) =>
  (await adopting.toAdopt(session)) && {
    kind: "act",
    name: "adopt",
    make: adoption.adoptEntry,
    done: adopting.adopted,
  };

const again: Find = async (session, done) => {
  if (await adopting.toAdopt(session)) return undefined;
  for (const [name, make] of await adoption.entriesAgain(session)) {
    if (!done.has(name)) return { kind: "act", name, make };
  }
  return undefined;
};

/** Streams of a branch that was given up: nobody comes in or reads by them any more. */
const dropped: Find = async (session) => {
  if (adopting.closes(session).length === 0 || (await adopting.toAdopt(session))) return undefined;
  return { kind: "plain", name: "dropped", make: adoption.closing, done: adopting.closed, atomic: false };
};

/** What enough people agreed to, where the last of them could not post it. */
const agreed: Find = async (session) => {
  const ask = await asks.toCarryOut(session);
  if (!ask) return undefined;
  const name = `agreed ${hex(sha256(ask.act)).slice(0, 16)}`;
  return { kind: "act", name, make: (now) => asks.carriedOut(now, ask) };
};

/** End dates that passed by this owner's clock and another (`clocks`), and access that nobody here answers for any more. */
const ended: Find = async (session) => {
  const charter = session.known();
  const clock = clocks.borneOut(session);
  if (!charter.isOwner(session.me())) return undefined;
  for (const { person, role, until } of charter.present()) {
    if (until === null || until > clock || role === "owner") continue;
    const make = async (now: CaseSession): Promise<Exchange> => {
      const cuts = await cutsFor(now, [person]);
      return exchangeOf(now, await compose.expirePerson(now.known(), authorOf(now), person, cuts));
    };
    return { kind: "act", name: `end ${hex(person)}`, make };
  }
  for (const { grant, granter, until, endedN } of charter.grants.values()) {
    if (endedN !== null) continue;
    const isOver = until <= clock;
    // The reader pinned a key of one who is gone: no device could tell them of the next secret.
    if (!isOver && charter.isOwner(granter)) continue;
    const end = isOver ? compose.expireGrant : compose.withdraw;
    const make = async (now: CaseSession): Promise<Exchange> =>
      exchangeOf(now, await end(now.known(), authorOf(now), grant));
    return { kind: "act", name: `end ${hex(grant)}`, make };
  }
  return undefined;
};

const dueRooms: Find = async (session) => {
  const rooms = compose.toTurn(session.known(), authorOf(session));
  if (rooms.length === 0) return undefined;
  const make = async (now: CaseSession): Promise<Exchange> => {
    const gone = [...now.known().devices.values()].filter((device) => !isHere(device));
    const cuts = await cutsFor(
      now,
      [],
      gone.map(({ device }) => device),
    );
    const draft = await compose.turnDue(now.known(), authorOf(now), cuts);
    if (!draft) throw new Misuse("not_permitted", "nothing is left to turn");
    return exchangeOf(now, draft);
  };
  return { kind: "act", name: `turn ${rooms.join(" ")}`, make };
};

const locks: Find = async (session) => {
  const todo = locksToTurn(session.known(), session.me()).filter((stream) => {
    const turned = session.store.fact(session.case, `lock ${hex(stream)}`);
    const wanted = session.known().locks.get(hex(stream));
    return wanted && !(turned && same(turned, wanted.append));
  });
  if (todo.length === 0) return undefined;
  const make = (now: CaseSession): Operation[] => todo.flatMap((stream) => rekeyOf(now, stream));
  const done = (now: CaseSession): void => {
    for (const stream of todo) {
      const wanted = now.known().locks.get(hex(stream));
      if (wanted) now.store.putFact(now.case, `lock ${hex(stream)}`, wanted.append);
    }
  };
  // Not atomic: one lock that does not turn must not keep the others open.
  return { kind: "plain", name: "locks", make, done, atomic: false };
};

function rekeyOf(session: CaseSession, stream: StreamId): Operation[] {
  const { append } = capabilityHashes(session.known(), session.ring, stream);
  const cap = manageCap(session.secrets(stream));
  return append && cap ? [{ op: "rekey", stream, cap, read: null, append, manage: null }] : [];
}

/** Who came back on other devices: parts that nobody can give the keys of are founded anew, empty. */
const lostParts: Find = async (session) => {
  if (compose.lostParts(session.known(), authorOf(session)).length === 0) return undefined;
  const make = async (now: CaseSession): Promise<Exchange> => {
    const lost = compose.lostParts(now.known(), authorOf(now));
    return exchangeOf(
      now,
      await compose.partsLost(now.known(), authorOf(now), lost, preparing.blanksOf(now)),
    );
  };
  return { kind: "act", name: "lost parts", make };
};

const ownParts: Find = async (session) => {
  const charter = session.known();
  const me = session.me();
  const { schema } = session.around;
  const role = charter.people.get(hex(me))?.role;
  const kinds = role ? schema.partsAbout(role).filter((kind) => !charter.parts.has(partName(kind, me))) : [];
  const missing =
    charter.isOwner(me) && !isActing(charter.acting, me)
      ? schema.partsAtFounding().filter((kind) => !charter.parts.has(kind))
      : [];
  if (kinds.length === 0 && missing.length === 0) return undefined;
  const make = async (now: CaseSession): Promise<Exchange> => {
    const author = authorOf(now);
    const draft = kinds.length
      ? await compose.roomsAndPartsAbout(now.known(), author, kinds, preparing.blanksOf(now))
      : await compose.addParts(now.known(), author, missing);
    return exchangeOf(now, draft);
  };
  return { kind: "act", name: kinds.length ? "own parts" : "new parts", make };
};

function isActing(acting: PersonId | null, me: PersonId): boolean {
  return acting !== null && same(acting, me);
}

const blanks: Find = async (session) => {
  const devices = preparing.toGive(session);
  if (devices.length === 0 || !session.known().isOwner(session.me())) return undefined;
  const done = (now: CaseSession): void => preparing.given(now, devices);
  return { kind: "plain", name: "blanks", make: preparing.giving(devices), done, atomic: true };
};

/** Parts that their person wanted founded anew, now that the lock is there. */
const wished: Find = async (session, done) => {
  const part = preparing.wished(session).find((name) => !done.has(`forget ${name}`));
  const make = (now: CaseSession, name: string) => forgetting.foundAnew(now, name, preparing.blanksOf(now));
  return part === undefined
    ? undefined
    : { kind: "act", name: `forget ${part}`, make: (now) => make(now, part) };
};

// --- letting in

const visitor: Find = async (session, done) => {
  for (const door of await watched(session)) {
    const knocked = await firstKnock(session, door);
    if (!knocked) continue;
    if (door.kind === "invitation" && session.known().devices.has(hex(knocked.device))) {
      // Came in by another link in the meantime; this one is used, and nobody else comes in by it.
      const used = `used ${hex(door.id)}`;
      if (!session.known().isOwner(session.me()) || done.has(used)) continue;
      const { invitation } = door.of;
      const make = async (now: CaseSession): Promise<Exchange> =>
        exchangeOf(now, await compose.cancel(now.known(), authorOf(now), invitation));
      return { kind: "act", name: used, make };
    }
    if (door.compare && !isConfirmed(session, knocked)) {
      const duty = await giveNonce(session, knocked);
      if (duty && !done.has(duty.name)) return duty;
      continue;
    }
    const name = `${door.kind === "invitation" ? "join" : "grant"} ${hex(door.id)}`;
    if (done.has(name)) continue;
    return {
      kind: "act",
      name,
      make: (now) => (door.kind === "invitation" ? letIn(now, door, knocked) : letRead(now, door, knocked)),
      done: (now) => {
        if (door.kind === "grant") publishing.rememberState(now, door.of);
      },
    };
  }
  return undefined;
};

/** Another device of this person, at the door that only this person's devices know. */
const ownDevice: Find = async (session, done) => {
  for (const door of ownDoor.ownDoors(session)) {
    const fresh = await ownDoor.firstKnock(session, door);
    if (fresh && door.compare && !isConfirmed(session, fresh)) {
      const duty = await giveNonce(session, fresh);
      if (duty && !done.has(duty.name)) return duty;
      continue;
    }
    const name = fresh && `device ${hex(fresh.device)}`;
    if (fresh && name && !done.has(name)) {
      return { kind: "act", name, make: (now) => ownDoor.letIn(door, fresh, now) };
    }
  }
  return undefined;
};

async function giveNonce(
  session: CaseSession,
  knocked: Knocked | ownDoor.NewDevice,
): Promise<Duty | undefined> {
  const { door, device, knock } = knocked;
  const nonce = nonceFor(session, knocked);
  if (!nonce || (await wasGiven(session, knocked, nonce))) return undefined;
  const payload = makeNonce(device, knock.device_sig, door.stream, nonce);
  return {
    kind: "plain",
    name: `words ${hex(door.stream)}`,
    make: async (now) => [await onDoorstep(now, door, payload)],
  };
}

/** Whether a person said that the words are the same on both sides, for exactly this device. */
function isConfirmed(session: CaseSession, knocked: Knocked | ownDoor.NewDevice): boolean {
  const device = session.store.fact(session.case, confirmed(knocked));
  return device !== undefined && same(device, knocked.device);
}

async function letIn(
  now: CaseSession,
  door: Extract<Door, { kind: "invitation" }>,
  { knock, device, statement }: Knocked,
): Promise<Exchange> {
  const charter = now.known();
  const { schema } = now.around;
  // A newcomer founds the own parts; those that owners manage need a lock of the owners.
  const wanted = schema.partsAbout(door.of.role).filter((kind) => schema.kinds.get(kind)?.manage === "owner");
  const { invitation } = door.of;
  const blanks = charter.isOwner(now.me()) ? wanted.length : 0;
  const draft = await compose.join(charter, authorOf(now), knock, { invitation }, blanks);
  const { keysStream, keysSecret } = now.row;
  if (!keysStream || !keysSecret) {
    throw new Misuse("not_permitted", "this device does not know where the keys lie");
  }
  return exchangeOf(now, draft, async ({ n, head }) => {
    const content = encodeWelcome({
      case: now.case,
      keys: keysStream,
      secret: keysSecret,
      n,
      head,
      shelf: null,
    });
    return [await onDoorstep(now, door, await makeWelcome(door.stream, device, statement.box, content))];
  });
}

async function letRead(
  now: CaseSession,
  door: Extract<Door, { kind: "grant" }>,
  knocked: Knocked,
): Promise<Exchange> {
  const grant = door.of;
  const draft = await compose.join(now.known(), authorOf(now), knocked.knock, { grant: grant.grant });
  const stream = door.stream;
  return exchangeOf(now, draft, async (after) => {
    const welcome = await onDoorstep(now, door, await publishing.welcomeReader(now, grant, knocked));
    // From now on only the circle writes here: whoever else holds the link cannot.
    const { append } = capabilityHashes(after, now.ring, stream);
    const cap = held(manageCap(now.secrets(stream)));
    return [welcome, { op: "rekey", stream, cap, read: null, append, manage: null }];
  });
}

async function onDoorstep(
  session: CaseSession,
  door: Door | ownDoor.OwnDoor,
  payload: Uint8Array,
): Promise<Append> {
  const record = await sealRecord(door.secrets, payload, session.around.random(24));
  const cap = held(appendCap(door.secrets));
  return { op: "append", stream: door.stream, cap, record, expect: null };
}

// --- views

const grantState: Find = async (session, done) => {
  const grant = await publishing.turnedGrant(session, done);
  if (!grant) return undefined;
  return {
    kind: "plain",
    name: publishing.stateName(session, grant),
    make: async (now) => [await publishing.nextState(now, grant)],
    done: (now) => publishing.rememberState(now, grant),
  };
};

const publication: Find = async (session, done) => {
  for (const grant of session.known().grants.values()) {
    if (grant.endedN !== null) continue;
    const op = await publishing.publication(session, grant);
    if (!op) continue;
    // Named by where it would be put: a race that was lost is decided again on what the winner wrote, and no more often.
    const seen = session.position(grant.down);
    const name = `view ${hex(grant.grant)} ${hex(sha256(seen.chain)).slice(0, 16)}`;
    if (!done.has(name)) return { kind: "plain", name, make: () => [op] };
  }
  return undefined;
};

// --- snapshots, and what they do not take away

const leftOpen: Find = async (session) => {
  const streams = forgetting.toClose(session);
  if (streams.length === 0) return undefined;
  return {
    kind: "plain",
    name: "close",
    make: (now) => forgetting.closing(now, streams),
    done: (now) => forgetting.closed(now, streams),
    // Not atomic: of several keys one is right, and one stream that stays open must not keep the others.
    atomic: false,
  };
};

/** What the log of a part does not hold any more, since the relay was put back. */
const owing: Find = async (session, done) => {
  const [first] = (await owed.isDue(session)).filter(([name]) => !done.has(name));
  if (!first) return undefined;
  const [name, opened] = first;
  return {
    kind: "plain",
    name,
    make: (now) => owed.replacement(now, opened),
    done: (now) => owed.replaced(now, opened),
    atomic: true,
  };
};

const snapshot: Find = async (session, done) => {
  for (const one of [...session.parts.values()]) {
    if (!compacting.mayPay(session, one)) continue;
    const opened = await session.opened(one);
    if (!compacting.due(session, opened)) continue;
    const name = compacting.nameOf(session, opened);
    if (!done.has(name)) return { kind: "plain", name, make: (now) => compacting.replacement(now, opened) };
  }
  return undefined;
};

const FIRST: readonly Find[] = [adopt, again, agreed, dueRooms, dropped];
const ORDINARY: readonly Find[] = [
  ended,
  locks,
  lostParts,
  ownParts,
  blanks,
  wished,
  visitor,
  ownDevice,
  leftOpen,
  grantState,
  publication,
  owing,
  snapshot,
];
