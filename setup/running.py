"""Run programs with their output in a log, and show what they are at."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from setup.place import LOG, ROOT


class Outcome(NamedTuple):
    worked: bool
    lines: list[str]  # the end of what was said


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def log_tail(lines: int, start: int = 0) -> list[str]:
    """The last lines of the log, from nothing before `start`."""
    with open(LOG, "rb") as file:
        file.seek(max(start, os.path.getsize(LOG) - 20000))
        return file.read().decode("utf-8", "replace").rstrip().splitlines()[-lines:] or [""]


def run_logged(
    label: str,
    command: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str] | None = None,
    otherwise: str = "failed",
) -> Outcome:
    """Run a command, showing what it is at; `otherwise` is said if it fails."""
    say(f"- {label} ...")
    started = shown = time.monotonic()
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    with open(LOG, "ab") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        start = log.tell()
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while child.poll() is None:
                time.sleep(0.02)
                if time.monotonic() - shown > (0.5 if clear else 20):
                    shown = time.monotonic()
                    line = f"  {shown - started:3.0f} s  {log_tail(1)[0].strip()[:64]}"
                    print(clear + line, end="" if clear else "\n", file=sys.stderr, flush=True)
        finally:
            if child.poll() is None:  # stopped: nothing may go on writing into the environment
                child.terminate()
                child.wait()
    worked = child.returncode == 0
    say(f"{clear}  {'done' if worked else otherwise} in {time.monotonic() - started:.0f} s")
    return Outcome(worked, log_tail(200, start))
