"""`coursekit demo`: a made-up class, from real answers, known wrong answers, blanks and broken files, graded end to end."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import json
import random
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coursekit.build import notebook
from coursekit.build.compile import Compiler
from coursekit.build.source import Exercise, read
from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError

Notebook = dict[str, Any]
DEMO_EXERCISES = 8  # the demo's class hands in the first unit with so many
LIMITS = "\n[grading]\ncell_seconds = 10\nprobe_seconds = 5\n"


class ClassMaker:
    """Makes submissions of one unit. Answers come from the unit's own solutions, variants and wrong answers."""

    def __init__(self, where: Course, unit: catalog.Unit, seed: int = 0) -> None:
        self.source = read(where.solutions / f"{unit.name}.py")
        self.compiler = Compiler.of(self.source, where.autograder / unit.name)
        self.release = notebook.text_of(notebook.release(self.source, unit))
        self.dice = random.Random(seed)

    def blank(self) -> Notebook:
        return json.loads(self.release)  # type: ignore[no-any-return]

    def filled(self, choose: Callable[[Exercise], str | None]) -> Notebook:
        """A notebook whose answer cells hold what `choose` gives; None leaves the release's cell."""
        made = self.blank()
        for exercise in self.source.exercises.values():
            text = choose(exercise)
            if text is not None:
                cell_of(made, f"{exercise.id}-answer")["source"] = text
        return made

    def right(self, exercise: Exercise) -> str:
        return "\n".join(line for line in _reference(exercise).splitlines() if "### " not in line)

    def mixed(self, exercise: Exercise) -> str | None:
        """One exercise as somebody in a class has it: mostly right, in various ways, or a common mistake, or blank."""
        key = self.compiler.key(exercise.id)
        dice = self.dice.random()
        if dice < 0.5:
            return self.right(exercise)
        if dice < 0.65:
            return self.other(exercise, key.variants) or self.right(exercise)
        if dice < 0.9:
            return self.other(exercise, [wrong.answer for wrong in key.wrong_answers])
        return None

    def other(self, exercise: Exercise, answers: list[Any]) -> str | None:
        """One of a key's answers as a cell; None if none of them can be one."""
        usable = [
            text for answer in answers if (text := as_cell(answer, exercise.function, self.compiler.names)) is not None
        ]
        return self.dice.choice(usable) if usable else None


def _reference(exercise: Exercise) -> str:
    """The answer cell without what a bug hunt's release shows."""
    kept, shown = [], False
    for line in exercise.answer.text.splitlines():
        shown = (shown or "### RELEASE SHOWS" in line) and "### END SOLUTION" not in line
        if not shown:
            kept.append(line)
    return "\n".join(kept)


def as_cell(answer: Any, function: str, names: dict[str, Any]) -> str | None:
    """A key's stand-in as a student would have typed it, with the helpers it calls; None if it needs what only the key has."""
    node = _definition(answer)
    if node is None:
        return None
    node.decorator_list = []
    node.name = function
    parts = [ast.unparse(node)]
    for name in sorted(_free(node) - set(names) - set(dir(builtins)) - {function}):
        helper = getattr(answer, "__globals__", {}).get(name)
        text = as_cell(helper, name, names) if inspect.isfunction(helper) else None
        if text is None:
            return None
        parts.insert(0, text)
    return "\n\n\n".join(parts)


def _definition(answer: Any) -> ast.FunctionDef | ast.ClassDef | None:
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(answer))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return node if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else None


