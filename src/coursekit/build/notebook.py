"""Make notebooks from a unit's source: the solution notebook with all nbgrader metadata derived, and the student's release."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearOutput, ClearSolutions, ComputeChecksums, LockCells

from coursekit.build import door, quotes
from coursekit.build.regions import broken_text
from coursekit.build.source import Cell, UnitSource
from coursekit.course.catalog import Exercise, Unit

_CARD = re.compile(r"^\{exercise [^}]*\}\s*$", re.MULTILINE)


class ShowRelease(ClearSolutions):  # type: ignore[misc]
    """nbgrader's ClearSolutions, which also knows bug hunts, whose release shows the broken code in place of a stub, and quotations."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict[str, Any], index: int) -> tuple[NotebookNode, dict[str, Any]]:
        cell.metadata.pop(quotes.METADATA, None)   # `coursekit run` compares the solution's; their lines would change the release
        cell, resources = super().preprocess_cell(cell, resources, index)
        return cell, resources

    def _replace_solution_region(self, cell: NotebookNode, language: str) -> bool:
        broken = broken_text(cell.source)
        if broken is None:
            return bool(super()._replace_solution_region(cell, language))
        cell.source = broken
        return True


# What nbgrader's generate_assignment runs, less what this course does not use: headers, hidden tests, mark schemes.
RELEASE_STEPS = (LockCells, ShowRelease, ClearOutput, ComputeChecksums)


def solution(source: UnitSource, unit: Unit) -> NotebookNode:
    """The notebook with answers, as nbgrader's source folder wants it. Cell ids follow from ids and contents."""
    used: set[str] = set()
    cells: list[NotebookNode] = []
    for cell in source.cells:
        cells.append(_cell(cell, unit, used))
        if cell.role == "parameters":  # papermill wants these first
            cells.append(nbformat.v4.new_code_cell(door.TEXT, id=_identity(door.NAME, used)))  # type: ignore[no-untyped-call]
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "coursekit": {"unit": unit.name},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)  # type: ignore[no-untyped-call, no-any-return]


def release(source: UnitSource, unit: Unit) -> NotebookNode:
    """The student's notebook: stubs for answers, broken code for bug hunts, no outputs."""
    notebook = solution(source, unit)
    resources: dict[str, Any] = {"nbgrader": {"notebook": unit.name, "assignment": unit.name, "student": "."}}
    for step in RELEASE_STEPS:
        notebook, resources = step()(notebook, resources)
    return notebook


def text_of(notebook: NotebookNode) -> str:
    """The notebook file's text: the same notebook gives the same bytes."""
    return nbformat.writes(notebook, version=4) + "\n"  # type: ignore[no-untyped-call, no-any-return]


def _cell(cell: Cell, unit: Unit, used: set[str]) -> NotebookNode:
    text = cell.text
    if cell.role == "prose":
        if cell.exercise is not None:
            text = _CARD.sub(lambda _: card(unit.exercise(cell.exercise or "")), text)
        node: NotebookNode = nbformat.v4.new_markdown_cell(quotes.plain(text))  # type: ignore[no-untyped-call]
        if found := quotes.find(cell.text, cell.line):
            node.metadata[quotes.METADATA] = {"shown": [[quote.line, quote.text] for quote in found]}
    else:
        node = nbformat.v4.new_code_cell(text)  # type: ignore[no-untyped-call]
    if cell.tags:
        node.metadata["tags"] = list(cell.tags)
    name = {"answer": f"{cell.exercise}-answer", "check": cell.exercise}.get(cell.role)
    if name is not None:
        node.metadata["nbgrader"] = _grading(cell, unit, name)
    node["id"] = _identity(name or hashlib.sha256(f"{cell.role}\n{cell.text}".encode()).hexdigest()[:12], used)
    return node


def _grading(cell: Cell, unit: Unit, name: str) -> dict[str, Any]:
    check = cell.role == "check"
    data: dict[str, Any] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": check,
        "solution": not check,
        "locked": check,
        "task": False,
    }
    if check:
        data["points"] = unit.exercise(name).points
    return data


def _identity(wanted: str, used: set[str]) -> str:
    identity, number = wanted, 2
    while identity in used:
        identity, number = f"{wanted}-{number}", number + 1
    used.add(identity)
    return identity


def card(exercise: Exercise) -> str:
    """The line that stands in the notebook for an exercise's numbers."""
    word = "Bug hunt" if exercise.kind == "hunt" else "Exercise"
    plural = "" if exercise.points == 1 else "s"
    return (
        f"**{word}** `{exercise.id}` · {exercise.points:g} point{plural} · difficulty {exercise.difficulty} of 5 · "
        f"importance {exercise.importance} of 5 · about {exercise.minutes} minutes\n\n*Why it matters:* {exercise.why}"
    )
