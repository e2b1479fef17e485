"""`coursekit submit`: what in a notebook is still missing, and the file to hand in. Standard library only."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from coursekit.course.paths import notebooks_folder, repository
from coursekit.errors import CourseError

MAX_BYTES = 32 << 20  # what grading reads of one notebook
_STUB = "raise NotImplementedError()"
_DEFINES = re.compile(r"^(?:def|class)\s+(\w+)", re.MULTILINE)
_CHECK = re.compile(r"""^\s*@check\(\s*["']([^"']+)["']\s*\)""", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One code cell. name: the id that its nbgrader metadata claims. graded: it is a check."""

    text: str
    name: str = ""
    graded: bool = False


@dataclass
class Report:
    """What was found. states: exercise -> answered, not started or missing. warnings: harmless oddities."""

    states: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def main(unit: str, notebook: str | Path | None = None, out: str | Path | None = None) -> int:
    """Check a notebook and write the file to hand in.

    Args: unit: u01 or u01_tensors. notebook: the student's file; None looks in this folder and in my-course.
    out: a folder, or a file name ending in .ipynb; None is the folder handin here.
    Returns: 0 if the file was written, blanks or not; 1 if it could not be graded.
    """
    release = _release(unit)
    source = Path(notebook) if notebook is not None else _find(release.name)
    try:
        report = examine(read(source), read(release))
    except CourseError as error:
        print(f"{source}: not gradable. {error.problem}", file=sys.stderr)
        print(error.remedy, file=sys.stderr)
        return 1
    target = _target(out, release.name)
    kept = _write(source, target)
    print(f"{source}")
    last = _last_checks(source.parent)
    for exercise, state in report.states.items():
        said = f"; your last check said: {last[exercise]}" if exercise in last else ""
        print(f"  {_SYMBOL[state]} {state:<11}  {exercise}{said}")
    for line in report.warnings:
        print(f"  note: {line}")
    ready = sum(state == "answered" for state in report.states.values())
    print(
        f"{ready} of {len(report.states)} exercises hold an answer."
        + ("" if ready == len(report.states) else " You can hand in now and again later.")
    )
    if kept is not None:
        print(f"Your earlier hand-in is kept as {kept}.")
    print(f"Hand in this file: {target}")
    if exchange := _exchange():
        print(
            f"This machine has an nbgrader exchange ({exchange}): if you fetched the assignment there, "
            f"`nbgrader submit {release.stem}` hands it in."
        )
    return 0


_SYMBOL = {"answered": "✔", "not started": "○", "missing": "✘"}


def _release(unit: str) -> Path:
    """The unit's release notebook. Raises: CourseError: if there is no such unit."""
    built = sorted(notebooks_folder().glob("u*.ipynb"))
    for path in built:
        if unit in (path.stem, path.stem[:3]):
            return path
    raise CourseError(
        f"There is no unit `{unit}`.", f"Units in this course: {', '.join(path.stem for path in built) or 'none yet'}."
    )


def _find(name: str) -> Path:
    places: list[Path] = [Path(name), Path("my-course") / name]
    if (root := repository()) is not None:
        places.append(root / "my-course" / name)
    for path in places:
        if path.is_file():
            return path
    raise CourseError(
        f"There is no {name} here or in my-course.",
        f"Say where your notebook is: coursekit submit {name[:3]} --notebook FILE",
    )


def read(path: Path) -> list[Cell]:
    """A notebook's code cells. Raises: CourseError: saying why the file cannot be read as a notebook."""
    again = "Save the notebook in JupyterLab again, then submit again."
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CourseError(
                f"The file is larger than {MAX_BYTES >> 20} MB.",
                "Clear its outputs (Edit, Clear All Outputs), save, and submit again.",
            )
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CourseError(f"The file cannot be read: {error.strerror}.", "Check the name, then submit again.") from None
    except (ValueError, RecursionError):
        raise CourseError("The file is not a notebook: its JSON is damaged.", again) from None
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        raise CourseError("The file is not a notebook: it holds no list of cells.", again)
    return [_cell(item) for item in cells if isinstance(item, dict) and item.get("cell_type") == "code"]


def _cell(item: dict[str, Any]) -> Cell:
    source = item.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    metadata = item.get("metadata")
    claimed = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    claimed = claimed if isinstance(claimed, dict) else {}
    return Cell(text, str(claimed.get("grade_id", "")), claimed.get("grade") is True)


