"""One connection while a class is recorded: the same contents, each submission all or nothing."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import nbgrader.api
import nbgrader.apps.api
import pytest
from nbgrader.api import Student
from nbgrader.preprocessors import saveautogrades
from sqlalchemy.exc import IntegrityError

from coursekit.grading.gradebook import one_connection, settle


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


def test_afterwards_nbgrader_is_as_it_was(path: Path) -> None:
    with one_connection():
        assert nbgrader.apps.api.Gradebook is not nbgrader.api.Gradebook
    assert nbgrader.apps.api.Gradebook is saveautogrades.Gradebook is nbgrader.api.Gradebook
