"""Killed at a random moment, grading goes on with --resume as if nothing had been: nothing lost, nothing done twice."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from coursekit.grading.demo import make_class
from tests.faults.killed import Class, kill_once, waiting_class

KINDS = ("grader", "runner", "zygote")
SLOW_ONES = ("loops",)  # waits for a time limit, which tells nothing here


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Class, Class, float]:
    """A class that waits, the same class graded without disturbance, and how long that took."""
    folder = tmp_path_factory.mktemp("killed")
    students = 60 if request.config.getoption("-m") != "not slow" else 13
    untouched = waiting_class(folder, lambda maker: make_class(maker, students), SLOW_ONES)
    graded = untouched.copy(folder / "graded")
    began = time.monotonic()
    graded.grade()
    return untouched, graded, time.monotonic() - began


def undisturbed(waiting: tuple[Class, Class, float], kind: str, after: float, folder: Path, dice: random.Random) -> str:
    """Kill once, resume, and compare with the class that nobody disturbed. Returns: what was hit."""
    untouched, graded, _ = waiting
    taken = untouched.copy(folder)
    hit = kill_once(taken, kind, after, dice)
    evidence, recorded = taken.evidence(), taken.recorded()
    taken.grade("--resume", "--json")
    assert taken.gradebook() == graded.gradebook(), (kind, after)
    assert set(taken.evidence()) == set(graded.evidence())
    assert set(taken.recorded()) == set(graded.recorded())
    assert evidence.items() <= taken.evidence().items(), "what had been run was run again"
    assert recorded.items() <= taken.recorded().items(), "what had been recorded was recorded again"
    assert not list((taken.root / "autograder" / "evidence").rglob(".*.evidence.*")) or kind == "grader"
    return hit


@pytest.mark.parametrize("kind", KINDS)
def test_killed_once_and_resumed(waiting: tuple[Class, Class, float], kind: str, tmp_path: Path) -> None:
    dice = random.Random(KINDS.index(kind))
    assert undisturbed(waiting, kind, waiting[2] * 0.6, tmp_path / kind, dice) == kind


@pytest.mark.slow
def test_twenty_rounds_at_random_moments(waiting: tuple[Class, Class, float], tmp_path: Path) -> None:
    dice = random.Random(0)
    hits = []
    for number in range(20):
        kind, after = dice.choice(KINDS), dice.uniform(0.2, 0.95) * waiting[2]
        hits.append(undisturbed(waiting, kind, after, tmp_path / str(number), dice))
        print(json.dumps({"round": number, "kind": kind, "after": round(after, 2), "hit": hits[-1]}))
    assert len([hit for hit in hits if hit in KINDS]) >= 15
