"""Grade a class in a process of its own, and kill a part of it at a chosen moment."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.demo import ClassMaker, copy_course
from coursekit.grading.sandbox.trial import try_bubblewrap

SEED = "the seed of the killed class"


@dataclass
class Class:
    """A course folder with submissions that wait to be graded."""

    root: Path
    unit: str = "u01_tensors"

    def command(self, *more: str) -> list[str]:
        words = ["-m", "coursekit", "grade", self.unit, "--submitted", str(self.root / "handed-in"), "--jobs", "2", *more]
        return [sys.executable, *words]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(
                self.command(*more),
                cwd=self.root,
                env={**os.environ, "COURSEKIT_SEED": SEED},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def grade(self, *more: str) -> None:
        assert self.start(*more).wait(900) == 0, (self.root / "log").read_text("utf-8")

    def copy(self, folder: Path) -> Class:
        shutil.copytree(self.root, folder)
        return Class(folder)

    def evidence(self) -> dict[str, int]:
        """When each finished file of evidence was written."""
        found = (self.root / "autograder" / "evidence").rglob("[!.]*.evidence")
        return {path.name: path.stat().st_mtime_ns for path in found}

    def recorded(self) -> dict[str, int]:
        """When each student was recorded, of those who have their feedback page as well."""
        folder = self.root / "autograder"
        return {
            path.parent.parent.name: path.stat().st_mtime_ns
            for path in (folder / "autograded").glob(f"*/{self.unit}/*.ipynb")
            if (folder / "feedback" / path.relative_to(folder / "autograded").with_suffix(".html")).is_file()
        }

    def gradebook(self) -> list[tuple[object, ...]]:
        """Every automatic score of every student, straight from the database."""
        query = (
            "select a.student_id, c.name, g.auto_score from grade g join submitted_notebook n on g.notebook_id = n.id "
            "join submitted_assignment a on n.assignment_id = a.id join base_cell c on g.cell_id = c.id order by 1, 2"
        )
        with contextlib.closing(sqlite3.connect(self.root / "autograder" / "gradebook.db")) as database:
            return list(database.execute(query))


def waiting_class(folder: Path, files: Callable[[ClassMaker], dict[str, bytes]], without: Collection[str] = ()) -> Class:
    """A course folder of its own with u01's submissions handed in, or a skip where there is no sandbox to grade them in.

    Args: files: makes student -> notebook. without: students that are left out.
    """
    holds, seen, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {seen}")
    where = copy_course(course(), folder / "course")
    (where.root / "handed-in").mkdir()
    for student, data in files(ClassMaker(where, catalog.load(where.catalog).unit("u01"))).items():
        if student not in without:
            (where.root / "handed-in" / f"{student}.ipynb").write_bytes(data)
    return Class(where.root)


def parents() -> dict[int, int]:
    """Every process that can be seen, and its parent."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(folder.name)] = int((folder / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
    return found


def below(pid: int) -> list[int]:
    """All descendants of a process, the oldest first."""
    known, found, level = parents(), [], [pid]
    while level:
        level = [child for child, parent in known.items() if parent in level]
        found += level
    return sorted(found)


def victim(grader: int, kind: str, dice: random.Random) -> int | None:
    """A process to kill, or None if there is none now.

    The grader starts the collector, that bubblewrap, that a second bubblewrap, and that the zygote. The zygote's forks are runners.
    """
    if kind == "grader":
        return grader
    inside = [(pid, *_name(pid)) for pid in below(grader)]
    shells = [pid for pid, program, _ in inside if program == "bwrap"]
    forks = [pid for pid, program, words in inside if program.startswith("python") and "coursekit.grading.inside.zygote" in words]
    collectors = [pid for pid, _, words in inside if "coursekit.grading.collect.collector" in words]
    wanted = {"collector": collectors, "runner": forks[1:], "zygote": shells + forks[:1]}[kind]
    return dice.choice(wanted) if wanted else None


def _name(pid: int) -> tuple[str, str]:
    """A process's program and arguments."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").resolve().name, Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return "", ""


def kill_once(taken: Class, kind: str, reached: int, pause: float, dice: random.Random) -> str:
    """Start grading, kill one part at a moment of the work and not of the clock, and wait for what is left.

    Args: reached: how many students are recorded (when the grader is to be killed) or have evidence (else) by then.
    pause: seconds after that. Returns: what was hit.
    """
    done = taken.recorded if kind == "grader" else taken.evidence
    process = taken.start()
    hit = "nothing: it had ended"
    while process.poll() is None and len(done()) < reached:
        time.sleep(0.005)
    time.sleep(pause)
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        pid = victim(process.pid, kind, dice)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit = kind
                break
        time.sleep(0.005)
    process.wait(900)
    return hit
