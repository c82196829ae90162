"""What the documents tell people to type does what they say, on a live relay; and every link in them leads somewhere."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eigenkring.library import Device
from live_relay import LiveRelay, live_relay

ROOT = Path(__file__).resolve().parent.parent
RELAY = "http://127.0.0.1:8455"
LINK = re.compile(r"\[[^\]\n]*\]\(([^)#\s]+)")


def blocks(path: str, language: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LiveRelay]:
    with live_relay(tmp_path / "relay") as running:
        yield running


def test_the_program_of_the_tutorial_runs(relay: LiveRelay, tmp_path: Path) -> None:
    code, _ = blocks("docs/tutorial.md", "python")
    assert RELAY in code
    done = subprocess.run(
        [sys.executable, "-c", code.replace(RELAY, relay.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Fatima - Fatima komt op zondag\n"), done.stderr


def test_the_program_that_stays_connected_runs(relay: LiveRelay, tmp_path: Path) -> None:
    _, code = blocks("docs/tutorial.md", "python")
    found: dict[str, Any] = {}
    exec(compile(code, "tutorial", "exec"), found)
    with Device.open(tmp_path / "nora") as nora:
        thuis = nora.start("Thuis", relay.url, "Nora")
        with Device.open(tmp_path / "program") as program:
            case = program.join(thuis.invite("member", "Dank"), "Dank").hex()
            nora.sync()
            program.sync()

        async def evening() -> None:
            async with asyncio.timeout(300):
                thanking = asyncio.create_task(found["thank"](str(tmp_path / "program"), case))
                await asyncio.sleep(0.5)
                thuis.add("plan", "agreements", {"what": "Karim rijdt"})
                await asyncio.to_thread(nora.sync)
                await thanking

        asyncio.run(evening())
        nora.sync()
        (agreement,) = thuis.show("plan")["agreements"].values()
        assert agreement["next"] == "Dank je wel!"


def test_the_walk_of_the_readme_runs(relay: LiveRelay, tmp_path: Path) -> None:
    serve, *walk = blocks("README.md", "sh")
    assert serve.strip() == f".venv/bin/eigenkring serve --data /tmp/kring/relay --port {RELAY.rpartition(':')[2]}"
    script = "".join(walk)
    for written, here in (
        (RELAY, relay.url),
        ("/tmp/kring", str(tmp_path)),
        (".venv/bin", str(Path(sys.executable).parent)),
    ):
        assert written in script
        script = script.replace(written, here)
    done = subprocess.run(["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("what: Fatima komt op zondag") == 2, done.stdout  # Nora and De Wit
    assert "to: De Wit" in done.stdout and "opened: None" not in done.stdout
    assert "[withdrawn]" in done.stderr and "[removed]" in done.stderr


@pytest.mark.parametrize(
    "path", sorted(["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
)
def test_every_link_leads_to_a_file(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not ((ROOT / path).parent / link).exists()] == []
