"""Facts that u08 tells: its numbers come out, the known mistakes are among its wrong answers, and the judge knows a trained network."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from coursekit.build.compile import Compiler, visible_seed
from coursekit.build.source import UnitSource
from coursekit.checks.judge import judge
from coursekit.checks.verdict import State
from coursekit.data.tree import sample

UNIT = "u08_letters"


def broken(unit: tuple[UnitSource, Compiler], exercise: str) -> Any:
    source, compiler = unit
    return compiler.redefined(source.exercises[exercise], source.exercises[exercise].broken or "")


def fresh() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert [cell.text for cell in unit[0].cells if cell.role == "demo" and len(cell.text.splitlines()) > 12] == []


def test_the_curriculums_mistakes_are_there(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {
        "epoch_double_softmax", "softmax_at_the_end", "residual_softmax", "epoch_in_eval", "evaluate_in_training", "evaluate_stays_in_eval",
        "cross_finds_nothing", "loaders_leak", "unsorted_classes", "scan_unsorted", "loaders_two_normalisations", "fit_without_shuffling",
    } <= names  # fmt: skip


def test_ten_exercises_and_two_hunts(unit: tuple[UnitSource, Compiler]) -> None:
    hunts = [name for name, exercise in unit[0].exercises.items() if exercise.broken is not None]
    assert (len(unit[0].exercises), hunts) == (12, ["u08-hunt-overfit", "u08-hunt-evaluate"])


def test_a_softmax_too_many_stops_at_1_461(unit: tuple[UnitSource, Compiler]) -> None:
    x, y = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(10)
    stuck = broken(unit, "u08-hunt-overfit")(fresh(), x, y, 100, 0.01)
    learned = unit[1].names["overfit_batch"](fresh(), x, y, 100, 0.01)
    floor = -math.log(math.e / (math.e + 9))
    assert floor == pytest.approx(1.461, abs=5e-4)
    assert stuck[-1] == pytest.approx(floor, abs=1e-3)
    assert learned[-1] < 1e-3


@pytest.mark.parametrize("name", ["LeNet", "ResNet8"])
def test_the_first_loss_is_about_ln_10(unit: tuple[UnitSource, Compiler], name: str) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(64, 1, 28, 28), torch.arange(64) % 10
    assert F.cross_entropy(unit[1].names[name]()(x), y).item() == pytest.approx(math.log(10), abs=0.2)


def test_sizes_of_the_networks(unit: tuple[UnitSource, Compiler]) -> None:
    sizes = [sum(p.numel() for p in unit[1].names[name]().parameters()) for name in ("LeNet", "ResNet8")]
    assert sizes == [61_706, 77_754]


def test_one_batch_is_learned_by_heart(unit: tuple[UnitSource, Compiler]) -> None:
    torch.manual_seed(0)
    model, x, y = unit[1].names["LeNet"](), torch.randn(10, 1, 28, 28), torch.randint(10, (10,))
    assert unit[1].names["overfit_batch"](model, x, y, 60, 0.005)[-1] < 1e-3


def test_the_broken_evaluation_shows_its_two_symptoms(unit: tuple[UnitSource, Compiler]) -> None:
    x, y = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(1)), torch.arange(10)
    model = fresh().train()
    losses = [
        broken(unit, "u08-hunt-evaluate")(model, torch.utils.data.DataLoader(list(zip(x, y, strict=True)), size))[0]
        for size in (7, 10)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3
    assert not model.training


def module(unit: tuple[UnitSource, Compiler], folder: Path) -> None:
    """Write letters_train.py as the notebook's cell does."""
    cells = [cell.text for cell in unit[0].cells if cell.role in ("setup", "answer")]
    end = 'if __name__ == "__main__":\n    raise SystemExit(main())\n'
    (folder / "letters_train.py").write_text("\n\n".join([*cells, end]), "utf-8")


def test_the_module_trains_resumes_and_refuses(unit: tuple[UnitSource, Compiler], tmp_path: Path) -> None:
    module(unit, tmp_path)
    with sample(6) as (train, valid):

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "letters_train", str(train), str(valid), *words]
            return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)

        first, second, refused = run("--epochs", "1"), run("--epochs", "2"), run("--model", "vgg")
    assert (first.returncode, second.returncode, refused.returncode) == (0, 0, 2)
    rows = [json.loads(done.stdout) for done in (first, second)]
    assert [row["epochs"] for row in rows] == [1, 2]
    assert rows[0]["model"] == "lenet"
    assert (tmp_path / "letters.pt").is_file()


def test_held_out_fonts_judge_a_trained_network(unit: tuple[UnitSource, Compiler]) -> None:
    inputs = unit[1].inputs("u08-main", 2, visible_seed)
    [seen_in_it] = unit[1].observe(unit[0].exercises["u08-main"], [inputs])
    observed = seen_in_it.values
    judged = unit[1].key("u08-main").extra_judge
    assert judged is not None
    weights = {name: seen.data for name, seen in observed["trained"].items()}
    assert judged(inputs, {**observed, "trained": weights}) is None
    untrained = judged(inputs, {**observed, "trained": unit[1].names["LeNet"]().state_dict()})
    assert untrained is not None
    assert "at least 85% is expected" in untrained


def test_the_key_holds_the_form_of_the_trained_parameters_only(unit: tuple[UnitSource, Compiler]) -> None:
    key = unit[1].compile("u08-main", visible_seed)
    kept = key.cases[2].expected.values["trained"]
    assert isinstance(kept, dict)
    assert len(kept) == 10
    assert not any(seen.data.any() for seen in kept.values())
    assert judge(key, [case.expected for case in key.cases]).state is State.PASSED
    assert all(wrong.observed[2].lost == "not tried" for wrong in key.wrong)
