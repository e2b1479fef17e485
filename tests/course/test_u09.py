"""Facts that u09 tells: each patient shows its symptoms in the order told, needs at most three lines, and returns the healthy number."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import torch

from coursekit.build.compile import Compiler
from coursekit.build.source import UnitSource

UNIT = "u09_clinic"

# for each hunt: its demonstration, and repairs one after the other with what can be seen before the first and after each
CHAINS: dict[str, tuple[str, list[tuple[str, str]], list[str]]] = {
    "u09-hunt-tutorial": (
        "tutorial",
        [
            ("optm", "optim"),
            ("loss.data[0]", "loss.item()"),
            ("loss.backward()", "optimizer.zero_grad(); loss.backward()"),
        ],
        [
            "AttributeError: module 'torch' has no attribute 'optm'",
            "IndexError: invalid index of a 0-dim tensor.",
            "first 7.692   lowest 0.286   last 3.137",
            "first 7.692   lowest 0.000   last 0.000",
        ],
    ),
    "u09-hunt-descent": (
        "walk",
        [("lr * x", "rate * x"), ("x.grad()", "x.grad"), ("path.append(x.data)", "path.append(x.data.clone())")],
        [
            "UnboundLocalError: cannot access local variable 'lr'",
            "TypeError: 'Tensor' object is not callable",
            "visited 3.00, 1.34, 1.34, 1.34",
            "visited 3.00, 1.80, 1.40, 1.34",
        ],
    ),
    "u09-hunt-gradients": (
        "judged",
        [('"b1" "w2"', '"b1", "w2"'), ("x.shape[1]", "x.shape[0]"), ("(grad_r > 0)", "(h > 0)")],
        [
            "KeyError: 'b1'",
            "w1 8.40 0.85   b1 11.70 0.93   w2 8.00 1.00   b2 8.00 1.00",
            "w1 1.05 0.85   b1 1.46 0.93   w2 1.00 1.00   b2 1.00 1.00",
            "w1 1.00 1.00   b1 1.00 1.00   w2 1.00 1.00   b2 1.00 1.00",
        ],
    ),
    "u09-hunt-tower": (
        "tower",
        [
            ("super(nn.Sequential, self)", "super()"),
            ("F.dropout(x, self.p)", "F.dropout(x, self.p, self.training)"),
            (
                "[nn.Linear(width, width) for _ in range(depth)]",
                "nn.ModuleList(nn.Linear(width, width) for _ in range(depth))",
            ),
        ],
        [
            "TypeError: super(type, obj): obj",
            "330 parameters; two answers in eval mode differ by 0.360",
            "330 parameters; two answers in eval mode differ by 0.000",
            "3498 parameters; two answers in eval mode differ by 0.000",
        ],
    ),
    "u09-hunt-epochs": (
        "steps",
        [
            ("batches.next()", "next(batches)"),
            ("iter(loader)", "itertools.chain.from_iterable(itertools.repeat(loader))"),
            ("F.softmax(model(x), dim=1)", "model(x)"),
        ],
        [
            "AttributeError: '_SingleProcessDataLoaderIter' object has no attribute 'next'",
            "StopIteration:",
            "30 losses, first 1.238, last 0.723",
            "30 losses, first 1.641, last 0.315",
        ],
    ),
    "u09-hunt-hooks": (
        "report",
        [
            ("grad_output):", "grad_output, name=name):"),
            ("register_backward_hook", "register_full_backward_hook"),
            ("model(x)", "model(x.clone().requires_grad_())"),
        ],
        [
            "{'4': (6,)}",
            "{'0': (6,), '2': (5,), '4': (2,)}",
            "{'0': 'nothing', '2': (8, 6), '4': (8, 5)}",
            "{'0': (8, 4), '2': (8, 6), '4': (8, 5)}",
        ],
    ),
}


def demos(unit: tuple[UnitSource, Compiler]) -> list[str]:
    return [cell.text for cell in unit[0].cells if cell.role == "demo"]


def show(unit: tuple[UnitSource, Compiler], names: dict[str, Any], demonstration: str) -> None:
    """Run the cell that defines `attempt`, then the one that ends in attempting the demonstration."""
    for text in demos(unit):
        if "def attempt" in text or text.rstrip().endswith(f"attempt({demonstration})"):
            exec(text, names)


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert [text for text in demos(unit) if len(text.splitlines()) > 12] == []


@pytest.mark.parametrize("exercise", CHAINS)
def test_each_patient_shows_its_symptoms_in_turn(
    unit: tuple[UnitSource, Compiler], exercise: str, capsys: pytest.CaptureFixture[str]
) -> None:
    demonstration, repairs, symptoms = CHAINS[exercise]
    source, compiler = unit
    text = source.exercises[exercise].broken or ""
    for symptom, repair in zip(symptoms, [*repairs, ("", "")], strict=True):
        names = dict(compiler.names)
        exec(text, names)
        show(unit, names, demonstration)
        assert capsys.readouterr().out.splitlines()[-1].startswith(symptom)
        assert repair[0] in text
        text = text.replace(*repair) if repair[0] else text
    show(unit, dict(compiler.names), demonstration)
    assert capsys.readouterr().out.splitlines()[-1] == symptoms[-1]


@pytest.mark.parametrize("exercise", CHAINS)
def test_the_prose_tells_the_first_and_the_last_symptom(unit: tuple[UnitSource, Compiler], exercise: str) -> None:
    prose = [cell.text for cell in unit[0].cells if f"{{exercise {exercise}}}" in cell.text]
    squeezed = " ".join(" ".join(prose).split())
    for symptom in (CHAINS[exercise][2][0], CHAINS[exercise][2][-1]):
        told = " ".join(symptom.split()[:4])
        assert told in squeezed


@pytest.mark.parametrize("exercise", CHAINS)
def test_three_lines_are_enough(unit: tuple[UnitSource, Compiler], exercise: str) -> None:
    answer = unit[0].exercises[exercise]

    def code(text: str) -> list[str]:
        return [line.split("  #")[0].rstrip() for line in text.splitlines() if line.strip() and "###" not in line]

    healthy = code(answer.answer.text.split("### RELEASE SHOWS")[0])
    rows = list(difflib.ndiff(code(answer.broken or ""), healthy))
    gone, new = (sum(row.startswith(sign) for row in rows) for sign in "-+")
    assert max(gone, new) <= 3


def test_the_old_code_of_the_curriculum_is_there(unit: tuple[UnitSource, Compiler]) -> None:
    everything = "\n".join(cell.text for cell in unit[0].cells)
    for old in ("x.grad()", "super(nn.Sequential, self)", "lr * x.grad()", "grad.data", "Variable", "loss.data[0]", ".next()",
                "torch.optm", "1/(x.shape[1])", '"b1" "w2"', "register_backward_hook"):  # fmt: skip
        assert old in everything


def test_half_repairs_are_among_the_wrong_answers(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {"fit_never_zeroes", "fit_zeroes_too_late", "fit_first_column", "fit_catches", "descend_records_one_memory",
            "descend_one_rate_late", "descend_makes_a_new_x", "gradients_only_comma", "gradients_divide_by_columns",
            "gradients_mask_by_sign", "gradients_zero_b1", "TowerOnlySuper", "TowerInList", "TowerAlwaysDrops", "TowerNeverDrops",
            "TowerOneLayer", "train_only_next", "train_first_batch_each_time", "train_cycles", "train_double_softmax", "hooks_old",
            "hooks_old_second_entry", "hooks_late_name", "hooks_nobody_asks", "hooks_upstream_of_ones", "hooks_zeros"} <= names  # fmt: skip


def test_points_add_up(unit: tuple[UnitSource, Compiler]) -> None:
    assert len(unit[1].keys) == 6 and all(
        len(key.wrong_answers) >= 6 and len(key.variants) >= 2 for key in unit[1].keys.values()
    )


def test_the_three_predictions(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    exec(next(text for text in demos(unit) if "sure = " in text), dict(unit[1].names))
    assert capsys.readouterr().out.splitlines() == ["1. 1.386", "2. 1.461", "3. 1.333 2.0"]


def test_an_accuracy_above_one(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    names = dict(unit[1].names)
    exec(next(text for text in demos(unit) if "hits = " in text), names)
    assert capsys.readouterr().out == "accuracy 1.667\n"
    assert names["hits"].shape == (3, 3) and round(names["hits"].sum().item() / 9, 3) == 0.556


def test_the_museum(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    names = dict(unit[1].names)
    for text in demos(unit):
        if "expect_error(" in text:
            exec(text, names)
    lines = capsys.readouterr().out.splitlines()
    kinds = ["TypeError", "IndexError", "AttributeError", "SyntaxError", "RuntimeError"]
    assert [line.split(":")[0] for line in lines[:5]] == kinds
    assert [float(line.split()[-1]) for line in lines[5:]] == [0.0, 288.0]
    with pytest.warns(UserWarning, match="volatile was removed"):
        assert (names["Variable"](torch.ones(2), volatile=True) * torch.ones(2, requires_grad=True)).requires_grad
    t = torch.ones(2, requires_grad=True) * 2
    assert names["Variable"](t).data_ptr() == t.data_ptr() and not names["Variable"](t).requires_grad


def test_the_floor_for_three_classes() -> None:
    certain = torch.tensor([[1.0, 0.0, 0.0]])
    floor = torch.nn.functional.cross_entropy(certain, torch.tensor([0]))
    assert floor.item() == pytest.approx(0.5514, abs=1e-4) and floor < 0.723
