"""The applicable attacks against stock nbgrader as well, printed side by side; and otter-grader's, where it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.grading.sandbox.trial import try_bubblewrap

PROGRAM = Path(__file__).with_name("compare.py")


@pytest.mark.slow
def test_what_gains_points_elsewhere_gains_none_here(repository: Path) -> None:
    holds, seen, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {seen}")
    done = subprocess.run([sys.executable, str(PROGRAM)], cwd=repository, capture_output=True, text=True, timeout=1500)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[0] == ["attack", "stock nbgrader", "coursekit"]
    assert rows[1] == ["honest", "8", "8"]
    assert len(rows) >= 13
    assert sum("gained" in row[1] for row in rows[1:]) >= 5, "nothing attacked: the comparison says nothing"
    assert not [row for row in rows[1:] if "gained" in row[2]]
