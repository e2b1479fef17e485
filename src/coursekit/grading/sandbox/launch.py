"""Start a runner in the kind of isolation that was asked for."""

from __future__ import annotations

import json
import socket
from typing import Any, Protocol

from coursekit.errors import CourseError
from coursekit.grading.sandbox import zygote_client
from coursekit.grading.sandbox.cage import start
from coursekit.grading.sandbox.limits import Limits

KINDS = ("bubblewrap", "bubblewrap-cold", "none")
BOOT = "from coursekit.grading.inside.runner import main; main()"


class Sandbox(Protocol):
    """What a runner lives in, seen from outside. pid: its first process."""

    pid: int | None

    def said(self) -> str: ...
    def started(self) -> None: ...
    def lost(self) -> bool: ...
    def stop(self) -> None: ...


def known(kind: str) -> None:
    """Raise CourseError for a kind of isolation that does not exist."""
    if kind not in KINDS:
        raise CourseError(f"Unknown isolation {kind!r}.", f"Choose one of: {', '.join(KINDS)}.")


def launch(kind: str, connection: socket.socket, settings: dict[str, Any], limits: Limits) -> Sandbox:
    """Start a runner that talks over `connection`. Raises: CourseError: if that kind cannot be had here."""
    known(kind)
    if kind == "bubblewrap":
        return zygote_client.fork(connection, settings, limits)
    program = ["-c", BOOT, str(connection.fileno()), json.dumps(settings)]
    return start("cold" if kind == "bubblewrap-cold" else "none", program, limits, [connection.fileno()])
