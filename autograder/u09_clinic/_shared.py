"""What the keys of u09 share: six bug hunts, each with the half repairs, the patches that only silence, and repairs that fit one input.

A released program has up to three faults, so most wrong answers here are that program with one or two of them mended.
"""

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, a count or a name is either the same or not")
TRAINED = Tolerance(1e-4, 1e-6, "float32, a handful of updates that each depend on the one before")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; at most three products in a row with sums of up to 16 terms")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)
