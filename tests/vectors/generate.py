"""Write every test vector: tests/vectors/<area>/<name>.json from the `make()` of every make_<area>.py beside this file.

`make vectors` runs it and expects no difference: what is in git is what the generators say, and nothing is left over.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def made_by(generator: Path) -> dict[str, dict[str, Any]]:
    spec = importlib.util.spec_from_file_location(generator.stem, generator)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {generator}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    vectors: dict[str, dict[str, Any]] = module.make()
    return vectors


def write(area: str, vectors: dict[str, dict[str, Any]]) -> None:
    folder = HERE / area
    folder.mkdir(exist_ok=True)
    for name, vector in vectors.items():
        text = json.dumps(vector, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    for path in folder.glob("*.json"):
        if path.stem not in vectors:
            path.unlink()


def main() -> None:
    for generator in sorted(HERE.glob("make_*.py")):
        area = generator.stem.removeprefix("make_")
        vectors = made_by(generator)
        write(area, vectors)
        print(f"{area}: {len(vectors)} vectors")


if __name__ == "__main__":
    main()
