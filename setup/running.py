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
    *commands: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str] | None = None,
    otherwise: str = "failed",
) -> Outcome:
    """Run commands side by side, showing what they are at; `otherwise` is said if one fails."""
    say(f"- {label} ...")
    started = shown = time.monotonic()
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    with open(LOG, "ab") as log:
        log.write("".join(f"\n$ {' '.join(map(str, command))}\n" for command in commands).encode())
        log.flush()
        start, children = log.tell(), []
        try:
            for command in commands:
                children.append(
                    subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
                )
            while any(child.poll() is None for child in children):
                time.sleep(0.02)
                if time.monotonic() - shown > (0.5 if clear else 20):
                    shown = time.monotonic()
                    line = f"  {shown - started:3.0f} s  {log_tail(1)[0].strip()[:64]}"
                    print(clear + line, end="" if clear else "\n", file=sys.stderr, flush=True)
        finally:
            for child in children:
                if child.poll() is None:  # stopped: nothing may go on writing into the environment
                    child.terminate()
                    child.wait()
    worked = not any(child.returncode for child in children)
    say(f"{clear}  {'done' if worked else otherwise} in {time.monotonic() - started:.0f} s")
    return Outcome(worked, log_tail(200, start))
