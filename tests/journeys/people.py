"""Persons with a home folder each, who type commands."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journeys.here import Failed, Here

__all__ = ["Failed", "Someone", "refused"]


@dataclass
class Someone:
    """Types in this very process, which takes a tenth of the time; `is_apart` gives every command a process of its own."""

    home: Path
    name: str
    is_apart: bool = False

    def run(self, *words: str, offline: bool = False) -> dict[str, Any]:
        if not self.is_apart:
            return Here(self.home).run(*words, offline=offline)
        before = ["--home", str(self.home), "--json", *(["--offline"] if offline else [])]
        done = subprocess.run(
            [sys.executable, "-m", "eigenkring.cli", *before, *words], capture_output=True, text=True, timeout=300
        )
        if done.returncode != 0:
            error = json.loads(done.stderr.strip().splitlines()[-1])
            raise Failed(done.returncode, error["code"], error["message"])
        lines = done.stdout.strip().splitlines()
        assert len(lines) == 1, f"exactly one JSON object, not {lines}"
        found: dict[str, Any] = json.loads(lines[0])
        return found


def refused(someone: Someone, *words: str, offline: bool = False) -> str:
    """The code of a command that must fail."""
    try:
        answer = someone.run(*words, offline=offline)
    except Failed as error:
        assert error.status != 0
        return error.code
    raise AssertionError(f"not refused, but {answer}")
