from __future__ import annotations

import pytest

from coursekit.grading.judge.policy import mentions

FORBIDDEN = ("backward", "autograd", "requires_grad", "requires_grad_", "grad")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["def f(x):\n    loss = g(x)\n    loss.backward()\n    return x.grad"], ["backward", "grad"]),
        (["def f(x):\n    return torch.autograd.grad(x.sum(), x)"], ["autograd", "grad"]),
        (["def help(x):\n    x.sum().backward()", "def f(x):\n    return help(x)"], ["backward"]),
        (["from torch.autograd import grad as derive", "def f(x):\n    return derive(x.sum(), x)"], ["autograd", "grad"]),
        (["def f(x):\n    return getattr(x, 'backward')()"], ["backward"]),
        (["f = lambda x: torch.ones(3, requires_grad=True)"], ["requires_grad"]),
        (["class f:\n    def run(self, x):\n        x.requires_grad_()"], ["requires_grad_"]),
        (["%time pass\ndef f(x):\n    x.backward()"], ["backward"]),
    ],
)
def test_what_an_answer_uses_is_found(cells: list[str], found: list[str]) -> None:
    assert mentions(cells, "f", FORBIDDEN) == found


@pytest.mark.parametrize(
    "cells",
    [
        ["def f(x):\n    grad = 2 * x\n    return grad"],  # a variable of the student's own
        ["def f(x):\n    return 2 * x", "def other(x):\n    x.backward()"],  # a cell that the answer does not use
        ["def two_layer_backward(x):\n    return x", "def f(x):\n    return two_layer_backward(x)"],
        ["def f(x:\n    x.backward()"],  # does not parse: it earns nothing anyway
        ["def f(x):\n    '''Do it without loss.backward().'''\n    return x"],
        [],
    ],
)
def test_what_an_answer_does_not_use_is_no_alarm(cells: list[str]) -> None:
    assert mentions(cells, "f", FORBIDDEN) == []
