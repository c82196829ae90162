"""The core of the app, run by Node, against the core in Python: charters, keybags, edits, documents, live.

Vectors hold what somebody thought of; this holds the two against each other on what both make now.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eigenkring import document, wire
from eigenkring.charter import compose
from eigenkring.charter.state import Charter
from eigenkring.crdt import Engine
from eigenkring.errors import EigenkringError
from eigenkring.keys import bag_of, seal_bags
from eigenkring.part.author import actor_of, make_edit_record
from eigenkring.part.fold import PartFold
from eigenkring.part.verdict import Verdict
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.chain import extend, first

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/vectors"))

from charter_cast import ANNEKE, CASE, FATIMA, NORA, SAM, SCHEMA, Actor, Play  # noqa: E402


class App:
    """The app's core behind a pipe: pwa/test/interop-cli.ts."""

    def __init__(self) -> None:
        node = shutil.which("node")
        assert node is not None
        self.process = subprocess.Popen(
            [node, "test/interop.mjs"], cwd=ROOT / "pwa", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, do: str, **given: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the app's core ended"
        answer = json.loads(line)
        assert "failure" not in answer, answer["failure"]
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=300)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    running = App()
    yield running
    running.close()


@pytest.fixture(scope="module")
def family() -> Play:
    """Nora founds, Fatima and Anneke come, Nora gets a second phone, Anneke goes again and every lock turns."""
    play = Play()
    play.found(NORA, kinds=("question", "circle", "plan", "private", "decisions"), own=("voice", "diary"))
    play.come(NORA, FATIMA, "member", own=("voice", "answers", "contacts"))
    anneke = play.come(NORA, ANNEKE, "coordinator")
    play.come(NORA, SAM, "child", own=("house",))
    play.add_device(NORA, Actor("Nora's tablet"))
    play.raw({"what": "nonsense"}, FATIMA, "bad_entry")
    play.post(compose.remove_person(play.now, play.author(NORA), anneke), NORA)
    return play


