"""A member who may write, with the real keys of a real device and a program that cheats.

After each: the code, the device that did it, the same document everywhere, and both engines alive.
"""

from __future__ import annotations

import pytest
from crafting import Crafter
from test_lying_relay import same_everywhere

from eigenkring import wire
from eigenkring.change import pack_chunk, parse_change
from eigenkring.charter import compose
from eigenkring.charter.draft import common
from eigenkring.charter.entry import Cancel, HandOver, Invite, RemovePerson, RoomChange, RoomEntry, SetRole
from eigenkring.errors import Inadmissible, Refused
from eigenkring.keys import Bag, Blank, Secret, bag_of
from eigenkring.part.author import actor_of
from eigenkring.rooms import EVERYONE, OWNERS
from eigenkring.session import preparing
from eigenkring.session.acting import author_of
from eigenkring_crypto.sign import SigningKey
from eigenkring_server.relay import Quotas
from simulator import World, family

HONEST = ("nora", "fatima", "sam")


@pytest.fixture
def world() -> World:
    made = family(21)
    made.settle()
    made.phones["karim"].add("honest once")
    made.settle()
    return made


def judged(world: World, code: str, *, name: bool = True, about: str = "") -> None:
    """Every honest device has refused it with this code, names Karim's device where a signature says so, and lives."""
    before = set(world.phones["nora"].texts())
    karim = world.phones["karim"].device_key().hex()
    for who in ("nora", "fatima"):
        phone = world.phones[who]
        phone.sync(2)
        found = [said for said_code, said in phone.alarms() if said_code == code]
        assert found, (who, phone.alarms())
        if name:
            assert any(karim in said for said in found), (who, found)
        if about:
            assert any(about in said for said in found), (who, found)
    assert not any("forged" in text for text in world.phones["nora"].texts())
    for who in ("nora", "fatima"):
        world.phones[who].add(f"{who} goes on")
    for phone in world.phones.values():
        phone.restart()
    same_everywhere(world, *before, "nora goes on", "fatima goes on")


# --- changes


