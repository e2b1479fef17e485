"""Quotations in the prose: found with their lines, shown without their marks, refused where nothing could be compared with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coursekit.build import notebook, quotes
from coursekit.build.commands import build
from coursekit.build.source import read
from coursekit.course import catalog
from coursekit.errors import CourseError

PROSE = "It is {shown 0.024},\nand $a = {shown 3 \\cdot 10^{-12}}$. {shown `an\nerror`}"


def test_each_is_found_with_its_line_and_as_the_reader_sees_it() -> None:
    found = [quotes.Quote(7, "0.024"), quotes.Quote(8, "3 \\cdot 10^{-12}"), quotes.Quote(8, "`an\nerror`")]
    assert quotes.find(PROSE, 7) == found
    assert quotes.plain(PROSE) == "It is 0.024,\nand $a = 3 \\cdot 10^{-12}$. `an\nerror`"


def test_other_braces_are_left_alone() -> None:
    text = "{exercise u01-x} $10^{-3}$ {showcase 1} `{x}`"
    assert quotes.find(text, 1) == []
    assert quotes.plain(text) == text


def test_the_solution_carries_them_and_the_release_does_not(mini: Any) -> None:
    mini.change(mini.source, "# ## One\n", "# ## One\n# It is {shown 3}.\n")
    unit, source = catalog.load(mini.toml).unit("u01"), read(mini.source)
    line = mini.source.read_text("utf-8").splitlines().index("# It is {shown 3}.") + 1
    solution, release = notebook.solution(source, unit), notebook.release(source, unit)
    marked = [cell.metadata["coursekit"] for cell in solution.cells if "coursekit" in cell.metadata]
    assert marked == [{"shown": [[line, "3"]]}]
    assert not any("coursekit" in cell.metadata for cell in release.cells)
    for made in (solution, release):
        assert made.cells[5].source.startswith("## One\nIt is 3.\n")


@pytest.mark.parametrize(
    ("text", "line", "problem", "remedy"),
    [
        ("# text {shown 1", 2, "a `{shown` has no end in this cell.", "Write `{shown 0.024}`."),
        ("# text\n# {shown …}", 3, "`{shown …}` quotes no word and no number.", "Write `{shown 0.024}`."),
        ("# text\n# {shown}", 3, "a `{shown` has no end in this cell.", "Write `{shown 0.024}`."),
        ("# text {shown 1}", 2, "no cell before this one shows `1`.", "Quote a cell that stands before."),
    ],
)
def test_what_cannot_be_compared_is_refused(mini: Any, text: str, line: int, problem: str, remedy: str) -> None:
    mini.change(mini.source, "# # Tensors\n# text", text)
    with pytest.raises(CourseError) as caught:
        read(mini.source)
    assert (caught.value.problem, caught.value.remedy) == (f"u01_tensors.py:{line}: {problem}", remedy)


def test_a_release_does_not_change_with_a_line_number(mini: Any) -> None:
    mini.change(mini.source, "# ## One\n", "# ## One\n# It is {shown 3}.\n")
    build([])
    before = Path(mini.notebook).read_bytes()
    mini.change(mini.source, "import torch\n", "import torch\n\n")
    build([])
    assert b"{shown" not in before
    assert len(Path(mini.notebook).read_bytes()) - len(before) == len('    "\\n",\n')
