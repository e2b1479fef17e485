"""`coursekit judge`: judge a class again from kept evidence, after a key changed. No student code runs, no manual mark moves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from nbgrader.api import BaseCell, Grade, SubmittedAssignment, SubmittedNotebook
from tqdm import tqdm

from coursekit.checks.verdict import State, Verdict
from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.errors import CourseError
from coursekit.grading.collect import evidence as store
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.gradebook.record import Gradebook
from coursekit.grading.judge.grader import Grader, grader


@dataclass(frozen=True)
class Change:
    """One score that moved, or would have if the exercise did not need a new run (then old equals new). why: one sentence."""

    student: str
    exercise: str
    old: float
    new: float
    why: str
    manual: bool = False


def main(unit: str, feedback: bool, as_json: bool) -> int:
    """Judge a unit again. feedback: write the pages of changed students anew. Returns: 0, or 1 if some exercise has to run again."""
    where = course()
    chosen = catalog.load(where.catalog).unit(unit)
    book = Gradebook(where, chosen, "bubblewrap")
    changes, stale, judged = rejudge(book, grader(chosen.name))
    if feedback:
        kinds = {student: kept.isolation for student, kept in _grades(book)}
        for student in tqdm(
            sorted({change.student for change in changes}),
            desc="feedback",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
        ):
            book.isolation(kinds[student])  # so that the kept evidence is found, and nothing runs
            book.record(student)
    if as_json:
        print(
            json.dumps(
                {
                    "unit": chosen.name,
                    "judged": judged,
                    "changes": [asdict(change) for change in changes],
                    "run again": stale,
                },
                indent=1,
            )
        )
    else:
        print(table(changes, stale, judged))
    return 1 if stale else 0


def rejudge(book: Gradebook, unit: Grader) -> tuple[list[Change], dict[str, list[str]], int]:
    """Judge all evidence that the gradebook's scores came from, and write the automatic scores that changed: all of them or none.

    Returns: the changes; exercise -> students whose evidence was collected on other inputs or with another probe; how many were judged.
    """
    grades = _grades(book)
    changes: list[Change] = []
    stale: dict[str, list[str]] = {}
    judged = 0
    with book.api.gradebook as database:
        rows = {
            (student, name): grade
            for grade, name, student in database.db.query(Grade, BaseCell.name, SubmittedAssignment.student_id)
            .join(BaseCell, Grade.cell_id == BaseCell.id)
            .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
            .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .filter(SubmittedAssignment.assignment.has(name=unit.unit.name))
        }
        for student, kept in tqdm(grades, desc="judging", file=sys.stderr, disable=not sys.stderr.isatty()):
            judged += 1
            for name, verdict in unit.judge(kept).items():
                row = rows.get((student, name))
                if row is None:
                    continue
                if kept.observed and kept.inputs.get(name) != unit.store.inputs[name]:
                    stale.setdefault(name, []).append(student)
                    continue
                new = round(verdict.credit * unit.unit.exercise(name).points, 2)
                if row.auto_score is None or abs(row.auto_score - new) > 1e-9:
                    changes.append(
                        Change(student, name, row.auto_score or 0.0, new, _why(verdict), row.manual_score is not None)
                    )
                    row.auto_score = new
        database.db.commit()
    return changes, stale, judged


def _grades(book: Gradebook) -> Iterator[tuple[str, Evidence]]:
    """Each recorded student with the evidence that the score came from."""
    students = book.recorded_students()
    if not students:
        raise CourseError(
            f"Nothing of `{book.unit.name}` has been graded yet.", f"Run `coursekit grade {book.unit.short}` first."
        )
    for student in students:
        digest = book.recorded_evidence(student)
        path = book.where.autograder / "evidence" / book.unit.name / f"{digest}.evidence"
        if digest is not None and path.is_file():
            yield student, store.load(path)


def _why(verdict: Verdict) -> str:
    if verdict.state is State.PASSED:
        return "correct by the present key"
    return verdict.findings[0].text if verdict.findings else verdict.state.value


def table(changes: list[Change], stale: dict[str, list[str]], judged: int) -> str:
    """The changes as text: student, exercise, old -> new, and why."""
    rows = [f"{judged} submissions judged again from their evidence; {len(changes)} score(s) changed."]
    for change in changes:
        manual = " (a manual mark stands and counts)" if change.manual else ""
        rows.append(f"  {change.student}  {change.exercise}: {change.old:g} -> {change.new:g}{manual}  {change.why}")
    for exercise, students in stale.items():
        rows.append(
            f"  {exercise}: its inputs or its probe changed, so {len(students)} submission(s) have to run again: coursekit grade"
        )
    return "\n".join(rows)
