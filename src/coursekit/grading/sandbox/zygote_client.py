"""The trusted end of the zygote: one per grading process, started on demand, restarted when it dies."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import threading
import time
from typing import Any

from coursekit.errors import CourseError
from coursekit.grading.inside import seccomp
from coursekit.grading.inside.zygote import MESSAGE, READY
from coursekit.grading.sandbox.bubblewrap import REFUSED
from coursekit.grading.sandbox.cage import Cage, refusal, start
from coursekit.grading.sandbox.limits import Limits

BOOT = "from coursekit.grading.inside.zygote import main; main()"
ANSWER_SECONDS = 20.0
TRIES = 3
PLANTED = "COURSEKIT_PLANTED"


class Lost(Exception):
    """The zygote ended, and with it every runner: no submission's fault, so what was under way is run again."""


class Fork:
    """A warm runner's sandbox, seen from outside. Args: handle: a pidfd of its first process, whose end is the end of all in it."""

    def __init__(self, zygote: Zygote, handle: int) -> None:
        self._zygote = zygote
        self._handle = handle
        self.pid = _pid(handle)

    def said(self) -> str:
        """What was wrong before the runner was ready."""
        return self._zygote.said()

    def started(self) -> None:
        """There is nothing that only the start needed."""

    def lost(self) -> bool:
        """Whether the zygote is gone, and so this ended for a reason that is not the submission's."""
        return not self._zygote.alive(wait=0.05)

    def stop(self) -> None:
        """Kill everything inside, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        select.select([self._handle], [], [], 5.0)
        os.close(self._handle)


def _pid(handle: int) -> int | None:
    """Which process a pidfd means, as seen from here."""
    with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as file:
        found = re.search(r"^Pid:\s*(\d+)", file.read(), re.MULTILINE)
    return int(found[1]) if found else None


class Zygote:
    """The running zygote. A thread of its own starts it and stays: bubblewrap ends with the thread that started it."""

    def __init__(self, limits: Limits) -> None:
        """Start it and wait until it is ready. Raises: CourseError."""
        if not seccomp.supported():
            raise CourseError("There is no filter over system calls for this kind of machine.", f"Grade on x86_64 or aarch64. {REFUSED}")
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        result: queue.SimpleQueue[Cage | BaseException] = queue.SimpleQueue()
        with theirs:
            threading.Thread(target=self._keep, args=(theirs.fileno(), result), daemon=True, name="zygote").start()
            cage = result.get()
        if not isinstance(cage, Cage):
            self._control.close()
            raise cage
        self._cage = cage
        self._control.settimeout(limits.startup_seconds)
        try:
            if self._control.recv(MESSAGE) != READY:
                raise ConnectionResetError
        except OSError:
            time.sleep(0.05)                # its last words may still be on their way
            said = self.said()
            self.close()
            raise refusal(said) from None
        cage.started()

    def _keep(self, theirs: int, result: queue.SimpleQueue[Cage | BaseException]) -> None:
        try:
            result.put(start("zygote", ["-c", BOOT, str(theirs)], Limits(), [theirs]))
        except BaseException as error:
            result.put(error)
        self._closed.wait()

    def said(self) -> str:
        return self._cage.said()

    @property
    def pid(self) -> int | None:
        """The first process of the outer sandbox."""
        return self._cage.pid

    def alive(self, wait: float = 0.0) -> bool:
        """Whether it still holds its end of the control socket."""
        try:
            readable, _, _ = select.select([self._control], [], [], wait)
            return not readable or self._control.recv(1, socket.MSG_PEEK) != b""
        except (OSError, ValueError):
            return False

    def fork(self, connection: socket.socket, settings: dict[str, Any]) -> Fork:
        """Make a runner that talks over `connection`. Raises: Lost, CourseError."""
        with self._lock:
            try:
                self._control.settimeout(ANSWER_SECONDS)
                socket.send_fds(self._control, [json.dumps(settings).encode()], [connection.fileno()])
                answer, handles, _, _ = socket.recv_fds(self._control, MESSAGE, 1)
            except TimeoutError:
                self.close()
                raise Lost from None
            except OSError:
                raise Lost from None
        if not answer:
            raise Lost
        if not handles:
            raise refusal(answer.decode("utf-8", "replace"))
        return Fork(self, handles[0])

    def close(self) -> None:
        """End it, and every runner with it."""
        self._control.close()
        if self.owner == os.getpid() and not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._cage.process.wait(1.0)    # it ends by itself when its control socket closes
            self._cage.stop()


_guard = threading.Lock()
_current: Zygote | None = None


def shared(limits: Limits) -> Zygote:
    """This process's zygote; a new one if there is none, if it died, or if it belongs to the process that forked this one."""
    global _current
    with _guard:
        if _current is not None and (_current.owner != os.getpid() or not _current.alive()):
            _current.close()
            _current = None
        if _current is None:
            _current = Zygote(limits)
        return _current


def warm_up() -> None:
    """Begin to start the zygote beside this process's own imports; if that fails, whoever needs it is told why."""
    os.environ[PLANTED] = "1"  # before it starts: the trial of the sandbox looks whether this can be seen inside

    def begin() -> None:
        with contextlib.suppress(CourseError, OSError):
            shared(Limits())

    threading.Thread(target=begin, daemon=True, name="warm-up").start()


def fork(connection: socket.socket, settings: dict[str, Any], limits: Limits) -> Fork:
    """Make a warm runner. Raises: CourseError: if warm runners cannot be had. Lost: if the zygote does not stay alive."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Lost):
            return shared(limits).fork(connection, settings)
    return shared(limits).fork(connection, settings)


@atexit.register
def close() -> None:
    """End this process's zygote, if it has one."""
    global _current
    with _guard:
        if _current is not None:
            _current.close()
            _current = None
