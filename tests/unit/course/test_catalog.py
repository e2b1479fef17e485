"""course.toml: read as data, refused with its line when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.course import catalog
from coursekit.errors import CourseError

TEXT = """\
[course]
title = "Mini"

[[unit]]
name = "u01_tensors"
title = "Tensors"
hours = 1.5
points = 6

[[unit.exercise]]
id = "u01-a"
points = 4
difficulty = 1
importance = 5
minutes = 5
why = "So."

[[unit.exercise]]
id = "u01-b"
kind = "hunt"
points = 2
difficulty = 1
importance = 2
minutes = 5
why = "So."

[[unit]]
name = "u02_autograd"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "course.toml"
    path.write_text(TEXT, "utf-8")
    return path


def test_load(file: Path) -> None:
    course = catalog.load(file)
    assert (course.title, [unit.name for unit in course.units]) == ("Mini", ["u01_tensors", "u02_autograd"])
    unit = course.unit("u01")
    assert unit is course.unit("u01_tensors")
    assert (unit.short, unit.title, unit.hours, unit.points) == ("u01", "Tensors", 1.5, 6)
    assert unit.exercise("u01-b") == catalog.Exercise("u01-b", "hunt", 2, 1, 2, 5, "So.")
    assert course.unit("u02").title == "u02_autograd"
    with pytest.raises(KeyError):
        unit.exercise("u01-c")


def test_select(file: Path) -> None:
    course = catalog.load(file)
    assert course.select([]) == list(course.units)
    assert [unit.short for unit in course.select(["u02", "u01"])] == ["u02", "u01"]
    with pytest.raises(CourseError) as caught:
        course.select(["u03"])
    assert str(caught.value) == "There is no unit `u03`.\nUnits in this course: u01_tensors, u02_autograd."
    with pytest.raises(CourseError, match="none yet"):
        catalog.Catalog("x", ()).unit("u01")


SUM = "course.toml:5: the exercises of `u01_tensors` add up to {} points, the unit says {}.\nMake the two agree."
RANGE = "Points are above 0; difficulty and importance go from 1 to 5."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("points = 6", "points = 7", SUM.format(6, 7)),
        ("points = 6\n", "", SUM.format(6, 0)),
        (
            "points = 6",
            'points = "six"',
            "course.toml:5: the hours or points of `u01_tensors` are not numbers.\nWrite them without "
            "quotes, such as points = 50.",
        ),
        ("points = 4", "points = -4", f"course.toml:11: `u01-a` has a number out of range.\n{RANGE}"),
        ("importance = 5", "importance = 6", f"course.toml:11: `u01-a` has a number out of range.\n{RANGE}"),
        ("points = 4", "points = nan", f"course.toml:11: `u01-a` has a number out of range.\n{RANGE}"),
        (
            "points = 4",
            "points = [4]",
            "course.toml:11: `u01-a` has a number that is none.\nWrite points, difficulty, importance "
            "and minutes without quotes.",
        ),
        (
            "points = 4\n",
            "",
            "course.toml:11: `u01-a` has no points.\nGive it points, difficulty, importance, minutes and why.",
        ),
        ('"hunt"', '"quiz"', 'course.toml:19: `u01-b` is of kind `quiz`.\nKinds are "exercise" and "hunt".'),
        ('"u01-b"', '"u01-a"', "course.toml:19: `u01-a` is listed twice.\nKeep one of them; ids are never shared."),
        (
            '"u02_autograd"',
            '"u01_again"',
            "course.toml:28: `u01` is listed twice.\nKeep one of them; ids are never shared.",
        ),
        (
            '"u01-b"',
            '"u02-b"',
            "course.toml:19: an exercise of `u01_tensors` has the id `u02-b`.\n"
            "Name it u01- and lower-case words joined by hyphens.",
        ),
        ('"u02_autograd"', '"autograd"', "course.toml:28: a unit is named `autograd`.\nName units like u03_function."),
        ('name = "u02_autograd"\n', "", "course.toml: a unit is named ``.\nName units like u03_function."),
        (
            '[[unit]]\nname = "u02_autograd"\n',
            "[[unit]]\nname = = 2\n",
            "course.toml is not valid TOML: Invalid value (at line 28, column 8).\nMend the line it names.",
        ),
    ],
)
def test_refused(file: Path, old: str, new: str, said: str) -> None:
    assert TEXT.count(old) == 1
    file.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(CourseError) as caught:
        catalog.load(file)
    assert str(caught.value) == said


@pytest.mark.parametrize("text", ["unit = 3\n", '[unit]\nname = "u01_x"\n', "course = 3\n"])
def test_tables_of_the_wrong_form(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=r"does not list its units as \[\[unit\]\]"):
        catalog.load(file)


def test_exercises_of_the_wrong_form(file: Path) -> None:
    file.write_text('[[unit]]\nname = "u01_x"\nexercise = 3\n', encoding="utf-8")
    with pytest.raises(CourseError, match=r"does not list its exercises as \[\[unit.exercise\]\]"):
        catalog.load(file)


def test_a_missing_or_foreign_file(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"^course.toml cannot be read: No such file or directory."):
        catalog.load(tmp_path / "course.toml")
    (tmp_path / "course.toml").write_bytes(b"\xff")
    with pytest.raises(CourseError, match="is not valid TOML"):
        catalog.load(tmp_path / "course.toml")


def test_section() -> None:
    start, end = catalog.section(TEXT, "u01_tensors")
    assert TEXT[start:end].startswith('[[unit]]\nname = "u01_tensors"')
    assert TEXT[end:] == '[[unit]]\nname = "u02_autograd"\n'
    assert catalog.section(TEXT, "u02_autograd") == (end, len(TEXT))
    assert catalog.section(TEXT, "u03_x") == (0, 0)
