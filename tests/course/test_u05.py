"""Facts that u05 tells: its numbers come out, the curriculum's mistakes are among its wrong answers, and its bug hunts show their symptoms."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coursekit.build.compile import Compiler, visible_seed
from coursekit.build.source import UnitSource
from coursekit.viz.boundary import descend, right, two_clouds

UNIT = "u05_parameter"


def demo(unit: tuple[UnitSource, Compiler], *markers: str) -> dict[str, Any]:
    """Run the first demonstration cell with each marker, one after the other, and give their names."""
    source, compiler = unit
    names = dict(compiler.names)
    for marker in markers:
        exec(next(cell.text for cell in source.cells if cell.role == "demo" and marker in cell.text), names)
    return names


def broken(unit: tuple[UnitSource, Compiler], exercise: str) -> Any:
    source, compiler = unit
    return compiler.redefined(source.exercises[exercise], source.exercises[exercise].broken or "")


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert all(len(cell.text.splitlines()) <= 12 for cell in unit[0].cells if cell.role == "demo")


def test_the_curriculums_mistakes_are_there(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {
        "linear_plain_tensors",
        "linear_scaled_outside",
        "linear_torch_layout",
        "linear_constant",
        "convert_not_transposed",
        "convert_assigns_tensor",
        "convert_shares_weight",
        "tie_copies",
        "bce_naive",
        "logistic_assigns_tensor",
        "logistic_rebinds",
        "logistic_naive_chain",
        "line_broadcast",
        "line_memorised",
    } <= names


def test_a_tensor_with_a_gradient_is_no_parameter(unit: tuple[UnitSource, Compiler]) -> None:
    layer = demo(unit, "layer.hoped_for")["layer"]
    kinds, count = unit[1].names["trainable_report"](layer)
    assert (
        kinds == {"learned": "trained", "kept": "buffer", "passing": "constant", "hoped_for": "forgotten"}
        and count == 2
    )


def test_a_computed_parameter_is_lost(unit: tuple[UnitSource, Compiler]) -> None:
    made = demo(unit, "made = nn.Module()")["made"]
    assert list(dict(made.named_parameters())) == ["b", "d"]
    assert unit[1].names["trainable_report"](made)[0] == {
        "a": "forgotten",
        "b": "trained",
        "c": "forgotten",
        "d": "trained",
    }
    assert not nn.Parameter(torch.zeros(2)).to("meta").is_leaf  # what .to("cuda") would do


def test_a_state_as_parameter_buffer_and_tensor(
    unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]
) -> None:
    names = demo(unit, "class Recurrent", "ways = {")
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["Parameter", "buffer", "plain"]
    assert (
        "TypeError: cannot assign" in rows[0] and "runs, state torch.float64" in rows[1] and "RuntimeError" in rows[2]
    )
    model = names["Recurrent"](names["ways"]["buffer"])
    for _ in range(2):
        model(torch.ones(2, 4)).sum().backward()
    assert not model.state.requires_grad and "state" in copy.deepcopy(model).state_dict()


def test_print_is_no_inventory(unit: tuple[UnitSource, Compiler]) -> None:
    model = demo(unit, "class Mixture")["model"]
    assert "temperature" not in str(model) and "hidden" not in str(model) and "ParameterList" in str(model)
    assert "temperature" in dict(model.named_parameters()) and not any(
        name.startswith("hidden") for name, _ in model.named_parameters()
    )


def test_the_first_hunt_shows_its_symptom(unit: tuple[UnitSource, Compiler]) -> None:
    losses: dict[bool, list[float]] = {}
    for mended, kind in ((False, broken(unit, "u05-hunt-scaled")), (True, unit[1].names["Scorer"])):
        torch.manual_seed(0)
        x = torch.randn(64, 7)
        y = x @ torch.randn(7, 5) + 1
        model = kind(torch.randn(7, 5), 0.01)
        assert [name for name, _ in model.named_parameters()] == (["bias", "weight"] if mended else ["bias"])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses[mended] = []
        for _ in range(300):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward(retain_graph=not mended)
            optimizer.step()
            losses[mended].append(loss.item())
    assert losses[False][0] == pytest.approx(12.18, abs=0.01) and losses[False][-1] == pytest.approx(10.92, abs=0.01)
    assert losses[True][-1] < 2e-5
    model = broken(unit, "u05-hunt-scaled")(torch.ones(7, 5), 0.01)
    model(torch.ones(2, 7)).sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        model(torch.ones(2, 7)).sum().backward()


def test_the_second_hunt_moves_nothing(unit: tuple[UnitSource, Compiler]) -> None:
    p = nn.Parameter(torch.ones(2, 3))
    p.grad = torch.ones(2, 3)
    broken(unit, "u05-hunt-step")([p], 1000.0)
    assert torch.equal(p.detach(), torch.ones(2, 3))
    unit[1].names["sgd_step"]([p], 0.25)
    assert torch.equal(p.detach(), torch.full((2, 3), 0.75))


def test_parameters_share_the_memory_they_are_made_of() -> None:
    t = torch.zeros(2, 3)
    p = nn.Parameter(t.T)
    t[0, 1] = 7
    assert p.tolist() == [[0, 0], [7, 0], [0, 0]]


def test_from_torch_and_back(unit: tuple[UnitSource, Compiler]) -> None:
    linear, x = nn.Linear(7, 5), torch.randn(3, 7)
    layer = unit[1].names["from_torch"](linear)
    assert layer.weight.shape == (7, 5) and torch.allclose(layer(x), linear(x), atol=1e-6)
    assert unit[1].names["MyLinear"](7, 5)(x).shape == (3, 5)


def test_tied_weights_count_once(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    tiny = demo(unit, "tiny = nn.ModuleDict")["tiny"]
    shown = capsys.readouterr().out
    assert "before: 48" in shown and "after : 24 ['embed.weight'] ['embed.weight', 'head.weight']" in shown
    assert unit[1].names["trainable_report"](tiny) == ({"embed.weight": "trained", "head.weight": "tied"}, 24)


def test_equal_units_stay_equal(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    demo(unit, "nn.init.constant_")
    constant, random = capsys.readouterr().out.splitlines()
    assert "rank 1" in constant and "rank 4" in random
    assert float(constant.split()[-1]) < 1e-5 < 0.1 < float(random.split()[-1])


def test_naive_and_clamped_losses_at_200(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    demo(unit, "z = torch.tensor([200.0")
    assert capsys.readouterr().out.splitlines() == [
        "naive [nan, nan, 0.693, inf, inf] [nan, nan, -0.5, nan, nan]",
        "clamped [0.0, 0.0, 0.693, 15.942, 16.118] [0.0, 0.0, -0.5, 0.0, 0.0]",
        "p is exactly 1 at [17, 18, 19]",
    ]
    z, y = (
        torch.tensor([200.0, -200.0, 0.0, 200.0, -200.0], requires_grad=True),
        torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0]),
    )
    loss = unit[1].names["bce_with_logits"](z, y)
    assert loss.item() == pytest.approx((math.log(2) + 400) / 5)
    assert (5 * torch.autograd.grad(loss, z)[0]).tolist() == pytest.approx([0, 0, -0.5, 1, -1])


def test_the_common_safe_form_has_a_kink(unit: tuple[UnitSource, Compiler]) -> None:
    z = torch.zeros(1, requires_grad=True)
    answers = unit[1].modules["bce_with_logits.py"]
    assert torch.autograd.grad(answers.bce_kinks(z, torch.ones(1)), z)[0].item() == 0
    assert torch.autograd.grad(answers.bce_kinks_closed(z, torch.ones(1)), z)[0].item() == -1
    assert torch.autograd.grad(unit[1].names["bce_with_logits"](z, torch.ones(1)), z)[0].item() == -0.5


def test_the_boundarys_numbers(unit: tuple[UnitSource, Compiler]) -> None:
    points, labels = two_clouds(seed=0)
    path = descend(points, labels, lr=0.5, steps=400)
    assert (path.losses[0], path.losses[1], path.losses[400]) == pytest.approx((0.693, 0.535, 0.288), abs=5e-4)
    assert right(path, 1) == right(path, len(path.steps) - 1) == 71 and len(labels) == 80
    angles = [math.degrees(math.atan2(float(w[1]), float(w[0]))) for w in (path.weights[1], path.weights[-1])]
    assert angles[0] - angles[1] == pytest.approx(12, abs=0.5)
    lengths = [float(w.norm()) for w in (path.weights[1], path.weights[-1])]
    assert lengths[1] / lengths[0] == pytest.approx(7, abs=0.2)
    assert [2 * math.log(9) / length for length in lengths] == pytest.approx([14.3, 2.1], abs=0.05)
    model = unit[1].names["LogisticRegression"](2)
    for _ in range(400):
        model.backward(points, labels)
        model.optimize(0.5)
    assert torch.allclose(model.weight.detach(), path.weights[-1], atol=1e-4)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_the_line_of_the_curriculum(unit: tuple[UnitSource, Compiler], device: str) -> None:
    x = np.linspace(-1, 2, 11, dtype=np.float32)
    slope, intercept = unit[1].names["fit_line"](x, 2 * x[:, None] + 1, device)
    assert slope == pytest.approx(2, abs=0.01) and intercept == pytest.approx(1, abs=0.01)
    trapped = unit[1].modules["fit_line.py"].line_broadcast(x, 2 * x + 1, device)
    assert trapped == pytest.approx((0, 2), abs=1e-3)
    wide = np.linspace(0, 1000, 11, dtype=np.float32)
    assert math.isnan(unit[1].names["fit_line"](wide, 2 * wide + 1, device)[0])


def test_square_layers_hide_a_missing_transpose(unit: tuple[UnitSource, Compiler]) -> None:
    key = unit[1].compile("u05-from-torch", visible_seed)
    [wrong] = [item for item in key.wrong if item.name == "convert_not_transposed"]
    assert [item.failure is None for item in wrong.observed] == [False, True, False]
