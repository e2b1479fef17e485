"""Runs inside the sandbox: executes a notebook's cells, then answers probes, over an inherited socket.

Nothing here is trusted by the other side: once a student's cell has run, this process is the student's.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import linecache
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

import numpy
import torch
from torch import Tensor

from coursekit.checks import wire
from coursekit.checks.failure import failure_of
from coursekit.checks.probe import run_probe
from coursekit.checks.snapshot import Observed, decode, encode_observed
from coursekit.grading.inside.shell import Recorder, Shell

PROBE = "<probe>"  # the file name under which a probe's lines are known
HIGH_FD = 100  # out of the way of code that closes or reuses small numbers


class Alarm:
    """Interrupts the main thread once, as the stop button does; the parent kills what does not react."""

    def __init__(self) -> None:
        self.rang = False

    def _ring(self, *_: Any) -> None:
        __tracebackhide__ = True
        self.rang = True
        raise KeyboardInterrupt("stopped: the time for this cell is over")

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let the block run for `seconds`."""
        self.rang = False
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def reseed() -> None:
    """Give the random state that every run has: what an exercise draws must not depend on what ran before.

    torch.manual_seed would note, for each kind of device that is not in use, who asked: 0.8 ms, before each case.
    """
    random.seed(0)
    numpy.random.seed(0)
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(0)


def limit(settings: dict[str, Any]) -> None:
    """Set this process's hard limits; those that a system does not know are left out."""
    memory = settings["memory"]
    with contextlib.suppress(OSError):  # address space, not data: shared mappings count as well
        with open("/proc/self/statm", encoding="ascii") as pages:
            memory += int(pages.read().split()[0]) * resource.getpagesize()
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_NOFILE: settings["open_files"],
        resource.RLIMIT_FSIZE: settings["file_bytes"],
        resource.RLIMIT_CPU: settings["cpu_seconds"] + 1,  # the grader looks at all processes together, and says so
    }
    if settings["processes"]:
        wanted[resource.RLIMIT_NPROC] = settings["processes"]
    for name, value in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.getrlimit(name)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (value, value))


class Runner:
    """Answers one request after another until the socket closes."""

    def __init__(self, connection: socket.socket, shell: Shell) -> None:
        self.connection = connection
        self.shell = shell
        self.alarm = Alarm()
        self.pid = os.getpid()

    def receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.connection.recv(min(count - len(data), 1 << 20))
            if not part:
                os._exit(0)
            data += part
        return bytes(data)

    def reply(self, frame: bytes) -> None:
        if os.getpid() != self.pid:  # a cell forked and fell out of its end: only the original may answer
            os._exit(0)
        self.connection.sendall(frame)

    def serve(self) -> None:
        while True:
            request, tensors = wire.read(self.receive)
            answer = self.cell(request) if request["op"] == "cell" else self.probe(request, tensors)
            self.reply(answer)

    def cell(self, request: dict[str, Any]) -> bytes:
        status = "error"
        outputs: list[dict[str, Any]] = []
        with contextlib.suppress(KeyboardInterrupt), self.alarm.within(request["seconds"]):
            fine, outputs = self.shell.run(request["source"])
            status = "ok" if fine else "error"
        if self.alarm.rang:
            status, outputs = "timed out", outputs or self.shell.recorder.finish()
        return wire.pack({"op": "cell", "nonce": request["nonce"], "status": status, "outputs": outputs})

    def probe(self, request: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
        observed = Observed(lost="timed out")
        self.shell.recorder = Recorder(0)  # what is printed meanwhile was shown by the cells already
        reseed()
        with contextlib.suppress(KeyboardInterrupt), self.alarm.within(request["seconds"]):
            observed = self.observe(request, tensors)
        if self.alarm.rang:
            observed = Observed(lost="timed out")
        return self.pack(request, observed)

    def observe(self, request: dict[str, Any], tensors: dict[str, Tensor]) -> Observed:
        inputs: Any = decode(request["inputs"], tensors)
        space, name, source, absent = self.shell.user_ns, request["name"], request["source"], object()
        before = space.get(name, absent)
        linecache.cache[PROBE] = (len(source), None, source.splitlines(keepends=True), PROBE)
        try:
            exec(_compiled(source), space)
            function = space[name]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Observed(failure=failure_of(error, name))
        finally:  # the probe leaves nothing behind that a later one could stumble over
            space.pop(name, None)
            if before is not absent:
                space[name] = before
        return run_probe(function, inputs)

    def pack(self, request: dict[str, Any], observed: Observed) -> bytes:
        head = {"op": "probe", "nonce": request["nonce"]}
        try:
            beside: dict[str, Tensor] = {}
            frame = wire.pack({**head, "observed": encode_observed(observed, beside)}, beside)
            if len(frame) <= request["bytes"]:
                return frame
        except (ValueError, TypeError, RuntimeError, MemoryError, RecursionError):
            pass  # too large for a frame, or a number too long to write
        return wire.pack({**head, "observed": encode_observed(Observed(lost="too large"), {})})


@functools.lru_cache(maxsize=8)  # asked once for each case of an exercise
def _compiled(source: str) -> CodeType:
    return compile(source, PROBE, "exec")


def run(number: int, settings: dict[str, Any], shell: Shell) -> None:
    """Say that all is ready, and serve. Args: number: of the socket. settings: the limits."""
    connection = socket.socket(fileno=fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, HIGH_FD))
    os.close(number)
    torch.set_num_threads(1)
    shell.output_bytes = settings["output_bytes"]
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    reseed()
    limit(settings)
    sys.path.append(os.getcwd())  # a module that a cell wrote can be imported, and shadows nothing
    runner = Runner(connection, shell)
    runner.reply(wire.pack({"op": "ready", "nonce": settings["nonce"]}))
    runner.serve()


def main() -> None:
    """A cold runner: a fresh interpreter. Arguments: the socket's number, and the limits as JSON."""
    number, settings = int(sys.argv[1]), json.loads(sys.argv[2])
    sys.argv = [""]
    torch.manual_seed(0)  # for devices that come into use later, as the zygote does for warm runners
    run(number, settings, Shell(settings["output_bytes"]))
