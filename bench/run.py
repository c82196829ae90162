"""`make bench`: every measurement there is, one after the other. Figures and their meaning: docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

for script in sorted(HERE.glob("*.py")):
    if script.name != Path(__file__).name:
        print(f"== {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True)
