"""The people who act in the vectors of charter, keys, doorstep and rooms: the same bytes in every run.

``Play`` is one charter being written; ``fork()`` lets many scenarios begin where one ended.
"""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from eigenkring import doorstep
from eigenkring.charter import compose, majority
from eigenkring.charter.compose import Author, Draft
from eigenkring.charter.entry import Approval, Keys, device_id, sign_entry
from eigenkring.charter.rules import fold
from eigenkring.charter.state import Charter
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, Chain, DeviceId, PersonId
from eigenkring.rooms import Keyring
from eigenkring.schema import load_schema
from eigenkring_crypto.chain import extend, first
from eigenkring_crypto.device import DeviceKeys
from eigenkring_crypto.sign import sign

SCHEMA = load_schema()
FIXED = Path(__file__).parent / "fixed"


def fixed_bytes(what: str, n: int = 32) -> bytes:
    """Bytes that look random and never change."""
    return hashlib.shake_256(f"eigenkring cast {what}".encode()).digest(n)


CASE = CaseId(fixed_bytes("case", 16))


class Random:
    """Fresh bytes that are the same in every run."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0

    def __call__(self, n: int) -> bytes:
        self.count += 1
        return fixed_bytes(f"{self.name} {self.count}", n)


class Actor:
    """A device. Its keys are slow to grow, so one of each name is kept; a play gives it a keyring of its own."""

    known: ClassVar[dict[tuple[str, bytes], "Actor"]] = {}

    def __new__(cls, name: str, case: CaseId = CASE) -> "Actor":
        if (name, case) not in cls.known:
            self = super().__new__(cls)
            self.name, self.case = name, case
            self.seed = fixed_bytes(f"device {name}")
            self.keys = DeviceKeys.from_seed(self.seed)
            self.public = Keys(self.keys.sign.public, self.keys.box.public)
            self.id = device_id(case, self.public)
            cls.known[name, case] = self
        return cls.known[name, case]

    name: str
    case: CaseId
    seed: bytes
    keys: DeviceKeys
    public: Keys
    id: DeviceId


@dataclass
class Play:
    case: CaseId = CASE
    charter: Charter | None = None
    chain: Chain | bytes = b""
    records: list[dict[str, str]] = field(default_factory=list)
    rings: dict[DeviceId, Keyring] = field(default_factory=dict)
    counts: dict[str, Random] = field(default_factory=dict)
    # Records that are another vector's.
    inherited: int = 0
    on: str | None = None

    def __post_init__(self) -> None:
        self.chain = Chain(self.chain or first(self.case))

    def fork(self, on: str | None = None) -> "Play":
        other = Play(self.case, self.charter, self.chain, list(self.records))
        other.rings = {device: ring.copy() for device, ring in self.rings.items()}
        other.counts = copy.deepcopy(self.counts)
        other.on, other.inherited = (on, len(self.records)) if on else (self.on, self.inherited)
        return other

    @property
    def now(self) -> Charter:
        assert self.charter is not None
        return self.charter

    def ring(self, actor: Actor) -> Keyring:
        return self.rings.setdefault(actor.id, Keyring())

    def random(self, actor: Actor) -> Random:
        return self.counts.setdefault(actor.name, Random(actor.name))

    def author(self, actor: Actor) -> Author:
        return Author(actor.id, self.ring(actor), self.chain, 1_000 + len(self.records), self.random(actor), SCHEMA)

    def person(self, actor: Actor) -> PersonId:
        return self.now.devices[actor.id].person

    def record(self, payload: bytes, chain: bytes | None = None) -> str:
        """Adds a record as it comes from the stream. Gives the verdict."""
        seen = Chain(self.chain if chain is None else chain)
        verdict = "ok"
        try:
            self.charter = fold(self.charter, payload, self.case, seen, SCHEMA)
        except Inadmissible as error:
            verdict = error.code
        self.records.append({"payload": payload.hex(), "chain": seen.hex(), "verdict": verdict})
        # In a stream the chain is over sealed records; for the fold it is any value that both know.
        self.chain = Chain(extend(self.chain, payload))
        return verdict

    def post(self, made: Draft | Any, actor: Actor, expect: str = "ok") -> bytes:
        """Signs and adds; hands out the keys as the boxes would."""
        draft = made if isinstance(made, Draft) else Draft(made)
        payload = sign_entry(draft.body, actor.keys.sign)
        verdict = self.record(payload)
        assert verdict == expect, f"{type(draft.body).__name__}: {verdict}, not {expect}"
        if verdict == "ok":
            for (room, epoch), secret in draft.new_secrets.items():
                self.ring(actor).add(room, epoch, secret)
            for device, bag in draft.keybags.items():
                ring = self.rings.setdefault(device, Keyring())
                for given in bag:
                    ring.check(self.now, *given)
                    ring.add(*given)
        return payload

    def raw(self, body: dict[str, Any] | bytes, actor: Actor, expect: str, **changes: Any) -> None:
        """Signs any body, however wrong."""
        data = body if isinstance(body, bytes) else msgspec.msgpack.encode({**body, **changes})
        payload = msgspec.msgpack.encode({"body": data, "sig": sign(actor.keys.sign, "charter", self.case, data)})
        verdict = self.record(payload)
        assert verdict == expect, f"{changes or body!r}: {verdict}, not {expect}"

    # --- scenes

    def found(self, actor: Actor, role: str = "owner", kinds: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> None:
        made = compose.found(
            self.author(actor),
            self.case,
            "Kring Nora",
            actor.name,
            role,
            actor.public,
            kinds,
            own,  # type: ignore[arg-type]
        )
        self.ring(actor).keys_secret = made.keys_secret
        self.post(made, actor)

    def invite(self, by: Actor, name: str, role: str, **more: Any) -> tuple[Any, bytes]:
        seed = self.random(by)(32)
        made = compose.invite(self.now, self.author(by), name, role, seed, 2_000, **more)  # type: ignore[arg-type]
        self.post(made, by)
        return self.now.invitations[made.body.invitation], seed  # type: ignore[union-attr]

    def knock(self, visitor: Actor, door: Any, seed: bytes, /, **changes: Any) -> doorstep.Knock:
        statement = {
            "case": getattr(door, "at_the_door", self.case),
            "invitation": getattr(door, "invitation", None) or door.grant,
            "name": visitor.name, "sign": visitor.public.sign, "box": visitor.public.box,
        }  # fmt: skip
        data = msgspec.msgpack.encode({**statement, **changes})
        at = door.doorstep
        return doorstep.Knock(
            data,
            sign(doorstep.seed_key(seed, at), "statement", at, data),
            sign(visitor.keys.sign, "statement", at, data),
        )

    def come(self, by: Actor, visitor: Actor, role: str, own: tuple[str, ...] = (), **more: Any) -> PersonId:
        """Invites, lets in, and founds the own parts."""
        invitation, seed = self.invite(by, visitor.name, role, **more)
        knock = self.knock(visitor, invitation, seed)
        made = compose.join(self.now, self.author(by), knock, invitation.invitation, blanks=len(own))
        self.post(made, by)
        if own:
            blanks = made.blanks[visitor.id]
            self.post(compose.rooms_and_parts_about(self.now, self.author(visitor), own, blanks), visitor)
        return self.person(visitor)

    def add_device(self, by: Actor, device: Actor, sleeping: str = "") -> None:
        proof = compose.sign_new_device(self.case, self.person(by), device.public, device.keys.sign)
        self.post(compose.add_device(self.now, self.author(by), device.public, sleeping, proof), by)  # type: ignore[arg-type]

    def agree(self, act: bytes, *actors: Actor) -> list[Approval]:
        return [majority.approve(self.now, act, actor.id, actor.keys.sign) for actor in actors]

    # --- what a vector says

    def summary(self) -> dict[str, Any]:
        charter = self.charter
        if charter is None:
            return {"n": 0, "head": bytes(32).hex()}
        return {
            "n": charter.n,
            "head": charter.head.hex(),
            "title": charter.title,
            "acting": None if charter.acting is None else charter.acting.hex(),
            "closed": charter.closed_n,
            "owners_n": charter.owners_n,
            "circle_n": charter.circle_n,
            "people": {
                p.person.hex(): {
                    "name": p.name, "role": p.role, "here": p.here, "until": p.until, "readmitted": p.readmitted_n,
                }
                for p in charter.people.values()
            },
            "devices": {
                d.device.hex(): {"person": d.person.hex(), "sleeping": d.sleeping, "since": d.since_n, "left": d.until_n}
                for d in charter.devices.values()
            },
            "invitations": {i.invitation.hex(): i.state for i in charter.invitations.values()},
            "rooms": {
                r.name: {
                    "epoch": r.epoch, "due": r.due, "floor": r.floor,
                    "since": {str(epoch): n for epoch, n in r.since_n.items()},
                    "people": sorted(p.hex() for p in r.people),
                    "audience": sorted(p.hex() for p in charter.audience(r.name)),
                }
                for r in charter.rooms.values()
            },
            "due": charter.due_rooms(),
            "parts": {
                p.name: {"stream": p.stream.hex(), "read": p.read, "write": p.write, "manage": p.manage}
                for p in charter.parts.values()
            },
            "grants": {
                g.grant.hex(): {"open": g.open, "device": None if g.device is None else g.device.device.hex()}
                for g in charter.grants.values()
            },
            "cuts": {
                stream.hex(): [
                    {
                        "n": c.n, "read_epoch": c.read_epoch, "write_epoch": c.write_epoch,
                        "devices": sorted(d.hex() for d in c.devices),
                        "actors": {tag.hex(): [seq, mark.hex()] for tag, (seq, mark) in c.actors.items()},
                    }
                    for c in cuts
                ]
                for stream, cuts in charter.cuts.items()
            },
            "dropped": {head.hex(): n for head, n in charter.dropped.items()},
            "locks": {stream.hex(): [epoch, lock.hex()] for stream, (epoch, lock) in charter.locks.items()},
        }  # fmt: skip

    def vector(self, about: str) -> dict[str, Any]:
        """``on``: the vector whose records come before these."""
        return {
            "about": about,
            "case": self.case.hex(),
            "on": self.on,
            "records": self.records[self.inherited :],
            "out": self.summary(),
        }


NORA, FATIMA, SAM, ANNEKE, KARIM, LOTTE = map(Actor, ("Nora", "Fatima", "Sam", "Anneke", "Karim", "Lotte"))


def body_of(draft: Draft | Any) -> dict[str, Any]:
    """A body as plain values, to be spoiled."""
    body = draft.body if isinstance(draft, Draft) else draft
    plain: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(body))
    return plain


def once(file: str, name: str, produce: Callable[[], bytes]) -> bytes:
    """Bytes with randomness in them (HPKE lets nobody choose it): made once, then read from fixed/."""
    path = FIXED / file
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if name not in known:
        known[name] = produce().hex()
        path.write_text(json.dumps(known, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    return bytes.fromhex(known[name])
