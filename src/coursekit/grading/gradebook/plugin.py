"""The drop-in for nbgrader: `nbgrader autograde`, the Formgrader button and `coursekit grade` all come through here.

autograder/nbgrader_config.py names these classes. nbgrader still keeps the gradebook, manual marks, late penalties and feedback.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from coursekit.checks import render
from coursekit.checks.verdict import Verdict
from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.plan import Prepared
from coursekit.grading.gradebook.connection import settle
from coursekit.grading.judge.grader import grader

PREPARED = "coursekit"  # where the exporter leaves for Execute what of the submission is run


class SubmissionExporter(NotebookExporter):
    """Reads a submission of any quality, so that a broken file ends in a stated outcome and not in a stopped batch.

    nbgrader goes over a submission twice: the first time to take out what the student may have changed in locked cells. Here every
    graded cell is laid anew, so that time leaves an empty notebook, and the second one reads what was handed in.
    """

    def from_filename(  # type: ignore[override]  # an exporter of notebooks returns text
        self, filename: str, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        autograde: Any = self.parent
        if autograde._sanitizing:
            return self._written(nbformat.v4.new_notebook(), resources)  # type: ignore[no-untyped-call]
        about, folders = (resources or {})["nbgrader"], autograde.coursedir
        handed_in = Path(folders.format_path(folders.submitted_directory, about["student"], about["assignment"]), Path(filename).name)
        paper = grader(about["assignment"]).take(handed_in)
        return self.from_notebook_node(paper.notebook, {**(resources or {}), PREPARED: paper.prepared}, **kw)

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Take the steps and write the notebook."""
        text, made = self._written(nb, resources)
        settle()  # before the file is there that tells of it
        return text, made

    def _written(self, nb: NotebookNode, resources: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        """Nobody else holds the notebook: nbconvert's two copies, and a check after each step, are left out."""
        me: Any = self  # untyped
        made = me._init_resources(resources)
        for step in me._preprocessors:
            nb, made = step(nb, made)
        return json.dumps(nb, ensure_ascii=False, sort_keys=True), made  # without indents, which Python writes a tenth as fast


class Execute(NbGraderPreprocessor):  # type: ignore[misc]
    """In place of nbgrader's Execute: collect in the sandbox, judge outside, write one output per grade cell."""

    isolation = Unicode("bubblewrap", help='"bubblewrap", "bubblewrap-cold" for audits, or "none" to run student code without protection').tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        prepared = resources.get(PREPARED)
        if not isinstance(prepared, Prepared):
            raise CourseError(
                "`Execute` was given a notebook that was not laid out for it.",
                "Set `c.Autograde.exporter_class` in nbgrader_config.py as the course's own autograder/nbgrader_config.py does.",
            )
        course_grader = grader(resources["nbgrader"]["assignment"])
        evidence = course_grader.store.evidence(prepared, self.isolation)
        fill(nb, evidence, course_grader.judge(evidence))
        return nb, resources


def fill(nb: NotebookNode, evidence: Evidence, verdicts: dict[str, Verdict]) -> None:
    """Put what each cell showed and what each check says into the notebook."""
    runs = iter(evidence.cells)
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        run = next(runs, None)
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.outputs = score_outputs(verdicts[name], float(cell.metadata["nbgrader"]["points"]))
        elif run is not None:
            cell.outputs = [nbformat.from_dict(output) for output in run.outputs]  # type: ignore[no-untyped-call]
    nb.metadata["coursekit"] = {
        **nb.metadata.get("coursekit", {}),
        "outcome": evidence.outcome,
        "evidence": evidence.submission,
    }


def score_outputs(verdict: Verdict, points: float) -> list[NotebookNode]:
    """One verdict to read, and exactly one finite number, which nbgrader takes as the score."""
    score = round(verdict.credit * points, 2)
    if not math.isfinite(score) or not 0 <= score <= points:
        raise AssertionError(f"a score of {score} for {verdict.exercise} is not between 0 and {points}")
    shown = {"text/plain": render.text(verdict, graded=True), "text/html": render.html(verdict, graded=True)}
    # Built by hand: nbformat's own maker validates each output against the schema.
    result = {"output_type": "execute_result", "data": {"text/plain": repr(score)}, "execution_count": None, "metadata": {}}
    return [nbformat.from_dict(one) for one in ({"output_type": "display_data", "data": shown, "metadata": {}}, result)]  # type: ignore[no-untyped-call]
