"""From the link to the keys: the whole way of a visitor, and each place where somebody else might step in."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

VECTOR_FOLDER = Path(__file__).resolve().parent.parent / "vectors"
sys.path.insert(0, str(VECTOR_FOLDER))

import make_doorstep  # noqa: E402
from charter_cast import CASE, KARIM, LOTTE, NORA, Play, fixed_bytes  # noqa: E402

from eigenkring import doorstep, keys, link  # noqa: E402
from eigenkring.charter import compose  # noqa: E402
from eigenkring.errors import Ended, Inadmissible, Misuse  # noqa: E402
from eigenkring.ids import Chain, StreamId  # noqa: E402
from eigenkring.rooms import OWNERS, Keyring  # noqa: E402
from eigenkring_crypto.words import comparison_words  # noqa: E402

SECRET = fixed_bytes("the S of keys")


def test_the_vectors_in_git_are_those_this_code_makes() -> None:
    in_git = {f.stem: json.loads(f.read_text("utf-8")) for f in (VECTOR_FOLDER / "doorstep").glob("*.json")}
    assert len(in_git) >= 74
    assert in_git == make_doorstep.make()


@pytest.fixture
def play() -> Play:
    play = Play()
    play.found(NORA, kinds=("question", "safety", "plan"), own=("contacts",))
    return play


def greeted(play: Play) -> tuple[Any, bytes, str]:
    """An invitation, its greeting and its link."""
    invitation, seed = play.invite(NORA, "Karim", "member")
    greeting = doorstep.make_greeting(compose.greeting_for(play.now, play.author(NORA), invitation, "Nora"))
    made = link.Link("https://kring.example", 1, invitation.doorstep, seed, doorstep.greeting_pin(greeting))
    return invitation, greeting, link.format_link(made)


def knock_key(play: Play, invitation: Any) -> Any:
    epoch = play.now.epoch_at(OWNERS, invitation.n)
    assert epoch is not None
    secret = play.ring(NORA).secret(OWNERS, epoch)
    assert secret is not None
    return doorstep.knock_key(secret, invitation.doorstep)


def test_a_visitor_comes_from_the_link_to_the_keys(play: Play) -> None:
    invitation, greeting_record, text = greeted(play)
    # The visitor: a link, and what lies on the doorstep.
    held = link.parse_link(text)
    greeting = doorstep.open_greeting(greeting_record, held.pin)
    assert (greeting.from_, greeting.name, greeting.role) == ("Nora", "Karim", "member")
    knocked = doorstep.make_knock(greeting, held.doorstep, held.seed, KARIM.keys, "Karim V.")
    # A device of an owner.
    knock = doorstep.open_knock(knocked, knock_key(play, invitation), invitation.doorstep, invitation.invitation)
    made = compose.join(play.now, play.author(NORA), knock, invitation.invitation, blanks=2)
    play.post(made, NORA)
    bags = {d: keys.bag_of(bag, blanks=made.blanks[d]) for d, bag in made.keybags.items()}
    seen = (0, Chain(bytes(32)))
    payload = keys.seal_bags(play.now, NORA.id, NORA.keys.sign, SECRET, seen, bags, play.random(NORA))
    content = doorstep.Welcome(CASE, play.now.keys_stream, SECRET, play.now.n, play.now.head)
    welcome = doorstep.make_welcome(invitation.doorstep, KARIM.id, KARIM.public.box, doorstep.encode_welcome(content))
    # The visitor again.
    assert doorstep.welcome_for(welcome, KARIM.id)
    opened = doorstep.decode_welcome(doorstep.open_welcome(welcome, held.doorstep, KARIM.id, KARIM.keys.box))
    bag = keys.open_bags(payload, CASE, StreamId(opened.keys), opened.secret, KARIM.id, KARIM.keys.box)
    assert bag is not None
    bag.check(play.now)
    ring = Keyring(opened.secret)
    for given_secret in bag.rooms:
        ring.check(play.now, *given_secret)
        ring.add(*given_secret)
    assert ring.sift(play.now) == []
    assert play.now.heads[greeting.n] == greeting.head
    assert play.now.heads[opened.n] == opened.head
    person = play.now.person_of(KARIM.id)
    assert person is not None
    assert (person.name, person.role, person.here) == ("Karim V.", "member", True)
    assert {room for room, _, _ in ring} == set(play.now.rooms_of(person.person))
    assert len(bag.bag.blanks) == 2


def test_who_knocks_second_is_told_so(play: Play) -> None:
    invitation, greeting_record, text = greeted(play)
    held = link.parse_link(text)
    greeting = doorstep.open_greeting(greeting_record, held.pin)
    first, second = (
        doorstep.open_knock(
            doorstep.make_knock(greeting, held.doorstep, held.seed, actor.keys, actor.name),
            knock_key(play, invitation), invitation.doorstep, invitation.invitation,
        )
        for actor in (KARIM, LOTTE)
    )  # fmt: skip
    play.post(compose.join(play.now, play.author(NORA), first, invitation.invitation), NORA)
    with pytest.raises(Inadmissible) as caught:
        compose.join(play.now, play.author(NORA), second, invitation.invitation)
    assert caught.value.code == "invitation_used"
    with pytest.raises(Ended) as ended:
        doorstep.open_welcome(doorstep.make_refusal(LOTTE.id), held.doorstep, LOTTE.id, LOTTE.keys.box)
    assert ended.value.code == "link_used"
    assert not doorstep.welcome_for(doorstep.make_refusal(LOTTE.id), KARIM.id)


def test_the_holder_of_a_stolen_link_reads_no_knock(play: Play) -> None:
    """The seed gives the doorstep's S, so a thief of the link reads the knock's box, and opens it with nothing they hold."""
    invitation, greeting_record, text = greeted(play)
    held = link.parse_link(text)
    knocked = doorstep.make_knock(
        doorstep.open_greeting(greeting_record, held.pin), held.doorstep, held.seed, KARIM.keys, "Karim"
    )
    for secret in (held.seed, held.pin, doorstep.read_secret(held.seed, held.doorstep)):
        with pytest.raises(Inadmissible):
            doorstep.open_knock(
                knocked,
                doorstep.knock_key(secret, held.doorstep),
                held.doorstep,
                invitation.invitation,  # type: ignore[arg-type]
            )


def test_words_are_the_same_for_both_and_others_for_another_statement_or_nonce(play: Play) -> None:
    invitation, greeting_record, text = greeted(play)
    held = link.parse_link(text)
    greeting = doorstep.open_greeting(greeting_record, held.pin)
    mine, thiefs = (
        doorstep.sign_statement(greeting, held.doorstep, held.seed, actor.keys, actor.name) for actor in (KARIM, LOTTE)
    )
    secret = play.ring(NORA).secret(OWNERS, 1)
    assert secret is not None
    nonce = doorstep.nonce_for(secret, invitation.doorstep, mine.statement)
    record = doorstep.make_nonce(KARIM.id, mine, invitation.doorstep, nonce)
    assert doorstep.open_nonce(record, KARIM.id, mine.device_sig, invitation.doorstep) == nonce
    assert not doorstep.welcome_for(record, KARIM.id)
    # Whoever else holds the link writes a nonce of their own: the victim's device shows no words for it.
    forged = doorstep.make_nonce(KARIM.id, thiefs, invitation.doorstep, nonce)
    assert doorstep.open_nonce(forged, KARIM.id, mine.device_sig, invitation.doorstep) is None
    words = comparison_words(doorstep.words_digest(mine.statement, nonce), "nl")
    assert len(words) == 4
    assert nonce != doorstep.nonce_for(secret, invitation.doorstep, thiefs.statement)
    assert words != comparison_words(doorstep.words_digest(thiefs.statement, nonce), "nl")


def test_an_opening_has_the_hashes_of_the_seed() -> None:
    seed, stream = fixed_bytes("seed"), StreamId(fixed_bytes("doorstep", 16))
    hashes = doorstep.open_hashes(seed, stream, fixed_bytes("owners"), 2)  # type: ignore[arg-type]
    assert len(set(hashes)) == 3
    assert hashes != doorstep.open_hashes(seed, stream, fixed_bytes("owners"), 3)  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(Misuse):
        link.parse_link(text)


@given(st.binary(min_size=80, max_size=80), st.sampled_from([1, 2, 3]))
def test_links_go_there_and_back(data: bytes, kind: int) -> None:
    made = link.Link("http://[::1]:8300/kring", kind, StreamId(data[:16]), data[16:48], data[48:])
    assert link.parse_link(f" <{link.format_link(made)}>\n") == made


def test_a_link_hides_its_seed() -> None:
    made = link.Link("https://kring.example", 1, StreamId(bytes(16)), fixed_bytes("seed"), bytes(32))
    assert repr(made) == "Link(https://kring.example, 1)"
    for changed in ({"kind": 5}, {"seed": b""}, {"relay": "ftp://x"}):
        with pytest.raises(Misuse):
            link.format_link(made._replace(**changed))  # type: ignore[arg-type]
