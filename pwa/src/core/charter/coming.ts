/**
 * Who comes in: invitations, joins, own devices. What each such entry does to the charter; see `rules` for the table.
 */
import { BadSignature } from "../../crypto/errors";
import { concat } from "../../crypto/kdf";
import { verify } from "../../crypto/sign";
import { checkStatement, type Knock } from "../doorstep";
import { Inadmissible } from "../errors";
import { type CaseId, type DeviceId, hex, named, type PersonId, type StreamId, same } from "../ids";
import {
  devicesLeave,
  MAX_TERMS_BYTES,
  newcomer,
  type Step,
  withDevice,
  withGrant,
  withPerson,
} from "./deeds";
import { type Body, deviceId, type Keys, type Sleeping } from "./entry";
import { NOBODY } from "./majority";
import { type Charter, type Device, type Grant, type Invitation, isHere, type Person } from "./state";

export async function invite(step: Step<Body<"invite">>): Promise<Charter> {
  const { body } = step;
  if (body.role === "owner") await step.majority(body, body.person, "owner");
  if (step.charter.people.get(hex(body.person))?.here) {
    throw step.refuse("already_there", "the person belongs already");
  }
  return openInvitation(step, body, body.role);
}

export async function readmit(step: Step<Body<"readmit">>): Promise<Charter> {
  const { body, charter } = step;
  const owners = charter.withRole("owner");
  if (owners.size !== 1 || !owners.has(hex(body.person)) || charter.acting) {
    throw step.refuse("not_permitted", "only a sole owner is brought back by the members");
  }
  await step.majority(body, body.person, "");
  return openInvitation(step, body, "owner");
}

function openInvitation(step: Step, body: Body<"invite" | "readmit">, role: Person["role"]): Charter {
  if (step.charter.invitations.has(hex(body.invitation))) {
    throw step.refuse("already_there", "an invitation of that id");
  }
  if (body.terms.length > MAX_TERMS_BYTES) throw step.refuse("limit", "terms too long");
  const made: Invitation = {
    invitation: body.invitation,
    kind: body.what,
    person: body.person,
    name: step.name(body.name),
    role,
    doorstep: body.doorstep,
    seedKey: body.seed_key,
    expires: body.expires,
    compare: body.compare,
    by: body.by,
    n: body.n,
    terms: body.terms,
    state: "open",
    joinedN: null,
    device: null,
  };
  return withInvitation(step.charter, made).with({ streams: step.streams(body.doorstep) });
}

export function cancel(step: Step<Body<"cancel">>): Charter {
  return withInvitation(step.charter, { ...invitationOf(step, step.body.invitation), state: "closed" });
}

export async function join(step: Step<Body<"join">>): Promise<Charter> {
  const { body } = step;
  if ((body.invitation === null) === (body.grant === null)) {
    throw step.refuse("bad_entry", "a join is of an invitation or of a grant");
  }
  if (body.invitation === null) return joinGrant(step);
  const invitation = invitationOf(step, body.invitation);
  if (invitation.kind === "invite" && !step.charter.isOwner(step.author.person)) {
    throw step.refuse("not_permitted", "let in by one who is no owner");
  }
  const { device, name } = await visitor(
    step,
    step.body.case,
    invitation.invitation,
    invitation,
    invitation.person,
  );
  let { charter } = step;
  const { n } = body;
  const { role } = invitation;
  const before = charter.people.get(hex(invitation.person));
  if (before?.here) {
    if (invitation.kind === "invite") throw step.refuse("already_there", "the person belongs already");
    charter = devicesLeave(charter, charter.devicesOf(before.person), n);
  }
  const person: Person = before
    ? {
        ...before,
        name: name || invitation.name,
        role,
        here: true,
        until: null,
        readmittedN: n,
        spans: before.here ? before.spans : [...before.spans, [n, null, role]],
      }
    : newcomer(invitation.person, name || invitation.name, role, n);
  charter = withInvitation(charter, { ...invitation, state: "used", joinedN: n, device: device.device });
  return withDevice(withPerson(charter, person), device);
}

async function joinGrant(step: Step<Body<"join">>): Promise<Charter> {
  const grant = step.charter.grants.get(hex(step.body.grant as Uint8Array));
  if (!grant) throw step.refuse("no_such_grant", "no grant of that id");
  if (!step.charter.isOwner(step.author.person)) {
    throw step.refuse("not_permitted", "let in by one who is no owner");
  }
  if (grant.endedN !== null || grant.device) {
    throw step.refuse("invitation_used", "somebody came already, or it ended");
  }
  const { device, name } = await visitor(step, atTheDoor(grant), grant.grant, grant, NOBODY);
  return withGrant(step.charter, { ...grant, device, name });
}

