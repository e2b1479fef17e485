# Goes for other processes: SIGKILL to everybody that it may name, the grader and its neighbours among them.
# Gains: the end of the run, or of somebody else's submission.
# outcome: graded or crashed
# ruff: noqa
import os
import signal
import time

for pid in (int("@GRADER@"), int("@VICTIM@"), os.getppid(), 1, -int("@GRADER@")):
    try:
        os.kill(pid, signal.SIGKILL)
        print("killed", pid)
    except OSError as error:
        print(pid, type(error).__name__)
time.sleep(0.2)
os.kill(-1, signal.SIGKILL)
os.killpg(0, signal.SIGKILL)
