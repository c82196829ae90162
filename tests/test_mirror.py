"""The Python and TypeScript packages mirror each other: a module has a twin file, a public name a twin export.

So whoever reads one knows where to look in the other, and a change in one language cannot be forgotten in the other.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mirror:
    python: str
    typescript: str
    # Modules that exist in one language only, each with the reason.
    python_only: dict[str, str] = field(default_factory=dict)


MIRRORS = [
    Mirror("crypto/eigenkring_crypto", "pwa/src/crypto"),
]


def twin(name: str) -> str:
    """snake_case to camelCase; classes and CONSTANTS keep their name."""
    if name.upper() == name or name[0].isupper():
        return name
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def public_names(source: str) -> set[str]:
    """Functions and classes of a module that do not begin with `_`."""
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }


def exported_names(source: str) -> set[str]:
    direct = re.findall(
        r"^export\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?"
        r"(?:async\s+)?(?:function\*?|class|const|let|interface|type|enum)\s+(\w+)",
        source,
        re.MULTILINE,
    )
    listed = [
        name.split(" as ")[-1].strip().removeprefix("type ")
        for block in re.findall(r"^export\s+(?:type\s+)?\{([^}]*)\}", source, re.MULTILINE)
        for name in block.split(",")
        if name.strip()
    ]
    return {*direct, *listed}


def modules(mirror: Mirror) -> dict[str, Path]:
    folder = ROOT / mirror.python
    found = {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.py"))}
    return {name: path for name, path in found.items() if Path(name).name != "__init__"}


CASES = [
    pytest.param(mirror, name, id=f"{mirror.python}/{name}")
    for mirror in MIRRORS
    for name in modules(mirror)
    if name not in mirror.python_only
]


@pytest.mark.parametrize(("mirror", "name"), CASES)
def test_a_module_has_a_twin_with_the_same_names(mirror: Mirror, name: str) -> None:
    path = ROOT / mirror.typescript / f"{name}.ts"
    assert path.is_file(), f"{mirror.python}/{name}.py has no {mirror.typescript}/{name}.ts"
    wanted = {twin(n) for n in public_names((ROOT / mirror.python / f"{name}.py").read_text("utf-8"))}
    missing = wanted - exported_names(path.read_text("utf-8"))
    assert not missing, f"{mirror.typescript}/{name}.ts does not export {sorted(missing)}"


@pytest.mark.parametrize("mirror", MIRRORS, ids=lambda mirror: mirror.python)
def test_no_exception_is_stale(mirror: Mirror) -> None:
    assert set(mirror.python_only) <= set(modules(mirror))
    assert len(modules(mirror)) >= 10, "the folder moved"


def test_names_are_turned_as_people_expect() -> None:
    names = ["open_sealed", "u32", "SigningKey", "MIN_RECORD_BYTES", "first"]
    assert [twin(n) for n in names] == ["openSealed", "u32", "SigningKey", "MIN_RECORD_BYTES", "first"]


def test_a_missing_name_would_be_noticed() -> None:
    source = "export async function seal() {}\nexport const A = 1;\nexport { b as c, type D };\nfunction hidden() {}\n"
    assert exported_names(source) == {"seal", "A", "c", "D"}
    assert public_names("def a(): ...\ndef _b(): ...\nclass C: ...\nasync def d(): ...\nx = 1\n") == {"a", "C", "d"}
