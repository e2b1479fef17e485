"""When an observation is taken for that of a known wrong answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coursekit.checks.judge import judge
from coursekit.checks.verdict import State

Make = Callable[..., Any]
A, B = torch.tensor([1.0, 2.0, -3.0]), torch.tensor([4.0, 5.0])


def test_a_known_failure_is_recognised_by_its_place_and_its_numbers(make_key: Make, see: Make, fail: Make) -> None:
    known = fail("RuntimeError", "2 3 4 5", step=1, operation="matmul")
    key = make_key([see(a=A)], {"transposed": ("Swap them.", [known])})
    for text in ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", "mm: cannot multiply 2x3 by 4x5"):
        seen = fail("RuntimeError", text, "x @ w", 3, "sse_grad", step=1, operation="matmul")
        assert judge(key, [seen]).matched == ("transposed",), text
    for other in (
        fail("RuntimeError", "2 3 4 5", step=2, operation="matmul"),
        fail("RuntimeError", "2 3 4 5", step=1, operation="add"),
        fail("RuntimeError", "2 3 5 5", step=1, operation="matmul"),
        fail("TypeError", "2 3 4 5", step=1, operation="matmul"),
    ):
        assert judge(key, [other]).matched == ()


def test_where_the_right_value_is_exact_a_wrong_one_is_recognised_up_to_rounding(make_key: Make, see: Make) -> None:
    exact = {"tolerance": {"a": (0.0, 0.0)}}
    key = make_key([see(a=A)], {"doubled": ("Halve it.", [see(a=2 * A)])}, **exact)
    assert judge(key, [see(a=2 * A * (1 + 1e-6))]).matched == ("doubled",)
    assert judge(key, [see(a=2 * A * 1.01)]).matched == ()
    assert judge(key, [see(a=A * (1 + 1e-6))]).state is State.NOT_YET, "right is still exact"
    near = make_key([see(a=A)], {"nearly": ("No.", [see(a=A * (1 + 1e-6))])}, **exact)
    assert judge(near, [see(a=A * (1 + 2e-6))]).matched == (), "as near to the right one"


def test_a_wrong_answer_of_rounding_is_recognised_within_its_own_tolerance(make_key: Make, see: Make) -> None:
    tight = {"tolerance": {"a": (1e-8, 0.0), "b": (1e-8, 0.0)}, "within": {"single": (1e-3, 0.0)}}
    key = make_key([see(a=A, b=B)], {"single": ("In float32.", [see(a=A * (1 + 1e-5), b=B)])}, **tight)
    assert judge(key, [see(a=A * (1 - 2e-5), b=B)]).matched == ("single",)
    assert judge(key, [see(a=A * 1.01, b=B)]).matched == ()
    assert judge(key, [see(a=A, b=B * (1 + 1e-5))]).matched == (), "what it gets wrong is right here"
