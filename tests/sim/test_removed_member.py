"""A removed member, with a friend inside and the relay's help: nothing new enters, nothing new is read."""

from __future__ import annotations

import contextlib
import functools
import itertools
import zlib
from collections.abc import Callable

import pytest
from crafting import Crafter
from test_lying_relay import same_everywhere

from eigenkring import wire
from eigenkring.charter import compose
from eigenkring.charter.draft import common
from eigenkring.charter.entry import AddDevice, Keys, Leave, sign_entry
from eigenkring.errors import EigenkringError
from eigenkring.part.record import make_edit
from eigenkring.part.rights import cut_line
from eigenkring.session.acting import author_of, exchange_of
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.errors import CryptoError
from simulator import Phone, World, family, locks_ignored


class Removed:
    """Karim was put out by Nora. Fatima is his friend and has all keys of now; the relay takes whatever they bring."""

    def __init__(self, seed: int = 41) -> None:
        self.world = family(seed)
        self.world.settle()
        self.nora, self.fatima, self.karim = (self.world.phones[name] for name in ("nora", "fatima", "karim"))
        self.karim.add("before the cut")
        self.world.settle()
        # All he needs of the time before, kept.
        self.his = Crafter(self.karim)
        self.old_records = {
            part.stream: self.world.relay.records(part.stream) for part in self.karim.session.known().parts.values()
        }
        self.unsent = self.his.payload(self.his.changes("forged: made before, shown after"))
        self.nora.case.remove("Karim")
        self.fatima.sync(2)
        self.friend = Crafter(self.fatima)
        self.stream = self.his.stream

    def put(self, payload: bytes) -> None:
        """Sealed by the friend under the key of now, so that everybody opens it."""
        self.world.relay.put(self.stream, self.friend.sealed(payload))

    def nothing_entered(self, *codes: str) -> None:
        for phone in (self.nora, self.fatima):
            phone.sync(2)
            assert not any("forged" in text for text in phone.texts()), phone.texts()
            if codes:
                assert set(codes) & set(phone.codes()), (phone.name, phone.alarms())
        self.nora.add("the others go on")
        same_everywhere(self.world, "before the cut", "the others go on")
        assert not any("forged" in text for text in self.world.join("yusuf").texts())


def test_what_he_wrote_before_and_shows_after_the_cut() -> None:
    case = Removed()
    case.put(case.unsent)
    case.nothing_entered("behind_cut")


@pytest.mark.parametrize("backdated", ["the old head and epoch", "the new head", "the new epoch"])
def test_dates_do_not_help(backdated: str) -> None:
    case = Removed()
    charter = case.fatima.session.known()
    claims = {
        "the old head and epoch": {},
        "the new head": {"head": charter.head},
        "the new epoch": {
            "head": charter.head,
            "epoch": charter.rooms["plan" if "plan" in charter.rooms else case.his.part.write].epoch,
        },
    }[backdated]
    if backdated == "the new epoch":
        claims["epoch"] = charter.rooms[case.his.part.write].epoch
    case.put(case.his.payload(case.his.changes("forged"), **claims))
    case.nothing_entered("behind_cut", "wrong_epoch", "not_a_writer")


def test_order_does_not_help() -> None:
    """Many of his records, new ones before old ones, and the friend's between them."""
    case = Removed()
    made = case.his.changes("forged one", "forged two", "forged three")
    for some in ([made[2]], [made[1]], [made[0]], made):
        case.put(case.his.payload(some))
    case.fatima.sync()
    case.put(case.his.payload(made))
    case.nothing_entered("behind_cut")


def test_the_relay_alone_brings_his_old_key() -> None:
    """A relay that ignores the lock takes what he appends under the old key: it opens for those who hold history, and
    is behind the cut."""
    case = Removed()
    case.world.relay.put(case.stream, case.his.sealed(case.his.payload(case.his.changes("forged"))))
    case.nothing_entered("behind_cut")


def test_the_friend_writes_his_change_under_her_own_name() -> None:
    """His change under her attestation: it is not of her device."""
    case = Removed()
    changes = case.his.changes("forged")
    case.friend.edit(changes)
    case.nothing_entered("bad_actor")


def test_the_friend_builds_on_his_change() -> None:
    """A change that depends on a void one is void; what she says in her own words is hers, and counts as hers."""
    case = Removed()
    case.put(case.his.payload(case.his.changes("forged")))
    case.fatima.sync()
    case.fatima.add("in her own words")
    case.fatima.sync()
    case.nothing_entered("behind_cut")
    assert "in her own words" in case.nora.texts()


@pytest.mark.parametrize("who", ["his own", "the friend's"])
def test_snapshots_do_not_help(who: str) -> None:
    case = Removed()
    forged = case.his.changes("forged")
    from eigenkring.part.record import parse_record

    att = parse_record(case.his.payload(forged)).att.raw  # type: ignore[union-attr]
    maker = case.his if who == "his own" else case.friend
    atts, changes, _ = maker.session.part("plan").fold.basis()
    position = case.fatima.session.position(case.stream)
    payload = maker.snapshot(changes=[*changes, *forged], atts=[*atts, att], n=position.length, chain=position.chain)
    with locks_ignored():
        case.friend.wire.exchange([wire.Replace(case.stream, bytes(32), position.chain, case.friend.sealed(payload))])
    case.nothing_entered()


