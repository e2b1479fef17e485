"""At least 100 correct submissions in odd clothes all get full marks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from coursekit.checks.render import text
from coursekit.checks.verdict import State
from coursekit.course.paths import Course
from coursekit.grading.collect.intake import parse
from coursekit.grading.demo import ClassMaker
from coursekit.grading.judge.grader import Grader, grader
from coursekit.grading.sandbox.trial import try_bubblewrap
from tests.fairness.clothes import wardrobe

SAMPLE = 9  # every ninth one in the fast suite


@pytest.fixture(scope="module")
def u01(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    holds, why, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {why}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", "fairness")
        made = grader("u01")
    return made


def unfair(u01: Grader, step: int, where: Course) -> tuple[int, dict[str, list[str]]]:
    """Grade every `step`-th submission. Returns: how many, and what each unfairly treated one was told."""
    maker = ClassMaker(u01.where, u01.unit)
    chosen = list(wardrobe(maker))[::step]

    def grade(item: tuple[str, dict[str, object]]) -> tuple[str, list[str]]:
        evidence = u01.store.evidence(u01.planner.prepare(parse(json.dumps(item[1]).encode())), "bubblewrap", reuse=False)
        return item[0], [text(verdict) for verdict in u01.judge(evidence).values() if verdict.state is not State.PASSED]

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(u01, "where", where)
        maker_results = list(pool.map(grade, chosen))
    return len(chosen), {name: told for name, told in maker_results if told}


def test_a_sample_gets_full_marks(u01: Grader, tmp_path_factory: pytest.TempPathFactory) -> None:
    count, told = unfair(u01, SAMPLE, Course(tmp_path_factory.mktemp("sample")))
    assert count >= 10
    assert told == {}


@pytest.mark.slow
def test_all_get_full_marks(u01: Grader, tmp_path_factory: pytest.TempPathFactory) -> None:
    count, told = unfair(u01, 1, Course(tmp_path_factory.mktemp("all")))
    assert count >= 100
    assert told == {}
