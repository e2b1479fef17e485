"""A probe runs on copies, and what it raises is told by the student's own line."""

from __future__ import annotations

import linecache
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
import torch

from coursekit.checks import probe
from coursekit.checks.probe import failure_of, run_probe
from coursekit.checks.snapshot import Seen


def notebook(*cells: str) -> Callable[..., Any]:
    """Run cells as IPython does, under names in angle brackets that linecache knows; give `observe`."""
    space: dict[str, Any] = {"torch": torch}
    for number, cell in enumerate(cells):
        name = f"<ipython-input-{number}-test>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), space)
    return space["observe"]  # type: ignore[no-any-return]


def test_values_by_name_and_inputs_untouched() -> None:
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


def test_a_failure_names_the_line_of_the_student_and_not_of_the_probe_or_a_library() -> None:
    answer = "def helper(x):\n    return torch.matmul(x, x)\n\ndef answer(x):\n    return helper(x)"
    failure = run_probe(
        notebook(answer, "def observe(x):\n    return {'y': answer(x)}"), {"x": torch.ones(2, 3)}
    ).failure
    assert failure is not None
    assert (failure.type_name, failure.function, failure.lineno) == ("RuntimeError", "helper", 2)
    assert failure.line == "return torch.matmul(x, x)"
    assert "shapes cannot be multiplied" in failure.message


def test_a_failure_in_the_probe_itself_names_the_probe() -> None:
    failure = run_probe(notebook("def observe(x):\n    return {'y': missing(x)}"), {"x": 1}).failure
    assert failure is not None
    assert (failure.type_name, failure.function, failure.line) == (
        "NameError",
        "observe",
        "return {'y': missing(x)}",
    )


@pytest.mark.parametrize("raised", ["SystemExit(3)", "NotImplementedError()", "BaseException('x')", "GeneratorExit()"])
def test_whatever_is_raised_is_an_observation(raised: str) -> None:
    failure = run_probe(notebook(f"def observe(x):\n    raise {raised}"), {"x": 1}).failure
    assert failure is not None
    assert failure.type_name == raised.split("(")[0]


def test_the_stop_button_passes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_probe(notebook("def observe(x):\n    raise KeyboardInterrupt"), {"x": 1})


def test_wrong_parameters_and_wrong_results_are_failures() -> None:
    for source in (
        "def observe(other): return {}",
        "def observe(x): return 3",
        "def observe(x): return None",
    ):
        assert run_probe(notebook(source), {"x": 1}).failure is not None


def test_an_error_whose_text_cannot_be_made_is_still_an_observation() -> None:
    source = "class Bad(Exception):\n    def __str__(self): raise ValueError\ndef observe(x):\n    raise Bad"
    failure = run_probe(notebook(source), {"x": 1}).failure
    assert failure is not None
    assert failure.type_name == "Bad"


def test_a_long_message_is_cut() -> None:
    failure = run_probe(notebook("def observe(x):\n    raise ValueError('x' * 10**6)"), {"x": 1}).failure
    assert failure is not None
    assert len(failure.message) == 2000


def test_the_name_of_a_temporary_folder_is_not_in_the_message() -> None:
    """It is new in each run; two runs of one answer give the same verdict."""

    def observe() -> dict[str, object]:
        with tempfile.TemporaryDirectory() as folder:
            return {"y": open(f"{folder}/letters/A.png", encoding="utf-8")}

    failure = run_probe(observe, {}).failure
    assert failure is not None
    assert failure.message == f"[Errno 2] No such file or directory: '{tempfile.gettempdir()}/…/letters/A.png'"


def test_a_failure_is_described_on_a_full_disk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    assert failure_of(ValueError("a shape")).message == "a shape"
    assert probe._temporary() == "/tmp"
