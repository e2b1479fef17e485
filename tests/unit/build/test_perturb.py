"""Another machine's arithmetic: last digits move where processors may differ, and only there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coursekit.build.perturb import another_machine

X = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "compute",
    [lambda x: x @ x, lambda x: x.sum(0), lambda x: x.exp(), lambda x: torch.softmax(x, 0), lambda x: torch.nn.functional.linear(x, x)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_and_functions_move_in_their_last_digits(compute: object, dtype: torch.dtype) -> None:
    assert callable(compute)
    x = X.to(dtype)
    here = compute(x)
    with another_machine():
        there, again = compute(x), compute(x)
    assert not torch.equal(here, there)
    assert torch.equal(there, again), "one machine gives one result"
    assert float((here - there).abs().max()) <= 8 * torch.finfo(dtype).eps * float(here.abs().max())


def test_what_every_processor_computes_exactly_stays() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    with another_machine():
        assert torch.equal(whole @ whole.T, (whole.double() @ whole.double().T).float())
        assert whole.sum().item() == 66
        assert torch.equal(X + X, 2 * X)
        assert torch.equal(X * X, X * X)
        assert torch.equal(torch.zeros(3).exp(), torch.ones(3))
        assert torch.tensor([float("inf"), float("nan")]).exp().isfinite().logical_not().all()


def test_equal_numbers_stay_equal_and_the_backward_pass_moves_too() -> None:
    def grad(x: Tensor) -> Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad((leaf @ leaf).tanh().sum(), leaf)[0]

    here = grad(X)
    with another_machine():
        row = torch.stack([X[0], X[0]]).exp()
        assert torch.equal(row[0], row[1])
        assert not torch.equal(grad(X), here)


def test_in_place_and_out_keep_their_tensor_and_its_version() -> None:
    for change in (lambda t: t.exp_(), lambda t: torch.exp(X, out=t)):
        mine = X.clone()
        plain = X.clone()
        change(plain)
        with another_machine():
            assert change(mine) is mine
        assert mine._version == plain._version
        assert not torch.equal(mine, plain)


def test_the_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), another_machine():
        torch.ones(torch.get_num_threads()) @ torch.ones(before)
    assert torch.get_num_threads() == before
