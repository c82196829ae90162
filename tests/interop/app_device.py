"""One device of the app under Node, asked over a pipe: pwa/test/live-device.ts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

PWA = Path(__file__).resolve().parents[2] / "pwa"


class AppDevice:
    def __init__(self) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, "test/live-device.mjs"], cwd=PWA, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _ask(self, verb: str, *args: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verb": verb, "args": args}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the app's device ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __call__(self, verb: str, *args: Any) -> Any:
        answer = self._ask(verb, *args)
        assert "code" not in answer, f"{verb}: {answer}"
        return answer["value"]

    def refused(self, verb: str, *args: Any) -> str:
        answer = self._ask(verb, *args)
        assert "code" in answer, f"not refused, but {answer}"
        return str(answer["code"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
