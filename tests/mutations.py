"""Takes each defence out in turn, in a copy of the tree, and asks that its test goes red.

    python tests/mutations.py                  the defences of defences.py, one after the other
    python tests/mutations.py cut door         those whose name has one of these words
    python tests/mutations.py --guards [word]  every guard of the pure rules in both languages (guards.py); an hour
    python tests/mutations.py --kept FILE ...  each outcome is a line of FILE at once, and what FILE calls held is not tried again

A mutation is a file, the exact lines that are replaced, and the test that must notice. Lines that are not there (any
more) are an error: a defence that moved takes its row along.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from defences import MUTATIONS, Mutation
from guards import guards

ROOT = Path(__file__).resolve().parent.parent
TREES = ("core", "crypto", "server", "tests", "docs", "pwa", "pyproject.toml", "README.md", "Makefile")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".hypothesis", "node_modules", "dist")
SECONDS = 240
OK = "ok  "


class Tree:
    """A copy of what is tested, in which files can be changed for a moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in TREES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=LEFT_OUT)
            elif source.exists():
                shutil.copy(source, folder / name)
        (folder / "pwa/node_modules").symlink_to(ROOT / "pwa/node_modules")
        # vitest starts its relay with it.
        (folder / ".venv").symlink_to(Path(sys.prefix))

    def with_change(self, file: str, changed: bytes, tests: Sequence[str]) -> str | None:
        """What is wrong, None where a test noticed."""
        path = self.folder / file
        before = path.read_bytes()
        path.write_bytes(changed)
        try:
            status = self.run(tests)
        finally:
            path.write_bytes(before)
        if status == 1:
            return None
        return "nobody noticed" if status == 0 else f"the tests ended with {status}"

    def run(self, tests: Sequence[str], seconds: float = SECONDS) -> int:
        """0 all passed, 1 something failed, else it did not come to testing."""
        python = [test for test in tests if ".py" in test]
        vitest = [test for test in tests if ".py" not in test]
        status = self._run(self._pytest(python), self.folder, seconds) if python else 0
        if status == 0 and vitest:
            status = self._run(self._vitest(vitest), self.folder / "pwa", seconds)
        return status

    @staticmethod
    def _pytest(tests: Iterable[str]) -> list[str]:
        options = "-q -x -p no:cacheprovider --no-header --timeout 120".split()
        return [sys.executable, "-m", "pytest", *options, *tests]

    @staticmethod
    def _vitest(tests: Iterable[str]) -> list[str]:
        """`file.test.ts` or `file.test.ts::words of a test's name`."""
        files, names = set[str](), list[str]()
        for test in tests:
            file, _, name = test.removeprefix("pwa/").partition("::")
            files.add(file)
            names += [re.escape(name)] if name else []
        # One pattern for all of them: a second one would be an error.
        chosen = ["-t", "|".join(names)] if names else []
        return ["node", "node_modules/vitest/vitest.mjs", "run", "--bail", "1", *chosen, *sorted(files)]

    def _run(self, command: list[str], at: Path, seconds: float) -> int:
        paths = [str(self.folder / name) for name in ("crypto", "core", "server")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("CI", None)
        try:
            return subprocess.run(
                command, cwd=at, env=environment, capture_output=True, timeout=seconds, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return 1  # a defence against what never ends was taken out


def mutated(mutation: Mutation, text: str) -> str:
    """Raises ``ValueError`` where the lines are not there exactly once."""
    count = text.count(mutation.old)
    if count != 1:
        raise ValueError(f"the lines are there {count} times in {mutation.file}")
    return text.replace(mutation.old, mutation.new)


class Kept:
    """Outcomes in a file, so that a table that takes an hour goes on where it was stopped."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        lines = file.read_text().splitlines() if file is not None and file.exists() else []
        self.held = {line[len(OK) :] for line in lines if line.startswith(OK)}
        self.tried: list[tuple[str, str | None]] = []

    def tell(self, name: str, wrong: str | None) -> None:
        line = f"{OK}{name}" if wrong is None else f"BAD {name}: {wrong}"
        print(line, flush=True)
        self.tried.append((name, wrong))
        if self.file is not None:
            with self.file.open("a") as kept:
                kept.write(line + "\n")


def try_defences(tree: Tree, words: list[str], kept: Kept) -> None:
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    chosen = [m for m in chosen if m.name not in kept.held]
    # Red means something only where it was green before.
    if tree.run(sorted({m.test for m in chosen}), len(chosen) * SECONDS) != 0:
        kept.tell("with every defence in its place", "a test fails already")
        return
    for mutation in chosen:
        try:
            changed = mutated(mutation, (tree.folder / mutation.file).read_text())
        except ValueError as error:
            kept.tell(mutation.name, str(error))
            continue
        kept.tell(mutation.name, tree.with_change(mutation.file, changed.encode(), [mutation.test]))


def try_guards(tree: Tree, words: list[str], kept: Kept) -> None:
    for guard in [*guards("python"), *guards("typescript")]:
        if guard.held_by or guard.name in kept.held or (words and not any(word in guard.name for word in words)):
            continue
        raw = (tree.folder / guard.file).read_bytes()
        never = b"False" if guard.file.endswith(".py") else b"(false as boolean)"
        changed = raw[: guard.start] + never + raw[guard.end :]
        kept.tell(guard.name, tree.with_change(guard.file, changed, guard.tests))


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--guards", action="store_true")
    options.add_argument("--kept", type=Path)
    options.add_argument("words", nargs="*")
    chosen = options.parse_args(arguments)
    kept = Kept(chosen.kept)
    with tempfile.TemporaryDirectory(prefix="eigenkring-mutation-") as folder:
        (try_guards if chosen.guards else try_defences)(Tree(Path(folder)), chosen.words, kept)
    bad = sum(wrong is not None for _, wrong in kept.tried)
    what = "guards" if chosen.guards else "defences"
    print(f"{len(kept.tried) - bad} of {len(kept.tried)} {what} are held by their test")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
