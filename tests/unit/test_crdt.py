"""What this project leans on in its engine, found by trying: a new release that differs fails here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from automerge.core import ROOT, Document, Message, ObjType, ScalarType, SyncState

from eigenkring import crdt
from eigenkring.crdt import Engine, Writing
from eigenkring.errors import EngineFailed, Misuse

ACTOR, OTHER = b"\x01" * 24, b"\x02" * 24


def put(key: str, value: crdt.Scalar) -> Callable[[Writing], None]:
    return lambda writing: writing.put(Engine.root, key, value)


def typed(engine: Engine, text: str) -> list[bytes]:
    made: list[bytes] = []
    places: list[bytes] = []
    made.append(engine.commit(lambda writing: places.append(writing.make_text(Engine.root, "t"))) or b"")
    for at, letter in enumerate(text):
        made.append(engine.commit(lambda writing, at=at, letter=letter: writing.insert(places[0], at, letter)) or b"")  # type: ignore[misc]
    return made


# --- facts of the binding


def test_the_binding_has_no_way_to_apply_changes_but_a_sync_message() -> None:
    assert not hasattr(Document, "apply_changes")
    engine = Engine(ACTOR)
    changes = typed(engine, "hoi 😀")
    other = Engine(OTHER)
    other.apply(changes)
    assert other.heads() == engine.heads()


def test_a_change_has_time_0_and_no_message_and_one_canonical_chunk() -> None:
    engine = Engine(ACTOR)
    raw = engine.commit(put("a", 1))
    assert raw is not None
    (change,) = engine._document.get_changes([])
    assert change.timestamp.timestamp() == 0 and change.message is None and not change.extra_bytes
    assert raw == change.raw_bytes and raw[8] == 1
    assert hashlib.sha256(raw[8:]).digest() == change.hash and change.hash[:4] == raw[4:8]


def test_a_long_change_is_not_deflated_in_raw_bytes_but_is_in_bytes() -> None:
    engine = Engine(ACTOR)
    raw = engine.commit(put("a", "x" * 10_000))
    (change,) = engine._document.get_changes([])
    assert raw == change.raw_bytes and len(change.raw_bytes) > 10_000 > len(change.bytes)


def test_a_change_names_all_heads_and_the_own_previous_one() -> None:
    engine, other = Engine(ACTOR), Engine(OTHER)
    first = engine.commit(put("a", 1))
    second = other.commit(put("b", 1))
    assert first and second
    engine.apply([second])
    engine.commit(put("c", 1))
    newest = next(change for change in engine._document.get_changes([]) if change.seq == 2)
    hashes = {hashlib.sha256(raw[8:]).digest() for raw in (first, second)}
    assert set(newest.deps) == hashes and newest.start_op == 2


def test_positions_count_unicode_scalars() -> None:
    engine = Engine(ACTOR)
    typed(engine, "a😀é")
    node = engine.get(Engine.root, "t")
    assert node is not None and node.kind == "text"
    assert engine.length(node.obj) == 3
    engine.commit(lambda writing: writing.remove(node.obj, 1, 1))
    assert engine.text(node.obj) == "aé"


def test_a_string_is_a_scalar_and_a_text_an_object() -> None:
    engine = Engine(ACTOR)
    engine.commit(put("s", "x"))
    typed(engine, "x")
    assert [getattr(engine.get(Engine.root, key), "kind", None) for key in ("s", "t", "none")] == [
        "scalar",
        "text",
        None,
    ]


def test_types_are_kept_apart() -> None:
    engine = Engine(ACTOR)
    values: dict[str, crdt.Scalar] = {"n": None, "b": True, "i": 3, "f": 3.0, "s": "x"}
    for key, value in values.items():
        engine.commit(put(key, value))
    read = {key: engine.get(Engine.root, key) for key in values}
    assert {key: node.value for key, node in read.items() if node} == values
    assert [type(node.value) for node in read.values() if node] == [type(value) for value in values.values()]


def test_nothing_different_is_no_change() -> None:
    engine = Engine(ACTOR)
    assert engine.commit(put("a", 1)) is not None
    assert engine.commit(put("a", 1)) is None
    assert engine.commit(lambda writing: None) is None


def test_of_two_values_set_at_once_every_engine_shows_the_same() -> None:
    one, two = Engine(ACTOR), Engine(OTHER)
    a, b = one.commit(put("a", "one")), two.commit(put("a", "two"))
    assert a and b
    one.apply([b])
    two.apply([a])
    shown = [engine.get(Engine.root, "a") for engine in (one, two)]
    assert [node.value for node in shown if node] == ["two", "two"]  # equal counters: the higher actor


def test_a_change_before_what_it_stands_on_is_kept_back_in_silence_so_apply_looks_for_it() -> None:
    engine = Engine(ACTOR)
    first, second = typed(engine, "x")
    document = Document(OTHER)
    _apply_raw(document, second)
    assert document.get_heads() == []
    _apply_raw(document, first)
    assert sorted(document.get_heads()) == engine.heads()
    with pytest.raises(EngineFailed):
        Engine(OTHER).apply([second])


def test_what_is_there_already_may_come_again() -> None:
    engine = Engine(ACTOR)
    changes = typed(engine, "hoi")
    other = Engine(OTHER)
    other.apply(changes)
    other.apply(changes[:2])
    other.apply(changes)
    assert other.heads() == engine.heads()


def test_a_saved_document_loads_with_the_changes_as_they_were() -> None:
    engine = Engine(ACTOR)
    changes = typed(engine, "hoi")
    loaded = Engine.load(engine.save(), OTHER)
    assert loaded.changes() == changes and loaded.heads() == engine.heads() and loaded.actor == OTHER
    assert loaded.commit(put("a", 1)) is not None


def test_ten_thousand_changes_are_applied_within_seconds() -> None:
    engine = Engine(ACTOR)
    changes = [engine.commit(put("a", at)) or b"" for at in range(10_000)]
    other = Engine(OTHER)
    other.apply(changes)
    assert len(other.change_hashes()) == 10_000


# --- nothing half done


NONSENSE = [b"", b"\x85oJ\x83", b"nonsense", b"\x85oJ\x83" + bytes(30)]


@pytest.mark.parametrize("bad", [*NONSENSE[1:], "flipped", "cut"])
def test_bytes_that_are_no_change_leave_the_document_as_it_was(bad: bytes | str) -> None:
    engine = Engine(ACTOR)
    engine.commit(put("a", 1))
    good = Engine(OTHER).commit(put("b", 1))
    assert good
    if bad == "flipped":
        bad = good[:-1] + bytes([good[-1] ^ 1])
    elif bad == "cut":
        bad = good[:-1]
    before = engine.heads()
    with pytest.raises(EngineFailed):
        engine.apply([good, bad])  # type: ignore[list-item]
    assert engine.heads() == before and engine.get(Engine.root, "b") is None
    engine.apply([good])
    assert len(engine.heads()) == 2


class Panic(BaseException):
    """As pyo3's PanicException, which is no Exception."""


