"""Facts that u03 tells: its numbers come out, the curriculum's mistakes are among its wrong answers, and its auditor works on real functions."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from coursekit.build.compile import Compiler, visible_seed
from coursekit.build.source import Cell, UnitSource
from coursekit.checks.judge import judge
from coursekit.checks.verdict import State

UNIT = "u03_function"


def demo(unit: tuple[UnitSource, Compiler], marker: str) -> dict[str, Any]:
    """Run the demonstration cells from the first that contains the marker up to it, and give their names."""
    source, compiler = unit
    names = dict(compiler.names)
    exec(next(cell.text for cell in source.cells if cell.role == "demo" and marker in cell.text), names)
    return names


def demos(unit: tuple[UnitSource, Compiler]) -> list[Cell]:
    return [cell for cell in unit[0].cells if cell.role == "demo"]


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert all(len(cell.text.splitlines()) <= 12 for cell in demos(unit))


def test_the_curriculums_mistakes_are_there(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {"relu_drops_upstream", "relu_writes_upstream", "relu_mask_by_gradient_sign", "relu_one_at_zero", "relu_half_at_zero", "relu_zero",
            "matmul_one_gradient", "matmul_b_not_transposed", "linear_transposed", "scale_one_gradient", "cube_keeps_square",
            "audit_in_single", "audit_gradcheck_alone", "audit_with_ones"} <= names


def test_a_wrong_class_bears_the_students_name(unit: tuple[UnitSource, Compiler]) -> None:
    key = unit[1].compile("u03-my-matmul", visible_seed)
    [wrong] = [item for item in key.wrong if item.name == "matmul_one_gradient"]
    failures = [item.failure for item in wrong.observed if item.failure is not None]
    assert failures and all((one.operation, one.message) == ("grad", "1 2") for one in failures), "expected 2, got 1"
    answer = next(item.answer for item in unit[1].key("u03-my-matmul").wrong_answers if item.name == "matmul_one_gradient")
    seen = unit[1].observe(unit[0].exercises["u03-my-matmul"], unit[1].all_inputs("u03-my-matmul", visible_seed), answer)
    assert all("MyMatmulBackward" in one.failure.message for one in seen if one.failure is not None)


def test_in_place_relu_passes_gradcheck_and_spoils_a_sum(unit: tuple[UnitSource, Compiler]) -> None:
    relu = unit[1].modules["my_relu.py"].relu_writes_upstream
    x = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(relu.apply, (x,))
    upstream = torch.tensor([5.0, 7.0, 9.0], dtype=torch.float64)
    assert torch.autograd.grad((upstream * (x + relu.apply(x))).sum(), x)[0].tolist() == [10, 0, 18]
    assert torch.autograd.grad((upstream * (x + unit[1].names["MyReLU"].apply(x))).sum(), x)[0].tolist() == [10, 7, 18]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.autograd.grad(relu.apply(x).sum(), x)[0].tolist() == [0, 0, 0]


def test_the_hunt_shows_its_symptom(unit: tuple[UnitSource, Compiler]) -> None:
    source, compiler = unit
    broken = compiler.redefined(source.exercises["u03-hunt-residual"], source.exercises["u03-hunt-residual"].broken or "")
    x = torch.tensor([0.5, 3.0, -0.5], requires_grad=True)
    (x + broken.apply(x, 1.0)).backward(torch.tensor([5.0, 7.0, 9.0]))
    assert x.grad is not None and x.grad.tolist() == [10, 0, 18]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.autograd.grad(broken.apply(x, 1.0).sum(), x)[0].tolist() == [0, 0, 0]
    double = x.detach().double().requires_grad_()
    assert gradcheck(lambda t: broken.apply(t, 1.0), double)


def test_three_wrong_functions_pass_gradcheck(unit: tuple[UnitSource, Compiler]) -> None:
    cubic = demo(unit, "class Cubic")["Cubic"]
    x = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    wrong = [(1e-6, lambda up, slope: up * slope / 3), (1.0, lambda up, slope: up.clamp(min=0) * slope), (1.0, lambda up, slope: up.mul_(slope))]
    for a, pull in wrong:
        assert gradcheck(lambda t, a=a, pull=pull: cubic.apply(t, a, pull), x)
        assert unit[1].names["audit_function"](lambda t, a=a, pull=pull: cubic.apply(t, a, pull), x)
    a, pull = wrong[0]
    assert not gradcheck(lambda t: cubic.apply(t, a, pull), x, atol=1e-14, raise_exception=False)


def test_float32_gives_a_false_alarm() -> None:
    x = torch.tensor([1.0, -1.0, 2.0], requires_grad=True)
    with pytest.warns(UserWarning, match="not a double precision"):
        assert not gradcheck(torch.exp, x, raise_exception=False)


def test_a_kept_intermediate_passes_the_first_check_only(unit: tuple[UnitSource, Compiler]) -> None:
    fourth = demo(unit, "class Fourth")["Fourth"]
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    for keeps, second in ((False, 48.0), (True, 0.0)):
        (first,) = torch.autograd.grad(fourth.apply(x, keeps), x, create_graph=True)
        assert first.item() == 32
        assert torch.autograd.grad(first + x, x)[0].item() - 1 == second
        assert gradcheck(lambda t, keeps=keeps: fourth.apply(t, keeps), x)
        assert gradgradcheck(lambda t, keeps=keeps: fourth.apply(t, keeps), x, raise_exception=False) is not keeps


def test_an_attribute_hides_an_in_place_change(unit: tuple[UnitSource, Compiler]) -> None:
    names = demo(unit, "class Square")
    exec(next(cell.text for cell in demos(unit) if "class Careless" in cell.text), names)
    x = torch.tensor(3.0, requires_grad=True)
    for kind in ("Careless", "Square"):
        t = x * 1
        y = names[kind].apply(t)
        t += 100
        if kind == "Careless":
            assert torch.autograd.grad(y, x)[0].item() == 206
        else:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                torch.autograd.grad(y, x)


def test_an_instance_that_is_called_is_legacy(unit: tuple[UnitSource, Compiler]) -> None:
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        instance = unit[1].names["MyReLU"]()
    with pytest.raises(RuntimeError, match="Legacy autograd function"):
        instance(torch.ones(2))


def test_my_relu_trains_like_torchs(unit: tuple[UnitSource, Compiler]) -> None:
    train = demo(unit, "def train(")["train"]
    ours, theirs = train(unit[1].names["MyReLU"].apply, steps=20), train(torch.relu, steps=20)
    assert ours == pytest.approx(theirs, rel=1e-5) and theirs[0] == pytest.approx(2.94e7, rel=0.01)


def test_the_units_operations_pass_their_audit(unit: tuple[UnitSource, Compiler]) -> None:
    names = unit[1].names
    audit = names["audit_function"]
    g = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(shape, generator=g) for shape in ((2, 3, 4), (4, 5), (5,)))
    away = x + 0.1 * x.sign()
    assert audit(names["MyReLU"].apply, away) == []
    assert audit(names["MyExp"].apply, x) == []
    assert audit(names["MyMatmul"].apply, x[0], w) == []
    assert audit(names["LinearFn"].apply, x, w, b) == []
    assert audit(names["LinearFn"].apply, x, w) == []
    assert audit(names["Clip"].apply, x, 0.8) == []
    assert audit(names["Cube"].apply, x) == []
    assert audit(names["ScaleGrad"].apply, x, 1.0) == []
    assert audit(names["ScaleGrad"].apply, x, 2.0) != []
    assert not any(t.requires_grad for t in (x, w, b))


@pytest.mark.parametrize("all_or_none", [True, False])
def test_an_auditor_that_always_says_the_same_earns_nothing(unit: tuple[UnitSource, Compiler], all_or_none: bool) -> None:
    source, compiler = unit
    key = compiler.compile("u03-audit-function", visible_seed)
    seen = compiler.observe(source.exercises[key.id], [case.inputs for case in key.cases], lambda fn, *inputs: ["odd"] * all_or_none)
    verdict = judge(key, seen)
    assert verdict.state is State.NOT_YET and verdict.credit == 0
