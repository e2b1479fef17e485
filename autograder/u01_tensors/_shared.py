"""What the keys of u01 share.

Sizes within a case all differ, so that no transposed or misplaced axis passes in silence.
"""

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
SINGLE = Tolerance(1e-5, 1e-7, "float32, eps 1.2e-7; at most two products in a row with sums of up to 8 "
                               "terms")
ON_CPU = "keys are made on the CPU, where the default device is that of the inputs; the CUDA run of the checks sees it"
BY_HAND = ("backward", "autograd", "requires_grad", "requires_grad_")  # gradients are derived and written out in this unit


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def mixed(h):
    """There are entries on both sides of the bend, and none close to it."""
    return (h > 0.05).any() and (h < -0.05).any() and h.abs().min() > 0.01


def grads(x, y, w1, w2, mask=lambda h, grad_r: h > 0, scale=2.0):
    """The backward pass with its mask and its factor open, for wrong answers."""
    h = x @ w1
    r = h.clamp(min=0)
    grad_pred = scale * (r @ w2 - y)
    grad_r = grad_pred @ w2.T
    return x.T @ (grad_r * mask(h, grad_r)), r.T @ grad_pred