def test_an_old_snapshot_does_not_hide_what_came_since() -> None:
    """He signs, with his old right, a snapshot of the old state; the relay puts it in the place of all that came."""
    case = Removed()
    case.nora.add("came since")
    case.nora.sync()
    case.fatima.sync()
    position = case.fatima.session.position(case.stream)
    payload = case.his.snapshot(n=position.length, chain=position.chain)
    with locks_ignored():
        case.friend.wire.exchange([wire.Replace(case.stream, bytes(32), position.chain, case.friend.sealed(payload))])
    case.nora.sync(2)
    case.fatima.sync(2)
    assert "came since" in case.nora.texts()
    same_everywhere(case.world, "came since", "before the cut")
    assert "came since" in case.world.join("yusuf").texts()


def test_he_reads_nothing_that_comes_after() -> None:
    """The relay shows him every record there is, also of the charter and of the keys."""
    case = Removed()
    case.nora.add("not for Karim")
    case.nora.sync()
    case.fatima.sync()
    case.world.network.lies["karim"] = lambda network, who, data: _without_locks(network, who, data)
    case.karim.sync(3)
    for stream in (case.stream, case.karim.session.charter_stream):
        for record in case.world.relay.records(stream):
            for _, epoch, secret in case.karim.session.ring:
                with contextlib.suppress(CryptoError, ValueError):
                    from eigenkring_crypto.capability import read_secret
                    from eigenkring_crypto.seal import open_sealed

                    text = open_sealed(read_secret(secret, stream), stream, record)[1]
                    assert b"not for Karim" not in text
                    assert epoch == 1
    assert not any(epoch > 1 for room, epoch, _ in case.karim.session.ring if not room.startswith("@"))


def _without_locks(network: object, who: str, data: bytes) -> bytes:
    with locks_ignored():
        return network.truth(who, data)  # type: ignore[attr-defined,no-any-return]


def test_his_entries_in_the_charter_count_no_more() -> None:
    """Also when the relay puts them in, sealed by the friend under the key of now."""
    case = Removed()
    charter = case.fatima.session.known()
    n = charter.n
    keys = DeviceKeys.from_seed(bytes(32))
    public = Keys(keys.sign.public, keys.box.public)
    position = case.fatima.session.position(case.fatima.session.charter_stream)
    author = author_of(case.karim.session)
    base = common(charter, author) | {"chain": position.chain}
    signed = compose.sign_new_device(charter.case, case.karim.session.me(), public, keys.sign)
    for body in (Leave(**base), AddDevice(**base, device=public, sleeping="", device_sig=signed)):
        payload = sign_entry(body, case.karim.session.keys.sign)
        secrets = case.fatima.session.secrets(case.fatima.session.charter_stream)
        case.world.relay.put(secrets.stream, secrets.seal(payload, case.world.random(24)))
        break
    case.nora.sync()
    assert {"not_a_member", "wrong_previous"} & set(case.nora.codes())
    assert case.nora.session.known().n == n
    case.nothing_entered()


def test_a_key_of_the_friend_opens_no_door() -> None:
    """She can always tell him what she reads; what he then writes still enters nowhere."""
    case = Removed()
    newest = {room: (epoch, secret) for room, epoch, secret in case.fatima.session.ring}
    for room, (epoch, secret) in newest.items():
        case.karim.session.ring.add(room, epoch, secret)
    case.put(case.his.payload(case.his.changes("forged with her keys")))
    case.nothing_entered("behind_cut")


def test_a_second_cut_does_not_widen_the_first() -> None:
    """The friend, an owner now, cuts again with his forged change in it: the first cut counts."""
    case = Removed()
    forged = case.his.changes("forged")
    case.put(case.his.payload(forged))
    read = case.friend.session.secrets(case.stream).read
    assert read is not None
    from eigenkring.change import parse_change

    change = parse_change(forged[0])
    assert cut_line(read, change.actor, change.seq, change.hash)
    cuts = case.nora.session.known().cuts[case.stream]
    assert case.nora.session.known().cut_for(case.stream, case.karim.device_key(), 1) == cuts[0]
    case.nothing_entered("behind_cut")


def test_honest_changes_that_were_given_beside_a_void_one_stay() -> None:
    case = Removed()
    from eigenkring.part.record import parse_record

    his = parse_record(case.unsent)
    case.put(make_edit(his.att.raw, his.changes))  # type: ignore[union-attr]
    case.fatima.add("honest, at the same time")
    case.nothing_entered("behind_cut")
    assert "honest, at the same time" in case.nora.texts()


# --- every remover, every set of people offline, every change of members at the same time

