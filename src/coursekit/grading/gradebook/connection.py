"""One connection to nbgrader's gradebook while a class is recorded.

nbgrader opens the gradebook about ten times per submission, looks at its tables each time, asks for each cell's
grade and comment alone, and waits for the disk after each of forty small writes. Here all of that shares one connection, and a
notebook's grades and comments are read at once and written at once. What nbgrader does for one submission is one transaction,
which `settle` ends: before the file is written that says "autograded", so that a crash leaves nothing half told.

nbgrader offers no place for this, so its modules in USERS are given another `Gradebook` by name, and `nbgrader.api` another
`get_alembic_version`. All of it can go once this is true of nbgrader: its apps, converters and preprocessors are handed one open gradebook
instead of opening their own by `db_url`; a notebook's grades and comments are read and written at once; a submission is one
transaction, which ends before its autograded file is written; and no program is started to learn the version of the tables.
tests/unit/grading/gradebook/test_connection.py fails when a release of nbgrader moves what is named here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbgrader.api
from alembic.script import ScriptDirectory
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
ASKED_AGAIN = ("find_assignment", "find_student", "find_submission", "find_submission_notebook")
MADE = {"add_student": "find_student", "add_submission": "find_submission"}


class Shared:
    """Stands in for the class `Gradebook`: gives the same open one to all who ask for the same database."""

    def __init__(self) -> None:
        self.open: dict[str, Gradebook] = {}
        self.courses: set[tuple[str, str]] = set()  # that are known to be there
        self.keeping = False  # whether what was read stays, for one submission
        self._kept: dict[Any, Any] = {}
        self._commit: dict[Gradebook, Any] = {}

    def __call__(self, db_url: str, course_id: str = "default_course", authenticator: Any = None) -> Gradebook:
        book = self.open.get(db_url)
        if book is None:
            book = self.open[db_url] = Gradebook(db_url, course_id, authenticator)
            book.db.remove()
            book.db.session_factory.configure(expire_on_commit=False)
            self._commit[book] = book.db.commit
            book.db.commit = lambda: None  # SQLAlchemy writes before the next question to the database, or when it is closed
            book.close = functools.partial(self._close, book)
            for method in ASKED_AGAIN:
                self._remember(book, method)
            for method, asked in MADE.items():
                self._remember(book, method, asked)
            self._at_once(book, "find_grade", Grade, joinedload(Grade.cell), undefer(Grade.max_score))
            self._at_once(book, "find_comment", Comment, joinedload(Comment.cell))
        elif (db_url, course_id) not in self.courses and book.course_id != course_id:
            book.check_course(course_id=course_id)
        self.courses.add((db_url, course_id))
        return book

    def _close(self, book: Gradebook) -> None:
        """What nbgrader takes for the end of the connection. The next to open it reads anew, unless what was read is kept."""
        if not book.db().is_active:  # a write was refused, and its error is on its way; one of ours would hide it
            self._undo(book)
        with self._or_nothing(book):
            book.db.flush()
        if not self.keeping:
            self._forget(book)

    def _forget(self, book: Gradebook) -> None:
        self._kept.clear()
        book.db.expunge_all()

    def _undo(self, book: Gradebook) -> None:
        """Take the transaction back: else the connection would refuse whatever comes next."""
        self._kept.clear()
        book.db.rollback()
        book.db.remove()

    @contextlib.contextmanager
    def _or_nothing(self, book: Gradebook) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._undo(book)
            raise

    def _remember(self, book: Gradebook, method: str, asked: str | None = None) -> None:
        """Let a method answer the same question only once. Args: asked: the question that an object answers which the method makes."""
        original = getattr(book, method)

        def answer(*names: str, **more: Any) -> Any:
            if not self.keeping:
                return original(*names, **more)
            which = (asked or method, *names)
            if asked or which not in self._kept:
                self._kept[which] = original(*names, **more)
            return self._kept[which]

        setattr(book, method, answer)

    def _at_once(self, book: Gradebook, method: str, kind: type[Any], *options: Any) -> None:
        """Let `find_grade` or `find_comment` read all rows of a notebook when the first is asked for. Args: options: what else of each."""
        one_by_one = getattr(book, method)

        def find(cell: str, notebook: str, assignment: str, student: str) -> Any:
            which = (kind, notebook, assignment, student)
            if which not in self._kept:
                of = book.find_submission_notebook(notebook, assignment, student).id
                rows = book.db.query(kind).filter(kind.notebook_id == of).options(*options)
                self._kept[which] = {row.cell.name: row for row in rows}
            return self._kept[which].get(cell) or one_by_one(cell, notebook, assignment, student)

        setattr(book, method, find)

    def settle(self) -> None:
        """Make what was written last. Grades are then read anew at once, not one by one for what the database computes. Raises: SQLAlchemyError."""
        for book in self.open.values():
            with self._or_nothing(book):
                self._commit[book]()
        for which in [which for which in self._kept if which[0] in (Grade, Comment)]:
            del self._kept[which]

    def undo(self) -> None:
        """Take back what was written since the last time."""
        for book in self.open.values():
            self._undo(book)

    def forget(self) -> None:
        """Be done with what was read."""
        for book in self.open.values():
            self._forget(book)

    def end(self) -> None:
        """Really close what is open."""
        for book in self.open.values():
            with contextlib.suppress(Exception):
                book.db.remove()
            book.engine.dispose()
        self.open.clear()


_current: Shared | None = None


def settle() -> None:
    """Make what was written since the last time last. Without a shared connection, nbgrader has done so itself. Raises: SQLAlchemyError."""
    if _current is not None:
        _current.settle()


@contextlib.contextmanager
def one_submission() -> Iterator[None]:
    """Keep what is read meanwhile: nbgrader asks for the student, the assignment and the notebook at each step. Settles at the end."""
    if _current is None:
        yield
        return
    _current.keeping = True
    try:
        yield
        _current.settle()
    except BaseException:
        _current.undo()
        raise
    finally:
        _current.keeping = False
        _current.forget()


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
    version, nbgrader.api.get_alembic_version = nbgrader.api.get_alembic_version, _newest
    try:
        yield
        shared.settle()
    finally:
        _current, nbgrader.api.get_alembic_version = None, version
        for module, original in before.items():
            module.Gradebook = original  # type: ignore[attr-defined]
        shared.end()


def _newest() -> str:
    """The form of nbgrader's tables. nbgrader starts the program `alembic` to learn it, which takes seconds."""
    folder = Path(nbgrader.api.__file__).parent / "alembic"
    return str(ScriptDirectory(str(folder)).get_current_head())
