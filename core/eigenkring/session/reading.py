"""Opening the records of the charter, before anything of it is believed. Spec: docs/spec/charter.md, The charter.

Whoever belongs can append noise and hand out false secrets. Neither may stop a newcomer, nor make this device pass over
an entry that others admit: so a record counts as noise only where the right key is known to be at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from eigenkring.charter.entry import parse_entry
from eigenkring.errors import Inadmissible
from eigenkring.ids import CaseId, RoomSecret, StreamId
from eigenkring.rooms import EVERYONE, open_link
from eigenkring.stream import Placed, StreamSecrets
from eigenkring_crypto import capability
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.seal import record_epoch


def open_charter(
    case: CaseId, records: Sequence[Placed], told: Mapping[int, Sequence[bytes]], is_known: Callable[[int], bool]
) -> dict[int, bytes]:
    """The payloads by index, walking the room links back from the newest secret. Empty for noise, which the fold refuses
    by name; absent for what may open once more keys come. ``told``: secrets of *everyone* by epoch. ``is_known``: whether
    the charter commits to a secret we hold for it.
    """
    stream, opened = StreamId(case), dict[int, bytes]()
    by_epoch: dict[int, list[Placed]] = {}
    for placed in records:
        try:
            by_epoch.setdefault(record_epoch(placed.record), []).append(placed)
        except CryptoError:
            opened[placed.index] = b""  # not a record at all: the fold refuses it by name
    secrets = {epoch: list(given) for epoch, given in told.items()}
    for epoch in sorted(by_epoch, reverse=True):
        # A secret that opens one record of its epoch, or that the charter commits to, is the right one.
        right = is_known(epoch)
        for secret in secrets.get(epoch, ()):
            at = StreamSecrets(stream, read=capability.read_secret(secret, stream), read_epoch=epoch)
            for placed in by_epoch[epoch]:
                try:
                    opened[placed.index] = at.open(placed.record)
                except CryptoError:
                    continue
                right = True
                earlier = _earlier_secret(opened[placed.index], case, epoch, secret)
                if earlier is not None:
                    # The turning entry does not say which epoch was before.
                    for lower in [e for e in by_epoch if e < epoch and earlier not in secrets.get(e, ())]:
                        secrets.setdefault(lower, []).append(earlier)
        if right:
            for placed in by_epoch[epoch]:
                opened.setdefault(placed.index, b"")
    return opened


def _earlier_secret(payload: bytes, case: CaseId, epoch: int, secret: bytes) -> bytes | None:
    """The secret of *everyone* one epoch back, from the entry that turned it; None where this is another entry."""
    try:
        entry = parse_entry(payload)
    except Inadmissible:
        return None
    for room in getattr(entry.body, "rooms", ()):
        if room.room == EVERYONE and room.epoch == epoch and room.link:
            return open_link(case, EVERYONE, epoch, RoomSecret(secret), room.link)
    return None
