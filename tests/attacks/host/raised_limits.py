# Goes for the limits: it raises them, turns off the alarm, and changes its priority and out-of-memory score.
# Gains: more memory, time and processes than others have.
# ruff: noqa
import os
import resource
import signal

for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"):
    try:
        resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("raised", name)
    except (ValueError, OSError) as error:
        print(name, type(error).__name__)
try:
    print(os.nice(-20))
except OSError as error:
    print(type(error).__name__)
try:
    open("/proc/self/oom_score_adj", "w", encoding="utf-8").write("-1000")
except OSError as error:
    print(type(error).__name__)
signal.setitimer(signal.ITIMER_REAL, 0)
