"""Hand judged submissions to nbgrader: stage the files, autograde from evidence, write feedback. Manual marks stay nbgrader's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbgrader.apps import NbGrader
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SQLAlchemyError

from coursekit.build.commands import products, write
from coursekit.course import catalog
from coursekit.course.paths import Course
from coursekit.errors import CourseError
from coursekit.grading.collect.intake import Submission
from coursekit.grading.gradebook.connection import one_connection, one_submission, settle
from coursekit.grading.gradebook.converters import Converters

MEND = "Make room, give write permission, or close the program that holds the gradebook; then run the same command with --resume."


@dataclass(frozen=True)
class Recorded:
    """What the gradebook now says of one submission. problem: nbgrader's last words, if it could not record it."""

    score: float
    max_score: float
    feedback: str | None
    problem: str | None = None


class Gradebook:
    """nbgrader's own API on the course folder, with the course's and the user's nbgrader settings."""

    _converters: Converters | None

    def __init__(self, where: Course, unit: catalog.Unit, isolation: str) -> None:
        self.where, self.unit = where, unit
        with _inside(where.autograder):
            app = NbGrader()
            app.load_config_file()
            config = app.config
            self.config = config
            self.isolation(isolation)
            self.directory = CourseDirectory(config=config)
            self.directory.root = str(where.autograder)
            self.api = NbGraderAPI(coursedir=self.directory, config=config)

    def isolation(self, kind: str) -> None:
        """Choose the evidence that counts: that which was collected under this kind of isolation."""
        self.config.Execute.isolation = kind
        self._converters = None  # they keep the settings that they were made with

    @property
    def converters(self) -> Converters:
        if self._converters is None:
            self._converters = Converters(self.directory, self.api)
        return self._converters

    @property
    def submitted(self) -> Path:
        return self.where.autograder / str(self.directory.submitted_directory)

    def take_in(self, submissions: Iterable[Submission]) -> None:
        """Get all ready that grading needs: the unit in the gradebook, the files where nbgrader looks. Raises: CourseError."""
        with one_connection():
            self.announce()
        for submission in submissions:
            self.stage(submission)

    def announce(self) -> None:
        """Put the unit's cells and points into the gradebook. Raises: CourseError: with what nbgrader said."""
        try:
            for product in products(self.where, self.unit):
                if not product.committed:
                    write(product)
            with _inside(self.where.autograder), _quiet():
                result = self.api.generate_assignment(self.unit.name, force=True)
            settle()
        except (SQLAlchemyError, OSError) as error:
            raise CourseError(f"The gradebook cannot be written: {_plainly(error)}.", MEND) from None
        if not result["success"]:
            reason = _reason(result)
            if re.search("locked|full|readonly|No space|Read-only", reason):
                raise CourseError(f"The gradebook cannot be written: {reason}.", MEND)
            raise CourseError(
                f"nbgrader could not take `{self.unit.name}` into the gradebook: {reason}",
                "If exercises were added or removed after grading began, grade into a new gradebook (db_url).",
            )

    def stage(self, submission: Submission) -> None:
        """Put a submission where nbgrader looks; the same bytes keep their time, new ones replace what was there."""
        path = self.staged(submission.student)
        folder = path.parent
        _no_links(folder)
        data = submission.data
        if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".{self.unit.name}.draft"
            draft.write_bytes(data)
            draft.replace(path)
            (folder / "timestamp.txt").write_text(datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC"), "utf-8")
        except OSError as error:
            raise CourseError(
                f"{path.name} of {submission.student} cannot be written: {error.strerror}.",
                f"Make room or give write permission in {self.submitted}, then run again with --resume.",
            ) from None

    def staged(self, student: str) -> Path:
        """A student's file, where nbgrader looks."""
        return self.submitted / student / self.unit.name / f"{self.unit.name}.ipynb"

    def recorded_students(self) -> list[str]:
        """Students whose submission of this unit nbgrader has autograded."""
        return sorted(path.parent.name for path in (self.where.autograder / "autograded").glob(f"*/{self.unit.name}"))

    def recorded_evidence(self, student: str) -> str | None:
        """The digest of the evidence from which this student's grade was recorded, if it was."""
        done = self.where.autograder / "autograded" / student / self.unit.name / f"{self.unit.name}.ipynb"
        try:
            digest = json.loads(done.read_text("utf-8"))["metadata"]["coursekit"]["evidence"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(digest)

    def explained(self, student: str) -> bool:
        """Whether the feedback page is there."""
        return self._feedback(student).is_file()

    def record(self, student: str) -> Recorded:
        """Autograde from evidence, and write the feedback page; a full disk or a locked database is told, not raised."""
        try:
            with one_submission():
                with _inside(self.where.autograder), _quiet():
                    graded = self.converters.autograde(self.unit.name, student)
                    told = self.converters.feedback(self.unit.name, student) if graded["success"] else graded
                score, most = self.score(student)
        except (SQLAlchemyError, OSError) as error:
            return Recorded(0.0, self.unit.points, None, _plainly(error))
        page = self._feedback(student)
        feedback = page.relative_to(self.where.root).as_posix() if page.is_file() else None
        return Recorded(score, most, feedback, None if told["success"] else _reason(told))

    def score(self, student: str) -> tuple[float, float]:
        """Score and maximum of a submission, manual marks included."""
        from nbgrader.api import MissingEntry

        with self.api.gradebook as book:
            try:
                submission = book.find_submission(self.unit.name, student)
            except MissingEntry:
                return 0.0, self.unit.points
            return float(submission.score), float(submission.max_score)

    def _feedback(self, student: str) -> Path:
        return (
            self.where.autograder
            / str(self.directory.feedback_directory)
            / student
            / self.unit.name
            / f"{self.unit.name}.html"
        )


def _no_links(folder: Path) -> None:
    """Remove links, pipes and devices beside a submission: nbgrader would copy what they lead to, a secret or an endless file."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else ():
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            path.unlink()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), path]
    )  # nbgrader calls `alembic` by its bare name
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ["PATH"] = path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """nbgrader logs each file at INFO to stderr; what matters comes back in the result."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def _plainly(error: Exception) -> str:
    """What the database or the disk said, without the SQL."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _reason(result: dict[str, Any]) -> str:
    """The exception that a converter's log ends with; its own error only points there."""
    text = re.sub(r"\(raised as a result of Query-invoked autoflush;[^)]*\)\s*", "", f"{result.get('error', '')}\n{result.get('log', '')}")
    lines = text.splitlines()
    raised = [
        line.strip() for line in lines if re.match(r"\s*[\w.]*(Error|Exception)\b", line) and "Please see" not in line
    ]
    last = (raised or [line.strip() for line in lines if line.strip()] or ["no reason given"])[-1]
    return re.sub(r"^sqlalchemy\S+: \([\w.]+\) ", "", last)[:400]
