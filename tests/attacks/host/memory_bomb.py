# Goes for memory: it takes all it can get, as tensors, bytes and shared mappings.
# Gains: a machine that swaps, and other submissions that are killed.
# outcome: graded or timed out
# quick: yes
# ruff: noqa
import mmap
import torch
hoard = []
for make in (lambda: torch.ones(64 << 20), lambda: bytearray(256 << 20), lambda: mmap.mmap(-1, 256 << 20)):
    try:
        while len(hoard) < 200:
            hoard.append(make())
    except (MemoryError, RuntimeError, OSError) as error:
        print(type(error).__name__, len(hoard))
del hoard
