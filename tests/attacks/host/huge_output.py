# Goes for what a cell shows: gigabytes of text, on both streams, and a very long value.
# Gains: a grader that runs out of memory, or a feedback page that no browser opens.
# ruff: noqa
import sys
line = "x" * 100_000 + "\n"
for _ in range(3000):
    sys.stdout.write(line)
    sys.stderr.write(line)
"y" * 50_000_000
