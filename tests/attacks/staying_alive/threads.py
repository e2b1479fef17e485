# Goes for the time between cells: threads that go on computing, printing and changing answers while others are looked at.
# Gains: processor time of the neighbours; outputs and values that come from somewhere else.
# ruff: noqa
import threading
import time
import torch

torch.set_num_threads(4)


def busy():
    a = torch.randn(300, 300)
    while True:
        a = torch.tanh(a @ a)
        print("still here @MARK@")
        time.sleep(0.05)


for _ in range(8):
    threading.Thread(target=busy, daemon=False).start()