REMOVERS = ("nora", "yusuf", "both at once")
MEANWHILE = (
    "nothing",
    "an invitation",
    "a newcomer",
    "a leaving",
    "another removal",
    "a role",
    "an owner steps back",
    "his own new device",
    "access for a reader",
)
AWAY = ("fatima", "sam", "bea", "the other owner")
OFFLINE = [names for size in range(len(AWAY) + 1) for names in itertools.combinations(AWAY, size)]
ALL = list(itertools.product(REMOVERS, MEANWHILE, OFFLINE, (False, True)))
# In CI every remover with every change, each beside another set of people who are away, and every set twice or more.
SOME = [
    (remover, meanwhile, OFFLINE[(7 * at + 3) % len(OFFLINE)], at % 2 == 1)
    for at, (remover, meanwhile) in enumerate(itertools.product(REMOVERS, MEANWHILE))
]


@pytest.mark.parametrize("at", range(len(SOME)), ids=lambda at: " ".join(SOME[at][:2]).replace(" ", "_"))
def test_every_remover_with_every_change_meanwhile(at: int) -> None:
    """Two owners. Honest work that was made offline always survives; what Karim makes afterwards never enters."""
    removed_meanwhile(*SOME[at])


@pytest.mark.long
@pytest.mark.parametrize("remover", REMOVERS)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_every_remover_every_set_offline_every_change_in_both_orders(remover: str, meanwhile: str) -> None:
    for case in ALL:
        if case[:2] == (remover, meanwhile):
            removed_meanwhile(*case)


def removed_meanwhile(remover: str, meanwhile: str, offline: tuple[str, ...], he_is_first: bool) -> None:
    """``he_is_first``: Karim's late record lies at the relay before anybody who was away comes back, else behind them."""
    told = (remover, meanwhile, offline, he_is_first)
    world = World.of(_two_owners(), zlib.crc32(repr(told).encode()))
    names = ("yusuf", "nora") if remover == "yusuf" else ("nora", "yusuf")
    first, second = (world.phones[name] for name in names)
    karim, fatima, bea = (world.phones[name] for name in ("karim", "fatima", "bea"))
    link = second.case.invite("member", "Ali") if meanwhile == "a newcomer" else ""
    world.network.offline |= {names[1] if name == "the other owner" else name for name in offline}
    fatima.add("Fatima, offline or not")
    second.add("the other owner, unsent")
    karim.add("Karim, in time")
    karim.sync()
    first.sync()
    if meanwhile == "his own new device":
        _attempt(lambda: _another_device(karim))
    world.network.offline.add("karim")
    karim.add("forged: too late")
    # At the same time the other owner's device has not read of the removal.
    selection = second.case.selection(["plan"], [], [], [], [])
    acts: dict[str, Callable[[], object]] = {
        "an invitation": lambda: second.case.invite("member", "Ali"),
        "a newcomer": lambda: world.phone("ali").device.join(link, "Ali"),
        "a leaving": bea.case.leave,
        "another removal": lambda: second.case.remove("Bea"),
        "a role": lambda: second.case.set_role("Bea", "child"),
        "an owner steps back": lambda: second.case.set_role(names[1].title(), "member"),
        "access for a reader": lambda: second.case.grant("De Wit", "meedenken", "2026-11-30", selection),
    }
    _attempt(acts.get(meanwhile, lambda: None))
    bea_goes = meanwhile in ("a leaving", "another removal")
    first.case.remove("Karim")
    if remover == "both at once":
        _attempt(lambda: second.case.remove("Karim"))
    world.network.offline -= {"karim"}
    stream = first.stream()
    record = next(item.record for item in karim.store.outbox(karim.session.case) if item.stream == stream)
    assert record is not None
    if he_is_first:
        world.relay.put(stream, bytes(record))
    world.network.offline.clear()
    world.settle(2)
    if not he_is_first:
        world.relay.put(stream, bytes(record))
    world.settle(8)
    assert not karim.here(), told
    charter = first.session.known()
    assert not [d for d in charter.devices.values() if d.here and charter.people[d.person].name == "Karim"], told
    for phone in (first, second, fatima):
        texts = phone.texts()
        assert {"Fatima, offline or not", "the other owner, unsent", "Karim, in time"} <= set(texts), (told, phone.name)
        assert "forged: too late" not in texts, (told, phone.name)
    if bea_goes and not {"bea", "the other owner"} & set(offline):
        assert not bea.here(), told
    same_everywhere(world)


def _another_device(karim: Phone) -> None:
    keys = DeviceKeys.from_seed(karim.world.random(32))
    public = Keys(keys.sign.public, keys.box.public)
    proof = compose.sign_new_device(karim.session.case, karim.session.me(), public, keys.sign)
    karim.case.act(lambda now: exchange_of(now, compose.add_device(now.known(), author_of(now), public, "", proof)))


def _attempt(what: Callable[[], object]) -> None:
    with contextlib.suppress(EigenkringError):
        what()


@functools.cache
def _two_owners() -> dict[str, object]:
    world = family(51)
    world.join("yusuf", "owner")
    world.join("bea")
    world.settle()
    return world.image()
