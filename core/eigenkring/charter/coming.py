"""Who comes in: invitations, joins, own devices. What each such entry does to the charter; see ``rules`` for the
table."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from eigenkring.charter.deeds import MAX_TERMS_BYTES, Step, devices_leave, with_grant
from eigenkring.charter.entry import AddDevice, Cancel, Invite, Join, Keys, Readmit, device_id
from eigenkring.charter.majority import NOBODY
from eigenkring.charter.state import Charter, Device, Invitation, Person
from eigenkring.doorstep import Knock, check_statement
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, DeviceId, GrantId, InvitationId, PersonId, StreamId
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import verify


def invite(step: Step) -> Charter:
    body = step.of(Invite)
    if body.role == "owner":
        step.majority(body, body.person, "owner")
    known = step.charter.people.get(body.person)
    if known is not None and known.here:
        raise step.refuse("already_there", "the person belongs already")
    return _open_invitation(step, body, "invite", body.role)


def readmit(step: Step) -> Charter:
    body = step.of(Readmit)
    if step.charter.with_role("owner") != {body.person} or step.charter.acting is not None:
        raise step.refuse("not_permitted", "only a sole owner is brought back by the members")
    step.majority(body, body.person, "")
    return _open_invitation(step, body, "readmit", "owner")


def _open_invitation(step: Step, body: Invite | Readmit, kind: str, role: str) -> Charter:
    if body.invitation in step.charter.invitations:
        raise step.refuse("already_there", "an invitation of that id")
    if len(body.terms) > MAX_TERMS_BYTES:
        raise step.refuse("limit", "terms too long")
    made = Invitation(
        body.invitation, kind, body.person, step.name(body.name), role, body.doorstep, body.seed_key,
        body.expires, body.compare, body.by, body.n, body.terms,
    )  # fmt: skip
    return replace(
        step.charter,
        invitations={**step.charter.invitations, body.invitation: made},
        streams=step.streams(body.doorstep),
    )


def cancel(step: Step) -> Charter:
    invitation = _invitation(step, step.of(Cancel).invitation)
    return _with_invitation(step.charter, replace(invitation, state="closed"))


def join(step: Step) -> Charter:
    body = step.of(Join)
    if (body.invitation is None) == (body.grant is None):
        raise step.refuse("bad_entry", "a join is of an invitation or of a grant")
    if body.grant is not None:
        return _join_grant(step, body, body.grant)
    invitation = _invitation(step, InvitationId(body.invitation or b""))
    if invitation.kind == "invite" and not step.charter.is_owner(step.author.person):
        raise step.refuse("not_permitted", "let in by one who is no owner")
    device, name = _visitor(
        step, step.body.case, invitation.invitation, invitation.doorstep, invitation.seed_key, invitation.person
    )
    charter, n = step.charter, body.n
    before = charter.people.get(invitation.person)
    if before is not None and before.here:
        if invitation.kind == "invite":
            raise step.refuse("already_there", "the person belongs already")
        charter = devices_leave(charter, charter.devices_of(before.person), n)
    role = invitation.role
    if before is None:
        person = Person(invitation.person, name or invitation.name, role, True, n, spans=((n, None, role),))
    else:
        spans = before.spans if before.here else (*before.spans, (n, None, role))
        person = replace(
            before, name=name or invitation.name, role=role, here=True, until=None, readmitted_n=n, spans=spans
        )
    charter = _with_invitation(charter, replace(invitation, state="used", joined_n=n, device=device.device))
    return replace(
        charter,
        people={**charter.people, person.person: person},
        devices={**charter.devices, device.device: device},
    )


def _join_grant(step: Step, body: Join, grant_id: GrantId) -> Charter:
    grant = step.charter.grants.get(grant_id)
    if grant is None:
        raise step.refuse("no_such_grant", "no grant of that id")
    if not step.charter.is_owner(step.author.person):
        raise step.refuse("not_permitted", "let in by one who is no owner")
    if not grant.open or grant.device is not None:
        raise step.refuse("invitation_used", "somebody came already, or it ended")
    device, name = _visitor(step, grant.at_the_door, grant.grant, grant.doorstep, grant.seed_key, NOBODY)
    return with_grant(step.charter, replace(grant, device=device, name=name))


def _visitor(
    step: Step, case: CaseId, invitation: bytes, doorstep: StreamId, seed_key: bytes, person: PersonId
) -> tuple[Device, str]:
    body = step.of(Join)
    try:
        knock = Knock(body.statement, body.seed_sig, body.device_sig)
        statement, device = check_statement(knock, case, invitation, doorstep, seed_key)
    except Inadmissible as error:
        raise step.refuse(error.code, error.message) from None
    return _new_device(step, device, statement.keys, person, ""), step.name(statement.name)


def _new_device(step: Step, device: DeviceId, keys: Keys, person: PersonId, sleeping: str) -> Device:
    if device in step.charter.devices or any(
        g.device and g.device.device == device for g in step.charter.grants.values()
    ):
        # Also one that left: a device that was put out never comes back.
        raise step.refuse("already_there", "a device of that id")
    return Device(device, person, keys.sign, keys.box, sleeping, step.body.n)


def add_device(step: Step) -> Charter:
    body = step.of(AddDevice)
    device = device_id(body.case, body.device)
    try:
        verify(body.device.sign, "add device", body.case, step.author.person + device, body.device_sig)
    except BadSignature:
        raise step.refuse("bad_statement", "the new device did not sign") from None
    made = _new_device(step, device, body.device, step.author.person, body.sleeping)
    after = replace(step.charter, devices={**step.charter.devices, device: made})
    if step.charter.devices[body.by].sleeping == "link":
        # An address is used once, whatever the program of who used it: the fold sees to it.
        after = devices_leave(after, [body.by], body.n)
    return after


# --- doors left ajar


def close_doors(before: Charter, after: Charter, by: DeviceId, n: int) -> Charter:
    """Invitations and grants nobody came to end with the device that made them, or its person's rights: who was put
    out must not come in again with a link of their own. And a readmission ends when the owner turns out to be there."""
    maker_is_out = _maker_is_out(before, after)
    for invitation in after.invitations.values():
        if invitation.state != "open" or invitation.n == n:
            continue
        objects = invitation.kind == "readmit" and after.devices[by].person == invitation.person
        if objects or maker_is_out(invitation.by, invitation.kind == "invite"):
            after = _with_invitation(after, replace(invitation, state="closed"))
    for known in after.grants.values():
        if known.open and known.device is None and known.n != n and maker_is_out(known.by, True):
            after = with_grant(after, replace(known, ended_n=n))
    return after


def _maker_is_out(before: Charter, after: Charter) -> Callable[[DeviceId, bool], bool]:
    def is_out(device: DeviceId, needs_owner: bool) -> bool:
        maker = after.devices[device]
        if not maker.here:
            return True
        return needs_owner and before.is_owner(maker.person) and not after.is_owner(maker.person)

    return is_out


def _invitation(step: Step, invitation: InvitationId) -> Invitation:
    known = step.charter.invitations.get(invitation)
    if known is None:
        raise step.refuse("no_such_invitation", "no invitation of that id")
    if known.state != "open":
        raise step.refuse("invitation_used", "the invitation is used or closed")
    return known


def _with_invitation(charter: Charter, invitation: Invitation) -> Charter:
    return replace(charter, invitations={**charter.invitations, invitation.invitation: invitation})
