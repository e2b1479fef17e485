"""The filter over system calls: what it refuses, decided by a small BPF machine here and by the kernel in a child."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable

import pytest

from coursekit.grading.inside import seccomp

linux = pytest.mark.skipif(sys.platform != "linux" or not seccomp.supported(), reason="needs Linux on x86_64 or aarch64")
ARCHES = {name: (column, arch) for name, (column, arch) in seccomp.MACHINES.items()}


def decide(program: bytes, number: int, arch: int, *arguments: int) -> int:
    """Run the filter on one call, as the kernel does."""
    low = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *low)
    steps = list(struct.iter_unpack("=HBBI", program))
    at, value = 0, 0
    while True:
        code, yes, no, given = steps[at]
        at += 1
        if code == seccomp.RETURN:
            return int(given)
        if code == seccomp.LOAD:
            value = struct.unpack_from("<I", data, given)[0]
        else:
            true = {seccomp.EQUAL: value == given, seccomp.AT_LEAST: value >= given, seccomp.ANY_BIT: bool(value & given)}[code]
            at += yes if true else no


@pytest.mark.parametrize("machine", ARCHES)
def test_every_listed_call_is_refused_and_ordinary_ones_pass(machine: str) -> None:
    column, arch = ARCHES[machine]
    program = seccomp.assemble(machine)
    denied = {numbers[column]: name for name, numbers in seccomp.DENIED.items() if numbers[column] is not None}
    assert len(denied) > 50
    for number in denied:
        assert decide(program, number, arch) == seccomp.refuse(errno.EPERM), denied[number]
    assert decide(program, 435, arch) == seccomp.refuse(errno.ENOSYS)
    special = {435, *(table[column] for table in (seccomp.CLONE, seccomp.SOCKET, seccomp.SOCKETPAIR, seccomp.IOCTL))}
    for number in set(range(470)) - set(denied) - special:
        assert decide(program, number, arch) == seccomp.ALLOW


@pytest.mark.parametrize("machine", ARCHES)
def test_arguments_decide_where_a_call_has_honest_uses(machine: str) -> None:
    column, arch = ARCHES[machine]
    program = seccomp.assemble(machine)

    def asked(call: tuple[int, int], *arguments: int) -> int:
        return decide(program, call[column], arch, *arguments)

    assert asked(seccomp.CLONE, 0x01200011) == seccomp.ALLOW           # fork
    assert asked(seccomp.CLONE, 0x003D0F00) == seccomp.ALLOW           # a thread
    for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000):
        assert asked(seccomp.CLONE, flag | 17) == seccomp.refuse(errno.EPERM)
    for family in range(50):
        wanted = seccomp.ALLOW if family in seccomp.FAMILIES else seccomp.refuse(errno.EAFNOSUPPORT)
        assert asked(seccomp.SOCKET, family) == asked(seccomp.SOCKETPAIR, family) == wanted
    assert asked(seccomp.IOCTL, 0, 0x5401) == seccomp.ALLOW
    assert asked(seccomp.IOCTL, 0, 0x5412) == asked(seccomp.IOCTL, 0, 0x541C) == seccomp.refuse(errno.EPERM)
    assert asked(seccomp.IOCTL, 0, 0x5412 | 1 << 32) == seccomp.refuse(errno.EPERM)     # the kernel looks at the low half


def test_another_machines_calls_end_the_process_and_x32_is_refused() -> None:
    program = seccomp.assemble("x86_64")
    assert decide(program, 0, ARCHES["aarch64"][1]) == seccomp.KILL
    assert decide(program, 0, 0x40000003) == seccomp.KILL              # i386: int 0x80 from a 64-bit program
    assert decide(program, seccomp.X32 | 101, ARCHES["x86_64"][1]) == seccomp.refuse(errno.ENOSYS)
    assert decide(seccomp.assemble("aarch64"), 0, ARCHES["x86_64"][1]) == seccomp.KILL


def test_no_jump_leaves_the_program_and_the_kernel_would_take_its_length() -> None:
    for machine in ARCHES:
        steps = list(struct.iter_unpack("=HBBI", seccomp.assemble(machine)))
        assert len(steps) < 4096
        assert steps[-1][0] == seccomp.RETURN
        for place, (code, yes, no, _) in enumerate(steps):
            if code not in (seccomp.RETURN, seccomp.LOAD):
                assert place + 1 + max(yes, no) < len(steps)


def test_an_unknown_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not seccomp.supported()
    with pytest.raises(KeyError):
        seccomp.assemble()


def in_a_child(action: Callable[[], int]) -> int:
    """The exit status of a function run in a fork."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = action()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@linux
def test_the_kernel_agrees() -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def confined() -> int:
        seccomp.load(seccomp.assemble())
        for call in (lambda: libc.unshare(0x10000000), lambda: libc.ptrace(0, 0, 0, 0), lambda: libc.memfd_create(b"x", 0)):
            if call() != -1 or ctypes.get_errno() != errno.EPERM:
                return 1
        if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != errno.ENOSYS:
            return 2
        inner = os.fork()                               # forks and threads go on working
        if inner == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])

    assert in_a_child(confined) == 7
