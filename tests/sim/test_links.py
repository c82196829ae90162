"""Links: stolen, used, old, altered, leading to a false case; and what lies on a doorstep that everybody with the link can write."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import msgspec
import pytest

from eigenkring import doorstep, visiting, wire
from eigenkring.charter import compose
from eigenkring.charter.compose import found
from eigenkring.charter.draft import Author, common
from eigenkring.charter.entry import Invite, Keys, device_id, sign_entry
from eigenkring.charter.rules import fold
from eigenkring.errors import EigenkringError, Ended, Inadmissible, Misuse
from eigenkring.ids import CaseId, Chain, DeviceId, InvitationId, StreamId
from eigenkring.keys import bag_of, seal_bags
from eigenkring.link import Link, format_link, parse_link
from eigenkring.rooms import Keyring
from eigenkring.session.acting import open_op, ring_with, secrets_after
from eigenkring.session.doors import knocks, watched
from eigenkring.stream import StreamSecrets
from eigenkring_crypto import chain
from eigenkring_crypto.box import seal_box
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.sign import sign
from eigenkring_crypto.words import comparison_words
from simulator import ADDRESS, LIES, NOON, HonestRelay, MemoryStore, Phone, Wire, World, family

DAY = 86_400


@pytest.fixture
def world() -> World:
    made = family(61)
    made.settle()
    return made


def invited(world: World, role: str = "member", **more: Any) -> str:
    return world.phones["nora"].case.invite(role, "Yusuf", **more)


def outcome(world: World, name: str, link: str) -> str:
    """What a person learns who follows this link."""
    phone = world.phones.get(name) or world.phone(name)
    try:
        phone.device.join(link, name.title())
        for _ in range(3):
            world.phones["nora"].sync()
            phone.device.sync()
    except EigenkringError as error:
        return error.code
    return "in" if phone.here() else "waiting"


def test_a_link_works_once(world: World) -> None:
    link = invited(world)
    assert outcome(world, "yusuf", link) == "in"
    assert outcome(world, "thief", link) == "link_used"


def test_who_is_in_already_does_not_come_in_twice(world: World) -> None:
    """On the same device: the keys it has would be gone."""
    fatima = world.phones["fatima"]
    with pytest.raises(Misuse) as told:
        fatima.device.join(invited(world), "Fatima")
    assert told.value.code == "already_member"
    assert fatima.here()


def test_a_stolen_link_opens_nothing_and_who_comes_second_is_told(world: World) -> None:
    """The thief knocks first, while nobody of the circle is online: the owner sees a name that she did not expect, the
    right one is told that the link was used, and the owner takes the thief out."""
    link = invited(world)
    thief, yusuf = world.phone("thief"), world.phone("yusuf")
    thief.device.join(link, "Yusuf")
    with contextlib.suppress(EigenkringError):
        yusuf.device.join(link, "Yusuf")
    assert thief.device.cases()[0]["state"] == "waiting", "a link alone shows nothing"
    world.phones["nora"].sync()
    with pytest.raises(Ended) as told:
        yusuf.device.sync()
    assert told.value.code == "link_used"
    thief.sync(2)
    world.phones["nora"].case.remove("Yusuf")
    world.phones["nora"].add("after the thief")
    world.settle()
    assert not thief.here()
    assert "after the thief" not in str(thief.session.parts)


def test_a_stolen_link_that_asks_for_words_gives_no_key_before_they_are_compared(world: World) -> None:
    link = invited(world, compare=True)
    assert outcome(world, "thief", link) in ("waiting", "not_yet")
    assert "Thief" not in {person["name"] for person in world.phones["nora"].case.people()}


def test_words_cannot_be_ground_by_whoever_chooses_last() -> None:
    """The approver's nonce comes after the knock is fixed: no two nonces give the same words, so none can be aimed at."""
    world = World(1)
    fixed = world.random(32)
    found_words = set()
    for _ in range(200):
        digest = doorstep.words_digest(fixed, world.random(32))  # type: ignore[arg-type]
        found_words.add(tuple(comparison_words(digest, "nl")))
    assert len(found_words) == 200


