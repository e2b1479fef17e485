"""What the prose quotes is looked for in the outputs of the cells before it: words as they are, numbers by the digits given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from coursekit.proof.quotes import holds, unlike


@pytest.mark.parametrize(
    ("output", "quotation"),
    [
        ("loss 0.0238 after", "0.024"),
        ("3.0\n6.0\n9.0", "3, 6, 9"),
        ("tensor([[2.6667, 2.6667]])", "2.6667, 2.67"),
        ("[12 20 31]", "`[12, 20, 31]`"),
        ("last 3.01e-05", r"3 \cdot 10^{-5}"),
        ("first 2.94e+07", r"2.94 \cdot 10^7"),
        ("w -5.75]", "−5.75"),
        ("loss -0.0", "0"),
        ("61706 in all", "61 706"),
        ("ValueError: optimizer got an empty parameter list", "`optimizer got an empty\nparameter list`"),
        ("RuntimeError: output 0 of SigmoidBackward0, is", "SigmoidBackward0"),
        ("[nan, inf]", "nan, inf"),
        ("0.25 x₁ + 3² ½ _a", "0.25"),
    ],
)
def test_an_output_holds(output: str, quotation: str) -> None:
    assert holds(output, quotation)


@pytest.mark.parametrize(
    ("output", "quotation"),
    [
        ("loss 0.0249 after", "0.024"),
        ("loss 0.02 after", "0.024"),  # it says nothing about the third digit
        ("3, 6, 12", "3, 6, 9"),
        ("3, 5, 6", "3, 6"),
        ("5.75", "−5.75"),
        ("3.6e-05", r"3 \cdot 10^{-5}"),
        ("False", "True"),
        ("true", "True"),
        ("x1", "1"),
        ("1", "x1"),
        ("inf", "200"),
        ("", "0"),
    ],
)
def test_an_output_does_not_hold(output: str, quotation: str) -> None:
    assert not holds(output, quotation)


def executed(folder: Path, *cells: tuple[str, Any]) -> Path:
    """A notebook on the disk. Args: cells: ("code", outputs) or ("prose", quotations of line 1, 2, …)."""
    made = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    for kind, content in cells:
        if kind == "code":
            made.cells.append(nbformat.v4.new_code_cell("pass", outputs=content))  # type: ignore[no-untyped-call]
        else:
            shown = [[line, text] for line, text in enumerate(content, 1)]
            made.cells.append(nbformat.v4.new_markdown_cell("text", metadata={"coursekit": {"shown": shown}}))  # type: ignore[no-untyped-call]
    nbformat.write(made, folder / "made.ipynb")  # type: ignore[no-untyped-call]
    return folder / "made.ipynb"


def printed(text: str, name: str = "stdout") -> Any:
    return nbformat.v4.new_output("stream", name=name, text=text)  # type: ignore[no-untyped-call]


def displayed(data: dict[str, str]) -> Any:
    return nbformat.v4.new_output("display_data", data=data)  # type: ignore[no-untyped-call]


def test_the_cells_that_stand_together_before_it_count(tmp_path: Path) -> None:
    cells = [("code", [printed("1\n")]), ("prose", ["1"]), ("code", [printed("2\n")]), ("code", [printed("3\n")])]
    assert unlike(executed(tmp_path, *cells, ("prose", []), ("prose", ["2", "3", "2, 3", "1"]))) == [
        "line 4 quotes `1`, but the cell shows `2 3`"
    ]


def test_a_picture_counts_with_its_text_and_a_warning_does_not(tmp_path: Path) -> None:
    picture = displayed({"text/plain": "A curve that ends at 0.5.", "text/html": "<img alt='7'>"})
    code = ("code", [picture, printed("\x1b[31m8\x1b[0m"), printed("9", "stderr")])
    assert unlike(executed(tmp_path, code, ("prose", ["0.5", "8", "7", "9"]))) == [
        "line 3 quotes `7`, but the cell shows `A curve that ends at 0.5. 8`",
        "line 4 quotes `9`, but the cell shows `A curve that ends at 0.5. 8`",
    ]


def test_a_verdict_does_not_count(tmp_path: Path) -> None:
    path = executed(tmp_path, ("code", [printed("1")]), ("code", [printed("2 of 3")]), ("prose", ["1", "2"]))
    made = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    made.cells[1].metadata["nbgrader"] = {"grade": True}
    nbformat.write(made, path)  # type: ignore[no-untyped-call]
    assert unlike(path) == ["line 2 quotes `2`, but the cell shows `1`"]


def test_a_report_is_brief(tmp_path: Path) -> None:
    long = unlike(executed(tmp_path, ("code", [printed("a " * 200)]), ("prose", ["b"])))
    assert long == [f"line 1 quotes `b`, but the cell shows `{'a ' * 100}…`"]
    assert unlike(executed(tmp_path, ("code", []), ("prose", ["b"]))) == ["line 1 quotes `b`, but the cell shows nothing"]
