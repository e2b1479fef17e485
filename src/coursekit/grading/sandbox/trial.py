"""Whether the walls hold, kind by kind: found out by trying, each time."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.grading.sandbox import cgroup, zygote_client
from coursekit.grading.sandbox.bubblewrap import COURSE
from coursekit.grading.sandbox.client import Client, Gone
from coursekit.grading.sandbox.launch import known
from coursekit.grading.sandbox.limits import Limits

HELD = (
    "unprivileged user, namespaces and /proc of its own, no capabilities, system call filter, no network, "
    "read-only system, private scratch, limits on time, memory, processes and output"
)


def describe(kind: str) -> str:
    """One line for reports: what is on and what is not."""
    group = cgroup.place()
    memory = "memory of all processes: watched"
    if group is not None:
        memory += f", and bound by a control group (version {group.version})"
    return {
        "bubblewrap": f"bubblewrap, warm: {HELD}; {memory}",
        "bubblewrap-cold": f"bubblewrap, cold: {HELD}; {memory}",
        "none": "none: nothing is protected; student code runs with your rights",
    }[kind]


def usable(kind: str) -> tuple[str, str]:
    """Find what can be had in place of `kind`, by trying: warm runners, else cold ones; never less than a sandbox.

    Returns: the kind to use, and a line that says which protections are on.
    Raises: CourseError: if there is no sandbox that holds.
    """
    known(kind)
    if kind == "none":
        return kind, describe(kind)
    seen, remedy = tried(kind)
    if remedy and kind == "bubblewrap":
        why = seen
        kind = "bubblewrap-cold"
        if not (cold := tried(kind))[1]:
            return kind, f"{cold[0]} (warm runners cannot be had: {why})"
    if remedy:
        raise CourseError(seen, remedy)
    return kind, seen


def try_bubblewrap() -> tuple[bool, str, str]:
    """Try warm and cold sandboxes.

    Returns: whether one holds with all protections on; what was seen; one line of remedy, empty if none is needed.
    """
    try:
        kind, seen = usable("bubblewrap")
    except CourseError as error:
        return False, error.problem, error.remedy
    if kind == "bubblewrap":
        cold, remedy = tried("bubblewrap-cold")
        seen += f" (cold runners, for audits: {'hold as well' if not remedy else cold})"
    return True, seen, ""


# ---- is it really on?

_INSPECT = """
import ctypes, json, os, socket, sys
secret, port, outside = json.loads(QUESTION)
found = []
def possible(action):
    try:
        action()
        return True
    except OSError:
        return False
def write(folder):
    with open(os.path.join(folder, ".coursekit-probe"), "w") as file:
        file.write("x")
if os.getuid() == 0:
    found.append("the program is root")
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
if any(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")) or status["NoNewPrivs"].strip() != "1":
    found.append("the program has capabilities")
if status["Seccomp"].strip() != "2":
    found.append("no filter over system calls is on")
if possible(lambda: socket.create_connection(("127.0.0.1", port), 1)):
    found.append("the network can be reached")
if possible(lambda: open(secret).read()):
    found.append("a file of the grader can be read")
found += [f"{place} can be written" for place in outside if possible(lambda: write(place))]
def tells(pid):
    try:
        return b"COURSEKIT_PLANTED" in open(f"/proc/{pid}/environ", "rb").read()
    except OSError:
        return False
if any(tells(pid) for pid in os.listdir("/proc") if pid.isdigit()):
    found.append("the grader's environment can be read")
if not possible(lambda: write(os.environ["HOME"])):
    found.append("there is no scratch")
if {pid for pid in os.listdir("/proc") if pid.isdigit()} - {"1", str(os.getpid())}:
    found.append("processes of others can be seen")
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    found.append("it can make namespaces of its own")
if any(possible(lambda: os.fstat(number)) for number in range(3, 1024) if number != 100):
    found.append("it holds descriptors that it should not have")
print(json.dumps(found))
"""


@functools.cache
def tried(kind: str) -> tuple[str, str]:
    """Look from inside whether everything holds. Returns: what was seen, and a remedy, empty if all is well."""
    with contextlib.ExitStack() as stack:
        secret = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "secret"
        secret.write_text("planted", "utf-8")
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        outside = ["/", "/usr", "/dev", "/etc", "/var/tmp", COURSE, sys.prefix, sys.base_prefix, str(Path.cwd())]
        question = json.dumps([str(secret), listener.getsockname()[1], outside])
        os.environ[zygote_client.PLANTED] = "1"
        try:
            client = Client(kind, Limits())
        except CourseError as error:
            return error.problem, error.remedy
        finally:
            os.environ.pop(zygote_client.PLANTED, None)
        try:
            _, outputs = client.cell(f"QUESTION = {question!r}\n{_INSPECT}", 20.0)
            findings = json.loads(outputs[-1]["text"])
            if client.pid is not None and Path(f"/proc/{client.pid}").stat().st_uid == 0:
                findings.append("the program is root outside")
        except (Gone, OSError, ValueError, LookupError) as error:
            findings = [f"the program that looks did not get to its end ({type(error).__name__})"]
        finally:
            client.close()
    if findings:
        return "The sandbox does not hold: " + "; ".join(findings), "Please report this with your system's name and version."
    return describe(kind), ""
