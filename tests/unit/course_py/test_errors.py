"""What course.py says when the machine is unfit, an install fails or is stopped, or a command is misspelt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "course.py"


def test_a_python_that_is_too_old(checkout: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    old = SimpleNamespace(version_info=(3, 8, 20, "final", 0), stderr=sys.stderr)
    monkeypatch.setattr(checkout.course, "sys", old)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err == (
        "course.py: This is Python 3.8; the course needs 3.11 or newer.\n"
        "Install a newer Python and name it, for example: python3.12 course.py lab\n"
    )


def test_a_folder_that_is_no_environment_is_left_alone(checkout: Any, capsys: Any) -> None:
    work = checkout.root / ".venv" / "thesis.txt"
    work.parent.mkdir()
    work.write_text("work", "utf-8")
    assert checkout.course.main(["lab"]) == 1
    folder = checkout.root / ".venv"
    said = f"course.py: .venv is there, but is not a Python environment: {folder}\nMove it away.\n"
    assert capsys.readouterr().err.endswith(said)
    assert work.read_text("utf-8") == "work"


@pytest.mark.parametrize(
    ("says", "problem", "remedy"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "The disk is full.",
            "Free some space and run the same command again.",
        ),
        (
            "WARNING: NewConnectionError('Failed to establish a new connection: [Errno -3] Temporary failure in "
            "name resolution')\nERROR: No matching distribution found for torch==2.13.0",
            "pip could not reach its package source: there seems to be no network.",
            "Connect and run the same command again. "
            "With wheels in a folder, set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER.",
        ),
        (
            "ERROR: No matching distribution found for safetensors==0.8.0",
            "pip found no fitting version of a package that the course needs.",
            "The lines above name it; the sources that pip is configured with must offer it.",
        ),
    ],
)
def test_causes_of_a_failed_install(checkout: Any, capsys: Any, says: str, problem: str, remedy: str) -> None:
    checkout.plan(says=says, status=1)
    assert checkout.course.main(["lab"]) == 1
    said = capsys.readouterr().err
    log = checkout.root / ".venv" / "course-setup.log"
    assert said.endswith(f"course.py: {problem}\n{remedy} All that pip said: {log}\n")
    assert "  | " + says.splitlines()[-1] in said  # pip's own last lines stand above
    assert says in log.read_text("utf-8")
    assert checkout.stamp()["state"] == "building"


def test_an_unknown_failure_names_the_log(checkout: Any, capsys: Any) -> None:
    checkout.plan(says="error: subprocess-exited-with-error", status=1)
    assert checkout.course.main(["lab"]) == 1
    log = checkout.root / ".venv" / "course-setup.log"
    said = f"course.py: pip failed.\nIts last lines are above, all that it said is in {log}\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_no_module_to_make_environments(checkout: Any, capsys: Any, monkeypatch: Any, module: str) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else real(name))
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: This Python has no `{module}` module to make an environment: {sys.executable}\n"
        "Debian, Ubuntu: sudo apt install python3-venv. Elsewhere: install a Python that has venv.\n"
    )
    assert not (checkout.root / ".venv").exists()


def test_too_little_disk(checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 0, 1.25e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: Only 1.2 GB are free in {checkout.root}; setting up needs 3 GB.\n"
        "Free some space and run the same command again.\n"
    )


def test_a_folder_that_cannot_be_written(checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkout.course.os, "makedirs", refuse)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: Cannot write to {checkout.root / '.venv'}: Permission denied.\n"
        "Put the course into a folder that you may write to.\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lab", "--nope"], "coursekit: error: unrecognized arguments: --nope"),
        (["--nope"], "coursekit: error: "),
        (["gradee", "u01"], "invalid choice: 'gradee'"),
        (["test", "--ful"], "`test` takes nothing but --full; got: --ful"),
        (["lab", "--torch", "gpu"], "argument --torch: invalid choice: 'gpu'"),
        (["lab", "--port", "x"], "expected a whole number above zero, got 'x'"),
    ],
)
def test_a_misspelt_command_is_refused_before_anything_is_installed(
    checkout: Any, capsys: Any, words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        checkout.course.main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not (checkout.root / ".venv").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_install_stops_pip_and_the_next_run_builds_again(
    checkout: Any, number: signal.Signals, status: int
) -> None:
    checkout.plan(sleep=60)
    base = getattr(sys, "_base_executable", sys.executable)
    # coursekit's parser comes from src: the base Python has no coursekit installed
    shutil.copytree(SOURCE.parent / "src", checkout.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    command = [base, str(checkout.root / "course.py"), "lab", "--torch", "cpu"]
    # A shell's background job ignores Ctrl-C, and so would all that it starts, this test's child as well.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hears)
    try:
        deadline = time.monotonic() + 30
        while len(checkout.calls()) < 2:  # until pip is installing
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(number)
        _, said = child.communicate(timeout=20)  # would wait for pip, which holds the pipe no longer
    finally:
        child.kill()
    assert child.returncode == status
    assert ("Stopped. Run the same command again to go on." in said) == (number == signal.SIGINT)
    assert checkout.stamp()["state"] == "building"
    action, reason = checkout.course.plan(checkout.stamp(), [], "cpu")
    assert (action, reason) == ("build", "An earlier set-up of .venv did not finish; building it again.")
