"""What a measurement found: one JSON file each under `bench/results/`, from which `page.py` writes the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"


def keep(name: str, found: dict[str, Any]) -> None:
    print(keep_quietly(name, found), flush=True)


def keep_quietly(name: str, found: dict[str, Any]) -> str:
    """What is kept as it comes, and not told each time."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(_short(found), indent=1, ensure_ascii=False)
    # Never half a file: who measures may be stopped at any time.
    half = FOLDER / f"{name}.json.half"
    half.write_text(text + "\n", encoding="utf-8")
    half.replace(FOLDER / f"{name}.json")
    return text


def read(name: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _short(value: Any) -> Any:
    """Three figures are more than a shared machine can promise."""
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
