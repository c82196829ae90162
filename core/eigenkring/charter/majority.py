"""Acts that one owner cannot do alone, and the votes for them. Spec: docs/spec/charter.md, Majority.

Approvals travel in keybags and are posted with the entry that acts: who is to be removed must not read it in the
charter first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from eigenkring.charter.entry import NONSENSE, Approval
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, DeviceId, EntryHash, PersonId
from eigenkring.wire import check_keys
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.sign import SigningKey, sign, verify

Deed: TypeAlias = Literal["invite", "set_role", "remove_person", "close", "readmit"]
NOBODY: Final = PersonId(bytes(8))


class Act(msgspec.Struct, frozen=True):
    """What is asked, and in which company: it is worth nothing in another one."""

    case: Annotated[CaseId, msgspec.Meta(min_length=16, max_length=16)]
    what: Deed
    person: Annotated[PersonId, msgspec.Meta(min_length=8, max_length=8)]
    role: str
    n: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF_FFFF)]
    head: Annotated[EntryHash, msgspec.Meta(min_length=32, max_length=32)]


_decoder = msgspec.msgpack.Decoder(Act)


def propose(charter: Charter, what: Deed, person: PersonId = NOBODY, role: str = "") -> bytes:
    """The bytes that everybody who agrees signs."""
    return msgspec.msgpack.encode(Act(charter.case, what, person, role, charter.n, charter.head))


def parse_act(act: bytes) -> Act:
    try:
        check_keys(act)
        return _decoder.decode(act)
    except NONSENSE:
        raise Inadmissible("not_permitted", "what was approved does not decode") from None


def approve(charter: Charter, act: bytes, device: DeviceId, key: SigningKey) -> Approval:
    """A yes. Show the person what ``parse_act`` says before; raises where it would count for nothing."""
    _check_act(charter, parse_act(act))
    return Approval(device, sign(key, "approval", charter.case, act))


def voters(charter: Charter, what: str) -> frozenset[PersonId]:
    if what == "readmit":
        return charter.with_role("member")
    owners = charter.with_role("owner")
    # A coordinator who founded decides alone until there is an owner, and has no vote from then on.
    return owners or (frozenset() if charter.acting is None else frozenset({charter.acting}))


def needed(charter: Charter, what: str) -> int:
    """How many yeses. Of two owners both; to bring a sole owner back three members where there are three, never one
    alone."""
    n = len(voters(charter, what))
    return max(n // 2 + 1, min(3, n), 2) if what == "readmit" else n // 2 + 1


def yeses(charter: Charter, act: bytes, approvals: Iterable[Approval]) -> frozenset[PersonId]:
    """Who agreed. Raises ``not_permitted`` for an approval that does not hold: none is passed over in silence."""
    asked = parse_act(act)
    _check_act(charter, asked)
    allowed = voters(charter, asked.what)
    found = set()
    for approval in approvals:
        device = charter.devices.get(approval.by)
        # Whoever found an owner's address does not vote with it.
        votes = device is not None and device.here and device.sleeping != "link"
        if device is None or not votes or device.person not in allowed:
            raise Inadmissible("not_permitted", "an approval of somebody without a vote", approval.by.hex())
        try:
            verify(device.sign, "approval", charter.case, act, approval.sig)
        except BadSignature:
            raise Inadmissible("not_permitted", "an approval that nobody signed", approval.by.hex()) from None
        found.add(device.person)
    return frozenset(found)


def check_majority(
    charter: Charter,
    author: PersonId,
    what: Deed,
    person: PersonId,
    role: str,
    act: bytes,
    approvals: Sequence[Approval],
) -> None:
    """Raises ``Inadmissible("not_permitted")`` unless enough people agreed to exactly this. The author agrees by the
    entry."""
    agreed = {author} & voters(charter, what)
    if act or approvals:
        asked = parse_act(act)
        if (asked.what, asked.person, asked.role) != (what, person, role):
            raise Inadmissible("not_permitted", "something else was approved")
        agreed |= yeses(charter, act, approvals)
    if len(agreed) < needed(charter, what):
        raise Inadmissible("not_permitted", "too few agreed")


def _check_act(charter: Charter, act: Act) -> None:
    if act.case != charter.case or charter.heads.get(act.n) != act.head:
        raise Inadmissible("not_permitted", "approved in another charter")
    # An approval kept since before somebody came or went says nothing of those who decide now.
    if act.n < (charter.circle_n if act.what == "readmit" else charter.owners_n):
        raise Inadmissible("not_permitted", "approved in another company")
