# Goes for memory that is counted for each process only: a dozen children take a little less than the limit each.
# Gains: many times the limit.
# outcome: out of memory or timed out
# ruff: noqa
import os
import time

for _ in range(12):
    if os.fork() == 0:
        try:
            hoard = b"x" * (400 << 20)
        finally:
            time.sleep(3)
            os._exit(0)
time.sleep(3.5)
