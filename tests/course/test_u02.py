"""Unit u02: the numbers in its text come out, the curriculum's mistakes have hints, and the proof of its checks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.build.compile import Compiler
from coursekit.build.source import UnitSource
from coursekit.course.paths import Course
from coursekit.proof.prove import prove
from coursekit.proof.report import text as table

UNIT = "u02_autograd"


@pytest.fixture
def say(source: UnitSource, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the unit's own cells that hold one of the parts, after the parameters and imports. Returns: what they printed."""
    def run(*parts: str) -> str:
        names: dict[str, Any] = {}
        for cell in source.cells:
            if cell.role in ("parameters", "setup") or (cell.role == "demo" and any(part in cell.text for part in parts)):
                exec(compile(cell.text, f"<{UNIT}:{cell.line}>", "exec"), names)
        return capsys.readouterr().out
    return run


def reference(compiler: Compiler, name: str) -> Any:
    return compiler.names[name]


# ---- worked examples and numbers of the text

def test_recall(say: Callable[..., str]) -> None:
    assert say('print("1.", ((torch').split("\n")[:3] == ["1. 16", "2. 10.0", "3. False True"]


def test_the_mean_of_three_squares_has_gradient_two_and_two_thirds(say: Callable[..., str]) -> None:
    said = say('print("o =", o.item())')
    assert said.startswith("o = 48.0") and said.count("2.6667") == 9


def test_detaching_changes_the_derivative_and_not_the_value(say: Callable[..., str]) -> None:
    assert say("def slope(f)") == "6.0 3.0\n9.0 27.0\n"


def test_gradients_accumulate(say: Callable[..., str]) -> None:
    assert say("(3 * x).backward()") == "3.0\n6.0\n9.0\n"


def test_pieces_of_a_batch_give_the_gradient_of_the_whole(say: Callable[..., str]) -> None:
    whole, pieces = say("data.split(16)").split()
    assert whole == pieces


def test_zero_grad_sets_to_none_and_on_request_to_zero(say: Callable[..., str]) -> None:
    assert say("layer.zero_grad(set_to_none=False)") == "tensor([4.])\nNone\ntensor([0.])\n"


def test_two_wrong_updates_fail_as_the_text_says(say: Callable[..., str]) -> None:
    said = say("w -= 0.1 * w.grad", 'print("grad:", w.grad)')
    assert "RuntimeError: a leaf Variable that requires grad is being used in an in-place operation." in said
    assert "leaf: False" in said and "grad: None" in said
    assert "TypeError: unsupported operand type(s) for *: 'float' and 'NoneType'" in said


def test_a_vector_times_the_jacobian(say: Callable[..., str]) -> None:
    said = say("    out.backward()", "out.backward(v)")
    assert "RuntimeError: grad can be implicitly created only for scalar outputs" in said
    assert said.count("tensor([20., 13.,  2.])") == 2


def test_a_linear_weights_gradient_is_v_transposed_times_x(compiler: Compiler) -> None:
    g = torch.Generator().manual_seed(3)
    layer = torch.nn.Linear(4, 3)
    x, v = torch.randn(5, 4, generator=g), torch.randn(5, 3, generator=g)
    found = reference(compiler, "vjp")(layer, x, v)
    torch.testing.assert_close(found["weight"], v.T @ x)
    torch.testing.assert_close(found["bias"], v.sum(dim=0))


def test_the_lenet_walk_begins_and_ends_as_the_text_says(compiler: Compiler, say: Callable[..., str]) -> None:
    said = say("net = lenet()")
    assert said.startswith("MseLossBackward0 ['AddmmBackward0', None]")
    loss = torch.nn.functional.mse_loss(compiler.names["lenet"]()(torch.zeros(1, 1, 32, 32)), torch.ones(1, 10))
    names = reference(compiler, "walk_graph")(loss)
    assert len(names) == 26 and sum("AccumulateGrad" in name for name in names) == 10
    assert names[0].startswith("MseLoss") and sum(name.startswith("Convolution") for name in names) == 2


def test_a_second_walk_fails_only_where_something_was_saved(say: Callable[..., str]) -> None:
    said = say('print(name, "works:"').splitlines()
    assert [line.split(":")[0] for line in said] == ["x + 2 works", "2 * x fails", "x * x fails"]


def test_data_is_silent_and_detach_is_not(say: Callable[..., str]) -> None:
    said = say("s.detach().zero_()\nwith expect_error")
    assert said.startswith("through .data: 0.0\nRuntimeError: one of the variables needed for gradient computation has been modified")
    assert torch.sigmoid(torch.tensor(0.5)).item() * (1 - torch.sigmoid(torch.tensor(0.5)).item()) == pytest.approx(0.235, abs=5e-4)


def test_saved_tensors_are_counted(say: Callable[..., str]) -> None:
    assert say("counts = [len(Saved.alive)]") == "[3, 0, 0]\n"


def test_the_leak_grows_as_the_symptom_says(compiler: Compiler, source: UnitSource) -> None:
    exercise = source.exercises["u02-hunt-average"]
    assert exercise.broken is not None
    names = dict(compiler.names)
    exec(exercise.broken, names)
    batches, seen = 100, []
    model = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), torch.nn.Tanh())

    def some() -> Any:
        for _ in range(batches):
            yield torch.ones(4, 3), torch.zeros(4, 2)
            seen.append(len(names["Saved"].alive))
    names["Saved"].alive.clear()
    with names["count_saved"]():
        leaked = names["average_loss"](model, some())
    assert [seen[0], seen[9], seen[99]] == [3, 30, 300]
    # one sums 100 float32 tensors, the other their Python floats: each of the 100 sums rounds by up to half of 1.2e-7
    assert leaked == pytest.approx(reference(compiler, "average_loss")(model, some()), rel=100 * 0.6e-7)


