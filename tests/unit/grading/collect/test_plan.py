"""What is run is told from the submission alone, as the notebook to grade will hold it."""

from __future__ import annotations

import json
from dataclasses import asdict

import nbformat
import pytest
from nbformat import NotebookNode

from coursekit.grading.collect.intake import Part, Sheet, parse
from coursekit.grading.collect.plan import Place, Planner
from coursekit.grading.judge.grader import Grader, grader
from tests.faults.broken import corpus

CHECK = '@check("u01-a")\ndef observe(x):\n    return {"y": double(x)}'
ANSWER = Part("code", "def double(x): return 2 * x", "u01-a-answer")


def cell(make: object, source: str, **nbgrader: object) -> NotebookNode:
    made: NotebookNode = make(source)  # type: ignore[operator]
    if nbgrader:
        made.metadata["nbgrader"] = nbgrader
    return made


@pytest.fixture
def release() -> NotebookNode:
    code, prose = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        cell(prose, "# Unit"),
        cell(code, "STUB", grade_id="u01-a-answer", solution=True),
        cell(code, CHECK, grade_id="u01-a", grade=True),
        cell(prose, "Why?", grade_id="u01-why", grade=True, solution=True),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def planner(release: NotebookNode) -> Planner:
    return Planner.of(release, "u01_x", ["double"], "basis")


def test_a_release_is_looked_through_once(planner: Planner) -> None:
    assert planner.names == ["u01-a-answer", "u01-a", "u01-why"]
    assert planner.checks == {"u01-a": CHECK, "u01-why": None}
    assert planner.answers == {"u01-a-answer": True, "u01-why": False}


def test_it_passes_through_json(planner: Planner) -> None:
    assert Planner(**json.loads(json.dumps(asdict(planner)))) == planner


def test_what_stands_where(planner: Planner) -> None:
    more = Part("code", "more = 1")
    assert planner.places(Sheet((ANSWER, more))) == [
        Place("u01-a-answer", ANSWER),
        Place("u01-a", None),
        Place(None, more),
        Place("u01-why", None),
    ]


def test_only_code_is_run(planner: Planner) -> None:
    prepared = planner.prepare(Sheet((Part("markdown", "# Unit"), ANSWER, Part("markdown", "because", "u01-why"))))
    assert prepared.sources == (ANSWER.text, CHECK)


def test_the_digest_covers_code_outcome_and_what_else_decides(planner: Planner) -> None:
    def digest(*cells: str, outcome: str | None = None, of: Planner = planner) -> str:
        return of.prepared([Place(None, Part("code", cell)) for cell in cells], outcome).digest

    first = digest("a = 1")
    assert digest("a = 1") == first
    other = Planner("u01_x", ["double"], "other", [], {}, {})
    assert len({first, digest("a = 2"), digest("a = 1", outcome="empty: x"), digest("a", "= 1"), digest("a = 1", of=other)}) == 5


def test_why_there_is_nothing_to_run(planner: Planner) -> None:
    assert planner.prepare(Sheet((ANSWER,))).outcome is None
    assert planner.prepare(Sheet(problem="empty: no cells")).outcome == "empty: no cells"
    assert planner.prepare(Sheet((Part("code", "1 + 1"),))).outcome == "wrong unit: nothing of u01_x is in it"


@pytest.mark.parametrize(
    ("part", "ours"),
    [
        (ANSWER, True),
        (Part("code", "def double(x): return x"), True),
        (Part("code", "double = lambda x: x"), True),
        (Part("code", CHECK), True),
        (Part("code", "class double: pass"), True),
        (Part("code", "def triple(x): return x"), False),
        (Part("markdown", "def double(x)"), False),
    ],
)
def test_what_belongs_to_the_unit(planner: Planner, part: Part, ours: bool) -> None:
    assert (planner.outcome(Sheet((part,))) is None) is ours


@pytest.fixture(scope="module")
def u01() -> Grader:
    return grader("u01")


def test_the_plan_runs_what_the_notebook_holds(u01: Grader) -> None:
    """What was seen of the cells that are run is put into the notebook's, one by one."""
    whole = json.loads(nbformat.writes(u01.release))
    for name, data in corpus(whole):
        paper = u01.lay_out(parse(data))
        assert tuple(cell.source for cell in paper.notebook.cells if cell.cell_type == "code") == paper.prepared.sources, name
        assert paper.prepared == u01.planner.prepare(parse(data)), name
