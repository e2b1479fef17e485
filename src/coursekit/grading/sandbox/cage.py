"""Start a program inside bubblewrap, or, when told so, without any protection; and end it with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from coursekit.errors import CourseError
from coursekit.grading.inside import seccomp
from coursekit.grading.sandbox.bubblewrap import INSTALL, REFUSED, caged, environment, package
from coursekit.grading.sandbox.limits import Limits

BLOCKED = (
    "Allow unprivileged user namespaces. Ubuntu 23.10 and later: give /usr/bin/bwrap an AppArmor "
    "profile with `userns,`, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`. "
    "Debian: `sudo sysctl kernel.unprivileged_userns_clone=1`. "
    "Docker: start it with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`."
)


class Cage:
    """A running program with everything that has to be cleaned up after it.

    Args: errors: reading end of the program's stderr; a pipe, for a file would be a way to the grader's disk.
    about: where bubblewrap says which process is the first inside; closed at once if there is no sandbox.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        cleanup: contextlib.ExitStack,
        stage: contextlib.ExitStack,
        errors: int,
        about: int,
    ) -> None:
        self.process = process
        self._stage = stage
        self._cleanup = cleanup
        self._errors = errors
        self._about = about
        self.pid: int | None = None  # the first process inside; without a sandbox, the program itself
        self._first: int | None = None

    def said(self) -> str:
        """What the program wrote on stderr before it was ready."""
        os.set_blocking(self._errors, False)
        try:
            return os.read(self._errors, 100_000).decode("utf-8", "replace").strip()[-2000:]
        except OSError:
            return ""

    def started(self) -> None:
        """Remove what only the start needed, so that even a killed grader leaves nothing behind."""
        self._stage.close()
        self._look()

    def lost(self) -> bool:
        """Whether the sandbox ended for a reason that is not the program's: never, with one program in it."""
        return False

    def stop(self) -> None:
        """Kill the program and all that it started, wait until it is gone, and remove its scratch."""
        self._look()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._first is not None:  # it ends after all else inside, a moment after bwrap itself
            select.select([self._first], [], [], 5.0)
            os.close(self._first)
            self._first = None
        self._cleanup.close()

    def _look(self) -> None:
        """Learn which process is the first inside; a descriptor of it is readable once that is gone."""
        if self.pid is not None:
            return
        self.pid = self.process.pid
        os.set_blocking(self._about, False)
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.pid = json.loads(os.read(self._about, 4096))["child-pid"]
            self._first = os.pidfd_open(self.pid)


def start(
    kind: str, program: Sequence[str], limits: Limits, fds: Sequence[int] = (), stdout: int | None = None
) -> Cage:
    """Start this Python with the arguments `program`.

    Args: kind: "cold", "zygote" (whose forks make sandboxes of their own) or "none". fds: descriptors that the program inherits.
    Raises: CourseError: if that kind of isolation cannot be had here.
    """
    if os.name != "posix":
        raise CourseError("Grading runs on Linux, or on macOS without isolation.", "On Windows, use WSL.")
    with contextlib.ExitStack() as cleanup, contextlib.ExitStack() as ours:
        errors, to_errors = _pipe(cleanup, ours)
        about, to_about = _pipe(cleanup, ours)
        stage = cleanup.enter_context(contextlib.ExitStack())
        if kind in ("cold", "zygote"):
            filtering = _filter(ours) if kind == "cold" else None
            command, cwd = caged(program, limits, stage, to_about, filtering), "/"
            # bwrap's own environment, which /proc/1/environ shows inside
            surroundings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            fds = [*fds, to_about, *([] if filtering is None else [filtering])]
        else:
            cwd = tempfile.mkdtemp(prefix="coursekit-")
            cleanup.callback(shutil.rmtree, cwd, ignore_errors=True)
            command = [sys.executable, "-s", "-P", *program]
            surroundings = environment(cwd, str(package().parent))
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=surroundings,
            pass_fds=tuple(fds),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=to_errors,
            start_new_session=True,
        )
        return Cage(process, cleanup.pop_all(), stage, errors, about)


def _pipe(cleanup: contextlib.ExitStack, ours: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe: the reading end lives as long as the program, the writing end until it has started."""
    reading, writing = os.pipe()
    cleanup.callback(os.close, reading)
    ours.callback(os.close, writing)
    return reading, writing


def _filter(ours: contextlib.ExitStack) -> int:
    """A pipe that holds the filter over system calls, as bubblewrap reads it."""
    if not seccomp.supported():
        raise CourseError("There is no filter over system calls for this kind of machine.", f"Grade on x86_64 or aarch64. {REFUSED}")
    reading, writing = os.pipe()
    ours.callback(os.close, reading)
    with open(writing, "wb") as pipe:
        pipe.write(seccomp.assemble())
    return reading


def refusal(said: str) -> CourseError:
    """Say why a sandbox did not start, and what to do."""
    blocked = any(
        word in said
        for word in ("namespace", "uid map", "Operation not permitted", "Permission denied", "unshare")
    )
    return CourseError(
        f"The sandbox did not start: {said or 'it ended without a word'}",
        f"{BLOCKED if blocked else INSTALL} {REFUSED}",
    )