def test_the_broken_update_raises_the_quoted_message(compiler: Compiler, source: UnitSource) -> None:
    broken = source.exercises["u02-hunt-update"].broken
    assert broken is not None
    names = dict(compiler.names)
    exec(broken, names)
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad and does not have a grad_fn"):
        names["descend"](torch.ones(4, 2), torch.ones(4), torch.zeros(2), 0.1, 2)


def test_hooks_show_behind_their_tensor_and_before_the_sum(say: Callable[..., str]) -> None:
    said = say("t.register_hook(lambda grad: 10 * grad)", "p.register_hook(lambda grad: grad.clamp(-1, 1))")
    assert said == "a: 240.0   b: 9.0\na without hook: 24.0\n2.0\n"


def test_a_second_backprop_gives_24_and_the_usual_small_engine_32(compiler: Compiler) -> None:
    def run(walk: Callable[..., Any]) -> float:
        x = compiler.names["Node"](2.0)
        root = x * x * x
        for _ in range(2):
            walk(root, 1.0)
        return float(x.grad)

    def usual(root: Any, upstream: float) -> None:      # computed numbers add up as leaves do; the root is set
        root.grad = upstream
        for node in reversed(compiler.names["topo_order"](root)):
            for parent, slope in zip(node.parents, node.slopes, strict=True):
                parent.grad += slope * node.grad
    assert run(reference(compiler, "backprop")) == 24.0
    assert run(usual) == 32.0


def test_autograd_train_agrees_with_the_pass_by_hand_to_ten_digits(compiler: Compiler) -> None:
    g = torch.Generator().manual_seed(1)
    x, y, w1, w2 = (torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((6, 5), (6, 3), (5, 4), (4, 3)))
    by_hand = compiler.modules["autograd_train.py"].by_hand(x, y, w1, w2, 1e-3, 20)
    assert reference(compiler, "autograd_train")(x, y, w1, w2, 1e-3, 20) == pytest.approx(by_hand, rel=1e-10)


def test_the_snippets_in_the_text_are_those_of_the_key(compiler: Compiler, source: UnitSource) -> None:
    prose = next(cell.text for cell in source.cells if cell.exercise == "u02-predict-grads" and cell.role == "prose")
    code = re.search(r"```python\n(.*?)```", prose, re.DOTALL)
    assert code is not None
    shown = {part[0]: part[1:].strip() for part in re.split(r"^# (?=[A-J]$)", code.group(1), flags=re.MULTILINE) if part.strip()}
    assert shown == {name: text.strip() for name, text in compiler.modules["predict_grads.py"].SNIPPETS.items()}


# ---- the curriculum's mistakes

MISTAKES = {
    "no zeroing": ("u02-autograd-train", "never_clears"),
    "w = w - lr * w.grad": ("u02-autograd-train", "weight_becomes_a_result"),
    "in place on a leaf": ("u02-autograd-train", "in_place_while_watched"),
    "backward on a non-scalar": ("u02-vjp", "no_start"),
    "dropped upstream": ("u02-vjp", "drops_v"),
    "transposed": ("u02-vjp", "transposes"),
    "zero gradient": ("u02-vjp", "all_zero"),
    "aliased": ("u02-vjp", "returns_grad_itself"),
    "second backward": ("u02-predict-grads", "e_walks_twice"),
    "second backward, nothing saved": ("u02-predict-grads", "d_refuses_always"),
    ".data.zero_() after sigmoid": ("u02-predict-grads", "f_true_slope"),
    ".detach().zero_() after sigmoid": ("u02-predict-grads", "g_silent"),
    "overwrites at a diamond": ("u02-backprop", "overwrites_at_a_diamond"),
    "a second call sends the first again": ("u02-backprop", "sends_old_gradients_again"),
    "recursion limit": ("u02-topo-order", "by_recursion"),
    "cycles": ("u02-topo-order", "accepts_cycles"),
    "graphs kept alive": ("u02-hunt-average", "collects_losses"),
    "in-place hook": ("u02-scale-grad", "hook_in_place"),
    "clamps before accumulation": ("u02-clip-module-grads", "clips_before_the_sum"),
}


@pytest.mark.parametrize(("exercise", "name"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_of_the_curriculum_has_its_hint(compiler: Compiler, exercise: str, name: str) -> None:
    assert name in [wrong.name for wrong in compiler.key(exercise).wrong_answers]


def test_no_wrong_answer_or_variant_warns(compiler: Compiler) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiler.compile_all()


def test_the_visible_key_is_small(repository: Path) -> None:
    assert (repository / "data" / "keys" / f"{UNIT}.key").stat().st_size < 60_000


# ---- the proof

def _prove(repository: Path, seeds: int) -> None:
    [report] = prove(Course(repository), [UNIT], seeds)
    assert report.fine, table(report)


@pytest.mark.slow
def test_u02_is_proved_on_200_seeds(repository: Path) -> None:
    _prove(repository, 200)


def test_u02_is_proved(repository: Path) -> None:
    _prove(repository, 10)
