"""A program of pwa/test in Node, asked line by line: what TypeScript says of the same bytes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PWA = Path(__file__).parents[2] / "pwa"


class Oracle:
    """A line in, a line out."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            ["node", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        assert answer and not answer.startswith(("crash", '{"crash"')), f"{line[:200]}: {answer}"
        return answer


@contextmanager
def running(name: str) -> Iterator[Oracle]:
    """`pwa/test/NAME.ts`, bundled and running."""
    if shutil.which("node") is None or not (PWA / "node_modules").is_dir():
        pytest.skip("needs Node and pwa/node_modules (make setup)")
    # Inside node_modules, so that the engine beside it is found; it brings its wasm as a file and is not bundled.
    program = PWA / "node_modules" / f".{name}" / "oracle.mjs"
    bundle = ["npx", "rolldown", f"test/{name}.ts", "-p", "node", "-f", "esm", "--file", str(program)]
    outside = ["--external", "@automerge/automerge", "--external", "@automerge/automerge/slim"]
    subprocess.run([*bundle, *outside], cwd=PWA, check=True, capture_output=True)
    oracle = Oracle(program)
    yield oracle
    oracle.process.kill()
    oracle.process.wait()
