"""Solution regions: what stands between `### BEGIN SOLUTION` and `### END SOLUTION`, and what a bug hunt's release shows instead."""

from __future__ import annotations

import re
from pathlib import Path

from coursekit.errors import CourseError

BEGIN, SHOWS, END = "### BEGIN SOLUTION", "### RELEASE SHOWS", "### END SOLUTION"


class SourceError(CourseError):
    """A unit's source is wrong at one line."""

    def __init__(self, path: Path, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"{path.name}:{line}: {problem}", remedy)


def refuse_regions(path: Path, text: str, line: int, place: str) -> None:
    """nbgrader clears solutions only from solution cells; anywhere else they would reach the student."""
    for number, part in enumerate(text.splitlines(), line):
        for marker in (BEGIN, SHOWS, END):
            if marker in part:
                raise SourceError(
                    path, number, f"`{marker}` stands in {place}.", "Put solutions into code cells of their own."
                )


def check_regions(path: Path, text: str, line: int) -> None:
    """Solution markers come in order; RELEASE SHOWS stands inside, and what follows it is commented."""
    state = "outside"
    for number, part in enumerate(text.splitlines(), line):
        marker = next((word for word in (BEGIN, SHOWS, END) if word in part), None)
        if marker == BEGIN:
            if state != "outside":
                raise SourceError(
                    path, number, f"a second `{BEGIN}` before the first one ended.", f"End the region with `{END}`."
                )
            state, opened = "inside", number
        elif marker == SHOWS:
            if state != "inside":
                raise SourceError(
                    path,
                    number,
                    f"`{SHOWS}` stands {'twice in one' if state == 'shown' else 'outside a'} solution.",
                    f"Put it once between `{BEGIN}` and `{END}`.",
                )
            state = "shown"
        elif marker == END:
            if state == "outside":
                raise SourceError(path, number, f"`{END}` has no `{BEGIN}`.", f"Begin the region with `{BEGIN}`.")
            state = "outside"
        elif state == "shown" and part.strip() and not part.lstrip().startswith("#"):
            raise SourceError(
                path,
                number,
                f"a line after `{SHOWS}` is not commented.",
                "Put `# ` before each line that the release shows.",
            )
    if state != "outside":
        raise SourceError(
            path, opened, f"the solution that begins here has no `{END}`.", f"Add `{END}` after its last line."
        )


def broken_text(text: str) -> str | None:
    """A bug hunt's cell as the release shows it, or None for an ordinary exercise."""
    if SHOWS not in text:
        return None
    kept: list[str] = []
    state = "outside"
    for part in text.splitlines():
        if BEGIN in part:
            state = "inside"
        elif SHOWS in part:
            state = "shown"
        elif END in part:
            state = "outside"
        elif state == "shown":
            kept.append(re.sub(r"^(\s*)# ?", r"\1", part))
        elif state == "outside":
            kept.append(part)
    return "\n".join(kept)
