# Goes for the next submission: files, shared memory, message queues and locks that lie there when it comes.
# Gains: a module or a file that another student's notebook reads.
# ruff: noqa
import multiprocessing.shared_memory as shared
import os

for place in (".", "/dev/shm", "/tmp", "/var/tmp", "/dev/mqueue"):
    try:
        with open(os.path.join(place, "left-@MARK@"), "w", encoding="utf-8") as file:
            file.write("left by another")
    except OSError:
        pass
try:
    block = shared.SharedMemory(name="left@MARK@", create=True, size=1024)
except OSError:
    pass
import ctypes
ctypes.CDLL(None).shmget(0x1234, 4096, 0o1666)
