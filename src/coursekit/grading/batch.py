"""A class on its way: a few submissions run ahead of the recording, in the collector as long as there is one, then in this process."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from coursekit.grading.collect.collector import Collector, Ended
from coursekit.grading.collect.work import Work
from coursekit.grading.judge.grader import Grader

AHEAD = 2  # submissions that wait to be recorded; with more, runners would take the processor from what everything then waits for


class Batch:
    """Args: find: where a student's file is. jobs: how many run at once. retry: as Store.evidence takes it."""

    def __init__(
        self, judge: Grader, find: Callable[[str], Path], jobs: int, isolation: str, retry: bool, collector: Collector | None = None
    ) -> None:
        self._find, self._room, self._collector = find, jobs + AHEAD, collector
        self._running: list[str] = []
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._work = Work(judge.planner, judge.store, jobs, isolation, retry)
        self._ended: queue.SimpleQueue[tuple[str, str | None] | BaseException] = queue.SimpleQueue()
        if collector is not None:
            with self._else_here():
                collector.begin(judge.planner, judge.store, jobs, isolation, retry)

    def collected(self, students: Iterable[str]) -> Generator[tuple[str, str | None], None, None]:
        """Run what has to be run, and hand on each as it is done. Yields: student, and why there is no evidence, or None."""
        waiting = iter(students)
        try:
            while True:
                while len(self._running) < self._room and (student := next(waiting, None)) is not None:
                    self._running.append(student)
                    self._run(student)
                if not self._running:
                    return
                ended = self._next()
                self._running.remove(ended[0])
                yield ended
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, student: str) -> None:
        if self._collector is None:
            self._pool.submit(self._run_here, student)
        else:
            with self._else_here():
                self._collector.run(student, self._find(student))

    def _next(self) -> tuple[str, str | None]:
        if self._collector is not None:
            with self._else_here():
                return self._collector.ended()
        ended = self._ended.get()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    @contextlib.contextmanager
    def _else_here(self) -> Iterator[None]:
        """Take over what was under way if the collector ends."""
        try:
            yield
        except Ended:
            self._collector = None
            for student in self._running:
                self._pool.submit(self._run_here, student)

    def _run_here(self, student: str) -> None:
        try:
            self._ended.put((student, self._work.run(self._find(student))))
        except BaseException as error:
            self._ended.put(error)
