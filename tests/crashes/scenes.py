"""What a device does, to be ended at each of its steps: how it begins, what the person does, and does again after it."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crashes.family import ADDRESS, Family, served, tried
from crashes.steps import MEMORY
from eigenkring import recovery
from eigenkring.errors import Ended
from eigenkring.exporting import export
from eigenkring.importing import bring
from eigenkring.own_devices import add_device, devices
from eigenkring.session import compacting
from eigenkring.view import PartSelection, Selection

Say = Callable[[str], None]
NOTHING: frozenset[str] = frozenset()
SCENES: dict[str, type[Scene]] = {}


class Scene:
    """``do`` runs in the process that is killed, and says what it gave to the person; the rest runs after it."""

    alarms = NOTHING  # what may honestly be told afterwards

    def __init_subclass__(cls) -> None:
        if not cls.__name__.startswith("_"):
            SCENES[cls.__name__] = cls

    def prepare(self, family: Family) -> None:
        """What must be there before."""

    def do(self, family: Family, say: Say) -> None:
        raise NotImplementedError

    def again(self, family: Family, said: list[str]) -> None:
        """What a person does who sees that it was not done."""

    def holds(self, family: Family, said: list[str]) -> None:
        """What must be so in the end, beside ``Family.check``."""


def names(family: Family, of: str = "nora") -> set[str]:
    with family.opened(of) as case:
        return {person["name"] for person in case.people()}


def pending(family: Family) -> set[tuple[str, str]]:
    with family.opened("nora") as case:
        return {(item["what"], item["name"]) for item in case.pending()}


# --- words


class Append(Scene):
    def do(self, family: Family, say: Say) -> None:
        with family.opened("karim") as case:
            case.add("plan", "agreements", {"what": "een"})
            say("een")
            case.sync()

    def again(self, family: Family, said: list[str]) -> None:
        if "een" not in family.words("karim"):
            assert "een" not in said, "an acknowledged word is lost"
            with family.opened("karim") as case:
                case.add("plan", "agreements", {"what": "een"})

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.words("nora") == ["begin", "een"]


class Burst(Scene):
    COUNT = 8

    def do(self, family: Family, say: Say) -> None:
        with family.opened("karim") as case:
            item = case.add("plan", "agreements", {"what": "w"})
            say("w")
            for number in range(self.COUNT):
                case.set("plan", f"agreements/{item}/what", "w" + "x" * (number + 1))
                say("w" + "x" * (number + 1))
                if number % 3 == 2:
                    case.sync()
            case.sync()

    def holds(self, family: Family, said: list[str]) -> None:
        (word,) = [w for w in family.words("fatima") if w.startswith("w")] or [""]
        assert word >= (said[-1] if said else ""), "acknowledged letters are lost"
        assert len(word) <= self.COUNT + 1, "letters are there twice"


class CatchUp(Scene):
    def prepare(self, family: Family) -> None:
        with family.opened("fatima") as case:
            for number in range(6):
                case.add("plan", "agreements", {"what": f"f{number}"})
            case.sync()

    def do(self, family: Family, say: Say) -> None:
        with family.opened("karim") as case:
            case.add("plan", "agreements", {"what": "k"})
            say("k")
            case.sync()

    def holds(self, family: Family, said: list[str]) -> None:
        assert [w for w in family.words("nora") if w != "k"] == ["begin", *(f"f{n}" for n in range(6))]
        assert family.words("nora").count("k") in ((1,) if said else (0, 1))


class Replace(Scene):
    """A snapshot takes the place of what lies there."""

    def prepare(self, family: Family) -> None:
        for name in ("fatima", "karim"):
            with family.opened(name) as case:
                for number in range(12):
                    case.add("plan", "agreements", {"what": f"{name} {number} " + "x" * 200})
                case.sync()

    def do(self, family: Family, say: Say) -> None:
        compacting.FEWEST_RECORDS, compacting.MOST_PATIENCE = 2, 1  # type: ignore[misc]
        family.sync("nora")
        with family.opened("nora") as case:
            assert case.session.position(case.charter.parts["plan"].stream).base
            say("made")
        family.sync("fatima")

    def holds(self, family: Family, said: list[str]) -> None:
        assert len(family.words("karim")) == 25


class Forget(Scene):
    def prepare(self, family: Family) -> None:
        with family.opened("karim") as case:
            item = case.add("plan", "agreements", {"what": "geheim"})
            case.delete("plan", f"agreements/{item}")
            case.add("plan", "agreements", {"what": "blijft"})
            case.sync()
        with family.opened("fatima") as case:
            case.add("plan", "agreements", {"what": "onderweg"})  # not sent yet

        family.facts["stream"] = self._stream(family)

    def do(self, family: Family, say: Say) -> None:
        with family.opened("nora") as case:
            case.forget("plan")
            say("forgot")

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        if self._stream(family) == family.facts["stream"]:
            assert not said, "it was said to be forgotten"
            with family.opened("nora") as case:
                case.forget("plan")

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.words("nora") == ["begin", "blijft", "onderweg"]
        assert self._stream(family) != family.facts["stream"]
        assert all(b"geheim" not in path.read_bytes() for path in family.folder.rglob("*") if path.is_file())

    def _stream(self, family: Family) -> str:
        with family.opened("nora") as case:
            return case.charter.parts["plan"].stream.hex()


# --- people


class Start(Scene):
    def do(self, family: Family, say: Say) -> None:
        with family.phone("bo") as device:
            say(device.start("Een ander", ADDRESS, "Bo").id.hex())

    def again(self, family: Family, said: list[str]) -> None:
        with family.phone("bo") as device:
            here = [row["case"] for row in device.cases()]
            assert said in ([], here), "an acknowledged case is lost"
            family.case = here[0] if here else device.start("Een ander", ADDRESS, "Bo").id.hex()
            device.case(family.case).set("question", "question/question/text", "Wat nu?")
            device.case(family.case).add("plan", "agreements", {"what": "eerste"})

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.words("bo") == ["eerste"]
        with family.opened("bo") as case:
            assert len(case.show("question")["question"]) == 1


class Import(Scene):
    """An export is made a new case; who is interrupted says `import` once more."""

    def prepare(self, family: Family) -> None:
        with family.opened("nora") as case:
            case.add("plan", "agreements", {"what": "twee"})
            case.attach(
                "plan",
                f"agreements/{case.add('plan', 'agreements', {'what': 'drie'})}",
                "brief.txt",
                b"x" * 900,
                as_is=True,
            )
            case.sync()
            day = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
            case.grant("De Wit", "meedenken", day, Selection({"plan": PartSelection()}))
            case.sync()
            export(case, family.folder / "homes" / "nora" / "uit")

    def do(self, family: Family, say: Say) -> None:
        with family.phone("nora") as device:
            say(bring(device, family.folder / "homes" / "nora" / "uit", ADDRESS)["case"])

    def again(self, family: Family, said: list[str]) -> None:
        with family.phone("nora") as device:
            if not said:
                made = bring(device, family.folder / "homes" / "nora" / "uit", ADDRESS)
                assert [row["name"] for row in made["invitations"]] == ["Fatima", "Karim"]
                assert [row["to"] for row in made["grants"]] == ["De Wit"], made["left"]
                said.append(made["case"])

    def holds(self, family: Family, said: list[str]) -> None:
        with family.phone("nora") as device:
            old, new = device.case(family.case), device.case(said[0])
            assert {row["case"] for row in device.cases()} == {family.case, said[0]}, "half a case lies there"
            shown = [
                {item: fields["what"] for item, fields in one.show("plan")["agreements"].items()} for one in (old, new)
            ]
            assert shown[0] == shown[1] and len(shown[1]) == 3
            waits = sorted(item["name"] for item in new.pending())
            assert waits == ["De Wit", "Fatima", "Karim"], waits
            assert sum(grant.open for grant in new.charter.grants.values()) == 1
            (item,) = [item for item, what in shown[1].items() if what == "drie"]
            assert new.fetch("plan", f"agreements/{item}") == b"x" * 900


class Invite(Scene):
    def do(self, family: Family, say: Say) -> None:
        with family.opened("nora") as case:
            say(case.invite("member", "Yusuf"))

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        if not said and ("invited", "Yusuf") in pending(family):
            with family.opened("nora") as case:
                case.cancel("Yusuf")  # whose link nobody saw
        assert pending(family) == ({("invited", "Yusuf")} if said else set())
        if not said:
            with family.opened("nora") as case:
                said.append(case.invite("member", "Yusuf"))
        with family.phone("yusuf") as device:
            device.join(said[0], "Yusuf")

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.belongs("yusuf")
        assert names(family) == {"Nora", "Fatima", "Karim", "Yusuf"}
        assert pending(family) == set()


class Join(Invite):
    """The visitor's side of it: the knock."""

    def prepare(self, family: Family) -> None:
        with family.opened("nora") as case:
            family.facts["link"] = case.invite("member", "Yusuf")

    def do(self, family: Family, say: Say) -> None:
        with family.phone("yusuf") as device:
            device.join(family.facts["link"], "Yusuf")
            say("knocked")

    def again(self, family: Family, said: list[str]) -> None:
        with family.phone("yusuf") as device:
            if not device.cases():
                assert not said
                device.join(family.facts["link"], "Yusuf")


