"""Sync: round trips with one relay until nothing is left to send, to take in, or to do for the others.

The rules are in ``session``; here is only the conversation. Cases never share an exchange or a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from eigenkring import visiting, wire
from eigenkring.errors import Ended, Inadmissible, Misuse, Refused, RelayMisbehaved, Unreachable
from eigenkring.ids import StreamId
from eigenkring.session import adopting, boxes, clocks, duties, forgetting, healing, sightings, taking
from eigenkring.session.acting import Exchange
from eigenkring.session.packing import pack
from eigenkring.session.packing import waits as words_wait
from eigenkring.session.parts import CaseSession
from eigenkring.session.stuck import Stuck, earlier_trials, is_a_lock, learn, name_of, prepare, shown, trials
from eigenkring.transport import Transport, time_of
from eigenkring_crypto.errors import CryptoError

MAX_ROUNDS = 24
MAX_RACES = 8
APPENDS_IN_ONE_FRAME = 200
BYTES_IN_ONE_FRAME = 4_000_000
# What a duty runs into when another device did it a moment earlier.
DONE_BY_ANOTHER = frozenset({"invitation_used", "no_such_grant", "no_such_person"})


@dataclass(slots=True)
class SyncReport:
    """What a sync did. ``alarms`` are ``{"code", "about"}``, those of the case that stand now."""

    sent: int = 0
    received: int = 0
    alarms: list[dict[str, str]] = field(default_factory=list)

    def add(self, other: SyncReport) -> None:
        """Count another sync in. Raises nothing."""
        self.sent += other.sent
        self.received += other.received
        self.alarms += [alarm for alarm in other.alarms if alarm not in self.alarms]


def sync_case(session: CaseSession, transport: Transport) -> SyncReport:
    """Bring one case up to date. Raises ``Unreachable``; what the relay did wrong becomes an alarm of the case."""
    report = SyncReport()
    try:
        if session.row.state == "waiting":
            _look(session, transport)
        if session.row.state in ("open", "entering", "removed"):
            _rounds(session, transport, report)
    except Refused as error:
        if error.code in ("busy", "slow_down"):
            raise Unreachable("offline", "the relay has no time now") from None
        session.alarm(error.code, "relay")
    except RelayMisbehaved as error:
        session.alarm(error.code, "relay")
    report.alarms = [{"code": alarm.code, "about": alarm.about} for alarm in session.store.alarms(session.case)]
    return report


def _look(session: CaseSession, transport: Transport) -> None:
    """At the door. That it stays shut is kept too: a sync of everything goes on with the other cases."""
    try:
        visiting.look(session, transport)
    except Ended as error:
        session.alarm(error.code, "link")
        raise


def _rounds(session: CaseSession, transport: Transport, report: SyncReport) -> None:
    done: set[str] = set()
    session.begin_sync()
    for _ in range(MAX_ROUNDS):
        again = round_trip(session, transport, report)
        session.relay_time = time_of(transport)
        if again:
            continue
        if "healing" not in done and healing.is_due(session):
            done.add("healing")
            _heal(session, transport)
            continue
        if adopting.settle(session):
            continue
        if not adopting.holds_back(session) and (session.make_again() or forgetting.move_on(session)):
            continue
        if "sent again" not in done and not adopting.holds_back(session) and session.send_again():
            done.add("sent again")
            continue
        duty = duties.next_duty(session, done)
        if duty is None:
            break
        done.add(duty.name)
        _do(session, transport, duty, report)
    taking.check_claims(session)
    sightings.note(session)
    adopting.tidy(session)
    clocks.tell(session)
    session.tell_what_waits()
    session.keep_parts()


def _heal(session: CaseSession, transport: Transport) -> None:
    """After a generation that rose: locks, open and closed streams as the charter says. A refusal waits for another day."""
    steps = healing.steps(session)
    ops = next(steps, None)
    while ops is not None:
        reply = transport.exchange(ops)
        taking.check_generation(session, reply.generation)
        try:
            ops = steps.send(reply.results)
        except StopIteration:
            return


def _do(session: CaseSession, transport: Transport, duty: duties.Duty, report: SyncReport) -> None:
    """A duty that cannot be done is left to another device or another day; it must not keep this one from syncing."""
    try:
        if duty.charter:
            act(session, transport, duty.make, report)  # type: ignore[arg-type]
            if duty.done is not None:
                duty.done(session)
            return
        ops = duty.make(session)
        if isinstance(ops, Exchange):
            raise AssertionError("a charter act among plain operations")
        if ops:
            reply = transport.exchange(ops, atomic=duty.atomic)
            taking.check_generation(session, reply.generation)
            taken = sum(not isinstance(result, wire.Failed) for result in reply.results)
            report.sent += taken
            if duty.done is not None and taken == len(ops):
                duty.done(session)
    except (Inadmissible, Misuse, Ended) as error:
        if error.code not in DONE_BY_ANOTHER:
            session.alarm(error.code, duty.name.split()[0])
    except CryptoError as error:
        # Keys of a visitor that are no keys: that door stays shut, the others open.
        session.alarm(error.code, duty.name.split()[0])
    except Refused as error:
        # Lost to another device, or a lock that was turned: what is left is decided again on the newest state.
        if error.code not in ("conflict", "not_allowed"):
            session.alarm(error.code, duty.name.split()[0])


def round_trip(session: CaseSession, transport: Transport, report: SyncReport) -> bool:
    """Send what waits and read what is new, in one exchange. Gives whether another round is needed."""
    if _send_whole_exchanges(session, transport, report):
        return True
    if session.charter is not None:
        pack(session)
    waiting = appends(session)
    # From here on the relay may know them.
    for number, _ in waiting:
        session.unsent.pop(number, None)
    wants = taking.wants(session)
    reply = transport.exchange([op for _, op in waiting] + [want.op for want in wants])
    taking.check_generation(session, reply.generation)
    refused = False
    with session.store.step():
        for (number, op), result in zip(waiting, reply.results[: len(waiting)], strict=True):
            stream = StreamId(op.stream)
            if isinstance(result, wire.Failed):
                refused = taking.append_refused(session, number, stream, result) or refused
            elif isinstance(result, wire.Appended):
                session.claimed[number] = (stream, result.length, result.chain)
                report.sent += 1
    again = taking.take_all(
        session, list(zip(wants, reply.results[len(waiting) :], strict=True)), report_received(report)
    )
    more = not refused and (len(appends(session)) > 0 or words_wait(session))
    return again or more or (refused and taking.learned(session))


def report_received(report: SyncReport) -> Callable[[int], None]:
    def add(count: int) -> None:
        report.received += count

    return add


def appends(session: CaseSession) -> list[tuple[int, wire.Append]]:
    """Signed records of the outbox that may go now, under the capabilities of now, as many as one frame takes."""
    ops: list[tuple[int, wire.Append]] = []
    size, waits = 0, adopting.holds_back(session)
    unsigned = set()
    for item in session.store.outbox(session.case):
        if item.stream is None or item.number in session.claimed:
            continue
        if item.record is None:
            unsigned.add(item.stream)
        # What stands on words that cannot be signed now would stand on nothing.
        if item.record is None or item.stream in unsigned:
            continue
        if waits and item.stream in session.known().part_streams:
            continue  # who was put out before is not out again yet
        if item.stream in session.gone:
            continue  # what its author saw goes before it: all would take the signed "seen" for a lie
        size += len(item.record)
        if len(ops) >= APPENDS_IN_ONE_FRAME or (ops and size > BYTES_IN_ONE_FRAME):
            break
        # The capability of now: the record may have been made before a lock was turned.
        cap = session.secrets(item.stream).append_cap()
        if cap is not None:
            expect = session.place_of(item.record) if item.stream == session.charter_stream else None
            ops.append((item.number, wire.Append(stream=item.stream, cap=cap, record=item.record, expect=expect)))
    return ops


def _send_whole_exchanges(session: CaseSession, transport: Transport, report: SyncReport) -> bool:
    sent = False
    for item in session.store.outbox(session.case):
        if item.stream is not None or item.number in session.claimed:
            continue
        request = msgspec.msgpack.decode(item.ops, type=wire.Request)
        reply = transport.exchange(request.ops, atomic=True)
        taking.check_generation(session, reply.generation)
        failed = next((r for r in reply.results if isinstance(r, wire.Failed) and r.code != "not_done"), None)
        if failed is not None:
            raise Refused(failed.code)
        # It stays until the charter was read back: a relay may say that it took what it threw away.
        session.claimed[item.number] = (session.charter_stream, 1, b"")
        report.sent += len(request.ops)
        sent = True
    return sent


def act(
    session: CaseSession, transport: Transport, make: Callable[[CaseSession], Exchange], report: SyncReport
) -> Exchange:
    """Carry out a charter act: make the exchange on the newest state, send it whole, and read it back.

    Who loses a race throws the attempt away and makes it again. Raises ``Unreachable``, ``Refused``, ``Inadmissible``.
    """
    # A case that was begun a moment ago may not be at the relay yet: what begins it goes first, or nothing is there to decide on.
    _send_whole_exchanges(session, transport, report)
    stuck = Stuck()
    for _ in range(MAX_RACES):
        exchange = make(session)
        ops = stuck.without(exchange.ops)
        prepare(session, exchange.secrets)
        reply = transport.exchange(ops, atomic=True)
        taking.check_generation(session, reply.generation)
        at, failed = _what_failed(reply.results)
        if failed is None:
            boxes.hold(session, exchange.secrets)
            report.sent += len(ops)
            for _ in range(4):
                if not round_trip(session, transport, report):
                    break
            if session.known().heads.index(exchange.after.head) is None:
                # It says that it took the decision, and does not show it: nothing may be believed to be decided.
                session.alarm("broken_chain", "charter")
                healing.try_locks_next(session)
                raise Refused("not_done", "the relay did not do what it said")
            shown(session)
            return exchange
        if is_a_lock(ops[at], failed):
            _try_the_locks(session, transport, ops, stuck)
            continue
        if failed.code not in ("conflict", "not_allowed"):
            raise Refused(failed.code)
        before = session.position(session.charter_stream).length
        for _ in range(4):
            if not round_trip(session, transport, report):
                break
        if failed.code == "not_allowed" and session.position(session.charter_stream).length == before:
            raise Refused("not_allowed")
    raise Refused("conflict", "others keep changing the case at this moment; try again")


def _what_failed(results: Sequence[wire.Result]) -> tuple[int, wire.Failed | None]:
    for at, result in enumerate(results):
        if isinstance(result, wire.Failed) and result.code != "not_done":
            return at, result
    return 0, None


def _try_the_locks(session: CaseSession, transport: Transport, ops: Sequence[wire.Operation], stuck: Stuck) -> None:
    """Find out which locks of the exchange turn, and report those that do not: they must not keep anybody in."""
    tried: list[tuple[wire.Rekey, wire.Result]] = []
    now = trials(ops)
    tried += zip(now, transport.exchange(now).results, strict=True)
    earlier = earlier_trials(session, tried)
    if earlier:
        tried += zip(earlier, transport.exchange(earlier).results, strict=True)
    for stream, code in learn(stuck, tried):
        session.alarm(code, name_of(session, stream))
        if stream in (session.charter_stream, session.row.keys_stream):
            # Of these nobody chose the lock but owners. Left as they were they would shut everybody out.
            raise Refused(code, "the locks of this case turn no more: go on in a new one, with `start --from`")
