"""Runs submissions in a process of its own: recording a class and talking to its runners would wait for each other at Python's lock.

The grading process starts it before all else. It starts the zygote, tries the sandbox, says what holds, and then runs what it is
given until its connection closes. Evidence passes between the two as files, as it does from one grading run to the next.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.errors import CourseError

if TYPE_CHECKING:
    from coursekit.grading.collect.plan import Planner
    from coursekit.grading.collect.store import Store

BOOT = "import sys; from coursekit.grading.collect.collector import main; main(int(sys.argv[1]))"


class Ended(Exception):
    """The collector is gone; what it had not finished is still to be run."""


class Collector:
    """The process, seen from the one that grades."""

    def __init__(self) -> None:
        """Start it, and do not wait."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BOOT, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._connection = Connection(ours.detach())

    def usable(self) -> tuple[str, str]:
        """Wait until it has tried warm runners. Returns and raises what trial.usable does. Raises: Ended."""
        kind, *said = self._receive()
        if kind == "refused":
            raise CourseError(*said)
        return str(said[0]), str(said[1])

    def begin(self, planner: Planner, store: Store, jobs: int, isolation: str, retry: bool) -> None:
        """Say what is to come: of which unit, how many at once, in which sandbox. Raises: Ended."""
        self._send(json.dumps([asdict(planner), jobs, isolation, retry]).encode())
        self._send(store.pack())

    def run(self, student: str, path: Path) -> None:
        """Run a submission when it is its turn, and do not wait. Raises: Ended."""
        self._send(json.dumps([student, str(path)]).encode())

    def ended(self) -> tuple[str, str | None]:
        """Wait for the next that ends. Returns: its student, and why there is no evidence, or None. Raises: Ended."""
        kind, *said = self._receive()
        if kind == "broken":
            raise RuntimeError(f"the process that collects met an error of ours:\n{said[0]}")
        return said[0], said[1]

    def close(self) -> None:
        """End it, and with it whatever still runs. What is only starting is not waited for: it ends when it has started."""
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)

    def _send(self, data: bytes) -> None:
        with _ended():
            self._connection.send_bytes(data)

    def _receive(self) -> Any:
        with _ended():
            return json.loads(self._connection.recv_bytes())


@contextlib.contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError):
        raise Ended from None


_started: Collector | None = None


def start(unit: str) -> None:
    """Begin to start this process's collector, beside its own imports. Without one, on Windows, grading says itself why it cannot.

    Raises: CourseError: at once, if the course has no such unit.
    """
    global _started
    catalog.load(course().catalog).unit(unit)
    if os.name == "posix":
        _started = Collector()


def take() -> Collector | None:
    """The collector that was started, for one class; None if there is none."""
    global _started
    taken, _started = _started, None
    return taken


# ---- in the process itself


def main(number: int) -> None:
    """Try the sandbox, then collect. Args: number: of the connection. Its end is the end of this process and of all runners."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that grades decides
    connection = Connection(number)
    from coursekit.grading.sandbox import cgroup, zygote_client

    zygote_client.warm_up()  # while this process imports what it needs
    try:
        with contextlib.suppress(EOFError, OSError):
            _serve(connection)
    finally:
        zygote_client.close()
        with contextlib.suppress(Exception):
            cgroup.sweep()
        os._exit(0)  # threads may still wait for a runner that has just ended


def _serve(connection: Connection) -> None:
    from coursekit.grading.collect.plan import Planner
    from coursekit.grading.collect.store import Store  # torch comes with it: while the zygote gets ready, not after
    from coursekit.grading.collect.work import Work
    from coursekit.grading.sandbox.trial import usable

    lock = threading.Lock()

    def send(*message: Any) -> None:
        with lock, contextlib.suppress(OSError):
            connection.send_bytes(json.dumps(message).encode())

    try:
        send("usable", *usable("bubblewrap"))
    except CourseError as error:
        send("refused", error.problem, error.remedy)
    planner, jobs, isolation, retry = json.loads(connection.recv_bytes())
    work = Work(Planner(**planner), Store.unpack(connection.recv_bytes()), jobs, isolation, retry)
    gc.freeze()  # what is there now stays

    def run(student: str, path: str) -> None:
        try:
            send("ended", student, work.run(Path(path)))
        except BaseException:
            send("broken", traceback.format_exc())

    pool = ThreadPoolExecutor(max_workers=2 * jobs)  # while some wait for the disk, others run
    while True:
        pool.submit(run, *json.loads(connection.recv_bytes()))
