# Goes for the end of the process: exit handlers, finalizers and a __del__ that start anew or never return.
# Gains: code that runs when the grader believes that all is over.
# ruff: noqa
import atexit
import os
import threading
import weakref


def again():
    os.system("setsid sh -c 'sleep 600; true' @MARK@ &")
    while True:
        pass


class Last:
    def __del__(self): again()


keep = Last()
atexit.register(again)
weakref.finalize(keep, again)
threading._register_atexit(again)
