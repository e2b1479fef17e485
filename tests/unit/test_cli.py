"""The command line: a verb calls one function with plain arguments; a failure is told in two lines."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import coursekit.cli
from coursekit.errors import CourseError

CALLS: list[tuple[list[str], str, tuple[object, ...]]] = [
    (["lab"], "coursekit.lab.workspace:main", (None, False, None)),
    (
        ["lab", "--folder", "d", "--no-browser", "--port", "9"],
        "coursekit.lab.workspace:main",
        ("d", True, 9),
    ),
    (["doctor", "--json"], "coursekit.lab.doctor:main", (True,)),
    (["submit", "u01_tensors"], "coursekit.lab.submit:main", ("u01_tensors", None, None)),
    (["build"], "coursekit.build.commands:build", ([], False)),
    (["build", "--check", "u01"], "coursekit.build.commands:build", (["u01"], True)),
    (
        ["new", "unit", "u02_autograd", "Autograd"],
        "coursekit.build.scaffold:new_unit",
        ("u02_autograd", "Autograd"),
    ),
    (
        ["new", "exercise", "u02", "u02-my-relu"],
        "coursekit.build.scaffold:new_exercise",
        ("u02", "u02-my-relu", "exercise"),
    ),
    (["prove", "u01", "--seeds", "5"], "coursekit.proof.prove:main", (["u01"], 5, False, None, False)),
    (
        ["grade", "u01", "--resume", "--jobs", "2"],
        "coursekit.grading.grade:main",
        ("u01", None, 2, "bubblewrap", True, False),
    ),
    (["demo", "--isolation", "none"], "coursekit.grading.demo:main", (30, None, "none", False)),
    (
        ["run", "--device", "cpu", "--release", "--json"],
        "coursekit.proof.run:main",
        ([], "cpu", 1, True, True),
    ),
]


def stand_in(monkeypatch: pytest.MonkeyPatch, function: Any, place: str = "coursekit.lab.doctor:main") -> None:
    module, _, name = place.partition(":")
    made = ModuleType(module)
    setattr(made, name, function)
    monkeypatch.setitem(sys.modules, module, made)


def raising(error: BaseException) -> Any:
    def function(*_: object) -> int:
        raise error

    return function


@pytest.mark.parametrize(("words", "place", "arguments"), CALLS, ids=lambda value: str(value)[:40])
def test_a_verb_calls_its_function(
    monkeypatch: pytest.MonkeyPatch, words: list[str], place: str, arguments: tuple[object, ...]
) -> None:
    got: list[tuple[object, ...]] = []
    stand_in(monkeypatch, lambda unit: None, "coursekit.grading.collect.collector:start")
    stand_in(monkeypatch, lambda *given: got.append(given), place)
    assert coursekit.cli.main(words) == 0
    assert got == [arguments]


def test_the_status_of_the_function_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, lambda as_json: 1)
    assert coursekit.cli.main(["doctor"]) == 1


def test_a_course_error_is_two_lines_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stand_in(monkeypatch, raising(CourseError("There is no unit u09.", "Units: u01_tensors")))
    assert coursekit.cli.main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "coursekit: There is no unit u09.\nUnits: u01_tensors\n"
    assert captured.out == ""


def test_a_missing_instructor_package_names_what_to_install(monkeypatch: Any, capsys: Any) -> None:
    missing = ModuleNotFoundError("No module named 'nbgrader.api'", name="nbgrader.api")
    stand_in(monkeypatch, raising(missing))
    assert coursekit.cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "coursekit: This command needs the package nbgrader, which a student's install leaves out.\n"
        "Install the instructor's part: pip install .[instructor]\n"
    )


def test_another_missing_module_is_a_fault_of_ours_and_keeps_its_traceback(monkeypatch: Any) -> None:
    stand_in(monkeypatch, raising(ModuleNotFoundError("No module named 'oops'", name="oops")))
    with pytest.raises(ModuleNotFoundError):
        coursekit.cli.main(["doctor"])


def test_control_c(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stand_in(monkeypatch, raising(KeyboardInterrupt()))
    assert coursekit.cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "coursekit: stopped.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipe")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    program = (
        "import sys, types; m = types.ModuleType('coursekit.lab.doctor');"
        "m.main = lambda as_json: [print('x' * 80) for _ in range(100000)] and 0;"
        "sys.modules['coursekit.lab.doctor'] = m;"
        "from coursekit.cli import main; sys.exit(main(['doctor']))"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["gradee"], "invalid choice: 'gradee'"),
        (["grade"], "the following arguments are required: UNIT"),
        (["grade", "u01", "--isolation", "docker"], "invalid choice: 'docker'"),
        (["lab", "--port", "70000"], "expected a port from 1 to 65535, got '70000'"),
        (["prove", "--seeds", "0"], "expected a whole number above zero, got '0'"),
        (["run", "--rel"], "unrecognized arguments: --rel"),
    ],
)
def test_usage_errors_exit_2(capsys: Any, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        coursekit.cli.main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_parsing_loads_nothing_heavy() -> None:
    program = "import sys, coursekit.cli; coursekit.cli.parser(); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "numpy", "nbgrader", "IPython", "coursekit.grading"):
        assert repr(name) not in loaded
