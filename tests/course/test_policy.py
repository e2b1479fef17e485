"""The rules on how an answer is written: no alarm for the course's own right answers, one for the name that is asked to be done without."""

from __future__ import annotations

import pytest

from coursekit.build.key_folder import key_files
from coursekit.course.catalog import load
from coursekit.course.paths import course
from coursekit.grading.demo import ClassMaker, Notebook
from coursekit.grading.judge.policy import mentions

RULED = {"u01": 9, "u05": 2, "u07": 4}  # exercises with a rule


def sources(notebook: Notebook) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("short", RULED)
def test_rules_raise_no_false_alarm_and_see_what_they_name(short: str) -> None:
    maker = ClassMaker(course(), load(course().catalog).unit(short))
    right = sources(maker.filled(maker.right))
    ruled = 0
    for exercise in maker.source.exercises.values():
        key = maker.compiler.key(exercise.id)
        ruled += bool(key.forbids)
        assert mentions(right, exercise.function, key.forbids) == [], exercise.id
        for variant in key.variants:
            if key.forbids and (text := maker.other(exercise, [variant])):
                assert mentions([*right, text], exercise.function, key.forbids) == [], variant.__name__
        for name in key.forbids:
            answer = f"def {exercise.function}(*inputs):\n    return torch.somewhere.{name}(*inputs)"
            assert mentions([*right, answer], exercise.function, key.forbids) == [name]
    assert ruled == RULED[short]


def test_no_other_unit_has_rules() -> None:
    for unit in load(course().catalog).units:
        if unit.short not in RULED:
            files = key_files(course().autograder / unit.name)
            assert files
            assert [path.name for path in files if "forbids=" in path.read_text("utf-8")] == [], unit.name
