"""One connection to nbgrader's gradebook while a class is recorded.

nbgrader opens the gradebook about ten times per submission, looks at its tables each time, asks for each cell's
grade and comment alone, and waits for the disk after each of forty small writes. Here all of that shares one connection, and a
notebook's grades and comments are read at once and written at once. What nbgrader does for one submission is one transaction,
which `settle` ends: before the file is written that says "autograded", so that a crash leaves nothing half told.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from nbgrader.api import Comment, Grade, Gradebook
from sqlalchemy.orm import joinedload, undefer

USERS = (
    "nbgrader.apps.api",
    "nbgrader.converters.autograde",
    "nbgrader.preprocessors.saveautogrades",
    "nbgrader.preprocessors.getgrades",
    "nbgrader.preprocessors.latesubmissions",
    "nbgrader.preprocessors.savecells",
    "nbgrader.converters.generate_assignment",
)


class Shared:
    """Stands in for the class `Gradebook`: gives the same open one to all who ask for the same database."""

    def __init__(self) -> None:
        self.open: dict[str, Gradebook] = {}
        self.courses: set[tuple[str, str]] = set()  # that are known to be there
        self._commit: dict[Gradebook, Any] = {}

    def __call__(self, db_url: str, course_id: str = "default_course", authenticator: Any = None) -> Gradebook:
        book = self.open.get(db_url)
        if book is None:
            book = self.open[db_url] = Gradebook(db_url, course_id, authenticator)
            self._commit[book] = book.db.commit
            book.db.commit = lambda: None  # SQLAlchemy writes before the next question to the database, or when it is closed
            kept: dict[Any, Any] = {}  # what was read; when the book is closed, the next to open it reads anew
            _at_once(book, "find_grade", kept, Grade, joinedload(Grade.cell), undefer(Grade.max_score))
            _at_once(book, "find_comment", kept, Comment, joinedload(Comment.cell))

            def close() -> None:
                kept.clear()
                if not book.db().is_active:  # a write was refused, and its error is on its way; one of ours would hide it
                    book.db.rollback()
                with _or_nothing(book):
                    book.db.flush()
                    book.db.expunge_all()

            book.close = close
        elif (db_url, course_id) not in self.courses and book.course_id != course_id:
            book.check_course(course_id=course_id)
        self.courses.add((db_url, course_id))
        return book

    def settle(self) -> None:
        """Make what was written last, and be done with what was read. Raises: SQLAlchemyError."""
        for book in self.open.values():
            with _or_nothing(book):
                self._commit[book]()
            book.db.remove()

    def end(self) -> None:
        """Really close what is open."""
        for book in self.open.values():
            with contextlib.suppress(Exception):
                book.db.remove()
            book.engine.dispose()
        self.open.clear()


@contextlib.contextmanager
def _or_nothing(book: Gradebook) -> Iterator[None]:
    """Undo the transaction if the database refuses: else the connection would refuse whatever comes next."""
    try:
        yield
    except Exception:
        book.db.rollback()
        book.db.remove()
        raise


def _at_once(book: Gradebook, method: str, kept: dict[Any, Any], kind: type[Any], *options: Any) -> None:
    """Let `find_grade` or `find_comment` read all rows of a notebook when the first is asked for.

    Args: kept: where they are kept. options: what else of each row is read with it.
    """
    one_by_one = getattr(book, method)

    def find(cell: str, notebook: str, assignment: str, student: str) -> Any:
        which = (notebook, assignment, student)
        if (kind, which) not in kept:
            if which not in kept:
                kept[which] = book.find_submission_notebook(*which).id
            rows = book.db.query(kind).filter(kind.notebook_id == kept[which]).options(*options)
            kept[kind, which] = {row.cell.name: row for row in rows}
        return kept[kind, which].get(cell) or one_by_one(cell, notebook, assignment, student)

    setattr(book, method, find)


_current: Shared | None = None


def settle() -> None:
    """Make what was written since the last time last. Without a shared connection, nbgrader has done so itself. Raises: SQLAlchemyError."""
    if _current is not None:
        _current.settle()


@contextlib.contextmanager
def one_connection() -> Iterator[None]:
    """Let nbgrader's parts share one connection. For one thread at a time."""
    global _current
    shared, before = Shared(), {}
    for name in USERS:
        module = importlib.import_module(name)
        if getattr(module, "Gradebook", None) is Gradebook:
            before[module] = module.Gradebook
            module.Gradebook = shared  # type: ignore[attr-defined]
    _current = shared
    try:
        yield
        shared.settle()
    finally:
        _current = None
        for module, original in before.items():
            module.Gradebook = original  # type: ignore[attr-defined]
        shared.end()