def plain(value: Any) -> Any:
    """As describe.ts has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value))
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return value


def described(charter: Charter) -> Any:
    found = {name: plain(getattr(charter, name)) for name in charter.__struct_fields__}
    found["heads"] = [head.hex() for head in charter.heads]
    # Two pairs that are small structures in TypeScript.
    for cuts in found["cuts"].values():
        for cut in cuts:
            cut["actors"] = {tag: {"seq": seq, "mark": mark} for tag, (seq, mark) in cut["actors"].items()}
    found["locks"] = {stream: {"epoch": e, "append": a} for stream, (e, a) in found["locks"].items()}
    return found


def fold_in(app: App, play: Play) -> Any:
    return app(
        "charter",
        id=play.case.hex(),
        payloads=[record["payload"] for record in play.records],
        chains=[record["chain"] for record in play.records],
    )


def test_the_app_folds_a_charter_to_the_same_state(app: App, family: Play) -> None:
    answer = fold_in(app, family)
    assert answer["refused"] == [
        [at, record["verdict"]] for at, record in enumerate(family.records) if record["verdict"] != "ok"
    ]
    assert answer["charter"] == described(family.now)


def test_the_app_writes_every_entry_in_the_same_bytes(app: App, family: Play) -> None:
    seeds = {actor.id: actor.seed.hex() for actor in Actor.known.values()}
    for record in family.records:
        if record["verdict"] == "ok":
            body = msgspec.msgpack.decode(msgspec.msgpack.decode(bytes.fromhex(record["payload"]))["body"])
            assert app("resign", payload=record["payload"], seed=seeds[body["by"]]) == {"payload": record["payload"]}


def test_the_app_opens_a_keybag_made_in_python(app: App, family: Play) -> None:
    fold_in(app, family)
    charter, stream = family.now, family.now.keys_stream
    secret = bytes(range(32))
    bag = compose.keybag_for(charter, family.ring(FATIMA), FATIMA.id)
    assert bag
    payload = seal_bags(
        charter,
        NORA.id,
        NORA.keys.sign,
        secret,
        (0, first(stream)),  # type: ignore[arg-type]
        {FATIMA.id: bag_of(bag), SAM.id: bag_of([])},
        family.random(NORA),
    )
    given = {"id": CASE.hex(), "payload": payload.hex(), "stream": stream.hex(), "secret": secret.hex()}
    opened = app("keybag", **given, seed=FATIMA.seed.hex(), device=FATIMA.id.hex())
    assert opened["rooms"] == plain(bag)
    assert app("keybag", **given, seed=ANNEKE.seed.hex(), device=ANNEKE.id.hex()) == {"rooms": None}


def test_frames_are_the_same_bytes_in_both_languages(app: App) -> None:
    stream, cap, hashed, chain = b"s" * 16, b"c" * 32, b"h" * 32, b"k" * 32
    ops: list[wire.Operation] = [
        wire.Open(stream, hashed, hashed, hashed, None),
        wire.Open(stream, hashed, hashed, hashed, 2**40),
        wire.Append(stream, cap, b"record" * 99, None),
        wire.Append(stream, cap, b"r", chain),
        wire.Read(stream, cap, 2**33, 70_000),
        wire.Follow(stream, cap),
        wire.Unfollow(stream),
        wire.Rekey(stream, cap, hashed, None, hashed),
        wire.Replace(stream, cap, chain, b"snapshot"),
        wire.Close(stream, cap),
    ]
    results: list[wire.Result] = [
        wire.Opened(0, chain),
        wire.Failed("exists"),
        wire.Appended(300, chain),
        wire.Failed("conflict", 5, chain),
        wire.Batch(1, chain, 9, chain, 2, [b"a", b"b"], True),
        wire.Batch(0, chain, 0, chain, 1, [], False),
        wire.Unfollowed(),
        wire.Rekeyed(3, chain),
        wire.Replaced(3, 4, chain),
        wire.Closed(),
    ]
    plainly = [{"op": type(op).__name__.lower(), **plain(op)} for op in ops]
    reply = wire.encode(wire.Reply(7, 1, results))
    answer = app("wire", ops=plainly, reply=reply.hex())
    assert answer["request"] == wire.encode(wire.Request(7, ops, True, "een woord")).hex()
    assert answer["results"] == [plain(result) for result in results]
    shifted = wire.encode(wire.Reply(7, 1, results[1:] + results[:1])).hex()
    for nonsense in (shifted, reply.hex()[:-2], reply.hex() + "00", wire.encode(wire.Reply(8, 1, results)).hex()):
        assert app("wire", ops=plainly, reply=nonsense) == {"error": "relay_garbage"}
    assert app("wire", ops=plainly, reply=wire.encode(wire.Failure(7, "busy")).hex()) == {"error": "busy"}


class Twice:
    """Makes every draft in both languages, from the same fresh bytes, before it is posted."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.play = Play()

    def make(self, fn: str, actor: Actor, **args: Any) -> Any:
        play, ring = self.play, self.play.ring(actor)
        drawn = play.random(actor).count
        fold_in(self.app, play)
        by = {
            "device": actor.id.hex(), "chain": play.chain.hex(), "at": play.author(actor).at, "name": actor.name,
            "count": drawn, "ring": plain(list(ring)), "keysSecret": plain(ring.keys_secret),
        }  # fmt: skip
        theirs = self.app("compose", id=play.case.hex(), fn=fn, by=by, args=plain(args))
        author = play.author(actor)
        run = getattr(compose, fn)
        try:
            ours = run(author, **args) if fn == "found" else run(play.now, author, **args)
        except EigenkringError as error:
            assert theirs == {"error": error.code}
            return None
        assert theirs == {"draft": None if ours is None else drafted(ours)}
        return ours

    def post(self, fn: str, actor: Actor, **args: Any) -> Any:
        made = self.make(fn, actor, **args)
        self.play.post(made, actor)
        return made

    def come(self, visitor: Actor, role: str, own: tuple[str, ...] = ()) -> bytes:
        play, seed = self.play, self.play.random(NORA)(32)
        invite = {"name": visitor.name, "role": role, "seed": seed, "expires": 2_000}
        door = play.now.invitations if play.charter is not None else {}
        before = set(door)
        self.post("invite", NORA, **invite)
        (invitation,) = set(play.now.invitations) - before
        knock = play.knock(visitor, play.now.invitations[invitation], seed)
        made = self.post("join", NORA, knock=knock, invitation=invitation, blanks=len(own))
        if own:
            self.post("rooms_and_parts_about", visitor, kinds=list(own), blanks=made.blanks[visitor.id])
        return play.person(visitor)


