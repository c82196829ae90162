"""The rule that a skipped test fails in CI can itself fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
