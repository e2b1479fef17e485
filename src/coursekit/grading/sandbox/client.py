"""The trusted end of a runner's socket: what comes back is measured, checked and rebuilt before use."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from typing import Any

from torch import Tensor

from coursekit.checks import wire
from coursekit.checks.snapshot import Observed, decode_observed
from coursekit.grading.sandbox.cage import refusal
from coursekit.grading.sandbox.cgroup import Group
from coursekit.grading.sandbox.launch import Sandbox, launch
from coursekit.grading.sandbox.limits import MIB, Limits
from coursekit.grading.sandbox.outputs import clean
from coursekit.grading.sandbox.watchdog import Watchdog
from coursekit.grading.sandbox.zygote_client import Lost

STATUSES = ("ok", "error", "timed out")
MAX_PARTS = 200_000  # of a frame's JSON; a snapshot has at most a tenth of that
AHEAD = 64 << 10  # bytes read at once: most frames are smaller, and their three parts come together
SLACK = 64 << 10  # for the exception and the note that follow a flood


class Gone(Exception):
    """The runner is of no more use and has been stopped.

    Args: kind: "timed out", "crashed", "too large", "out of memory" or "out of CPU time". why: for people.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind
        self.why = why


class Client:
    """Starts one runner and talks to it. Any surprise stops the runner and raises Gone."""

    def __init__(self, kind: str, limits: Limits) -> None:
        """Start a runner and wait until it is ready. Raises: CourseError: if it does not get that far."""
        self.limits = limits
        self._deadline = 0.0
        self._came = bytearray()  # read from the socket and not yet used
        self._socket, theirs = socket.socketpair()
        self._sandbox: Sandbox | None = None
        self._watchdog = Watchdog(None, limits)
        self._group: Group | None = None
        nonce = secrets.token_hex(16)
        settings = {
            "nonce": nonce,
            "memory": limits.memory_bytes,
            "cpu_seconds": limits.cpu_seconds,
            "open_files": limits.open_files,
            "file_bytes": limits.scratch_bytes,
            "shared_bytes": limits.shared_bytes,
            "processes": limits.processes if kind != "none" else 0,
            "output_bytes": limits.output_bytes,
        }
        try:
            # A quarter above: one process too large gets a MemoryError, which is kinder, and the watchdog has its turn.
            self._group = Group(limits.memory_bytes * 5 // 4 + 128 * MIB)
            with theirs:
                self._sandbox = launch(kind, theirs, settings, limits)
            if self._sandbox.pid is not None:
                self._group.take([self._sandbox.pid])  # which takes the kernel milliseconds, while the runner gets ready
            self._await("ready", nonce, limits.startup_seconds, 4096, 0)
            self._sandbox.started()
            self._watchdog = Watchdog(self._sandbox.pid, limits)
            self._group.take(self._watchdog.tree())
        except Gone as gone:
            raise refusal(self._said or gone.why) from None
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The first process of the sandbox."""
        return self._sandbox.pid if self._sandbox is not None else None

    @property
    def used(self) -> tuple[float, int]:
        """Seconds of processor time and bytes of memory, of all processes of the runner, as seen from outside."""
        return self._watchdog.used

    def cell(self, source: str, seconds: float) -> tuple[str, list[dict[str, Any]]]:
        """Run one cell. Returns: "ok", "error" or "timed out", and its outputs. Raises: Gone."""
        message, _ = self._ask(
            {"op": "cell", "source": source, "seconds": seconds},
            b"",
            seconds,
            8 * self.limits.output_bytes + MIB,
            0,
        )
        status = message.get("status")
        if status not in STATUSES:
            raise self._gone("crashed", "a reply without a status")
        return str(status), clean(message.get("outputs"), self.limits.output_bytes + SLACK)

    def probe(
        self, source: str, name: str, inputs: Any, tensors: bytes, seconds: float, room: int
    ) -> tuple[Observed, int]:
        """Run a probe on one case.

        Args: inputs, tensors: the case's inputs as JSON and the tensors beside it, see Probe. room: bytes that the answer may have.
        Returns: the observation, and its size in bytes.
        Raises: Gone.
        """
        request = {
            "op": "probe",
            "source": source,
            "name": name,
            "inputs": inputs,
            "seconds": seconds,
            "bytes": room,
        }
        self._received = 0
        message, beside = self._ask(
            request, tensors, seconds, min(room, wire.MAX_JSON) + 4096, min(room, wire.MAX_BLOB)
        )
        try:
            return decode_observed(message.get("observed"), beside), self._received
        except (ValueError, RecursionError) as error:
            raise self._gone("crashed", f"an observation of the wrong form: {error}") from None

    def close(self) -> None:
        """Stop the runner and everything that it started."""
        self._socket.close()
        if self._sandbox is not None:
            self._watchdog.measure()
            sandbox, self._sandbox = self._sandbox, None
            sandbox.stop()
        if self._group is not None:
            self._group.close()

    # ---- one question, one answer

    _said = ""
    _received = 0

    def _gone(self, kind: str, why: str) -> Gone:
        """Stop the runner. Returns: what to raise. Raises: Lost: if its end was not its own doing."""
        if self._sandbox is not None:
            self._said = self._sandbox.said()
            if kind != "too large" and self._sandbox.lost():
                self.close()
                raise Lost(why)
        if kind == "crashed" and self._group is not None and self._group.killed():
            kind = "out of memory"
        self.close()
        return Gone(kind, why)

    def _ask(
        self,
        request: dict[str, Any],
        tensors: bytes,
        seconds: float,
        max_json: int,
        max_blob: int,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        nonce = secrets.token_hex(16)
        frame = wire.frame({**request, "nonce": nonce}, tensors)
        self._deadline = time.monotonic() + seconds + self.limits.grace_seconds
        try:
            self._socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # what is here before the question was asked is no answer to it
                early = self._came or self._socket.recv(1)
                raise self._gone("crashed", "a frame that nobody asked for" if early else "the process ended")
            self._socket.settimeout(seconds + self.limits.grace_seconds)
            self._socket.sendall(frame)
        except TimeoutError:
            raise self._gone("timed out", "the request was not read in time") from None
        except OSError as error:
            raise self._gone("crashed", f"the process ended ({error.strerror})") from None
        return self._await(str(request["op"]), nonce, None, max_json, max_blob)

    def _await(
        self, op: str, nonce: str, seconds: float | None, max_json: int, max_blob: int
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if seconds is not None:
            self._deadline = time.monotonic() + seconds
        try:
            message, tensors = wire.read(self._receive, max_json, max_blob, MAX_PARTS)
        except TimeoutError:
            raise self._gone("timed out", "no answer in time") from None
        except wire.TooLarge as error:
            raise self._gone("too large", str(error)) from None
        except (wire.WireError, RecursionError) as error:
            raise self._gone("crashed", str(error)) from None
        except OSError as error:
            raise self._gone("crashed", error.strerror or "the process ended") from None
        if message.get("nonce") != nonce or message.get("op") != op:
            raise self._gone("crashed", "an answer to another question")
        return message, tensors

    def _receive(self, count: int) -> bytes:
        """Read exactly `count` bytes, in pieces: memory is used for what came, not for what was announced."""
        while len(self._came) < count:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            watching = self._watchdog.due() <= 0
            kind = self._watchdog.look()
            if kind is None and watching and self._group is not None and self._group.killed():
                kind = "out of memory"  # the kernel ended one of them; the others would wait for it
            if kind is not None:
                raise self._gone(kind, "its processes together use more than they may")
            self._socket.settimeout(min(left, max(self._watchdog.due(), 0.01)))
            try:
                part = self._socket.recv(min(max(count - len(self._came), AHEAD), MIB))
            except TimeoutError:
                continue
            if not part:
                raise ConnectionResetError
            self._came += part
        with memoryview(self._came) as came:
            data = bytes(came[:count])
        del self._came[:count]
        self._received += count
        return data
