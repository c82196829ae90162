"""Vectors of rooms: names that follow from rules, commitments, links, and the secrets a keyring opens with them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from charter_cast import CASE, NORA, SAM, Play, fixed_bytes

from eigenkring import rooms
from eigenkring.charter import compose
from eigenkring.errors import Inadmissible, Misuse
from eigenkring.ids import PersonId

Vector = dict[str, Any]
P, Q = PersonId(bytes.fromhex("0123456789abcdef")), PersonId(bytes.fromhex("fedcba9876543210"))
PART = "contacts@0123456789abcdef"
SECRETS = [fixed_bytes(f"room secret {i}") for i in range(4)]


def make() -> dict[str, Vector]:
    return dict(_names()) | dict(_follows()) | dict(_secrets()) | dict(_history())


def _names() -> Iterator[tuple[str, Vector]]:
    rows: list[tuple[str, list[str], list[PersonId], str | None]] = [
        ("owner", ["owner"], [], None),
        ("circle_in_another_order", ["member", "owner"], [], None),
        ("everyone", ["coordinator", "child", "member", "owner"], [], None),
        ("one_person", [], [P], None),
        ("one_person_of_a_part", [], [P], PART),
        ("of_a_part", ["owner", "coordinator"], [P], PART),
        ("two_people", [], [P, Q], None),
        ("role_and_person", ["owner"], [P], None),
        ("nobody", [], [], None),
        ("unknown_role", ["professional"], [], None),
    ]
    for name, roles, people, part in rows:
        vector: Vector = {"kind": "name", "roles": roles, "people": [p.hex() for p in people], "part": part}
        try:
            vector["out"] = rooms.room_name(roles, people, part)
        except Misuse as error:
            vector["error"] = error.code
        yield f"name_{name}", vector


def _follows() -> Iterator[tuple[str, Vector]]:
    rows: list[tuple[str, str, list[str], list[PersonId]]] = [
        ("circle", "owner+member", ["owner", "member"], []),
        ("circle_unordered", "owner+member", ["member", "owner"], []),
        ("circle_with_a_person", "owner+member", ["owner", "member"], [P]),
        ("role_twice", "owner", ["owner", "owner"], []),
        ("without_owner", "member", ["member"], []),
        ("own", "@0123456789abcdef", [], [P]),
        ("own_of_another", "@0123456789abcdef", [], [Q]),
        ("own_of_two", "@0123456789abcdef", [], [P, Q]),
        ("own_capitals", "@0123456789ABCDEF", [], [P]),
        ("part", "plan", ["owner", "member"], []),
        ("part_without_owner", "plan", ["member"], [P]),
        ("part_about", PART, [], [P]),
        ("part_about_unsorted", PART, [], [Q, P]),
        ("part_about_twice", PART, [], [P, P]),
        ("part_named_as_a_role", "owner@0123456789abcdef", ["owner"], [P]),
        ("part_short_person", "contacts@0123456789abcde", ["owner"], [P]),
        ("part_digits", "plan2", ["owner"], []),
        ("part_too_long", "x" * 33, ["owner"], []),
        ("grant", "grant@" + "00" * 16, ["owner", "member"], []),
        ("grant_of_owners", "grant@" + "00" * 16, ["owner"], []),
        ("grant_with_a_person", "grant@" + "00" * 16, ["owner", "member"], [P]),
        ("grant_short", "grant@" + "00" * 15, ["owner", "member"], []),
        ("grant_as_a_part", "grant@0123456789abcdef", ["owner"], [P]),
        ("newline_behind", "plan\n", ["owner"], []),
        ("other_digits", "plan@०१२३४५६७८९abcdef", ["owner"], [P]),
    ]
    for name, room, roles, people in rows:
        out = rooms.follows_from_rule(room, tuple(roles), tuple(people))
        yield f"follows_{name}", {
            "kind": "follows", "room": room, "roles": roles, "people": [p.hex() for p in people], "out": out,
        }  # fmt: skip


def _secrets() -> Iterator[tuple[str, Vector]]:
    for name, room, epoch in (
        ("circle", "owner+member", 1),
        ("own", "@0123456789abcdef", 7),
        ("last", PART, 2**32 - 1),
    ):
        common: Vector = {"case": CASE.hex(), "room": room, "epoch": epoch, "secret": SECRETS[1].hex()}
        yield f"commitment_{name}", {
            "kind": "commitment", **common, "out": rooms.commitment(CASE, room, epoch, SECRETS[1]).hex(),
        }  # fmt: skip
        link = rooms.seal_link(CASE, room, epoch, SECRETS[1], SECRETS[0])
        yield f"link_{name}", {"kind": "link", **common, "before": SECRETS[0].hex(), "out": link.hex()}
    for name, size in (("short", 31), ("long", 33)):
        vector = {"case": CASE.hex(), "room": "plan", "epoch": 2, "secret": SECRETS[1].hex(), "link": bytes(size).hex()}
        try:
            rooms.open_link(CASE, "plan", 2, SECRETS[1], bytes(size))
        except Inadmissible as error:
            yield f"link_{name}", {"kind": "open_link", **vector, "error": error.code}


def _history() -> Iterator[tuple[str, Vector]]:
    """A room turned three times; who holds the newest secret opens the earlier ones, and a link that lies ends there."""
    for name, lies in (("opens_all", False), ("a_link_lies", True)):
        play = Play()
        play.found(NORA, kinds=("question",))
        play.come(NORA, SAM, "child", ("house",))
        room = f"house@{play.person(SAM).hex()}"
        for i in range(3):
            made = compose.let_out(play.now, play.author(SAM), room, [])
            if lies and i == 1:
                entry = made.body.rooms[0]  # type: ignore[union-attr]
                from msgspec.structs import replace

                made.body = replace(made.body, rooms=(replace(entry, link=fixed_bytes("a lie")),))  # type: ignore[call-arg]
            play.post(made, SAM)
        ring = rooms.Keyring()
        newest = play.ring(SAM).newest(room)
        assert newest is not None
        ring.add(room, *newest)
        broken = ring.open_history(play.now)
        yield (
            f"history_{name}",
            {
                "kind": "history",
                "case": play.case.hex(),
                "records": [{"payload": r["payload"], "chain": r["chain"]} for r in play.records],
                "room": room,
                "epoch": newest[0],
                "secret": newest[1].hex(),
                "out": {
                    "secrets": {str(epoch): secret.hex() for of, epoch, secret in ring if of == room},
                    "broken": [[of, epoch] for of, epoch in broken],
                },
            },
        )
    for name, epoch, secret in (
        ("right", 4, newest[1]), ("another_epochs", 3, newest[1]), ("wrong", 4, bytes(32)), ("future", 5, newest[1]),
    ):  # fmt: skip
        vector: Vector = {
            "kind": "check", "case": play.case.hex(), "room": room, "epoch": epoch, "secret": secret.hex(),
            "records": [{"payload": r["payload"], "chain": r["chain"]} for r in play.records],
        }  # fmt: skip
        try:
            rooms.Keyring().check(play.now, room, epoch, secret)
            vector["out"] = True
        except Inadmissible as error:
            vector["error"] = error.code
        yield f"check_{name}", vector
