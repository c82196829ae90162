"""Writes engine_changes.json beside this file: changes as the two engines write them, inputs of make_change.py.

    .venv/bin/python tests/vectors/fixed/make_engine_changes.py

Run by hand when an engine gets another version. Needs Node and pwa/node_modules.
"""

import json
import subprocess
from pathlib import Path

from automerge.core import ROOT, Document, ObjType, ScalarType

HERE = Path(__file__).parent
PWA = HERE.parents[2] / "pwa"


def python_changes() -> list[str]:
    document = Document(actor_id=b"\1" * 24)
    with document.transaction() as change:
        change.put(ROOT, "naam", ScalarType.Str, "Zoë")
        change.put(ROOT, "leeftijd", ScalarType.Int, -5)
        change.put(ROOT, "deel", ScalarType.F64, 0.25)
        change.put(ROOT, "leeg", ScalarType.Null, None)
        change.put(ROOT, "open", ScalarType.Boolean, True)
        inner = change.put_object(ROOT, "kaart", ObjType.Map)
        change.put(inner, "a", ScalarType.Int, 1)
        change.put(inner, "a", ScalarType.Int, 2)
        words = change.put_object(ROOT, "woorden", ObjType.Text)
        for at, letter in enumerate("hé😀"):
            change.insert(words, at, ScalarType.Str, letter)
    with document.transaction() as change:
        change.delete(words, 1)
        change.delete(ROOT, "leeftijd")
        change.insert(words, 1, ScalarType.Str, "\u0301")
    return [change.raw_bytes.hex() for change in document.get_changes([])]


def main() -> None:
    python = python_changes()
    program = ["node", str(HERE / "make_engine_changes.mjs"), str(PWA), json.dumps(python)]
    made = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    text = json.dumps({**made, "python": python}, indent=1, sort_keys=True) + "\n"
    (HERE / "engine_changes.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
