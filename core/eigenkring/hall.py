"""The hall behind a moving address: the seeds of sleeping devices, one for each case. Spec: docs/spec/recovery.md, Moving in.

What the address alone holds is a key to this stream. Where the hall is closed, or its days are over, it opens nothing.
"""

from __future__ import annotations

import hmac as _hmac
from typing import Annotated, Final

import msgspec

from eigenkring import wire
from eigenkring.charter.entry import NONSENSE
from eigenkring.errors import Inadmissible
from eigenkring.link import Link
from eigenkring.paper import Sheet
from eigenkring.stream import StreamSecrets
from eigenkring.wire import check_keys
from eigenkring_crypto.kdf import derive, label, sha256

# The kind of its link.
MOVE: Final = 4
MAX_SHEETS: Final = 1_000
MAX_NAME_CHARS: Final = 1_000


class Hall(msgspec.Struct, frozen=True):
    """``name``: whose it is, to ask them before anything is done; ``until``: seconds, by the clock of who made it."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    until: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    sheets: Annotated[list[Sheet], msgspec.Meta(min_length=1, max_length=MAX_SHEETS)]


def hall_secrets(link: Link) -> StreamSecrets:
    """All three: who moved in closes the door behind them."""
    stream = link.doorstep
    return StreamSecrets(
        stream,
        read=derive(link.seed, "hall read", stream),
        write=derive(link.seed, "hall write", stream),
        manage=derive(link.seed, "hall manage", stream),
    )


def hall_opening(link: Link, expires: int) -> wire.Open:
    """The relay ends it then, in seconds, by its own clock."""
    return msgspec.structs.replace(hall_secrets(link).opening(), expires=expires)


def pack_hall(hall: Hall) -> bytes:
    return msgspec.msgpack.encode(hall)


def hall_pin(payload: bytes) -> bytes:
    """What the address holds of it: whoever found the address too cannot put other seeds there."""
    return sha256(label("hall"), payload)


def open_hall(payload: bytes, pin: bytes) -> Hall:
    """Raises ``Inadmissible("wrong_pin")`` for anything but what the address was made with."""
    if not _hmac.compare_digest(hall_pin(payload), pin):
        raise Inadmissible("wrong_pin", "this is not what the address was made with")
    try:
        check_keys(payload)
        hall = msgspec.msgpack.decode(payload, type=Hall)
    except (Inadmissible, *NONSENSE):
        raise Inadmissible("wrong_pin", "what lies there is no hall") from None
    if len({sheet.case for sheet in hall.sheets}) != len(hall.sheets):
        raise Inadmissible("wrong_pin", "a case twice")
    return hall
