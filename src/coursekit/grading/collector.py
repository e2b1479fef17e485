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
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.errors import CourseError

if TYPE_CHECKING:
    from coursekit.grading.store import Prepared, Store

RECORDED = b""
AHEAD = 2  # submissions that are recorded or wait for it; with more, runners would take the processor from what everything then waits for
BOOT = "import sys; from coursekit.grading.collector import main; main(int(sys.argv[1]))"


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
        """Wait until it has tried warm runners. Returns and raises what isolation.usable does. Raises: Ended."""
        kind, *said = self._receive()
        if kind == "refused":
            raise CourseError(*said)
        return str(said[0]), str(said[1])

    def collect(
        self, store: Store, items: Iterable[Prepared], jobs: int, isolation: str, retry: bool
    ) -> Iterator[tuple[str, str | None]]:
        """Run submissions side by side. Yields: digest, and why there is no evidence, or None. Raises: Ended."""
        waiting = 0
        self._send(json.dumps([jobs, isolation, retry]).encode())
        self._send(store.pack())
        for item in items:
            self._send(json.dumps([item.sources, item.outcome, item.digest, list(item.skip)]).encode())
            waiting += 1
        for _ in range(waiting):
            kind, *said = self._receive()
            if kind == "broken":
                raise RuntimeError(f"the process that collects met an error of ours:\n{said[0]}")
            yield said[0], said[1]
            self._send(RECORDED)

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
    from coursekit.grading import cgroup, zygote_client

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
    from coursekit.grading.isolation import usable

    lock = threading.Lock()

    def send(*message: Any) -> None:
        with lock, contextlib.suppress(OSError):
            connection.send_bytes(json.dumps(message).encode())

    try:
        send("usable", *usable("bubblewrap"))
    except CourseError as error:
        send("refused", error.problem, error.remedy)
    from coursekit.grading.store import Prepared, Store

    jobs, isolation, retry = json.loads(connection.recv_bytes())
    store = Store.unpack(connection.recv_bytes())
    gc.freeze()  # what is there now stays
    room = threading.Semaphore(jobs + AHEAD)

    def work(data: bytes) -> None:
        room.acquire()
        try:
            sources, outcome, digest, skip = json.loads(data)
            item = Prepared(tuple(sources), outcome, digest, frozenset(skip))
            store.evidence(item, isolation, retry=retry)
            send("done", item.digest, None)
        except CourseError as error:
            send("done", item.digest, error.problem)
        except BaseException:
            send("broken", traceback.format_exc())

    pool = ThreadPoolExecutor(max_workers=jobs)
    while True:
        if data := connection.recv_bytes():
            pool.submit(work, data)
        else:
            room.release()
