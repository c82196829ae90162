"""The charter as it was last folded, in this device's own store: reading a case checks no signature a second time. It is
only shown. Whatever is written, sent or decided stands on the charter as its records say it (``CaseState.charter``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from eigenkring.charter.log import Heads
from eigenkring.charter.state import Charter
from eigenkring.ids import EntryHash
from eigenkring.session.kept import whole, with_digest
from eigenkring.stream import Position

if TYPE_CHECKING:
    from eigenkring.session.case import CaseState

# Another number for other fields, or other rules of what an entry does.
_VERSION: Final = 1
_NAME: Final = "charter"


class _Kept(msgspec.Struct, array_like=True):
    version: int
    length: int
    chain: bytes
    charter: Charter


def _frozen(value: Any) -> Any:
    if isinstance(value, Heads):
        return list(value)
    raise NotImplementedError(type(value))


def _thawed(kind: type, value: Any) -> Any:
    if kind is not Heads:
        raise NotImplementedError(kind)
    heads = Heads()
    for head in value:
        heads = heads.and_then(EntryHash(head))
    return heads


_encoder = msgspec.msgpack.Encoder(enc_hook=_frozen)
_decoder = msgspec.msgpack.Decoder(_Kept, dec_hook=_thawed)


def keep_charter(session: CaseState, charter: Charter, at: Position) -> None:
    """Where every record up to there was folded, and each was an entry that counts."""
    packed = _encoder.encode(_Kept(_VERSION, at.length, at.chain, charter))
    session.store.put_fact(session.case, _NAME, with_digest(packed))


def load_charter(session: CaseState) -> Charter | None:
    """As it was kept, or None where that is not where the store's log of the charter ends."""
    packed = whole(session.store.fact(session.case, _NAME))
    if packed is None:
        return None
    try:
        kept = _decoder.decode(packed)
    except (msgspec.DecodeError, ValueError, NotImplementedError):
        return None
    at = session.position(session.charter_stream)
    is_here = kept.version == _VERSION and (kept.length, kept.chain) == (at.length, at.chain)
    return kept.charter if is_here else None
