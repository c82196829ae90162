"""What a reader says to the family: the record on ``up``. Spec: docs/spec/view.md, Up.

It is all that a professional can write. Signed by the reader's own device, so that it stays proven who said it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from eigenkring.errors import Inadmissible
from eigenkring.ids import Chain, GrantId, StreamId
from eigenkring.view import MAX_INTEGER, Signed, unpack
from eigenkring_crypto.errors import BadSignature
from eigenkring_crypto.kdf import label, sha256
from eigenkring_crypto.sign import SigningKey, sign, verify

What: TypeAlias = Literal["answer", "answer_help", "condition", "need", "ask", "opened", "copied"]
# What a person of the circle takes into a part; the others are receipts.
WORDS: Final = frozenset({"answer", "answer_help", "condition", "need", "ask"})
MAX_TEXT_BYTES: Final = 20_000
INCOMING_BYTES: Final = 10

_16 = msgspec.Meta(min_length=16, max_length=16)
_32 = msgspec.Meta(min_length=32, max_length=32)
_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
_Pseudonym = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{20})?\Z")]


class Said(msgspec.Struct, frozen=True):
    """``of``: the pseudonym of the question or request that is answered. ``v``: of a receipt, the version of the view.
    ``at`` is the reader's clock; it decides nothing."""

    grant: Annotated[GrantId, _16]
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    length: _Number
    chain: Annotated[Chain, _32]
    what: What
    at: _Number
    text: str = ""
    why: str = ""
    of: _Pseudonym = ""
    v: _Number = 0


_said_decoder = msgspec.msgpack.Decoder(Said)
_signed_decoder = msgspec.msgpack.Decoder(Signed)


def make_said(key: SigningKey, up: StreamId, said: Said) -> bytes:
    body = msgspec.msgpack.encode(said)
    return msgspec.msgpack.encode(Signed(body, sign(key, "up", up, body)))


def open_said(payload: bytes, up: StreamId, grant: GrantId, reader: bytes, above: int) -> Said:
    """``reader`` is the key in the grant's ``join`` entry, ``above`` the highest ``n`` taken before.

    Raises ``Inadmissible``: ``bad_view`` (another signer, stream or grant, or nonsense), ``not_newer`` (said before: who
    holds the stream's keys could lay a reader's words there a second time).
    """
    signed = unpack(_signed_decoder, payload)
    try:
        verify(reader, "up", up, signed.body, signed.sig)
    except BadSignature:
        raise Inadmissible("bad_view", "not said by the reader of this grant") from None
    said: Said = unpack(_said_decoder, signed.body)
    if said.grant != grant:
        raise Inadmissible("bad_view", "said for another grant")
    if len(said.text.encode()) > MAX_TEXT_BYTES or len(said.why.encode()) > MAX_TEXT_BYTES:
        raise Inadmissible("bad_view", "longer than anybody may say")
    if said.n <= above:
        raise Inadmissible("not_newer", "said before")
    return said


def incoming_id(grant: GrantId, payload: bytes) -> str:
    """How the family names one thing that was said; also the id of the item that it becomes, so that two devices that
    take it at once make one."""
    return sha256(label("incoming"), grant, payload)[:INCOMING_BYTES].hex()
