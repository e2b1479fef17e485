"""Killed at a random moment, grading goes on with --resume as if nothing had been: nothing lost, nothing done twice."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from coursekit.grading.demo import make_class
from tests.faults.killed import Class, kill_once, waiting_class

KINDS = ("grader", "collector", "runner", "zygote")
SLOW_ONES = ("loops",)  # waits for a time limit, which tells nothing here


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Class, Class]:
    """A class that waits, and the same class graded without disturbance."""
    folder = tmp_path_factory.mktemp("killed")
    students = 60 if request.config.getoption("-m") != "not slow" else 13
    untouched = waiting_class(folder, lambda maker: make_class(maker, students), SLOW_ONES)
    graded = untouched.copy(folder / "graded")
    graded.grade()
    return untouched, graded


def undisturbed(waiting: tuple[Class, Class], kind: str, share: float, pause: float, folder: Path, dice: random.Random) -> str:
    """Kill once when a share of the class is done, resume, and compare with the class that nobody disturbed. Returns: what was hit."""
    untouched, graded = waiting
    taken = untouched.copy(folder)
    everything = graded.recorded() if kind == "grader" else graded.evidence()
    hit = kill_once(taken, kind, round(share * len(everything)), pause, dice)
    evidence, recorded = taken.evidence(), taken.recorded()
    taken.grade("--resume", "--json")
    assert taken.gradebook() == graded.gradebook(), (kind, share, pause)
    assert set(taken.evidence()) == set(graded.evidence())
    assert set(taken.recorded()) == set(graded.recorded())
    assert evidence.items() <= taken.evidence().items(), "what had been run was run again"
    assert recorded.items() <= taken.recorded().items(), "what had been recorded was recorded again"
    assert not list((taken.root / "autograder" / "evidence").rglob(".*.evidence.*")) or kind in ("grader", "collector")  # who writes
    return hit


@pytest.mark.parametrize("kind", KINDS)
def test_killed_once_and_resumed(waiting: tuple[Class, Class], kind: str, tmp_path: Path) -> None:
    assert undisturbed(waiting, kind, 0.4, 0.0, tmp_path / kind, random.Random(KINDS.index(kind))) == kind


@pytest.mark.slow
def test_twenty_rounds_at_random_moments(waiting: tuple[Class, Class], tmp_path: Path) -> None:
    dice = random.Random(0)
    hits = []
    for number in range(20):
        kind, share, pause = dice.choice(KINDS), dice.uniform(0, 0.9), dice.uniform(0, 0.3)
        hits.append(undisturbed(waiting, kind, share, pause, tmp_path / str(number), dice))
        print(json.dumps({"round": number, "kind": kind, "share": round(share, 2), "pause": round(pause, 2), "hit": hits[-1]}))
    assert len([hit for hit in hits if hit in KINDS]) >= 15
