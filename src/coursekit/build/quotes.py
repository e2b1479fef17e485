"""What the prose says that a cell shows: `{shown 0.024}` is 0.024 to the reader, and `coursekit run` looks for it in the output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coursekit.build.regions import SourceError

METADATA = "coursekit"  # of a prose cell in the solution notebook: {"shown": [[line, text], …]}
_OPENING = re.compile(r"\{shown\b")
_SHOWN = re.compile(r"\{shown\s((?:[^{}]|\{[^{}]*\})*)\}")  # formulas have braces: 10^{-12}


@dataclass(frozen=True)
class Quote:
    """A quotation. line: in the unit's source. text: as the reader sees it."""

    line: int
    text: str


def find(text: str, line: int) -> list[Quote]:
    """The quotations of a prose cell. Args: line: of its first line in the source."""
    return [Quote(line + text[: match.start()].count("\n"), match.group(1).strip()) for match in _SHOWN.finditer(text)]


def plain(text: str) -> str:
    """The prose as the reader sees it: each quotation without its mark."""
    return _SHOWN.sub(lambda match: match.group(1).strip(), text)


def refuse(path: Path, text: str, line: int, code_before: bool) -> None:
    """Refuse quotations that nothing could be compared with. Raises: SourceError."""
    whole = {match.start() for match in _SHOWN.finditer(text)}
    for match in _OPENING.finditer(text):
        if match.start() not in whole:
            place = line + text[: match.start()].count("\n")
            raise SourceError(path, place, "a `{shown` has no end in this cell.", "Write `{shown 0.024}`.")
    for quote in find(text, line):
        if not re.search(r"\w", quote.text):
            raise SourceError(path, quote.line, "`{shown …}` quotes no word and no number.", "Write `{shown 0.024}`.")
        if not code_before:
            raise SourceError(path, quote.line, f"no cell before this one shows `{quote.text}`.", "Quote a cell that stands before.")
