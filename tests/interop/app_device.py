"""Devices of the app under Node, asked over a pipe: pwa/test/live-device.ts. One process holds them all: to begin it
takes longer than most of what is asked."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

PWA = Path(__file__).resolve().parents[2] / "pwa"


class _Process:
    def __init__(self) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, "test/live-device.mjs"], cwd=PWA, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.close)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the app's devices ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        assert self._process.stdin is not None
        if self.runs:
            self._process.stdin.close()
            self._process.wait(timeout=300)


class AppDevice:
    """One device, with a store and a connection of its own."""

    _shared: _Process | None = None
    _numbers = itertools.count()

    def __init__(self) -> None:
        if AppDevice._shared is None or not AppDevice._shared.runs:
            AppDevice._shared = _Process()
        self._process = AppDevice._shared
        self._number = next(AppDevice._numbers)

    def _ask(self, verb: str, *args: Any) -> dict[str, Any]:
        return self._process.ask({"device": self._number, "verb": verb, "args": args})

    def __call__(self, verb: str, *args: Any) -> Any:
        answer = self._ask(verb, *args)
        assert "code" not in answer, f"{verb}: {answer}"
        return answer["value"]

    def refused(self, verb: str, *args: Any) -> str:
        answer = self._ask(verb, *args)
        assert "code" in answer, f"not refused, but {answer}"
        return str(answer["code"])

    def close(self) -> None:
        self._process.ask({"device": self._number, "verb": "close", "args": []})
