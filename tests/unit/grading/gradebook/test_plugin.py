"""What nbgrader is given of a verdict: one number, and outputs in their cells."""

from __future__ import annotations

import json
import math

import nbformat
import pytest
from nbconvert.exporters.exporter import ResourcesDict

from coursekit.checks.diagnose import Finding
from coursekit.checks.verdict import State, Verdict
from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import CellRun, Evidence
from coursekit.grading.collect.intake import parse
from coursekit.grading.demo import ClassMaker
from coursekit.grading.gradebook.plugin import Execute, fill, score_outputs
from coursekit.grading.judge.grader import grader


@pytest.mark.parametrize(("credit", "points", "text"), [(1.0, 8.0, "8.0"), (0.0, 8.0, "0.0"), (1 / 3, 5.0, "1.67")])
def test_a_grade_cell_gets_one_finite_number(credit: float, points: float, text: str) -> None:
    outputs = score_outputs(Verdict("u01-a", "f", State.NOT_YET, credit, (Finding("values", "wrong <b>"),)), points)
    assert [output.output_type for output in outputs] == ["display_data", "execute_result"]
    assert outputs[1].data["text/plain"] == text
    assert "wrong &lt;b&gt;" in outputs[0].data["text/html"]


@pytest.mark.parametrize("credit", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_out_of_range_is_our_fault_and_loud(credit: float) -> None:
    with pytest.raises(AssertionError, match="is not between 0 and"):
        score_outputs(Verdict("u01-a", "f", State.NOT_YET, credit), 8.0)


def test_outputs_land_in_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSEKIT_SEED", "a test's seed")
    u01 = grader("u01")
    paper = u01.lay_out(parse(json.dumps(ClassMaker(u01.where, u01.unit).blank()).encode()))
    laid, prepared = paper.notebook, paper.prepared
    runs = [
        CellRun("ok", [{"output_type": "stream", "name": "stdout", "text": f"{number}"}])
        for number in range(len(prepared.sources))
    ]
    right = {name: [case.expected for case in key.cases] for name, key in u01.keys.items()}
    evidence = Evidence(prepared.digest, u01.unit.name, "graded", "", runs, right, "none", 0.0, {})
    fill(laid, evidence, u01.judge(evidence))
    nbformat.validate(laid)
    code = [cell for cell in laid.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        if cell.metadata.get("nbgrader", {}).get("grade"):
            assert cell.outputs[-1].data["text/plain"] == repr(float(cell.metadata["nbgrader"]["points"]))
        else:
            assert cell.outputs[0].text == str(number)


def test_a_notebook_of_another_exporter_is_refused() -> None:
    with pytest.raises(CourseError) as caught:
        Execute().preprocess(nbformat.v4.new_notebook(), ResourcesDict())
    assert (caught.value.problem, caught.value.remedy) == (
        "`Execute` was given a notebook that was not laid out for it.",
        "Set `c.Autograde.exporter_class` in nbgrader_config.py as the course's own autograder/nbgrader_config.py does.",
    )
