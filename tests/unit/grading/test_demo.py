"""The made-up class comes from the unit's own answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.errors import CourseError
from coursekit.grading.demo import ClassMaker, as_cell, cell_of, copy_course, make_class

FACTOR = 3


def helper(x: int) -> int:
    return x + 1


def needs_helper(x: int) -> int:
    return helper(x)


def needs_a_global(x: int) -> int:
    return x * FACTOR


@pytest.fixture(scope="module")
def maker() -> ClassMaker:
    where = course()
    return ClassMaker(where, catalog.load(where.catalog).unit("u01"))


def test_a_stand_in_becomes_a_cell_with_its_helpers() -> None:
    text = as_cell(needs_helper, "double", {})
    assert text == "def helper(x: int) -> int:\n    return x + 1\n\n\ndef double(x: int) -> int:\n    return helper(x)"
    assert as_cell(needs_a_global, "double", {}) is None
    assert as_cell(needs_a_global, "double", {"FACTOR": 3}) is not None


def test_every_wrong_answer_of_u01_can_be_a_students(maker: ClassMaker) -> None:
    for exercise in maker.source.exercises.values():
        key = maker.compiler.key(exercise.id)
        for answer in [*key.variants, *(wrong.answer for wrong in key.wrong_answers)]:
            assert as_cell(answer, exercise.function, maker.compiler.names), answer.__name__


def test_right_answers_hold_no_markers_and_no_broken_code(maker: ClassMaker) -> None:
    for exercise in maker.source.exercises.values():
        text = maker.right(exercise)
        assert "###" not in text
        compile(text, exercise.id, "exec")


def test_a_class_is_the_same_each_time_and_has_the_odd_ones(maker: ClassMaker) -> None:
    where = course()
    again = ClassMaker(where, catalog.load(where.catalog).unit("u01"))
    first = make_class(ClassMaker(where, catalog.load(where.catalog).unit("u01")), 14)
    assert first == make_class(again, 14)
    assert list(first)[:3] == ["perfect", "blank", "loops"]
    assert list(first)[-3:] == ["student-01", "student-02", "student-03"]
    assert len(make_class(again, 5)) == 5


def test_a_filled_notebook_keeps_its_checks(maker: ClassMaker) -> None:
    made = maker.filled(maker.right)
    blank = maker.blank()
    for exercise in maker.source.exercises.values():
        assert cell_of(made, exercise.id) == cell_of(blank, exercise.id)
        assert cell_of(made, f"{exercise.id}-answer")["source"] != cell_of(blank, f"{exercise.id}-answer")["source"]
    assert json.loads(json.dumps(made)) == made


def test_the_demo_never_writes_into_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("work", "utf-8")
    with pytest.raises(CourseError, match=r"is not empty\.\nGive --folder a new folder, or remove that one\."):
        copy_course(course(), tmp_path)
    made = copy_course(course(), tmp_path / "new")
    assert catalog.load(made.catalog).grading == {"cell_seconds": 10, "probe_seconds": 5}
    assert not (made.autograder / "gradebook.db").exists()
    assert (made.autograder / "u01_tensors" / "sse_grad.py").is_file()
    assert not list(made.root.rglob("__pycache__"))
