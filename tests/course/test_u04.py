"""Facts that u04 tells: its numbers come out, the curriculum's mistakes are among its wrong answers, and the answers fit PyTorch's modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from coursekit.build.compile import Compiler
from coursekit.build.source import UnitSource

UNIT = "u04_module"


@pytest.fixture
def say(source: UnitSource, compiler: Compiler, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the unit's own demonstration cells that hold one of the parts. Returns: what they printed."""

    def run(*parts: str) -> str:
        names = dict(compiler.names)
        for cell in source.cells:
            if cell.role == "demo" and any(part in cell.text for part in parts):
                exec(compile(cell.text, f"<{UNIT}:{cell.line}>", "exec"), names)
        return capsys.readouterr().out

    return run


def test_demonstrations_are_short(source: UnitSource) -> None:
    assert all(len(cell.text.splitlines()) <= 12 for cell in source.cells if cell.role == "demo")


def test_the_curriculums_mistakes_are_there(compiler: Compiler) -> None:
    names = {wrong.name for key in compiler.keys.values() for wrong in key.wrong_answers}
    assert {
        "two_no_super",
        "two_layer_in_forward",
        "seq_calls_forward",
        "two_calls_forward",
        "seq_list",
        "deep_one_layer",
        "named_shared_twice",
        "centre_not_persistent",
        "block_in_place",
        "block_relu_before_add",
        "checkpoint_no_buffers",
        "mini_takes_leaves",
        "dynamic_three_layers",
        "mode_root_only",
    } <= names


def test_recall(say: Callable[..., str]) -> None:
    said = say("class Double", "b = torch.zeros(3, requires_grad=True)")
    assert "incorrect number of gradients (expected 2, got 1)" in said
    assert "2. (3,) [5.0, 5.0, 5.0]\n3. 101000 and 110" in said


def test_no_super_has_three_messages(say: Callable[..., str]) -> None:
    said = say("class NoSuperLayer", "NoSuperLayer()")
    for words in (
        "cannot assign module before Module.__init__() call",
        "no attribute '_parameters'",
        "no attribute '_backward_hooks'",
    ):
        assert words in said


def test_the_hunts_count(compiler: Compiler, source: UnitSource) -> None:
    exercise = source.exercises["u04-hunt-list"]
    broken = compiler.redefined(exercise, exercise.broken or "")
    for kind, count in ((broken, 101_110), (compiler.names["DeepNet"], 131_410)):
        assert sum(p.numel() for p in kind(1000, 100, 10, 3).parameters()) == count


def test_the_model_that_forgot(compiler: Compiler, source: UnitSource) -> None:
    exercise = source.exercises["u04-hunt-buffer"]
    broken = compiler.redefined(exercise, exercise.broken or "")
    data = 3 + torch.randn(100, 16, 4, generator=torch.Generator().manual_seed(0))
    for kind, shift in ((broken, 3.0), (compiler.names["Centre"], 0.0)):
        model, loaded = kind(4), kind(4)
        for batch in data:
            model(batch)
        loaded.load_state_dict(model.state_dict())
        assert model.eval()(data[0]).mean().item() == pytest.approx(0, abs=0.3)
        assert loaded.eval()(data[0]).mean().item() == pytest.approx(shift, abs=0.3)
    assert broken(4).double().mean.dtype == torch.float32


def test_a_star_makes_twenty_parameters_and_six_names(say: Callable[..., str]) -> None:
    assert say('"[layer] * 3"') == "three layers   60 parameters, 6 names\n[layer] * 3    20 parameters, 6 names\n"


def test_forward_skips_the_hooks(say: Callable[..., str]) -> None:
    assert say('"hook saw"') == "hook saw (3, 2)\nTrue\n"


def test_losses(say: Callable[..., str]) -> None:
    said = say("nn.L1Loss, nn.MSELoss")
    assert said.split("\n")[:5] == [
        "L1Loss 2.0 6.0",
        "MSELoss 4.6667 14.0",
        "CrossEntropyLoss 2.3026",
        "CrossEntropyLoss 9.2103",
        "0 parameters",
    ]


