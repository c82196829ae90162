"""The page of an export that people read, worked out from what its parts say. Spec: docs/spec/export.md. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from eigenkring.schema import Schema
from eigenkring_crypto.kdf import label, sha256


def schema_hash(schema: Schema) -> bytes:
    """Which words and signs the page for people is made of, by the page itself: one with an item of every field, and every
    form that a value takes. A program with another hash makes other pages of the same records."""
    content: dict[str, Any] = {
        kind: {name: {"": dict.fromkeys(shape.fields, "x")} for name, shape in known.collections.items()}
        for kind, known in schema.kinds.items()
    }
    files = ({"attachment": name, "code": "x", "file": place} for name in ("x", None) for place in ("x", None))
    values = [True, False, ["x", "y"], 0.5, *files]
    content["x@y"] = {"x": {"": {f"{at}": value for at, value in enumerate(values)}}}
    return sha256(label("export page"), readable("", content, {}, schema).encode())


def readable(title: str, content: Mapping[str, Any], people: Mapping[str, str], schema: Schema) -> str:
    """One page without scripts and without anything from elsewhere."""
    lines = [
        "<!doctype html>",
        '<html lang="nl"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{_text(title)}</title>",
        "<style>body{font:1rem/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
        "dt{font-weight:bold}li{margin:.75rem 0}</style></head><body>",
        f"<h1>{_text(title)}</h1><p>Kopie van alles wat u mocht lezen.</p>",
        f"<h2>Kring</h2><p>{_text(', '.join(sorted(people.values())))}</p>",
    ]
    for part, collections in sorted(content.items()):
        kind, _, about = part.partition("@")
        known = schema.kinds.get(kind)
        heading = kind if known is None else known.title.nl
        of = f": {people.get(about, about)}" if about else ""
        lines.append(f"<h2>{_text(heading + of)}</h2>")
        for name, items in sorted(collections.items()):
            shape = schema.collection(kind, name)
            lines.append(f"<h3>{_text(name if shape is None else shape.title.nl)}</h3><ul>")
            lines += [_item(kind, name, fields, people, schema) for _, fields in sorted(items.items())]
            lines.append("</ul>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def _item(kind: str, collection: str, fields: Mapping[str, Any], people: Mapping[str, str], schema: Schema) -> str:
    rows = []
    for name, value in sorted(fields.items()):
        if value in ("", [], None):
            continue
        rule = schema.field(kind, collection, name)
        shown = _file(value) if isinstance(value, Mapping) else _text(_shown(value, people))
        rows.append(f"<dt>{_text(name if rule is None else rule.label.nl)}</dt><dd>{shown}</dd>")
    return f"<li><dl>{''.join(rows)}</dl></li>"


def _file(value: Mapping[str, Any]) -> str:
    name, place = _text(str(value["attachment"] or value.get("code"))), value.get("file")
    return name + " (niet meegenomen)" if place is None else f'<a href="{_text(place)}">{name}</a>'


def _shown(value: Any, people: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_shown(member, people) for member in value)
    return people.get(str(value), str(value))


def _text(text: str) -> str:
    return html.escape(text, quote=True)
