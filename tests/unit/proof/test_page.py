from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.proof.page import write
from coursekit.proof.report import Report, Row

DAY = date(2026, 1, 2)


def report(unit: str, *exercises: str, killed: int = 9) -> Report:
    rows = [Row(name, "1/2", 200, 2, wrong=6, own_hint=6, mutants=10, killed=killed, equivalent={"line 1": "why"}) for name in exercises]
    return Report(unit, rows, [])


def rows(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.startswith("| u") or line.startswith("| **")]


def test_each_unit_renews_its_own_rows_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "proof.md"
    write(path, [report("u02_b", "u02-x")], DAY)
    write(path, [report("u01_a", "u01-y", "u01-z")], DAY)
    write(path, [report("u02_b", "u02-new")], date(2026, 1, 3))
    assert [row.split(" | ")[0] for row in rows(path)] == ["| u01-y", "| u01-z", "| u02-new", "| **3 exercises**"]
    assert rows(path)[0].startswith("| u01-y | 1/2 | 200 | 2 | 6/6 | 9/9 | 1 | 2026-01-02, torch ")
    assert "2026-01-03" in rows(path)[2]
    assert rows(path)[3] == "| **3 exercises** | | | 6 | 18/18 | 27/27 | 3 | |"


def test_what_is_not_proved_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "proof.md"
    with pytest.raises(CourseError, match="u01_a is not proved"):
        write(path, [report("u01_a", "u01-y", killed=3)], DAY)
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="cannot be written"):
        write(tmp_path / "no" / "proof.md", [report("u01_a", "u01-y")], DAY)