def test_a_bias_gradient_before_and_after(say: Callable[..., str]) -> None:
    lines = say('"at first      "').splitlines()
    assert lines[0].endswith("None") and lines[3].endswith("None")
    once, twice = ([float(number) for number in line.split("[")[1].rstrip("])").split(",")] for line in lines[1:3])
    assert twice == pytest.approx([2 * number for number in once], abs=2e-4)


def test_batch_normalisation_in_both_modes(say: Callable[..., str]) -> None:
    said = say("norm = nn.BatchNorm1d(1)")
    assert "train [-0.99" in said and "eval  [6.74" in said and "9.81" in said and said.count("running mean 1.2") == 2


def test_buffers_follow_and_tensors_do_not(say: Callable[..., str]) -> None:
    assert say("class Tables") == "torch.float64 torch.float32 ['kept']\n"


def test_a_state_dict_is_live(say: Callable[..., str]) -> None:
    assert say("best = net.state_dict()") == "4.0 5.0\n"


def test_lenet_and_its_hooks(say: Callable[..., str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a backward hook on a layer whose input needs no gradient would warn
        said = say(
            "class LeNet", "net = LeNet()", "def tell(name)", "def tell_back(name)", "digit = torch.randn(1, 32, 32"
        )
    assert "10 tensors, the first (6, 1, 5, 5)" in said and "in all 61706" in said and "(16x25 and 400x120)" in said
    assert "conv2  [(16, 6, 5, 5), (16,)]  2416" in said and "fc1  [(120, 400), (120,)]  48120" in said
    assert said.index("fc3  upstream (2, 10)") < said.index("conv1  upstream (2, 6, 28, 28), passes on (2, 1, 32, 32)")


def test_gradients_vanish_in_the_plain_chain_only(say: Callable[..., str]) -> None:
    said = say("class Hidden", "class Chain", "depth, flows = 20")
    assert "plain     gradient at layer 1: 3.0e-12, at layer 20: 5.9e-05" in said
    assert "residual  gradient at layer 1: 3.5e+00, at layer 20: 4.9e-02" in said


def test_the_resnet_runs_with_the_students_block(compiler: Compiler, source: UnitSource) -> None:
    names: dict[str, Any] = dict(compiler.names)
    exec(next(cell.text for cell in source.cells if "def resnet(" in cell.text), names)
    net = names["resnet"](names["ResidualBlock"])
    assert sum(p.numel() for p in net.parameters()) == 77_754
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    assert (
        sum(isinstance(m, (nn.Conv2d, nn.Linear)) and getattr(m, "kernel_size", ()) != (1, 1) for m in net.modules())
        == 8
    )


def test_answers_work_on_pytorchs_modules(compiler: Compiler) -> None:
    names = compiler.names
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Sequential(nn.Dropout(), nn.Linear(3, 2)))
    assert [name for name, _ in names["named_parameters"](net)] == [name for name, _ in net.named_parameters()]
    assert list(names["Checkpoint"].save(net)) == list(net.state_dict())
    names["set_mode"](net, True, (nn.BatchNorm1d,))
    assert [m.training for m in net.modules()] == [True, True, False, True, True, True]
    state = {name: t + 1 for name, t in net.state_dict().items()}
    names["Checkpoint"].load(net, state)
    assert all(torch.equal(t, state[name]) for name, t in net.state_dict().items())


def test_a_file_of_sequential_fits(compiler: Compiler) -> None:
    ours, theirs = (
        kind(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 4)) for kind in (compiler.names["MySequential"], nn.Sequential)
    )
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 3)
    assert torch.equal(ours(x), theirs(x))


def test_a_shared_layers_gradient_is_the_sum_of_separate_ones(compiler: Compiler) -> None:
    torch.manual_seed(0)
    net, x = compiler.names["DynamicNet"](3, 4, 2).double(), torch.randn(5, 3, dtype=torch.float64)
    net(x, 3).pow(2).sum().backward()
    weights = [net.middle_linear.weight.detach().clone().requires_grad_() for _ in range(3)]
    h = net.input_linear(x).relu()
    for w in weights:
        h = (h @ w.T + net.middle_linear.bias).relu()
    separate = torch.autograd.grad(net.output_linear(h).pow(2).sum(), weights)
    assert torch.allclose(net.middle_linear.weight.grad, sum(separate))
