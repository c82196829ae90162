"""Write the reference of the library as pages, from its docstrings: `python tools/reference.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc

# What a program of one's own calls; everything else may change without a word. tests/test_reference.py reads this list.
MODULES = (
    "eigenkring.library",
    "eigenkring.errors",
    "eigenkring.own_devices",
    "eigenkring.recovery",
    "eigenkring.incoming",
    "eigenkring.renewing",
    "eigenkring.exporting",
    "eigenkring.importing",
    "eigenkring.erasing",
)


def write(folder: Path) -> None:
    pdoc.render.configure(docformat="markdown", show_source=False, search=True)
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
