"""The rules of conftest.py can themselves fail: no skipped test in CI, none that no target of make runs, no deadline."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SKIPPING = """
import pytest
def test_passes(): pass
@pytest.mark.xfail(strict=True)
def test_known(): assert False
@pytest.mark.skip(reason="mark")
def test_marked(): pass
def test_inside(): pytest.skip("inside")
"""
SKIPPED_MODULE = "import pytest\npytest.importorskip('no_such_module_anywhere')\n"


def run_in(folder: Path, ci: str, *args: str) -> "subprocess.CompletedProcess[str]":
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_some.py").write_text(SKIPPING)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | {"CI": ci}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args, str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("args", [(), ("-n", "2")])
def test_a_skipped_test_fails_in_ci_and_an_expected_failure_does_not(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = run_in(tmp_path, "true", *args)
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "1 xfailed" in done.stdout
    assert "test_marked" in done.stdout
    assert "test_inside" in done.stdout
    assert "skipped, which in CI is a failure" in done.stdout


def test_a_skipped_module_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(SKIPPED_MODULE)
    done = run_in(tmp_path, "true", "--deselect", "test_some.py")
    assert done.returncode != 0
    assert "test_module.py" in done.stdout


def test_at_home_a_skip_is_a_skip(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(SKIPPED_MODULE)
    done = run_in(tmp_path, "")
    assert done.returncode == 0, done.stdout
    assert "3 skipped" in done.stdout


@pytest.mark.parametrize(
    ("file", "is_marked"),
    [("unit/test_some.py", True), ("browser/test_some.py", False), ("browser/test_some.py", True)],
)
def test_a_test_that_no_target_of_make_runs_is_told(tmp_path: Path, file: str, is_marked: bool) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser")
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(f"import pytest\n{'@pytest.mark.browser' if is_marked else ''}\ndef test(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    is_run = is_marked and file.startswith("browser")
    assert done.returncode == (0 if is_run else pytest.ExitCode.USAGE_ERROR), done.stdout + done.stderr
    assert ("neither `make unit` nor `make browser`" in done.stdout + done.stderr) is not is_run


def test_no_example_has_a_deadline() -> None:
    @settings(max_examples=1)
    @given(st.none())
    def slow(_: None) -> None:
        time.sleep(0.25)  # longer than the 0.2 seconds of Hypothesis itself

    slow()
