"""A class runs a few submissions ahead of whoever takes them, and goes on here when the collector ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coursekit.grading import batch as module
from coursekit.grading.batch import AHEAD, Batch
from coursekit.grading.collect.collector import Ended

STUDENTS = [f"student-{number}" for number in range(9)]


class Collector:
    """In place of the process: tells all that it was given, in order, until it ends. Args: ends: after so many questions and answers."""

    def __init__(self, ends: int = 1000) -> None:
        self.left, self.begun, self.given, self.told = ends, 0, list[str](), 0

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Ended

    def begin(self, *rest: Any) -> None:
        self.step()
        self.begun += 1

    def run(self, student: str, path: Path) -> None:
        self.step()
        assert path == Path("in", student)
        self.given.append(student)

    def ended(self) -> tuple[str, str | None]:
        self.step()
        self.told += 1
        return self.given[self.told - 1], None


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ran in this process."""
    ran: list[str] = []

    class Work:
        def __init__(self, *rest: Any) -> None: ...

        def run(self, path: Path) -> str | None:
            ran.append(path.name)
            return "no room" if path.name == "student-3" else None

    monkeypatch.setattr(module, "Work", Work)
    return ran


def batch(collector: Collector | None) -> Batch:
    judge: Any = SimpleNamespace(planner=None, store=None)
    return Batch(judge, lambda student: Path("in", student), 2, "none", False, collector)  # type: ignore[arg-type]


def test_the_collector_runs_all(here: list[str]) -> None:
    collector = Collector()
    assert list(batch(collector).collected(STUDENTS)) == [(student, None) for student in STUDENTS]
    assert (collector.begun, collector.given, here) == (1, STUDENTS, [])


def test_it_does_not_run_far_ahead(here: list[str]) -> None:
    collector = Collector()
    asked: list[str] = []

    def one_by_one() -> Iterator[str]:
        for student in STUDENTS:
            asked.append(student)
            yield student

    collected = batch(collector).collected(one_by_one())
    next(collected)
    assert asked == collector.given == STUDENTS[: 2 + AHEAD]
    next(collected)
    assert asked == collector.given == STUDENTS[: 3 + AHEAD]
    collected.close()


def test_without_one_all_runs_here(here: list[str]) -> None:
    told = dict(batch(None).collected(STUDENTS))
    assert told == {student: "no room" if student == "student-3" else None for student in STUDENTS}
    assert sorted(here) == STUDENTS


@pytest.mark.parametrize("ends", range(19))
def test_wherever_it_ends_each_is_told_once(here: list[str], ends: int) -> None:
    collector = Collector(ends)
    told = [student for student, _ in batch(collector).collected(STUDENTS)]
    assert sorted(told) == STUDENTS
    assert set(here) == set(STUDENTS) - set(collector.given[: collector.told])
    assert len(here) == len(set(here))


def test_an_error_of_ours_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    class Work:
        def __init__(self, *rest: Any) -> None: ...

        def run(self, path: Path) -> str | None:
            raise ZeroDivisionError

    monkeypatch.setattr(module, "Work", Work)
    with pytest.raises(ZeroDivisionError):
        list(batch(None).collected(STUDENTS))
