"""A student's cells are laid into a sound notebook, whatever was deleted, doubled, moved or edited."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbformat import NotebookNode

from coursekit.grading.collect import compose as module
from coursekit.grading.collect.intake import Part, Sheet
from coursekit.grading.collect.plan import Planner

CHECK = '@check("u01-a")\ndef observe(x):\n    return {"y": double(x)}'


def cell(kind: str, source: str, **nbgrader: object) -> NotebookNode:
    made = nbformat.v4.new_code_cell(source) if kind == "code" else nbformat.v4.new_markdown_cell(source)
    if nbgrader:
        made.metadata["nbgrader"] = {
            "schema_version": 3,
            "grade": False,
            "solution": False,
            "locked": False,
            "task": False,
            **nbgrader,
        }
    return made


@pytest.fixture
def release() -> NotebookNode:
    cells = [
        cell("markdown", "# Unit\nOurs with <b>HTML</b>"),
        cell("code", "STUB", grade_id="u01-a-answer", solution=True),
        cell("code", CHECK, grade_id="u01-a", grade=True, points=3.0, locked=True),
        cell("code", "demo = 1"),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"coursekit": {"unit": "u01_x"}})


ANSWER = Part("code", "def double(x): return 2 * x", "u01-a-answer")
CHECKED = Part("code", CHECK, "u01-a")


def compose(release: NotebookNode, sheet: Sheet) -> NotebookNode:
    """Plan, and lay out."""
    return module.compose(release, Planner.of(release, "u01_x", ["double"], "basis").places(sheet))


def graded(notebook: NotebookNode) -> list[NotebookNode]:
    return [item for item in notebook.cells if item.metadata.get("nbgrader", {}).get("grade")]


def sources(notebook: NotebookNode) -> list[str]:
    return [item.source for item in notebook.cells]


def test_an_honest_notebook_stays_as_it_is(release: NotebookNode) -> None:
    made = compose(
        release, Sheet((Part("markdown", "# Unit\nOurs with <b>HTML</b>"), ANSWER, CHECKED, Part("code", "demo = 1")))
    )
    assert sources(made) == ["# Unit\nOurs with <b>HTML</b>", ANSWER.text, CHECK, "demo = 1"]
    nbformat.validate(made)


@pytest.mark.parametrize(
    "parts",
    [
        (ANSWER,),
        (ANSWER, CHECKED, CHECKED),
        (CHECKED, ANSWER),
        (Part("code", "print('passed')", "u01-a"), ANSWER),
        (ANSWER, Part("markdown", CHECK, "u01-a")),
        (Part("code", CHECK), ANSWER),
        (),
    ],
)
def test_each_check_stands_there_once_as_the_course_wrote_it(release: NotebookNode, parts: tuple[Part, ...]) -> None:
    made = compose(release, Sheet(parts))
    nbformat.validate(made)
    assert [item.source for item in graded(made)] == [CHECK]
    assert graded(made)[0].metadata["nbgrader"]["points"] == 3.0
    assert len({item["id"] for item in made.cells}) == len(made.cells)


def test_a_deleted_check_comes_back_behind_its_answer(release: NotebookNode) -> None:
    made = compose(release, Sheet((ANSWER, Part("code", "more = 2"))))
    assert sources(made) == [ANSWER.text, CHECK, "more = 2"]


def test_an_edited_check_still_runs_as_the_students_own(release: NotebookNode) -> None:
    merged = Part("code", f"{ANSWER.text}\n\n{CHECK}", "u01-a")
    assert sources(compose(release, Sheet((merged,)))) == [merged.text, CHECK]


def test_a_doubled_check_runs_but_earns_once(release: NotebookNode) -> None:
    made = compose(release, Sheet((ANSWER, CHECKED, CHECKED)))
    assert sources(made) == [ANSWER.text, CHECK, CHECK]
    assert len(graded(made)) == 1


def test_foreign_prose_is_shown_as_text(release: NotebookNode) -> None:
    evil = "hello <script>alert(1)</script>\n```\n[x](javascript:alert(2))"
    made = compose(release, Sheet((Part("markdown", evil), ANSWER)))
    assert made.cells[0].source == f"````text\n{evil}\n````"


def test_the_release_is_not_changed(release: NotebookNode) -> None:
    before = json.dumps(release)
    compose(release, Sheet((ANSWER, CHECKED)))
    assert json.dumps(release) == before