class Panicking:
    """A document that does half of what it was asked, and panics."""

    def __init__(self, document: Any, at: str) -> None:
        self._document = document
        self._at = at

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._document, name)
        if name != self._at:
            return real

        def fail(*args: Any) -> Any:
            real(*args)
            raise Panic

        return fail


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("at", ["receive_sync_message", "get_changes", "save"])
def test_a_panic_leaves_the_document_as_it_was(at: str, saved: bool) -> None:
    engine = Engine(ACTOR)
    engine.commit(put("a", 1))
    if saved:
        engine.save()
        engine.commit(put("a", 2))
    before, hashes = engine.heads(), engine.change_hashes()
    engine._document = Panicking(engine._document, at)  # type: ignore[assignment]
    foreign = Engine(OTHER).commit(put("b", 1))
    assert foreign
    acts: dict[str, Callable[[], object]] = {
        "receive_sync_message": lambda: engine.apply([foreign]),
        "get_changes": lambda: engine.commit(put("c", 1)),
        "save": engine.save,
    }
    with pytest.raises(EngineFailed):
        acts[at]()
    assert engine.heads() == before and engine.change_hashes() == hashes
    assert engine.commit(put("d", 1)) is not None


def test_a_real_panic_of_the_binding_is_no_exception_and_poisons_the_document() -> None:
    """A counter in the wrong place panics in this release, and the same document answers nothing any more."""
    document = Document(OTHER)
    transaction = document.transaction().__enter__()
    with pytest.raises(BaseException) as panic:
        transaction.put(ROOT, "c", ScalarType.Counter, 1)
    assert not isinstance(panic.value, Exception)
    with pytest.raises(Exception, match="poisoned"):
        document.get_heads()
    engine = Engine(ACTOR)
    typed(engine, "x")
    before = engine.heads()
    with pytest.raises(EngineFailed):
        engine.commit(lambda writing: writing._transaction.put(ROOT, "c", ScalarType.Counter, 1))
    assert engine.heads() == before and engine.commit(put("a", 1)) is not None


