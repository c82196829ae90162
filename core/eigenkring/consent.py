"""To which text an answer belongs (docs/spec/schema.md, Decisions)."""

from __future__ import annotations

import unicodedata
from typing import Final

from eigenkring_crypto.kdf import label, sha256

MARK_BYTES: Final = 8


def decision_mark(text: str) -> str:
    """16 hexadecimal digits of a proposal's text. An answer carries it, so that an edit voids every answer by itself:
    no clock and nobody's honesty is needed. Spaces around the text, and how a letter is composed, make no difference."""
    same = unicodedata.normalize("NFC", text).strip(" \t\r\n")
    return sha256(label("decision"), same.encode())[:MARK_BYTES].hex()
