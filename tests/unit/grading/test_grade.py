"""What `coursekit grade` says, and when it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.grading import grade as module
from coursekit.grading.collect.intake import Submission
from coursekit.grading.grade import Line, main, require, table
from coursekit.grading.sandbox import trial

LINES = [
    Line("kim", "graded", 43.5, 50, 8, 10, {"u01-a": ["no_factor_two"], "u01-b": ["shape", "values"]}),
    Line("a-long-name", "timed out (cell 3: timed out)", 50, 50, 10, 10, {}, "handed in as my.ipynb"),
    Line("lee", "graded", 1, 50, 0, 10, {"u01-a": ["no_factor_two"]}, problem="disk full"),
    Line("sam", "graded", 50, 50, 10, 10, review={"u01-a": ["backward", "grad"]}),
]


def test_the_table_has_one_line_per_student_and_the_common_mistakes() -> None:
    assert table(LINES).splitlines() == [
        "student             score   passed  outcome",
        "kim           43.5 of 50     8 of 10  graded",
        "a-long-name     50 of 50    10 of 10  timed out (cell 3: timed out); handed in as my.ipynb",
        "lee              1 of 50     0 of 10  graded; PROBLEM: disk full",
        "sam             50 of 50    10 of 10  graded; look at u01-a: it uses `backward`, `grad`",
        "",
        "most frequent mistakes:",
        "    2 × u01-a: no_factor_two",
        "    1 × u01-b: shape",
        "    1 × u01-b: values",
    ]


def test_without_a_sandbox_grading_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "tried", lambda kind: ("bwrap is missing.", "Install it."))
    with pytest.raises(CourseError) as caught:
        require("bubblewrap")
    assert (caught.value.problem, caught.value.remedy) == ("bwrap is missing.", "Install it.")


def test_cold_runners_stand_in_for_warm_ones_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"bubblewrap": ("no nesting.", "Allow it."), "bubblewrap-cold": ("cold: all is on", "")}
    monkeypatch.setattr(trial, "tried", told.__getitem__)
    assert require("bubblewrap") == "bubblewrap-cold"
    assert capsys.readouterr().err == "isolation: cold: all is on (warm runners cannot be had: no nesting.)\n"


def test_no_isolation_is_said_and_not_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "tried", lambda kind: pytest.fail("must not be tried"))
    assert require("none") == "none"
    assert capsys.readouterr().err == "isolation: none: nothing is protected; student code runs with your rights\n"


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []
    monkeypatch.setattr(module, "require", lambda isolation, collector: seen.append(isolation) or isolation)
    about = {"submitted": Path("submitted"), "isolation": seen.append, "take_in": seen.append}
    monkeypatch.setattr(module, "Gradebook", lambda where, unit, isolation: type("Book", (), about)())
    monkeypatch.setattr(module, "gather", lambda place, unit: seen.append((place, unit)) or [Submission("kim", b"")])
    monkeypatch.setattr(module, "grade", lambda book, submissions, jobs, isolation, resume, collector: LINES[:2])
    return seen


def test_json_is_one_document_on_stdout(graded: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert main("u01", None, 2, "bubblewrap", False, True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unit"] == "u01_tensors"
    assert report["submissions"][0]["mistakes"] == {"u01-a": ["no_factor_two"], "u01-b": ["shape", "values"]}
    assert graded == [(Path("submitted"), "u01_tensors"), [Submission("kim", b"")], "bubblewrap", "bubblewrap"]


def test_a_submission_that_could_not_be_recorded_fails_the_command(
    graded: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "grade", lambda *a: LINES)
    assert main("u01", None, 2, "none", False, False) == 1


def test_an_unknown_unit_names_those_there_are() -> None:
    with pytest.raises(CourseError, match=r"There is no unit `u77`\.\nUnits in this course: .*u01_tensors"):
        main("u77", None, 1, "none", False, False)
