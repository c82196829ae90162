"""The reference of the library has every public name, and each says which errors it raises, by codes that there are."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pdoc.doc
import pytest

from eigenkring import errors
from eigenkring.errors import CodedError

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {one.__name__: one.codes for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "codes")}
QUOTED = re.compile(r"``(\w+)(?:\(\"(\w+)\"\))?``")


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools/reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES: tuple[str, ...] = tool().MODULES


def public() -> Iterator[tuple[str, pdoc.doc.Doc[object]]]:
    for name in MODULES:
        module = pdoc.doc.Module(importlib.import_module(name))
        exported = getattr(module.obj, "__all__", None)
        members = module.own_members if exported is None else [module.members[each] for each in exported]
        for member in members:
            if member.name.startswith("_"):
                continue
            yield f"{name}.{member.qualname}", member
            if isinstance(member, pdoc.doc.Class):
                for inner in member.own_members:
                    if not inner.name.startswith("_"):
                        yield f"{name}.{inner.qualname}", inner


PUBLIC = dict(public())


def is_called(one: pdoc.doc.Doc[object]) -> bool:
    holder = importlib.import_module(one.modulename)
    for step in one.qualname.split(".")[:-1]:
        holder = getattr(holder, step)
    return isinstance(one, pdoc.doc.Function) or isinstance(vars(holder).get(one.name), property)


CALLED = {name: one for name, one in PUBLIC.items() if is_called(one)}


def codes_in(text: str) -> Iterator[tuple[str, str]]:
    """What stands in quotes after the name of a family, to the end of the sentence, are its codes; remarks in brackets are none."""
    for sentence in re.findall(r"\bRaises\b.*?(?:\.\s|\.$|$)", text, re.DOTALL):
        family = ""
        for name, code in QUOTED.findall(re.sub(r"\([^\"()]*\)", "", sentence)):
            if name[0].isupper():
                family = name if name in FAMILIES else ""
                code = code or None
            else:
                code = name
            if family and code:
                yield family, code


def test_the_list_is_long_enough_to_mean_something() -> None:
    assert len(CALLED) > 60
    assert {"eigenkring.library.Device.open", "eigenkring.library.Case.watch", "eigenkring.library.Editing.set"} <= set(
        CALLED
    )
    assert {family for family in FAMILIES if issubclass(getattr(errors, family), CodedError)} >= {"Misuse", "Ended"}


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if isinstance(one, pdoc.doc.Class)])
def test_every_class_says_what_it_is(name: str) -> None:
    assert PUBLIC[name].docstring


@pytest.mark.parametrize("name", CALLED)
def test_everything_that_is_called_says_what_it_raises(name: str) -> None:
    text = CALLED[name].docstring
    assert re.search(r"\bRaises\b", text), f"{name} says nothing of errors: {text!r}"
    if "Raises nothing" not in " ".join(text.split()):
        assert any(f"``{family}" in text for family in (*FAMILIES, "BadCode")), text
    for family, code in codes_in(text):
        assert code in FAMILIES[family], f"{name}: {family} has no code {code}"


def test_the_codes_are_found_in_the_text() -> None:
    text = 'Raises ``Misuse``: ``not_yet`` (no case), ``bad_value``; ``Ended("removed")``, ``Unreachable``.'
    assert list(codes_in(text)) == [("Misuse", "not_yet"), ("Misuse", "bad_value"), ("Ended", "removed")]


def test_the_pages_hold_every_name(tmp_path: Path) -> None:
    tool().write(tmp_path)
    assert (tmp_path / "index.html").exists()
    pages = {name: (tmp_path / f"{name.replace('.', '/')}.html").read_text(encoding="utf-8") for name in MODULES}
    for name, one in CALLED.items():
        module = next(each for each in MODULES if name.startswith(f"{each}."))
        assert f'id="{one.qualname}"' in pages[module], name
    assert str(ROOT) not in "".join(pages.values()), "a path of this machine"
