"""The notebooks that the build writes: metadata, ids, stubs, cards; and nbgrader makes the same release of them."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from coursekit.build import door, notebook
from coursekit.build.commands import build
from coursekit.build.source import read
from coursekit.course import catalog

CARD_ONE = (
    "**Exercise** `u01-sse-grad` · 4 points · difficulty 1 of 5 · importance 2 of 5 · about 5 minutes\n\n"
    "*Why it matters:* It is the first gradient."
)


@pytest.fixture
def built(mini: Any) -> tuple[Any, Any]:
    """The solution notebook and the release."""
    unit = catalog.load(mini.toml).unit("u01")
    source = read(mini.source)
    return notebook.solution(source, unit), notebook.release(source, unit)


def code(nb: Any) -> dict[str, str]:
    return {cell.id: cell.source for cell in nb.cells if cell.cell_type == "code"}


def test_the_release_is_a_valid_notebook_without_outputs(built: tuple[Any, Any]) -> None:
    for nb in built:
        nbformat.validate(nb)
        assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in nb.cells)
        assert nb.metadata.kernelspec.name == "python3"


def test_ids_are_stable_and_speak(built: tuple[Any, Any], mini: Any) -> None:
    solution, release = built
    ids = [cell.id for cell in release.cells]
    assert ids == [cell.id for cell in solution.cells]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if name.startswith("u01-")] == [
        "u01-sse-grad-answer",
        "u01-sse-grad",
        "u01-hunt-mean-answer",
        "u01-hunt-mean",
    ]
    mini.change(mini.source, "# text\n", "# other text\n\n# %% [markdown]\n# new\n")
    again = notebook.release(read(mini.source), catalog.load(mini.toml).unit("u01"))
    kept = [cell.id for cell in again.cells]
    assert len(set(kept) - set(ids)) == 2, "only the cells that changed have new ids"


def test_two_equal_cells_have_two_ids(mini: Any) -> None:
    mini.source.write_text(mini.source.read_text("utf-8") + "\n# %%\nprint(1)\n\n# %%\nprint(1)\n", "utf-8")
    nb = notebook.solution(read(mini.source), catalog.load(mini.toml).unit("u01"))
    assert nb.cells[-1].id == f"{nb.cells[-2].id}-2"


def test_nbgrader_metadata_is_derived(built: tuple[Any, Any]) -> None:
    marks = {cell.id: cell.metadata["nbgrader"] for cell in built[1].cells if "nbgrader" in cell.metadata}
    assert set(marks) == {"u01-sse-grad-answer", "u01-sse-grad", "u01-hunt-mean-answer", "u01-hunt-mean"}
    common = {"schema_version": 3, "task": False}
    check = {key: value for key, value in marks["u01-sse-grad"].items() if key not in ("checksum", "cell_type")}
    assert check == {
        **common,
        "grade_id": "u01-sse-grad",
        "grade": True,
        "solution": False,
        "locked": True,
        "points": 4,
    }
    answer = {key: value for key, value in marks["u01-sse-grad-answer"].items() if key not in ("checksum", "cell_type")}
    assert answer == {**common, "grade_id": "u01-sse-grad-answer", "grade": False, "solution": True, "locked": False}
    parameters = next(cell for cell in built[1].cells if cell.metadata.get("tags") == ["parameters"])
    assert parameters.source.startswith("seed = 0")


def test_a_stub_stands_for_the_answer(built: tuple[Any, Any]) -> None:
    assert code(built[1])["u01-sse-grad-answer"] == (
        'def sse_grad(pred, y):\n    """Gradient."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'
    )


def test_a_hunt_shows_broken_code(built: tuple[Any, Any]) -> None:
    assert code(built[1])["u01-hunt-mean-answer"] == (
        "def center(x):\n    mean = x.mean()\n    if fast:\n        mean = mean + 0\n    return x - mean"
    )
    assert "### RELEASE SHOWS" in code(built[0])["u01-hunt-mean-answer"]


def test_cards(built: tuple[Any, Any]) -> None:
    prose = [cell.source for cell in built[1].cells if cell.cell_type == "markdown"]
    assert prose[1] == f"## One\n{CARD_ONE}"
    assert "**Bug hunt** `u01-hunt-mean` · 2 points" in prose[2]
    assert not any("{exercise" in text for text in prose)


def test_one_point_is_singular() -> None:
    one = catalog.Exercise("u01-x", "exercise", 1.0, 1, 1, 5, "So.")
    half = catalog.Exercise("u01-x", "exercise", 0.5, 1, 1, 5, "So.")
    assert "· 1 point ·" in notebook.card(one)
    assert "· 0.5 points ·" in notebook.card(half)


def test_round_trip_through_jupytext(built: tuple[Any, Any], mini: Any) -> None:
    """The solution notebook's code, written as percent text again, is the source's, and the cell that looks for the course."""
    text = jupytext.writes(built[0], fmt="py:percent")
    mine = [cell.source for cell in jupytext.reads(text, fmt="py:percent").cells if cell.cell_type == "code"]
    source = [cell.text for cell in read(mini.source).cells if cell.is_code]
    assert mine == [source[0], door.TEXT, *source[1:]]


def test_the_file_ends_in_a_line_end(built: tuple[Any, Any]) -> None:
    text = notebook.text_of(built[1])
    assert text.endswith("}\n")
    assert nbformat.reads(text, as_version=4) == built[1]


@pytest.mark.filterwarnings("ignore")  # nbgrader's own
def test_nbgraders_generate_assignment_gives_the_same_release(mini: Any, caplog: pytest.LogCaptureFixture) -> None:
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    build([])
    steps = [f"{step.__module__}.{step.__name__}" for step in notebook.RELEASE_STEPS]
    config = Config()
    config.CourseDirectory.root = str(mini.root / "autograder")
    config.CourseDirectory.assignment_id = "u01_tensors"
    config.GenerateAssignment.no_database = True
    config.GenerateAssignment.preprocessors = steps
    config.ShowRelease.enabled = True
    logger = logging.getLogger("generate")
    made = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    made.log = logger
    made.start()
    theirs = Path(mini.root / "autograder" / "release" / "u01_tensors" / "u01_tensors.ipynb")
    assert json.loads(theirs.read_text("utf-8")) == json.loads(mini.notebook.read_text("utf-8"))


def test_committed_bytes_are_known(mini: Any) -> None:
    """A change of these bytes means that every committed notebook changes: do it on purpose."""
    build([])
    cells = json.loads(mini.notebook.read_text("utf-8"))["cells"]
    prose = hashlib.sha256(b"prose\n# Tensors\ntext").hexdigest()[:12]
    assert cells[0]["id"] == prose
