"""Lay a student's cells into a sound notebook: every check cell once, ours, in its place; nothing of theirs is lost.

What is graded never depends on this: the probes come from the course, not from the submission.
"""

from __future__ import annotations

import copy
import re

from nbformat import NotebookNode

from coursekit.grading.intake import Part, Sheet

_CHECK = re.compile(r"""^[ \t]*@check\([ \t]*["']([^"'\n]+)["'][ \t]*\)""", re.MULTILINE)


def compose(release: NotebookNode, sheet: Sheet) -> NotebookNode:
    """Make the notebook to grade and to show.

    Args: release: the unit's release notebook. sheet: the student's cells; none if the file could not be read.
    Returns: a valid notebook that holds each graded cell of the release exactly once.
    """
    graded = {
        cell.metadata["nbgrader"]["grade_id"]: cell
        for cell in release.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    answers = {
        cell.metadata["nbgrader"]["grade_id"]: cell
        for cell in release.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    ours = {cell.source.strip() for cell in release.cells if cell.cell_type == "markdown"}
    cells: list[NotebookNode] = []
    placed: set[str] = set()
    for part in sheet.parts:
        name = _claims(part, set(graded))
        if name is not None and name not in placed:
            if part.kind != "code" or part.text.strip() != graded[name].source.strip():
                cells.append(
                    _plain(part, ours)
                )  # an edited check may hold the answer itself: it still runs, as the student's
            cells.append(copy.deepcopy(graded[name]))
            placed.add(name)
        elif (
            part.grade_id is not None
            and part.grade_id in answers
            and part.grade_id not in placed
            and part.kind == "code"
        ):
            cells.append(_answer(part, answers[part.grade_id]))
            placed.add(part.grade_id)
        else:
            cells.append(_plain(part, ours))
    for name in graded:
        if name not in placed:
            _insert(cells, copy.deepcopy(graded[name]), f"{name}-answer")
    for number, cell in enumerate(cells):
        if "nbgrader" not in cell.metadata:
            cell["id"] = f"student-{number}"
    # Built by hand, as its cells are: nbformat's own makers validate each of them against the schema.
    return NotebookNode(cells=cells, metadata=copy.deepcopy(release.metadata), nbformat=4, nbformat_minor=5)  # type: ignore[no-untyped-call]


def _claims(part: Part, known: set[str]) -> str | None:
    if part.grade_id in known:
        return part.grade_id
    match = _CHECK.search(part.text) if part.kind == "code" else None
    return match.group(1) if match and match.group(1) in known else None


def _plain(part: Part, ours: set[str]) -> NotebookNode:
    """A cell of the student's own. Prose that is not the course's is shown as text: its HTML would run in the grader's browser."""
    if part.kind == "code":
        code: dict[str, object] = {"execution_count": None, "outputs": []}
        return NotebookNode(cell_type="code", id="", metadata={}, source=part.text, **code)  # type: ignore[no-untyped-call]
    text = part.text if part.text.strip() in ours else _fenced(part.text)
    return NotebookNode(cell_type="markdown", id="", metadata={}, source=text)  # type: ignore[no-untyped-call]


def _fenced(text: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}text\n{text}\n{fence}"


def _answer(part: Part, release_cell: NotebookNode) -> NotebookNode:
    cell = copy.deepcopy(release_cell)
    cell.source = part.text
    return cell


def _insert(cells: list[NotebookNode], cell: NotebookNode, after: str) -> None:
    """A missing check goes behind its answer, else to the end."""
    for index, other in enumerate(cells):
        if other.metadata.get("nbgrader", {}).get("grade_id") == after:
            cells.insert(index + 1, cell)
            return
    cells.append(cell)


def belongs(release: NotebookNode, sheet: Sheet, functions: list[str]) -> bool:
    """Whether a sheet is of this unit at all: it names one of its exercises, or defines one of its functions."""
    names = {cell.metadata["nbgrader"]["grade_id"] for cell in release.cells if "nbgrader" in cell.metadata}
    any_of = "|".join(map(re.escape, functions))
    defines = re.compile(rf"^[ \t]*(?:def|class)[ \t]+(?:{any_of})\b|^[ \t]*(?:{any_of})[ \t]*=", re.MULTILINE)
    return any(
        part.grade_id in names or _claims(part, names) or (part.kind == "code" and defines.search(part.text))
        for part in sheet.parts
    )
