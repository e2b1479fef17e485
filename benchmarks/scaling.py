"""How grading grows: with workers, with the class, with a changed key. Needs the instructor's packages, Linux, and a quiet machine.

    python benchmarks/scaling.py                       # further submissions, with one core and with two
    python benchmarks/scaling.py --long                # classes of 50, 200 and 1,000, and a changed key for the largest
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grading import UNIT, Measured, header, make_class, ours, timed

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading import evidence
from coursekit.grading.demo import ClassMaker

FEW, MANY = 10, 90
CORES = "import os, sys; os.sched_setaffinity(0, {cores}); "
RUN = "from coursekit.cli import main; sys.exit(main(sys.argv[1:]))"
WORK = """import json, time
began, text = time.perf_counter(), {str(n): list(range(20)) for n in range(2000)}
for _ in range(60): sorted(json.loads(json.dumps(text)), key=lambda name: text[name][3])
print(time.perf_counter() - began)"""
PEAK = """import resource
status = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(status)"""


def ceiling() -> float:
    """What two cores of this machine give two programs that share nothing, over one that is alone: 2.0 at best."""

    def run(*cores: int) -> list[float]:
        begun = [subprocess.Popen([sys.executable, "-c", CORES.format(cores={core}) + WORK], stdout=subprocess.PIPE) for core in cores]
        return [float(one.communicate()[0]) for one in begun]

    alone, together = [], []
    for _ in range(10):
        alone += run(0) + run(1)
        together += run(0, 1)
    return 2 * statistics.median(alone) / statistics.median(together)


def grade(where: Path, students: int, cores: set[int]) -> Measured:
    """Grade a class for the first time: nothing is there to be used again, and nothing to be replaced."""
    for made in ("evidence", "autograded", "feedback"):
        shutil.rmtree(where / "autograder" / made, ignore_errors=True)
    (where / "autograder" / "gradebook.db").unlink(missing_ok=True)
    command = [sys.executable, "-c", CORES.format(cores=cores) + RUN, "grade", UNIT, "--jobs", str(len(cores))]
    return timed(f"{students} submissions, {len(cores)} core(s)", command, where, students)


def further(root: Path, maker: ClassMaker, rounds: int) -> list[str]:
    """What one more submission costs: the difference between two class sizes, so that the start is in neither."""
    places = {size: ours(root, make_class(maker, size), f"class-{size}") for size in (FEW, MANY)}
    runs: dict[tuple[int, int], list[Measured]] = {}
    limits, insides = [], []
    for _ in range(rounds):
        limits.append(ceiling())
        for cores in ({0}, {0, 1}):
            for size, where in places.items():
                runs.setdefault((len(cores), size), []).append(grade(where, size, cores))
            if len(cores) == 1:
                insides += [evidence.load(path).cpu_seconds for path in (places[MANY] / "autograder" / "evidence").rglob("*.evidence")]
    inside = statistics.mean(insides)
    rows = ["| | s per further submission | processor s per further submission | start |", "|---|---|---|---|"]
    wall, cpu = {}, {}
    for cores in (1, 2):
        few, many = runs[cores, FEW], runs[cores, MANY]
        wall[cores] = statistics.median((b.seconds - a.seconds) / (MANY - FEW) for a, b in zip(few, many, strict=True))
        cpu[cores] = statistics.median((b.cpu - a.cpu) / (MANY - FEW) for a, b in zip(few, many, strict=True))
        start = statistics.median(one.seconds for one in few) - FEW * wall[cores]
        what = "1 worker, one core for everything" if cores == 1 else "2 workers, two cores"
        rows.append(f"| {what} | {wall[cores]:.3f} | {cpu[cores]:.3f} | {start:.1f} s |")
    most = statistics.median(limits)
    ratio = wall[1] / wall[2]
    return [
        *rows,
        "",
        f"- 1 → 2: {ratio:.2f} times the throughput; two programs that share nothing get {most:.2f} times on this machine: {ratio / most:.0%} of it.",
        f"- The runner itself, cells and probes: {inside:.3f} s of processor time per submission. "
        f"All the rest, on one core: {cpu[1] - inside:.3f} s.",
        f"- Classes of {FEW} and {MANY}, {rounds} rounds, medians.",
    ]


def long_run(root: Path, maker: ClassMaker, sizes: tuple[int, ...]) -> list[str]:
    """Time per submission and the grader's peak memory, for growing classes; then a changed key."""
    rows = ["| submissions | s per submission | grader's peak memory |", "|---|---|---|"]
    for size in sizes:
        where = ours(root, make_class(maker, size), f"long-{size}")
        began = time.perf_counter()
        done = watched(where, "grade", UNIT, "--jobs", "2")
        rows.append(f"| {size} | {(time.perf_counter() - began) / size:.3f} | {done} MB |")
        print(rows[-1], file=sys.stderr)
        if size == sizes[-1]:
            key = where / "autograder" / f"{maker.source.name}.py"
            key.write_text(key.read_text("utf-8") + "\n# changed\n", "utf-8")
            began = time.perf_counter()
            done = watched(where, "judge", UNIT)
            rows += ["", f"- `coursekit judge {UNIT}` on {size}, after the key changed: {time.perf_counter() - began:.1f} s, {done} MB."]
        shutil.rmtree(where)
    return rows


def watched(where: Path, *words: str) -> str:
    """Run a verb. Returns: its peak memory in MB."""
    program = f"import sys; from coursekit.cli import main\n{PEAK}"
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"coursekit {' '.join(words)} failed:\n{done.stderr[-3000:]}")
    found = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    return found[1] if found else "?"


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--long", action="store_true", help="classes of 50, 200 and 1,000 instead")
    asked.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1000], help="of the classes for --long")
    asked.add_argument("--rounds", type=int, default=3, help="of the shorter measurement")
    options = asked.parse_args()
    where = course()
    lines = header(max(options.sizes) if options.long else MANY)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        maker = ClassMaker(where, catalog.load(where.catalog).unit(UNIT))
        lines += long_run(Path(folder), maker, tuple(options.sizes)) if options.long else further(Path(folder), maker, options.rounds)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
