"""What the keys of u03 share.

Answers are classes. Most wrong ones differ from a sound class in one method, which `other_backward` exchanges.
"""

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def away_from_zero(g, *shape):
    """Random numbers of both signs, none smaller than 0.2: a sign that is lost always shows."""
    t = normal(g, *shape)
    return t + 0.2 * torch.where(t < 0, -1.0, 1.0)


def other_backward(base):
    """Make a Function from a sound one by exchanging its backward."""
    return lambda backward: type(base)(backward.__name__, (base,), {"backward": staticmethod(backward)})


def gradients(out, inputs, upstream):
    """First derivatives of <upstream, out>, by torch's own operators in float64."""
    return torch.autograd.grad((upstream * out).sum(), inputs, create_graph=True)
