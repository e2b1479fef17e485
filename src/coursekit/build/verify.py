"""Say what is missing in a unit before it is built: each exercise has one solution, one check, a key, hints, wrong answers."""

from __future__ import annotations

import re
from dataclasses import replace

from coursekit.build.compile import Compiler, opaque
from coursekit.build.key_folder import key_file, key_files
from coursekit.build.source import Exercise, UnitSource
from coursekit.checks.judge import judge
from coursekit.checks.key import ExerciseKey
from coursekit.checks.likeness import REFUSAL
from coursekit.checks.verdict import State
from coursekit.course.authoring import Key
from coursekit.course.catalog import Unit, load, section
from coursekit.course.paths import Course

BLANK = "FILL IN"  # how `coursekit new` marks what an author still has to write
HINTS, WRONG_ANSWERS, VARIANTS = 3, 6, 2


def blanks(where: Course, unit: Unit) -> list[str]:
    """What `coursekit new` left to be filled in: one line of text each, with file and line."""
    said = []
    toml = where.catalog.read_text("utf-8")
    start, end = section(toml, unit.name)
    parts = [("autograder/course.toml", toml[start:end], toml.count("\n", 0, start))]
    for path in (where.solutions / f"{unit.name}.py", *key_files(where.autograder / unit.name)):
        if path.is_file():
            parts.append((path.relative_to(where.root).as_posix(), path.read_text("utf-8", "replace"), 0))
    for file, text, before in parts:
        said += [
            f"{file}:{number}: a blank is left: {line.strip()}"
            for number, line in enumerate(text.splitlines(), before + 1)
            if BLANK in line
        ]
    return said


def outline(source: UnitSource, unit: Unit) -> list[str]:
    """Differences between the source and course.toml; one sentence each, with file and line where there is one."""
    file = source.path.name
    said = []
    order = [exercise.id for exercise in unit.exercises]
    for exercise in source.exercises.values():
        if exercise.id not in order:
            said.append(
                f"{file}:{exercise.check.line}: `{exercise.id}` is not in course.toml. List it under `{unit.name}`."
            )
            continue
        hunt = unit.exercise(exercise.id).kind == "hunt"
        if hunt != (exercise.broken is not None):
            need = (
                "shows no broken code; add `### RELEASE SHOWS`"
                if hunt
                else "shows broken code; call it a hunt in course.toml"
            )
            said.append(
                f"{file}:{exercise.answer.line}: `{exercise.id}` is listed as {unit.exercise(exercise.id).kind} but {need}."
            )
    said += [
        f"course.toml: `{name}` has no solution and check in {file}. Write them, or take it out."
        for name in order
        if name not in source.exercises
    ]
    if not said and list(source.exercises) != order:
        said.append(f"course.toml: the order of exercises differs from {file}. Use the notebook's order.")
    cards = [cell.exercise for cell in source.cells if cell.role == "prose" and cell.exercise]
    said += [
        f"{file}:{item.answer.line}: `{name}` needs one line {{exercise {name}}} in the prose before it; it has {cards.count(name)}."
        for name, item in source.exercises.items()
        if cards.count(name) != 1
    ]
    said += [
        f"{file}:{cell.line}: this prose announces `{cell.exercise}`, which has no check. Write its solution and check, or take the line out."
        for cell in source.cells
        if cell.role == "prose" and cell.exercise and cell.exercise not in source.exercises
    ]
    code = [cell for cell in source.cells if cell.is_code]
    if not code or code[0].role != "parameters":
        said.append(
            f'{file}:{code[0].line if code else 1}: the first code cell must be the parameters. Begin it with `# %% tags=["parameters"]`.'
        )
    return said


_LINK = re.compile(r"\]\(([^)\s]+\.ipynb)[^)]*\)")


def links(where: Course, source: UnitSource) -> list[str]:
    """Links to notebooks that the course does not have."""
    units = [unit.name for unit in load(where.catalog).units]
    return [
        f"{source.path.name}:{cell.line}: this prose links to {target}, which is no notebook of this course. Units are: {', '.join(units)}."
        for cell in source.cells
        if cell.role == "prose"
        for target in _LINK.findall(cell.text)
        if target.removesuffix(".ipynb") not in units
    ]


