"""`coursekit grade`: collect evidence side by side, judge it, and record it with nbgrader. Each submission ends in one stated outcome."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from coursekit.checks.verdict import State, Verdict
from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.batch import Batch
from coursekit.grading.collect.collector import Collector, Ended, take
from coursekit.grading.collect.intake import Submission, gather
from coursekit.grading.gradebook.connection import one_connection
from coursekit.grading.gradebook.record import MEND, Gradebook, Recorded
from coursekit.grading.judge.grader import Grader, grader
from coursekit.grading.sandbox.trial import usable

T = TypeVar("T")
GARBAGE = 10_000  # new objects, between two looks for cyclic garbage


@dataclass(frozen=True)
class Line:
    """One student's row. outcome: graded, timed out, crashed, unreadable, empty or wrong unit, with where. mistakes: known ones, by exercise.

    review: exercises that a person should look at, with the names used that the exercise asks to do without.
    """

    student: str
    outcome: str
    score: float
    max_score: float
    passed: int
    exercises: int
    mistakes: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""
    feedback: str | None = None
    problem: str | None = None
    review: dict[str, list[str]] = field(default_factory=dict)


def main(unit: str, submitted: Path | str | None, jobs: int | None, isolation: str, resume: bool, as_json: bool) -> int:
    """Grade a class. Returns: 0, or 1 if a submission could not be recorded."""
    with contextlib.ExitStack() as stack:
        if (collector := take()) is not None:
            stack.callback(collector.close)
        where = course()
        chosen = catalog.load(where.catalog).unit(unit)
        book = Gradebook(where, chosen, isolation)
        submissions = gather(Path(submitted) if submitted else book.submitted, chosen.name)
        grader(chosen.name)
        book.take_in(submissions)  # all while the runners get ready
        kind = require(isolation, collector)
        book.isolation(kind)
        lines = grade(book, submissions, jobs or os.cpu_count() or 1, kind, resume, collector)
    if as_json:
        print(
            json.dumps(
                {"unit": chosen.name, "isolation": kind, "submissions": [asdict(line) for line in lines]}, indent=1
            )
        )
    else:
        print(table(lines))
    if problems := sum(line.problem is not None for line in lines):
        print(f"coursekit: {problems} of {len(lines)} submissions could not be recorded; the others are safe.\n{MEND}", file=sys.stderr)
    return 1 if problems else 0


def require(isolation: str, collector: Collector | None = None) -> str:
    """Try the sandbox for real, and say what is on.

    Returns: the kind to use: cold runners where warm ones cannot be had. Raises: CourseError: if none holds; grading then refuses.
    """
    found = None
    if collector is not None:
        with contextlib.suppress(Ended):
            found = collector.usable()
    kind, seen = found or usable(isolation)
    print(f"isolation: {seen}", file=sys.stderr)
    return kind


def grade(
    book: Gradebook, submissions: list[Submission], jobs: int, isolation: str, resume: bool, collector: Collector | None = None
) -> list[Line]:
    """Collect, judge and record what the book has taken in. Evidence is kept as it comes: an interrupted run loses what was under way.

    Args: resume: does not run again what did not run to its end, nor record again what is recorded.
    collector: runs the submissions; without one, or when it ends too early, this process does.
    """
    judge = grader(book.unit.name)
    by_name = {submission.student: submission for submission in submissions}
    lines: dict[str, Line] = {}
    batch = Batch(judge, book.staged, jobs, isolation, not resume, collector)
    with contextlib.closing(batch.collected(by_name)) as collected, _undisturbed(), one_connection():
        for student, problem in _progress(collected, "grading", total=len(submissions)):
            lines[student] = _line(book, judge, by_name[student], isolation, resume, problem)
    return [lines[submission.student] for submission in submissions]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Two habits of Python that cost a class much.

    Recording keeps Python's lock busy, and a runner whose answer has come would wait 5 ms, for each cell, until it is asked the next.
    Cyclic garbage is looked for after every 700 new objects, and now and then among the 400,000 that came with torch and nbgrader.
    """
    before = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-4)
    gc.freeze()
    gc.set_threshold(GARBAGE, *before[1][1:])
    try:
        yield
    finally:
        sys.setswitchinterval(before[0])
        gc.set_threshold(*before[1])
        gc.unfreeze()


def _line(
    book: Gradebook,
    judge: Grader,
    submission: Submission,
    isolation: str,
    resume: bool,
    failed: str | None,
) -> Line:
    student = submission.student
    if failed is not None:
        return Line(
            student, "not graded", 0.0, book.unit.points, 0, len(judge.keys), note=submission.note, problem=failed
        )
    prepared = judge.look(book.staged(student))
    evidence = judge.store.evidence(prepared, isolation)
    verdicts = judge.judge(evidence)
    if resume and book.recorded_evidence(student) == prepared.digest and book.explained(student):
        score, most = book.score(student)
        recorded = Recorded(score, most, None)
    else:
        recorded = book.record(student)
    outcome = f"{evidence.outcome} ({evidence.where})" if evidence.where else evidence.outcome
    return Line(
        student,
        outcome,
        recorded.score,
        recorded.max_score,
        sum(v.state is State.PASSED for v in verdicts.values()),
        len(verdicts),
        _mistakes(verdicts),
        submission.note,
        recorded.feedback,
        recorded.problem,
        judge.review(prepared),
    )


def _review(line: Line) -> list[str]:
    return [f"look at {name}: it uses {', '.join(f'`{word}`' for word in words)}" for name, words in line.review.items()]


def _mistakes(verdicts: dict[str, Verdict]) -> dict[str, list[str]]:
    """What was wrong, by exercise: known wrong answers by name, else the kind of finding."""
    return {
        name: list(verdict.matched) or list(dict.fromkeys(finding.kind for finding in verdict.findings))
        for name, verdict in verdicts.items()
        if verdict.state is State.NOT_YET
    }


def _progress(items: Iterable[T], word: str, total: int | None = None) -> Iterable[T]:
    return tqdm(items, desc=word, total=total, file=sys.stderr, disable=not sys.stderr.isatty())  # type: ignore[no-any-return]


def table(lines: list[Line]) -> str:
    """The class as text, and what it struggled with most."""
    wide = max([7, *(len(line.student) for line in lines)])
    rows = [f"{'student':<{wide}}  {'score':>12}  {'passed':>7}  outcome"]
    for line in lines:
        tail = "; ".join(
            part
            for part in (line.outcome, line.note, *_review(line), line.problem and f"PROBLEM: {line.problem}")
            if part
        )
        rows.append(
            f"{line.student:<{wide}}  {line.score:>5.4g} of {line.max_score:<4.4g}  {line.passed:>2} of {line.exercises:<2}  {tail}"
        )
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        for exercise, mistakes in line.mistakes.items():
            for mistake in mistakes:
                counts[exercise, mistake] = counts.get((exercise, mistake), 0) + 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    if common:
        rows += [
            "",
            "most frequent mistakes:",
            *(f"  {count:>3} × {exercise}: {mistake}" for (exercise, mistake), count in common),
        ]
    return "\n".join(rows)