def drafted(draft: compose.Draft) -> Any:
    found = {
        "body": msgspec.msgpack.encode(draft.body).hex(),
        "new_secrets": [{"room": r, "epoch": e, "secret": s.hex()} for (r, e), s in draft.new_secrets.items()],
        "keybags": plain(draft.keybags),
        "blanks": {
            device.hex(): [[b.stream.hex(), b.manage.hex()] for b in bag] for device, bag in draft.blanks.items()
        },
        "rekeys": plain(draft.rekeys),
        "opens": [
            {name: plain(getattr(o, name)) for name in ("stream", "read", "append", "manage", "expires")}
            for o in draft.opens
        ],
        "closes": plain(draft.closes),
    }
    return found if draft.keys_secret is None else {**found, "keys_secret": draft.keys_secret.hex()}


def test_the_app_makes_the_same_drafts(app: App) -> None:
    twice = Twice(app)
    kinds = ["question", "circle", "plan", "private"]
    made = twice.make(
        "found", NORA, case=CASE, title="Kring Nora", name="Nora", role="owner", keys=NORA.public, kinds=kinds,
        own_kinds=["voice", "diary"],
    )  # fmt: skip
    twice.play.ring(NORA).keys_secret = made.keys_secret
    twice.play.post(made, NORA)
    fatima = twice.come(FATIMA, "member", ("voice", "contacts"))
    anneke = twice.come(ANNEKE, "coordinator")
    sam = twice.come(SAM, "child", ("house",))
    tablet = Actor("Fatima's tablet")
    proof = compose.sign_new_device(CASE, fatima, tablet.public, tablet.keys.sign)  # type: ignore[arg-type]
    twice.post("add_device", FATIMA, keys=tablet.public, sleeping="", device_sig=proof)
    twice.post("let_in", SAM, room=f"house@{sam.hex()}", people=[fatima])
    twice.post("let_out", SAM, room=f"house@{sam.hex()}", people=[fatima])
    assert twice.make("let_in", NORA, room=f"house@{sam.hex()}", people=[fatima]) is None
    twice.post("add_parts", NORA, kinds=["decisions"])
    twice.post("found_anew", NORA, part="plan")
    twice.post("remove_device", FATIMA, devices=[tablet.id])
    assert twice.make("remove_device", FATIMA, devices=[FATIMA.id]) is None
    twice.post("set_role", NORA, person=anneke, role="coordinator", until=5_000)
    twice.post("set_role", NORA, person=anneke, role="member", until=None)
    twice.post("remove_person", NORA, person=anneke)
    grant = {"grant_id": 16, "doorstep": 16, "down": 16, "up": 16, "seed": 32, "terms": 99, "granter_key": 32}
    given = {name: twice.play.random(NORA)(size) for name, size in grant.items()}
    twice.post("grant", NORA, **given, until=9_000)
    twice.post("withdraw", NORA, grant_id=given["grant_id"])
    twice.post("leave", SAM)
    twice.post("turn_due", NORA)
    assert twice.make("turn_due", NORA) is None
    assert twice.make("close", FATIMA) is None
    twice.post("close", NORA)


