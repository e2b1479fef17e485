"""How grading grows: with workers, with the class, with a changed key. Needs the instructor's packages, Linux, and a quiet machine.

    python benchmarks/scaling.py                       # further submissions, with one core and with two
    python benchmarks/scaling.py --long                # classes of 50, 200 and 1,000, and a changed key for the largest
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from grading import UNIT, busy, header, make_class, ours, timed

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.collect import evidence
from coursekit.grading.demo import ClassMaker

STUDENTS, FIRST, LAST = 110, 10, 100  # of which so many are measured: neither the start nor the end is in what one more costs
CORES = "import os, sys; os.sched_setaffinity(0, {cores}); "
RUN = "from coursekit.cli import main; sys.exit(main(sys.argv[1:]))"
WORK = """import json, time
began, text = time.perf_counter(), {str(n): list(range(20)) for n in range(2000)}
for _ in range(60): sorted(json.loads(json.dumps(text)), key=lambda name: text[name][3])
print(time.perf_counter() - began)"""
# Not getrusage: its maximum is that of the process which started this one, too, and that one holds the whole class.
PEAK = """from pathlib import Path
status = main(sys.argv[1:])
lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print("peak", int(lines["VmHWM"].split()[0]) // 1024, file=sys.stderr)
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


@dataclass(frozen=True)
class Further:
    """What one more submission costs, in the middle of a class. inside: cpu of the runner itself. start: seconds of all that comes before."""

    seconds: float
    cpu: float
    inside: float
    start: float


class Watch(threading.Thread):
    """Looks now and then how many are graded, and what the machine has spent until then."""

    def __init__(self, where: Path) -> None:
        super().__init__(daemon=True)
        self.folder = where / "autograder" / "feedback"
        self.seen: list[tuple[int, float, float]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            graded = len(os.listdir(self.folder)) if self.folder.is_dir() else 0
            self.seen.append((graded, time.perf_counter(), busy()))

    def between(self, began: float) -> Further:
        first, last = (next(one for one in self.seen if one[0] >= many) for many in (FIRST, LAST))
        count = last[0] - first[0]
        seconds = (last[1] - first[1]) / count
        inside = statistics.mean(evidence.load(path).cpu_seconds for path in (self.folder.parent / "evidence").rglob("*.evidence"))
        return Further(seconds, (last[2] - first[2]) / count, inside, first[1] - began - first[0] * seconds)


def grade(where: Path, cores: set[int]) -> Further:
    """Grade a class for the first time: nothing is there to be used again, and nothing to be replaced."""
    for made in ("evidence", "autograded", "feedback"):
        shutil.rmtree(where / "autograder" / made, ignore_errors=True)
    (where / "autograder" / "gradebook.db").unlink(missing_ok=True)
    command = [sys.executable, "-c", CORES.format(cores=cores) + RUN, "grade", UNIT, "--jobs", str(len(cores))]
    watch, began = Watch(where), time.perf_counter()
    watch.start()
    try:
        timed(f"{STUDENTS} submissions, {len(cores)} core(s)", command, where, STUDENTS)
    finally:
        watch.over.set()
        watch.join()
    return watch.between(began)


def further(root: Path, maker: ClassMaker, rounds: int) -> list[str]:
    """What one more submission costs, with one core for everything and with two, and how far two go further than one."""
    where = ours(root, make_class(maker, STUDENTS), "class")
    runs: dict[int, list[Further]] = {1: [], 2: []}
    limits = []
    for number in range(rounds):
        for count in (1, 2) if number % 2 else (2, 1):
            runs[count].append(grade(where, set(range(count))))
            print(f"  {runs[count][-1]}", file=sys.stderr)
        limits.append(ceiling())
    rows = ["| | s per further submission | processor s per further submission | start |", "|---|---|---|---|"]
    for count, what in ((1, "1 worker, one core for everything"), (2, "2 workers, two cores")):
        middle = {name: statistics.median(getattr(one, name) for one in runs[count]) for name in ("seconds", "cpu", "start")}
        rows.append(f"| {what} | {middle['seconds']:.3f} | {middle['cpu']:.3f} | {middle['start']:.1f} s |")
    ratios = [one.seconds / two.seconds for one, two in zip(runs[1], runs[2], strict=True)]
    inside, beyond = [one.inside for one in runs[1]], [one.cpu - one.inside for one in runs[1]]
    return [
        *rows,
        "",
        f"- 1 → 2: {_spread(ratios)} times the throughput; two programs that share nothing get {_spread(limits)} times on this machine.",
        f"- The runner itself, cells and probes: {_spread(inside, 3)} s of processor time per submission.",
        f"- All the rest, on one core: {_spread(beyond, 3)} s.",
        f"- A class of {STUDENTS}, from the {FIRST}th to the {LAST}th; {rounds} rounds, medians, and the least and the most of them.",
    ]


def _spread(numbers: list[float], digits: int = 2) -> str:
    least, middle, most = (f"{one:.{digits}f}" for one in (min(numbers), statistics.median(numbers), max(numbers)))
    return f"{middle} ({least} to {most})"


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
            key = where / "autograder" / maker.source.name / "_shared.py"
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
    asked.add_argument("--rounds", type=int, default=5, help="of the shorter measurement")
    options = asked.parse_args()
    where = course()
    lines = header(max(options.sizes) if options.long else STUDENTS)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        maker = ClassMaker(where, catalog.load(where.catalog).unit(UNIT))
        lines += long_run(Path(folder), maker, tuple(options.sizes)) if options.long else further(Path(folder), maker, options.rounds)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
