"""What the keys of u05 share.

Sizes within a case all differ, so that no transposed or misplaced axis passes in silence; the one square layer is there on purpose.
"""

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, a name or a copy of numbers is either the same or not")
SINGLE = Tolerance(
    1e-5, 1e-6, "float32, eps 1.2e-7; one product with sums of up to 7 terms, and a second one in a gradient"
)


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def whole(g, low, high):
    return int(torch.randint(low, high, (), generator=g))
