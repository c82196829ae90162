/**
 * Laying a welcome once more at a door whose relay lost it, so that who was let in meanwhile need not be put out and invited
 * anew: mirror of core/eigenkring/session/welcoming.py.
 *
 * All that is in it stands in the charter, but for the door's seed, which every device has that may open doors. Spec:
 * docs/spec/streams.md, After a relay was put back.
 */
import { CryptoError } from "../../crypto/errors";
import type { Device, Invitation } from "../charter/state";
import { encodeWelcome, makeWelcome, welcomeFor } from "../doorstep";
import { hex } from "../ids";
import { appendCap, opening, openRecord, readCap, sealRecord, startOf } from "../stream";
import { type Append, type Batch, isFailed, type Operation, type Result } from "../wire";
import { held } from "./acting";
import type { CaseState } from "./case";
import { borneOut } from "./clocks";
import { type Door, doorOf } from "./doors";

type InvitationDoor = Extract<Door, { kind: "invitation" }>;
type Send = (ops: readonly Operation[]) => Promise<readonly Result[]>;
const MAX_BYTES = 1_000_000;

export async function steps(session: CaseState, send: Send): Promise<void> {
  const doors = await used(session);
  if (doors.length === 0) return;
  const results = await send(
    doors.map(({ stream, secrets }) => ({
      op: "read",
      stream,
      cap: held(readCap(secrets)),
      after: 0,
      max_bytes: MAX_BYTES,
    })),
  );
  const lacking: InvitationDoor[] = [];
  const gone: InvitationDoor[] = [];
  const bare: InvitationDoor[] = [];
  for (const [at, door] of doors.entries()) {
    const result = results[at] as Result;
    if (isFailed(result)) {
      // The link is pinned to exactly that greeting: who never read it leaves the door to another device.
      if (result.code === "no_stream" && greeting(session, door)) gone.push(door);
    } else if ("records" in result) {
      if (result.length === 0) bare.push(door);
      else if (await lacks(session, door, result)) lacking.push(door);
    }
  }
  if (gone.length > 0) {
    // `exists`: another device opened it a moment ago.
    await send(gone.map(({ secrets, of }) => ({ ...opening(secrets), expires: of.expires })));
  }
  const empty = [...gone, ...bare].flatMap((door) => {
    const op = greeting(session, door);
    return op ? [{ door, op }] : [];
  });
  if (empty.length > 0) {
    const laid = await send(empty.map(({ op }) => op));
    for (const [at, { door }] of empty.entries()) {
      const result = laid[at] as Result;
      // A welcome that lay first would be taken for the greeting. `conflict`: another device was first.
      if (!isFailed(result) || result.code === "conflict") lacking.push(door);
    }
  }
  const welcomes: Append[] = [];
  for (const door of lacking) welcomes.push(...(await welcome(session, door)));
  if (welcomes.length > 0) await send(welcomes);
}

/** Doors by which somebody was let in who belongs, before their date: the link says that they may still be waited for. */
async function used(session: CaseState): Promise<InvitationDoor[]> {
  const now = borneOut(session);
  const found: InvitationDoor[] = [];
  for (const invitation of session.known().invitations.values()) {
    if (invitation.state !== "used" || now >= invitation.expires || !came(session, invitation)) continue;
    const door = await doorOf(session, invitation);
    if (door) found.push(door);
  }
  return found;
}

function came(session: CaseState, { device }: Invitation): Device | undefined {
  const known = device ? session.known().devices.get(hex(device)) : undefined;
  return known?.untilN === null ? known : undefined;
}

/** Something lies there, and no welcome for who was let in. */
async function lacks(session: CaseState, door: InvitationDoor, { records }: Batch): Promise<boolean> {
  const known = came(session, door.of);
  for (const record of records) {
    try {
      if (known && welcomeFor(await openRecord(door.secrets, record), known.device)) return false;
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error; // else noise of somebody who has the link
    }
  }
  return true;
}

/** The first record of the door, as it was; of two devices that lay it, one comes first. */
function greeting(session: CaseState, { stream, secrets }: InvitationDoor): Append | undefined {
  const [kept] = session.store.records(session.case, stream);
  if (kept?.index !== 1) return undefined;
  const { chain: expect } = startOf(stream);
  return { op: "append", stream, cap: held(appendCap(secrets)), record: kept.record, expect };
}

/** For exactly the device that the charter let in, with the place of its entry there. */
async function welcome(session: CaseState, { stream, secrets, of }: InvitationDoor): Promise<Append[]> {
  const { keysStream: keys, keysSecret: secret } = session.row;
  const known = came(session, of);
  const n = of.joinedN;
  const head = n === null ? undefined : session.known().heads.get(n);
  if (!known || n === null || !head || !keys || !secret) return [];
  const content = encodeWelcome({ case: session.case, keys, secret, n, head, shelf: null });
  const payload = await makeWelcome(stream, known.device, known.box, content);
  const record = await sealRecord(secrets, payload, session.around.random(24));
  return [{ op: "append", stream, cap: held(appendCap(secrets)), record, expect: null }];
}
