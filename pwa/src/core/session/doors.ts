/** The doorsteps this device watches, so that it can let in who knocks. Mirror of core/eigenkring/session/doors.py. */
import type { BoxKey } from "../../crypto/box";
import { manageSecret } from "../../crypto/capability";
import { CryptoError } from "../../crypto/errors";
import { recordEpoch } from "../../crypto/seal";
import { atTheDoor } from "../charter/coming";
import { type Grant, type Invitation, manageRoom } from "../charter/state";
import {
  checkStatement,
  type Knock,
  knockKey,
  openKnock,
  openSeed,
  readSecret,
  type Statement,
  writeSecret,
} from "../doorstep";
import { Inadmissible } from "../errors";
import { openTerms, type Terms } from "../grant";
import { type DeviceId, hex, type StreamId, same } from "../ids";
import { CIRCLE, OWNERS } from "../rooms";
import { openRecord, type StreamSecrets } from "../stream";
import type { CaseState } from "./case";

/** A doorstep of this case, open for the one who holds the link. */
interface DoorOf<K extends "invitation" | "grant", T> {
  readonly kind: K;
  readonly stream: StreamId;
  readonly of: T;
  readonly id: Uint8Array;
  readonly seed: Uint8Array;
  readonly secrets: StreamSecrets;
  readonly compare: boolean;
}
export type Door = DoorOf<"invitation", Invitation> | DoorOf<"grant", Grant>;

/** The room whose secret gives M and the knock key, and makes the nonce. */
export const roomOf = (door: Door): string => (door.kind === "invitation" ? manageRoom(door.of) : OWNERS);

/** A knock whose statement holds. */
export interface Knocked {
  readonly door: Door;
  readonly knock: Knock;
  readonly statement: Statement;
  readonly device: DeviceId;
}

/** Also of a link that another device made: whoever of the room is online lets the visitor in. */
async function seedOf(session: CaseState, invitation: Invitation): Promise<Uint8Array | undefined> {
  const own = session.store.fact(session.case, `seed ${hex(invitation.doorstep)}`);
  const { terms, doorstep } = invitation;
  if (own || terms.length === 0) return own;
  try {
    const secret = session.ring.secret(manageRoom(invitation), recordEpoch(terms));
    return secret && (await openSeed(secret, doorstep, terms));
  } catch (error) {
    // Terms that are no terms: only the one who made the link can answer.
    if (error instanceof CryptoError || error instanceof Inadmissible) return undefined;
    throw error;
  }
}

/** What the circle knows of a grant; undefined for a device outside the circle. Terms that are none show nothing. */
export async function termsOf(session: CaseState, grant: Grant): Promise<Terms | undefined> {
  try {
    const secret = session.ring.secret(CIRCLE, recordEpoch(grant.terms));
    return secret && (await openTerms(secret, grant.grant, grant.terms));
  } catch (error) {
    if (error instanceof CryptoError || error instanceof Inadmissible) return undefined;
    throw error;
  }
}

export function doorSecrets(
  session: CaseState,
  stream: StreamId,
  seed: Uint8Array,
  room: string,
): StreamSecrets {
  const held = session.roomSecret(room);
  return {
    stream,
    read: { secret: readSecret(seed, stream), epoch: 0 },
    write: { secret: writeSecret(seed, stream), epoch: 0 },
    manage: held && { secret: manageSecret(held.secret, stream), epoch: held.epoch },
  };
}

/** Undefined for a device that may not open it. */
export async function doorOf(
  session: CaseState,
  invitation: Invitation,
): Promise<Extract<Door, { kind: "invitation" }> | undefined> {
  const room = manageRoom(invitation);
  const seed = session.roomSecret(room) && (await seedOf(session, invitation));
  if (!seed) return undefined;
  const { doorstep: stream, invitation: id, compare } = invitation;
  const secrets = doorSecrets(session, stream, seed, room);
  return { kind: "invitation", stream, of: invitation, id, seed, secrets, compare };
}

/** Doors where somebody may knock and that this device may open. */
export async function watched(session: CaseState): Promise<Door[]> {
  const { charter } = session;
  const { person } = session.row;
  if (!charter || !person) return [];
  const found: Door[] = [];
  for (const invitation of charter.invitations.values()) {
    const door = invitation.state === "open" ? await doorOf(session, invitation) : undefined;
    if (door) found.push(door);
  }
  if (!charter.isOwner(person)) return found;
  for (const grant of charter.grants.values()) {
    // Only that owner can sign what the reader is given.
    if (grant.endedN !== null || grant.device || !same(grant.granter, person)) continue;
    const terms = await termsOf(session, grant);
    if (!terms) continue;
    const stream = grant.doorstep;
    const secrets = doorSecrets(session, stream, terms.seed, OWNERS);
    const { seed, compare } = terms;
    found.push({ kind: "grant", stream, of: grant, id: grant.grant, seed, secrets, compare });
  }
  return found;
}

/** The first valid knock, in the order of the doorstep: so nobody who comes later pushes in before. */
export async function firstKnock(session: CaseState, door: Door): Promise<Knocked | undefined> {
  const placed = session.store.records(session.case, door.stream, 1);
  if (placed.length === 0) return undefined;
  const room = roomOf(door);
  const held = [...session.ring].filter((given) => given.room === room);
  const keys = await Promise.all(held.map(({ secret }) => knockKey(secret, door.stream)));
  for (const { record } of placed) {
    let payload: Uint8Array;
    try {
      payload = await openRecord(door.secrets, record);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      continue; // noise of somebody who has the link
    }
    const found = await knockIn(session, door, payload, keys);
    if (found) return found;
  }
  return undefined;
}

async function knockIn(
  session: CaseState,
  door: Door,
  payload: Uint8Array,
  keys: readonly BoxKey[],
): Promise<Knocked | undefined> {
  for (const key of keys) {
    try {
      const knock = await openKnock(payload, key, door.stream, door.id);
      const at = door.kind === "grant" ? atTheDoor(door.of) : session.case;
      const checked = await checkStatement(knock, at, door.id, door.stream, door.of.seedKey);
      return { door, knock, ...checked };
    } catch (error) {
      if (!(error instanceof Inadmissible)) throw error;
    }
  }
  return undefined;
}
