"""Broken notebooks end in a stated outcome, keep their honest cells, and never stop a class."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import nbformat
import pytest

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.collect.intake import Submission, parse
from coursekit.grading.demo import ClassMaker, cell_of, copy_course
from coursekit.grading.grade import grade
from coursekit.grading.gradebook.record import Gradebook
from coursekit.grading.judge.grader import Grader, grader
from coursekit.grading.sandbox.trial import try_bubblewrap
from tests.faults.broken import Notebook, corpus

WORDS = ("empty: ", "unreadable: ", "wrong unit: ")


@pytest.fixture(scope="module")
def u01() -> Grader:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", "faults")
        return grader("u01")


@pytest.fixture(scope="module")
def whole(u01: Grader) -> Notebook:
    maker = ClassMaker(u01.where, u01.unit)
    return maker.filled(maker.right)


def test_each_of_300_ends_in_a_stated_outcome_and_a_valid_notebook(u01: Grader, whole: Notebook) -> None:
    graded = {exercise.id for exercise in u01.unit.exercises}
    seen = 0
    for name, data in corpus(whole):
        paper = u01.lay_out(parse(data))
        laid, outcome = paper.notebook, paper.prepared.outcome
        nbformat.validate(laid)
        checks = [
            cell.metadata["nbgrader"]["grade_id"]
            for cell in laid.cells
            if cell.metadata.get("nbgrader", {}).get("grade")
        ]
        assert sorted(checks) == sorted(graded), name
        assert outcome is None or outcome.startswith(WORDS), name
        seen += 1
    assert seen >= 300


def test_honest_cells_of_damaged_notebooks_are_kept(u01: Grader, whole: Notebook) -> None:
    """A code cell that can still be read as a string in the damaged file is run."""
    answers = ["".join(cell_of(whole, f"{exercise.id}-answer")["source"]) for exercise in u01.unit.exercises]
    for name, data in corpus(whole):
        try:
            cells = json.loads(data)["cells"]
            kept = [cell["source"] for cell in cells if cell["cell_type"] == "code" and cell["source"] in answers]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        prepared = u01.planner.prepare(parse(data))
        if kept:
            assert prepared.outcome is None, name
            assert sum(source in answers for source in prepared.sources) >= len(kept), name


EXPECTED = {
    "nbformat 3": 50,
    "nbformat 99": 50,
    "no metadata at all": 50,
    "one id for all cells": 50,
    "one grade id for all": 50,
    "points are huge": 50,
    "all cells merged": 50,
    "unknown kernel": 50,
    "Windows line ends": 50,
    "outputs that are wrong": 50,
    "surrogates": 50,
    "encoded as utf-16": 50,
    "cells of an unknown type": 0,
    "all markdown": 0,
    "empty": 0,
    "deep object": 0,
    "large": 0,
    "png": 0,
    "truncated at 20/41": 0,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_a_class_of_broken_files_is_graded_to_the_end(
    tmp_path: Path, whole: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds, why, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {why}")
    monkeypatch.setenv("COURSEKIT_SEED", "faults")
    where = copy_course(course(), tmp_path / "course")
    made = [
        Submission(name.replace(" ", "-").replace("/", "-"), data) for name, data in corpus(whole) if name in EXPECTED
    ]
    assert len(made) == len(EXPECTED)
    with contextlib.chdir(where.root):
        book = Gradebook(where, catalog.load(where.catalog).unit("u01"), "bubblewrap")
        book.take_in(made)
        lines = grade(book, made, 2, "bubblewrap", False)
    assert {line.student: line.problem for line in lines if line.problem} == {}
    scores = {line.student: line.score for line in lines}
    assert scores == {name.replace(" ", "-").replace("/", "-"): score for name, score in EXPECTED.items()}
