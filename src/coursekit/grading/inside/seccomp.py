"""A filter over system calls for student code, written as BPF instructions: no library to install.

It closes what capabilities and namespaces leave open: more namespaces, tracing, kernel interfaces that no notebook needs,
and memory that belongs to no process and so escapes every limit.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

ALLOW = 0x7FFF0000                          # SECCOMP_RET_ALLOW
KILL = 0x80000000                           # SECCOMP_RET_KILL_PROCESS
ERRNO = 0x00050000                          # SECCOMP_RET_ERRNO
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH, FIRST, SECOND = 0, 4, 16, 24   # offsets in struct seccomp_data; the low halves of the first two arguments
X32 = 0x40000000
NEW_NAMESPACES = 0x7E020000                 # CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET
FAMILIES = (1, 2, 10, 16)                   # unix, inet, inet6, netlink: all inside an empty network
TIOCSTI, TIOCLINUX = 0x5412, 0x541C         # put characters into a terminal
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2

# name: (x86_64, aarch64); None: that machine has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "acct": (163, 89),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "syslog": (103, 116), "personality": (135, 92),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "vhangup": (153, 58),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162),
    # Memory that no process maps: neither an address space limit nor a look at resident pages sees it.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "move_pages": (279, 239), "migrate_pages": (256, 238),
}
UNKNOWN: dict[str, tuple[int, int]] = {"clone3": (435, 435)}    # its flags lie in memory: the C library then uses clone
CLONE, SOCKET, SOCKETPAIR, IOCTL = (56, 220), (41, 198), (53, 199), (16, 29)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def supported() -> bool:
    """Whether there is a table for this machine."""
    return platform.machine() in MACHINES


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def refuse(number: int) -> int:
    """The answer that makes a call fail with an errno."""
    return ERRNO | number


def assemble(machine: str | None = None) -> bytes:
    """Write the filter.

    Args: machine: as in `uname -m`; this one by default.
    Returns: BPF instructions, 8 bytes each. Raises: KeyError: if there is no table for the machine.
    """
    column, arch = MACHINES[machine or platform.machine()]
    steps = [_step(LOAD, ARCH), _step(EQUAL, arch, yes=1), _step(RETURN, KILL), _step(LOAD, NUMBER)]
    if column == 0:                         # the x32 numbers name the same calls a second time
        steps += [_step(AT_LEAST, X32, no=1), _step(RETURN, refuse(errno.ENOSYS))]
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            steps += [_step(EQUAL, number, no=1), _step(RETURN, refuse(errno.EPERM))]
    for numbers in UNKNOWN.values():
        steps += [_step(EQUAL, numbers[column], no=1), _step(RETURN, refuse(errno.ENOSYS))]
    steps += _when(CLONE[column], FIRST, [_step(ANY_BIT, NEW_NAMESPACES, no=1), _step(RETURN, refuse(errno.EPERM))])
    for call in (SOCKET, SOCKETPAIR):
        families = [_step(EQUAL, family, yes=len(FAMILIES) - place) for place, family in enumerate(FAMILIES)]
        steps += _when(call[column], FIRST, [*families, _step(RETURN, refuse(errno.EAFNOSUPPORT))])
    terminal = [_step(EQUAL, TIOCSTI, yes=1), _step(EQUAL, TIOCLINUX, no=1), _step(RETURN, refuse(errno.EPERM))]
    steps += _when(IOCTL[column], SECOND, terminal)
    return b"".join([*steps, _step(RETURN, ALLOW)])


def _when(number: int, argument: int, body: list[bytes]) -> list[bytes]:
    """Look at an argument of one call: what `body` does not refuse is allowed."""
    return [_step(EQUAL, number, no=len(body) + 2), _step(LOAD, argument), *body, _step(RETURN, ALLOW)]


def load(program: bytes) -> None:
    """Put this process, and all that it starts, under the filter for good. Raises: OSError."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    steps = ctypes.create_string_buffer(program, len(program))
    filled = Program(len(program) // 8, ctypes.addressof(steps))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(filled), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
