"""The proof of unit u01: the same bar as `coursekit prove u01`."""

from __future__ import annotations

from pathlib import Path

from coursekit.course.paths import Course
from coursekit.proof.prove import prove
from coursekit.proof.report import text


def test_u01_is_proved(repository: Path) -> None:
    [report] = prove(Course(repository), ["u01_tensors"], seeds=200)
    assert report.fine, text(report)
    # a mutant counts as killed when its worker hangs or dies; here none may, so that a fault of ours cannot look like proof
    reasons = {reason for row in report.rows for reason in row.killed_by}
    assert reasons <= {"Not yet", "Not started", "does not end", "the key's judge"}, reasons
