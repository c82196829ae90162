"""The wheel brings the built app: installed where there is no Node and no checkout, `eigenkring serve` serves it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path
from urllib.parse import urljoin

import pytest

pytestmark = pytest.mark.browser  # it needs the built app

ROOT = Path(__file__).resolve().parent.parent


def test_an_installed_wheel_serves_the_app_without_node(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools/wheel.sh", str(tmp_path / "dist")], check=True, capture_output=True, timeout=300)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    bin_, python = tmp_path / "venv/bin", str(tmp_path / "venv/bin/python")
    # Onto a path of its own; what it depends on comes from here, where editable installs are not followed.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    (Path(site.stdout.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    environment = {"PATH": str(bin_), "HOME": str(tmp_path), "LANG": os.environ.get("LANG", "C.UTF-8")}
    where = subprocess.run(
        [python, "-c", "import eigenkring; print(eigenkring.__file__)"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert where.stdout.startswith(str(tmp_path / "venv")), "not of the checkout"
    serve = [bin_ / "eigenkring", "serve", "--data", str(tmp_path / "relay"), "--port", "0", "--anyone-may-open"]
    relay = subprocess.Popen(
        serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=tmp_path
    )
    try:
        assert relay.stdout is not None
        lines = []
        for line in relay.stdout:
            lines.append(line)
            if said := re.search(r"(http://[0-9.:]+\d)", line):
                break
        else:
            raise AssertionError("".join(lines))
        with urllib.request.urlopen(said[1], timeout=300) as page:
            html = page.read().decode()
        (script,) = re.findall(r'<script[^>]*src="([^"]+)"', html)
        with urllib.request.urlopen(urljoin(said[1] + "/", script), timeout=300) as asset:
            assert len(asset.read()) > 10_000
    finally:
        relay.terminate()
        relay.wait(timeout=300)


def test_the_wheel_says_that_it_is_typed_and_holds_no_tests(tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools/wheel.sh", str(tmp_path)], check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True).stdout
    for package in ("eigenkring", "eigenkring_crypto", "eigenkring_server"):
        assert f"{package}/py.typed" in names
    assert "eigenkring/app/index.html" in names and "eigenkring/content.json" in names
    assert "tests/" not in names and "__pycache__" not in names
    assert not (ROOT / "core/eigenkring/app").exists(), "the checkout is as it was"
