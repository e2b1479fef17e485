"""A probe runs on copies, and whatever comes of it is an observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from coursekit.checks.probe import run_probe
from coursekit.checks.snapshot import Seen

Cells = Callable[..., Callable[..., Any]]


def test_values_by_name_and_inputs_untouched(notebook: Cells) -> None:
    given = torch.ones(2)
    observed = run_probe(
        notebook("def observe(x, n):\n    x += n\n    return {'y': x * 2, 'x_after': x}"),
        {"x": given, "n": 3},
    )
    assert given.tolist() == [1.0, 1.0]
    y, after = observed.values["y"], observed.values["x_after"]
    assert isinstance(y, Seen)
    assert isinstance(after, Seen)
    assert y.data.tolist() == [8.0, 8.0]
    assert (y.shares, after.shares) == (None, "x")


@pytest.mark.parametrize("raised", ["SystemExit(3)", "NotImplementedError()", "BaseException('x')", "GeneratorExit()"])
def test_whatever_is_raised_is_an_observation(notebook: Cells, raised: str) -> None:
    failure = run_probe(notebook(f"def observe(x):\n    raise {raised}"), {"x": 1}).failure
    assert failure is not None
    assert failure.type_name == raised.split("(")[0]


def test_the_stop_button_passes_through(notebook: Cells) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_probe(notebook("def observe(x):\n    raise KeyboardInterrupt"), {"x": 1})


def test_wrong_parameters_and_wrong_results_are_failures(notebook: Cells) -> None:
    for source in (
        "def observe(other): return {}",
        "def observe(x): return 3",
        "def observe(x): return None",
    ):
        assert run_probe(notebook(source), {"x": 1}).failure is not None