class Stream:
    """A part's stream with Python's Nora on it, and the app as Fatima."""

    def __init__(self, app: App, play: Play, name: str) -> None:
        self.app, self.play, self.name = app, play, name
        self.part = play.now.parts[name]
        self.kind = SCHEMA.kinds[self.part.kind]
        self.chains = [first(self.part.stream)]
        ring = play.ring(NORA)

        def secret_at(epoch: int) -> bytes | None:
            secret = ring.secret(self.part.read, epoch)
            return None if secret is None else read_secret(secret, self.part.stream)

        actor = actor_of(self.part.stream, NORA.id, b"pythonic")
        self.fold = PartFold(
            self.part.stream, name, self.part.write, self.part.manage, secret_at, lambda: Engine(actor)
        )
        self.secrets = {str(e): s.hex() for e in range(1, 9) if (s := secret_at(e)) is not None}
        self.epoch = play.now.rooms[self.part.write].epoch
        self.call(
            "part", device=FATIMA.id.hex(), incarnation=b"fromnode".hex(), secrets=self.secrets, chains=self.known()
        )

    def call(self, do: str, **given: Any) -> Any:
        return self.app(do, id=CASE.hex(), name=self.name, **given)

    def known(self) -> list[Any]:
        return [[length, chain.hex()] for length, chain in enumerate(self.chains)]

    @property
    def engine(self) -> Engine:
        assert isinstance(self.fold.engine, Engine)
        return self.fold.engine

    def any_day(self) -> int | None:
        """What the author claims decides nothing: also days that cannot be, and none."""
        at = len(self.chains)
        return None if at % 3 == 0 else at * 1_000_003_007 % 2**32

    def python_edits(self, intents: list[Any], seen: int | None = None) -> bytes:
        changes = document.apply_intents(self.engine, self.kind, intents)
        self.fold.take_own(changes)
        at = len(self.chains) - 1 if seen is None else seen
        return make_edit_record(
            NORA.keys.sign, self.part.stream, device=NORA.id, epoch=self.epoch, head=self.play.now.head,
            length=at, chain=self.chains[at], changes=changes, day=self.any_day(),
        )  # fmt: skip

    def app_edits(self, intents: list[Any]) -> bytes:
        at = len(self.chains) - 1
        answer = self.call(
            "edit", seed=FATIMA.seed.hex(), device=FATIMA.id.hex(), epoch=self.epoch, length=at,
            chain=self.chains[at].hex(), day=self.any_day(), intents=intents,
        )  # fmt: skip
        return bytes.fromhex(answer["payload"])

    def deliver(self, payload: bytes) -> Verdict:
        """To both, whose verdicts must be one."""
        index = len(self.chains)
        self.chains.append(extend(self.chains[-1], payload))
        self.call("chains", chains=self.known()[-1:])
        verdict = self.fold.take(index, payload, dict(enumerate(self.chains)).get, self.play.now)
        theirs = self.call("take", index=index, payload=payload.hex())
        assert theirs["admitted"] == plain(verdict.admitted)
        assert theirs["refused"] == plain(verdict.refused)
        assert (theirs["waits"], theirs["unchecked"], theirs["set_aside"]) == (
            verdict.waits, verdict.unchecked, verdict.set_aside,
        )  # fmt: skip
        assert theirs["days"] == [entry.day for entry in self.fold.ledger.entries]
        assert not theirs["alarm"] and not self.fold.alarm
        return verdict

    def documents_now(self) -> tuple[Any, Any]:
        return document.read(self.engine, self.kind), self.call("document")["document"]

    def documents(self) -> tuple[Any, Any]:
        """When all is delivered: equal heads say that both hold the same changes."""
        assert self.call("document")["heads"] == [head.hex() for head in self.fold.door.heads()]
        return self.documents_now()


@pytest.fixture
def plan(app: App, family: Play) -> Stream:
    fold_in(app, family)
    return Stream(app, family, "plan")


def test_an_edit_made_in_the_app_is_admitted_in_python_and_the_other_way(plan: Stream) -> None:
    field = next(name for name, rule in plan.kind.collections["agreements"].fields.items() if rule.type == "text")
    item = "0123456789abcdef0123"
    made = plan.python_edits([["add", "agreements", item, {field: "Karim brengt Sam 🚗 naar school"}]])
    assert not plan.deliver(made).refused
    path = ["agreements", item, field]
    for words in ("Karim haalt Sam 🚗 van school", "Karim haalt Sam 🏫 van school é\u0301", ""):
        assert not plan.deliver(plan.app_edits([["set", path, words]])).refused
        ours, theirs = plan.documents()
        assert ours == theirs and ours["agreements"][item][field] == words
    both = [plan.app_edits([["splice", path, 0, 0, "opa 👴 "]]), plan.python_edits([["splice", path, 0, 0, "oma 👵 "]])]
    for payload in both:
        assert not plan.deliver(payload).refused
    ours, theirs = plan.documents()
    assert ours == theirs and {"opa 👴", "oma 👵"} <= {ours["agreements"][item][field][i : i + 5] for i in (0, 6)}


