"""Links: ``RELAY/#`` and what never leaves the fragment. Spec: docs/spec/charter.md, Doorstep."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

from eigenkring.errors import Misuse
from eigenkring.ids import StreamId

VERSION: Final = 1
KINDS: Final = frozenset({1, 2, 3, 4})
_BYTES: Final = 2 + 16 + 32 + 32
_CHARS: Final = -(-_BYTES * 4 // 3)
# No userinfo (`https://safe.example@evil.example/` reads like another place), no query, no dots that climb.
_RELAY: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?",
    re.ASCII | re.IGNORECASE,
)
_SPACE: Final = " \t\r\n\u00a0\u200b\ufeff<>"


class Link(NamedTuple):
    """``relay`` is an address without closing slash; ``kind``: 1 invites a person, 2 gives access, 3 adds an own
    device, 4 lets a person move in elsewhere (``doorstep`` is a hall then)."""

    relay: str
    kind: int
    doorstep: StreamId
    seed: bytes
    pin: bytes

    def __repr__(self) -> str:
        # The seed is the whole secret of the link; a link in a log is a link given away.
        return f"Link({self.relay}, {self.kind})"


def format_link(link: Link) -> str:
    """The text of a link. Raises ``Misuse("bad_link")`` for what would not parse again."""
    sizes = (len(link.doorstep), len(link.seed), len(link.pin))
    if link.kind not in KINDS or sizes != (16, 32, 32):
        raise Misuse("bad_link", "a link of other parts")
    data = bytes([VERSION, link.kind]) + link.doorstep + link.seed + link.pin
    return f"{relay_address(link.relay)}/#{base64.urlsafe_b64encode(data).decode().rstrip('=')}"


def parse_link(text: str) -> Link:
    """Raises ``Misuse("bad_link")``. Space around it is forgiven, and angle brackets, because mail programs add
    them."""
    address, hash_sign, fragment = text.strip(_SPACE).partition("#")
    if not hash_sign or len(fragment) != _CHARS or not fragment.isascii():
        raise Misuse("bad_link", "the link is not complete")
    try:
        data = base64.b64decode(fragment + "=" * (-_CHARS % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Misuse("bad_link", "the link holds other signs") from None
    # Bits behind the last byte that are not zero would make two texts of one link.
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != fragment:
        raise Misuse("bad_link", "the link was mistyped")
    if data[0] != VERSION or data[1] not in KINDS:
        raise Misuse("bad_link", "the link is of a newer kind")
    return Link(relay_address(address), data[1], StreamId(data[2:18]), data[18:50], data[50:82])


def relay_address(address: str) -> str:
    """The address of a relay as links write it: scheme and host in small letters, no closing slash."""
    match = _RELAY.fullmatch(address.strip(_SPACE))
    if match is None:
        raise Misuse("bad_link", "not the address of a relay")
    port = match["port"] or ""
    if port and not 0 < int(port[1:]) < 65_536:
        raise Misuse("bad_link", "not the address of a relay")
    if any(part in (".", "..") for part in match["path"].split("/")):
        raise Misuse("bad_link", "not the address of a relay")
    return f"{match['scheme'].lower()}://{match['host'].lower()}{port}{match['path']}"
