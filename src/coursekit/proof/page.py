"""The proofs of all units as one table in one file (docs/proof.md). Units that are not proved now keep the rows they have."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.proof.report import Report

HEAD = """# Proof of the checks

`coursekit prove UNIT --page docs/proof.md` proves a unit and renews its rows here; without UNIT, all of them. For each exercise:

- **oracle**: how many of the observed names have an expected value that is computed independently of the reference;
- **seeds**: fresh inputs on which the reference passed (and agreed with the oracle);
- **variants**: correct answers written differently, all of which passed;
- **wrong answers**: each failed, and was told its own hint;
- **mutants**: automatic changes of the reference (swapped operators, changed constants, dropped lines), and how many of them failed; those that
  nothing can tell from the reference are listed in the key with a reason, and not counted.

A unit without rows has not been proved in full yet.

| exercise | oracle | seeds | variants | wrong answers | mutants | listed | proved |
|---|---|---|---|---|---|---|---|
"""
ROW = re.compile(r"^\| (u\d+)-", re.MULTILINE)


def write(path: Path, reports: Sequence[Report], today: date) -> None:
    """Renew the rows of these units. Raises: CourseError: if a report is not fine, or the file cannot be written."""
    failed = [report.unit for report in reports if not report.fine]
    if failed:
        raise CourseError(f"{path.name} was not changed: {', '.join(failed)} is not proved.", "Mend what the report says, then prove again.")
    try:
        old = path.read_text("utf-8") if path.is_file() else ""
        rows: dict[str, list[str]] = {}
        for line in old.splitlines():
            if match := ROW.match(line):
                rows.setdefault(match[1], []).append(line)
        rows |= {report.unit.partition("_")[0]: _rows(report, today) for report in reports}
        lines = [line for unit in sorted(rows) for line in rows[unit]]
        path.write_text(HEAD + "\n".join([*lines, _total(lines)]) + "\n", "utf-8")
    except OSError as error:
        raise CourseError(f"{path} cannot be written: {error.strerror}.", "Name a file that you may write.") from None


def _rows(report: Report, today: date) -> list[str]:
    when = f"{today.isoformat()}, torch {version('torch')}, Python {platform.python_version()}"
    return [f"| {' | '.join([*row.cells(), when])} |" for row in report.rows]


def _total(lines: Sequence[str]) -> str:
    """The sums of the numbers that add up."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def both(column: int) -> str:
        parts = [tuple(map(int, row[column].split("/"))) for row in cells]
        return f"{sum(part[0] for part in parts)}/{sum(part[1] for part in parts)}"

    def one(column: int) -> str:
        return str(sum(int(row[column]) for row in cells))

    return f"| **{len(lines)} exercises** | | | {one(3)} | {both(4)} | {both(5)} | {one(6)} | |"
