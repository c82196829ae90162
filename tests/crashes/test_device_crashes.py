"""Every step of a device is its last one once: after it nothing acknowledged is lost, nothing is doubled, nothing is half.

`steps.py` sees the steps, `scenes.py` says what is done and done again, `Family.check` what must hold.
"""

from __future__ import annotations

import time

import pytest

from crashes.family import Family, copied
from crashes.scenes import SCENES, Scene, prepared
from crashes.steps import COARSE, Run, run


def ended_at(name: str, step: int, only: frozenset[str] | None) -> Run:
    scene = SCENES[name]()
    with copied(prepared(name)) as family:
        ran = run(lambda steps, say: (steps.begin(), scene.do(family, say))[1], family.folder, step, only)
        assert ran.killed or ran.status == 0, f"{name} failed by itself"
        try:
            after(scene, family, ran.said)
        except BaseException as error:
            error.add_note(f"{name}, ended at step {step}{'' if only is None else ' (coarse)'}, said {ran.said}")
            raise
        return ran


def after(scene: Scene, family: Family, said: list[str]) -> None:
    scene.again(family, said)
    family.check(alarms=scene.alarms)
    scene.holds(family, said)


def walk(name: str, only: frozenset[str] | None, first: int = 1, stride: int = 1) -> int:
    step = first
    while ended_at(name, step, only).killed:
        step += stride
    assert step > first, f"{name} has not {first} steps: nothing was ended"
    return step


@pytest.mark.parametrize("name", sorted(SCENES))
def test_ended_at_steps_that_others_notice(name: str) -> None:
    walk(name, COARSE, first=1 + len(name) % 13, stride=13)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SCENES))
def test_ended_at_every_step_that_others_notice(name: str) -> None:
    assert walk(name, COARSE) > 10


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SCENES))
def test_ended_at_every_step(name: str) -> None:
    """Every write to a file of SQLite too. Hours of it say no more than each seventh step, which is another every day."""
    assert walk(name, None, first=1 + int(time.time() // 86_400) % 7, stride=7) > 10
