"""`make bench`: every measurement there is, one after the other, and the page that shows them: docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASUREMENTS = "opening relay_appends relay_followers catching_up peers_on_one_trace country quarter_core".split()

for name in [*MEASUREMENTS, "page"]:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)
