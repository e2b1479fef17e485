"""Looks at all processes of a submission together: what they hold in memory, what they spent on the processor.

It stops what uses too much, and tells for the evidence what was used.

Limits of single processes do not add up: this counts the tree, wherever /proc exists, and whatever starts a session of its
own or loses its parent is still in it, since the first process of a sandbox inherits every orphan.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from coursekit.grading.sandbox.limits import Limits

EVERY = 0.1                                 # seconds between two looks
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PROC = Path("/proc")


class Watchdog:
    """Args: first: the process whose tree is counted, ready and with no student's code in it yet; None: nothing is watched."""

    def __init__(self, first: int | None, limits: Limits) -> None:
        self.first = first if (PROC / "self/statm").exists() else None
        self.cpu_seconds = limits.cpu_seconds
        pids = self.tree()
        self.memory_bytes = limits.memory_bytes + max(map(_resident, pids), default=0)
        self._empty = (sum(map(_seconds, pids)), sum(map(_peak, pids)))
        self.used = (0.0, 0)  # seconds of processor time and bytes of memory, beyond the empty runner's
        self._next = time.monotonic() + EVERY

    def due(self) -> float:
        """Seconds until the next look."""
        return max(self._next - time.monotonic(), 0.0) if self.first is not None else EVERY

    def look(self) -> str | None:
        """Look if it is time to. Returns: "out of memory" or "out of CPU time" if a limit is passed."""
        if self.first is None or self.due() > 0:
            return None
        pids = self.tree()
        self.measure()
        memory = sum(map(_resident, pids))  # counts what forks share several times over: never too little
        if memory > self.memory_bytes:
            memory = sum(map(_share, pids))
        self._next = time.monotonic() + EVERY
        if memory > self.memory_bytes:
            return "out of memory"
        return "out of CPU time" if sum(map(_seconds, pids)) > self.cpu_seconds else None

    def measure(self) -> None:
        """See what has been used so far. Processes that ended unseen count if one of the others waited for them."""
        pids = self.tree()
        if pids:
            seconds, memory = sum(map(_seconds, pids)) - self._empty[0], sum(map(_peak, pids)) - self._empty[1]
            self.used = (max(self.used[0], seconds), max(self.used[1], memory))

    def tree(self) -> list[int]:
        """The first process and all below it."""
        found = [] if self.first is None else [self.first]
        for pid in found:
            found += _children(pid)
        return found


def _read(pid: int, name: str) -> str:
    with contextlib.suppress(OSError):      # it ended meanwhile
        return (PROC / str(pid) / name).read_text("ascii", "replace")
    return ""


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(PROC / str(pid) / "task"):
            found += map(int, _read(pid, f"task/{task}/children").split())
    return found


def _resident(pid: int) -> int:
    words = _read(pid, "statm").split()
    return int(words[1]) * PAGE if len(words) > 1 else 0


def _peak(pid: int) -> int:
    """The most that one process has held in memory at a time."""
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def _share(pid: int) -> int:
    """Proportional set size: a page that n processes share counts for one n-th."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return _resident(pid)


def _seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended."""
    _, _, rest = _read(pid, "stat").rpartition(")")
    return sum(map(int, rest.split()[11:15])) / TICKS