def examine(mine: list[Cell], release: list[Cell]) -> Report:
    """Compare a student's cells with the release's.

    Returns: the state of each exercise, from the cells alone; nothing is run.
    Raises: CourseError: if nothing in the notebook belongs to the unit.
    """
    checks = {cell.name: cell for cell in release if cell.graded}
    answers = {cell.name.removesuffix("-answer"): cell for cell in release if cell.name and not cell.graded}
    report = Report()
    for exercise in checks:
        report.states[exercise] = _state(exercise, answers.get(exercise), mine)
        report.warnings += _oddities(exercise, checks[exercise], mine)
    known = {*checks, *(cell.name for cell in answers.values())}
    if not any(cell.name in known or _check_of(cell) in checks for cell in mine) and set(report.states.values()) <= {
        "missing"
    }:
        raise CourseError(
            "None of its cells belongs to this unit.",
            "Is it the notebook of another unit? Give the right one with --notebook FILE.",
        )
    return report


def _state(exercise: str, release: Cell | None, mine: list[Cell]) -> str:
    """answered, not started or missing. An answer that lost its mark counts where it defines what is asked for."""
    if release is None:
        return "answered"
    names = set(_DEFINES.findall(release.text))
    candidates = [cell for cell in mine if cell.name == release.name or names & set(_DEFINES.findall(cell.text))]
    if not candidates:
        return "missing"
    if any(_plain(cell.text) != _plain(release.text) and not _blank(cell.text) for cell in candidates):
        return "answered"
    return "not started"


def _blank(text: str) -> bool:
    """Nothing written, or the stub still stands. A student's own `raise NotImplementedError("later")` is theirs."""
    return not text.strip() or any(line.strip() == _STUB for line in text.splitlines())


def _oddities(exercise: str, check: Cell, mine: list[Cell]) -> list[str]:
    found = [cell for cell in mine if exercise in (cell.name, _check_of(cell))]
    if not found:
        return [f"the check of {exercise} was deleted. That is harmless: grading brings its own."]
    if all(_plain(cell.text) != _plain(check.text) for cell in found):
        return [f"the check of {exercise} was edited. That is harmless: grading brings its own."]
    if len(found) > 1:
        return [f"the check of {exercise} is there {len(found)} times. That is harmless: grading brings its own."]
    return []


def _check_of(cell: Cell) -> str:
    match = _CHECK.search(cell.text)
    return match.group(1) if match else ""


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _last_checks(folder: Path) -> dict[str, str]:
    """What the checks in this folder last said; empty if there is no such file or it is damaged."""
    path = Path(os.environ.get("COURSEKIT_RESULTS") or folder / ".coursekit" / "results.json")
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}


def _target(out: str | Path | None, name: str) -> Path:
    chosen = Path(out) if out is not None else Path("handin")
    return chosen if chosen.suffix == ".ipynb" else chosen / name


def _write(source: Path, target: Path) -> Path | None:
    """Copy through a draft. Returns: where an earlier, different hand-in was kept, if there was one."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return None
        kept = _keep(target) if target.is_file() and target.read_bytes() != source.read_bytes() else None
        draft = target.with_name(f"{target.name}.draft")
        shutil.copyfile(source, draft)
        draft.replace(target)
    except OSError as error:
        raise CourseError(
            f"{target} cannot be written: {error.strerror}.", "Make room, or choose another folder with --out."
        ) from None
    return kept


def _keep(target: Path) -> Path:
    """Move an earlier hand-in aside, under the time when it was written."""
    stamp = datetime.fromtimestamp(target.stat().st_mtime).strftime("%Y-%m-%d_%H%M%S")
    kept, number = target.with_name(f"{target.stem}.{stamp}{target.suffix}"), 2
    while kept.exists():
        kept, number = target.with_name(f"{target.stem}.{stamp}-{number}{target.suffix}"), number + 1
    target.rename(kept)
    return kept


def _exchange() -> str:
    """The folder of nbgrader's exchange, if nbgrader is installed and its configuration names one that exists."""
    try:
        from nbgrader.apps import NbGrader
        from nbgrader.exchange.default import Exchange

        app = NbGrader(log_level=logging.CRITICAL)
        app.load_config_file()
        root = Path(Exchange(config=app.config, parent=app).root)
    except Exception:  # a student's install has no nbgrader, or one that is half configured
        return ""
    return str(root) if root.is_dir() else ""