class LetIn(Join):
    def prepare(self, family: Family) -> None:
        super().prepare(family)
        with family.phone("yusuf") as device:
            device.join(family.facts["link"], "Yusuf")

    def do(self, family: Family, say: Say) -> None:
        family.sync("nora")

    def again(self, family: Family, said: list[str]) -> None:
        return None


class Enter(LetIn):
    def prepare(self, family: Family) -> None:
        super().prepare(family)
        family.sync("nora")

    def do(self, family: Family, say: Say) -> None:
        family.sync("yusuf")
        family.sync("yusuf")


class Remove(Scene):
    """A removal, with all the locks it turns."""

    def prepare(self, family: Family) -> None:
        with family.opened("karim") as case:
            case.add("plan", "agreements", {"what": "van karim"})
            case.sync()

    def do(self, family: Family, say: Say) -> None:
        with family.opened("nora") as case:
            case.sync()
            case.remove("Karim")
            say("removed")

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        assert not (said and "Karim" in names(family)), "an acknowledged removal is lost"
        if "Karim" in names(family):
            with family.opened("karim") as case:
                case.add("plan", "agreements", {"what": "nog erbij"})
                case.sync()
            family.sync("nora")
            assert "nog erbij" in family.words("nora"), "half a removal"
            with family.opened("nora") as case:
                case.remove("Karim")

    def holds(self, family: Family, said: list[str]) -> None:
        assert not family.belongs("karim")
        assert names(family) == {"Nora", "Fatima"}
        assert "van karim" in family.words("fatima")


