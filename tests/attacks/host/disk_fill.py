# Goes for the disk: it writes until nothing more fits, in scratch, in shared memory, and wherever it may.
# Gains: a full disk, on which no result can be written.
# ruff: noqa
import os

for place in (os.environ["HOME"], "/dev/shm", "/var/tmp", "@OUTSIDE@", "/run", "/"):
    written = 0
    try:
        with open(os.path.join(place, "fill-@MARK@"), "wb", buffering=0) as file:
            while written < 4 << 30:
                count = file.write(bytes(1 << 20))
                if not count:
                    break
                written += count
    except OSError as error:
        print(place, error.strerror, written >> 20, "MB")
