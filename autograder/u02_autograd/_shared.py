"""What the keys of u02 share.

Sizes within a case all differ, upstream gradients are random, and a wrong answer that would make PyTorch warn keeps it quiet.
"""

import warnings

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
DOUBLE = Tolerance(1e-10, 1e-12, "float64, eps 2.2e-16, carried through a few dozen operations")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; at most three products in a row with sums of up to 7 terms")


def normal(g, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=g, dtype=dtype)


def quietly(f):
    """Reading .grad of a non-leaf warns; what follows is the lesson, not the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f()


def build(leaves, steps):
    """The notebook's helper, for oracles."""
    numbers = list(leaves)
    for operation, i, j in steps:
        a, b = numbers[i], numbers[j]
        numbers.append({"+": lambda: a + b, "*": lambda: a * b, "tanh": lambda: a.tanh()}[operation]())
    return numbers


def ordered(root, check=True, pushed=lambda parents: parents):
    """The right order."""
    order, opened, left, stack = [], set(), set(), [root]
    while stack:
        node = stack[-1]
        if node in opened:
            stack.pop()
            if node not in left:
                left.add(node)
                order.append(node)
        else:
            opened.add(node)
            for parent in pushed(node.parents):
                if parent not in opened:
                    stack.append(parent)
                elif parent not in left and check:
                    raise ValueError("cycle")
    return order


def explored(root, queue=False, once=True):
    """Nodes in the order in which they are met; with queue, breadth first."""
    met, waiting = [], [root]
    seen = set()
    while waiting:
        node = waiting.pop(0 if queue else -1)
        if once and node in seen:
            continue
        seen.add(node)
        met.append(node)
        waiting += node.parents
    return met
