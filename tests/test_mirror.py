"""The Python and TypeScript packages mirror each other: a module has a twin file, a public name a twin export.

So whoever reads one knows where to look in the other, and a change in one language cannot be forgotten in the other.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import mirror_core

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mirror:
    python: str
    typescript: str
    # Modules that exist in one language only, each with the reason.
    python_only: dict[str, str] = field(default_factory=dict)
    # Names of a module that its twin has not, or calls otherwise, each module with the reason.
    otherwise: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def has_reason(self, name: str) -> bool:
        return any(name == one or (one.endswith("/") and name.startswith(one)) for one in self.python_only)

    def twin_of(self, name: str) -> Path:
        return ROOT / self.typescript / f"{name.replace('_', '-')}.ts"

    def without_twin(self, name: str) -> frozenset[str]:
        """Public names of a module that its twin does not export."""
        exported = exported_names(self.twin_of(name).read_text("utf-8"))
        python = (ROOT / self.python / f"{name}.py").read_text("utf-8")
        return frozenset(n for n in public_names(python) if twin(n) not in exported)


MIRRORS = [
    Mirror("crypto/eigenkring_crypto", "pwa/src/crypto"),
    Mirror("core/eigenkring", "pwa/src/core", mirror_core.PYTHON_ONLY, mirror_core.OTHERWISE),
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
    if not mirror.has_reason(name)
]


@pytest.mark.parametrize(("mirror", "name"), CASES)
def test_a_module_has_a_twin_with_the_same_names(mirror: Mirror, name: str) -> None:
    path = mirror.twin_of(name)
    assert path.is_file(), (
        f"{mirror.python}/{name}.py has no {path.relative_to(ROOT)}: make it, or say why in tests/mirror_core.py"
    )
    _, known = mirror.otherwise.get(name, ("", frozenset()))
    missing = mirror.without_twin(name)
    assert missing <= known, (
        f"{path.relative_to(ROOT)} has no {sorted(missing - known)}: or say why in tests/mirror_core.py"
    )
    assert known <= missing, f"these have a twin now, or are gone: {sorted(known - missing)}"


@pytest.mark.parametrize("mirror", MIRRORS, ids=lambda mirror: mirror.python)
def test_no_exception_is_stale(mirror: Mirror) -> None:
    found = modules(mirror)
    for name in mirror.python_only:
        assert any(mirror.has_reason(one) and one.startswith(name) for one in found), f"{name} is gone"
        assert not mirror.twin_of(name).is_file(), f"{name} has a twin now"
    for name in mirror.otherwise:
        assert name in found, f"{name} is gone"
    assert len(modules(mirror)) >= 10, "the folder moved"


def test_names_are_turned_as_people_expect() -> None:
    names = ["open_sealed", "u32", "SigningKey", "MIN_RECORD_BYTES", "first"]
    assert [twin(n) for n in names] == ["openSealed", "u32", "SigningKey", "MIN_RECORD_BYTES", "first"]


def test_a_missing_name_would_be_noticed() -> None:
    source = "export async function seal() {}\nexport const A = 1;\nexport { b as c, type D };\nfunction hidden() {}\n"
    assert exported_names(source) == {"seal", "A", "c", "D"}
    assert public_names("def a(): ...\ndef _b(): ...\nclass C: ...\nasync def d(): ...\nx = 1\n") == {"a", "C", "d"}
