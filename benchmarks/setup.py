"""Time `course.py lab` from nothing to JupyterLab's first page: an earlier revision against this checkout.

    python benchmarks/setup.py --before REVISION [--rounds 3]

Each round sets up in fresh folders, one way after the other: the earlier revision; this checkout with an empty uv
cache; this checkout with a full one. uv is fetched each time, also where one is on the PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
READY = "The environment is ready"
LONGEST = 1200.0  # seconds


class Times(NamedTuple):
    """Seconds of one set-up and the starts after it."""

    setup: float  # until the environment is ready
    page: float  # from then until JupyterLab's page is there
    idle: float  # of a second start, until it hands over to coursekit

    @property
    def whole(self) -> float:
        return self.setup + self.page


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(cache: Path) -> dict[str, str]:
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not shutil.which("uv", path=folder))
    return {**os.environ, "PATH": path, "UV_CACHE_DIR": str(cache), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def lab(course: Path, variables: dict[str, str], output: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`course.py lab`, ended with all that it started."""
    port, copies = free_port(), course.parent / "copies"
    command = [sys.executable, "course.py", "lab", "--no-browser", "--port", str(port), "--folder", str(copies)]
    with output.open("wb") as file:
        child = subprocess.Popen(command, cwd=course, env=variables, stdout=file, stderr=file, start_new_session=True)
    try:
        yield child, port
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()


def wait_for(what: str, child: subprocess.Popen[bytes], output: Path, happened: Callable[[], bool]) -> float:
    """The moment at which something happens. Raises: SystemExit: the command ended before."""
    deadline = time.monotonic() + LONGEST
    while not happened():
        if child.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"No {what}; the end of the output:\n{output.read_text(encoding='utf-8')[-3000:]}")
        time.sleep(0.01)
    return time.monotonic()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/lab", timeout=30) as page:
            return bool(page.read())
    except OSError:
        return False


def measure(files: bytes, cache: Path) -> Times:
    """Set up in a fresh folder, open the first page, then start again."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        course, output = Path(folder, "course"), Path(folder, "output")
        course.mkdir()
        subprocess.run(["tar", "x", "-C", str(course)], input=files, check=True)
        variables = environment(cache)
        started = time.monotonic()
        with lab(course, variables, output) as (child, port):
            ready = wait_for("ready environment", child, output, lambda: READY in output.read_text(encoding="utf-8"))
            page = wait_for("page", child, output, lambda: answers(port))
        again = time.monotonic()
        with lab(course, variables, output) as (child, port):
            became = Path(f"/proc/{child.pid}/cmdline")
            handed_over = wait_for("second start", child, output, lambda: b"coursekit" in became.read_bytes())
            wait_for("page", child, output, lambda: answers(port))
        return Times(ready - started, page - ready, handed_over - again)


def archive(revision: str) -> bytes:
    return subprocess.run(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="REVISION", help="what to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    earlier, now = archive(options.before), archive("HEAD")
    done: dict[str, list[Times]] = {"before": [], "uv, empty cache": [], "uv, full cache": []}
    print(f"{time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as full:
        measure(now, Path(full))  # fills the cache, and the system's own of files
        for number in range(1, options.rounds + 1):
            for way, times in done.items():
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
                    times.append(measure(earlier if way == "before" else now, Path(full if "full" in way else empty)))
                last = times[-1]
                print(
                    f"{number}. {way}: {last.setup:.1f} s, page {last.page:.1f} s, again {last.idle:.2f} s", flush=True
                )
    print("\n| | set-up | first page | together | times faster | set-up, times faster | a start with nothing to do |")
    print("|---|---|---|---|---|---|---|")
    for way, times in done.items():
        both = list(zip(done["before"], times, strict=True))
        cells = [
            f"{statistics.median(getattr(each, part) for each in times):.1f} s" for part in ("setup", "page", "whole")
        ]
        for part in ("whole", "setup"):
            ratios = [getattr(before, part) / getattr(after, part) for before, after in both]
            cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")
        cells.append(f"{statistics.median(each.idle for each in times):.2f} s")
        print(f"| {way} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
