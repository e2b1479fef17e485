"""Each general mistake has its own words, and none of them tells the expected values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.checks.compare import Rules, same
from coursekit.checks.diagnose import Finding, diagnose
from coursekit.checks.snapshot import Seen, picture

W = torch.tensor([[1.0, -2.0, 3.5], [0.5, 4.0, -6.0], [2.5, 1.5, 0.25], [7.0, -1.0, 5.0]])
SQUARE = W[:3]
BOTH = "The number of elements agrees, their arrangement does not."


def changed(value: torch.Tensor, *places: tuple[int, ...], by: float = 0.3) -> torch.Tensor:
    value = value.clone()
    for place in places:
        value[place] += by
    return value


def find(got: Any, want: Any, rules: Rules | None = None) -> Finding:
    snaps = picture({"got": got, "want": want}, {})
    return diagnose("grad", snaps["got"], snaps["want"], rules or Rules())


class Thing:
    pass


FORM = [
    (None, W, "type", "`grad` is None; expected a tensor of shape (4, 3). Does the function end in `return`?"),
    ([1.0], W, "type", "`grad` is a list; expected a tensor of shape (4, 3)."),
    (1.0, W, "type", "`grad` is a float; expected a tensor of shape (4, 3)."),
    (W, 1.0, "shape", "`grad` has shape (4, 3); expected a single number, shape ()."),
    (np.ones(3), W, "type", "`grad` is an object of type numpy.ndarray; expected a tensor of shape (4, 3)."),
    (W.to_sparse(), W, "type", "`grad` is a torch.sparse_coo tensor on cpu; expected a tensor of shape (4, 3)."),
    (True, 3, "type", "`grad` is a bool; expected an int."),
    (torch.tensor(1), True, "type", "`grad` is a tensor; expected a bool."),
    ("a", ["a"], "type", "`grad` is a string; expected a list."),
    ("a", "b", "text", "`grad` is not the expected text."),
    ({}, 1.0, "type", "`grad` is a dict; expected a float."),
    ([1.0, 2.0], [1.0, 2.0, 3.0], "length", "`grad` has 2 items; expected 3."),
    ({"w": 1}, {"v": 1, "b": 1}, "names", "`grad` holds the wrong names (missing: `v`, `b`; unexpected: `w`)."),
    (["a", "c"], ["a", "b"], "text", "`grad[1]` is not the expected text."),
    ({"w": W[:2]}, {"w": W}, "shape", '`grad["w"]` has shape (2, 3); expected (4, 3).'),
    ([[1.0, 2.0], [3.0]], [[1.0], [2.0, 3.0]], "length", "`grad[0]` has 2 items; expected 1."),
    (W[:2], W, "shape", "`grad` has shape (2, 3); expected (4, 3)."),
    (W.flatten(), W, "shape", f"`grad` has shape (12,); expected (4, 3). {BOTH}"),
    (torch.ones(4, 1), torch.ones(4), "shape", f"`grad` has shape (4, 1); expected (4,). {BOTH}"),
    (
        W.T,
        W,
        "transposed",
        "`grad` has shape (3, 4); expected (4, 3). The values are right, rows and columns are swapped.",
    ),
    (2 * W.T, W, "shape", "`grad` has shape (3, 4); expected (4, 3). Rows and columns may be swapped."),
    (W.long(), W, "dtype", "`grad` has dtype torch.int64; expected torch.float32."),
    (
        W.clone().requires_grad_(),
        W,
        "requires-grad",
        "`grad` still tracks gradients (requires_grad=True); expected plain numbers.",
    ),
    (W, W.clone().requires_grad_(), "requires-grad", "`grad` does not track gradients; expected requires_grad=True."),
]

NUMBERS = [
    (0 * W, W, "zero", "`grad` is zero everywhere; expected other values."),
    (0.0, 2.5, "zero", "`grad` is zero; expected another value."),
    (W / 0, W, "not-finite", "`grad` is infinite in 12 of 12 places; expected finite numbers."),
    (changed(W, (1, 2), by=float("nan")), W, "not-finite", "`grad` is NaN in 1 of 12 places; expected finite numbers."),
    (float("nan"), 2.5, "not-finite", "`grad` is NaN; expected a finite number."),
    (-W, W, "sign", "`grad` has the opposite sign everywhere."),
    (W / 2, W, "factor", "`grad` is 0.5 times what is expected, everywhere. A constant factor is missing or extra."),
    (640 * W, W, "factor", "`grad` is 640 times what is expected, everywhere. A constant factor is missing or extra."),
    (W / 7, W, "factor", "`grad` is 0.143 times what is expected, everywhere. A constant factor is missing or extra."),
    (
        [2.0, 4.0],
        [1.0, 2.0],
        "factor",
        "`grad` is 2 times what is expected, everywhere. A constant factor is missing or extra.",
    ),
    (W + 1, W, "offset", "`grad` is off by the same amount everywhere. A constant is missing or extra."),
    (SQUARE.T, SQUARE, "transposed", "`grad` is transposed: rows and columns are swapped."),
    (changed(W, (2, 0)), W, "some-rows", "`grad` is right except in row 2. What is special there?"),
    (
        changed(W, (0, 0), (3, 1)),
        W,
        "some-rows",
        "`grad` is right except in 2 of 4 rows, the first is row 0. What is special there?",
    ),
    ([1.0, 2.0, 3.5], [1.0, 2.0, 3.0], "some-rows", "`grad` is right except in element 2. What is special there?"),
    (
        changed(W, (0, 0), (1, 1), (3, 1), by=0.7),
        W,
        "values",
        "`grad` has the right form but wrong values. The largest difference, at [0, 0], is 10 % of the "
        "largest expected size.",
    ),
    (
        100 * W.flip(0),
        W,
        "values",
        "`grad` has the right form but wrong values. The largest difference, at [0, 0], "
        "is more than 10 times the largest expected size.",
    ),
    (3.0, 2.0, "values", "`grad` has the wrong value. The difference is 50 % of the expected size."),
    (3.0, 0.0, "values", "`grad` has the wrong value."),
    (
        torch.tensor([1.0, -2.0]),
        torch.zeros(2),
        "values",
        "`grad` has the right form but wrong values. The largest difference is at [1].",
    ),
    (torch.tensor([4, 0, 1]), torch.tensor([3, 1, 2]), "values", "`grad` is wrong in 3 of 3 places, the first at [0]."),
    (False, True, "values", "`grad` is not the expected truth value."),
    (W <= 0, W > 0, "sign", "`grad` is inverted: True and False are swapped everywhere."),
    (W > 99, W > 0, "zero", "`grad` is False everywhere; expected a mixture."),
    ((W > 0) ^ (W > 4), W > 0, "values", "`grad` is wrong in 2 of 12 places, the first at [3, 0]."),
    (W.half() + 1e-3, W, "dtype", "`grad` has dtype torch.float16; expected torch.float32."),
]


@pytest.mark.parametrize(("got", "want", "kind", "text"), FORM + NUMBERS)
def test_words(got: Any, want: Any, kind: str, text: str) -> None:
    assert find(got, want) == Finding(kind, text)


def test_a_float32_result_where_float64_is_asked_for() -> None:
    rules = Rules((1e-10, 0.0))
    want = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    assert find(want.float(), want, rules).text == "`grad` has dtype torch.float32; expected torch.float64."
    assert find(2 * want.float(), want, rules).kind == "factor", "a wrong number is worth more than its width"


def test_exact_dtype_where_it_matters() -> None:
    finding = find(W.double(), W, Rules(strict_dtype=True))
    assert finding.text == "`grad` has dtype torch.float64; expected torch.float32."


def test_device() -> None:
    finding = diagnose("grad", Seen(W, device="cpu"), Seen(W), Rules(device="cuda"))
    assert finding == Finding(
        "device", "`grad` is on cpu; expected cuda. Create new tensors on the device of the inputs."
    )


def test_one_nonzero_value_is_no_factor() -> None:
    assert find(torch.tensor([0.0, 7.0, 0.0, 0.0]), torch.tensor([0.0, 5.0, 0.0, 0.0])).kind == "some-rows"


def test_expected_infinities_can_be_right() -> None:
    want = torch.tensor([1.0, torch.inf, torch.inf, 2.0, 3.0])
    got = torch.tensor([1.0, torch.inf, 9.0, 2.0, 3.0])
    assert find(got, want).text == "`grad` is right except in element 2. What is special there?"


sizes = st.integers(-(2**20), 2**20).map(lambda n: n / 64)
grids = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(*[st.lists(sizes, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])] * 2).map(
        lambda pair: tuple(torch.tensor(side, dtype=torch.float64).reshape(shape) for side in pair)
    )
)


@settings(max_examples=150, deadline=None)
@given(grids, st.integers(-8, 8))
def test_a_text_says_nothing_about_size(pair: tuple[torch.Tensor, torch.Tensor], power: int) -> None:
    """Scaling what was got and what was expected alike changes no word: the text holds no expected value."""
    got, want = pair
    rules = Rules((1e-4, 0.0))
    if same(Seen(got), Seen(want), rules):
        return
    once = diagnose("grad", Seen(got), Seen(want), rules)
    assert diagnose("grad", Seen(got * 2.0**power), Seen(want * 2.0**power), rules) == once


words = st.text("abcdefgh", min_size=6, max_size=12)
leaves = st.one_of(st.none(), st.booleans(), st.floats(1e3, 1e6), st.integers(10**6, 10**9), words)


@settings(max_examples=150, deadline=None)
@given(
    *[st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner))]
    * 2
)
def test_a_text_quotes_no_expected_leaf(got: Any, want: Any) -> None:
    if same(got, want, Rules()):
        return
    text = diagnose("grad", got, want, Rules()).text

    def check(value: Any) -> None:
        if isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                check(item)
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            assert str(value) not in text
            assert isinstance(value, str) or f"{value:.4g}" not in text

    check(want)
