"""Processes that hang, die or fail lose their own task and no other."""

from __future__ import annotations

import os
import time

import pytest

from coursekit.errors import CourseError
from coursekit.proof.workers import Broken, Lost, each


def work(task: str) -> str | None:
    if task == "nothing":
        return None
    if task == "hang":
        time.sleep(60)
    if task == "die":
        os._exit(3)
    if task == "refuse":
        raise CourseError("no inputs", "Add them.")
    if task == "fail":
        raise ValueError("odd")
    return task.upper()


def seconds(task: str) -> float:
    return 0.5 if task == "hang" else 60


def test_lost_tasks_cost_nothing_else() -> None:
    tasks = ["a", "die", "b", "hang", "c", "refuse", "d"]
    answers = dict(each(tasks, work, 2, seconds))
    assert answers == {
        0: "A",
        1: Lost("crashed"),
        2: "B",
        3: Lost("timed out"),
        4: "C",
        5: Broken("no inputs", "Add them."),
        6: "D",
    }


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    [(_, answer)] = each(["fail"], work, 0, seconds)
    assert isinstance(answer, Broken)
    assert "ValueError: odd" in answer.problem


def test_no_tasks_need_no_process() -> None:
    assert list(each([], work, 2, seconds)) == []


@pytest.mark.parametrize("jobs", [0, 1])
def test_here_or_in_a_process(jobs: int) -> None:
    assert dict(each(["a", "nothing", "b"], work, jobs, seconds)) == {0: "A", 1: None, 2: "B"}
