"""A full disk, a locked gradebook, a read-only folder: a clear error, nothing lost, and --resume completes."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from coursekit.grading.demo import ClassMaker, special
from tests.faults.killed import SEED, Class, waiting_class

STUDENTS = ("perfect", "blank", "hostile", "edited-checks", "truncated")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Class, Class]:
    """A class that waits, and the same class graded on a sound disk."""
    folder = tmp_path_factory.mktemp("disk")
    waiting = waiting_class(folder, lambda maker: {student: special(maker)[student] for student in STUDENTS})
    graded = waiting.copy(folder / "graded")
    graded.grade()
    return waiting, graded


@pytest.fixture
def small_disk(classes: tuple[Class, Class], tmp_path: Path) -> Iterator[Callable[[str], Class]]:
    """Makes the waiting class again, with its autograder folder on a disk of its own."""
    mounted = tmp_path / "class" / "autograder"

    def make(options: str) -> Class:
        mounted.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(mounted)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        shutil.copytree(classes[0].root, tmp_path / "class", dirs_exist_ok=True)
        return Class(tmp_path / "class")

    yield make
    subprocess.run(["umount", str(mounted)], capture_output=True)


def remount(taken: Class, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(taken.root / "autograder")], check=True)


def told(taken: Class, *more: str) -> tuple[int, str]:
    """Grade. Returns: exit status, and everything that was said."""
    surroundings = {**os.environ, "COURSEKIT_SEED": SEED}
    done = subprocess.run(taken.command(*more), cwd=taken.root, env=surroundings, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def completes(taken: Class, graded: Class) -> None:
    status, said = told(taken, "--resume")
    assert status == 0, said
    assert taken.gradebook() == graded.gradebook()
    assert set(taken.recorded()) == set(graded.recorded())


# Room, beyond what is there already, for the submissions' copies only; for some evidence; for nearly everything.
@pytest.mark.parametrize("kilobytes", [250, *(pytest.param(size, marks=pytest.mark.slow) for size in (750, 1350))])
def test_a_full_disk(classes: tuple[Class, Class], small_disk: Callable[[str], Class], kilobytes: int) -> None:
    files = [path for path in (classes[0].root / "autograder").rglob("*") if path.is_file()]
    pages = sum(-(-path.stat().st_size // 4096) for path in files)
    taken = small_disk(f"size={4 * pages + kilobytes}k")
    status, said = told(taken)
    assert status == 1
    assert "Traceback" not in said
    assert "No space left on device" in said or "database or disk is full" in said
    assert "--resume" in said
    remount(taken, "size=200m")
    completes(taken, classes[1])


def test_a_gradebook_that_another_program_holds(classes: tuple[Class, Class], tmp_path: Path) -> None:
    taken = classes[1].copy(tmp_path / "class")
    for name in ("autograded", "feedback"):
        shutil.rmtree(taken.root / "autograder" / name)
    with closing(sqlite3.connect(taken.root / "autograder" / "gradebook.db")) as other:
        other.execute("begin exclusive")
        status, said = told(taken, "--resume")
    assert status == 1
    assert "Traceback" not in said
    assert "The gradebook cannot be written: database is locked" in said
    assert "close the program that holds the gradebook" in said
    completes(taken, classes[1])


def test_a_read_only_folder(classes: tuple[Class, Class], small_disk: Callable[[str], Class]) -> None:
    taken = small_disk("size=200m")
    remount(taken, "ro")
    status, said = told(taken)
    assert status == 1
    assert "Traceback" not in said
    assert "Read-only file system" in said
    assert "give write permission" in said
    remount(taken, "rw")
    completes(taken, classes[1])


def filling(maker: ClassMaker) -> dict[str, bytes]:
    """Everything right, and a cell in the middle that writes more than the scratch holds."""
    made = maker.filled(maker.right)
    write = "for number in range(3):\n    open(f'part-{number}', 'wb').write(bytes(700_000))"
    made["cells"].insert(len(made["cells"]) // 2, {"cell_type": "code", "source": write, "metadata": {}, "outputs": []})
    return {"fills": json.dumps(made).encode()}


def test_a_scratch_without_space(tmp_path: Path) -> None:
    taken = waiting_class(tmp_path, filling)
    listed = taken.root / "autograder" / "course.toml"
    listed.write_text(listed.read_text("utf-8") + f"\nscratch_bytes = {1 << 20}\n", "utf-8")
    status, said = told(taken)
    assert status == 0, said
    assert "50 of 50" in said
    shown = (taken.root / "autograder" / "autograded" / "fills" / taken.unit / f"{taken.unit}.ipynb").read_text("utf-8")
    assert "OSError: [Errno 28] No space left on device" in re.sub(r"\\u001b\[[0-9;]*m", "", shown)
