"""The course's table of contents, autograder/course.toml: units, exercises and points."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError

UNIT_NAME = re.compile(r"u\d\d_[a-z0-9_]+")
EXERCISE_ID = re.compile(r"u\d\d-[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Exercise:
    """One graded exercise. difficulty, importance: 1–5. minutes: expected time."""

    id: str
    kind: str
    points: float
    difficulty: int
    importance: int
    minutes: int
    why: str


@dataclass(frozen=True)
class Unit:
    """One notebook. `short` is its number, such as u01; `hours` is the expected time."""

    name: str
    title: str
    hours: float
    points: float
    exercises: tuple[Exercise, ...]

    @property
    def short(self) -> str:
        return self.name[:3]

    def exercise(self, exercise_id: str) -> Exercise:
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        raise KeyError(exercise_id)


@dataclass(frozen=True)
class Catalog:
    """All units, in order. grading: the instructor's own limits, by name (seconds, bytes)."""

    title: str
    units: tuple[Unit, ...]
    grading: dict[str, float] = field(default_factory=dict)

    def unit(self, name: str) -> Unit:
        """Find a unit by name or short name. Raises: CourseError: naming those there are."""
        for unit in self.units:
            if name in (unit.name, unit.short):
                return unit
        known = ", ".join(unit.name for unit in self.units) or "none yet"
        raise CourseError(f"There is no unit `{name}`.", f"Units in this course: {known}.")

    def select(self, names: list[str]) -> list[Unit]:
        """The named units, or all of them."""
        return [self.unit(name) for name in names] if names else list(self.units)


def load(path: Path) -> Catalog:
    """Read course.toml.

    Raises: CourseError: with the file, and the unit or exercise that is wrong.
    """
    try:
        return _parsed(path.read_text("utf-8"), path.name)
    except OSError as error:
        raise CourseError(f"{path.name} cannot be read: {error.strerror}.", f"Expected it at {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CourseError(f"{path.name} is not valid TOML: {error}.", "Mend the line it names.") from None


@functools.lru_cache(maxsize=4)  # nbgrader's plug-in asks several times for each submission
def _parsed(text: str, file: str) -> Catalog:
    data = tomllib.loads(text)
    items, course = data.get("unit", []), data.get("course", {})
    if not isinstance(items, list) or not isinstance(course, dict):
        raise CourseError(
            f"{file} does not list its units as [[unit]].",
            "Write one [[unit]] table for each unit, and one [course] table.",
        )
    where = _Places(file, text)
    units = tuple(_unit(item, where) for item in items)
    seen: set[str] = set()
    for unit in units:
        for identifier in (unit.name, unit.short, *(exercise.id for exercise in unit.exercises)):
            if identifier in seen:
                place = where(unit.name if identifier == unit.short else identifier, last=True)
                raise CourseError(
                    f"{place}: `{identifier}` is listed twice.", "Keep one of them; ids are never shared."
                )
            seen.add(identifier)
    return Catalog(
        str(course.get("title", "PyTorch from the inside")), units, _grading(data.get("grading", {}), file)
    )


def _grading(table: Any, file: str) -> dict[str, float]:
    if not isinstance(table, dict) or not all(type(value) in (int, float) and value > 0 for value in table.values()):
        raise CourseError(
            f"{file}: [grading] holds something that is not a number above zero.",
            "Write limits such as cell_seconds = 60.",
        )
    return {str(name): value for name, value in table.items()}


def section(text: str, unit: str) -> tuple[int, int]:
    """Where a unit's part of course.toml begins and ends, in characters; (0, 0) if it is not there."""
    starts = [match.start() for match in re.finditer(r"^\[\[\s*unit\s*\]\]", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if re.search(rf"""^\s*name\s*=\s*["']{re.escape(unit)}["']""", text[start:end], re.MULTILINE):
            return start, end
    return 0, 0


@dataclass(frozen=True)
class _Places:
    """Finds the line of a name in course.toml, for messages."""

    file: str
    text: str

    def __call__(self, name: str, last: bool = False) -> str:
        lines = [
            number
            for number, line in enumerate(self.text.splitlines(), 1)
            if re.search(rf"""["']{re.escape(name)}["']""", line)
        ]
        return f"{self.file}:{lines[-1 if last else 0]}" if name and lines else self.file


def _unit(item: Any, where: _Places) -> Unit:
    entries = item.get("exercise", []) if isinstance(item, dict) else None
    if not isinstance(entries, list):
        raise CourseError(
            f"{where.file}: a unit does not list its exercises as [[unit.exercise]].",
            "Write one [[unit.exercise]] table for each exercise.",
        )
    name = str(item.get("name", ""))
    if not UNIT_NAME.fullmatch(name):
        raise CourseError(f"{where(name)}: a unit is named `{name}`.", "Name units like u03_function.")
    exercises = tuple(_exercise(entry, name, where) for entry in entries)
    try:
        unit = Unit(
            name, str(item.get("title", name)), float(item.get("hours", 1)), float(item.get("points", 0)), exercises
        )
    except (TypeError, ValueError):
        raise CourseError(
            f"{where(name)}: the hours or points of `{name}` are not numbers.",
            "Write them without quotes, such as points = 50.",
        ) from None
    total = sum(exercise.points for exercise in exercises)
    if total != unit.points:
        raise CourseError(
            f"{where(name)}: the exercises of `{name}` add up to {total:g} points, the unit says {unit.points:g}.",
            "Make the two agree.",
        )
    return unit


def _exercise(entry: dict[str, Any], unit: str, where: _Places) -> Exercise:
    identifier = str(entry.get("id", ""))
    place = where(identifier)
    if not EXERCISE_ID.fullmatch(identifier) or identifier[:3] != unit[:3]:
        raise CourseError(
            f"{place}: an exercise of `{unit}` has the id `{identifier}`.",
            f"Name it {unit[:3]}- and lower-case words joined by hyphens.",
        )
    try:
        exercise = Exercise(
            identifier,
            str(entry.get("kind", "exercise")),
            float(entry["points"]),
            int(entry["difficulty"]),
            int(entry["importance"]),
            int(entry["minutes"]),
            str(entry["why"]),
        )
    except KeyError as error:
        raise CourseError(
            f"{place}: `{identifier}` has no {error.args[0]}.",
            "Give it points, difficulty, importance, minutes and why.",
        ) from None
    except (TypeError, ValueError):
        raise CourseError(
            f"{place}: `{identifier}` has a number that is none.",
            "Write points, difficulty, importance and minutes without quotes.",
        ) from None
    if exercise.kind not in ("exercise", "hunt"):
        raise CourseError(f"{place}: `{identifier}` is of kind `{exercise.kind}`.", 'Kinds are "exercise" and "hunt".')
    if not 0 < exercise.points < float("inf") or not 1 <= exercise.difficulty <= 5 or not 1 <= exercise.importance <= 5:
        raise CourseError(
            f"{place}: `{identifier}` has a number out of range.",
            "Points are above 0; difficulty and importance go from 1 to 5.",
        )
    return exercise