/** What stands for the case on a grant's doorstep: the case's own id would tie two readers' grants together. */
export function atTheDoor({ grant }: Pick<Grant, "grant">): CaseId {
  return named<CaseId>(grant);
}

async function visitor(
  step: Step<Body<"join">>,
  caseId: CaseId,
  invitation: Uint8Array,
  door: { readonly doorstep: StreamId; readonly seedKey: Uint8Array },
  person: PersonId,
): Promise<{ readonly device: Device; readonly name: string }> {
  const { body } = step;
  const knock: Knock = {
    statement: body.statement,
    seed_sig: body.seed_sig,
    device_sig: body.device_sig,
  };
  try {
    const checked = await checkStatement(knock, caseId, invitation, door.doorstep, door.seedKey);
    const { statement, device } = checked;
    return { device: newDevice(step, device, statement, person, ""), name: step.name(statement.name) };
  } catch (error) {
    if (error instanceof Inadmissible) throw step.refuse(error.code, error.message);
    throw error;
  }
}

function newDevice(step: Step, device: DeviceId, keys: Keys, person: PersonId, sleeping: Sleeping): Device {
  const guests = [...step.charter.grants.values()];
  const isGuest = guests.some((grant) => grant.device !== null && same(grant.device.device, device));
  // Also one that left: a device that was put out never comes back.
  if (step.charter.devices.has(hex(device)) || isGuest) {
    throw step.refuse("already_there", "a device of that id");
  }
  const { sign, box } = keys;
  return { device, person, sign, box, sleeping, sinceN: step.body.n, untilN: null };
}

export async function addDevice(step: Step<Body<"add_device">>): Promise<Charter> {
  const { body, author } = step;
  const device = deviceId(body.case, body.device);
  const signed = concat(author.person, device);
  try {
    await verify(body.device.sign, "add device", body.case, signed, body.device_sig);
  } catch (error) {
    if (!(error instanceof BadSignature)) throw error;
    throw step.refuse("bad_statement", "the new device did not sign");
  }
  const after = withDevice(step.charter, newDevice(step, device, body.device, author.person, body.sleeping));
  // An address is used once, whatever the program of who used it: the fold sees to it.
  const isUsed = step.charter.devices.get(hex(body.by))?.sleeping === "link";
  return isUsed ? devicesLeave(after, [hex(body.by)], body.n) : after;
}

// --- doors left ajar

/**
 * Invitations and grants nobody came to end with the device that made them, or its person's rights: who was put out must
 * not come in again with a link of their own. And a readmission ends when the owner turns out to be there.
 */
export function closeDoors(before: Charter, after: Charter, by: DeviceId, n: number): Charter {
  const makerIsOut = (device: DeviceId, needsOwner: boolean): boolean => {
    const maker = after.devices.get(hex(device)) as Device;
    if (!isHere(maker)) return true;
    return needsOwner && before.isOwner(maker.person) && !after.isOwner(maker.person);
  };
  const author = after.devices.get(hex(by)) as Device;
  let closed = after;
  for (const invitation of after.invitations.values()) {
    if (invitation.state !== "open" || invitation.n === n) continue;
    const objects = invitation.kind === "readmit" && same(author.person, invitation.person);
    if (objects || makerIsOut(invitation.by, invitation.kind === "invite")) {
      closed = withInvitation(closed, { ...invitation, state: "closed" });
    }
  }
  for (const known of after.grants.values()) {
    if (known.endedN === null && !known.device && known.n !== n && makerIsOut(known.by, true)) {
      closed = withGrant(closed, { ...known, endedN: n });
    }
  }
  return closed;
}

function invitationOf(step: Step, id: Uint8Array): Invitation {
  const known = step.charter.invitations.get(hex(id));
  if (!known) throw step.refuse("no_such_invitation", "no invitation of that id");
  if (known.state !== "open") throw step.refuse("invitation_used", "the invitation is used or closed");
  return known;
}

function withInvitation(charter: Charter, invitation: Invitation): Charter {
  const invitations = new Map(charter.invitations).set(hex(invitation.invitation), invitation);
  return charter.with({ invitations });
}
