"""Run tasks in processes that may hang or die: a lost task costs its answer and one process, no more."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from coursekit.errors import CourseError
from coursekit.proof.limits import limit_memory

Task = TypeVar("Task")
READY = "ready"
SILENT = object()  # nothing said yet; None is an answer
START_LIMIT = 180.0  # seconds for a process to start and import torch on a busy machine


@dataclass(frozen=True)
class Lost:
    """A task without an answer. reason: "timed out" or "crashed"."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """A task that raised: the course's fault, or ours."""

    problem: str
    remedy: str


def call(serve: Callable[[Task], Any], task: Task) -> Any:
    """Run one task here; an exception becomes data."""
    try:
        return serve(task)
    except CourseError as error:
        return Broken(error.problem, error.remedy)
    except Exception:
        return Broken(
            f"A task of the proof failed:\n{traceback.format_exc()}",
            "This is a fault of coursekit; report it.",
        )


class _Worker(Generic[Task]):
    """One process and the task it has in hand."""

    def __init__(self, serve: Callable[[Task], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=_work, args=(there, serve), daemon=True)
        self.process.start()
        there.close()
        self.task: int | None = None
        self.deadline = time.monotonic() + START_LIMIT
        self.ready = False

    def give(self, index: int, task: Task, limit: float) -> None:
        self.task, self.deadline = index, time.monotonic() + limit
        self.pipe.send(task)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def each(
    tasks: Sequence[Task], serve: Callable[[Task], Any], jobs: int, limit: Callable[[Task], float]
) -> Iterator[tuple[int, Any]]:
    """Serve all tasks, and give (index, answer) as they come in.

    Args: serve: a module-level function. jobs: processes; 0 runs everything here, without protection.
    limit: the seconds that a task may take.
    """
    if jobs == 0:
        yield from ((index, call(serve, task)) for index, task in enumerate(tasks))
        return
    waiting = deque(range(len(tasks)))
    workers = [_Worker(serve) for _ in range(min(jobs, len(tasks)))]
    open_tasks = len(tasks)
    try:
        while open_tasks:
            for worker in workers:
                if worker.ready and worker.task is None and waiting:
                    index = waiting.popleft()
                    worker.give(index, tasks[index], limit(tasks[index]))
            busy = [worker for worker in workers if worker.task is not None or not worker.ready]
            wait(
                [worker.pipe for worker in busy],
                max(0.0, min(worker.deadline for worker in busy) - time.monotonic()),
            )
            for place, worker in enumerate(workers):
                answer = _answer(worker) if worker in busy else SILENT
                if answer is SILENT:
                    continue
                if worker.task is not None:
                    open_tasks -= 1
                    yield worker.task, answer
                elif isinstance(answer, Lost):
                    raise CourseError(
                        f"A worker process of the proof {answer.reason} before it began.",
                        "Is there memory left? Try again.",
                    )
                worker.task = None
                worker.ready = True
                if isinstance(answer, Lost):
                    worker.stop()
                    workers[place] = _Worker(serve)
    finally:
        for worker in workers:
            worker.stop()


def _answer(worker: _Worker[Any]) -> Any:
    """What a worker says, or SILENT."""
    if worker.pipe.poll():
        try:
            return worker.pipe.recv()
        except (EOFError, OSError):
            return Lost("crashed")
    return Lost("timed out") if time.monotonic() >= worker.deadline else SILENT


def _work(pipe: Connection, serve: Callable[[Any], Any]) -> None:
    """The life of a worker: tasks in, answers out. What the tasks print goes nowhere."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    limit_memory()
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        pipe.send(READY)
        while True:
            try:
                task = pipe.recv()
            except (EOFError, KeyboardInterrupt):
                return
            pipe.send(call(serve, task))
