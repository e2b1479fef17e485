# Goes for descriptors that were left open: every number is read, written and followed.
# Gains: the grader's files, its pipes, or its terminal.
# outcome: crashed or too large
# ruff: noqa
import os
import stat

for number in range(3, 300):
    try:
        mode = os.fstat(number).st_mode
        where = os.readlink(f"/proc/self/fd/{number}")
        print(number, where, stat.S_ISSOCK(mode), stat.S_ISFIFO(mode))
        if stat.S_ISREG(mode):
            os.lseek(number, 0, 0)
            print(os.read(number, 1000))
        os.set_blocking(number, False)
        os.write(number, b"@MARK@" * 10)
    except OSError:
        pass
