"""Runs what students handed in, side by side: the same notebook from two of them once."""

from __future__ import annotations

import threading
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.grading.collect.intake import parse, read_file
from coursekit.grading.collect.plan import Planner, Prepared
from coursekit.grading.collect.store import Store


class Work:
    """For many threads at a time; while some of them wait for the disk, others run.

    Args: jobs: how many submissions run at once. retry: as Store.evidence takes it.
    """

    def __init__(self, planner: Planner, store: Store, jobs: int, isolation: str, retry: bool) -> None:
        self.planner, self.store, self.isolation, self.retry = planner, store, isolation, retry
        self._turn = threading.Semaphore(jobs)
        self._locks: dict[str, threading.Lock] = {}
        self._ended: dict[str, str | None] = {}

    def run(self, path: Path) -> str | None:
        """Collect the evidence of one submission. Returns: why there is none, or None."""
        prepared = self.planner.prepare(parse(read_file(path)))
        with self._locks.setdefault(prepared.digest, threading.Lock()):
            if prepared.digest not in self._ended:
                self._ended[prepared.digest] = self._collect(prepared)
            return self._ended[prepared.digest]

    def _collect(self, prepared: Prepared) -> str | None:
        try:
            self.store.evidence(prepared, self.isolation, retry=self.retry, turn=self._turn)
        except CourseError as error:
            return error.problem
        return None
