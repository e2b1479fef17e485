"""One connection while a class is recorded: the same contents, each submission all or nothing."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbgrader.api
import nbgrader.apps.api
import nbgrader.converters
import nbgrader.preprocessors
import pytest
from nbgrader.api import MissingEntry, Student
from nbgrader.preprocessors import saveautogrades
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from coursekit.grading.gradebook.connection import ASKED_AGAIN, MADE, USERS, one_connection, one_submission, settle

# They open the gradebook too, and no step of grading comes by them.
NOT_ON_THE_WAY = {
    "nbgrader.converters.generate_solution",
    "nbgrader.preprocessors.overwritecells",
    "nbgrader.preprocessors.overwritekernelspec",
}
REMEDY = "Find where nbgrader opens the gradebook now, and name that in USERS of gradebook/connection.py."


def moved(name: str) -> str | None:
    """What is wrong if one of nbgrader's modules no longer opens the gradebook where ours takes its place."""
    try:
        there = vars(importlib.import_module(name)).get("Gradebook")
    except ModuleNotFoundError:
        return f"nbgrader {nbgrader.__version__} has no `{name}`. {REMEDY}"
    if there is nbgrader.api.Gradebook:
        return None
    return f"nbgrader {nbgrader.__version__}: `{name}` no longer takes `Gradebook` from `nbgrader.api`. {REMEDY}"


@pytest.mark.parametrize("name", USERS)
def test_nbgrader_opens_the_gradebook_where_ours_takes_its_place(name: str) -> None:
    assert moved(name) is None, moved(name)


def test_what_an_nbgrader_release_moved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nbgrader, "__version__", "9.9")
    monkeypatch.setattr(saveautogrades, "Gradebook", Student)
    assert moved("nbgrader.preprocessors.saveautogrades") == (
        "nbgrader 9.9: `nbgrader.preprocessors.saveautogrades` no longer takes `Gradebook` from `nbgrader.api`. "
        "Find where nbgrader opens the gradebook now, and name that in USERS of gradebook/connection.py."
    )
    assert moved("nbgrader.apps.gone") == (
        "nbgrader 9.9 has no `nbgrader.apps.gone`. Find where nbgrader opens the gradebook now, and name that in USERS of gradebook/connection.py."
    )


def test_no_other_part_of_nbgrader_opens_the_gradebook_on_the_way() -> None:
    folders = (nbgrader.converters, nbgrader.preprocessors)
    names = [f"{one.__name__}.{module.name}" for one in folders for module in pkgutil.iter_modules(one.__path__)]
    new = {name for name in names if "Gradebook" in vars(importlib.import_module(name))} - set(USERS) - NOT_ON_THE_WAY
    assert not new, f"nbgrader {nbgrader.__version__} also opens the gradebook in {', '.join(sorted(new))}. {REMEDY}"


@pytest.mark.parametrize("method", sorted({*ASKED_AGAIN, *MADE, *MADE.values(), "find_grade", "find_comment", "check_course"}))
def test_nbgraders_gradebook_has_the_methods_that_are_replaced(method: str) -> None:
    assert callable(getattr(nbgrader.api.Gradebook, method, None)), f"nbgrader {nbgrader.__version__}: `Gradebook` has no `{method}` any more."


def students(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        found = [row[0] for row in database.execute("select id from student order by id")]
    database.close()
    return found


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)    # nbgrader calls `alembic` by its bare name
    made = tmp_path / "gradebook.db"
    nbgrader.api.Gradebook(f"sqlite:///{made}").close()
    return made


def test_all_who_open_it_share_it_and_settling_writes(path: Path) -> None:
    with one_connection():
        first = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        first.add_student("kim")
        assert saveautogrades.Gradebook(f"sqlite:///{path}", "another course") is first
        first.close()
        assert students(path) == []
        with saveautogrades.Gradebook(f"sqlite:///{path}") as again:
            assert again.find_student("kim").id == "kim"
        settle()
        assert students(path) == ["kim"]
        first.add_student("ana")
    assert students(path) == ["ana", "kim"]


def test_what_the_database_refuses_is_undone_and_the_next_goes_on(path: Path) -> None:
    with one_connection():
        book = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        book.add_student("kim")
        settle()
        book.add_student("ana")
        book.db.add(Student(id="kim"))
        with pytest.raises(IntegrityError):
            book.close()
        book.add_student("eve")
    assert students(path) == ["eve", "kim"]


def refused(book: Any) -> None:
    with book:
        book.db.add(Student(id="kim"))
        book.find_student("kim")


