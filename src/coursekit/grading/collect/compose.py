"""Lay a student's cells into a sound notebook, as it was planned: every check cell once, ours, in its place."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

from nbformat import NotebookNode

from coursekit.grading.collect.intake import Part
from coursekit.grading.collect.plan import Place


def compose(release: NotebookNode, places: Iterable[Place]) -> NotebookNode:
    """Make the notebook to grade and to show.

    Args: release: the unit's release notebook. places: what stands where.
    Returns: a valid notebook.
    """
    known = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in release.cells if "nbgrader" in cell.metadata}
    ours = {cell.source.strip() for cell in release.cells if cell.cell_type == "markdown"}
    cells: list[NotebookNode] = []
    for number, (name, part) in enumerate(places):
        if name is not None:
            cell = copy.deepcopy(known[name])
            if part is not None:
                cell.source = part.text
        elif part is not None:
            cell = _plain(part, ours)
            cell["id"] = f"student-{number}"
        cells.append(cell)
    # Built by hand, as its cells are: nbformat's own makers validate each of them against the schema.
    return NotebookNode(cells=cells, metadata=copy.deepcopy(release.metadata), nbformat=4, nbformat_minor=5)  # type: ignore[no-untyped-call]


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
