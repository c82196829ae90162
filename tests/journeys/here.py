"""The command line in this very process: what is typed and answered is the same, and a whole journey takes seconds."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eigenkring.cli import main


@dataclass
class Failed(Exception):
    """A command that ended with an error, as `--json` tells it."""

    status: int
    code: str
    message: str


@dataclass
class Here:
    """As ``people.Someone``, without a process for every command."""

    home: Path

    def run(self, *words: str, offline: bool = False) -> dict[str, Any]:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["--home", str(self.home), "--json", *(["--offline"] if offline else []), *words])
            except SystemExit as stop:
                status = int(stop.code or 0)
        if status:
            error = json.loads(err.getvalue().strip().splitlines()[-1])
            raise Failed(status, error["code"], error["message"])
        lines = out.getvalue().strip().splitlines()
        assert len(lines) == 1, f"exactly one JSON object, not {lines}"
        found: dict[str, Any] = json.loads(lines[0])
        return found

    def refused(self, *words: str, offline: bool = False) -> str:
        """The code of a command that must fail."""
        try:
            answer = self.run(*words, offline=offline)
        except Failed as error:
            return error.code
        raise AssertionError(f"not refused, but {answer}")

    def bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.home.rglob("*")) if path.is_file())
