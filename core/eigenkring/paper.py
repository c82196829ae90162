"""The way back on paper: what a recovery code gives, and the space it opens. Spec: docs/spec/recovery.md.

A phone can add to its person's space and cannot read what it added: a thief with the phone finds no seed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import Chain, StreamId
from eigenkring.stream import StreamSecrets
from eigenkring.wire import check_keys
from eigenkring_crypto.box import BoxKey, open_box, seal_box
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import derive

CODE_BYTES: Final = 20

_16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Sheet(msgspec.Struct, frozen=True):
    """One case as the paper knows it: the seed of a sleeping device, and where its keys lie."""

    case: _16
    relay: str
    seed: _32
    keys: _16
    secret: _32
    n: _Number
    head: _32

    def __repr__(self) -> str:
        return f"Sheet({self.case.hex()})"


class Space(msgspec.Struct, frozen=True):
    """What a phone keeps of a space: enough to add to it."""

    relay: str
    stream: _16
    read: _32
    write: _32
    box: Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]

    @property
    def secrets(self) -> StreamSecrets:
        return StreamSecrets(StreamId(self.stream), read=self.read, write=self.write)

    def __repr__(self) -> str:
        return f"Space({self.stream.hex()})"


class _Record(msgspec.Struct, frozen=True):
    length: _Number
    chain: _32
    box: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """All that the 160 bits of a code give."""

    space: Space
    manage: bytes
    key: BoxKey

    @property
    def secrets(self) -> StreamSecrets:
        """With the right to close, which no phone keeps."""
        return StreamSecrets(
            StreamId(self.space.stream), read=self.space.read, write=self.space.write, manage=self.manage
        )


def open_code(code: bytes, relay: str) -> Code:
    """``code`` is 20 bytes, as ``decode_code`` gives them."""
    stream = StreamId(derive(code, "space")[:16])
    key = BoxKey.from_seed(derive(code, "space box", stream))
    space = Space(relay, stream, derive(code, "space read", stream), derive(code, "space write", stream), key.public)
    return Code(space, derive(code, "space manage", stream), key)


def make_record(space: Space, sheet: Sheet, length: int, chain: Chain, nonce: bytes) -> bytes:
    """A sealed record of the space that only the code opens."""
    box = seal_box(space.box, "space", space.stream, msgspec.msgpack.encode(sheet))
    return space.secrets.seal(msgspec.msgpack.encode(_Record(length, chain, box)), nonce)


def open_record(code: Code, record: bytes) -> Sheet | None:
    """The sheet in a record; None for noise, which whoever has the phone can add."""
    try:
        payload = code.secrets.open(record)
        check_keys(payload)
        found = msgspec.msgpack.decode(payload, type=_Record)
        content = open_box(code.key, "space", code.space.stream, found.box)
        check_keys(content)
        return msgspec.msgpack.decode(content, type=Sheet)
    except (CryptoError, Inadmissible, msgspec.DecodeError, ValueError, RecursionError):
        return None
