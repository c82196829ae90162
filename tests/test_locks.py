"""The locks name versions and hashes and nothing else: no index, no address, no folder of some machine."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIN = r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+)? \\$"
HASH = r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$"
LINE = re.compile(f"{PIN}|{HASH}")
SEVERAL_WHEELS = ("automerge", "cryptography", "msgspec")


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Name to version and number of hashes."""
    found: dict[str, tuple[str, int]] = {}
    current = ""
    for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
        match = LINE.match(line)
        assert match, f"{name}:{number} is neither a pin nor a hash: {line}"
        if match["name"]:
            current = match["name"]
            found[current] = (match["version"], 0)
        else:
            found[current] = (found[current][0], found[current][1] + 1)
    return found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_the_hashes_of_all_platforms(name: str) -> None:
    found = pins(name)
    assert all(hashes for _, hashes in found.values())
    assert all(found[package][1] > 4 for package in SEVERAL_WHEELS)


def test_the_runtime_lock_is_a_part_of_the_developers() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_the_npm_lock_names_no_place_and_always_a_hash() -> None:
    packages = json.loads((ROOT / "pwa/package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert "version" in package, name
        assert package.get("inBundle") or package["integrity"].startswith("sha512-"), name


def test_the_npm_lock_knows_the_binaries_of_every_platform() -> None:
    """npm leaves out what the registry of the day did not offer, and then `npm ci` refuses the lock."""
    packages = json.loads((ROOT / "pwa/package-lock.json").read_text())["packages"]
    absent = [
        (name, wanted)
        for name, package in packages.items()
        for wanted in package.get("optionalDependencies", {})
        if f"node_modules/{wanted}" not in packages and f"{name}/node_modules/{wanted}" not in packages
    ]
    assert absent == []
