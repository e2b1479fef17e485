# Goes for the reader of frames: a header announces 4 GiB, and then bytes follow without end.
# Gains: memory of the grader, or its time.
# outcome: too large
# quick: yes
# ruff: noqa
from coursekit.grading.inside.runner import Runner


def flood(self, frame):
    self.connection.sendall(b"\xff" * 8)
    while True:
        self.connection.sendall(bytes(1 << 20))


Runner.reply = flood
