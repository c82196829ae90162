"""Persons with a home folder each, who type commands; every command is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Failed(Exception):
    """A command that ended with an error, as `--json` tells it."""

    status: int
    code: str
    message: str


@dataclass
class Someone:
    home: Path
    name: str

    def run(self, *words: str, offline: bool = False) -> dict[str, Any]:
        before = ["--home", str(self.home), "--json", *(["--offline"] if offline else [])]
        done = subprocess.run(
            [sys.executable, "-m", "eigenkring.cli", *before, *words], capture_output=True, text=True, timeout=120
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