def test_many_edits_of_two_peers_are_never_refused_and_end_in_one_document(plan: Stream) -> None:
    chance = random.Random(7)
    fields = list(plan.kind.collections["agreements"].fields.items())
    items: list[str] = []
    waiting: list[bytes] = []
    for _ in range(120):
        intents: list[Any] = []
        if not items or chance.random() < 0.2:
            items.append(chance.randbytes(10).hex())
            intents.append(["add", "agreements", items[-1], {}])
            waiting.append(plan.python_edits(intents))
            while waiting:
                assert not plan.deliver(waiting.pop(0)).refused
            continue
        item = chance.choice(items)
        name, rule = chance.choice(fields)
        words = "".join(chance.choice("ab é😀\u0301 ") for _ in range(chance.randrange(12)))
        value: Any = {"text": words, "string": words, "set": [*{w for w in words.split(" ") if w}]}.get(
            rule.type, chance.choice([None, True, 3, 2.5, -7, "2026-11-22"])
        )
        intents.append(["set", ["agreements", item, name], value])
        make = chance.choice([plan.python_edits, plan.app_edits])
        payload = make(intents) if _differs(plan, item, name, value) else None
        if payload is not None:
            waiting.append(payload)
        if chance.random() < 0.5:
            while waiting:
                assert not plan.deliver(waiting.pop(0)).refused
    while waiting:
        assert not plan.deliver(waiting.pop(0)).refused
    ours, theirs = plan.documents()
    assert ours == theirs
    assert len(ours["agreements"]) == len(items)


def _differs(plan: Stream, item: str, name: str, value: Any) -> bool:
    """An edit that changes nothing makes no change, and no record: of both documents, for each may know other edits."""
    wanted = sorted(value) if isinstance(value, list) else value
    ours, theirs = plan.documents_now()
    return all(known["agreements"].get(item, {}).get(name) != wanted for known in (ours, theirs))


def test_what_python_refuses_the_app_refuses_with_the_same_code(plan: Stream) -> None:
    item = "ffffffffffffffffffff"
    good = plan.python_edits([["add", "agreements", item, {}]])
    fields = msgspec.msgpack.decode(good)
    att, changes = fields["att"], fields["changes"]

    def edit(att: bytes = att, changes: list[bytes] = changes, **more: Any) -> bytes:
        return msgspec.msgpack.encode({**fields, "att": att, "changes": changes, **more})

    bent = bytearray(changes[0])
    bent[-1] ^= 1
    stranger = plan.python_edits([["delete", ["agreements", item]]])
    spoiled = {
        "bad_record": [b"", b"\x80", edit(changes=[]), edit(att=att[:-1]), edit() + b"\0", b"\x82\xa1k\xa1a\xa1k\xa1b"],
        "bad_attestation": [edit(att=att[:-1] + bytes([att[-1] ^ 1]))],
        "unknown_device": [edit(att=bytes(16) + att[16:])],
        "bad_chunk": [edit(changes=[bytes(bent)]), edit(changes=[changes[0] * 2]), edit(changes=[b""])],
        "missing_dependency": [stranger],
        "not_covered": [edit(changes=msgspec.msgpack.decode(stranger)["changes"])],
    }
    for code, payloads in spoiled.items():
        for payload in payloads:
            codes = {refusal.code for refusal in plan.deliver(payload).refused}
            assert codes <= {code, "missing_dependency"} and codes
    assert plan.deliver(msgspec.msgpack.encode({"k": "later", "what": [1, 2]})).set_aside
    waits = plan.deliver(edit(att=att[:20] + bytes(31) + b"\1" + att[52:]))
    assert waits.refused or waits.waits
