"""How long a check takes beyond the student's own code, and what importing it costs on top of importing torch.

    python benchmarks/checks.py            # the course's own visible keys, or those in $COURSEKIT_KEYS

Both are measured in one run on one machine, so that they can be compared; exit 1 if one is over its bar.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHECK_BAR_MS = 100.0
IMPORT_BAR = 0.10
REPEATS = 7


def spent(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def beyond(exercise: str) -> dict[str, float]:
    """Milliseconds that a check adds to the student's code: for an answer that passes, an unknown one, a blank.

    A probe that gives stored values back stands in for the student's code; it is timed alone, too, and taken off.
    """
    from coursekit.checks import check
    from coursekit.checks.key import visible
    from coursekit.checks.snapshot import Observed, live

    key = visible(exercise)
    turn = [0]

    def replay(change: Callable[[Any], Any]) -> Callable[..., Mapping[str, Any]]:
        def observe(**given: Any) -> Mapping[str, Any]:
            expected: Observed = key.cases[turn[0] % len(key.cases)].expected
            turn[0] += 1
            if expected.failure is not None:
                raise ValueError(expected.failure.message)
            return {name: change(live(value)) for name, value in expected.values.items()}

        return observe

    def blank(**given: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    def strange(value: Any) -> Any:
        return value * 1.2345 + 0.0123 if getattr(value, "is_floating_point", lambda: False)() else value

    def alone(probe: Callable[..., Any]) -> None:
        for case in key.cases:
            with contextlib.suppress(Exception):
                probe(**{name: live(value) for name, value in case.inputs.items()})

    answers = {"passed": replay(lambda value: value), "unknown": replay(strange), "blank": blank}
    with contextlib.redirect_stdout(io.StringIO()):
        check(exercise)(blank)  # the first check of a session reads the key; it is timed by itself below
        return {
            word: 1000 * (spent(lambda probe=probe: check(exercise)(probe)) - spent(lambda probe=probe: alone(probe)))
            for word, probe in answers.items()
        }


def first_check(exercise: str) -> float:
    """Milliseconds of a session's first check, in a fresh process: it reads the unit's key and makes the HTML."""
    code = (
        "import gc, time, torch\nfrom coursekit.checks import render, notebook\n"
        "def observe(**given): raise NotImplementedError\n"
        "gc.collect()\n"  # a collection of what `import torch` left takes 70 ms, and is not the check's
        f"start = time.perf_counter()\nrender.html(notebook.examine({exercise!r}, observe))\n"
        "print(time.perf_counter() - start)"
    )
    return 1000 * statistics.median(printed(code) for _ in range(3))


def printed(code: str) -> float:
    """The number that a fresh Python prints."""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def importing() -> tuple[float, float]:
    """Seconds for `import torch`, and with coursekit.checks; turn about, so that both see the same machine."""

    def one(modules: str) -> float:
        return printed(
            f"import time\nstart = time.perf_counter()\nimport {modules}\nprint(time.perf_counter() - start)"
        )

    one("torch, coursekit.checks")  # warms the disk
    pairs = [(one("torch"), one("torch, coursekit.checks")) for _ in range(REPEATS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> int:
    from coursekit.checks.key import folder, units

    exercises = [name for keys in units().values() for name in keys]
    if not exercises:
        print(
            f"There are no visible keys in {folder()}. Run `coursekit build`, or set COURSEKIT_KEYS.", file=sys.stderr
        )
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["COURSEKIT_RESULTS"] = str(Path(scratch) / "results.json")
        for name in ("COURSEKIT_SANDBOX", "NBGRADER_EXECUTION"):
            os.environ.pop(name, None)
        print(f"{'milliseconds beyond the student’s code':<40}{'passed':>10}{'unknown':>10}{'blank':>10}")
        rows = {name: beyond(name) for name in exercises}
        for name, row in rows.items():
            print(f"{name:<40}{row['passed']:>10.1f}{row['unknown']:>10.1f}{row['blank']:>10.1f}")
    typical = statistics.median(max(row.values()) for row in rows.values())
    worst = max(max(row.values()) for row in rows.values())
    print(f"{'median of the slowest answers':<40}{typical:>10.1f}   bar {CHECK_BAR_MS:g}; the slowest {worst:.1f}")
    print(f"{'first check of a session':<40}{first_check(exercises[0]):>10.1f}")
    bare, whole = importing()
    print(f"{'import torch':<40}{1000 * bare:>10.0f}")
    print(
        f"{'import torch, coursekit.checks':<40}{1000 * whole:>10.0f}   "
        f"{100 * (whole / bare - 1):+.1f} %, bar {100 * IMPORT_BAR:g} %"
    )
    over = [
        word
        for word, bad in (("the check", typical > CHECK_BAR_MS), ("the import", whole / bare - 1 > IMPORT_BAR))
        if bad
    ]
    print(f"over the bar: {', '.join(over)}" if over else "within both bars")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
