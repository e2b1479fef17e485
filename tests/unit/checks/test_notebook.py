"""check, hint, progress and expect_error: in IPython, in plain Python, under nbgrader, in the sandbox."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import coursekit.checks.notebook as notebook
from coursekit.checks import check, expect_error, hint, progress, results
from coursekit.checks import key as keys
from coursekit.checks.key import Case, ExerciseKey
from coursekit.errors import CourseError, Incorrect, NotAttempted

X = torch.tensor([[1.0, -2.0, 4.0], [0.5, 3.0, 8.0]])
PASSED = "✔ Passed: u01-double\n  All public checks passed; grading uses fresh inputs.\n"


@pytest.fixture(autouse=True)
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, see: Callable[..., Any]) -> Path:
    for name in ("NBGRADER_EXECUTION", "COURSEKIT_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    made = [
        ExerciseKey(name, "double", ("a?", "b", "c"), (Case({"x": X}, see(y=2 * X)),), (), (), {}, {})
        for name in ("u01-double", "u01-other")
    ]
    (tmp_path / "u01_x.key").write_bytes(keys.dump("u01_x", made))
    monkeypatch.setenv("COURSEKIT_KEYS", str(tmp_path))
    monkeypatch.setenv("COURSEKIT_RESULTS", str(tmp_path / "results.json"))
    monkeypatch.setattr(notebook, "_next_hint", {})
    return tmp_path


def right(x: torch.Tensor) -> dict[str, Any]:
    return {"y": x * 2}


def wrong(x: torch.Tensor) -> dict[str, Any]:
    return {"y": -2 * x}


def blank(x: torch.Tensor) -> dict[str, Any]:
    raise NotImplementedError


def test_plain_python_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("u01-double")(right) is right
    assert capsys.readouterr() == (PASSED, "")
    check("u01-double")(wrong)
    assert capsys.readouterr() == (
        '✘ Not yet: u01-double\n  `y` has the opposite sign everywhere.\n  For a hint, run `hint("u01-double")`.\n',
        "",
    )


@pytest.mark.parametrize(("encoding", "symbol"), [("cp949", "+"), ("cp1252", "+"), ("ascii", "+"), ("utf-8", "✔")])
def test_a_console_that_lacks_the_signs_shows_others(monkeypatch: pytest.MonkeyPatch, course: Path, encoding: str, symbol: str) -> None:
    seen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(seen, encoding, write_through=True))
    check("u01-double")(right)
    hint("u01-double")
    progress("u01")
    with expect_error(ValueError):
        raise ValueError("× σ \udc80")
    said = seen.getvalue().decode(encoding).splitlines()
    assert said[0] == f"{symbol} Passed: u01-double"
    assert f"  {symbol} Passed       u01-double" in said
    assert said[-1].startswith("ValueError: ")
    assert sys.stdout.errors == "strict"  # the session stays its owner's


def test_ipython_shows_text_and_html(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import IPython
    import IPython.display

    shown: list[dict[str, str]] = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    check("u01-double")(right)
    assert shown[0]["text/plain"] + "\n" == PASSED
    assert shown[0]["text/html"].startswith("<section")
    assert capsys.readouterr() == ("", "")


def test_stderr_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    def noisy(x: torch.Tensor) -> dict[str, Any]:
        print("a progress bar", file=sys.stderr)
        return right(x)

    check("u01-double")(noisy)
    out, err = capsys.readouterr()
    assert err == ""
    assert "a progress bar" in out
    assert out.endswith(PASSED)


@pytest.mark.parametrize(("probe", "kind"), [(wrong, Incorrect), (blank, NotAttempted)])
def test_nbgrader_sees_a_failure(
    monkeypatch: pytest.MonkeyPatch, probe: Any, kind: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    check("u01-double")(probe)
    said = capsys.readouterr().out
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(kind) as caught:
        check("u01-double")(probe)
    assert str(caught.value) + "\n" == said
    check("u01-double")(right)


def test_inert_in_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], course: Path
) -> None:
    monkeypatch.setenv("COURSEKIT_SANDBOX", "1")
    monkeypatch.setenv("COURSEKIT_KEYS", str(course / "nothing"))
    assert check("u01-double")(wrong) is wrong
    hint("u01-double")
    progress()
    assert capsys.readouterr() == ("", "")
    assert results.load() == {}


def test_an_unknown_exercise_is_our_fault() -> None:
    with pytest.raises(CourseError, match="There is no exercise `u01-doubel`"):
        check("u01-doubel")(right)


def test_student_code_that_exits_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    def leaves(x: torch.Tensor) -> dict[str, Any]:
        sys.exit("bye")

    check("u01-double")(leaves)
    assert "`double` raised SystemExit. bye" in capsys.readouterr().out


def test_the_inputs_are_fresh_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    def in_place(x: torch.Tensor) -> dict[str, Any]:
        return {"y": x.mul_(2)}

    for _ in range(2):
        check("u01-double")(in_place)
        assert capsys.readouterr().out == PASSED


def test_the_notebooks_device_is_used() -> None:
    names: dict[str, Any] = {"device": torch.device("cpu:0")}
    exec("def observe(x):\n    return {'y': 2 * x.to(device)}", names)
    assert notebook.examine("u01-double", names["observe"]).credit == 1.0


def test_hints_come_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(4):
        hint("u01-double")
        said.append(capsys.readouterr().out)
    assert said == [
        "Hint 1 of 3 for u01-double:\na?\n",
        "Hint 2 of 3 for u01-double:\nb\n",
        "Hint 3 of 3 for u01-double:\nc\n",
        "Hint 1 of 3 for u01-double:\na?\n",
    ]
    hint("u01-other")
    assert capsys.readouterr().out.startswith("Hint 1 of 3 for u01-other"), "each exercise has its own turn"


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    check("u01-double")(right)
    capsys.readouterr()
    progress()
    assert capsys.readouterr().out == (
        "u01_x: 1 of 2 passed\n  ✔ Passed       u01-double\n  ○ Not started  u01-other\ncourse: 1 of 2 passed\n"
    )
    check("u01-double")(wrong)
    capsys.readouterr()
    progress()
    assert "  ✘ Not yet      u01-double\n" in capsys.readouterr().out


def test_progress_of_units_that_are_not_under_way_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress()
    assert capsys.readouterr().out == "u01_x: 0 of 2 passed\ncourse: 0 of 2 passed\n"
    progress("u01")
    assert capsys.readouterr().out == (
        "u01_x: 0 of 2 passed\n  ○ Not started  u01-double\n  ○ Not started  u01-other\n"
    )
    progress("u07")
    assert capsys.readouterr().out == "There is no unit 'u07'. Units are: u01_x.\n"


def test_a_results_file_that_cannot_be_kept_spoils_nothing(
    course: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSEKIT_RESULTS", str(course / "u01_x.key" / "results.json"))
    check("u01-double")(right)
    progress()
    assert capsys.readouterr().out.startswith(PASSED + "u01_x: 0 of 2 passed\n")


def test_expect_error(capsys: pytest.CaptureFixture[str]) -> None:
    with expect_error(TypeError, ValueError):
        raise ValueError("shapes differ")
    assert capsys.readouterr() == ("ValueError: shapes differ\n", "")
    with pytest.raises(AssertionError) as caught, expect_error(TypeError, ValueError):
        pass
    assert str(caught.value) == "expected TypeError or ValueError, but nothing was raised"
    with pytest.raises(KeyError), expect_error(TypeError):
        raise KeyError("other")
