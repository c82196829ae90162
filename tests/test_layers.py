"""The layers hold: who imports whom, which modules decide without input or output, names and sizes.

Section 2 of the design as a test that reads imports with `ast`. A name covers what lies below it:
`eigenkring.charter` is also `eigenkring.charter.fold`.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"eigenkring_crypto": "crypto", "eigenkring": "core", "eigenkring_server": "server"}

# Modules that decide: same input, same output, no clock, no randomness, no input or output.
PURE = frozenset(
    "eigenkring.errors eigenkring.wire eigenkring.ids eigenkring.schema eigenkring.stream eigenkring.rooms "
    "eigenkring.charter eigenkring.keys eigenkring.doorstep eigenkring.link eigenkring.change "
    "eigenkring.columns eigenkring.scalars eigenkring.operation eigenkring.part eigenkring.document eigenkring.steps eigenkring.view eigenkring.grant "
    "eigenkring.said eigenkring.paper eigenkring.hall eigenkring.shelf eigenkring.exported eigenkring.readable eigenkring.report eigenkring.differing eigenkring.consent "
    "eigenkring.attachment eigenkring.picture "
    "eigenkring.session eigenkring.store eigenkring.story eigenkring_server.relay eigenkring_server.chain".split()
)
# Modules that touch the world. A module of core is in one of the two lists.
IMPURE = frozenset(
    "eigenkring.crdt eigenkring.sqlite_store eigenkring.unzip eigenkring.transport eigenkring.abreast eigenkring.sync eigenkring.visiting eigenkring.receiving "
    "eigenkring.following eigenkring.answering eigenkring.incoming eigenkring.receipts eigenkring.renewing eigenkring.own_devices eigenkring.sleeping eigenkring.recovery eigenkring.moving_out eigenkring.moving_in eigenkring.shelving eigenkring.coming_along eigenkring.exporting eigenkring.reporting eigenkring.importing eigenkring.erasing "
    "eigenkring.giving eigenkring.carrying eigenkring.filing eigenkring.editing eigenkring.live eigenkring.sending eigenkring.watching eigenkring.waiting eigenkring.parting eigenkring.deciding eigenkring.letting eigenkring.onward eigenkring.case eigenkring.library eigenkring.demo eigenkring.glass eigenkring.cli eigenkring.__main__".split()
)
THE_ENGINE_IS_IN = "eigenkring.crdt"
MAY_START_THE_RELAY = frozenset({"eigenkring.demo", "eigenkring.cli"})
# Reads the file that comes with it, once, and nothing else.
READS_ITS_OWN_FILE = {"eigenkring.schema": "importlib.resources"}
SERVER_SEES = frozenset({"eigenkring.wire", "eigenkring.errors"})

THIRD_PARTY = {
    "eigenkring_crypto": frozenset({"cryptography"}),
    "eigenkring": frozenset("automerge msgspec sqlite_utils click httpx websockets segno".split()),
    "eigenkring_server": frozenset("litestar msgspec sqlite_utils uvicorn h11 websockets click".split()),
}
PURE_THIRD_PARTY = frozenset({"msgspec"})
# Standard library that a module that decides may not have.
IO = frozenset(
    "aiohttp asyncio concurrent ctypes fileinput getpass glob http importlib io logging mmap multiprocessing "
    "os pathlib random secrets select selectors shelve shutil signal socket socketserver sqlite3 ssl "
    "subprocess sys tempfile threading time urllib uuid webbrowser".split()
)
IO_CALLS = frozenset("open print input exec eval __import__ now utcnow today".split())

BAD_NAMES = frozenset("util utils helper helpers manager managers".split())
MOST_LINES = 450


@dataclass(frozen=True)
class Source:
    module: str
    text: str
    is_package: bool = False

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def sources() -> list[Source]:
    found = []
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            found.append(Source(name, path.read_text(encoding="utf-8"), is_package))
    return found


def under(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def imports(source: Source) -> Iterator[str]:
    """Every module imported anywhere in the source, also in functions; `from a import b` may mean `a.b`."""
    home = source.module.split(".") if source.is_package else source.module.split(".")[:-1]
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(home[: len(home) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (base, node.module)))
            if is_module(base):
                for alias in node.names:
                    below = f"{base}.{alias.name}"
                    yield below if is_module(below) else base
            else:
                yield base


def is_module(name: str) -> bool:
    """Whether this is a module of ours that exists, or one that the lists above foresee."""
    folder = FOLDERS.get(name.partition(".")[0])
    if folder is None:
        return False
    path = ROOT / folder / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file() or name in PURE | IMPURE


def calls(source: Source) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute) and node.func.attr in ("now", "utcnow", "today"):
                yield node.func.attr


def allowed(source: Source, name: str) -> bool:
    """Whether the module may import `name`."""
    module, package = source.module, source.package
    top = name.partition(".")[0]
    pure = under(module, PURE)
    if top == package:
        return not pure or module == name or under(name, PURE) or name == package
    if top in FOLDERS:
        if package == "eigenkring_server":
            return name in SERVER_SEES
        if package == "eigenkring_crypto":
            return False
        if top == "eigenkring_server":
            return under(module, MAY_START_THE_RELAY)
        return True  # core on crypto
    if top == "automerge":
        return under(module, {THE_ENGINE_IS_IN})
    if READS_ITS_OWN_FILE.get(module) == name:
        return True
    if top in sys.stdlib_module_names:
        return not (pure and top in IO)
    if package == "eigenkring" and top == "uvicorn":
        return under(module, MAY_START_THE_RELAY)
    return top in (PURE_THIRD_PARTY if pure else THIRD_PARTY[package])


def violations(source: Source) -> list[str]:
    found = [f"{source.module} imports {name}" for name in imports(source) if not allowed(source, name)]
    if under(source.module, PURE):
        found += [f"{source.module} calls {name}()" for name in calls(source) if name in IO_CALLS]
    return found


ALL = sources()


def test_every_package_is_read() -> None:
    assert {source.package for source in ALL} == set(FOLDERS)


def test_no_module_imports_what_its_layer_may_not() -> None:
    assert [line for source in ALL for line in violations(source)] == []


def test_what_the_relay_loads_of_ours_leads_to_no_crypto_and_no_engine() -> None:
    by_name = {source.module: source for source in ALL}
    todo, seen = set(SERVER_SEES) | {"eigenkring"}, set[str]()
    while todo:
        name = todo.pop()
        seen.add(name)
        if name in by_name:
            reached = set(imports(by_name[name])) | ({name.rpartition(".")[0]} - {""})
            todo |= {other for other in reached if other.partition(".")[0] in FOLDERS} - seen
    assert not under_any(seen, {"eigenkring_crypto", THE_ENGINE_IS_IN}), sorted(seen)


def under_any(modules: Iterable[str], names: Iterable[str]) -> bool:
    return any(under(module, names) for module in modules)


def test_the_relay_process_loads_neither_the_engine_nor_the_crypto_package() -> None:
    modules = [source.module for source in ALL if source.package == "eigenkring_server"]
    modules = [name for name in modules if not name.endswith("__main__")]
    modules += [name for name in sorted(SERVER_SEES) if importlib.util.find_spec(name)]
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} & {'automerge', 'eigenkring_crypto'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_only_one_module_holds_the_engine() -> None:
    holders = {source.module for source in ALL if "automerge" in {n.partition(".")[0] for n in imports(source)}}
    assert holders <= {THE_ENGINE_IS_IN}


def test_every_module_of_core_is_known_to_decide_or_to_touch_the_world() -> None:
    names = [source.module for source in ALL if source.package == "eigenkring" and "." in source.module]
    assert [name for name in names if not under(name, PURE | IMPURE)] == []


def test_every_module_listed_exists_once_the_library_on_top_of_them_does() -> None:
    if not is_file("eigenkring.library"):
        return  # being built from below
    assert [name for name in sorted(PURE | (IMPURE - {"eigenkring.__main__"})) if not is_file(name)] == []


def is_file(name: str) -> bool:
    path = ROOT / FOLDERS[name.partition(".")[0]] / name.replace(".", "/")
    return (path / "__init__.py").is_file() or path.with_suffix(".py").is_file()


def written_here() -> list[Path]:
    found = [path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")]
    return found + [p for p in (ROOT / "pwa/src").rglob("*") if p.suffix in (".ts", ".js", ".svelte", ".css")]


def is_badly_named(path: Path) -> bool:
    words = {word for part in (path.stem, path.parent.name) for word in re.split(r"[^a-z]+", part.lower())}
    humps = re.split(r"(?=[A-Z])|[^A-Za-z]+", path.stem)
    return bool((words | {hump.lower() for hump in humps}) & BAD_NAMES)


def test_names_say_what_a_module_is_about() -> None:
    assert [str(path.relative_to(ROOT)) for path in written_here() if is_badly_named(path)] == []


def test_no_source_file_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in written_here()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("eigenkring_crypto.seal", "import eigenkring.errors"),
        ("eigenkring_crypto.seal", "from eigenkring import errors"),
        ("eigenkring_crypto.seal", "import msgspec"),
        ("eigenkring_server.app", "import eigenkring_crypto"),
        ("eigenkring_server.app", "from eigenkring import session"),
        ("eigenkring_server.app", "def f():\n    from eigenkring.charter.fold import fold"),
        ("eigenkring_server.app", "import eigenkring"),
        ("eigenkring_server.app", "import automerge"),
        ("eigenkring_server.app", "import httpx"),
        ("eigenkring_server.relay", "import sqlite3"),
        ("eigenkring_server.relay", "import litestar"),
        ("eigenkring_server.relay", "import time"),
        ("eigenkring.part", "import automerge"),
        ("eigenkring.store", "from automerge import core"),
        ("eigenkring.sync", "import requests"),
        ("eigenkring.sync", "import eigenkring_server"),
        ("eigenkring.charter.fold", "from os import path"),
        ("eigenkring.charter.fold", "from eigenkring import sync"),
        ("eigenkring.charter.fold", "from eigenkring.sqlite_store import SqliteStore"),
        ("eigenkring.charter.fold", "from .. import sync"),
        ("eigenkring.stream", "import sqlite_utils"),
        ("eigenkring.stream", "import secrets"),
        ("eigenkring.stream", "import asyncio"),
        ("eigenkring.view", "import datetime\ndatetime.datetime.now()"),
        ("eigenkring.view", "open('x')"),
        ("eigenkring.view", "from importlib.resources import files"),
        ("eigenkring.schema", "import importlib"),
        ("eigenkring.view", "import importlib\nimportlib.import_module('sqlite3')"),
    ],
)
def test_a_violation_is_seen(module: str, text: str) -> None:
    assert len(violations(Source(module, text))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("eigenkring_crypto.seal", "import os\nfrom cryptography.hazmat.primitives import hashes"),
        ("eigenkring_crypto.seal", "from eigenkring_crypto import hashes"),
        (
            "eigenkring_server.app",
            "from eigenkring import wire\nfrom eigenkring.errors import NotAllowed\nimport litestar",
        ),
        ("eigenkring_server.relay", "from eigenkring.wire import Frame\nimport dataclasses"),
        ("eigenkring.crdt", "import automerge\nfrom automerge import core"),
        (
            "eigenkring.charter.fold",
            "from eigenkring.charter.state import State\nimport eigenkring_crypto, msgspec",
        ),
        ("eigenkring.view", "import datetime\ndatetime.date.fromisoformat('2026-01-01')"),
        ("eigenkring.demo", "import eigenkring_server.app, uvicorn"),
    ],
)
def test_what_the_design_allows_is_allowed(module: str, text: str) -> None:
    assert violations(Source(module, text)) == []


@pytest.mark.parametrize("name", ["utils.py", "string_utils.py", "keyManager.ts", "helpers/a.py", "KeyHelper.ts"])
def test_a_name_that_says_nothing_is_seen(name: str) -> None:
    assert is_badly_named(Path(name))


@pytest.mark.parametrize("name", ["keys.py", "futility.py", "management.ts"])
def test_a_name_that_says_something_is_not(name: str) -> None:
    assert not is_badly_named(Path(name))