def test_an_old_link(world: World) -> None:
    link = invited(world, days=14)
    world.now = NOON + 15 * DAY
    assert outcome(world, "yusuf", link) == "link_expired"


def test_every_altered_link_is_refused(world: World) -> None:
    """Every byte of what is behind the #: nothing that was altered leads in."""
    link = invited(world)
    address, _, fragment = link.partition("#")
    data = base64.urlsafe_b64decode(fragment + "=" * (-len(fragment) % 4))
    codes = set()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << (at % 8)
        altered = f"{address}#{base64.urlsafe_b64encode(bytes(broken)).decode().rstrip('=')}"
        phone = Phone(world, "visitor", MemoryStore(), case_id=world.case_id)
        with pytest.raises(EigenkringError) as refused:
            phone.device.join(altered, "Visitor")
        codes.add(refused.value.code)
        assert not phone.device.cases() or phone.device.cases()[0]["state"] == "waiting"
    assert codes <= {"bad_link", "wrong_pin", "link_expired", "not_allowed"}, codes
    for text in (link[:-1], link + "A", link.replace("#", ""), "", f"{ADDRESS}/#", link.replace("http", "ftp")):
        with pytest.raises(Misuse) as bad:
            parse_link(text)
        assert bad.value.code == "bad_link"
    assert outcome(world, "yusuf", link) == "in"


def test_another_greeting_than_the_link_was_made_for(world: World) -> None:
    """Whoever holds the seed, with the relay's help, puts a greeting with an own knock key there."""
    link = parse_link(invited(world))
    secrets = visiting.door_secrets(link.doorstep, link.seed)
    greeting = msgspec.msgpack.decode(secrets.open(world.relay.records(link.doorstep)[0]))
    greeting["box"] = DeviceKeys.from_seed(bytes(32)).box.public
    forged = secrets.seal(msgspec.msgpack.encode(greeting), world.random(24))
    world.relay.rewrite(link.doorstep, [forged])
    assert outcome(world, "yusuf", format_link(link)) == "wrong_pin"


def test_noise_on_the_doorstep_keeps_nobody_out(world: World) -> None:
    """Before the knock and between knock and welcome: whoever has the link can write there. (Who says there that the
    link let in somebody else keeps the visitor out, as who comes first with it does.)"""
    text = invited(world)
    link = parse_link(text)
    yusuf = world.phone("yusuf")
    put_on_doorstep(world, link, b"noise")
    put_on_doorstep(world, link, msgspec.msgpack.encode({"box": world.random(1500)}))
    world.relay.put(link.doorstep, world.random(300))
    yusuf.device.join(text, "Yusuf")
    session = yusuf.device.case(world.case_id).session
    device, key = session.device(), session.keys.box.public
    other_case = doorstep.Welcome(world.random(16), world.random(16), world.random(32), 1, world.random(32))
    for payload in (
        msgspec.msgpack.encode({"to": device, "box": world.random(1500)}),
        msgspec.msgpack.encode({"to": device}),
        doorstep.make_welcome(link.doorstep, device, key, b"a welcome of nobody"),
        doorstep.make_welcome(link.doorstep, device, key, doorstep.encode_welcome(other_case)),
    ):
        put_on_doorstep(world, link, payload)
    for _ in range(3):
        world.phones["nora"].sync()
        yusuf.device.sync()
    assert yusuf.here()