def completeness(compiler: Compiler) -> list[str]:
    """What an exercise's key still lacks."""
    file = compiler.source.path.name
    said = [
        f"{compiler.place(name)}: the key `{name}` has no check in {file}. Write its check, or take the key out."
        for name in compiler.keys
        if name not in compiler.source.exercises
    ]
    for name, exercise in compiler.source.exercises.items():
        if name not in compiler.keys:
            said.append(
                f'{file}:{exercise.check.line}: `{name}` has no key. Add Key("{name}", …) to {compiler.file(name)}.'
            )
        else:
            key, own = compiler.key(name), compiler.modules.get(key_file(name))
            if own is None or all(value is not key for value in vars(own).values()):
                said.append(f"{compiler.place(name)}: the key `{name}` stands in another file than its own. Move it to {key_file(name)}.")
            said += [f"{compiler.place(name)}: {line}" for line in _key(name, key)]
    return said


def _key(name: str, key: Key) -> list[str]:
    counts = (
        ("hints", len([hint for hint in key.hints if hint.strip()]), HINTS),
        ("wrong answers", len(key.wrong_answers), WRONG_ANSWERS),
        ("correct variants", len(key.variants), VARIANTS),
    )
    said = [f"`{name}` has {have} {what}; it needs {need}." for what, have, need in counts if have < need]
    names = [wrong.name for wrong in key.wrong_answers]
    said += [
        f"`{name}` has two wrong answers called {twice}. Rename one."
        for twice in dict.fromkeys(n for n in names if names.count(n) > 1)
    ]
    said += [
        f"`{name}`: the wrong answer {wrong.name} has no hint. Write one."
        for wrong in key.wrong_answers
        if not wrong.hint.strip()
    ]
    if key.cases < 1:
        said.append(f"`{name}` has {key.cases} cases. Try at least one.")
    if min(key.weights.values(), default=1.0) < 0:
        said.append(f"`{name}` has a weight below zero. Weights share the credit out.")
    return said


def _names(key: ExerciseKey) -> list[str]:
    """Names that the key speaks of and the probe does not return, and observations that nothing could compare."""
    seen = list(dict.fromkeys(name for case in key.cases for name in case.expected.values))
    spoken = (("guards", key.guards), ("weights", key.weights), ("strict_dtype", key.strict_dtype))
    said = [
        f"`{key.id}`: {what} names `{name}`, which its check does not return ({', '.join(seen)})."
        for what, names in spoken
        for name in names
        if name not in seen and name != REFUSAL
    ]
    earning = [name for name in seen if name not in key.guards]
    if not earning or sum(key.weights.get(name, 1.0) for name in earning) <= 0:
        said.append(f"`{key.id}`: no observation earns credit. Leave one out of guards, with a weight above zero.")
    said += [
        f"`{key.id}`: its check returns an object as `{name}`. Return tensors, numbers, texts, lists or dicts."
        for name in seen
        if any(opaque(case.expected.values.get(name)) for case in key.cases)
    ]
    return said


def distinct(compiler: Compiler, keys: list[ExerciseKey]) -> list[str]:
    """On the visible cases the reference passes, and each wrong answer fails and gets its own hint and no other's."""
    said = []
    for key in keys:
        place = compiler.place(key.id)
        exercise: Exercise = compiler.source.exercises[key.id]
        if odd := _names(key):
            said += [f"{place}: {line}" for line in odd]
            continue
        released = [wrong for wrong in key.wrong if wrong.released]
        told = replace(key, wrong=tuple(wrong for wrong in key.wrong if not wrong.released))
        if any(judge(told, wrong.observed).state is State.PASSED for wrong in released):
            said.append(
                f"{compiler.source.path.name}:{exercise.answer.line}: the broken code of `{key.id}` passes its check. "
                "Choose inputs that show the bug."
            )
            continue
        if judge(key, [case.expected for case in key.cases]).state is not State.PASSED:
            said.append(
                f"{place}: `{key.id}`: the reference does not pass its own check. Mend the solution or the tolerance."
            )
        for wrong in told.wrong:
            verdict = judge(key, wrong.observed)
            if verdict.state is State.PASSED:
                said.append(
                    f"{place}: `{key.id}`: the wrong answer {wrong.name} passes on the visible inputs. "
                    "Choose inputs that show its mistake."
                )
            elif verdict.matched != (wrong.name,):
                other = ", ".join(verdict.matched) or f"none ({verdict.findings[0].kind})"
                said.append(
                    f"{place}: `{key.id}`: the wrong answer {wrong.name} gets another hint: {other}. "
                    "Choose inputs that tell them apart."
                )
    return said