class Leave(Scene):
    def do(self, family: Family, say: Say) -> None:
        with family.opened("karim") as case:
            case.leave()
            say("left")

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("karim")
        if family.belongs("karim"):
            assert not said
            with family.opened("karim") as case:
                case.leave()

    def holds(self, family: Family, said: list[str]) -> None:
        assert not family.belongs("karim")
        assert names(family) == {"Nora", "Fatima"}


class Close(Scene):
    alarms = frozenset({"closed"})

    def do(self, family: Family, say: Say) -> None:
        with family.opened("nora") as case:
            case.propose("close")
            say("closed")

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        if family.belongs("nora"):
            assert not said
            with family.opened("nora") as case:
                case.propose("close")

    def holds(self, family: Family, said: list[str]) -> None:
        for name in ("nora", "fatima", "karim"):
            with family.phone(name) as device:
                assert [row.state for row in device.store.cases()] == ["closed"], name
                assert "begin" in str(device.case(family.case).show("plan")), "what was written is gone"


# --- readers


class _Reader(Scene):
    def give(self, family: Family) -> tuple[str, str]:
        until = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
        with family.opened("nora") as case:
            given = case.grant("De Wit", "meedenken", until, Selection({"plan": PartSelection()}))
            return given.grant.hex(), given.link

    def accept(self, family: Family, link: str) -> None:
        with family.phone("dewit") as device:
            device.accept(link, "De Wit")

    def sees(self, family: Family) -> str:
        family.sync("nora", "dewit")
        with family.phone("dewit") as device:
            (row,) = device.views()
            return str(device.view(row["grant"]))

    def open(self, family: Family) -> list[str]:
        with family.opened("nora") as case:
            return [grant.grant.hex() for grant in case.charter.grants.values() if grant.open]

    def holds(self, family: Family, said: list[str]) -> None:
        assert "begin" in self.sees(family)
        assert len(self.open(family)) == 1
        with family.opened("nora") as case:
            listed = {given["grant"] for given in case.access()}
        # Also where the device stopped before it wrote that down.
        assert set(self.open(family)) <= listed, "nobody is told who may read"


