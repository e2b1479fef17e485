"""The same class gives the same verdicts, to the byte: in a second run, with one worker or two, in warm and in cold sandboxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit.grading.demo import make_class
from tests.faults.killed import Class, waiting_class

STUDENTS = 16
WAITS = "loops"  # for a time limit: it is in the slow tests of time limits


def verdicts(taken: Class) -> bytes:
    """What the gradebook's notebooks say in each check cell, every student after the other."""
    said = []
    for path in sorted((taken.root / "autograder" / "autograded").glob("*/*/*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        graded = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")]
        said.append([path.parts[-3], [[cell["metadata"]["nbgrader"]["grade_id"], cell["outputs"]] for cell in graded]])
    assert len(said) == STUDENTS - 1
    return json.dumps(said, sort_keys=True).encode()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Class, bytes]:
    """A class that waits, and its verdicts with two workers in warm sandboxes."""
    folder = tmp_path_factory.mktemp("determinism")
    waiting = waiting_class(folder, lambda maker: make_class(maker, STUDENTS), (WAITS,))
    graded = waiting.copy(folder / "graded")
    graded.grade()
    return waiting, verdicts(graded)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="again"),
        pytest.param(("--jobs", "1"), id="one worker"),
        pytest.param(("--isolation", "bubblewrap-cold"), id="cold"),
    ],
)
def test_verdicts_are_the_same_to_the_byte(first: tuple[Class, bytes], options: tuple[str, ...], tmp_path: Path) -> None:
    waiting, expected = first
    again = waiting.copy(tmp_path / "again")
    again.grade(*options)
    assert verdicts(again) == expected