def test_anothers_actor(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    nora = world.phones["nora"]
    theirs = actor_of(karim.stream, nora.device_key(), nora.session.row.incarnation)
    karim.edit(karim.changes("forged", actor=theirs))
    judged(world, "bad_actor")


def test_an_actor_of_nobody(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged", actor=bytes(24)))
    judged(world, "bad_actor")


@pytest.mark.parametrize("step", [-1, 1, 5, 2**31])
def test_a_sequence_that_skips_or_repeats(world: World, step: int) -> None:
    karim = Crafter(world.phones["karim"])
    raw = karim.changes("forged")[0]
    karim.edit([karim.altered(raw, seq=parse_change(raw).seq + step)])
    judged(world, "bad_sequence")


def test_own_dependency_cut_away(world: World) -> None:
    """A head that does not follow the author's own last change vouches for nothing before it."""
    karim = Crafter(world.phones["karim"])
    world.phones["fatima"].add("on top of Karim's")
    world.settle()
    raw = karim.changes("forged")[0]
    karim.edit([karim.altered(raw, deps=())])
    judged(world, "own_dependency")


def test_a_change_that_the_signature_does_not_reach(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    first, second = karim.changes("covered", "forged")
    payload = karim.payload([first])
    record = payload.replace(first, first)  # the attestation is of the first only
    from eigenkring.part.record import make_edit, parse_record

    att = parse_record(record).att.raw  # type: ignore[union-attr]
    karim.append(karim.sealed(make_edit(att, [first, second])))
    judged(world, "not_covered", name=False)
    assert "covered" in world.phones["nora"].texts()


def test_two_chunks_in_one(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    first, second = karim.changes("forged", "forged too")
    karim.edit([first + second])
    judged(world, "bad_chunk", name=False)


def test_a_saved_document_as_a_change(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit([bytes(karim.engine.save())])
    judged(world, "bad_chunk", name=False)


def test_an_orphan_that_waits_for_a_parent(world: World) -> None:
    """Nothing waits: when the parent comes later, the orphan stays out, for everybody."""
    karim = Crafter(world.phones["karim"])
    parent, orphan = karim.changes("the parent", "forged")
    karim.edit([orphan])
    world.phones["fatima"].sync()
    karim.edit([parent])
    judged(world, "missing_dependency")
    assert "the parent" in world.phones["nora"].texts()


def test_two_variants_of_one_number(world: World) -> None:
    """The first in the stream stands, and the two signatures are a proof against the device."""
    karim = Crafter(world.phones["karim"])
    one, two = karim.changes("the first variant")[0], karim.changes("forged")[0]
    assert parse_change(one).seq == parse_change(two).seq
    karim.edit([one])
    world.phones["nora"].sync()
    karim.edit([two])
    judged(world, "bad_sequence")
    assert "the first variant" in world.phones["nora"].texts()


@pytest.mark.parametrize("start", [1, 2**31, 2**32 - 2, 2**53])
def test_operation_ids_reused_or_near_the_end_of_numbers(world: World, start: int) -> None:
    karim = Crafter(world.phones["karim"])
    raw = karim.changes("forged")[0]
    karim.edit([karim.altered(raw, start_op=start)])
    for who in ("nora", "fatima"):
        world.phones[who].sync()
    code = next(c for c in ("bad_start", "bad_chunk", "not_canonical") if c in world.phones["nora"].codes())
    judged(world, code, name=code == "bad_start")


def test_any_bytes_with_a_good_checksum(world: World) -> None:
    """Half a thousand chunks altered in one byte each, signed: run lengths, columns, counters, absent objects."""
    karim = Crafter(world.phones["karim"])
    raw = karim.changes("forged forged forged")[0]
    content = raw[raw.index(parse_change(raw).deps[0]) - 1 :] if parse_change(raw).deps else raw[11:]
    chance = world.chance
    batch: list[bytes] = []
    for _ in range(500):
        broken = bytearray(content)
        broken[chance.randrange(33, len(broken))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        batch.append(pack_chunk(bytes(broken)))
    batch = [each for each in batch if each != raw]
    for at in range(0, len(batch), 100):
        karim.edit(batch[at : at + 100])
    for who in ("nora", "fatima", "sam"):
        world.phones[who].sync()
    documents = [world.phones[who].texts() for who in HONEST]
    assert documents[0] == documents[1] == documents[2]
    world.phones["nora"].add("alive")
    for who in HONEST:
        world.phones[who].restart()
    world.settle(only=HONEST)
    assert "alive" in world.phones["sam"].texts()
    assert world.fresh("fatima").documents() == world.phones["fatima"].documents()


def test_an_object_that_does_not_exist(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    raw = karim.changes("forged")[0]
    change = parse_change(raw)
    last = change.ops[-1]
    ghost = msgspec_replace_obj(last, change)
    karim.edit([karim.altered(raw, ops=(*change.ops[:-1], ghost))])
    world.phones["nora"].sync()
    codes = {"no_object", "no_element", "bad_chunk", "not_canonical"}
    found = codes & set(world.phones["nora"].codes())
    assert found
    judged(world, found.pop(), name=False)


def msgspec_replace_obj(op: object, change: object) -> object:
    import msgspec

    from eigenkring.change import OpId

    return msgspec.structs.replace(op, obj=OpId(2**20, change.actor))  # type: ignore[attr-defined,type-var]


# --- what was seen


def test_a_false_word_about_what_was_seen(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged"), chain=world.random(32))
    judged(world, "false_seen")


def test_seen_beyond_the_end(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged"), length=2**40)
    judged(world, "false_seen")


def test_an_epoch_that_never_was(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged"), epoch=7)
    judged(world, "wrong_epoch")


def test_a_record_of_another_part(world: World) -> None:
    """Signed for the private part, shown in the plan."""
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged"), stream=world.phones["karim"].stream("private"))
    judged(world, "bad_attestation", name=False)


def test_signed_in_anothers_name(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    karim.edit(karim.changes("forged"), device=world.phones["nora"].device_key())
    judged(world, "bad_attestation", name=False)
    nora = world.phones["nora"].device_key().hex()
    assert not any(nora in about for _, about in world.phones["fatima"].alarms()), "an innocent was named"


def test_a_child_writes_the_plan(world: World) -> None:
    """Sam reads the plan and does not write it; a relay that takes it does not help."""
    sam = Crafter(world.phones["sam"])
    record = sam.sealed(sam.payload(sam.changes("forged")))
    world.relay.put(sam.stream, record)
    world.settle()
    assert "not_a_writer" in world.phones["nora"].codes()
    assert not any("forged" in text for text in world.phones["nora"].texts())
    assert any(world.phones["sam"].device_key().hex() in about for _, about in world.phones["nora"].alarms())
    same_everywhere(world)


# --- keys


def test_a_keybag_with_wrong_secrets(world: World) -> None:
    karim, fatima = Crafter(world.phones["karim"]), world.phones["fatima"]
    wrong = [(room, 1, world.random(32)) for room in (EVERYONE, "plan", "owner+member")]
    karim.keybag({fatima.device_key(): bag_of(wrong)})
    fatima.sync(2)
    assert ("wrong_secret", f"device {karim.device.hex()}") in fatima.alarms()
    same_everywhere(world)


def test_a_false_key_beside_the_true_one_after_a_removal(world: World) -> None:
    """Sam goes; before Fatima opens her box there lies another one, with a false secret for the same epoch."""
    nora, fatima = world.phones["nora"], world.phones["fatima"]
    nora.case.remove("Sam")
    world.phones["karim"].sync(2)
    karim = Crafter(world.phones["karim"])
    wrong = [(room, 2, world.random(32)) for room in (EVERYONE, "plan")]
    for _ in range(3):
        karim.keybag({fatima.device_key(): bag_of(wrong)})
    nora.add("for who has the true key")
    nora.sync()
    fatima.sync()
    assert fatima.here()
    assert "for who has the true key" in fatima.texts()
    fatima.sync()
    assert ("wrong_secret", f"device {karim.device.hex()}") in fatima.alarms()
    same_everywhere(world, "for who has the true key")


def test_keys_for_a_thousand_epochs_that_never_were(world: World) -> None:
    karim, fatima = Crafter(world.phones["karim"]), world.phones["fatima"]
    wrong = [(EVERYONE, epoch, world.random(32)) for epoch in range(2, 1_000)]
    karim.keybag({fatima.device_key(): bag_of(wrong)})
    fatima.sync(2)
    world.phones["nora"].case.remove("Sam")
    world.phones["nora"].add("all go on")
    world.phones["nora"].sync()
    fatima.sync(4)
    assert fatima.here()
    same_everywhere(world, "all go on")


def test_a_keybag_that_nobody_signed_names_nobody(world: World) -> None:
    karim, nora, fatima = Crafter(world.phones["karim"]), world.phones["nora"], world.phones["fatima"]
    wrong = bag_of([("plan", 1, world.random(32))])
    karim.keybag({fatima.device_key(): wrong}, by=nora.device_key())
    fatima.sync(2)
    assert "bad_keybag" in fatima.codes()
    assert not any(nora.device_key().hex() in about for _, about in fatima.alarms())
    same_everywhere(world)


def test_a_replayed_keybag(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    keys = world.phones["nora"].session.row.keys_stream
    assert keys is not None
    for record in world.relay.records(keys):
        again = karim.session.secrets(keys).seal(karim.session.secrets(keys).open(record), world.random(24))
        karim.append(again, keys)
    world.settle()
    assert world.phones["fatima"].alarms() == []
    same_everywhere(world)


def test_a_false_seen_among_the_keys(world: World) -> None:
    karim, fatima = Crafter(world.phones["karim"]), world.phones["fatima"]
    karim.keybag({fatima.device_key(): Bag()}, seen=(1, world.random(32)))
    fatima.sync(2)
    assert ("false_seen", f"keys of device {karim.device.hex()}") in fatima.alarms()
    same_everywhere(world)


def test_blanks_of_one_who_is_no_owner(world: World) -> None:
    """Whoever chooses the manage hash of a stream can close it: a newcomer takes none from a member."""
    karim = Crafter(world.phones["karim"])
    nora = world.phones["nora"]
    link = nora.case.invite("member", "Yusuf")
    yusuf = world.phone("yusuf")
    yusuf.device.join(link, "Yusuf")
    nora.sync()
    karim.phone.sync(2)
    theirs = [Blank(world.random(16), world.random(32)) for _ in range(3)]  # type: ignore[arg-type]
    (device,) = [d.device for d in karim.session.known().devices.values() if d.person not in known_people(world)]
    karim.keybag({device: Bag(blanks=tuple(theirs))})
    yusuf.sync(3)
    mine = {part.stream for part in yusuf.session.known().parts.values()}
    assert not mine & {blank.stream for blank in theirs}
    assert not {blank.stream for blank in preparing.blanks_of(yusuf.session)} & {blank.stream for blank in theirs}
    assert yusuf.case.full_name("voice") in yusuf.session.known().parts
    same_everywhere(world)


def known_people(world: World) -> set[bytes]:
    return {phone.session.me() for name, phone in world.phones.items() if name != "yusuf"}


def test_a_keybag_of_nonsense(world: World) -> None:
    karim = Crafter(world.phones["karim"])
    keys = world.phones["nora"].session.row.keys_stream
    assert keys is not None
    for size in (1, 40, 3_000):
        karim.append(karim.sealed(world.random(size), keys), keys)
        karim.append(world.random(400), keys)
    world.settle()
    assert {"bad_keybag", "unopenable", "future_version"} & set(world.phones["fatima"].codes())
    world.phones["nora"].case.remove("Sam")
    same_everywhere(world)


# --- the charter


def test_one_line_of_noise_does_not_end_the_case(world: World) -> None:
    """Noise under every epoch a header can name, also that of a lock that is not turned yet."""
    karim = Crafter(world.phones["karim"])
    secrets = karim.session.secrets(karim.session.charter_stream)
    from eigenkring_crypto.seal import seal

    for epoch in (1, 2, 3, 99, 2**32 - 1):
        noise = seal(world.random(32), karim.session.charter_stream, epoch, b"noise", world.random(24))
        karim.append(noise, karim.session.charter_stream)
    karim.append(world.random(500), karim.session.charter_stream)
    karim.append(secrets.seal(b"no entry", world.random(24)), karim.session.charter_stream)
    world.settle()
    before = world.phones["fatima"].session.known().n
    world.join("yusuf")
    world.settle()
    assert world.phones["fatima"].session.known().n > before
    assert {"unopenable", "bad_entry"} & set(world.phones["fatima"].codes())
    world.phones["nora"].case.remove("Sam")
    world.phones["nora"].add("the case goes on")
    same_everywhere(world, "the case goes on")
    for phone in world.phones.values():
        phone.restart()
    same_everywhere(world, "the case goes on")


def entries_beyond_the_right(karim: Crafter) -> list[tuple[str, object]]:
    charter, author = karim.session.known(), author_of(karim.session)
    base = common(charter, author)
    nora = karim.phone.world.phones["nora"].session.me()
    someone = author.random(8)
    invite = Invite(
        **base,
        invitation=author.random(16),
        person=someone,
        name="Mallory",
        role="owner",
        doorstep=author.random(16),
        seed_key=SigningKey.from_seed(author.random(32)).public,
        expires=2**40,
        compare=False,
    )
    room = charter.rooms[OWNERS]
    turned = RoomEntry(OWNERS, ("owner",), (), room.epoch + 1, author.random(32), author.random(32))
    return [
        ("invites an owner", invite),
        ("removes the owner", RemovePerson(**base, person=nora)),
        ("makes himself owner", SetRole(**base, person=karim.session.me(), role="owner")),
        ("makes the owner a child", SetRole(**base, person=nora, role="child")),
        ("hands over", HandOver(**base, person=karim.session.me())),
        ("cancels", Cancel(**base, invitation=author.random(16))),
        ("turns the owners' room", RoomChange(**base, rooms=(turned,))),
    ]


@pytest.mark.parametrize("which", range(7))
def test_charter_entries_beyond_the_right(world: World, which: int) -> None:
    karim = Crafter(world.phones["karim"])
    what, body = entries_beyond_the_right(karim)[which]
    n = world.phones["nora"].session.known().n
    karim.entry(body)  # type: ignore[arg-type]
    for who in HONEST:
        world.phones[who].sync()
        assert "not_permitted" in world.phones[who].codes(), what
        assert world.phones[who].session.known().n == n
    world.join("yusuf")
    same_everywhere(world)


def test_sock_puppet_owners(world: World) -> None:
    """One of two owners makes a third alone, who would outvote the other: it needs the other's own word."""
    world.join("yusuf", "owner")
    nora = world.phones["nora"]
    with pytest.raises((Inadmissible, Refused)):
        nora.case.invite("owner", "Mallory")
    nora_crafts = Crafter(nora)
    invite = entries_beyond_the_right(nora_crafts)[0][1]
    nora_crafts.entry(invite)  # type: ignore[arg-type]
    yusuf = world.phones["yusuf"]
    yusuf.sync()
    assert "not_permitted" in yusuf.codes()
    nora_crafts.entry(RemovePerson(**common(nora.session.known(), author_of(nora.session)), person=yusuf.session.me()))
    yusuf.sync()
    assert yusuf.here()
    assert yusuf.session.known().with_role("owner") == {nora.session.me(), yusuf.session.me()}


def test_an_owner_adds_herself_as_reader_of_a_childs_page(world: World) -> None:
    """The child's page widens with the child's own signature only."""
    sam, nora = world.phones["sam"], Crafter(world.phones["nora"])
    sam.add("my own page", "house", "worries", "text")
    sam.sync()
    nora.phone.sync()
    name = sam.case.full_name("house")
    known = nora.session.known().rooms[nora.session.known().parts[name].read]
    assert nora.session.me() not in nora.session.known().audience(known.name)
    with pytest.raises(Inadmissible) as refused:
        compose.let_in(nora.session.known(), author_of(nora.session), known.name, [nora.session.me()])
    assert refused.value.code == "widens_without_person"
    wider = RoomEntry(
        known.name,
        known.roles,  # type: ignore[arg-type]
        tuple(sorted({*known.people, nora.session.me()})),
        known.epoch,
        known.commits[known.epoch],
    )
    nora.entry(RoomChange(**common(nora.session.known(), author_of(nora.session)), rooms=(wider,)))
    for who in ("fatima", "sam"):
        world.phones[who].sync()
        assert "widens_without_person" in world.phones[who].codes()
        assert nora.session.me() not in world.phones[who].session.known().audience(known.name)
    assert name not in nora.phone.documents()


# --- snapshots


def test_a_snapshot_that_leaves_out(world: World) -> None:
    """Who had more gives it back, and a device that comes later reads it."""
    fatima, nora = world.phones["fatima"], Crafter(world.phones["nora"])
    fatima.add("left out by the owner")
    world.settle()
    admitted = [entry for entry in nora.session.part("plan").fold.ledger.entries if entry.device != fatima.device_key()]
    result = nora.replace(
        nora.snapshot(
            changes=[entry.raw for entry in admitted],
            atts=sorted({entry.source.att.raw for entry in admitted}),
        )
    )
    assert isinstance(result, wire.Replaced)
    fatima.sync(2)
    assert "left_out" in fatima.codes()
    same_everywhere(world, "left out by the owner", "honest once")
    assert "left out by the owner" in world.join("yusuf").texts()


def test_a_snapshot_that_adds(world: World) -> None:
    """A change in Karim's name that no signature of his reaches."""
    nora = Crafter(world.phones["nora"])
    karim = Crafter(world.phones["karim"])
    forged = nora.changes("forged", actor=actor_of(nora.stream, karim.device, karim.session.row.incarnation))
    _, changes, _ = nora.session.part("plan").fold.basis()
    nora.replace(nora.snapshot(changes=[*changes, *forged]))
    world.settle()
    for who in HONEST:
        assert not any("forged" in text for text in world.phones[who].texts())
    assert "not_covered" in world.phones["fatima"].codes()
    same_everywhere(world, "honest once")


def test_a_snapshot_that_puts_what_is_independent_in_another_order(world: World) -> None:
    """It is the same document, and stays it: whoever follows the snapshot and whoever made the log see no difference."""
    nora, fatima = Crafter(world.phones["nora"]), world.phones["fatima"]
    nora.phone.add("of Nora, at the same time")
    fatima.add("of Fatima, at the same time")
    world.settle()
    _, changes, _ = nora.session.part("plan").fold.basis()
    *rest, one, other = changes
    assert parse_change(one).hash not in parse_change(other).deps
    assert isinstance(nora.replace(nora.snapshot(changes=[*rest, other, one])), wire.Replaced)
    world.settle()
    assert nora.session.part("plan").fold.basis()[1] == [*rest, other, one]
    same_everywhere(world, "honest once", "of Nora, at the same time", "of Fatima, at the same time")
    assert world.join("yusuf").texts() == fatima.texts()


@pytest.mark.parametrize("how", ["before what it rests on", "resting on another", "resting on itself"])
def test_a_snapshot_that_reorders(world: World, how: str) -> None:
    """It is laid there, and takes nothing from anybody: who has more gives it back."""
    nora = Crafter(world.phones["nora"])
    for text in ("second", "third"):
        world.phones["fatima"].add(text)
        world.phones["fatima"].sync()
    world.settle()
    _, changes, _ = nora.session.part("plan").fold.basis()
    last = parse_change(changes[-1])
    places = {parse_change(raw).hash: place for place, raw in enumerate(changes)}
    order = list(range(len(changes)))
    rests = {place: [places[dep] for dep in parse_change(raw).deps] for place, raw in enumerate(changes)}
    match how:
        case "before what it rests on":
            order = [*order[:-2], order[-1], order[-2]]
            assert order[-1] in rests[order[-2]]
        case "resting on another":
            rests[order[-1]] = [dep - 1 for dep in rests[order[-1]]]
        case _:
            rests[order[-1]] = [order[-1]]
    assert last.deps
    assert isinstance(nora.replace(nora.disordered(changes, order, rests)), wire.Replaced)
    world.settle()
    assert {"bad_snapshot", "left_out", "broken_chain"} & set(world.phones["fatima"].codes())
    same_everywhere(world, "honest once", "second", "third")
    assert {"honest once", "second", "third"} <= set(world.join("yusuf").texts())


@pytest.mark.parametrize("how", ["by another key", "in anothers name", "for another place", "of an older charter"])
def test_a_snapshot_that_is_signed_falsely(world: World, how: str) -> None:
    """It does not stand, so nobody forgets what it would have taken the place of."""
    nora, fatima = Crafter(world.phones["nora"]), world.phones["fatima"]
    claims = {
        "by another key": {"key": SigningKey.from_seed(bytes(32))},
        "in anothers name": {"device": fatima.device_key()},
        "for another place": {"n": 1},
        "of an older charter": {"head": world.random(32)},
    }[how]
    nora.replace(nora.snapshot(**claims))
    before = fatima.texts()
    fatima.sync(2)
    assert {"bad_snapshot", "false_seen", "broken_chain", "unknown_head"} & set(fatima.codes())
    assert fatima.texts() == before
    fatima.restart()
    assert fatima.texts() == before
    # Who had what it took away gives it back, so the part is whole for whoever comes later too.
    same_everywhere(world, *before)
    assert world.join("yusuf").texts() == before


# --- filling


def test_a_stream_filled_against_its_owners() -> None:
    """Appends use up their quota; the owners still turn the lock, take the filler out, and go on."""
    world = family(31)
    world.settle()
    world.relay.store._quotas = Quotas(max_stream_records=40)
    karim = Crafter(world.phones["karim"])
    results = [karim.append(world.random(64)) for _ in range(60)]
    assert isinstance(results[-1], wire.Failed)
    assert results[-1].code == "quota"
    nora = world.phones["nora"]
    nora.sync()
    nora.case.remove("Karim")
    nora.add("after the flood")
    world.settle()
    assert not world.phones["karim"].here()
    # Until somebody makes a snapshot the words wait, and are not lost.
    assert "after the flood" in nora.texts()
    nora_crafts = Crafter(nora)
    assert isinstance(nora_crafts.replace(nora_crafts.snapshot()), wire.Replaced)
    same_everywhere(world, "after the flood")


def test_what_a_member_may_do_is_not_stopped_but_attributed(world: World) -> None:
    """Deleting what others wrote is a right of whoever writes: it is in the history, under the name."""
    karim = world.phones["karim"]
    items = karim.case.show("plan")["agreements"]
    for item in items:
        karim.case.delete("plan", f"agreements/{item}")
    world.settle()
    assert world.phones["nora"].texts() == []
    assert "Karim" in {line["by"] for line in world.phones["nora"].case.history("plan")}


def test_secrets_are_no_words() -> None:
    assert "secret" not in repr(Secret("plan", 1, bytes(32))).replace("Secret", "")