class Grant(_Reader):
    def do(self, family: Family, say: Say) -> None:
        say(self.give(family)[1])

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        for grant in [] if said else self.open(family):
            with family.opened("nora") as case:
                case.withdraw(grant)  # whose link nobody saw
        self.accept(family, said[0] if said else self.give(family)[1])


class Accept(_Reader):
    def prepare(self, family: Family) -> None:
        family.facts["link"] = self.give(family)[1]

    def do(self, family: Family, say: Say) -> None:
        self.accept(family, family.facts["link"])
        say("accepted")

    def again(self, family: Family, said: list[str]) -> None:
        with family.phone("dewit") as device:
            there = bool(device.views())
        assert there or not said
        if not there:
            self.accept(family, family.facts["link"])


class LetRead(_Reader):
    def prepare(self, family: Family) -> None:
        self.accept(family, self.give(family)[1])

    def do(self, family: Family, say: Say) -> None:
        family.sync("nora")
        family.sync("dewit")


class Withdraw(_Reader):
    def prepare(self, family: Family) -> None:
        family.facts["grant"], link = self.give(family)
        self.accept(family, link)
        assert "begin" in self.sees(family)

    def do(self, family: Family, say: Say) -> None:
        with family.opened("nora") as case:
            case.withdraw(family.facts["grant"])
            say("withdrawn")

    def again(self, family: Family, said: list[str]) -> None:
        family.sync("nora")
        if self.open(family):
            assert not said, "an acknowledged end of access is lost"
            with family.opened("nora") as case:
                case.withdraw(family.facts["grant"])

    def holds(self, family: Family, said: list[str]) -> None:
        family.sync("dewit")
        with family.phone("dewit") as device:
            (row,) = device.views()
            assert tried(lambda: device.view(row["grant"]), "withdrawn") is False
            assert device.store.grants()[0].view == b"", "the reader's copy stayed"


# --- own devices


class Recover(Scene):
    def prepare(self, family: Family) -> None:
        with family.phone("fatima") as device:
            family.facts["code"] = recovery.make_code(device)["code"]

    def do(self, family: Family, say: Say) -> None:
        with family.phone("opnieuw") as device:
            say(recovery.recover(device, family.facts["code"], ADDRESS)["code"])

    def again(self, family: Family, said: list[str]) -> None:
        if said:
            return
        with family.phone("opnieuw") as device:
            try:
                said.append(recovery.recover(device, family.facts["code"], ADDRESS)["code"])
            except Ended:
                # The old paper went by its own hand in the last steps; the new phone is in, and makes another.
                said.append(recovery.make_code(device)["code"])

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.belongs("opnieuw")
        assert not family.belongs("fatima")
        assert "begin" in family.words("opnieuw")
        with family.opened("opnieuw") as case:
            assert [row["kind"] for row in devices(case)].count("device") == 1
        # The paper that was shown last opens the case.
        with family.phone("derde") as device:
            recovery.recover(device, said[0], ADDRESS)
            assert "begin" in str(device.case(family.case).show("plan"))


class AddDevice(Scene):
    def prepare(self, family: Family) -> None:
        with family.opened("fatima") as case:
            family.facts["link"] = add_device(case)
        with family.phone("tablet") as device:
            device.join(family.facts["link"], "tablet")

    def do(self, family: Family, say: Say) -> None:
        family.sync("fatima")
        family.sync("tablet")

    def holds(self, family: Family, said: list[str]) -> None:
        assert family.words("tablet") == ["begin"]
        with family.opened("fatima") as case:
            assert [row["kind"] for row in devices(case)].count("device") == 2


# --- families to begin with


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="scenes", dir=MEMORY)


@functools.cache
def begun() -> Family:
    folder = Path(_folder().name) / "begin"
    (folder / "homes").mkdir(parents=True)
    (folder / "relay").mkdir()
    with served(Family(folder)) as family:
        with family.phone("nora") as device:
            family.case = device.start("Thuis", ADDRESS, "Nora").id.hex()
        for name in ("fatima", "karim"):
            family.join(name)
        with family.opened("nora") as case:
            case.add("plan", "agreements", {"what": "begin"})
        family.settle()
    return family


@functools.cache
def prepared(name: str) -> Family:
    """As the scene begins; it is only copied from here."""
    kept = Path(_folder().name) / name
    for part in ("homes", "relay"):
        shutil.copytree(begun().folder / part, kept / part)
    with served(Family(kept, begun().case, dict(begun().facts))) as family:
        SCENES[name]().prepare(family)
    return family
