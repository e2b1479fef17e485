"""A memory bound that the kernel keeps for all processes of a submission together, where this machine lets us make control groups.

The watchdog looks ten times a second, everywhere; a group stops what is faster than that. Version 2 works where the grader's own
group hands its memory controller on (root without systemd, or `systemd-run --user --scope -p Delegate=yes`), version 1 where its
memory hierarchy can be written.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """A folder in which groups can be made. bound, events: the files of a group that hold its limit and its count of kills."""

    folder: Path
    bound: str
    events: str

    @property
    def version(self) -> int:
        return 1 if self.bound == "memory.limit_in_bytes" else 2


@functools.cache
def place() -> Place | None:
    """Where groups with a memory bound can be made, found by making one; None if nowhere."""
    for candidate in _candidates():
        trial = candidate.folder / f"coursekit-{os.getpid()}-trial"
        with contextlib.suppress(OSError):
            trial.mkdir()
            try:
                (trial / candidate.bound).write_text(str(1 << 30), "utf-8")
                return candidate
            except OSError:
                continue
            finally:
                trial.rmdir()
    return None


def _candidates() -> Iterable[Place]:
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers == "":
            yield Place(MOUNT / path.lstrip("/"), "memory.max", "memory.events")
        elif "memory" in controllers.split(","):
            yield Place(MOUNT / "memory" / path.lstrip("/"), "memory.limit_in_bytes", "memory.oom_control")


class Group:
    """The group of one runner. Without a place for it, it bounds nothing and says so."""

    def __init__(self, memory_bytes: int) -> None:
        """Make it, empty."""
        self._folder: Path | None = None
        where = place()
        if where is None:
            return
        folder = where.folder / f"coursekit-{os.getpid()}-{next(_numbers)}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            self._folder, self._events = folder, folder / where.events
            (folder / where.bound).write_text(str(memory_bytes), "utf-8")

    def take(self, pids: Iterable[int]) -> None:
        """Take in a runner's processes, before any student's code is in them; what they start later is in it too."""
        if self._folder is None:
            return
        members = self._folder / "cgroup.procs"
        with contextlib.suppress(OSError):
            for pid in set(pids) - {int(pid) for pid in members.read_text("ascii").split()}:
                with contextlib.suppress(ProcessLookupError):
                    members.write_text(str(pid), "utf-8")

    def killed(self) -> bool:
        """Whether the kernel ended one of its processes because the bound was reached."""
        if self._folder is None:
            return False
        with contextlib.suppress(OSError):
            found = re.search(r"^oom_kill (\d+)", self._events.read_text("ascii"), re.MULTILINE)
            return found is not None and int(found[1]) > 0
        return False

    def close(self) -> None:
        """Remove the group, once its processes are gone."""
        folder, self._folder = self._folder, None
        if folder is not None:
            _remove(folder)


def sweep() -> None:
    """Remove the groups that this process made: for one that ends while runners are under way, once they are killed."""
    where = place()
    for folder in [] if where is None else where.folder.glob(f"coursekit-{os.getpid()}-*"):
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(50):
        try:
            os.rmdir(str(folder))
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)  # the last process is still on its way out
