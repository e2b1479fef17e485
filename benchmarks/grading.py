"""How fast a class is graded, as ratios measured in one run on one quiet machine. Needs the instructor's packages and Linux.

    python benchmarks/grading.py                       # 40 submissions of u01, all columns
    python benchmarks/grading.py --students 6 --no-otter

The same notebooks go through (a) `coursekit grade`, (b) stock `nbgrader autograde` in a course of its own, whose check cells
raise when wrong, (c) `nbgrader autograde` with coursekit's Execute, and (d) otter-grader in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.demo import ClassMaker, copy_course

UNIT = "u01"
# nbgrader calls `alembic` and the kernel's `python` by their bare names
ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
STOCK = '''c = get_config()
c.CourseDirectory.course_id = "stock"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError()"}
'''

@dataclass(frozen=True)
class Measured:
    """One column. cpu: processor seconds of the whole machine meanwhile, for what runs in a sandbox is nobody's child."""

    name: str
    seconds: float
    cpu: float
    students: int
    note: str = ""


def busy() -> float:
    """Processor seconds that the machine has spent: user, nice, system, interrupts."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    return sum(int(fields[number]) for number in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def timed(name: str, command: list[str], where: Path, students: int) -> Measured:
    """Run a command, and fail with its last words if it does."""
    before, began = busy(), time.perf_counter()
    done = subprocess.run(command, cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    seconds, cpu = time.perf_counter() - began, busy() - before
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    print(f"  {name}: {seconds:.1f} s", file=sys.stderr)
    return Measured(name, seconds, cpu, students)


def make_class(maker: ClassMaker, students: int) -> dict[str, dict[str, Any]]:
    """Honest and all right; a word of each student's own in each answer, so that nothing made for one serves the next."""

    def filled(number: int) -> dict[str, Any]:
        return maker.filled(lambda exercise: f"{maker.right(exercise)}\n# by number {number}")

    return {f"student-{number:04d}": filled(number) for number in range(students)}


def lay_out(folder: Path, unit: str, files: dict[str, dict[str, Any]]) -> Path:
    for student, notebook in files.items():
        place = folder / student / unit
        place.mkdir(parents=True)
        (place / f"{unit}.ipynb").write_text(json.dumps(notebook), "utf-8")
    return folder


def ours(root: Path, files: dict[str, dict[str, Any]], name: str) -> Path:
    """A course folder of its own; the assignment is in the gradebook already, as in the stock one."""
    target = copy_course(course(), root / name)
    unit = catalog.load(target.catalog).unit(UNIT).name
    lay_out(target.autograder / "submitted", unit, files)
    first = root / f"{name}-first"
    lay_out(first, unit, {"warm-up": next(iter(files.values()))})
    subprocess.run(
        [sys.executable, "-m", "coursekit", "grade", UNIT, "--submitted", str(first), "--jobs", "1"],
        cwd=target.root, check=True, capture_output=True,
    )
    shutil.rmtree(target.autograder / "submitted" / "warm-up")
    return target.root


