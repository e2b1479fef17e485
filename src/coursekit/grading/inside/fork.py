"""Inside the sandbox: one fork of the zygote becomes a sandbox of its own, before any student's code is in it.

The fork is process 1 in there and becomes the runner: its end is the end of all that it started. As process 1 it is not ended by
signals from inside, its own included. Each step undoes what the one before could still do; nothing here is undone later.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from coursekit.grading.inside import seccomp

NEW = 0x7E020000                            # CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET
CLONE_PIDFD = 0x1000
CLONE = {"x86_64": 56, "aarch64": 220}
MADV_COLLAPSE, HUGE = 25, 2 << 20
NOSUID, NODEV, NOEXEC, PRIVATE_ALL = 2, 4, 8, 0x44000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_SET_NO_NEW_PRIVS = 4, 24, 47, 38
CAPABILITY_VERSION = 0x20080522
SIOCSIFFLAGS, UP_AND_RUNNING = 0x8914, 0x41
INODES = 20_000                             # an empty file costs memory, too
OOM_FIRST = "900"                           # short of memory, the kernel takes a runner and not the zygote

libc = ctypes.CDLL(None, use_errno=True)
libc_locked = ctypes.PyDLL(None, use_errno=True)  # keeps Python's lock, which must not be free while a process is copied


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def dumpable(yes: bool) -> None:
    """Whether processes of the same user may look into this one."""
    _check(libc.prctl(PR_SET_DUMPABLE, int(yes), 0, 0, 0), "dumpable")


def huge_pages() -> None:
    """Put this process's memory into large pages where the kernel can: a fork copies the table of pages, and 250 MB have 60,000 small ones."""
    for line in Path("/proc/self/maps").read_text("ascii", "replace").splitlines():
        place, rights, _, _, file, *_ = line.split()
        if rights.startswith("rw") and file == "0":
            start, end = (int(number, 16) for number in place.split("-"))
            start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if end > start:                 # what cannot be joined stays as it is
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_COLLAPSE)


def apart() -> tuple[int, int]:
    """Fork straight into new namespaces: unshare() would cost a second fork, since it moves only children into the new process namespace.

    Returns: in the child, process 1 of them, (0, -1); in the parent its process id and a handle (pidfd). Raises: OSError.
    """
    handle = ctypes.c_int(-1)
    flags = ctypes.c_ulong(NEW | CLONE_PIDFD | signal.SIGCHLD)
    ctypes.pythonapi.PyOS_BeforeFork()
    child = libc_locked.syscall(CLONE[os.uname().machine], flags, None, ctypes.byref(handle), None, None)
    number = ctypes.get_errno()
    if child == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, -1
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if child < 0:
        raise OSError(number, f"unshare: {os.strerror(number)}")
    return child, handle.value


def settle(user: int, group: int) -> None:
    """In process 1: be the same user inside as outside."""
    dumpable(True)                          # else its own files in /proc would belong to root
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def furnish(scratch: str, scratch_bytes: int, shared_bytes: int) -> None:
    """In process 1: mounts that nobody else sees, and a network with nothing but itself."""
    _check(libc.mount(None, b"/", None, ctypes.c_ulong(PRIVATE_ALL), None), "private mounts")
    _mount("tmpfs", scratch, NOSUID | NODEV, f"size={scratch_bytes},nr_inodes={INODES},mode=700")
    _mount("tmpfs", "/dev/shm", NOSUID | NODEV, f"size={shared_bytes},nr_inodes={INODES},mode=700")
    _mount("devpts", "/dev/pts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    _mount("proc", "/proc", NOSUID | NODEV | NOEXEC, "")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", UP_AND_RUNNING, b""))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(OOM_FIRST)
    os.chdir(scratch)


def _mount(kind: str, place: str, flags: int, options: str) -> None:
    _check(libc.mount(kind.encode(), place.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()), f"mount {place}")


def confine(program: bytes) -> None:
    """Give up every capability for good, and close the system calls that no notebook needs."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            break                           # beyond the last one that this kernel knows
    libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    _check(libc.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), b"\0" * 24), "capset")
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    seccomp.load(program)


def close_all_but(*kept: int) -> None:
    """Close every descriptor but stdin, stdout, stderr and these."""
    start = 3
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for number in sorted(kept):
        os.closerange(start, number)
        start = number + 1
    os.closerange(start, max(start, min(most, 1 << 16)))


def first(
    user: tuple[int, int], connection: int, settings: dict[str, int], scratch: str, program: bytes, run: Callable[[int], None]
) -> None:
    """Process 1 of the new namespace becomes the runner. Never returns."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_all_but(connection)
        settle(*user)
        furnish(scratch, settings["file_bytes"], settings["shared_bytes"])
        confine(program)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        run(connection)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(70)