def test_a_false_word_that_the_link_was_used_keeps_nobody_out_who_is_let_in(world: World) -> None:
    text = invited(world)
    yusuf = world.phone("yusuf")
    yusuf.device.join(text, "Yusuf")
    device = yusuf.device.case(world.case_id).session.device()
    link = parse_link(text)
    put_on_doorstep(world, link, doorstep.make_refusal(device))
    # And a welcome for a device that nobody let in: who holds the link can lay it there.
    nobody = DeviceKeys.from_seed(world.random(32))
    content = doorstep.encode_welcome(doorstep.Welcome(bytes(16), bytes(16), bytes(32), 1, bytes(32)))
    other = doorstep.make_welcome(link.doorstep, DeviceId(world.random(16)), nobody.box.public, content)
    put_on_doorstep(world, link, other)
    for _ in range(3):
        world.phones["nora"].sync()
        with contextlib.suppress(EigenkringError):
            yusuf.device.sync()
    assert yusuf.here()


def put_on_doorstep(world: World, link: Link, payload: bytes) -> None:
    secrets = visiting.door_secrets(link.doorstep, link.seed)
    world.relay.put(link.doorstep, secrets.seal(payload, world.random(24)))


def test_a_visitor_whose_keys_are_no_keys_blocks_nobody(world: World) -> None:
    """A statement with a box key that nobody can seal to; the owner's device goes on with all it owes to others."""
    text = invited(world)
    link = parse_link(text)
    door = visiting.look_at_door(link, Wire(world.network, "thief"))
    keys = DeviceKeys.from_seed(world.random(32))
    statement = msgspec.msgpack.encode(
        doorstep.Statement(door.greeting.case, door.greeting.invitation, "Yusuf", keys.sign.public, b"\xff" * 1216)
    )
    knock = doorstep.Knock(
        statement,
        sign_with(doorstep.seed_key(link.seed, link.doorstep), link.doorstep, statement),
        sign_with(keys.sign, link.doorstep, statement),
    )
    box = seal_box(door.greeting.box, "knock", link.doorstep + door.greeting.invitation, msgspec.msgpack.encode(knock))
    put_on_doorstep(world, link, msgspec.msgpack.encode({"box": box}))
    nora = world.phones["nora"]
    nora.sync(2)
    nora.add("Nora goes on")
    world.settle()
    assert "Nora goes on" in world.phones["fatima"].texts()
    assert world.join("bea").texts() == nora.texts()


def sign_with(key: Any, stream: StreamId, body: bytes) -> bytes:
    return sign(key, "statement", stream, body)


def test_a_link_that_leads_into_a_false_case(world: World) -> None:
    """Somebody who held the owners' key when the link was made, and the relay: they open the knock and welcome the
    visitor into another charter under the same id. The visitor finds that it is not the one that the link pinned."""
    text = invited(world)
    link = parse_link(text)
    yusuf, nora = world.phone("yusuf"), world.phones["nora"]
    yusuf.device.join(text, "Yusuf")
    nora.sync_only_reading()
    knocked = next(knocks(nora.session, next(door for door in watched(nora.session) if door.stream == link.doorstep)))
    session = yusuf.device.case(world.case_id).session
    false = FalseCase(world, CaseId(bytes.fromhex(world.case_id)), session.around.schema)
    false.invite(nora.session.known().invitations[InvitationId(knocked.door.id)])
    while false.charter.n <= nora.session.known().n:
        false.invite_nobody()
    false.join(knocked.knock, InvitationId(knocked.door.id), session.device())
    shown = false.shown_by(world.relay.fork())
    welcome = doorstep.Welcome(false.case, false.keys_stream, false.keys_secret, false.charter.n, false.charter.head)
    payload = doorstep.make_welcome(
        link.doorstep, session.device(), session.keys.box.public, doorstep.encode_welcome(welcome)
    )
    shown.put(link.doorstep, visiting.door_secrets(link.doorstep, link.seed).seal(payload, world.random(24)))
    world.network.worlds["yusuf"] = shown
    for _ in range(3):
        yusuf.sync()
    assert "wrong_pin" in yusuf.codes()
    assert not yusuf.here()
    with pytest.raises(Misuse):
        yusuf.case.show()
    # The way out is a new link.
    world.network.honest()
    assert outcome(world, "yusuf", invited(world)) == "in"


