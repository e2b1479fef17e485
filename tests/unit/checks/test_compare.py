"""What counts as the same: numbers to a tolerance scaled to what is expected, everything else exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from coursekit.checks.compare import Rules, close, portable, refused, same, same_failure, words
from coursekit.checks.snapshot import Failure, Observed, Opaque, Seen, picture

RULES = Rules()
X = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -6.0]])


def snap(value: Any) -> Any:
    return picture({"v": value}, {})["v"]


def alike(got: Any, want: Any, rules: Rules = RULES) -> bool:
    return same(snap(got), snap(want), rules)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (X, X.clone()),
        (X.double(), X),  # the width of a float is the student's choice
        (X.T.contiguous().T, X),  # so is the memory's layout
        (X.to(torch.float16), X),  # these values are exact in half precision
        (torch.tensor(2.5), 2.5),
        (2.5, torch.tensor(2.5)),
        (3, torch.tensor(3)),
        (3.0, 3),
        (torch.int32, torch.int32),
        ([1.0, (2.0, X)], [1.0, [2.0, X]]),
        ({"a": X, "b": None}, {"b": None, "a": X}),
        (torch.tensor([1, 2], dtype=torch.int32), torch.tensor([1, 2])),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (torch.tensor([1 + 2j]), torch.tensor([1 + 2j])),
        ("text", "text"),
    ],
)
def test_same(got: Any, want: Any) -> None:
    assert alike(got, want)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (X.T, X),
        (X.flatten(), X),
        (X.long(), X),
        (X > 0, (X > 0).float()),
        (True, 1),
        (1, True),
        (True, 1.0),
        (torch.tensor([2.5]), 2.5),
        (float("inf"), float("-inf")),
        (float("nan"), 1.0),
        (None, 0),
        ("1", 1),
        ([1.0], [1.0, 2.0]),
        ([1.0], torch.tensor([1.0])),
        ({"a": 1}, {"b": 1}),
        (X.clone().requires_grad_(), X),
        (X, X.clone().requires_grad_()),
        (10**30, 1),
        (10**400, 1),
        (object(), 1.0),
    ],
)
def test_not_same(got: Any, want: Any) -> None:
    assert not alike(got, want)


def test_strict_dtype_wants_the_width_too() -> None:
    assert not alike(X.double(), X, Rules(strict_dtype=True))
    assert alike(X, X, Rules(strict_dtype=True))
    assert alike(2.5, torch.tensor(2.5), Rules(strict_dtype=True)), "a Python number has no width"


def test_tolerance_scales_with_the_largest_expected_value() -> None:
    rules = Rules((1e-4, 0.0))
    assert alike(torch.tensor([1e6, 1.0 + 99]), torch.tensor([1e6, 1.0]), rules)
    assert not alike(torch.tensor([1e6, 1.0 + 101]), torch.tensor([1e6, 1.0]), rules)
    assert not alike(torch.tensor([2e-8]), torch.tensor([1e-8]), rules), "small values get a small tolerance"
    assert not alike(torch.tensor([2e-8]), torch.tensor([1e-8]), Rules((1e-4, 1e-9)))


def test_infinite_expected_values_do_not_widen_the_tolerance() -> None:
    assert close(torch.tensor([torch.inf, 1.1]), torch.tensor([torch.inf, 1.0]), (1e-4, 0.0)).tolist() == [True, False]


def test_counts_are_exact_however_large() -> None:
    assert not alike(131_411, 131_410)
    assert not alike(torch.tensor([131_411]), torch.tensor([131_410]))


def test_tensors_belong_on_the_device_of_the_run() -> None:
    want = Seen(X)
    assert same(Seen(X, device="cuda"), want, Rules(device="cuda"))
    assert not same(Seen(X, device="cpu"), want, Rules(device="cuda"))
    assert not same(Seen(X, device="cuda"), want, Rules(device="cpu"))
    assert same(2.5, Seen(torch.tensor(2.5)), Rules(device="cuda")), "a Python number is nowhere"


def test_objects_are_compared_by_the_name_of_their_type() -> None:
    assert same(Opaque("builtins.object"), Opaque("builtins.object"), RULES)
    assert not same(Opaque("a.B"), Opaque("a.C"), RULES)
    assert not same(Opaque("a.B"), Seen(X), RULES)


def test_failures_are_alike_by_type_place_and_own_words(fail: Callable[..., Observed]) -> None:
    one = fail("ValueError", "the graph has a cycle (of 3)\nmore", step=2, own=True)
    assert same_failure(one, fail("ValueError", "the graph has a cycle (of 4)", step=2, own=True))
    assert not same_failure(one, fail("ValueError", "the graph is empty", step=2, own=True))
    assert not same_failure(one, fail("ValueError", "the graph has a cycle", step=1, own=True))
    assert not same_failure(one, fail("KeyError", "the graph has a cycle", step=2, own=True))
    assert not same_failure(one, Observed())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)", "mm: mat1 is 3x4, mat2 5x6"),
        ("cannot pickle '_io.BufferedReader' object", "cannot pickle 'BufferedReader' instances"),
        ("got [4, 3] but expected shape compatible with [3, 2]", "expected [3, 2], got [4, 3]"),
        ("expected Float, got float32", "expected float"),
        ("The differentiated Tensor at index 0 appears to be unused", "One of the differentiated Tensors is unused"),
    ],
)
def test_of_a_librarys_words_only_the_numbers_count(fail: Callable[..., Observed], one: str, other: str) -> None:
    assert same_failure(fail("RuntimeError", one), fail("RuntimeError", other))


def test_other_numbers_are_another_failure(fail: Callable[..., Observed]) -> None:
    one = fail("RuntimeError", "expected 1, got 2")
    assert not same_failure(one, fail("RuntimeError", "expected 1, got 3"))
    assert words(Failure("RuntimeError", "sizes (3x4x5) and 0.5 of 2")) == "0 2 3 4 5 5"
    assert words(Failure("RuntimeError", words(Failure("RuntimeError", "a 3x4 b 12")))) == "12 3 4", "as a key holds it"


def test_two_names_of_one_error(fail: Callable[..., Observed]) -> None:
    ours = fail("NotImplementedError", "", own=True)
    assert same_failure(fail("NotImplementedError", "mean"), fail("RuntimeError", "mean"))
    assert not same_failure(ours, fail("RuntimeError", "", own=True))


@pytest.mark.parametrize("name", ["NotImplementedError", "NameError", "SystemExit"])
def test_a_stub_refuses_nothing(fail: Callable[..., Observed], name: str) -> None:
    assert not refused(fail(name, ""))
    assert refused(fail("ValueError", ""))
    assert not refused(Observed())
    assert not refused(Observed(lost="timed out"))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("cannot identify image file '/tmp/letters-k52/C/x.png'", "cannot identify image file 'x.png'"),
        ("[Errno 2] No such file or directory: '/scratch/a b/c'", "[Errno 2] No such file or directory: 'a b/c'"),
        ("size 3/4 and 1/2, see https://pytorch.org/docs", "size 3/4 and 1/2, see https://pytorch.org/docs"),
        ("/tmp/x/y.txt: no lines", "y.txt: no lines"),
    ],
)
def test_folders_of_one_run_are_not_in_a_message(message: str, said: str) -> None:
    assert portable(message) == said
