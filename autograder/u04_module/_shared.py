"""What the keys of u04 share.

Most answers are classes. Trees of modules come as plain data; `real` makes PyTorch's own modules of the same form for the oracles.
"""

import torch
from torch import nn

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "names, counts and copied numbers are either the same or not")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; up to five layers in a row with sums of up to 8 terms")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def shuffled(g, items):
    return [items[place] for place in torch.randperm(len(items), generator=g).tolist()]


def whole(g, low, high):
    return int(torch.randint(low, high + 1, (), generator=g))


def real(boxes, parameters, buffers=()):
    """PyTorch's own modules in the form of a tree of boxes; shared entries stay shared."""
    tree = [nn.Module() for _ in boxes]
    for module, data in zip(tree, boxes, strict=True):
        for name, place in data.get("parameters", {}).items():
            module.register_parameter(name, None if place is None else parameters[place])
        for name, place in data.get("buffers", {}).items():
            module.register_buffer(
                name, None if place is None else buffers[place], persistent=name not in data.get("temporary", [])
            )
        for name, place in data.get("modules", {}).items():
            module.add_module(name, None if place is None else tree[place])
    return tree


def layers_of(g, **sizes):
    """Weights and biases by full name. sizes: name -> (in, out)."""
    made = {}
    for name, (i, o) in sizes.items():
        made[f"{name}.weight"], made[f"{name}.bias"] = normal(g, o, i), normal(g, o)
    return made


def other_forward(base):
    """Make a module class from a sound one by exchanging its forward."""
    return lambda forward: type(forward.__name__, (base,), {"forward": forward})