class FalseCase:
    """A whole charter with valid signatures, by one who does not belong, under the id of another case."""

    def __init__(self, world: World, case: CaseId, schema: Any) -> None:
        self.world, self.case, self.schema = world, case, schema
        self.keys = DeviceKeys.from_seed(world.random(32))
        self.public = Keys(self.keys.sign.public, self.keys.box.public)
        self.stream = StreamId(case)
        self.chain = Chain(chain.first(case))
        self.ring = Keyring()
        draft = found(self.author(), case, "Thuis", "Nora", "owner", self.public, ["plan"])
        assert draft.keys_secret is not None
        self.draft, self.keys_secret = draft, draft.keys_secret
        self.ring = ring_with(Keyring(draft.keys_secret), draft)
        self.records: list[bytes] = []
        self.key_records: list[bytes] = []
        self.charter = fold(None, sign_entry(draft.body, self.keys.sign), case, self.chain, schema)
        self.keys_stream = self.charter.keys_stream
        self.append(sign_entry(draft.body, self.keys.sign))

    def author(self) -> Author:
        device = device_id(self.case, self.public)
        return Author(device, self.ring, self.chain, NOON, self.world.random, self.schema)

    def append(self, payload: bytes) -> None:
        record = secrets_after(self.charter, self.ring, self.stream).seal(payload, self.world.random(24))
        self.records.append(record)
        self.chain = Chain(chain.extend(self.chain, record))

    def entry(self, body: Any) -> None:
        payload = sign_entry(body, self.keys.sign)
        self.charter = fold(self.charter, payload, self.case, self.chain, self.schema)
        self.append(payload)

    def invite(self, real: Any) -> None:
        fields = {
            name: getattr(real, name) for name in ("invitation", "person", "name", "role", "doorstep", "seed_key")
        }
        body = Invite(**common(self.charter, self.author()), **fields, expires=real.expires, compare=False)
        self.entry(body)

    def invite_nobody(self) -> None:
        draft = compose.invite(
            self.charter, self.author(), "", "member", self.world.random(32), NOON + DAY, person=self.world.random(8)
        )
        self.entry(draft.body)

    def join(self, knock: doorstep.Knock, invitation: InvitationId, device: Any) -> None:
        draft = compose.join(self.charter, self.author(), knock, invitation=invitation)
        self.entry(draft.body)
        bags = {device: bag_of(draft.keybags[device])}
        seen = (0, Chain(chain.first(self.keys_stream)))
        me = device_id(self.case, self.public)
        record = seal_bags(self.charter, me, self.keys.sign, self.keys_secret, seen, bags, self.world.random)
        self.key_records.append(
            StreamSecrets(self.keys_stream, read=self.keys_secret).seal(record, self.world.random(24))
        )

    def shown_by(self, relay: HonestRelay) -> HonestRelay:
        relay.store._streams.pop(self.case, None)
        relay.store._records.pop(self.case, None)
        opening = wire.Request(1, [open_op(opening) for opening in self.draft.opens])
        reply = wire.decode_reply(relay.answer(wire.encode(opening)), opening)
        assert not any(isinstance(result, wire.Failed) for result in reply.results)
        relay.rewrite(self.stream, self.records)
        relay.rewrite(self.keys_stream, self.key_records)
        return relay


def test_a_link_for_a_reader_lets_nobody_into_the_circle(world: World) -> None:
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-11-30", nora.case.selection(["plan"]))
    with pytest.raises(Misuse):
        world.phone("de wit").device.join(given.link, "De Wit")
    changed = format_link(parse_link(given.link)._replace(kind=doorstep.PERSON))
    with pytest.raises((Misuse, Inadmissible, Ended)):
        world.phone("de wit 2").device.join(changed, "De Wit")


