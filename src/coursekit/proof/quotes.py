"""Compare what the prose of an executed notebook quotes with what its cells showed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit.build.quotes import METADATA

_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
_TOKEN = re.compile(rf"[^\W\d]\w*|{_NUMBER.pattern}")  # a word or a number; signs and brackets between them do not count
_POWER = re.compile(r"\s*\\cdot\s*10\^(?:\{(-?\d+)\}|(\d))")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_SEEN = 200  # characters of an output that a report shows


def unlike(path: Path) -> list[str]:
    """The quotations that an executed notebook's cells do not show, each in a line.

    A quotation belongs to the code cells that stand together before it.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    said: list[str] = []
    shown: list[str] = []
    before = ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = [*(shown if before == "code" else []), *_texts(cell)]
        text = "\n".join(shown)
        for line, quotation in cell.metadata.get(METADATA, {}).get("shown", []):
            if not holds(text, quotation):
                said.append(f"line {line} quotes `{quotation}`, but the cell shows {_brief(text)}")
        before = cell.cell_type
    return said


def _brief(text: str) -> str:
    text = " ".join(text.split())
    return f"`{text[:_SEEN]}{'…' if len(text) > _SEEN else ''}`" if text else "nothing"


def _texts(cell: NotebookNode) -> Iterator[str]:
    """What a cell showed, as text; of a picture the alternative text. A check's verdict is no part of it, and neither are warnings."""
    for output in cell.outputs if "nbgrader" not in cell.metadata else ():
        if output.output_type == "stream" and output.name == "stdout":
            yield _ESCAPE.sub("", output.text)
        elif "text/plain" in output.get("data", {}):
            yield output.data["text/plain"]


def holds(output: str, quotation: str) -> bool:
    """Whether an output holds a quotation: its words and numbers in their order, with nothing but signs between.

    Words must be equal. A number is right if it is the output's, rounded to the digits that the quotation gives.
    """
    wanted, found = _tokens(quotation), _tokens(output)
    count = len(wanted)
    return any(all(map(_same, wanted, found[start : start + count])) for start in range(len(found) - count + 1))


def _tokens(text: str) -> list[str]:
    """Args: text: an output, or prose that may hold a minus sign, 3 \\cdot 10^{-5}, or a lone number in groups, 101 110."""
    text = _POWER.sub(lambda match: f"e{match[1] or match[2]}", text.replace("−", "-"))
    if re.fullmatch(r"\d{1,3}( \d{3})+", text):
        text = text.replace(" ", "")
    return _TOKEN.findall(text)


def _same(wanted: str, found: str) -> bool:
    if not (_NUMBER.fullmatch(wanted) and _NUMBER.fullmatch(found)):
        return wanted == found
    number = Decimal(wanted)
    half = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)  # of a unit in the last digit
    return abs(Decimal(found) - number) <= half
