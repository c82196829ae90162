"""Taking a case along: a folder that anybody can read, and that proves offline who wrote what. Spec: docs/spec/export.md."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eigenkring import carrying, exported, readable
from eigenkring.case import Case
from eigenkring.charter.state import Charter, Part
from eigenkring.crdt import Engine
from eigenkring.errors import EigenkringError, Misuse
from eigenkring.exported import CHARTER, CONTENT, MANIFEST, READABLE, Log, Manifest, refused
from eigenkring.ids import CaseId, PersonId
from eigenkring.receipts import day_of
from eigenkring.schema import load_schema
from eigenkring.session.parts import CaseSession
from eigenkring.transport import NoTransport
from eigenkring.unzip import unzip
from eigenkring_crypto.capability import read_secret
from eigenkring_crypto.errors import CryptoError
from eigenkring_crypto.kdf import sha256

MAX_FILES = 10_000
# Above what a relay keeps of one family, and below what a device can hold at once.
MAX_BYTES = 2_147_483_648
FOLDERS = ("parts", "files")


def _new_engine() -> Engine:
    return Engine(bytes(24))


def export(case: Case, folder: Path) -> dict[str, Any]:
    """Write all that this device reads of a case; where it is over for this person, all that it read until then. The folder
    is as secret as the plan itself: it is not locked.

    Gives ``{"exported", "parts", "records", "attachments", "missing"}``: photos and files that came along, and those that are
    neither here nor to be had now. Raises ``Misuse``: ``home_exists`` where something lies there already.
    """
    # Not `case.charter`: what was read here, and the own pages, stay this person's to take along after a removal.
    charter, session = case.session.known(), case.session
    if folder.exists() and any(folder.iterdir()):
        raise Misuse("home_exists", "that folder is not empty")
    logs = {"": _charter_log(session)}
    logs |= {
        name: _part_log(session, part) for name, part in sorted(charter.parts.items()) if part.stream in session.parts
    }
    files: dict[str, bytes] = {CHARTER: msgspec.msgpack.encode(logs[""])}
    files |= {_file_of(name): msgspec.msgpack.encode(log) for name, log in logs.items() if name}
    content, _, _ = _content(charter, logs)
    wanted = exported.attachments_of(content)
    files |= (taken := _attachments(case, charter, content))
    files |= _for_people(charter, content, taken.keys())
    manifest = Manifest(
        exported.VERSION,
        session.case,
        session.device(),
        session.around.clock(),
        charter.n,
        charter.head,
        tuple(sorted((name, sha256(data)) for name, data in files.items())),
        tuple((name, *_end(log)) for name, log in sorted(logs.items())),
        readable.schema_hash(load_schema()),
    )
    files[MANIFEST] = exported.sign_manifest(session.keys.sign, manifest)
    try:
        _write(folder, files)
    except OSError as error:
        raise Misuse("no_home", f"the export cannot be written: {error.strerror}") from None
    return {
        "exported": str(folder),
        "parts": len(logs) - 1,
        "records": sum(len(log.records) for log in logs.values()),
        "attachments": len(taken),
        "missing": len(wanted) - len(taken),
    }


def _attachments(case: Case, charter: Charter, content: dict[str, Any]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    # Who was removed takes along what lies here, and asks the relay for nothing more.
    transport = NoTransport() if case.session.row.state == "removed" else case.transport
    for name in sorted(content):
        for place, named in sorted(exported.attachments_of({name: content[name]}).items()):
            for attachment in named:
                # One that cannot be had must not keep the plan from being taken along.
                with suppress(EigenkringError, CryptoError):
                    found[place] = carrying.fetch(case.session, transport, name, attachment)
    return found


def _write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)


def _charter_log(session: CaseSession) -> Log:
    records = session.store.records(session.case, session.charter_stream)
    payloads = session.open_charter(records)
    first = session.store.chain_at(session.case, session.charter_stream, 0)
    if first is None:
        raise AssertionError("a charter without a beginning")
    return Log(session.case, 0, first, tuple((one.record, payloads.get(one.index) or None) for one in records))


def _part_log(session: CaseSession, part: Part) -> Log:
    base = session.position(part.stream).base
    chain = session.store.chain_at(session.case, part.stream, base)
    if chain is None:
        raise AssertionError("a part without the chain at its base")
    records = []
    for placed in session.store.records(session.case, part.stream):
        try:
            payload: bytes | None = session.open_record(part.stream, part.read, placed.record)
        except CryptoError:
            payload = None
        records.append((bytes(placed.record), payload))
    return Log(part.stream, base, chain, tuple(records), _ended_secrets(session, part))


def _ended_secrets(session: CaseSession, part: Part) -> tuple[tuple[int, bytes], ...]:
    """For checking cuts. Never of the present epoch: whoever found the folder could read on at the relay."""
    charter = session.known()
    epochs = {cut.read_epoch for cut in charter.cuts.get(part.stream, ())} - {charter.rooms[part.read].epoch}
    found = []
    for epoch in sorted(epochs):
        secret = session.ring.secret(part.read, epoch)
        if secret is not None:
            found.append((epoch, read_secret(secret, part.stream)))
    return tuple(found)


def _end(log: Log) -> tuple[int, bytes]:
    length = log.base + len(log.records)
    return length, log.chains()[length]


def _file_of(part: str) -> str:
    return f"parts/{part}.msgpack"


def _content(
    charter: Charter, logs: dict[str, Log]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, frozenset[bytes]]]:
    """What the records of the parts say, and who wrote how many changes; from the records, not from the screen."""
    content, authors, elsewhere = {}, {}, {}
    for name, log in logs.items():
        if not name:
            continue
        said, by, passed, elsewhere[name] = exported.fold_part(charter.parts[name], log, charter, _new_engine)
        content[name] = said
        authors[name] = {"changes": {_name(charter, person): count for person, count in by.items()}, "passed": passed}
    return content, authors, elsewhere


def _name(charter: Charter, person: str) -> str:
    known = charter.people.get(PersonId(bytes.fromhex(person)))
    return person if known is None else known.name


def _for_people(charter: Charter, parts: dict[str, Any], files: Set[str] = frozenset()) -> dict[str, bytes]:
    content = exported.described_with_files(parts, files)
    people = {person.person.hex(): person.name for person in charter.people.values()}
    packed = {
        "case": charter.case.hex(),
        "title": charter.title,
        "people": [
            {"person": p.person.hex(), "name": p.name, "role": p.role, "here": p.here} for p in charter.people.values()
        ],
        "parts": content,
    }
    page = readable.readable(charter.title, content, people, load_schema())
    words = json.dumps(packed, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    return {CONTENT: words.encode(), READABLE: page.encode()}


# --- verifying


@dataclass(frozen=True, slots=True)
class Verified:
    """An export that is whole. ``content`` is that of the records, by part; ``person`` made it. ``unchecked``: the page for
    people, where another program made it, with other words around what was written. ``which``: no other copy has it."""

    charter: Charter
    person: PersonId
    at: int
    content: dict[str, Any]
    files: dict[str, bytes]
    parts: dict[str, Any]
    unchecked: tuple[str, ...]
    which: bytes


def verify(copy: Path) -> dict[str, Any]:
    """Whether an export, the folder or a zip of it, is whole, offline and without a home. Gives ``{"case", "title", "by", "at", "parts",
    "unchecked"}``, where a part is ``{"changes": {name: n}, "passed": [code]}``; ``passed`` is what everybody passes over, such
    as noise. ``unchecked``: ``lezen.html`` where another version made it with other words, so that this one cannot tell
    whether it says what the records say; nobody changed it since.

    Raises ``Inadmissible("bad_export")`` for any byte that was altered, left out or added.
    """
    found = verified(copy)
    charter, by = found.charter, found.charter.people[found.person].name
    about = {"case": charter.case.hex(), "title": charter.title, "by": by, "at": day_of(found.at)}
    return about | {"parts": found.parts, "unchecked": list(found.unchecked)}


def verified(copy: Path, *, page: bool = True) -> Verified:
    """As ``verify``, with what it says. Without ``page`` the page for people may be another program's, whose labels were
    other words: nothing may be read from it then. Raises ``Inadmissible("bad_export")``, ``Misuse("no_home")``."""
    files = unzip(copy) if copy.is_file() else _read(copy)
    listed = files.pop(MANIFEST, b"")
    manifest = exported.open_manifest(listed)
    if tuple(sorted((name, sha256(data)) for name, data in files.items())) != manifest.files:
        raise refused("a file was altered, taken away or added")
    case = CaseId(manifest.case)
    logs = {"": exported.exactly(files.get(CHARTER, b""), Log)}
    charter = exported.fold_charter(case, logs[""], load_schema(), manifest.n)
    person = exported.check_signature(listed, manifest, charter)
    if (charter.n, charter.head) != (manifest.n, manifest.head):
        raise refused("the charter is not the one that was exported")
    for name in sorted(charter.parts):
        if _file_of(name) in files:
            logs[name] = exported.exactly(files[_file_of(name)], Log)
        elif charter.may_read(person, name):
            raise refused(f"the part {name} was left out")
    if tuple((name, *_end(log)) for name, log in sorted(logs.items())) != manifest.streams:
        raise refused("a log does not lead to where it should")
    content, parts, elsewhere = _content(charter, logs)
    wanted, there = exported.attachments_of(content), {name for name in files if name.startswith(exported.FILES)}
    for name in there:
        if name not in wanted or sha256(files[name]) != wanted[name][0].hash:
            raise refused("a photo or file is not the one that was attached")
    unchecked = []
    other_words = manifest.schema != readable.schema_hash(load_schema())
    for name, data in _for_people(charter, content, there).items():
        if files.get(name) == data:
            continue
        if name != READABLE or (page and not (other_words and name in files)):
            raise refused(f"{name} says something else than the records")
        unchecked.append(name)
    for name, devices in elsewhere.items():
        # A record that was left out makes all later authors liars, its exporter among them. One liar makes one.
        if manifest.by in devices or len(devices) > 1:
            raise refused(f"the authors of {name} saw another log than this one")
    return Verified(charter, person, manifest.at, content, files, parts, tuple(unchecked), sha256(listed))


def _read(folder: Path) -> dict[str, bytes]:
    """All files, by their place. A folder that somebody made to be looked at without end is refused before it is read."""
    if not folder.is_dir():
        raise Misuse("no_home", "there is no such folder")
    files: dict[str, bytes] = {}
    free = MAX_BYTES
    for path in _places(folder):
        if path.is_symlink() or not path.is_file():
            raise refused("something lies there that is no file")
        free -= path.stat().st_size
        if len(files) == MAX_FILES or free < 0:
            raise refused("more than an export has")
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _places(folder: Path) -> Iterator[Path]:
    for name in os.listdir(folder):
        path = folder / name
        if name in FOLDERS and path.is_dir() and not path.is_symlink():
            yield from (path / each for each in os.listdir(path))
        else:
            yield path
