"""Moving a case to another relay: a new case there, from an export that was verified. Spec: docs/spec/export.md, Importing.

Nothing of the old case is touched: whoever still has to come reads on there, until its owner erases it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from eigenkring import exported, filing, waiting
from eigenkring.attachment import claims_attachment, parse_attachment
from eigenkring.case import Case
from eigenkring.charter.state import Grant, Invitation, Person
from eigenkring.errors import EigenkringError, Inadmissible, Misuse, Unreachable
from eigenkring.exporting import Verified, verified
from eigenkring.ids import CaseId
from eigenkring.library import Device
from eigenkring.link import relay_address
from eigenkring.onward import STAYS, add_item, renamed
from eigenkring.receipts import day_of
from eigenkring.schema import split_part
from eigenkring.session.doors import terms_of
from eigenkring.store import NO_CASE
from eigenkring.view import PartSelection, Selection
from eigenkring_crypto.kdf import sha256

_MARK: Final = "importing"  # which export, and the case that is being made of it
SAY: Final = (
    "This is a new case: everybody comes in with a link of their own, and brings the own pages themselves.",
    "Who wrote what before is proven by the export; keep it.",
    "The old case is still where it was. When everybody has come: `erase` it, and its bytes at the old relay are gone.",
    "A recovery code that was made before opens the new case too, once this device has synced; the code's own page stays "
    "at the relay where it was made: make a new code before that relay goes away.",
)


def bring(device: Device, folder: Path, relay: str, name: str | None = None) -> dict[str, Any]:
    """Start the case of an export anew at ``relay``. Gives ``{"case", "invitations", "grants", "left", "say"}``: ``left``
    is access that could not be given anew.

    What was interrupted goes on where it was when it is asked for again: nobody is invited twice, and nothing stands twice.

    Raises ``Inadmissible("bad_export")``, ``Misuse("not_permitted")`` for who was neither owner nor member,
    ``Unreachable``: nothing was started then.
    """
    found = verified(folder)
    me = found.charter.people[found.person]
    if me.role not in ("owner", "member"):
        raise Misuse("not_permitted", "an owner or a member takes a case to another relay")
    which, new = sha256((folder / exported.MANIFEST).read_bytes()), _half_made(device, folder, relay)
    if new is None:
        mark = lambda case: device.store.put_fact(NO_CASE, _MARK, which + case)  # noqa: E731
        new = device._start(found.charter.title, relay, name or me.name, "owner", mark)
    try:
        new.sync()
    except Unreachable:
        if any(item.stream is None for item in device.store.outbox(new.id)):
            device.store.erase_case(new.id)
            device.forget(new.id)
        raise
    new.make_singletons()
    invited, ids = _invite(new, found, me)
    _copy(new, found, ids)
    given, left = _give(device, new, found, ids)
    new.sync_quietly()
    return {"case": new.id.hex(), "invitations": invited, "grants": given, "left": left, "say": list(SAY)}


def _half_made(device: Device, folder: Path, relay: str) -> Case | None:
    """The case that an earlier import of this very export to this relay began, as long as nobody came to it: whether its
    links were ever seen is not known here, so they are given once more."""
    mark = device.store.fact(NO_CASE, _MARK) or b""
    which, case = mark[:32], CaseId(mark[32:])
    if which != sha256((folder / exported.MANIFEST).read_bytes()):
        return None
    known = device.store.case(case)
    if known is None or known.state != "open" or known.relay != relay_address(relay):
        return None
    begun = device.case(case)
    invitations, given = begun.charter.invitations.values(), begun.charter.grants.values()
    someone_came = any(one.state == "used" for one in invitations) or any(one.device is not None for one in given)
    return None if someone_came else begun


def _invite(new: Case, found: Verified, me: Person) -> tuple[list[dict[str, str]], dict[str, str]]:
    ids, invited = {me.person.hex(): new.session.me().hex()}, []
    for person in found.charter.present():
        if person.person != me.person:
            made = _invited(new, person, set(ids.values()))
            link = new.invite(person.role, person.name) if made is None else waiting.link_at(new.session, made.doorstep)
            made = made or max(new.charter.invitations.values(), key=lambda invitation: invitation.n)
            ids[person.person.hex()] = made.person.hex()
            invited.append({"name": person.name, "role": person.role, "link": link})
    return invited, ids


def _invited(new: Case, person: Person, taken: set[str]) -> Invitation | None:
    """Before an interruption; of two who are called the same, each once."""
    for made in new.charter.invitations.values():
        is_theirs = made.state == "open" and (made.role, made.name) == (person.role, person.name)
        if is_theirs and made.person.hex() not in taken:
            return made
    return None


def _there(new: Case, name: str, ids: Mapping[str, str]) -> str | None:
    """What a part of the old case is called in the new one; None where somebody else brings it."""
    kind, about = split_part(name)
    if kind in STAYS:
        return None
    there = kind if about is None else f"{kind}@{ids.get(about.hex(), '')}"
    known = new.charter.parts.get(there)
    return there if known is not None and new.charter.may_write(new.session.me(), there) else None


def _copy(new: Case, found: Verified, ids: Mapping[str, str]) -> None:
    names = {p.person.hex(): p.name for p in found.charter.people.values()}
    for name, document in found.content.items():
        there = _there(new, name, ids)
        if there is None:
            continue
        for collection, items in document.items():
            for item, fields in items.items():
                here = new.session.read(new.session.part(there)).get(collection, {}).get(item)
                files = {field for field, value in fields.items() if claims_attachment(value)}
                plain = {field: value for field, value in fields.items() if field not in files}
                if here is not None and item == collection:
                    fresh = new.session.around.schema.new_item(split_part(there)[0], collection)
                    plain = {
                        field: v for field, v in plain.items() if here.get(field) in (None, "", [], fresh.get(field))
                    }
                if here is None or item == collection:  # else it was brought before an interruption
                    add_item(new, there, collection, item, renamed(plain, {**names, **ids}))
                for field in sorted(files - (here or {}).keys()):
                    # What somebody wrote that is no photo, or in a field for words, keeps nobody from moving.
                    try:
                        _attach(new, found, there, f"{collection}/{item}/{field}", fields[field])
                    except (Inadmissible, Misuse) as error:
                        new.session.alarm(error.code, f"attachment in {there}")


def _attach(new: Case, found: Verified, part: str, path: str, value: Any) -> None:
    attachment = parse_attachment(value)
    data = found.files.get(exported.file_of(attachment))
    if data is not None:  # one that was not at hand when it was exported stays behind
        preview = attachment.preview
        filing.attach(new.session, part, path, attachment.name, data, as_is=True, preview=preview)


def _give(
    device: Device, new: Case, found: Verified, ids: Mapping[str, str]
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Access anew, with the same choice, purpose and day, where this device knows what was chosen."""
    logged = found.content.get("access", {}).get("grants", {})
    known = device.store.case(found.charter.case)
    old = None if known is None or known.state != "open" else device.case(known.case.hex())
    given: list[dict[str, str]] = []
    left: list[dict[str, str]] = []
    for grant in found.charter.grants.values():
        if not grant.open:
            continue
        row: dict[str, Any] = next((row for row in logged.values() if row.get("grant") == grant.grant.hex()), {})
        terms = None if old is None else terms_of(old.session, grant)
        to = str(row.get("who") or (terms.to if terms else ""))
        try:
            if terms is None or not row.get("purpose"):
                raise Misuse("not_permitted", "only a device of the circle knows what was chosen")
            before = _given(new, to, str(row["purpose"]), {one["grant"] for one in given})
            if before is not None:
                link = waiting.link_at(new.session, before.doorstep)
                given.append({"to": to, "grant": before.grant.hex(), "link": link})
                continue
            selection = _chosen(new, terms.selection, ids)
            until = str(row.get("until") or day_of(grant.until))
            made = new.grant(to, str(row["purpose"]), until, selection, compare=terms.compare)
            given.append({"to": to, "grant": made.grant.hex(), "link": made.link})
        except EigenkringError as error:
            left.append({"to": to, "code": error.code})
    return given, left


def _given(new: Case, to: str, purpose: str, taken: set[str]) -> Grant | None:
    """Before an interruption. Access whose purpose was not written down any more is stopped, to be given whole."""
    purposes = {row["grant"]: row["purpose"] for row in new.access() if row["to"] == to}
    for grant in list(new.charter.grants.values()):
        number = grant.grant.hex()
        if grant.open and number in purposes and number not in taken:
            if purposes[number] == purpose:
                return grant
            if purposes[number] is None:
                new.withdraw(number)
    return None


def _chosen(new: Case, selection: Selection, ids: Mapping[str, str]) -> Selection:
    """Items keep their ids; persons have others. Raises ``Misuse("no_such_part")``: half a choice is none."""
    parts: dict[str, PartSelection] = {}
    for name, chosen in selection.parts.items():
        there = _there(new, name, ids)
        if there is None:
            raise Misuse("no_such_part", "somebody else has to bring a part that was shown")
        naming = None if chosen.naming is None else tuple(ids.get(one, one) for one in chosen.naming)
        parts[there] = msgspec.structs.replace(chosen, naming=naming)
    made = Selection(parts)
    made.check(new.session.around.schema, new.session.me())
    return made
