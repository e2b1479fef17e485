"""nbgrader's converters serve one student after another; what they leave is compared with nbgrader's own in tests/e2e/test_class.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nbgrader.converters import BaseConverter
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearOutput
from traitlets.config import Config

from coursekit.grading.gradebook import converters as module
from coursekit.grading.gradebook.converters import Converters


@pytest.fixture
def directory(tmp_path: Path) -> CourseDirectory:
    made = CourseDirectory(config=Config())
    made.root = str(tmp_path)
    for student in ("kim", "ana"):
        (tmp_path / "submitted" / student / "u01").mkdir(parents=True)
        handed_in = tmp_path / "submitted" / student / "u01" / "u01.ipynb"
        handed_in.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "utf-8")
    return made


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the autograding converter did: which exporter, which of its steps, which file; the database is left out."""
    seen: list[tuple[Any, ...]] = []

    def convert(self: Any) -> None:
        seen.append((self.exporter, list(self.exporter._preprocessors), self.assignments))

    monkeypatch.setattr(BaseConverter, "convert_notebooks", convert)
    return seen


def test_the_exporter_is_made_once_and_reads_what_was_handed_in(directory: CourseDirectory, done: list[tuple[Any, ...]]) -> None:
    both = Converters(directory, None)
    assert [both.autograde("u01", student)["success"] for student in ("kim", "ana")] == [True, True]
    (first, _, kims), (second, _, anas) = done
    assert first is second
    assert [list(found) for found in (kims, anas)] == [[f"{directory.root}/submitted/{student}/u01"] for student in ("kim", "ana")]


def test_its_steps_are_made_once_and_without_the_first_pass(directory: CourseDirectory, done: list[tuple[Any, ...]]) -> None:
    converter = module.Autograde(coursedir=directory)
    directory.assignment_id, directory.student_id = "u01", "kim"
    converter.start()
    converter._init_preprocessors()
    made = list(converter.exporter._preprocessors)
    converter.start()
    converter._init_preprocessors()
    assert made and converter.exporter._preprocessors == made
    assert len(made) == len(converter.autograde_preprocessors)
    assert not any(isinstance(step, ClearOutput) for step in made)


def test_the_course_folder_is_as_it_was(directory: CourseDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = directory.assignment_id, directory.student_id

    def fail(converter: Any) -> dict[str, Any]:
        assert (directory.assignment_id, directory.student_id) == ("u01", "kim")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "capture_log", fail)
    with pytest.raises(KeyboardInterrupt):
        Converters(directory, None).feedback("u01", "kim")
    assert (directory.assignment_id, directory.student_id) == before


def test_what_goes_wrong_is_told_and_the_next_is_done(directory: CourseDirectory, done: list[tuple[Any, ...]]) -> None:
    both = Converters(directory, None)
    said = both.autograde("u01", "nobody")
    assert not said["success"] and "No notebooks were matched" in said["error"] + said["log"]
    assert both.autograde("u01", "kim")["success"]
    assert len(done) == 1