def test_a_position_beyond_the_end_is_an_error_and_nothing_more() -> None:
    engine = Engine(ACTOR)
    typed(engine, "x")
    node = engine.get(Engine.root, "t")
    assert node is not None
    for act in (
        lambda writing: writing.insert(node.obj, 10**9, "a"),
        lambda writing: writing.put(b"\xff" * 9, "a", 1),
    ):
        with pytest.raises(EngineFailed):
            engine.commit(act)
    assert engine.text(node.obj) == "x"


def test_ctrl_c_goes_on_its_way_and_the_document_is_whole() -> None:
    engine = Engine(ACTOR)
    engine.commit(put("a", 1))
    before = engine.heads()

    def stop(writing: Writing) -> None:
        writing.put(Engine.root, "b", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.commit(stop)
    assert engine.heads() == before and engine.keys(Engine.root) == ["a"]


def test_misuse_in_a_change_takes_the_change_back() -> None:
    engine = Engine(ACTOR)

    def half(writing: Writing) -> None:
        writing.put(Engine.root, "b", 1)
        raise Misuse("bad_value")

    with pytest.raises(Misuse):
        engine.commit(half)
    assert engine.keys(Engine.root) == [] and engine.heads() == []


def test_a_saved_document_that_is_none_is_refused() -> None:
    with pytest.raises(EngineFailed):
        Engine.load(b"nonsense", ACTOR)


def test_a_fork_goes_its_own_way_under_the_same_actor() -> None:
    engine = Engine(ACTOR)
    engine.commit(put("a", 1))
    fork = engine.fork()
    made = fork.commit(put("a", 2))
    assert made and fork.actor == ACTOR and engine.heads() != fork.heads()
    engine.apply([made])
    assert engine.heads() == fork.heads()
    assert engine.commit(put("a", 3)) is not None  # the sequence goes on


# --- why foreign bytes never reach it unchecked


def _apply_raw(document: Document, raw: bytes) -> None:
    message = b"\x42\0\0\0\x01" + crdt._leb(len(raw)) + raw
    document.receive_sync_message(SyncState(), Message.decode(message))


def test_two_chunks_in_one_change_are_half_applied_in_silence() -> None:
    one, two = Engine(ACTOR).commit(put("a", 1)), Engine(OTHER).commit(put("b", 2))
    assert one and two
    document = Document(b"\x03" * 24)
    _apply_raw(document, one + two)
    assert len(document.get_changes([])) != 2 or document.keys(ROOT) != ["a"]


def test_the_engine_takes_what_the_schema_language_does_not_have() -> None:
    document = Document(OTHER)
    with document.transaction() as transaction:
        transaction.put_object(ROOT, "l", ObjType.List)
    engine = Engine(ACTOR)
    engine.apply([change.raw_bytes for change in document.get_changes([])])
    assert engine.keys(Engine.root) == ["l"]