def test_noise_on_the_doorstep_of_a_reader_keeps_the_reader_in(world: World) -> None:
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-11-30", nora.case.selection(["plan"]))
    link = parse_link(given.link)
    reader = world.phone("reader")
    reader.grant = reader.device.accept(given.link, "De Wit").hex()
    row = reader.store.grants()[0]
    keys = DeviceKeys.from_seed(row.seed)
    device = device_id(row.case, Keys(keys.sign.public, keys.box.public))
    for payload in (
        b"noise",
        msgspec.msgpack.encode({"to": device, "box": world.random(1500)}),
        doorstep.make_welcome(link.doorstep, device, keys.box.public, b"a welcome of nobody"),
        doorstep.make_welcome(link.doorstep, device, keys.box.public, msgspec.msgpack.encode({"grant": bytes(16)})),
    ):
        put_on_doorstep(world, link, payload)
    for _ in range(3):
        nora.sync()
        reader.sync()
    assert [view["status"] for view in reader.device.views()] == ["open"]
    assert "Oma belt op zondag" in str(reader.device.view(reader.grant))


# Who is told that a stream is closed drops the copy, as they must: a relay can end any access.
ENDING = {"refusing_closed", "refusing_expired", "refusing_no_stream"}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_told_to_a_reader(world: World, lie: str) -> None:
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-11-30", nora.case.selection(["plan"]))
    reader = world.phone("reader")
    reader.grant = reader.device.accept(given.link, "De Wit").hex()
    nora.sync()
    reader.sync()
    world.network.lies["reader"] = LIES[lie]
    reader.sync(2)
    world.network.honest()
    nora.add("newest")
    nora.sync()
    reader.sync(2)
    if lie in ENDING:
        with pytest.raises(Ended):
            reader.device.view(reader.grant)
    else:
        assert "newest" in str(reader.device.view(reader.grant))


def test_a_withdrawn_reader_reads_nothing_whatever_the_relay_kept(world: World) -> None:
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-11-30", nora.case.selection(["plan"]))
    reader = world.phone("reader")
    reader.grant = reader.device.accept(given.link, "De Wit").hex()
    nora.sync()
    reader.sync()
    before = world.relay.fork()
    nora.case.withdraw(given.grant.hex())
    down = nora.session.known().grants[given.grant].down
    assert world.relay.records(down) == []
    reader.sync()
    with pytest.raises(Ended) as ended:
        reader.device.view(reader.grant)
    assert ended.value.code == "withdrawn"
    nora.add("not for De Wit")
    nora.sync()
    # A relay that kept it all shows the old view again; nothing new is ever sealed for that reader.
    world.network.worlds["reader"] = before
    reader.sync()
    with pytest.raises(Ended):
        reader.device.view(reader.grant)


def test_a_relay_that_rolls_a_view_back_is_told(world: World) -> None:
    nora = world.phones["nora"]
    given = nora.case.grant("De Wit", "meedenken", "2026-11-30", nora.case.selection(["plan"]))
    reader = world.phone("reader")
    reader.grant = reader.device.accept(given.link, "De Wit").hex()
    nora.sync()
    reader.sync()
    old = world.relay.fork()
    nora.add("newer")
    nora.sync()
    reader.sync()
    assert "newer" in str(reader.device.view(reader.grant))
    world.network.worlds["reader"] = old
    reader.sync()
    assert "rolled_back" in reader.codes()
    assert "newer" in str(reader.device.view(reader.grant))
    # Not shorter, but another past at the place that it read to.
    down = nora.session.known().grants[given.grant].down
    end, records = world.relay.known(down).length, old.records(down)
    old.store._streams[down] = msgspec.structs.replace(old.known(down), base=end, base_chain=world.random(32))
    old.rewrite(down, records)
    reader.sync()
    assert "newer" in str(reader.device.view(reader.grant))
    assert "forked" in reader.codes()
    world.network.honest()
    nora.add("newest")
    nora.sync()
    reader.sync(2)
    assert "newest" in str(reader.device.view(reader.grant))
