"""Read the one source of a unit, solutions/uNN_slug.py: cells, solution regions, checks. Bad source is refused with file and line."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext

from coursekit.build import quotes
from coursekit.build.regions import BEGIN, END, SHOWS, SourceError, broken_text, check_regions, refuse_regions
from coursekit.errors import CourseError

_MARKER = re.compile(r"# %%( |$)")
_ODD_MARKER = re.compile(r"\s*#\s*%%")
_CHECK = re.compile(r"""^@check\(\s*["']([^"']*)["']\s*\)\s*$""", re.MULTILINE)
_CARD = re.compile(r"^\{exercise ([^}]*)\}\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell. role: prose, parameters, setup, answer, check or demo. line: of its first line in the file. exercise: id, if any."""

    role: str
    text: str
    line: int
    tags: tuple[str, ...] = ()
    exercise: str | None = None

    @property
    def is_code(self) -> bool:
        return self.role != "prose"


@dataclass(frozen=True)
class Exercise:
    """An answer cell and its probe.

    Args: function: the name that the student defines and the probe calls. broken: the cell as a bug hunt's release shows it.
    probe: the probe without its decorator. probe_name: its function's name. parameters: the inputs that it takes.
    """

    id: str
    answer: Cell
    check: Cell
    function: str
    broken: str | None
    probe: str
    probe_name: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitSource:
    """A parsed source file."""

    path: Path
    cells: tuple[Cell, ...]
    exercises: dict[str, Exercise]

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> UnitSource:
    """Parse a unit's source. Raises: SourceError: naming file and line; CourseError: if the file cannot be read."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise CourseError(
            f"{path.name} cannot be read: {error.strerror}.", f"Expected the unit's source at {path}."
        ) from None
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{path.name} is not UTF-8: {error.reason} at byte {error.start}.", "Save it as UTF-8."
        ) from None
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines, 1) if _MARKER.match(line)]
    first = next((number for number, line in enumerate(lines, 1) if line.strip()), 1)
    if starts[:1] != [first]:
        raise SourceError(
            path, first, "text stands before the first cell marker.", "Begin the file with `# %%` or `# %% [markdown]`."
        )
    raw = jupytext.reads(text.lstrip(), fmt="py:percent").cells
    if len(raw) != len(starts):
        odd = next(
            (number for number, line in enumerate(lines, 1) if _ODD_MARKER.match(line) and number not in starts), first
        )
        raise SourceError(
            path,
            odd,
            "the cell markers cannot be told apart.",
            "Write each as `# %%` at the start of a line, and none inside a string.",
        )
    cells = [
        _cell(path, item.cell_type, item.source, line + 1, tuple(item.metadata.get("tags", ())))
        for item, line in zip(raw, starts, strict=True)
    ]
    for number, cell in enumerate(cells):
        if not cell.is_code:
            quotes.refuse(path, cell.text, cell.line, any(item.is_code for item in cells[:number]))
    exercises = _exercises(path, cells)
    owner = {id(cell): exercise.id for exercise in exercises.values() for cell in (exercise.answer, exercise.check)}
    owned = tuple(Cell(c.role, c.text, c.line, c.tags, owner.get(id(c), c.exercise)) for c in cells)
    return UnitSource(path, owned, exercises)


def _cell(path: Path, cell_type: str, text: str, line: int, tags: tuple[str, ...]) -> Cell:
    if cell_type != "code":
        cards = _CARD.findall(text)
        if len(cards) > 1:
            raise SourceError(
                path, line, "one prose cell announces two exercises.", "Give each {exercise …} line a cell of its own."
            )
        refuse_regions(path, text, line, "a prose cell")
        return Cell("prose", text, line, tags, cards[0].strip() if cards else None)
    tag = next((tag for tag in ("parameters", "setup") if tag in tags), None)
    answer = tag is None and any(marker in text for marker in (BEGIN, SHOWS, END))
    if answer:  # before the syntax: a stray marker is the better news
        check_regions(path, text, line)
    else:
        refuse_regions(path, text, line, f"the {tag} cell")
    _parse(path, text, line)
    check = _CHECK.search(text)
    if answer and check is not None:
        place = line + text[: check.start()].count("\n")
        raise SourceError(
            path, place, "a check stands in the cell of its solution.", "Put it into a cell of its own, right after."
        )
    role = "answer" if answer else "check" if check is not None else "demo"
    return Cell(tag or role, text, line, tags)


def _parse(path: Path, text: str, line: int) -> ast.Module:
    """Parse a cell as IPython would: `%magic` and `!shell` lines are code, too."""
    with contextlib.suppress(SyntaxError):
        return ast.parse(text)
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        body = text.lstrip()  # the transformer drops leading blank lines; lines must be counted
        plain = TransformerManager().transform_cell(body)  # type: ignore[no-untyped-call]
        return ast.parse("\n" * text[: len(text) - len(body)].count("\n") + plain)
    except SyntaxError as error:
        raise SourceError(
            path, line + (error.lineno or 1) - 1, f"this is not valid Python: {error.msg}.", "Mend the line."
        ) from None


def _exercises(path: Path, cells: list[Cell]) -> dict[str, Exercise]:
    found: dict[str, Exercise] = {}
    waiting: Cell | None = None
    for cell in cells:
        if cell.role == "answer":
            if waiting is not None:
                raise SourceError(
                    path,
                    waiting.line,
                    "this solution has no check before the next solution.",
                    "Put a check cell right after each solution cell.",
                )
            waiting = cell
        elif cell.role == "check":
            exercise = _exercise(path, waiting, cell)
            if exercise.id in found:
                raise SourceError(
                    path, cell.line, f"`{exercise.id}` is checked twice.", "Give each exercise an id of its own."
                )
            found[exercise.id] = exercise
            waiting = None
    if waiting is not None:
        raise SourceError(path, waiting.line, "this solution has no check.", "Put a check cell right after it.")
    return found


def _exercise(path: Path, answer: Cell | None, check: Cell) -> Exercise:
    match = _CHECK.search(check.text)
    assert match is not None
    name = match.group(1)
    if answer is None:
        raise SourceError(
            path,
            check.line,
            f"the check of `{name}` has no solution before it.",
            f"Put a cell with `{BEGIN}` … `{END}` before it.",
        )
    nodes = [node for node in _parse(path, check.text, check.line).body if isinstance(node, ast.FunctionDef)]
    if len(nodes) != 1 or len(nodes[0].decorator_list) != 1:
        raise SourceError(
            path,
            check.line,
            f"the check of `{name}` must be one decorated function.",
            f'Write `@check("{name}")` and one `def observe(...)` below it.',
        )
    probe = "\n".join(check.text.splitlines()[nodes[0].lineno - 1 : nodes[0].end_lineno])
    return Exercise(
        name,
        answer,
        check,
        _target(path, answer, nodes[0]),
        broken_text(answer.text),
        probe,
        nodes[0].name,
        tuple(item.arg for item in nodes[0].args.args),
    )


def _target(path: Path, answer: Cell, probe: ast.FunctionDef) -> str:
    """The answer's definition that the probe uses first."""
    defined = {
        node.name
        for node in _parse(path, answer.text, answer.line).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    used = sorted(
        (node.lineno, node.col_offset, node.id)
        for node in ast.walk(probe)
        if isinstance(node, ast.Name) and node.id in defined
    )
    if not used:
        raise SourceError(
            path,
            answer.line,
            "the check after this solution calls nothing that the solution defines.",
            "Call the student's function in the probe.",
        )
    return used[0][2]
