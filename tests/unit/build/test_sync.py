"""A committed key is compared as a check would: last digits and a library's words are no difference, and whose matter one is, is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from coursekit.build import commands, sync
from coursekit.build.commands import build
from coursekit.checks import key as keys
from coursekit.checks.key import ExerciseKey
from coursekit.checks.snapshot import Failure, Observed, Seen
from coursekit.errors import CourseError

ELSEWHERE = {"Python": "3.13.5", "torch": "2.15.0", "processor": "aarch64 DEFAULT"}


def moved(seen: Observed, factor: float) -> Observed:
    """An observation with other numbers."""
    values = {n: dataclasses.replace(v, data=v.data * factor) if isinstance(v, Seen) else v for n, v in seen.values.items()}
    return dataclasses.replace(seen, values=values)


def rewrite(mini: Any, change: Callable[[ExerciseKey], ExerciseKey], made_with: dict[str, str] | None = None) -> None:
    """Commit another key. made_with: the versions that it says it was made with; without it, those that it has."""
    old = mini.built_key.read_bytes()
    changed = [change(key) for key in keys.parse(old).values()]
    mini.built_key.write_bytes(keys.dump("u01_tensors", changed, made_with or keys.maker(old)))


def with_expected(factor: float) -> Callable[[ExerciseKey], ExerciseKey]:
    def change(key: ExerciseKey) -> ExerciseKey:
        if key.id != "u01-sse-grad":
            return key
        cases = [dataclasses.replace(case, expected=moved(case.expected, factor)) for case in key.cases]
        return dataclasses.replace(key, cases=tuple(cases))

    return change


def with_inputs(factor: float) -> Callable[[ExerciseKey], ExerciseKey]:
    def change(key: ExerciseKey) -> ExerciseKey:
        def one(value: Any) -> Any:
            return dataclasses.replace(value, data=value.data * factor) if isinstance(value, Seen) else value

        cases = [dataclasses.replace(case, inputs={n: one(v) for n, v in case.inputs.items()}) for case in key.cases]
        return dataclasses.replace(key, cases=tuple(cases))

    return change


@pytest.fixture
def built(mini: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    build([])
    capsys.readouterr()
    return mini


def test_last_digits_are_no_difference(built: Any) -> None:
    """The observations may be off, and the inputs, of which all observations are then made anew."""
    rewrite(built, with_expected(1 + 1e-7))
    assert build([], check=True) == 0
    compiler = commands.Compiler.of(commands.read(built.source), built.key.parent)
    key = keys.parse(built.built_key.read_bytes())["u01-sse-grad"]
    nudged = with_inputs(1 + 1e-7)(key)
    again = compiler.compile(key.id, inputs=[commands.sync.live(case.inputs) for case in nudged.cases])
    assert sync.unlike(compiler, {key.id: again}, {key.id: key}) == []


def test_an_author_is_told_to_build(built: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(built, with_expected(1.1))
    assert build([], check=True) == 1
    assert capsys.readouterr().err == (
        "out of sync: data/keys/u01_tensors.key\n"
        "  `u01-sse-grad`: the reference gives another `grad` in case 0\n"
        "  `u01-sse-grad`: the reference gives another `pred_after` in case 0\n"
        "  `u01-sse-grad`: the reference gives another `grad` in case 1\n"
        "  `u01-sse-grad`: the reference gives another `pred_after` in case 1\n"
        "Run `coursekit build`, and commit what it writes.\n"
    )


def test_on_another_machine_the_difference_and_the_versions_are_named(built: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(built, with_expected(1.1), ELSEWHERE)
    assert build([], check=True) == 1
    here = ", ".join(f"{what} {version}" for what, version in keys.machine().items())
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "  `u01-sse-grad`: the reference gives another `grad` in case 0"
    assert said[-3:] == [
        "  The key was written with Python 3.13.5, torch 2.15.0, processor aarch64 DEFAULT;",
        f"  this machine has {here}.",
        "Unless you changed the source, this is a fault of the course: report these lines.",
    ]
    assert sync.BUILD not in said


def test_a_change_of_the_source_is_the_authors_on_every_machine(built: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(built, lambda key: key, ELSEWHERE)
    built.change(built.key, '"zero"', '"another hint"')
    assert build([], check=True) == 1
    assert capsys.readouterr().err == (
        "out of sync: data/keys/u01_tensors.key\n"
        "  `u01-sse-grad`: the wrong answers or their hints\n"
        "Run `coursekit build`, and commit what it writes.\n"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda key: dataclasses.replace(key, hints=("other?", *key.hints[1:])), "hints"),
        (lambda key: dataclasses.replace(key, cases=key.cases[:1], wrong=()), "the number of cases"),
        (with_inputs(2.0), "the inputs of case 0"),
    ],
)
def test_what_stands_in_the_source(built: Any, capsys: pytest.CaptureFixture[str], change: Any, said: str) -> None:
    rewrite(built, change, ELSEWHERE)
    assert build([], check=True) == 1
    found = capsys.readouterr().err
    assert f"  `u01-sse-grad`: {said}\n" in found
    assert found.endswith("Run `coursekit build`, and commit what it writes.\n")


def test_an_exercise_too_many_and_one_too_few(built: Any) -> None:
    compiler = commands.Compiler.of(commands.read(built.source), built.key.parent)
    both = keys.parse(built.built_key.read_bytes())
    one = {"u01-sse-grad": both["u01-sse-grad"]}
    assert sync.unlike(compiler, one, both) == ["`u01-hunt-mean` is not in the committed key"]
    assert sync.unlike(compiler, both, one) == ["`u01-hunt-mean` is in the committed key only"]
    assert sync.unlike(compiler, dict(reversed(both.items())), both) == ["the order of exercises differs"]


def test_long_lists_are_cut(built: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def lost(key: ExerciseKey) -> ExerciseKey:
        wrong = [dataclasses.replace(one, observed=(Observed(failure=Failure("E", "")),) * len(one.observed)) for one in key.wrong]
        return dataclasses.replace(key, wrong=tuple(wrong))

    rewrite(built, lost)
    assert build([], check=True) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 11
    assert said[9].startswith("  and ")


UNSTABLE = '''

@hunt.wrong("noise")
def noise(x):
    """Nothing is left but rounding."""
    return (x @ x.T).sum() - (x @ x.T).flip(0).sum() + x.exp().log() - x
'''


def test_build_refuses_what_hangs_on_rounding(built: Any) -> None:
    before = built.built_key.read_bytes()
    built.hunt.write_text(built.hunt.read_text("utf-8") + UNSTABLE, "utf-8")
    built.change(built.hunt, 'Key("u01-hunt-mean", hints=("a?", "b", "c"))', 'Key("u01-hunt-mean", hints=("a?", "b", "c"), tolerance=TIGHT)')
    built.change(built.hunt, "import Key\n", "import Key, Tolerance\n\nTIGHT = Tolerance(0, 1e-12, 'no rounding')\n")
    with pytest.raises(CourseError) as caught:
        build([])
    assert caught.value.problem.startswith("u01_tensors.key would hold what another processor or number of threads gives otherwise:\n")
    assert "`u01-hunt-mean`: the wrong answer noise gives another `centred` in case 0" in caught.value.problem
    assert caught.value.remedy == "Choose inputs or a tolerance with which rounding does not show, or give the wrong answer `within=`."
    assert built.built_key.read_bytes() == before
