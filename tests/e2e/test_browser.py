"""A student's first five minutes: real JupyterLab in a real browser, a wrong answer, its verdict, a hint, the right answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser
WRONG = "def sse_grad(pred, y):\n    if pred.shape != y.shape:\n        raise ValueError(\"shapes differ\")\n    return pred - y"
RIGHT = WRONG.replace("return pred - y", "return 2 * (pred - y)")


def test_a_student_reads_which_mistake_it_was(open_notebook: Callable[[str], Any]) -> None:
    notebook = open_notebook("u01_tensors")
    notebook.run('device = "cpu"')
    notebook.run("import torch")
    check = '@check("u01-sse-grad")'

    notebook.run("def sse_grad")
    assert "Not started: u01-sse-grad" in notebook.run(check).inner_text()

    notebook.write("def sse_grad", WRONG)
    notebook.run("def sse_grad")
    said = notebook.run(check)
    assert "Not yet: u01-sse-grad" in said.inner_text()
    assert "`sse_grad`" not in said.inner_text()   # backticks become code
    assert "sse_grad returns exactly half of the gradient." in said.inner_text()
    assert said.locator('section[role="status"]').get_attribute("aria-label") == "Not yet: u01-sse-grad"
    if picture := os.environ.get("COURSEKIT_SCREENSHOT"):
        said.locator('section[role="status"]').scroll_into_view_if_needed()
        notebook.page.screenshot(path=picture)

    notebook.add_below(check, 'hint("u01-sse-grad")')
    assert "Hint 1 of 3 for u01-sse-grad:" in notebook.run('hint("u01-sse-grad")').inner_text()

    notebook.write("def sse_grad", RIGHT)
    notebook.run("def sse_grad")
    assert "Passed: u01-sse-grad\nAll public checks passed; grading uses fresh inputs." in notebook.run(check).inner_text().replace("\n\n", "\n")
