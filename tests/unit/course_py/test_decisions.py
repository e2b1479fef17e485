"""What course.py decides: which environment to keep, what to install into it, which steps a test has."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3]
REST = ["-c", "constraints.txt", "-e", "."]


def test_its_syntax_is_old_enough_to_tell_an_old_python_that_it_is_too_old() -> None:
    ast.parse((SOURCE / "course.py").read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("file", ["course.py", *(f"setup/{path.name}" for path in (SOURCE / "setup").glob("*.py"))])
def test_it_imports_the_standard_library_only(file: str) -> None:
    tree = ast.walk(ast.parse((SOURCE / file).read_text(encoding="utf-8")))
    imported: set[str] = set()
    for node in tree:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names | {"setup"}


def test_lab_installs_the_student_part_and_test_adds_the_rest(checkout: Any, capsys: Any) -> None:
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls("pip")[-1] == REST
    assert checkout.stamp()["state"] == "ready"
    assert capsys.readouterr().err.startswith(
        "Setting the course up in .venv; the first time takes up to a few minutes.\n- making the environment ...\n"
    )
    checkout.course.run_tests = lambda python, full: 0
    assert checkout.course.main(["test"]) == 0
    assert checkout.calls("pip")[-1][-1] == ".[dev,instructor]"
    assert capsys.readouterr().err.startswith("Adding what tests and grading need to .venv.\n")
    before = len(checkout.calls())
    assert checkout.course.main(["lab"]) == 0  # more than it needs is there already
    assert len(checkout.calls()) == before


def test_an_environment_has_a_pip_of_its_own(checkout: Any) -> None:
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls()[-1] == ["ensurepip"]


def test_nothing_to_do_takes_well_under_a_second(checkout: Any, capsys: Any) -> None:
    checkout.course.main(["lab"])
    capsys.readouterr()
    calls, started = checkout.calls(), time.process_time()
    checkout.course.main(["lab"])
    assert time.process_time() - started < 0.5
    assert checkout.calls() == calls
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file", ["constraints.txt", "pyproject.toml", "setup/pytorch.py"])
def test_changed_requirements_update_the_environment(checkout: Any, capsys: Any, file: str) -> None:
    checkout.course.main(["lab"])
    with open(checkout.root / file, "a", encoding="utf-8") as changed:
        changed.write("# changed\n")
    capsys.readouterr()
    assert checkout.course.main(["lab"]) == 0
    assert capsys.readouterr().err.startswith("The course's requirements have changed; updating .venv.\n")
    assert checkout.stamp()["fingerprint"] == checkout.part("environment").fingerprint()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("state", "building", "An earlier set-up of .venv did not finish; building it again."),
        (
            "here",
            ["elsewhere", 3, 11],
            "The environment in .venv is for another Python or folder; building it again.",
        ),
        ("layout", 1, "The environment in .venv is from an earlier version of the course; building it again."),
        ("torch", "cuda", "The environment in .venv holds another PyTorch build; building it again."),
    ],
)
def test_an_unfit_environment_is_built_again(checkout: Any, capsys: Any, field: str, value: Any, said: str) -> None:
    checkout.course.main(["lab"])
    leftover = checkout.root / ".venv" / "leftover"
    leftover.touch()
    checkout.part("environment").write_stamp(**{**checkout.stamp(), field: value})
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
        stamp.write_text('{"state": "rea', encoding="utf-8")
    else:
        shutil.rmtree(checkout.root / ".venv")
        (checkout.root / ".venv").mkdir()
    capsys.readouterr()
    assert checkout.course.main(["lab"]) == 0
    assert capsys.readouterr().err.startswith("An earlier set-up of .venv did not finish; building it again.\n")


def test_a_lost_python_is_noticed(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.course.main(["lab"])
    environment = checkout.part("environment")
    monkeypatch.setattr(environment, "PYTHON", checkout.root / "gone")
    action, reason = environment.plan(checkout.stamp(), [], "cpu", None)
    assert (action, reason) == ("build", "The environment in .venv has lost its Python; building it again.")


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
    assert checkout.course.run_tests("python", full) == 0
    assert [step[0] for step in ran] == ["ruff", "mypy", "coursekit", "pytest"]
    assert ran[-1][-2:] == last


def test_the_first_failing_step_ends_the_test_command(checkout: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: 3 if command[2] == "mypy" else 0)
    assert checkout.course.run_tests("python", False) == 3
    assert capsys.readouterr().err == "== lint: ruff check .\n== types: mypy\n"
