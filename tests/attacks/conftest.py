"""A course with secrets planted in it, and a grader whose sandbox is attacked. Everything is on this machine."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import attack_files

from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.grading.collect import evidence as store
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.intake import parse
from coursekit.grading.demo import ClassMaker, copy_course
from coursekit.grading.judge.grader import Grader
from coursekit.grading.sandbox.limits import MIB, Limits

QUICK = Limits(cell_seconds=4, probe_seconds=2, notebook_seconds=40, grace_seconds=0.5, memory_bytes=1536 * MIB, processes=64,
               scratch_bytes=64 * MIB, restarts=2)


@dataclass
class Range:
    """The course under attack, and what is watched. canary: stands in every secret and may be in no evidence."""

    where: Course
    grader: Grader
    maker: ClassMaker
    canary: str
    mark: str
    outside: Path
    listener: socket.socket
    victim: subprocess.Popen[bytes]
    held: list[str] = field(default_factory=list)
    called: int = 0

    @property
    def known(self) -> dict[str, str]:
        """What an attacker is told: more than a student could know."""
        import base64

        key = Path(__file__).parents[2] / "data" / "keys" / "u01_tensors.key"
        return {"COURSE": str(self.where.root), "OUTSIDE": str(self.outside), "MARK": self.mark, "PORT": str(self.listener.getsockname()[1]),
                "GRADER": str(os.getpid()), "VICTIM": str(self.victim.pid), "VISIBLE_KEY": base64.b64encode(key.read_bytes()).decode()}

    def grade(self, data: bytes, kind: str) -> tuple[float, Evidence]:
        """Prepare, collect and judge, as `coursekit grade` does."""
        evidence = self.grader.store.evidence(self.grader.planner.prepare(parse(data)), kind, reuse=False)
        verdicts = self.grader.judge(evidence)
        return round(sum(verdict.credit * self.grader.unit.exercise(name).points for name, verdict in verdicts.items()), 2), evidence

    def perfect(self) -> bytes:
        import json

        return json.dumps(attack_files.short(self.maker, tuple(self.maker.source.exercises))).encode()

    def leaks(self, evidence: Evidence) -> list[str]:
        """Secrets in the evidence of a run."""
        held = store.pack(evidence)
        return [word for word in (self.canary, "BEGIN SOLUTION") if word.encode() in held]

    def traces(self) -> list[str]:
        """What an attack left outside: files, processes, connections, a dead neighbour."""
        places = [Path("/tmp"), Path("/dev/shm"), Path("/var/tmp"), Path.home(), Path.cwd(), self.where.root]
        found = [str(path) for place in places for path in place.glob(f"*{self.mark}*")]
        found += [str(path) for path in self.outside.iterdir()]
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()
            found.append("a connection to a port of this machine")
        if self.victim.poll() is not None:
            found.append("a process outside was killed")
        deadline = time.monotonic() + 3
        while (alive := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found + alive


def marked(mark: str) -> list[str]:
    """Processes of this machine whose command line holds a mark."""
    found = []
    for name in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in name.read_bytes():
                found.append(f"process {name.parent.name}")
    return found


def descendants() -> set[int]:
    """Living processes below this one; orphans come back to it, because it made itself their reaper."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            tail = stat.read_text("utf-8").rsplit(")", 1)[1].split()
            if tail[0] != "Z":
                parents[int(stat.parent.name)] = int(tail[1])
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return mine - {os.getpid()}


@pytest.fixture(scope="session")
def field_of_fire() -> Iterator[Range]:
    """One course for all attacks. Its files could be read by anybody: only the sandbox protects them."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)              # PR_SET_CHILD_SUBREAPER
    canary, mark = "canary" + "1f9d" * 4, f"mark{secrets.token_hex(8)}"      # the seed is made of it: the same inputs each time
    top = Path(tempfile.mkdtemp(prefix="coursekit-attacks-"))
    victim = subprocess.Popen(["sleep", "3600"])
    try:
        where = copy_course(course(), top / "course")
        with (where.autograder / "u01_tensors" / "sse_grad.py").open("a", encoding="utf-8") as file:
            file.write(f"\n# {canary} key\n")
        other = where.autograder / "submitted" / "honest" / "u01_tensors"
        private = where.autograder / "private"
        for folder in (other, private, top / "outside"):
            folder.mkdir(parents=True)
        (private / "seed").write_text(f"{canary} seed\n", "utf-8")
        (other / "u01_tensors.ipynb").write_text(f'{{"cells": [], "of": "{canary}"}}', "utf-8")
        (where.autograder / "gradebook.db").write_text(f"{canary} gradebook\n", "utf-8")
        for path in [top, *top.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        (top / "outside").chmod(0o777)
        unit = catalog.load(where.catalog).unit("u01")
        with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
            listener.setblocking(False)
            patch.setenv("COURSEKIT_PLANTED", f"{canary} environment")
            yield Range(where, Grader(where, unit, f"{canary} seed", QUICK), ClassMaker(where, unit), canary, mark, top / "outside", listener,
                        victim, held=[f"{canary} memory"])
    finally:
        victim.kill()
        victim.wait()
        shutil.rmtree(top, ignore_errors=True)
        gc.collect()
