"""Objects that agree with every comparison are turned into plain data first, and gain nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coursekit.checks.compare import Rules, same
from coursekit.checks.judge import judge
from coursekit.checks.probe import run_probe
from coursekit.checks.verdict import State

A = torch.tensor([1.0, -2.0, 4.0])
Make = Callable[..., Any]


class AlwaysEqual:
    """Says yes to every comparison."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self


class Obliging(torch.Tensor):
    """Passes torch.allclose, torch.equal and torch.testing.assert_close against anything."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.allclose, torch.equal):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})


class Clinging(torch.Tensor):
    """Stays what it is however a plain tensor is made of it, and says that everything about it is true."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("detach", "as_subclass", "cpu", "clone", "resolve_conj", "resolve_neg", "to"):
            return args[0]
        if name == "all":
            return torch.tensor(True)
        return super().__torch_function__(func, types, args, kwargs or {})


class ClaimsToBeFloat(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


def test_objects_that_agree_with_everything_gain_nothing(make_key: Make, see: Make) -> None:
    key = make_key([see(a=A)])
    for made in (
        AlwaysEqual(),
        torch.zeros(3).as_subclass(Obliging),
        torch.zeros(3).as_subclass(Clinging),
        ClaimsToBeFloat(1.0),
        [AlwaysEqual()],
        type,
    ):
        verdict = judge(key, [run_probe(lambda made=made: {"a": made}, {})])
        assert (verdict.state, verdict.credit) == (State.NOT_YET, 0.0), type(made)
    honest = judge(key, [run_probe(lambda: {"a": A.as_subclass(Obliging)}, {})])
    assert honest.state is State.PASSED, "a subclass is judged by its numbers, right ones included"


def test_a_probe_result_that_lies_about_its_names_gains_nothing(make_key: Make, see: Make) -> None:
    class Anything(dict[str, Any]):
        def __contains__(self, name: object) -> bool:
            return True

        def __missing__(self, name: str) -> Any:
            return AlwaysEqual()

    verdict = judge(make_key([see(a=A)]), [run_probe(lambda: Anything(), {})])
    assert (verdict.state, verdict.credit) == (State.NOT_YET, 0.0)


def test_same_is_told_by_plain_data_only(see: Make) -> None:
    assert not same(see(a=AlwaysEqual()).values["a"], see(a=A).values["a"], Rules())
