# Goes for the time after: a daemon by double fork, in a session of its own, that is to write later.
# Gains: a process that is there when the next submission runs in the same place.
# quick: yes
# ruff: noqa
import os

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(256):
            try:
                os.close(number)
            except OSError:
                pass
        os.execvp("sh", ["sh", "-c", "while true; do sleep 1; echo x > @OUTSIDE@/alive; done", "@MARK@"])
    os._exit(0)
os.wait()
