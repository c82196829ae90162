"""Honest peers of automerge-py that edit and exchange, and what the engine makes of raw changes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from automerge.core import ROOT, Document, Message, ObjType, ScalarType, SyncState, Transaction

from eigenkring.columns import uleb

WORDS = "abcéß😀\u0301\ufeff"
FLOATS = (0.5, 1.0, -0.0, 5e-324, 1.7e308)
INTS = (0, -1, 63, 64, -65, 2**53 - 2, -(2**53) + 2)


def feed(document: Document, changes: Iterable[bytes]) -> None:
    """A hand-made sync message: no heads, no need, no have, and the changes."""
    raws = list(changes)
    packed = b"".join(uleb(len(raw)) + raw for raw in raws)
    document.receive_sync_message(SyncState(), Message.decode(b"\x42\0\0\0" + uleb(len(raws)) + packed))


def tree(document: Document, obj: bytes = ROOT) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in document.keys(obj):
        found = document.get(obj, key)
        assert found is not None
        value, name = found
        if not isinstance(value, ObjType):
            out[key] = {"value": value[1]}
        elif value == ObjType.Text:
            out[key] = {"text": document.text(name)}
        else:
            out[key] = {"map": tree(document, name)}
    return out


class Peers:
    """``stream`` is every change in the order in which it was made, so dependencies come first."""

    def __init__(self, seed: int, count: int = 5) -> None:
        self.random = random.Random(seed)
        self.documents = [Document(actor_id=bytes([at + 1]) * 24) for at in range(count)]
        self.stream: list[bytes] = []
        self.maps: list[bytes] = [ROOT]
        self.texts: list[bytes] = []

    def run(self, rounds: int) -> Peers:
        for _ in range(rounds):
            document = self.random.choice(self.documents)
            heads = document.get_heads()
            with document.transaction() as transaction:
                for _ in range(self.random.randrange(1, 6)):
                    # A peer that has not heard of an object cannot write in it.
                    with suppress(Exception):
                        self.edit(transaction)
            self.stream += [change.raw_bytes for change in document.get_changes(heads)]
            if self.random.random() < 0.6:
                other = self.random.choice(self.documents)
                feed(other, [change.raw_bytes for change in document.get_changes(other.get_heads())])
        return self

    def edit(self, transaction: Transaction) -> None:
        roll = self.random
        obj, key = roll.choice(self.maps), roll.choice(("a", "b", "c", "é"))
        match roll.randrange(9):
            case 0:
                transaction.put(obj, key, ScalarType.Int, roll.choice(INTS))
            case 1:
                transaction.put(obj, key, ScalarType.F64, roll.choice(FLOATS))
            case 2:
                transaction.put(obj, key, ScalarType.Str, roll.choice(("", "Zoë 😀", "x" * 300)))
            case 3:
                transaction.put(obj, key, ScalarType.Boolean, roll.choice((True, False)))
            case 4:
                transaction.delete(obj, key)
            case 5 if len(self.maps) < 5:
                self.maps.append(transaction.put_object(obj, key, ObjType.Map))
            case 6 if len(self.texts) < 5:
                self.texts.append(transaction.put_object(obj, key, ObjType.Text))
            case _:
                text = roll.choice(self.texts)
                size = transaction.length(text)
                if size and roll.random() < 0.3:
                    transaction.delete(text, roll.randrange(size))
                else:
                    transaction.insert(text, roll.randrange(size + 1), ScalarType.Str, roll.choice(WORDS))
