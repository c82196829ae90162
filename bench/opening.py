"""What ten thousand edits by eleven people cost: the relay's bytes, a newcomer's opening, the daily opening.

    python bench/opening.py [EDITS]

Devices are the library's own, over a store in memory and the relay's rules without a network, so what is measured is
work and bytes, not a connection. Beside it stands what Automerge alone would need: `Document.save` and `Document.load`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from eigenkring.crdt import Engine
from eigenkring.session import compacting
from simulator import Phone, World

EDITS = 10_000
PEOPLE = ("fatima", "karim", "sam", "opa", "oma", "buur", "tante", "oom", "peet", "vriend")
WORDS = "morgen belt oma omdat de fiets van sam nog bij de buren staat en wij om vier uur samen eten".split()
TYPED_BEFORE_A_SYNC = 40


def family() -> World:
    world = World(3)
    world.start("nora")
    for name in PEOPLE:
        world.join(name)
    world.settle(2)
    return world


def write(world: World, edits: int) -> None:
    """Single edits: each is one change; those before a sync are one record. A third begins an agreement, the others go on
    in one that is there; people write at once and sync now and then."""
    chance, names, done = world.chance, list(world.phones), 0
    while done < edits:
        phone = world.phones[names[done // TYPED_BEFORE_A_SYNC % len(names)]]
        phone.sync()
        texts = {item: fields["what"] for item, fields in phone.case.show("plan")["agreements"].items()}
        for _ in range(min(TYPED_BEFORE_A_SYNC, edits - done)):
            if not texts or chance.random() < 1 / 3:
                words = " ".join(chance.choices(WORDS, k=6))
                texts[phone.add(words)] = words
            else:
                item = chance.choice(list(texts))
                texts[item] = f"{texts[item]} {chance.choice(WORDS)}"
                phone.case.set("plan", f"agreements/{item}/what", texts[item])
            done += 1
        phone.sync()
    world.settle(2)


def best_of(times: int, what: Callable[[], object]) -> float:
    """Median milliseconds of this process: another one beside it changes nothing."""
    took = []
    for _ in range(times):
        before = time.process_time()
        what()
        took.append((time.process_time() - before) * 1000)
    return statistics.median(took)


def relay_bytes(world: World, stream: bytes) -> int:
    return sum(map(len, world.relay.records(stream)))


def opened(phone: Phone) -> None:
    phone.restart()
    phone.fold()


def main(edits: int) -> None:
    never = compacting.FEWEST_RECORDS
    compacting.FEWEST_RECORDS = 10**9  # type: ignore[misc]
    world = family()
    began = time.perf_counter()
    write(world, edits)
    print(f"{edits} edits written and read by {len(world.phones)} people in {time.perf_counter() - began:.0f} s\n")
    nora = world.phones["nora"]
    stream = nora.stream()
    engine = nora.session.part("plan").engine
    saved = engine.save()
    rows: list[tuple[str, str, str]] = []
    tail = relay_bytes(world, stream)
    records = len(world.relay.records(stream))
    rows.append(("relay, no snapshot", f"{tail:,} bytes in {records:,} records", f"{tail / edits:.0f} bytes an edit"))
    newcomer = best_of(1, lambda: world.fresh("karim"))
    compacting.FEWEST_RECORDS = never  # type: ignore[misc]
    rows.append(("newcomer, no snapshot", f"{newcomer:,.0f} ms", ""))
    made = best_of(1, nora.sync)
    assert world.relay.known(stream).base, "no snapshot was made"
    kept = relay_bytes(world, stream)
    rows.append(("a snapshot made (whole sync)", f"{made:,.0f} ms", ""))
    rows.append(("relay, snapshot", f"{kept:,} bytes", f"{kept / edits:.1f} bytes an edit"))
    rows.append(("Document.save()", f"{len(saved):,} bytes", f"snapshot is {kept / len(saved):.1f} times that"))
    known = {entry.hash: entry.device for entry in nora.fold().ledger.entries}
    reader = world.fresh("karim")
    assert {entry.hash: entry.device for entry in reader.fold().ledger.entries} == known
    newcomer = best_of(3, lambda: world.fresh("karim"))
    load = best_of(5, lambda: Engine.load(saved, bytes(24)))
    rows.append(("newcomer, snapshot (whole first sync)", f"{newcomer:,.0f} ms", f"{len(known):,} changes attributed"))
    world.settle(2)
    daily = best_of(5, lambda: opened(nora))
    rows.append(("daily opening of the case, from what was kept", f"{daily:,.0f} ms", f"{daily / load:.1f} times load"))
    synced = best_of(3, lambda: (opened(nora), nora.sync()))
    rows.append(("the same and a sync that brings nothing", f"{synced:,.0f} ms", ""))
    nora.store.put_fact(nora.session.case, f"fold {stream.hex()}", None)
    folded = best_of(1, lambda: opened(nora))
    rows.append(("the same, nothing kept", f"{folded:,.0f} ms", ""))
    rows.append(("Document.load", f"{load:,.0f} ms", ""))
    width = max(len(row[0]) for row in rows)
    for name, value, note in rows:
        print(f"{name:<{width}}  {value:<36} {note}".rstrip())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EDITS)
