"""The fast feedback exporter writes the page that nbconvert writes."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import nbgrader
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

from coursekit.grading.gradebook import feedback as module
from coursekit.grading.gradebook.feedback import FeedbackExporter

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    new = nbformat.v4
    outputs = [
        new.new_output("stream", text="<img src=x> & text\n"),
        new.new_output("display_data", data={"image/png": PIXEL, "text/plain": "figure"}),
        new.new_output("error", ename="ValueError", evalue="<b>", traceback=["\x1b[31mred\x1b[0m"]),
    ]
    graded = {"nbgrader": {"grade": True, "solution": False, "grade_id": "a", "points": 2, "score": 1, "locked": True, "schema_version": 3}}
    return new.new_notebook(cells=[
        new.new_markdown_cell("# Title\n\n$x^2$ and `code` ![a picture](data:,x)"),
        new.new_code_cell("print('hello <b>')", outputs=outputs),
        new.new_code_cell("observe()", metadata=graded),
        new.new_raw_cell("raw"),
    ])


@pytest.mark.parametrize("template", ["feedback", "lab", "classic"])
def test_the_page_is_the_same(notebook: nbformat.NotebookNode, template: str) -> None:
    here = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    styles = here.parent / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    settings = {"template_name": template, "extra_template_basedirs": [str(here)], "extra_template_paths": [str(styles)]}
    config = Config({"HTMLExporter": settings})
    told = {"nbgrader": {"score": 1, "max_score": 2, "late_penalty": 0, "student": "kim"}, "metadata": {"name": "u01"}}
    pages = [
        kind(config=config).from_notebook_node(notebook, resources={name: dict(value) for name, value in told.items()})[0]
        for kind in (HTMLExporter, FeedbackExporter, FeedbackExporter)
    ]
    plain, first, second = (re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "id", str(BeautifulSoup(page, "html.parser"))) for page in pages)
    assert first == plain
    assert second == plain


def test_what_is_asked_for_stays_and_the_rest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    pieces = module._Pieces()
    for number in range(10):
        pieces.keep(number, f"one student's {number}")
        if pieces.get("shared") is None:
            assert number == 0, "what each page asks for was given up"
            assert pieces.keep("shared", "the class's") == "the class's"
    assert [number for number in range(10) if pieces.get(number) is not None] == [8, 9]
