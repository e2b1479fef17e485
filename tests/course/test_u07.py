"""Facts that u07 tells: its numbers come out, the curriculum's mistakes are among its wrong answers, and its optimizers train like PyTorch's."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from coursekit.build.compile import Compiler, visible_seed
from coursekit.build.source import Cell, UnitSource
from coursekit.checks.judge import judge
from coursekit.checks.verdict import State

UNIT = "u07_optim"
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"lr": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3}),
]


def demos(unit: tuple[UnitSource, Compiler]) -> list[Cell]:
    return [cell for cell in unit[0].cells if cell.role == "demo"]


def demo(unit: tuple[UnitSource, Compiler], *markers: str) -> dict[str, Any]:
    """Run the demonstration cells that contain the markers, one after the other, and give their names."""
    names = dict(unit[1].names)
    for marker in markers:
        exec(next(cell.text for cell in demos(unit) if marker in cell.text), names)
    return names


def prose(unit: tuple[UnitSource, Compiler]) -> str:
    return "\n".join(cell.text for cell in unit[0].cells if cell.role == "prose")


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert all(len(cell.text.splitlines()) <= 12 for cell in demos(unit))


def test_the_curriculums_mistakes_are_there(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {
        "no_zero", "never_clears", "zeroes_none", "adam_uncorrected", "adamw_coupled", "exhausted", "walks_twice", "sgd_classical", "sgd_aliased",
        "sgd_keeps_graph", "momentum_zero_for_none", "momentum_spends_gradient", "momentum_outside_state", "momentum_inherited", "adam_global_count",
        "moments_options_from_defaults", "sgd_decay_in_gradient", "by_shape", "by_full_name",
    } <= names  # fmt: skip


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_optimizers_train_a_network_like_torchs(
    unit: tuple[UnitSource, Compiler], name: str, options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    theirs = copy.deepcopy(ours)
    x, y = torch.randn(16, 4).double(), torch.randn(16, 2).double()
    pair = [
        (ours, unit[1].names[name](ours.parameters(), **options)),
        (theirs, getattr(torch.optim, name)(theirs.parameters(), **options)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda t: unit[1].names["warmup_cosine"](t, 5, 30, 0.1)) for _, o in pair
    ]
    for _ in range(30):
        for (model, optimizer), schedule in zip(pair, schedules, strict=True):
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            unit[1].names["clip_by_norm"](model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_loop_by_hand_arrives(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    names = demo(unit, "X = torch.randn(32, 3", "p -= 0.2 * p.grad")
    assert names["loss"].item() < 1e-7 and names["b"].item() == pytest.approx(0.5, abs=1e-3)
    assert "[2.0, -1.0, 0.5]" in capsys.readouterr().out


def test_plain_sgd_knows_groups(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    demo(unit, "class PlainSGD", "first, second, unused")
    assert capsys.readouterr().out.startswith("9.0 7.0 10.0   gradient of the unused one: None")


def test_momentum_forms_part_at_a_cut(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    demo(unit, 'for form in ("classical", "torch")')
    classical, ours = capsys.readouterr().out.splitlines()
    assert "9.0, 7.2, 4.86, 2.27, -0.09" in classical and classical.endswith("-5.75]")
    assert "9.0, 7.2, 4.86, 2.27, 2.01" in ours
    w = torch.tensor(10.0, requires_grad=True)
    optimizer, path = unit[1].names["SGD"]([w], lr=0.1, momentum=0.9), []
    for step in range(8):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 4 else 0.01
        optimizer.zero_grad()
        (w**2 / 2).backward()
        optimizer.step()
        path.append(round(w.item(), 2))
    assert str(path) in ours


@pytest.mark.parametrize(("name", "factor"), [("adam_uncorrected", math.sqrt(10)), ("Adam", 1.0), ("Rms", 10.0)])
def test_first_steps(unit: tuple[UnitSource, Compiler], name: str, factor: float) -> None:
    kind = unit[1].names.get(name) or next(found for file in unit[1].modules.values() if (found := getattr(file, name, None)))
    p = torch.tensor(1.0, requires_grad=True, dtype=torch.float64)
    p.grad = torch.tensor(5.0, dtype=torch.float64)
    kind([p], lr=0.01).step()
    assert 1 - p.item() == pytest.approx(0.01 * factor, rel=1e-5)


@pytest.mark.parametrize(("name", "end"), [("Adam", 0.224), ("AdamW", 0.905)])
def test_decay_without_gradient(unit: tuple[UnitSource, Compiler], name: str, end: float) -> None:
    p = torch.tensor(1.0, requires_grad=True)
    optimizer = unit[1].names[name]([p], lr=0.01, weight_decay=0.1)
    for _ in range(100):
        p.grad = torch.tensor(0.0)
        optimizer.step()
    assert p.item() == pytest.approx(end, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_find_bug_finds_what_was_planted(unit: tuple[UnitSource, Compiler], seed: int) -> None:
    module, find_bug = unit[1].modules["hunt_find_bug.py"], unit[1].names["find_bug"]
    lr, aim = 0.1 + 0.05 * seed, 0.3 * seed - 0.5
    for fault in module.FAULTS:
        assert find_bug(module.log_of(fault, aim + 1.3, aim, 1.1, lr, rounds=3 + seed)) == fault
    assert (
        find_bug(module.log_of("zero_grad too late", aim - 1, aim, 0.9, lr, fill_with_zeros=True))
        == "zero_grad too late"
    )
    assert find_bug(module.log_of("nothing", aim, aim, 0.9, lr)) == "nothing"


def test_the_head_hunt_shows_its_symptom(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    source, compiler = unit
    cell = next(cell.text for cell in demos(unit) if "fine_tune(nn.Sequential" in cell.text)
    broken = compiler.redefined(source.exercises["u07-hunt-head"], source.exercises["u07-hunt-head"].broken or "")
    for fine_tune, line, moved in (
        (broken, "first loss 7.462   last loss 3.612", False),
        (compiler.names["fine_tune"], "first loss 7.462   last loss 0.096", True),
    ):
        exec(cell, {**compiler.names, "fine_tune": fine_tune})
        assert capsys.readouterr().out.strip() == f"{line}   head moved: {moved}"
        assert line in prose(unit)


def test_the_schedule_of_the_example(unit: tuple[UnitSource, Compiler]) -> None:
    assert [unit[1].names["warmup_cosine"](t, 3, 11) for t in (0, 3, 7, 11)] == pytest.approx([0.25, 1, 0.5, 0])


def test_param_groups_drive_an_optimizer(unit: tuple[UnitSource, Compiler]) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    optimizer = unit[1].names["AdamW"](unit[1].names["param_groups"](model, 0.1), lr=0.01)
    assert [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups] == [(2, 0.1), (4, 0.0)]


def test_the_students_race_is_the_pictures_race(unit: tuple[UnitSource, Compiler]) -> None:
    from coursekit.viz.race import ROSENBROCK, run_race

    mine = unit[1].names["race"](ROSENBROCK.function, ROSENBROCK.makers, torch.tensor(ROSENBROCK.start), 300)
    theirs = run_race(ROSENBROCK)
    ends = {name: ROSENBROCK.function(path[-1]).item() for name, path in mine.items()}
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert ends == pytest.approx({"SGD": 5.0, "Nesterov": 0.011, "RMSprop": 3.9, "Adam": 0.25}, rel=0.05)
    start, first = (ROSENBROCK.function(mine["RMSprop"][k]).item() for k in (0, 1))
    assert (start, first) == (pytest.approx(12.5), pytest.approx(31, abs=0.5))


@pytest.mark.parametrize("exercise", ["u07-sgd", "u07-rmsprop", "u07-adam", "u07-adamw"])
def test_inheriting_the_step_is_noticed(unit: tuple[UnitSource, Compiler], exercise: str) -> None:
    key = unit[1].compile(exercise, visible_seed)
    [inherited] = [wrong for wrong in key.wrong if wrong.name.endswith("_inherited")]
    assert judge(key, inherited.observed).state is State.NOT_YET


@pytest.mark.parametrize("answer", ["nothing", "no step", "no zero_grad"])
def test_one_answer_for_all_logs_earns_nothing(unit: tuple[UnitSource, Compiler], answer: str) -> None:
    source, compiler = unit
    key = compiler.compile("u07-hunt-find-bug", visible_seed)
    seen = compiler.observe(source.exercises[key.id], [case.inputs for case in key.cases], lambda log: answer)
    assert judge(key, seen).credit == 0
