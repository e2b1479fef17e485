# Goes for the tensor reader: a header of 100,000 entries, overlapping offsets, sizes that do not fit.
# Gains: seconds of the grader's time for each frame, or memory read out of bounds.
# outcome: crashed
# score: 0
# ruff: noqa
import json
import struct
from coursekit.checks import wire
from coursekit.grading.inside.runner import Runner

real, turns = Runner.reply, []
bad = [
    {str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)},
    {"0": {"dtype": "F32", "shape": [2 ** 40, 2 ** 40], "data_offsets": [0, 4]}},
    {"0": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}, "1": {"dtype": "F64", "shape": [1], "data_offsets": [2, 10]}},
    {"0": {"dtype": "I64", "shape": [1], "data_offsets": [0, 2 ** 60]}},
]


def header(self, frame):
    message, _ = wire.unpack(frame)
    if message["op"] != "probe":
        return real(self, frame)
    turns.append(1)
    head = json.dumps(bad[len(turns) % 4]).encode()
    text = json.dumps({**message, "observed": {"values": {"grad_w1": {"$tensor": "0"}}}}).encode()
    blob = struct.pack("<Q", len(head)) + head + bytes(4)
    self.connection.sendall(struct.pack("<II", len(text), len(blob)) + text + blob)


Runner.reply = header
