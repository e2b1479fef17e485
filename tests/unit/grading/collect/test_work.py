"""The same notebook from two students runs once, and as many at once as were asked for."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.plan import Planner, Prepared
from coursekit.grading.collect.store import Store
from coursekit.grading.collect.work import Work
from coursekit.grading.sandbox.limits import Limits

PLANNER = Planner("u00", ["double"], "basis", [], {}, {})


class Sandbox:
    """In place of one: notes what runs, and lets it end when it is told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.inside, self.most, self.go = 0, 0, threading.Event()
        self.lock = threading.Lock()

    def run(self, sources: list[str], *rest: Any, submission: str, isolation: str, **more: Any) -> Evidence:
        with self.lock:
            self.ran.append(sources[0])
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.go.wait(10)
        self.inside -= 1
        return Evidence(submission, "u00", "timed out", "", [], {}, isolation, 0.0, {})


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    made = Sandbox()
    monkeypatch.setattr("coursekit.grading.collect.store.collect", made.run)
    return made


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(PLANNER, Store(tmp_path / "evidence", "u00", [], Limits()), 2, "none", retry=True)


def handed_in(folder: Path, student: str, answer: str) -> Path:
    path = folder / student
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": f"double = {answer}"}]}), "utf-8")
    return path


def all_at_once(work: Work, paths: list[Path], sandbox: Sandbox) -> list[str | None]:
    told: list[str | None] = []
    threads = [threading.Thread(target=lambda path=path: told.append(work.run(path))) for path in paths]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    threading.Event().wait(0.2)
    sandbox.go.set()
    for thread in threads:
        thread.join()
    return told


def test_no_more_at_once_than_asked_for(work: Work, sandbox: Sandbox, tmp_path: Path) -> None:
    paths = [handed_in(tmp_path, f"s{number}", str(number)) for number in range(5)]
    assert all_at_once(work, paths, sandbox) == [None] * 5
    assert (sandbox.most, len(sandbox.ran)) == (2, 5)


def test_the_same_notebook_runs_once_though_it_did_not_end_well(work: Work, sandbox: Sandbox, tmp_path: Path) -> None:
    """Evidence that is not `graded` would be collected again for the second student."""
    paths = [handed_in(tmp_path, f"s{number}", "1") for number in range(4)]
    assert all_at_once(work, paths, sandbox) == [None] * 4
    assert work.run(handed_in(tmp_path, "late", "1")) is None
    assert sandbox.ran == ["double = 1"]


def test_why_there_is_no_evidence_is_told_to_each(work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(prepared: Prepared, *rest: Any, **more: Any) -> Evidence:
        raise CourseError("the disk is full.", "Make room.")

    monkeypatch.setattr(work.store, "evidence", refuse)
    assert [work.run(handed_in(tmp_path, student, "1")) for student in "ab"] == ["the disk is full."] * 2


def test_a_file_that_is_not_there_is_an_empty_submission(work: Work, sandbox: Sandbox, tmp_path: Path) -> None:
    assert work.run(tmp_path / "nothing") is None
    assert sandbox.ran == []
