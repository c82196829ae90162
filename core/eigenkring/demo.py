"""The fixture family with real devices on a real relay. Invented, after a published example."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from eigenkring.errors import Unreachable
from eigenkring.library import Case, Device

TITLE: Final = "Thuis bij Nora"
QUESTION: Final = "Hoe zorgen we dat Sam en Eva thuis kunnen blijven wonen, ook als het met mij even niet gaat?"
BETTER: Final = "Dat ik 's nachts slaap, dat de kinderen op tijd op school zijn en dat er iemand is als het misgaat."

# name, role, relation
CIRCLE: Final = [
    ("Eva", "member", "dochter, 15"),
    ("Sam", "child", "zoon, 9"),
    ("Fatima", "member", "zus"),
    ("Opa Henk", "member", "vader van Nora, zonder telefoon"),
    ("Oma Ria", "member", "moeder van Nora"),
    ("Karim", "member", "broer"),
    ("Lotte", "member", "vriendin"),
    ("Joost", "member", "buurman"),
    ("Meryem", "member", "vriendin van Fatima"),
    ("Daan", "member", "voetbaltrainer van Sam"),
    ("Ineke", "member", "tante"),
    ("Pieter", "member", "collega"),
]
COORDINATOR: Final = "Anneke"
PROFESSIONALS: Final = [
    ("De Wit", "Meedenken over veiligheid thuis", ["plan", "safety"]),
    ("Bos", "Schulden: weten wat we samen afspraken", ["plan"]),
    ("Yilmaz", "Behandeling van Nora", ["safety"]),
]
AGREEMENTS: Final = [
    ("Wonen", "Fatima komt zes weken bij ons wonen", "Fatima", "Nora", "vanaf maandag", ""),
    ("Wonen", "Nora slaapt uit op dagen dat Fatima er is", "Nora", "Fatima", "doordeweeks", "elke dag"),
    (
        "Kinderen",
        "Sam en Eva zijn in het weekend bij opa en oma",
        "Oma Ria",
        "Opa Henk",
        "zaterdag tot zondag",
        "om de week",
    ),
    ("Kinderen", "Karim brengt Sam naar voetbal en haalt hem op", "Karim", "Daan", "woensdag 16.00", "elke week"),
    ("Kinderen", "Lotte doet iets leuks met de kinderen", "Lotte", "Meryem", "zondagmiddag", "elke maand"),
    ("School", "Eva belt Fatima als zij niet naar huis wil", "Eva", "Fatima", "als het nodig is", ""),
    ("School", "Joost let op dat Sam de bus haalt", "Joost", "", "8.00", "schooldagen"),
    ("Geld", "Nora en Ineke maken de post samen open", "Ineke", "Nora", "dinsdagavond", "elke week"),
    ("Geld", "Pieter gaat mee naar het gesprek over de schulden", "Pieter", "Nora", "12 december", ""),
]


class Demo:
    """Makes the family below ``folder``; ``serve`` is the command that starts a relay when none is given."""

    def __init__(self, folder: Path, serve: list[str], relay: str | None) -> None:
        self._folder = folder
        self._serve = serve
        self._relay = relay
        self._child: subprocess.Popen[str] | None = None

    def make(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Start the relay and, the first time, the family. ``say`` gets a line for every step."""
        relay = self._relay or self._start_relay()
        say(f"Relay: {relay}")
        homes = self._folder / "homes"
        if (homes / "nora" / "device.sqlite").exists():
            with self._home("nora") as nora:
                nora.sync()
                known = nora.cases()
            if known:
                say("The family is already there.")
                return self._result(relay, str(known[0]["case"]))
        if homes.exists():
            shutil.rmtree(homes)  # half a family from a run that was cut off
        return self._result(relay, self._family(relay, say))

    def _family(self, relay: str, say: Callable[[str], None]) -> str:
        with self._home("nora") as nora:
            case = nora.start(TITLE, relay, "Nora")
            case.set("question", "question/question/text", QUESTION)
            case.set("question", "question/question/better", BETTER)
            for name, role, relation in [*CIRCLE, (COORDINATOR, "coordinator", "Eigen Kracht-coördinator")]:
                say(f"{name} is invited and joins")
                link = case.invite(role, name)
                with self._home(name) as device:
                    device.join(link, name)
                    case.sync()
                    device.sync()
                if role != "coordinator":
                    case.add("circle", "people", {"name": name, "relation": relation, "status": "yes"})
            case.sync()
            say("The circle writes its plan")
            self._plan(case)
            for name, purpose, parts in PROFESSIONALS:
                until = (datetime.now(UTC).date() + timedelta(days=80)).isoformat()
                given = case.grant(name, purpose, until, case.selection(parts))
                if name == PROFESSIONALS[0][0]:
                    with self._home(name) as reader:
                        reader.accept(given.link, name)
                        case.sync()
                        reader.sync()
            case.sync()
            identity = case.id.hex()
        for name, _, _ in CIRCLE:
            with self._home(name) as device:
                device.sync()
        return identity

    @staticmethod
    def _plan(case: Case) -> None:
        for topic, what, who, together, when, again in AGREEMENTS:
            fields = {"topic": topic, "what": what, "who": who, "with": together, "when": when, "recurrence": again}
            case.add(
                "plan", "agreements", {key: value for key, value in fields.items() if value} | {"status": "running"}
            )
        case.add(
            "safety", "conditions", {"text": "Er is altijd een volwassene thuis als Sam slaapt", "set_by": "De Wit"}
        )
        case.add(
            "safety",
            "conditions",
            {"text": "Nora belt de behandelaar als zij drie nachten niet slaapt", "set_by": "Yilmaz"},
        )
        case.add("information", "questions", {"text": "Welke schulden zijn er nu precies?", "to": "Bos"})
        case.add(
            "agenda",
            "appointments",
            {"title": "Kring bij elkaar", "neutral": "Afspraak", "time": "2026-12-04T19:00", "place": "bij oma"},
        )
        case.add("safetynet", "steps", {"signal": "Nora komt niet uit bed", "text": "Eva belt Fatima, daarna oma"})
        case.add("strengths", "items", {"kind": "good", "text": "Sam gaat graag naar school"})
        case.add("private", "ideas", {"text": "Misschien kan Eva vaker bij Lotte slapen"})
        case.add("decisions", "decisions", {"text": "Fatima komt zes weken bij ons wonen", "state": "adopted"})

    def _home(self, name: str) -> Device:
        return Device.open(self._folder / "homes" / name.lower().replace(" ", "-"))

    def _result(self, relay: str, case: str) -> dict[str, Any]:
        return {"relay": relay, "case": case, "homes": str(self._folder / "homes"), "title": TITLE}

    def what_next(self, result: dict[str, Any]) -> Iterator[str]:
        """What to open and type next, for a person who just started."""
        home = f"{result['homes']}/nora"
        yield ""
        yield f"The family of Nora is there: case {result['case']}"
        if "glass" in result:
            yield f"Walk in, and look on:    {result['glass']}"
            yield "                         as Nora, Anneke or De Wit; beside it you see what the relay holds"
        yield f"Open the app:            {result['relay']}/"
        yield f"Read the plan as Nora:   .venv/bin/eigenkring --home {home} show {result['case'][:8]} plan"
        yield (
            "Invite someone:          "
            f".venv/bin/eigenkring --home {home} invite {result['case'][:8]} --role member --name Bas"
        )
        yield "                         open the link that it prints on a phone or in a browser, then type:"
        yield f"                         .venv/bin/eigenkring --home {home} sync"
        yield (
            "Let somebody read:       "
            f".venv/bin/eigenkring --home {home} grant {result['case'][:8]} --to 'De Wit' "
            f"--purpose 'Meedenken' --until {(datetime.now(UTC).date() + timedelta(days=60)).isoformat()} --parts plan"
        )

    # --- the relay

    def _start_relay(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._child = subprocess.Popen(self._serve, stdout=subprocess.PIPE, text=True)  # noqa: S603
        if self._child.stdout is None:
            raise AssertionError("a child without output")
        give_up = time.monotonic() + 30
        for line in self._child.stdout:
            for word in line.split():
                if urlsplit(word).scheme in ("http", "https"):
                    return word.rstrip("/")
            if time.monotonic() > give_up:
                break
        raise Unreachable("offline", "the relay did not start; is the port in use?")

    def wait(self) -> None:
        if self._child is not None:
            try:
                self._child.wait()
            except KeyboardInterrupt:
                return

    def stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait(timeout=30)
