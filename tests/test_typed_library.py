"""A program of one's own is checked by `mypy --strict` against the installed library: its types are all there."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from mypy import api

from test_tutorial import ROOT, blocks

FIRST, SECOND = blocks("docs/tutorial.md", "python")
WRONG = {
    "add takes a collection": ('program.case(case).add("plan", "agreements", {', 'program.case(case).add("plan", {'),
    "a title is text": ('nora.start("Thuis",', "nora.start(7,"),
    "there is no such method": ("nora.sync()", "nora.synchronise()"),
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """One run for all programs: mypy reads the library once."""
    folder = tmp_path_factory.mktemp("programs")
    programs = {"first": FIRST, "second": SECOND}
    for name, (right, wrong) in WRONG.items():
        assert FIRST.count(right) >= 1
        programs[name] = FIRST.replace(right, wrong, 1)
    paths = []
    for number, program in enumerate(programs.values()):
        paths.append(folder / f"program_{number}.py")
        paths[-1].write_text(program, encoding="utf-8")
    # With a configuration of its own: the caller has none of ours, and finds the library as pip put it there.
    (folder / "mypy.ini").write_text("[mypy]\n", encoding="utf-8")
    told, fault, _ = api.run(
        ["--strict", "--config-file", str(folder / "mypy.ini"), "--cache-dir", str(ROOT / ".mypy_cache/caller")]
        + [str(path) for path in paths]
    )
    assert not fault
    errors: dict[str, list[str]] = {name: [] for name in programs}
    for line in told.splitlines():
        found = re.search(r"program_(\d+)\.py:\d+: error: (.*)", line)
        if found:
            errors[list(programs)[int(found[1])]].append(found[2])
        else:
            assert re.match(r"Found|Success|.*: note: ", line), line
    return errors


@pytest.mark.parametrize("package", ["eigenkring", "eigenkring_crypto", "eigenkring_server"])
def test_the_package_says_that_it_is_typed(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize("program", ["first", "second"])
def test_the_programs_of_the_tutorial_are_strictly_typed(checked: dict[str, list[str]], program: str) -> None:
    assert checked[program] == []


@pytest.mark.parametrize("program", WRONG)
def test_what_is_wrong_is_found(checked: dict[str, list[str]], program: str) -> None:
    """Else the library would be a hole through which everything passes."""
    assert len(checked[program]) >= 1