def test_the_error_that_is_told_is_the_first_one(path: Path) -> None:
    with one_connection():
        book = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        book.add_student("kim")
        settle()
        with pytest.raises(IntegrityError):
            refused(book)
        assert students(path) == ["kim"]


def interrupted(path: Path) -> None:
    with one_connection():
        with nbgrader.apps.api.Gradebook(f"sqlite:///{path}") as book:
            book.add_student("kim")
        raise KeyboardInterrupt


def test_what_was_not_settled_is_not_written_at_all(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert students(path) == []


@pytest.fixture
def questions() -> Iterator[list[str]]:
    """What the database is asked."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def book(path: Path) -> Iterator[Any]:
    """A shared gradebook that holds an assignment with two graded cells and one answer."""
    with one_connection():
        made: Any = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        made.add_assignment("u01")
        made.add_notebook("u01", "u01")
        for cell, points in (("u01-a", 3.0), ("u01-b", 4.0)):
            made.add_grade_cell(cell, "u01", "u01", max_score=points, cell_type="code")
        made.add_solution_cell("u01-a-answer", "u01", "u01")
        made.close()
        settle()
        yield made


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's way to add a submission
def test_one_submission_asks_the_same_only_once(book: Any, questions: list[str]) -> None:
    with one_submission():
        with book:
            book.update_or_create_student("kim")
            book.update_or_create_submission("u01", "kim")
        with book:
            student, made = book.find_student("kim"), book.find_submission("u01", "kim")
            notebook = book.find_submission_notebook("u01", "u01", "kim")
        asked = len(questions)
        with book:
            assert book.find_student("kim") is student
            assert book.find_submission("u01", "kim") is made
            assert book.find_submission_notebook("u01", "u01", "kim") is notebook
        assert questions[asked:] == []
    assert book.find_student("kim") is not student


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's way to add a submission
def test_grades_are_told_as_they_are_now(book: Any, questions: list[str]) -> None:
    """The score of a grade is computed by the database: what was read before it was written would be told as it was."""
    with one_submission():
        book.add_student("kim")
        book.add_submission("u01", "kim")
        with book:
            grade = book.find_grade("u01-a", "u01", "u01", "kim")
            assert (grade.score, grade.max_score) == (0.0, 3.0)
            grade.auto_score = 2.0
            book.find_grade("u01-b", "u01", "u01", "kim").auto_score = 1.0
        settle()
        asked = len(questions)
        with book:
            assert [book.find_grade(name, "u01", "u01", "kim").score for name in ("u01-a", "u01-b")] == [2.0, 1.0]
            assert len(questions) == asked + 1
            assert book.find_submission("u01", "kim").score == 3.0
            assert book.find_comment("u01-a-answer", "u01", "u01", "kim").comment is None


def test_what_is_not_there_may_come(path: Path) -> None:
    with one_connection():
        book = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        with one_submission():
            with pytest.raises(MissingEntry):
                book.find_student("kim")
            book.add_student("kim")
            assert book.find_student("kim").id == "kim"


def failing(book: Any) -> None:
    with one_submission(), book:
        book.add_student("kim")
        book.db.execute(text("insert into student (id) values ('kim'), ('kim')"))


def test_nothing_of_a_refused_submission_is_remembered(path: Path) -> None:
    with one_connection():
        book = nbgrader.apps.api.Gradebook(f"sqlite:///{path}")
        with pytest.raises(IntegrityError):
            failing(book)
        with one_submission(), pytest.raises(MissingEntry):
            book.find_student("kim")
    assert students(path) == []


def test_without_a_shared_connection_one_submission_is_nothing_special(path: Path) -> None:
    with one_submission():
        with nbgrader.apps.api.Gradebook(f"sqlite:///{path}") as book:
            book.add_student("kim")
    assert students(path) == ["kim"]


def test_a_new_gradebook_has_the_version_that_nbgrader_gives_it(path: Path, tmp_path: Path) -> None:
    with one_connection():
        nbgrader.apps.api.Gradebook(f"sqlite:///{tmp_path / 'new.db'}")
    versions = []
    for made in (path, tmp_path / "new.db"):
        with sqlite3.connect(made) as database:
            versions += database.execute("select version_num from alembic_version").fetchall()
        database.close()
    assert versions[0] == versions[1] and versions[0][0]


def test_afterwards_nbgrader_is_as_it_was(path: Path) -> None:
    with one_connection():
        assert nbgrader.apps.api.Gradebook is not nbgrader.api.Gradebook
    assert nbgrader.apps.api.Gradebook is saveautogrades.Gradebook is nbgrader.api.Gradebook
    assert nbgrader.api.get_alembic_version.__module__ == "nbgrader.api"
