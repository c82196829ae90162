"""Vectors of two charters that begin alike: where they part, who may adopt, what is dropped and what is entered again.

``branch`` and ``shown`` name vectors of tests/vectors/charter. Both languages run them: tests/unit/test_branches.py and
pwa/test/branches.test.ts.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from make_charter import after

from eigenkring.charter.branches import dropped, floors, may_adopt, owed, parted_at
from eigenkring.charter.state import Charter

# What the branch ended, and a charter that has not heard of it.
PAIRS = [
    ("member_removed", "role_narrowed"),
    ("member_removed", "adopted_branch"),
    ("left_and_turned", "plan_presented"),
    ("supporter_removed", "let_in"),
    ("let_out", "let_in"),
    ("own_device", "member_removed"),
    ("role_narrowed", "let_in"),
    ("role_widened_and_expired", "role_narrowed"),
    ("role_widened_and_expired", "member_removed"),
    ("granted", "member_removed"),
    ("grant_and_withdraw", "granted"),
    ("ended_on_a_branch", "gone_from_the_door"),
    ("gone_from_the_door", "ended_on_a_branch"),
    ("owner_removed", "three_owners"),
    ("three_owners", "owner_removed"),
    ("owner_steps_back", "two_owners"),
    ("two_owners", "owner_steps_back"),
    ("sole_owner_readmitted", "family"),
    ("family", "sole_owner_readmitted"),
    ("member_removed", "sole_owner_readmitted"),
    ("readmitted_member", "let_in"),
    ("found_by_coordinator", "family"),
    ("family", "family"),
    ("closed", "adopted"),
    ("recovered_by_paper", "plan_presented"),
]


def make() -> dict[str, dict[str, Any]]:
    return {f"{branch}-{shown}": _vector(branch, shown) for branch, shown in PAIRS}


def _vector(branch: str, shown: str) -> dict[str, Any]:
    was, now = after(branch).now, after(shown).now
    return {"branch": branch, "shown": shown, "out": described(was, now)}


def described(was: Charter, now: Charter) -> dict[str, Any]:
    """What a vector says of two charters. ``owed``: by the entry that adopted, the newest and one before all."""
    return {
        "parted_at": parted_at(was, now),
        "dropped": [[n, head.hex()] for n, head in dropped(was, now)],
        "floors": floors(was, now),
        "may_adopt": sorted(p.hex() for p in now.people if may_adopt(was, now, p)),
        "owed": {
            when: [[one.what, one.of.hex(), one.room, None if one.who is None else one.who.hex()] for one in owed(was, now, n)]
            for when, n in {"newest": now.n, "first": 1}.items()
        },
    }  # fmt: skip
