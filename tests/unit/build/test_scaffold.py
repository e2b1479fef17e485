"""`coursekit new`: blanks that `build --check` lists, a unit that passes once they are filled, nothing overwritten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from coursekit.build.commands import build
from coursekit.build.scaffold import new_exercise, new_unit
from coursekit.build.verify import BLANK
from coursekit.course import catalog
from coursekit.errors import CourseError

FILES = (
    "autograder/course.toml",
    "solutions/u02_autograd.py",
    "autograder/u02_autograd/hunt_it.py",
    "autograder/u02_autograd/vjp.py",
)


def fill(text: str, wrong: list[str], right: list[str]) -> str:
    """Fill the blanks as an author would: a body where there is `...`, words elsewhere, no left-over comments."""
    bodies = {"wrong": iter(wrong), "right": iter(right)}
    lines = []
    for line in text.splitlines():
        if "FILL IN" in line:
            if "# ...  # FILL IN" in line:
                line = "    # y = x * 3"
            elif "..." in line and "the answer" in line:
                line = "    y = x * 2"
            elif "return ..." in line:
                line = f"    return {next(bodies['wrong' if 'wrong' in line else 'right'])}"
            elif re.search(r"[\w)}]  # FILL IN", line):
                line = line.split("  # FILL IN")[0]
            else:
                line = line.replace("FILL IN:", "Words:")
        lines.append(line)
        if line in ("    y = x * 2",) and "RELEASE SHOWS" not in text:
            lines.append("    return y")
    return "\n".join(lines) + "\n"


def fill_all(root: Path) -> None:
    for name in FILES:
        path = root / name
        text = fill(
            path.read_text("utf-8"),
            ["x", "-2 * x", "0 * x", "x + 2", "x * x", "x.mul_(2)"],
            ["x + x", "2 * x.clone()"],
        )
        # A hunt's region ends before the function does.
        path.write_text(re.sub(r"(# y = x \* 3\n    ### END SOLUTION\n)", r"\1    return y\n", text), "utf-8")


def said(units: list[str]) -> list[str]:
    with pytest.raises(CourseError) as caught:
        build(units, check=True)
    return [line.strip() for line in str(caught.value).splitlines()[1:-1]]


def blanks(root: Path) -> list[str]:
    return [
        f"{name}:{number}: a blank is left: {line.strip()}"
        for name in FILES
        for number, line in enumerate((root / name).read_text("utf-8").splitlines(), 1)
        if BLANK in line
    ]


def test_a_unit_with_an_exercise_and_a_hunt(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    old = mini.toml.read_text("utf-8")
    assert new_unit("u02_autograd", 'Autograd, the "engine"') == 0
    assert mini.toml.read_text("utf-8").startswith(old)
    assert capsys.readouterr().out == (
        "wrote solutions/u02_autograd.py\nwrote autograder/u02_autograd/_shared.py\nwrote autograder/course.toml\n"
        "Next: coursekit new exercise u02 u02-my-exercise\n"
    )
    assert catalog.load(mini.toml).unit("u02").title == 'Autograd, the "engine"'
    assert new_exercise("u02", "u02-vjp") == 0
    assert new_exercise("u02_autograd", "u02-hunt-it", "hunt") == 0
    assert said(["u02"]) == blanks(mini.root), "the blanks, all of them and nothing else"
    assert len(blanks(mini.root)) > 40
    fill_all(mini.root)
    assert blanks(mini.root) == []
    assert build([]) == 0
    assert build([], check=True) == 0
    made = catalog.load(mini.toml).unit("u02")
    assert [(item.id, item.kind) for item in made.exercises] == [("u02-vjp", "exercise"), ("u02-hunt-it", "hunt")]
    assert made.points == 2


def test_an_exercise_in_the_middle_keeps_the_rest_byte_for_byte(mini: Any) -> None:
    new_unit("u02_autograd", "Autograd")
    mini.toml.write_text("# a remark  \n" + mini.toml.read_text("utf-8") + "\n# no line end here", "utf-8")
    before = {path: path.read_text("utf-8") for path in (mini.toml, mini.source, mini.key, mini.hunt)}
    new_exercise("u01", "u01-class")
    assert mini.source.read_text("utf-8").startswith(before[mini.source])
    assert [path.read_text("utf-8") for path in (mini.key, mini.hunt)] == [before[mini.key], before[mini.hunt]]
    assert 'do_class_key = Key(\n    "u01-class",' in (mini.key.parent / "class.py").read_text("utf-8")
    head, tail = before[mini.toml].split('\n[[unit]]\nname = "u02')
    text = mini.toml.read_text("utf-8")
    assert text.startswith(head.replace("points = 6", "points = 7"))
    assert text.endswith('\n[[unit]]\nname = "u02' + tail)
    assert text[len(head) : -len(tail)].count("[[unit.exercise]]") == 1
    assert catalog.load(mini.toml).unit("u01").points == 7
    assert catalog.load(mini.toml).unit("u02").exercises == ()
    assert "def do_class(x):" in mini.source.read_text("utf-8"), "class is no name for a function"


def test_windows_line_ends_stay(mini: Any) -> None:
    text = mini.source.read_bytes().replace(b"\n", b"\r\n")
    mini.source.write_bytes(text)
    new_exercise("u01", "u01-vjp")
    assert mini.source.read_bytes().startswith(text)


@pytest.mark.parametrize(
    ("name", "title", "problem"),
    [
        ("autograd", "A", "A unit cannot be named `autograd`."),
        ("u2_autograd", "A", "A unit cannot be named `u2_autograd`."),
        ("u02_../../x", "A", "A unit cannot be named `u02_../../x`."),
        ("u02_autograd", "  ", "The unit `u02_autograd` needs a title."),
        ("u01_tensors", "A", "There is a unit u01 already: `u01_tensors`."),
        ("u01_other", "A", "There is a unit u01 already: `u01_tensors`."),
        ("u03_there", "A", "solutions/u03_there.py is there already."),
        ("u04_key", "A", "autograder/u04_key is there already."),
    ],
)
def test_units_that_are_refused(mini: Any, name: str, title: str, problem: str) -> None:
    (mini.source.parent / "u03_there.py").write_text("mine", "utf-8")
    (mini.toml.parent / "u04_key").mkdir()
    before = {path: path.read_bytes() for path in mini.root.rglob("*") if path.is_file()}
    with pytest.raises(CourseError) as caught:
        new_unit(name, title)
    assert caught.value.problem == problem
    assert caught.value.remedy
    assert {path: path.read_bytes() for path in mini.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("unit", "exercise", "kind", "problem"),
    [
        ("u07", "u07-x", "exercise", "There is no unit `u07`."),
        ("u01", "u02-x", "exercise", "An exercise of `u01_tensors` cannot have the id `u02-x`."),
        ("u01", "u01-X", "exercise", "An exercise of `u01_tensors` cannot have the id `u01-X`."),
        ("u01", "u01_x", "exercise", "An exercise of `u01_tensors` cannot have the id `u01_x`."),
        ("u01", "u01-sse-grad", "exercise", "`u01-sse-grad` stands in solutions/u01_tensors.py already."),
        ("u01", "u01-center", "exercise", "solutions/u01_tensors.py defines `center` already."),
        ("u01", "u01-taken", "exercise", "autograder/u01_tensors/taken.py is there already."),
        ("u01", "u01-x", "quiz", "There is no kind of exercise `quiz`."),
    ],
)
def test_exercises_that_are_refused(mini: Any, unit: str, exercise: str, kind: str, problem: str) -> None:
    (mini.key.parent / "taken.py").write_text("mine", "utf-8")
    before = {path: path.read_bytes() for path in mini.root.rglob("*") if path.is_file()}
    with pytest.raises(CourseError) as caught:
        new_exercise(unit, exercise, kind)
    assert caught.value.problem == problem
    assert caught.value.remedy
    assert {path: path.read_bytes() for path in mini.root.rglob("*") if path.is_file()} == before


def test_a_unit_without_its_source(mini: Any) -> None:
    mini.source.unlink()
    with pytest.raises(CourseError, match=r"solutions/u01_tensors.py cannot be read"):
        new_exercise("u01", "u01-x")
    assert "u01-x" not in mini.toml.read_text("utf-8")
    assert not (mini.key.parent / "x.py").exists()
