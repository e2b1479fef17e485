"""A class of 30 from hand-in to gradebook and feedback: real answers, wrong answers, blanks, broken files and cheats."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit.checks.judge import judge
from coursekit.checks.probe import run_probe
from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.grading.collect.intake import Submission, gather, parse
from coursekit.grading.collect.run import collect
from coursekit.grading.demo import ClassMaker, copy_course, make_class
from coursekit.grading.grade import Line, grade
from coursekit.grading.gradebook.record import Gradebook
from coursekit.grading.judge.grader import grader
from coursekit.grading.rejudge import rejudge, table
from coursekit.grading.sandbox.trial import try_bubblewrap

pytestmark = pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SAWarning"
)  # nbgrader's own, on a student's first submission
STUDENTS = 30
SEED = "the seed of a test"


@dataclass
class Graded:
    where: Course
    maker: ClassMaker
    lines: dict[str, Line]
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    holds, seen, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {seen}")
    where = copy_course(course(), tmp_path_factory.mktemp("class") / "course")
    with where.catalog.open("a", encoding="utf-8") as file:
        file.write("grace_seconds = 0.5\n")
    where.catalog.write_text(where.catalog.read_text("utf-8").replace("cell_seconds = 10", "cell_seconds = 4"), "utf-8")
    unit = catalog.load(where.catalog).unit("u01")
    maker = ClassMaker(where, unit)
    files = make_class(maker, STUDENTS)
    handed_in = where.root / "handed-in"
    handed_in.mkdir()
    for student, data in files.items():
        (handed_in / f"{student}.ipynb").write_bytes(data)
    with contextlib.chdir(where.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", SEED)
        book = Gradebook(where, unit, "bubblewrap")
        lines = taken_in(book, gather(handed_in, unit.name), os.cpu_count() or 1, resume=False)
    return Graded(where, maker, {line.student: line for line in lines}, files)


def taken_in(book: Gradebook, files: list[Submission], jobs: int, resume: bool) -> list[Line]:
    """Grade files as the command does."""
    book.take_in(files)
    return grade(book, files, jobs, "bubblewrap", resume)


def scores(where: Course) -> dict[str, float]:
    """Each student's sum of automatic scores, straight from nbgrader's database."""
    query = (
        "select a.student_id, sum(g.auto_score) from grade g join submitted_notebook n on g.notebook_id = n.id "
        "join submitted_assignment a on n.assignment_id = a.id group by a.student_id"
    )
    with contextlib.closing(sqlite3.connect(where.autograder / "gradebook.db")) as database:
        return {student: round(score, 2) for student, score in database.execute(query)}


def test_every_submission_ends_in_one_stated_outcome(graded: Graded) -> None:
    assert set(graded.lines) == set(graded.files)
    assert len(graded.lines) == STUDENTS
    assert not [line for line in graded.lines.values() if line.problem]
    words = {student: line.outcome.split(" (")[0] for student, line in graded.lines.items()}
    odd = {
        "loops": "timed out",
        "leaves": "crashed",
        "truncated": "unreadable",
        "empty": "empty",
        "other-course": "wrong unit",
    }
    assert words == {student: odd.get(student, "graded") for student in graded.files}
    assert graded.lines["loops"].outcome == "timed out (cell 4: timed out)"


@pytest.mark.parametrize(
    ("student", "score"),
    [
        ("perfect", 50),
        ("blank", 0),
        ("empty", 0),
        ("truncated", 0),
        ("other-course", 0),
        ("hostile", 0),
        ("loops", 50),
        ("deleted-checks", 50),
        ("doubled-checks", 50),
    ],
)
def test_odd_submissions_get_what_their_honest_part_earns(graded: Graded, student: str, score: float) -> None:
    assert graded.lines[student].score == score
    assert graded.lines[student].max_score == 50


def test_editing_checks_and_points_changes_nothing(graded: Graded) -> None:
    """Its first answer is blank, and so is every exercise that calls it; its own checks print that all is well."""
    line = graded.lines["edited-checks"]
    assert 0 < line.score < 50
    assert line.score == graded.lines["leaves"].score


def test_each_score_is_what_the_trusted_side_computes_from_the_same_code(graded: Graded) -> None:
    """The sandbox and the way through nbgrader add and lose nothing: the same cells, run here, judge the same."""
    with contextlib.chdir(graded.where.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", SEED)
        unit = grader("u01")
    for student, data in graded.files.items():
        if not student.startswith("student-"):
            continue
        names: dict[str, object] = {"device": "cpu"}
        exec("import torch\nimport numpy as np", names)
        for cell in json.loads(data)["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("solution"):
                exec("".join(cell["source"]), names)
        total = 0.0
        for name, exercise in unit.source.exercises.items():
            exec(exercise.probe, names)
            key = unit.keys[name]
            verdict = judge(key, [run_probe(names[exercise.probe_name], case.inputs) for case in key.cases])  # type: ignore[arg-type]
            total += round(verdict.credit * unit.unit.exercise(name).points, 2)
        assert graded.lines[student].score == pytest.approx(total), student


def test_the_gradebook_holds_the_same_scores(graded: Graded) -> None:
    assert scores(graded.where) == {student: pytest.approx(line.score) for student, line in graded.lines.items()}


def test_feedback_names_the_mistake_and_shows_no_secret(graded: Graded) -> None:
    named = [
        (line, exercise)
        for line in graded.lines.values()
        for exercise, kinds in line.mistakes.items()
        if line.student.startswith("student-") and kinds
    ]
    assert named
    secret = graded.where.autograder / "private"
    for line, exercise in named:
        page = (graded.where.root / str(line.feedback)).read_text("utf-8")
        assert f"Not yet</span>: {exercise}" in page
        assert "BEGIN SOLUTION" not in page
        assert SEED not in page
    assert not secret.exists()  # the seed came from the environment


def test_nbgrader_autograde_is_the_same_path(graded: Graded) -> None:
    before = scores(graded.where)
    for student in ("perfect", "hostile", "truncated", "student-01", "deleted-checks"):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", "autograde", "u01_tensors", "--student", student, "--force"],
            cwd=graded.where.autograder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={
                **os.environ,
                "COURSEKIT_SEED": "another seed, so that nothing kept can be used",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
        )
        assert done.returncode == 0, done.stderr
    assert scores(graded.where) == before


def test_a_resubmission_never_keeps_an_old_score(graded: Graded) -> None:
    again = graded.where.root / "again"
    again.mkdir()
    (again / "perfect.ipynb").write_bytes(graded.files["blank"])
    (again / "truncated.ipynb").write_bytes(graded.files["perfect"])
    unit = graded.maker.compiler and catalog.load(graded.where.catalog).unit("u01")
    with contextlib.chdir(graded.where.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", SEED)
        book = Gradebook(graded.where, unit, "bubblewrap")
        lines = {line.student: line.score for line in taken_in(book, gather(again, unit.name), 2, resume=True)}
    assert lines == {"perfect": 0.0, "truncated": 50.0}
    assert {name: scores(graded.where)[name] for name in lines} == lines


def test_resume_does_nothing_twice(graded: Graded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(graded.where.root)
    monkeypatch.setenv("COURSEKIT_SEED", SEED)
    unit = catalog.load(graded.where.catalog).unit("u01")
    book = Gradebook(graded.where, unit, "bubblewrap")
    recorded: list[str] = []
    real = book.record
    monkeypatch.setattr(book, "record", lambda student: recorded.append(student) or real(student))
    files = [
        item
        for item in gather(graded.where.root / "handed-in", unit.name)
        if item.student in ("blank", "student-02", "empty")
    ]
    assert [line.student for line in taken_in(book, files, 2, resume=True)] == ["blank", "empty", "student-02"]
    assert recorded == []


def test_an_unchanged_submission_does_not_run_again_unless_it_did_not_end(graded: Graded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(graded.where.root)
    monkeypatch.setenv("COURSEKIT_SEED", SEED)
    unit = catalog.load(graded.where.catalog).unit("u01")
    names = ("perfect", "student-02", "loops", "leaves")
    book = Gradebook(graded.where, unit, "bubblewrap")
    files = [item for item in gather(graded.where.root / "handed-in", unit.name) if item.student in names]
    ran: list[str] = []
    monkeypatch.setattr("coursekit.grading.collect.store.collect", lambda *a, **k: ran.append(k["submission"]) or collect(*a, **k))
    lines = {line.student: line for line in taken_in(book, files, 2, resume=False)}
    assert {name: (line.score, line.outcome) for name, line in lines.items()} == {
        name: (graded.lines[name].score, graded.lines[name].outcome) for name in names
    }
    digests = {item.student: grader("u01").planner.prepare(parse(item.data)).digest for item in files}
    assert sorted(ran) == sorted(digests[name] for name in ("loops", "leaves"))


def test_a_corrected_key_judges_the_class_again_without_running_it(
    graded: Graded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(graded.where.root)
    monkeypatch.setenv("COURSEKIT_SEED", SEED)
    handed_in = gather(graded.where.root / "handed-in", "u01_tensors")
    unit = catalog.load(graded.where.catalog).unit("u01")
    book = Gradebook(graded.where, unit, "bubblewrap")
    taken_in(book, handed_in, 2, resume=True)  # earlier tests graded some anew, with other inputs
    monkeypatch.setattr("coursekit.grading.collect.store.collect", lambda *a, **k: pytest.fail("student code must not run"))
    assert rejudge(book, grader("u01"))[0] == []

    student, exercise = next(
        (line.student, name)
        for line in graded.lines.values()
        for name in line.mistakes
        if name == "u01-two-layer-forward" and line.student.startswith("student-")
    )
    with book.api.gradebook as database:
        database.find_grade(exercise, unit.name, unit.name, student).manual_score = 4.5
        database.db.commit()
    before = scores(graded.where)
    with (graded.where.autograder / "u01_tensors" / "two_layer_forward.py").open("a", encoding="utf-8") as file:
        file.write('\nforward.weights = {"h": 10.0}\n')
    changes, stale, judged = rejudge(book, grader("u01"))
    assert (stale, judged) == ({}, STUDENTS - 3)  # three files held nothing to run
    assert {change.exercise for change in changes} == {exercise}
    assert student in {change.student for change in changes if change.manual}
    for change in changes:
        assert scores(graded.where)[change.student] == pytest.approx(
            before[change.student] + change.new - change.old, abs=0.011
        )
    with book.api.gradebook as database:
        assert database.find_grade(exercise, unit.name, unit.name, student).manual_score == 4.5


def test_evidence_on_other_inputs_is_said_to_need_a_new_run(graded: Graded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(graded.where.root)
    monkeypatch.setenv("COURSEKIT_SEED", "a new seed")
    book = Gradebook(graded.where, catalog.load(graded.where.catalog).unit("u01"), "bubblewrap")
    before = scores(graded.where)
    changes, stale, judged = rejudge(book, grader("u01"))
    assert changes == []
    assert len(stale) == 10
    assert "submission(s) have to run again: coursekit grade" in table(changes, stale, judged)
    assert scores(graded.where) == before
