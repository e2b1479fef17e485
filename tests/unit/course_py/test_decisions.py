"""What course.py decides: which environment to keep, what to ask of pip, which PyTorch to take."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "course.py"
CUDA = {"version": "2.13.0", "requires_dist": ['nvidia-cublas==13.1; platform_system == "Linux"']}


def test_its_syntax_is_old_enough_to_tell_an_old_python_that_it_is_too_old() -> None:
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_imports_the_standard_library_only() -> None:
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= sys.stdlib_module_names


def test_lab_installs_the_student_part_and_test_adds_the_rest(checkout: Any) -> None:
    assert checkout.course.main(["lab"]) == 0
    installed = checkout.calls()[-1]
    assert installed == ["--no-input", "install", "-c", "constraints.txt", "-e", "."]
    assert checkout.stamp()["state"] == "ready"
    checkout.course.run_tests = lambda full: 0
    assert checkout.course.main(["test"]) == 0
    assert checkout.calls()[-1][-1] == ".[dev,instructor]"
    before = len(checkout.calls())
    assert checkout.course.main(["lab"]) == 0  # more than it needs is there already
    assert len(checkout.calls()) == before


def test_nothing_to_do_takes_well_under_a_second(checkout: Any, capsys: Any) -> None:
    checkout.course.main(["lab"])
    capsys.readouterr()
    calls, started = checkout.calls(), time.process_time()
    checkout.course.main(["lab"])
    assert time.process_time() - started < 0.5
    assert checkout.calls() == calls
    assert capsys.readouterr().err == ""


def test_changed_requirements_update_the_environment(checkout: Any, capsys: Any) -> None:
    checkout.course.main(["lab"])
    (checkout.root / "constraints.txt").write_text("torch==2.14.0\n", "utf-8")
    capsys.readouterr()
    assert checkout.course.main(["lab"]) == 0
    assert capsys.readouterr().err.startswith("The course's requirements have changed; updating .venv.\n")
    assert checkout.stamp()["fingerprint"] == checkout.course.fingerprint()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("state", "building", "An earlier set-up of .venv did not finish; building it again."),
        (
            "here",
            ["elsewhere", 3, 11],
            "The environment in .venv is for another Python or folder; building it again.",
        ),
        ("torch", "cuda", "The environment in .venv holds the other PyTorch build; building it again."),
    ],
)
def test_an_unfit_environment_is_built_again(checkout: Any, capsys: Any, field: str, value: Any, said: str) -> None:
    checkout.course.main(["lab"])
    leftover = checkout.root / ".venv" / "leftover"
    leftover.touch()
    checkout.course.write_stamp(**{**checkout.stamp(), field: value})
    capsys.readouterr()
    assert checkout.course.main(["lab"]) == 0
    assert capsys.readouterr().err.splitlines()[0] == said
    assert not leftover.exists()


@pytest.mark.parametrize("spoil", ["no stamp", "broken stamp", "empty folder"])
def test_a_half_built_environment_is_built_again(checkout: Any, capsys: Any, spoil: str) -> None:
    checkout.course.main(["lab"])
    stamp = checkout.root / ".venv" / "course-setup.json"
    if spoil == "no stamp":
        stamp.unlink()
    elif spoil == "broken stamp":
        stamp.write_text('{"state": "rea', "utf-8")
    else:
        shutil.rmtree(checkout.root / ".venv")
        (checkout.root / ".venv").mkdir()
    capsys.readouterr()
    assert checkout.course.main(["lab"]) == 0
    assert capsys.readouterr().err.startswith("An earlier set-up of .venv did not finish; building it again.\n")


def test_a_lost_python_is_noticed(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.course.main(["lab"])
    monkeypatch.setattr(checkout.course, "PYTHON", str(checkout.root / "gone"))
    action, reason = checkout.course.plan(checkout.stamp(), [], "cpu")
    assert (action, reason) == ("build", "The environment in .venv has lost its Python; building it again.")


def test_the_cuda_build_is_refused_where_there_is_no_driver(checkout: Any, capsys: Any) -> None:
    checkout.plan(torch=CUDA)
    assert checkout.course.main(["lab"]) == 1
    assert len(checkout.calls()) == 1  # asked, and nothing was loaded
    assert capsys.readouterr().err.endswith(
        "course.py: No NVIDIA driver is here, and pip finds PyTorch 2.13.0 only as the CUDA build, "
        "several gigabytes of it.\n"
        "Give the CPU build's address, as PyTorch's Get Started page names it: --torch-index URL. "
        "Or take the CUDA build all the same: --torch cuda.\n"
    )


def test_the_cuda_build_is_taken_when_asked_for_and_that_is_remembered(checkout: Any) -> None:
    checkout.plan(torch=CUDA)
    assert checkout.course.main(["lab", "--torch", "cuda"]) == 0
    assert [call[1] for call in checkout.calls()] == ["install"]
    assert checkout.stamp()["torch"] == "cuda"
    assert checkout.course.main(["lab"]) == 0
    assert len(checkout.calls()) == 1


def test_a_driver_chooses_the_cuda_build(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout.course, "has_nvidia_driver", lambda: True)
    checkout.plan(torch=CUDA)
    assert checkout.course.main(["lab"]) == 0
    assert checkout.stamp()["torch"] == "cuda"


@pytest.mark.parametrize("by", ["option", "variable"])
def test_the_index_for_torch_is_added_to_the_configured_sources(checkout: Any, by: str, monkeypatch: Any) -> None:
    if by == "variable":
        monkeypatch.setenv("COURSE_TORCH_INDEX", "file:///wheels")
    assert checkout.course.main(["lab"] if by == "variable" else ["lab", "--torch-index", "file:///wheels"]) == 0
    for call in checkout.calls():
        assert call[-2:] == ["--extra-index-url", "file:///wheels"]


def test_help_installs_nothing(checkout: Any, capsys: Any) -> None:
    assert checkout.course.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: python3 course.py lab ")
    assert checkout.course.main([]) == 2
    assert capsys.readouterr().err.startswith("usage: python3 course.py lab ")
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize(("full", "last"), [(False, ["-m", "not slow"]), (True, ["-n", "2"])])
def test_the_test_command_runs_its_steps_in_order(checkout: Any, monkeypatch: Any, full: bool, last: list[str]) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: ran.append(command[2:]) or 0)
    assert checkout.course.run_tests(full) == 0
    assert [step[0] for step in ran] == ["ruff", "mypy", "coursekit", "pytest"]
    assert ran[-1][-2:] == last


def test_the_first_failing_step_ends_the_test_command(checkout: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: 3 if command[2] == "mypy" else 0)
    assert checkout.course.run_tests(False) == 3
    assert capsys.readouterr().err == "== lint: ruff check .\n== types: mypy\n"
