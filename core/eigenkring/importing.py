"""Moving a case to another relay: a new case there, from an export that was verified. Spec: docs/spec/export.md, Importing.

Nothing of the old case is touched: whoever still has to come reads on there, until its owner erases it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from eigenkring import exported, filing, waiting
from eigenkring.attachment import claims_attachment, parse_attachment
from eigenkring.case import Case
from eigenkring.charter.state import Grant, Invitation, Person
from eigenkring.errors import EigenkringError, Inadmissible, Misuse
from eigenkring.exporting import Verified, verified
from eigenkring.library import Device
from eigenkring.link import relay_address
from eigenkring.onward import STAYS, add_item, renamed
from eigenkring.receipts import day_of
from eigenkring.schema import split_part
from eigenkring.session.doors import terms_of
from eigenkring.view import PartSelection, Selection

# Facts of the new case: which export it is being made of; and which it was made of, with what was left (JSON).
_MARK: Final = "importing"
_DONE: Final = "imported"
Rows = list[dict[str, str]]
SAY: Final = (
    "This is a new case: everybody comes in with a link of their own, and brings the own pages themselves.",
    "Who wrote what before is proven by the export; keep it.",
    "The old case is still where it was. When everybody has come: `erase` it, and its bytes at the old relay are gone.",
    "A recovery code that was made before opens the new case too, once this device has synced; the code's own page stays "
    "at the relay where it was made: make a new code before that relay goes away.",
)


def bring(device: Device, copy: Path, relay: str, name: str | None = None) -> dict[str, Any]:
    """Start the case of an export, the folder or a zip of it, anew at ``relay``. Gives ``{"case", "invitations", "grants", "left", "say"}``: ``left``
    is access that could not be given anew.

    What was interrupted goes on where it was when it is asked for again: nobody is invited twice, and nothing stands twice.
    What was finished is only told again, with the links that nobody used yet.

    Raises ``Inadmissible("bad_export")``, ``Misuse("not_permitted")`` for who was neither owner nor member, or is somebody
    else in that case; ``Unreachable``, ``Refused``, ``RelayMisbehaved``: where the relay did
    not take the founding, nothing was started.
    """
    # What is brought is what the records say. A label that this program spells otherwise must not keep a family out.
    found = verified(copy, page=False)
    me = check(device, found)
    which = found.which
    begun = _begun(device, which, relay)
    done = None if begun is None else device.store.fact(begun.id, _DONE)
    if begun is not None and done is not None:
        begun.sync_quietly()
        return _told(begun, *_links(begun), msgspec.json.decode(done[len(which) :], type=Rows))
    mark = lambda case: device.store.put_fact(case, _MARK, which)  # noqa: E731
    try:
        new = begun or device._start(found.charter.title, relay, name or me.name, "owner", mark)
        new.sync()
        new.make_singletons()
        invited, ids = _invite(new, found, me)
    except EigenkringError:
        _drop_unsent(device, which)
        raise
    _copy(new, found, ids)
    given, left = _give(device, new, found, ids)
    with device.store.step():
        device.store.put_fact(new.id, _DONE, which + msgspec.json.encode(left))
        device.store.put_fact(new.id, _MARK, None)
    new.sync_quietly()
    return _told(new, invited, given, left)


def _drop_unsent(device: Device, which: bytes) -> None:
    """Nothing was started where no relay took the founding."""
    for row in device.store.cases():
        is_unsent = any(item.stream is None for item in device.store.outbox(row.case))
        if is_unsent and device.store.fact(row.case, _MARK) == which:
            device.store.erase_case(row.case)
            device.forget(row.case)


def _told(new: Case, invited: Rows, given: Rows, left: Rows) -> dict[str, Any]:
    return {"case": new.id.hex(), "invitations": invited, "grants": given, "left": left, "say": list(SAY)}


def check(device: Device, found: Verified) -> Person:
    """Who made the export, and may begin anew with it. Raises ``Misuse("not_permitted")``."""
    me, known = found.charter.people[found.person], device.store.case(found.charter.case)
    if known is not None and known.person is not None and known.person != me.person:
        # The own pages of one, and what one agreed to, would become another's.
        raise Misuse("not_permitted", "somebody else made this export: begin with one of your own, or let them begin")
    if me.role not in ("owner", "member"):
        raise Misuse("not_permitted", "an owner or a member takes a case to another relay")
    return me


def _begun(device: Device, which: bytes, relay: str) -> Case | None:
    """What an earlier import of this very export to this relay made, or began; as long as nobody came to what it only began,
    and its links still work: whether they were ever seen is not known here, so they are given once more."""
    store, half = device.store, None
    for row in store.cases():
        if row.state == "open" and row.relay == relay_address(relay):
            if (store.fact(row.case, _DONE) or b"")[: len(which)] == which:
                return device.case(row.case)
            if store.fact(row.case, _MARK) == which and _goes_on(device.case(row.case)):
                half = device.case(row.case)
    return half


def _goes_on(begun: Case) -> bool:
    invitations, given = begun.charter.invitations.values(), begun.charter.grants.values()
    now = begun.session.around.clock()
    if any(one.state == "used" or one.expires <= now for one in invitations):
        return False
    return all(one.device is None for one in given)


def _links(new: Case) -> tuple[Rows, Rows]:
    """To whom nobody came yet."""
    session, now = new.session, new.session.around.clock()
    invited: Rows = []
    given: Rows = []
    for one in new.charter.invitations.values():
        if one.state == "open" and now < one.expires:
            with suppress(Misuse):
                link = waiting.link_at(session, one.doorstep)
                invited.append({"name": one.name, "role": one.role, "link": link})
    for grant in new.charter.grants.values():
        terms = terms_of(session, grant) if grant.open and grant.device is None and now < grant.until else None
        if terms is not None:
            with suppress(Misuse):
                link = waiting.link_at(session, grant.doorstep)
                given.append({"to": terms.to, "grant": grant.grant.hex(), "link": link})
    return invited, given


def _invite(new: Case, found: Verified, me: Person) -> tuple[Rows, dict[str, str]]:
    ids = {me.person.hex(): new.session.me().hex()}
    invited: Rows = []
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


def _give(device: Device, new: Case, found: Verified, ids: Mapping[str, str]) -> tuple[Rows, Rows]:
    """Access anew, with the same choice, purpose and day, where this device knows what was chosen."""
    logged = found.content.get("access", {}).get("grants", {})
    known = next((row for row in device.rows() if row.case == found.charter.case and row.state == "open"), None)
    old = None if known is None else device.case(known.case)
    given: Rows = []
    left: Rows = []
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