def stock(root: Path, unit: str, files: dict[str, dict[str, Any]]) -> Path:
    """nbgrader as it comes: the same release and the same answers; a check cell raises while grading if it is wrong."""
    folder = root / "stock"
    source = folder / "source" / unit
    source.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(STOCK, "utf-8")

    notebook = next(iter(files.values()))
    (source / f"{unit}.ipynb").write_text(json.dumps(notebook), "utf-8")
    nbgrader = [sys.executable, "-m", "nbgrader", "generate_assignment", unit, "--create", "--force"]
    subprocess.run(nbgrader, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    lay_out(folder / "submitted", unit, files)
    return folder


def quietly(command: list[Any], where: Path) -> str:
    """Run a command. Returns: nothing, or the last line of what went wrong."""
    done = subprocess.run([str(word) for word in command], cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
    return "" if done.returncode == 0 else said[-1][:300]


DOCTEST = """OK_FORMAT = True
test = {{"name": {name!r}, "points": 1, "suites": [{{
    "cases": [{{"code": ">>> callable({function})\nTrue"}}], "scored": True, "setup": "", "teardown": "", "type": "doctest"}}]}}
"""


def otter(root: Path, files: dict[str, dict[str, Any]], maker: ClassMaker) -> Measured | str:
    """otter-grader in an environment of its own, that finds torch in this one; or why it could not be had."""
    home, work = root / "otter", root / "otter-work"
    (tests := work / "tests").mkdir(parents=True)
    python = home / "bin" / "python"
    if wrong := quietly([sys.executable, "-m", "venv", home], root):
        return f"no environment could be made: {wrong}"
    site = next(home.glob("lib/python*/site-packages"))
    (site / "shared.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    if wrong := quietly([python, "-m", "pip", "install", "--quiet", "otter-grader"], root):
        return f"otter-grader could not be installed: {wrong}"
    for name, exercise in maker.source.exercises.items():
        name = name.replace("-", "_")
        (tests / f"{name}.py").write_text(DOCTEST.format(name=name, function=exercise.function), "utf-8")
    (work / "otter_config.json").write_text("{}", "utf-8")
    if wrong := quietly([python, "-m", "otter", "generate", "-t", tests, "-o", work / "autograder.zip", "--no-environment"], work):
        return f"`otter generate` failed: {wrong}"
    measured = []
    (work / "out").mkdir()
    for student, notebook in files.items():
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        (work / f"{student}.ipynb").write_text(json.dumps({**notebook, "metadata": kernel}), "utf-8")
        command = [str(python), "-m", "otter", "run", "-a", "autograder.zip", "-o", "out", f"{student}.ipynb"]
        try:
            measured.append(timed(f"otter run {student}", command, work, 1))
        except SystemExit as error:
            return f"`otter run` failed: {str(error).strip().splitlines()[-1][:300]}"
    return Measured("(d) otter run", sum(one.seconds for one in measured), sum(one.cpu for one in measured), len(files))


def grade(where: Path, students: int, jobs: int) -> Measured:
    """`coursekit grade`, from nothing: no evidence is kept from before."""
    shutil.rmtree(where / "autograder" / "evidence", ignore_errors=True)
    command = [sys.executable, "-m", "coursekit", "grade", UNIT, "--jobs", str(jobs)]
    return timed(f"(a) coursekit grade, {jobs} worker{'s' * (jobs > 1)}", command, where, students)


def table(columns: list[Measured]) -> list[str]:
    stock_one = next((one for one in columns if one.name.startswith("(b)")), None)
    rows = ["| | wall clock | s per submission | processor s per submission | times faster than stock |", "|---|---|---|---|---|"]
    for one in columns:
        each = one.seconds / one.students
        faster = f"{stock_one.seconds / stock_one.students / each:.1f}" if stock_one else "–"
        rows.append(f"| {one.name}{one.note} | {one.seconds:.1f} s | {each:.2f} | {one.cpu / one.students:.2f} | {faster} |")
    return rows


def header(students: int) -> list[str]:
    names = ("torch", "nbgrader", "ipython", "matplotlib")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    said = f"up to {students} submissions of {UNIT}, {os.cpu_count()} cores, load when begun {load}"
    return [f"{time.strftime('%Y-%m-%d')}, {said}; Python {platform.python_version()}, {versions}.", ""]


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--students", type=int, default=40, help="class size (default 40)")
    asked.add_argument("--stock-students", type=int, metavar="N", help="fewer for (b) and (c), which are slow; ratios are per submission")
    asked.add_argument("--otter-students", type=int, metavar="N", default=5, help="for (d) (default 5)")
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--no-stock", action="store_true")
    asked.add_argument("--no-otter", action="store_true")
    options = asked.parse_args()
    where = course()
    lines = header(options.students)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        root = Path(folder)
        maker = ClassMaker(where, catalog.load(where.catalog).unit(UNIT))
        files = make_class(maker, options.students)
        fewer = dict(list(files.items())[: options.stock_students or options.students])
        place = ours(root, files, "ours")
        columns = [grade(place, len(files), options.jobs)]
        plugin = ours(root, fewer, "plugin")
        shutil.rmtree(plugin / "autograder" / "evidence")
        nbgrader = [sys.executable, "-m", "nbgrader", "autograde", maker.source.name, "--force"]
        columns.append(timed("(c) nbgrader autograde with our Execute", nbgrader, plugin / "autograder", len(fewer)))
        if not options.no_stock:
            columns.append(timed("(b) stock nbgrader autograde", nbgrader, stock(root, maker.source.name, fewer), len(fewer)))
        notes = []
        if not options.no_otter:
            beside = otter(root, dict(list(files.items())[: options.otter_students]), maker)
            if isinstance(beside, Measured):
                columns.append(beside)
            else:
                notes.append(f"(d) not measured: {beside}")
        lines += [*table(columns), "", *(f"- {note}" for note in notes)]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
