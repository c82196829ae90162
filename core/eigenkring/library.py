"""The library: open a device, start or join a case, read, write, share. The command line is a thin layer over this.

with Device.open(Path("nora")) as nora:
    case = nora.start("Thuis", "http://127.0.0.1:8300", "Nora")
    case.add("plan", "agreements", {"what": "Fatima komt op zondag"})
    link = case.invite("member", "Fatima")
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from eigenkring import answering, filing, moving_out, onward, receiving, recovery, shelving, visiting, wire
from eigenkring.abreast import AT_ONCE, Patient, Turn, abreast
from eigenkring.case import Case
from eigenkring.charter.compose import Author, Draft, found
from eigenkring.charter.deeds import MAX_NAME_BYTES
from eigenkring.charter.entry import Keys, device_id, sign_entry
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter
from eigenkring.crdt import Engine
from eigenkring.editing import Editing
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import CaseId, Chain, GrantId, RecordBytes, StreamId
from eigenkring.keys import seal_bags
from eigenkring.link import parse_link, relay_address
from eigenkring.rooms import Keyring
from eigenkring.said import What
from eigenkring.schema import load_schema
from eigenkring.session.acting import bags_of, held, open_op, ring_with, secrets_after
from eigenkring.session.case import Random, Surroundings
from eigenkring.session.parts import CaseSession
from eigenkring.sleeping import RECOVERING
from eigenkring.sqlite_store import SqliteStore
from eigenkring.store import Store, StoredCase, StoredGrant
from eigenkring.stream import Placed, Position
from eigenkring.sync import SyncReport, sync_case
from eigenkring.transport import HttpTransport, NoRelayHere, NoTransport, Transport
from eigenkring.watching import Change
from eigenkring_crypto import chain
from eigenkring_crypto.device import DeviceKeys

TransportFor = Callable[[str], Transport]
_Of = TypeVar("_Of")
_Made = TypeVar("_Made")


def _now() -> int:
    return int(time.time())


def _named(text: str, otherwise: str) -> str:
    """A name or title as it is kept. Raises ``Misuse("bad_argument")``: empty, too long, or no text at all."""
    name = text.strip()
    try:
        too_long = len(name.encode()) > MAX_NAME_BYTES
    except UnicodeEncodeError:
        raise Misuse("bad_argument", "a name is written in letters that have a code") from None
    if not name or too_long:
        raise Misuse("bad_argument", otherwise if not name else f"at most {MAX_NAME_BYTES} bytes")
    return name


def _own_bag(after: Charter, ring: Keyring, draft: Draft, keys: DeviceKeys, random: Random) -> wire.Operation:
    """The founder's own box. Else the secrets of the first epoch lie in this one store only, and whoever loses it loses the
    case: no other device was ever given them."""
    stream, secret = after.keys_stream, ring.keys_secret
    if secret is None:
        raise AssertionError("a founder without the secret of the keys")
    seen = Position.start(stream)
    (device,) = after.devices
    payload = seal_bags(after, device, keys.sign, secret, (0, seen.chain), bags_of(draft), random)
    secrets = replace(secrets_after(after, ring, stream), read=secret, read_epoch=0)
    return wire.Append(stream=stream, cap=held(secrets.append_cap()), record=secrets.seal(payload, random(24)))


class Device:
    """One person's device: the cases it belongs to and the views it may read.

    Any method raises ``Misuse("no_home")`` where the disk takes or gives nothing; what was acknowledged before is kept.
    """

    def __init__(
        self,
        store: Store,
        transport_for: TransportFor,
        *,
        clock: Callable[[], int] = _now,
        random: Random = os.urandom,
        at_once: int = 1,
    ) -> None:
        """``at_once``: how many cases may wait for their relays at the same time."""
        self.store = store
        self._turn, self._at_once = Turn(), at_once
        self._transport_for = transport_for
        self._transports: dict[tuple[bytes, str], Transport] = {}
        self._cases: dict[CaseId, Case] = {}
        # A clock before 1970 has no number here; its second day leaves room for an hour before. It is told (`clocks`).
        self.around = Surroundings(load_schema(), Engine, lambda: max(86_400, clock()), random, Engine.load)

    @classmethod
    def open(cls, home: Path | str, *, offline: bool = False, admission_token: str | None = None) -> Self:
        """Open a home folder, made where it is not there. Raises ``Misuse``: ``home_locked``, ``no_home``."""

        def transport_for(relay: str) -> Transport:
            return NoTransport() if offline else HttpTransport(relay, token=admission_token)

        return cls(SqliteStore(Path(home)), transport_for, at_once=AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections and let go of the home; what was made is kept already. Raises nothing."""
        for transport in self._transports.values():
            transport.close()
        self.store.close()

    def transport(self, owner: bytes, relay: str) -> Transport:
        """One connection for each case and each grant: the relay must not see which belong together. At each relay: what
        an older paper or link names lies where it says. Raises nothing."""
        at = (owner, relay)
        if at not in self._transports:
            self._transports[at] = Patient(self._transport_for(relay), self._turn)
        return self._transports[at]

    # --- cases

    def start(self, title: str, relay: str, name: str, *, role: str = "owner") -> Case:
        """Start a case. Works offline: what it makes is sent at the first sync. Raises ``Misuse``: ``bad_argument``."""
        return self._start(title, relay, name, role, lambda case: None)

    def _start(self, title: str, relay: str, name: str, role: str, also: Callable[[CaseId], None]) -> Case:
        """``also``: kept in the very step in which the case begins to be."""
        title, name, relay = (
            _named(title, "a case has a title"),
            _named(name, "say your own name"),
            relay_address(relay),
        )
        self._ask_for_a_relay(relay)
        random, clock, schema = self.around.random, self.around.clock, self.around.schema
        case, seed = CaseId(random(16)), random(32)
        keys = DeviceKeys.from_seed(seed)
        public = Keys(keys.sign.public, keys.box.public)
        device = device_id(case, public)
        first = Chain(chain.first(case))
        author = Author(device, Keyring(), first, clock(), random, schema)
        draft = found(
            author,
            case,
            title,
            name,
            role,  # type: ignore[arg-type]
            public,
            schema.parts_at_founding(role),
            schema.parts_about(role),
        )
        payload = sign_entry(draft.body, keys.sign)
        after = fold(None, payload, case, first, schema)
        ring = ring_with(Keyring(draft.keys_secret), draft)
        stream = StreamId(case)
        secrets = secrets_after(after, ring, stream)
        record = secrets.seal(payload, random(24))
        cap = secrets.append_cap()
        if cap is None:
            raise AssertionError("a founder without the room of everyone")
        ops: list[wire.Operation] = [open_op(opening) for opening in draft.opens]
        ops.append(wire.Append(stream=stream, cap=cap, record=record, expect=first))
        ops.append(_own_bag(after, ring, draft, keys, random))
        row = StoredCase(
            case=case,
            relay=relay,
            state="open",
            seed=seed,
            incarnation=random(8),
            person=after.founder,
            device=device,
            keys_stream=after.keys_stream,
            keys_secret=draft.keys_secret,
            title=after.title,
        )
        placed = Placed(1, RecordBytes(record), Chain(chain.extend(first, record)))
        with self.store.step():
            self.store.put_case(row)
            self.store.put_room_secrets(case, [(room, epoch, s) for (room, epoch), s in draft.new_secrets.items()])
            self.store.put_records(case, stream, Position(0, 1, placed.chain), [placed])
            self.store.add_outbox(case, None, None, wire.encode(wire.Request(0, ops, True)))
            also(case)
        one = self._opened(row)
        one.make_singletons()
        one.sync_quietly()
        return one

    def _ask_for_a_relay(self, relay: str) -> None:
        """Offline is normal; another program at that address is a mistake in it. Raises ``Misuse("bad_argument")``."""
        transport = self._transport_for(relay)
        try:
            transport.exchange([])
        except NoRelayHere:
            raise Misuse(
                "bad_argument", "something answers at that address, but no relay: check it to the last letter"
            ) from None
        except (Unreachable, Refused, RelayMisbehaved):
            return
        finally:
            transport.close()

    def go_on(
        self, case: CaseId | str, without: str, title: str, name: str | None = None
    ) -> tuple[Case, onward.Invited]:
        """A new case from the present state of an old one, without one person, who is told nothing; and invitations for
        the others. Raises ``Misuse``: ``no_such_case``, ``no_such_person``, ``ambiguous``, ``not_permitted``, ``bad_argument``;
        ``Unreachable``."""
        old = self.case(case)
        old.sync_quietly()
        person = old.person(without)
        onward.check(old, person)
        me = old.charter.people[old.session.me()].name
        new = self.start(title, old.session.row.relay, name or me)
        return new, onward.go_on(old, new, person)

    def join(self, link: str, name: str) -> CaseId:
        """Follow an invitation. The case can be read when a device of the circle has synced, and this one after it.
        Raises ``Misuse``: ``bad_argument``, ``bad_link``, ``already_member``; ``Ended``: ``link_used``, ``link_expired``;
        ``Inadmissible("wrong_pin")``; ``Refused``, ``Unreachable``."""
        name = _named(name, "say your name, so that the circle knows who comes")
        parsed = parse_link(link)
        transport = self.transport(parsed.doorstep, parsed.relay)
        case = visiting.join(self.store, link, name, transport, self.around.random)
        self._cases.pop(case, None)  # who comes back begins anew, with other keys
        return case

    def rows(self) -> list[StoredCase]:
        """What is kept of each case. One on its way back from paper, or in by an address, is nobody's yet: this home still
        is what slept there, which does nothing for others. Raises nothing."""
        return [row for row in self.store.cases() if self.store.fact(row.case, RECOVERING) is None]

    def cases(self) -> list[dict[str, Any]]:
        """``[{"case", "title", "role", "state"}]``. Raises nothing."""
        found = []
        for row in self.rows():
            role = ""
            if row.state in ("open", "removed", "closed") and row.person is not None:
                charter = self._opened(row).session.seen()
                role = "" if charter is None else charter.people[row.person].role
            found.append({"case": row.case.hex(), "title": row.title, "role": role, "state": row.state})
        return found

    def case(self, which: CaseId | str) -> Case:
        """A case by its id, as ``start`` and ``join`` give it or as text, or by the beginning of that text. Raises ``Misuse``:
        ``no_such_case``, ``ambiguous``."""
        wanted = which.strip().lower() if isinstance(which, str) else which.hex()
        rows = [row for row in self.rows() if row.case.hex().startswith(wanted) and len(wanted) >= 4]
        if not rows:
            raise Misuse("no_such_case", "this device knows no such case")
        if len(rows) > 1:
            raise Misuse("ambiguous", "more than one case begins like that")
        return self._opened(rows[0])

    def _opened(self, row: StoredCase) -> Case:
        if row.case not in self._cases:
            session = CaseSession(self.store, row, self.around)
            self._cases[row.case] = Case(session, self.transport(row.case, row.relay))
        return self._cases[row.case]

    def forget(self, case: CaseId) -> None:
        """Read this case anew from the store: another device of the person took its place there. Raises nothing."""
        self._cases.pop(case, None)

    # --- views

    def accept(self, link: str, name: str) -> GrantId:
        """As a professional: follow the link of a family. Raises ``Misuse``: ``bad_argument``, ``bad_link``; ``Ended``:
        ``link_used``, ``link_expired``; ``Inadmissible("wrong_pin")``; ``Refused``, ``Unreachable``."""
        name = _named(name, "say your name, so that the family knows who reads")
        parsed = parse_link(link)
        transport = self.transport(parsed.doorstep, parsed.relay)
        return receiving.accept_link(self.store, link, name, transport, self.around.random)

    def views(self) -> list[dict[str, Any]]:
        """``[{"grant", "from", "status", "until", "version", "words"}]``; ``until`` in seconds, ``words`` the four to
        compare, None where there are none (yet). Raises nothing."""
        return [
            {
                "grant": row.grant.hex(),
                "from": row.sender,
                "status": row.status,
                "until": row.until,
                "version": row.version,
                "words": receiving.words_of(self.store, row),
            }
            for row in self.store.grants()
        ]

    def view(self, text: GrantId | str) -> dict[str, Any]:
        """The projection by part, as last received. The family is told, once for each version, that it was opened. Raises
        ``Ended``: ``withdrawn``, ``link_used``, ``link_expired``; ``Misuse``: ``no_such_grant``, ``ambiguous``, ``not_yet``."""
        row = self.reading(text)
        parts = receiving.parts_of(row)
        answering.opened_once(self.store, row, self.around.clock, self.around.random)
        return {part: filing.described_in(document) for part, document in parts.items()}

    def say(self, text: GrantId | str, what: What, words: str, *, why: str = "", of: str = "", v: int = 0) -> None:
        """Say something to a family; sent at the next sync. ``of``: the question or request in the view that it answers.
        Raises ``Ended``, ``Misuse``: ``bad_value``, ``no_such_item``."""
        row = self.reading(text)
        answering.say(self.store, row, what, self.around.clock, self.around.random, text=words, why=why, of=of, v=v)

    def reading(self, text: GrantId | str) -> StoredGrant:
        """A grant whose date has not passed by this device's own clock, offline too. Raises ``Misuse``: ``no_such_grant``,
        ``ambiguous``."""
        row = self._grant(text)
        if self.around.clock() >= row.until and row.status in ("waiting", "open"):
            row = receiving.refresh(self.store, row, NoTransport(), self.around.clock)
        return row

    def _grant(self, text: GrantId | str) -> StoredGrant:
        wanted = text.strip().lower() if isinstance(text, str) else text.hex()
        rows = [row for row in self.store.grants() if row.grant.hex().startswith(wanted) and len(wanted) >= 4]
        if len(rows) != 1:
            raise Misuse("ambiguous" if rows else "no_such_grant", "this device knows no such view")
        return rows[0]

    # --- sync

    def sync(self, case: CaseId | str | None = None) -> SyncReport:
        """Sync one case, or all cases and views. Raises ``Unreachable`` where not even one relay answered."""
        if case is not None:
            return self.case(case).sync()
        report = SyncReport()
        rows = [row for row in self.rows() if row.state != "closed"]
        faults = self.abreast(rows, lambda row: self.sync_one(row, report))
        recovery.keep_in_step(self)
        moving_out.end_addresses(self)
        shelving.keep_in_step(self, report)
        faults += self.abreast(self.store.grants(), lambda row: self._refresh_one(row, report))
        if faults and all(faults):
            raise next(fault for fault in reversed(faults) if fault)
        return report

    def abreast(self, what: Iterable[_Of], do: Callable[[_Of], _Made]) -> list[_Made]:
        """``do`` for each; while one waits for its relay the others go on. Raises nothing of its own."""
        return abreast(self._turn, self._at_once, what, do)

    def sync_one(self, row: StoredCase, report: SyncReport) -> EigenkringError | None:
        """One of several cases: what stood in its way, or None. Raises ``Misuse("no_home")`` only."""
        try:
            report.add(self._opened(row).sync())
        except (Unreachable, Ended, Inadmissible) as error:
            return error  # one door that stays shut must not keep the other cases from syncing
        return None

    def _refresh_one(self, grant: StoredGrant, report: SyncReport) -> EigenkringError | None:
        fault = None
        try:
            transport = self.transport(grant.grant, grant.relay)
            after = receiving.refresh(self.store, grant, transport, self.around.clock)
            report.received += after.version != grant.version
            report.sent += answering.exchange_words(self.store, after, transport, self.around.clock)
        except Unreachable as error:
            fault = error
        report.alarms += [{"code": a.code, "about": a.about} for a in self.store.alarms(CaseId(grant.grant))]
        return fault

    def sync_quietly(self) -> None:
        """As ``sync``, but being offline is normal, and so is a door that stays shut. Raises ``Misuse("no_home")`` only."""
        try:
            self.sync()
        except (Unreachable, Ended, Inadmissible):
            return


__all__: Final = ["Case", "Change", "Device", "Editing", "SyncReport", "sync_case"]
