# Goes for the end of its time: all signals are ignored or blocked, the alarm included, and then it loops.
# Gains: a run that nothing but SIGKILL ends, and a grader that waits for it.
# outcome: timed out
# quick: yes
# ruff: noqa
import signal

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
