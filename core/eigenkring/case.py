"""One case, as a program or the command line uses it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from eigenkring import carrying, deciding, filing, giving, letting, parting, receipts, waiting, watching, wire
from eigenkring.charter import compose
from eigenkring.charter.state import Charter
from eigenkring.editing import Editing
from eigenkring.errors import Ended, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import CaseId, GrantId, PersonId
from eigenkring.live import Live
from eigenkring.part.history import history
from eigenkring.schema import part_name
from eigenkring.session import forgetting, preparing
from eigenkring.session.acting import Exchange, author_of, cuts_for, exchange_of
from eigenkring.session.parts import CaseSession
from eigenkring.story import change_lines, entry_lines, rights_lines
from eigenkring.sync import SyncReport, act, sync_case
from eigenkring.transport import Transport
from eigenkring.view import Selection, parse_selection
from eigenkring.watching import Change

MIN_PREFIX = 4


class Case:
    """What one person can see and do in one case. Every reading method shows what this device has now; ``sync`` gets more.

    Any method raises ``Ended("removed")`` once this person does not belong any more, and ``Misuse("no_home")`` where the
    disk takes nothing; in both nothing is changed. Beside those each method says what it raises. A person, part or grant
    may be named by the beginning of its id (four characters): ``Misuse``: ``no_such_person``, ``no_such_part``,
    ``no_such_grant``, ``ambiguous``.
    """

    def __init__(self, session: CaseSession, transport: Transport) -> None:
        self.session = session
        self.transport = transport
        self.live: Live | None = None  # while ``watch`` is connected

    @property
    def id(self) -> CaseId:
        """The case's id, 16 bytes. Raises nothing."""
        return self.session.case

    @property
    def charter(self) -> Charter:
        """Who belongs and who may what, as this device knows it. Raises ``Ended("removed")``."""
        return self._known()

    def _known(self, *, reads: bool = False) -> Charter:
        """``reads``: as it was kept is enough, where no record of it was folded in this program yet."""
        if self.session.row.state == "removed":
            raise Ended("removed", "you do not belong to this case any more")
        seen = self.session.seen() if reads else None
        return seen or self.session.known()

    # --- sync

    def sync(self) -> SyncReport:
        """Send and receive. Raises ``Unreachable``; ``Ended`` or ``Inadmissible`` where a door stays shut. What the relay did
        wrong is no error but an alarm in the report."""
        report = sync_case(self.session, self.transport)
        if receipts.note_receipts(self.session):
            report.add(sync_case(self.session, self.transport))
        report.add(carrying.carry(self.session, self.transport))
        return report

    def sync_quietly(self) -> None:
        """As ``sync``, but being offline is normal and a relay that misbehaves is an alarm, not a crash. Raises
        ``Ended`` and ``Inadmissible`` as a sync does."""
        try:
            self.sync()
        except (Unreachable, RelayMisbehaved):
            return

    async def send(self) -> None:
        """Send what waits, at once: over the connection that ``watch`` holds, and nothing is read for it; by a ``sync`` where
        there is none, or where more is to do. What it returned for is on the relay's disk. Raises ``Unreachable``;
        ``Ended`` or ``Inadmissible`` where a door stays shut."""
        await watching.send(self)

    def act(self, make: Callable[[CaseSession], Exchange]) -> Exchange:
        """An act on the charter. Raises ``Unreachable``: who belongs is decided with the relay there to order it; ``Refused``,
        ``Inadmissible`` where a rule of the charter does not let this person. Nothing is sent then."""
        _ = self.charter
        return act(self.session, self.transport, make, SyncReport())

    # --- people

    def people(self) -> list[dict[str, Any]]:
        """``[{"person", "name", "role"}]`` of who belongs now, and (``without_phone``, ``stand_in``) of those who have no
        device and are heard through another. Raises nothing."""
        here = [
            {"person": person.person.hex(), "name": person.name, "role": person.role}
            for person in self.charter.present()
        ]
        return here + deciding.heard_through_others(self.session)

    def add_without_phone(self, name: str, stand_in: str) -> str:
        """Somebody of the circle who has no device. Gives the id to use in fields such as ``for`` and
        ``who``. Raises ``Misuse``: ``bad_argument``, ``no_such_person``, ``not_permitted``."""
        return deciding.without_phone(self.session, name, self.person(stand_in))

    def person(self, text: str) -> PersonId:
        """A person by id, the beginning of it, or name. Raises ``Misuse``: ``no_such_person``, ``ambiguous``."""
        wanted = text.strip()
        here = self.charter.present()
        found = [p for p in here if p.person.hex() == wanted.lower()]
        found = found or [p for p in here if p.name.casefold() == wanted.casefold()]
        if not found and len(wanted) >= MIN_PREFIX:
            found = [p for p in here if p.person.hex().startswith(wanted.lower())]
        if len(found) != 1:
            raise Misuse(
                "ambiguous" if found else "no_such_person",
                "nobody here is called that" if not found else "more than one person is called that; use the id",
            )
        return found[0].person

    def invite(self, role: str, name: str = "", *, compare: bool = False, days: int = 14) -> str:
        """A link that works once. Raises ``Misuse``: ``use_grant`` for a professional, ``bad_argument``, ``not_permitted``,
        ``clock``; ``Unreachable``."""
        if role == "professional":
            raise Misuse("use_grant", "a professional is not in the circle: use `grant` to let them read chosen parts")
        if role not in ("owner", "member", "child", "coordinator"):
            raise Misuse("bad_argument", "a role is owner, member, child or coordinator")
        return giving.invite(self.session, self.act, role, name.strip(), compare=compare, days=days)

    def remove(self, who: str) -> PersonId:
        """Take a person out: nothing they write counts, and they read nothing that comes after. Raises
        ``Misuse``: ``no_such_person``, ``bad_argument`` for oneself, ``not_permitted`` where others must agree; ``Unreachable``."""
        person = self.person(who)
        if person == self.session.me():
            raise Misuse("bad_argument", "to go yourself, use `leave`")
        why_not = deciding.must_be_asked(self.session, "remove_person", person)
        if why_not is not None:
            raise Misuse("not_permitted", why_not)

        def make(now: CaseSession) -> Exchange:
            cuts = cuts_for(now, [person])
            return exchange_of(now, compose.remove_person(now.known(), author_of(now), person, cuts))

        self.act(make)
        return person

    def link(self, name: str) -> str:
        """The link of an invitation or of access to which nobody came yet, once more. Raises ``Misuse``:
        ``no_such_person``, ``ambiguous``, ``not_yet``."""
        _ = self.charter
        return waiting.link_again(self.session, name)

    def set_role(self, who: str, role: str, until: str | None = None) -> tuple[PersonId, int | None]:
        """Give a person another role, or an end date (a day, which still counts). Stepping back oneself needs nobody.
        Raises ``Misuse``: ``bad_argument``, ``bad_value``, ``not_permitted``, ``clock``; ``Unreachable``."""
        person = self.person(who)
        return person, deciding.set_role(self.session, self.act, person, role, until)

    def hand_over(self, who: str) -> PersonId:
        """As the coordinator who started: from now on the family decides. Raises ``Misuse("not_permitted")``,
        ``Unreachable``."""
        person = self.person(who)
        deciding.hand_over(self.session, self.act, person)
        return person

    def let_in(self, part: str, who: str) -> PersonId:
        """One more person reads a part: one's own page or number, or as an owner the plan. Theirs is what was there too.
        Raises ``Misuse``: ``bad_argument``, ``no_such_person``, ``no_such_part``, ``not_permitted``; ``Unreachable``."""
        person = self.person(who)
        letting.let_in(self.session, self.act, self.full_name(part), person)
        return person

    def let_out(self, part: str, who: str) -> PersonId:
        """Who was let in reads no more of what comes. What was read stays known. Raises ``Misuse``: ``bad_argument``,
        ``no_such_person``, ``no_such_part``, ``not_permitted``; ``Unreachable``."""
        person = self.person(who)
        letting.let_out(self.session, self.act, self.full_name(part), person)
        return person

    def parted(self) -> dict[str, Any]:
        """What the relay shows beside, and lacks of, the decisions known here: ``{"takes", "drops", "again"}``. Raises
        ``Misuse("not_yet")`` where it shows the same."""
        self.sync_quietly()
        return parting.told(self.session)

    def adopt(self) -> dict[str, Any]:
        """As an owner: go on with the decisions that the relay shows. Who was removed, and access that was stopped, is
        removed and stopped again; ``owed`` is what others must still enter. Raises ``Misuse``: ``not_yet``,
        ``not_permitted``; ``Unreachable``."""
        self.sync()
        return parting.adopt(self.session, self.sync)

    def propose(self, what: str, who: str | None = None, role: str | None = None) -> dict[str, Any]:
        """Ask the others for what one person cannot decide alone: ``role``, ``remove``, ``readmit``, ``close``.
        Raises ``Misuse``: ``bad_argument``, ``no_such_person``; ``Refused``, ``Unreachable``."""
        person = None if who is None else self.person(who)
        _ = self.charter
        return deciding.propose(self.session, self.act, self.transport, what, person, role)

    def approve(self, who: str | None = None) -> dict[str, Any]:
        """Say yes to what another one asked. The last yes does it. Raises ``Misuse``: ``no_such_person``, ``ambiguous``;
        ``Refused``, ``Unreachable``."""
        person = None if who is None else self.person(who)
        _ = self.charter
        return deciding.approve(self.session, self.act, self.transport, person)

    def readmit(self, who: str, *, days: int = 14) -> str:
        """A link for a sole owner who lost everything, when enough members agreed. Raises
        ``Misuse("not_permitted")`` until then, ``Unreachable``."""
        return deciding.readmit(self.session, self.act, self.person(who), days)

    def leave(self) -> None:
        """Go. What you wrote stays with the circle. Raises ``Unreachable``; ``Inadmissible("last_owner")``."""
        self.act(lambda now: exchange_of(now, compose.leave(now.known(), author_of(now))))
        self.session.put_row(state="removed")

    def pending(self) -> list[dict[str, Any]]:
        """``[{"what", "name", "words"}]``: open invitations, and who waits at a door. Raises nothing."""
        return waiting.pending(self.session)

    def confirm(self, name: str) -> PersonId | GrantId:
        """The four words are the same on both sides: give the keys. Gives the person, or of a reader the grant. Raises
        ``Misuse``: ``no_such_person``, ``ambiguous``, ``not_yet``, ``not_permitted``; ``Unreachable``."""
        return waiting.confirm(self.session, name, self.sync)

    def cancel(self, name: str) -> str:
        """Take back a link to which nobody came, or whose words were not the same: an invitation, or access that nobody
        opened. Raises ``Misuse``: ``no_such_person``, ``ambiguous``; ``Unreachable``."""
        return waiting.cancel(self.session, self.act, name)

    def log(self) -> list[dict[str, str]]:
        """``[{"what", "by", "text"}]``: every decision about who belongs and who may read. Raises nothing."""
        return entry_lines(self.charter, self.session.entries)

    def rights(self, part: str) -> dict[str, Any]:
        """``{"part", "readers", "writers", "due", "views"}``: who can, and why; ``due``: somebody left and the lock is not
        turned yet; ``views``: who is shown something of it. Raises ``Misuse("no_such_part")``."""
        name, charter = self.full_name(part), self.charter
        if name not in charter.parts:
            raise Misuse("no_such_part", f"there is no part {name} here")
        return {"part": name, **rights_lines(charter, name), "views": giving.shown_to(self.session, name)}

    # --- parts

    def full_name(self, part: str) -> str:
        """``kind`` or ``kind@PERSON`` as the charter calls it; one's own where a part about a person names nobody.
        Raises ``Misuse``: ``bad_path``, ``no_such_person``, ``ambiguous``."""
        return self._full_name(part, self.charter)  # who was put out reads and writes no more here

    def _full_name(self, part: str, charter: Charter) -> str:
        kind, at, who = part.strip().partition("@")
        if at:
            return part_name(kind, self._any_person(who, charter))
        known = self.session.around.schema.kinds.get(kind)
        if known is not None and known.about_person:
            return part_name(kind, self.session.me())
        return kind

    def _any_person(self, text: str, charter: Charter) -> PersonId:
        """Also one who left: their parts are still there to read."""
        for person in charter.people.values():
            if person.person.hex() == text.lower():
                return person.person
        return self.person(text)

    def show(self, part: str | None = None) -> dict[str, Any]:
        """One part as ``{collection: {item: {field: value}}}``, or all that this device reads, by part. A photo or file is
        shown as ``{"attachment", "type", "size"}``; ``fetch`` gives its bytes. Raises ``Misuse``: ``no_such_part``,
        ``not_permitted``."""
        charter = self._known(reads=True)
        if part is not None:
            return filing.described_in(self.session.read(self.session.part(self._full_name(part, charter), charter)))
        return {
            name: filing.described_in(self.session.read(self.session.parts[known.stream]))
            for name, known in charter.parts.items()
            if known.stream in self.session.parts
        }

    def edit(self, part: str) -> Editing:
        """Several changes as one: ``with case.edit("plan") as plan: plan.add(...)``. All are made at the end, or none.
        Raises ``Misuse``: ``no_such_part``, ``not_permitted``."""
        return Editing(self.session, self.full_name(part))

    def add(self, part: str, collection: str, fields: Mapping[str, Any]) -> str:
        """Add an item. Gives its id. Raises ``Misuse``: ``no_such_part``, ``no_such_collection``, ``bad_value``."""
        with self.edit(part) as editing:
            return editing.add(collection, fields)

    def set(self, part: str, path: str, value: Any, *, as_typed: str | None = None) -> None:
        """Change a field; on text the smallest splice. ``as_typed``: the words, where the value was read as JSON. Raises
        ``Misuse``: ``bad_path``, ``bad_value``, ``no_such_item``, ``not_permitted``."""
        with self.edit(part) as editing:
            editing.set(path, value, as_typed=as_typed)

    def delete(self, part: str, path: str) -> None:
        """Delete an item or a field. The words stay in the part's history for its readers; photos and files go at the
        relay. Raises ``Misuse``: ``bad_path``, ``no_such_item``, ``not_permitted``."""
        with self.edit(part) as editing:
            editing.delete(path)

    def watch(self) -> AsyncGenerator[Change]:
        """Stay connected: ``async for change in case.watch()``. Takes in what others write as it comes, syncs where more is to do,
        connects again when the relay was away, and ends when this person does not belong any more or the case is closed. Each
        ``Change`` names a part that reads differently now. One task at a time uses a device; a sync holds it up for a round trip. Raises
        ``Inadmissible`` and ``Refused`` as a sync does; being offline is waited out."""
        return watching.watch(self)

    def attach(
        self, part: str, path: str, name: str, data: bytes, *, as_is: bool = False, preview: bytes = b""
    ) -> dict[str, Any]:
        """Put a photo or file at ``collection/item`` (or ``collection/item/field``); sent at the next sync. Of a picture only the picture is
        kept; another file is taken ``as_is`` only. Gives ``{"attachment", "type", "size"}``. Raises
        ``Misuse``: ``bad_attachment``, ``bad_path``, ``no_such_item``, ``not_permitted``."""
        return filing.attach(self.session, self.full_name(part), path, name, data, as_is=as_is, preview=preview)

    def fetch(self, part: str, path: str) -> bytes:
        """The bytes of a photo or file: those this device has, or from the relay. Raises ``Unreachable``, ``Misuse``: ``not_yet``,
        ``no_such_field``; ``Refused("closed")`` where it was taken away; ``Inadmissible("bad_attachment")``."""
        return filing.fetch(self.session, self.transport, self.full_name(part), path)

    def forget(self, part: str) -> str:
        """Found a part anew from what it shows now: what was deleted, and who wrote what, is gone at the relay at once and
        on every device when it next syncs. Gives the part's full name. Raises ``Misuse``: ``not_permitted``, ``not_yet``."""
        name = self.full_name(part)
        before = self.charter.parts.get(name)
        self.sync()
        if before is not None and self.charter.parts[name].stream != before.stream:
            return name  # as was asked for earlier, or by another device
        if name in self.charter.parts and preparing.needs_blank(self.session, name):
            forgetting.check(self.session, name)
            self._ask(preparing.want(self.session, name))
            raise Misuse(
                "not_yet", "an owner's phone prepares it at its next sync; then it is done at yours, by itself"
            )
        self.act(lambda now: forgetting.found_anew(now, name, preparing.blanks_of(now)))
        self.sync_quietly()
        return name

    def _ask(self, ops: Sequence[wire.Operation]) -> None:
        for result in self.transport.exchange(ops).results if ops else ():
            if isinstance(result, wire.Failed):
                raise Refused(result.code)

    def history(self, part: str) -> list[dict[str, Any]]:
        """``[{"by", "at", "what"}]`` for every change, in order. ``at`` is the day (``2026-03-03``) by the clock of its author's
        device, as that device says; nothing depends on it. None where it claims none, or a snapshot came before this
        device. Raises ``Misuse``: ``no_such_part``, ``not_permitted``."""
        opened = self.session.part(self.full_name(part))
        return change_lines(self.charter, self.session.kind(opened.part), history(opened.fold.ledger.entries))

    def make_singletons(self) -> None:
        """The device that founds a part makes its single items, so that no two devices make them at once. Raises
        nothing: what this person may not write is passed over."""
        schema = self.session.around.schema
        for opened in list(self.session.parts.values()):
            known = schema.kinds.get(opened.part.kind)
            if known is None or not self.session.known().may_write(self.session.me(), opened.part.name):
                continue
            here = self.session.read(opened)
            for name, collection in known.collections.items():
                if collection.single and not here.get(name):
                    self.session.edit(opened.part.name, [["add", name, name, schema.new_item(known.kind, name)]])

    # --- access

    def selection(
        self,
        parts: Sequence[str] = (),
        items: Sequence[str] = (),
        fields: Sequence[str] = (),
        without: Sequence[str] = (),
        naming: Sequence[str] = (),
    ) -> Selection:
        """What to show, from what a person typed. Raises ``Misuse``: ``bad_argument``, ``bad_path``, ``bad_value``,
        ``no_such_part``, ``no_such_collection``, ``no_such_field``, ``not_permitted``."""
        named = [_or_text(self.person, name) for name in naming]
        full = [self.full_name(part) for part in parts]
        return parse_selection(self.session.around.schema, self.session.me(), full, items, fields, without, named)

    def grant(self, to: str, purpose: str, until: str, selection: Selection, *, compare: bool = False) -> giving.Given:
        """Let somebody outside the circle read. ``until`` is a day (2026-12-31), which still counts, and is at most
        ``max_grant_days`` of the case away. Raises ``Misuse``: ``bad_argument``, ``bad_value``, ``not_permitted``, ``clock``;
        ``Unreachable``."""
        return giving.grant(self.session, self.act, to.strip(), purpose.strip(), until, selection, compare=compare)

    def withdraw(self, text: str) -> GrantId:
        """Stop access: the ciphertext is deleted at the relay, the reader's app drops its copy. What was seen stays seen.
        Raises ``Misuse``: ``no_such_grant``, ``ambiguous``, ``not_permitted``; ``Unreachable``."""
        return giving.withdraw(self.session, self.act, self.grant_id(text))

    def grant_id(self, text: str) -> GrantId:
        """Access by its number, or the beginning of it. Raises ``Misuse``: ``no_such_grant``, ``ambiguous``."""
        wanted = text.strip().lower()
        found = [g for g in self.charter.grants if g.hex().startswith(wanted) and len(wanted) >= MIN_PREFIX]
        if len(found) != 1:
            raise Misuse("ambiguous" if found else "no_such_grant", "no access with that number was given here")
        return found[0]

    def preview(self, text: str) -> dict[str, Any]:
        """Exactly what the reader of a grant sees now. Raises ``Misuse``: ``no_such_grant``, ``ambiguous``, ``not_permitted``."""
        return giving.preview(self.session, self.grant_id(text))

    def access(self) -> list[dict[str, Any]]:
        """Who may read what, why, and until when. Raises nothing."""
        return giving.access(self.session)

    def status(self) -> dict[str, Any]:
        """``{"streams": [{"part", "epoch", "length", "outbox"}], "alarms": [{"code"}], "state"}``. Raises nothing, also after a removal."""
        session, charter = self.session, self.session.charter
        waiting: dict[bytes | None, int] = {}
        for item in session.store.outbox(session.case):
            waiting[item.stream] = waiting.get(item.stream, 0) + 1
        streams = []
        for name, part in {}.items() if charter is None else charter.parts.items():
            if part.stream in session.parts:
                epoch = charter.rooms[part.read].epoch if charter else 0
                length = session.position(part.stream).length
                streams.append({"part": name, "epoch": epoch, "length": length, "outbox": waiting.get(part.stream, 0)})
        alarms = [{"code": alarm.code, "about": alarm.about} for alarm in session.store.alarms(session.case)]
        return {"streams": streams, "alarms": alarms, "state": session.row.state}


def _or_text(find: Callable[[str], PersonId], text: str) -> str:
    try:
        return find(text).hex()
    except Misuse:
        return text