def _free(node: ast.AST) -> set[str]:
    """Names that a definition reads and does not bind itself."""
    names = [item for item in ast.walk(node) if isinstance(item, ast.Name)]
    bound = {item.id for item in names if isinstance(item.ctx, ast.Store)} | {
        item.arg for item in ast.walk(node) if isinstance(item, ast.arg)
    }
    bound |= {item.name for item in ast.walk(node) if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
    return {item.id for item in names if isinstance(item.ctx, ast.Load)} - bound


def cell_of(made: Notebook, grade_id: str) -> dict[str, Any]:
    """The cell that carries a grade id."""
    return next(cell for cell in made["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}


HOSTILE = """\
import torch
torch.allclose = torch.equal = torch.Tensor.equal = lambda *a, **k: True
class Always:
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
"""


def special(maker: ClassMaker) -> dict[str, bytes]:
    """Submissions that are odd on purpose, by student name."""
    exercises = list(maker.source.exercises.values())
    first = exercises[0]

    def data(made: Notebook) -> bytes:
        return json.dumps(made, indent=1).encode()

    perfect = maker.filled(maker.right)
    looping = maker.filled(maker.right)
    looping["cells"].insert(4, code("while True:\n    pass"))
    leaving = maker.filled(
        lambda e: f"import os\n\ndef {e.function}(*inputs):\n    os._exit(0)" if e is first else maker.right(e)
    )
    hostile = maker.filled(lambda e: f"{HOSTILE}\ndef {e.function}(*inputs, **more):\n    return Always()")
    deleted = maker.filled(maker.right)
    deleted["cells"] = [cell for cell in deleted["cells"] if not cell["metadata"].get("nbgrader", {}).get("grade")]
    doubled = maker.filled(maker.right)
    doubled["cells"] += [
        dict(cell)
        for cell in doubled["cells"]
        if "nbgrader" in cell["metadata"] and cell["metadata"]["nbgrader"].get("grade")
    ]
    edited = maker.filled(lambda e: None if e is first else maker.right(e))
    for exercise in exercises:
        cell_of(edited, exercise.id)["source"] = "print('all checks passed')"
        cell_of(edited, exercise.id)["metadata"]["nbgrader"]["points"] = 1000
    other = {"cells": [code("print('homework of another course')")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return {
        "perfect": data(perfect),
        "blank": data(maker.blank()),
        "loops": data(looping),
        "leaves": data(leaving),
        "hostile": data(hostile),
        "deleted-checks": data(deleted),
        "doubled-checks": data(doubled),
        "edited-checks": data(edited),
        "truncated": data(perfect)[: len(data(perfect)) // 2],
        "empty": b"",
        "other-course": data(other),
    }


def make_class(maker: ClassMaker, students: int) -> dict[str, bytes]:
    """A class: the odd ones, and as many ordinary ones as are still needed."""
    made = special(maker)
    ordinary = max(0, students - len(made))
    for number in range(1, ordinary + 1):
        made[f"student-{number:02d}"] = json.dumps(maker.filled(maker.mixed), indent=1).encode()
    return dict(list(made.items())[:students])


def copy_course(where: Course, folder: Path) -> Course:
    """A course folder of its own, so that the demo touches no real gradebook."""
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(f"{folder} is not empty.", "Give --folder a new folder, or remove that one.")
    target = Course(folder.resolve())
    shutil.copytree(where.solutions, target.solutions, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    target.autograder.mkdir(parents=True)
    for path in [*where.autograder.glob("*.py"), where.catalog]:
        shutil.copy(path, target.autograder / path.name)
    for folder in [*where.autograder.glob("u[0-9]*_*"), where.autograder / "heldout"]:
        if folder.is_dir():
            shutil.copytree(folder, target.autograder / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    with target.catalog.open("a", encoding="utf-8") as file:
        file.write(LIMITS)
    return target


def _free_folder() -> Path:
    """demo-class, or the first demo-class-2, -3, … that is not there yet."""
    return next(
        path
        for number in itertools.count(1)
        if not (path := Path("demo-class" if number == 1 else f"demo-class-{number}")).exists()
    )


def main(students: int, folder: Path | None, isolation: str, as_json: bool, jobs: int | None = None) -> int:
    """Make a class, grade it, and leave gradebook and feedback in a folder. Returns: the exit status of grading it."""
    import contextlib

    from coursekit.grading.grade import main as grade
    from coursekit.grading.sandbox.trial import usable

    usable(isolation)  # refuses before anything is written; grading says what is on
    target = copy_course(course(), Path(folder) if folder else _free_folder())
    units = catalog.load(target.catalog).units
    unit = next((unit for unit in units if len(unit.exercises) >= DEMO_EXERCISES), units[-1])
    handed_in = target.root / "handed-in"
    handed_in.mkdir()
    for student, data in make_class(ClassMaker(target, unit), students).items():
        (handed_in / f"{student}.ipynb").write_bytes(data)
    with contextlib.chdir(target.root):
        status = grade(unit.name, handed_in, jobs, isolation, False, as_json)
    if not as_json:
        print(f"\nGradebook: {target.autograder / 'gradebook.db'}\nFeedback:  {target.autograder / 'feedback'}")
    return status
