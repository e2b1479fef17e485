"""Compare a unit's committed key with what this machine makes of its source: by the rules of a check, on the committed inputs.

So a difference is one that a learner could meet on this machine; the last digits of a number and the words of a library are none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from coursekit.build.compile import Compiler, visible_seed
from coursekit.build.perturb import another_machine
from coursekit.checks import key as keys
from coursekit.checks.compare import Rules, same, same_case
from coursekit.checks.key import UNTRIED, ExerciseKey
from coursekit.checks.likeness import likeness, rules_of
from coursekit.checks.snapshot import Observed, live, picture
from coursekit.errors import CourseError

NEAR = Rules((1e-5, 1e-7), strict_dtype=True)  # of inputs: torch.randn takes logarithms, whose last digits differ between processors
EQUAL = Rules((0.0, 0.0), strict_dtype=True)
BUILD = "Run `coursekit build`, and commit what it writes."
Key = Mapping[str, ExerciseKey]


def unlike(compiler: Compiler, committed: Key, made: Key) -> list[str]:
    """Where a unit's committed key differs from the source, in words: exercise, part, case and observation."""
    said = [f"`{name}` is not in the committed key" for name in made if name not in committed]
    said += [f"`{name}` is in the committed key only" for name in committed if name not in made]
    for name in made:
        if name in committed:
            said += [f"`{name}`: {line}" for line in _exercise(compiler, committed[name], made[name])]
    if not said and list(committed) != list(made):
        said.append("the order of exercises differs")
    return said


def unstable(compiler: Compiler, made: Key) -> list[str]:
    """Observations that another processor or number of threads would give otherwise: no key that travels may hold them.

    Cases that take seconds are left out: each is a training, whose numbers have wide tolerances.
    """
    said = []
    with another_machine():
        for name, key in made.items():
            again = compiler.all_inputs(name, visible_seed, costly=False)
            pairs = zip(key.cases[: len(again)], again, strict=True)
            said += [f"`{name}`: the inputs of case {i}" for i, (case, b) in enumerate(pairs) if not _near(case.inputs, b)]
            few = _first_cases(key, len(again))
            other = compiler.compile(name, inputs=[live(case.inputs) for case in few.cases])
            said += [f"`{name}`: {line}" for line in _observations(few, other)]
    return said


def _first_cases(key: ExerciseKey, count: int) -> ExerciseKey:
    wrong = [replace(one, observed=one.observed[:count]) for one in key.wrong]
    return replace(key, cases=key.cases[:count], wrong=tuple(wrong))


def _exercise(compiler: Compiler, old: ExerciseKey, new: ExerciseKey) -> Iterator[str]:
    """The parts that stand in the source first; observations only if they are of the same answers on the same inputs."""
    plain = [item.name for item in fields(ExerciseKey) if item.name not in ("cases", "wrong")]
    said = [name for name in plain if getattr(old, name) != getattr(new, name)]
    if [_label(wrong) for wrong in old.wrong] != [_label(wrong) for wrong in new.wrong]:
        said.append("the wrong answers or their hints")
    if len(old.cases) != len(new.cases):
        said.append("the number of cases")
    else:
        pairs = [(a.inputs, b.inputs) for a, b in zip(old.cases, new.cases, strict=True)]
        said += [f"the inputs of case {number}" for number, (a, b) in enumerate(pairs) if not _near(a, b)]
    if said:
        yield from said
        return
    if not all(_near(a, b, EQUAL) for a, b in pairs):
        new = compiler.compile(new.id, inputs=[live(case.inputs) for case in old.cases])
    yield from _observations(old, new)


def _label(wrong: keys.KnownWrong) -> tuple[str, str, bool]:
    return wrong.name, wrong.hint, wrong.released


def _observations(old: ExerciseKey, new: ExerciseKey) -> Iterator[str]:
    """Where two runs of the same answers on the same inputs differ by more than the exercise's tolerance."""
    right = [[case.expected for case in key.cases] for key in (old, new)]
    yield from _runs("the reference", functools.partial(rules_of, new), *right)
    for one, other in zip(old.wrong, new.wrong, strict=True):
        yield from _runs(f"the wrong answer {one.name}", functools.partial(likeness, new, other), one.observed, other.observed)


def _runs(who: str, rules: Callable[[str, str], Rules], old: Sequence[Observed], new: Sequence[Observed]) -> Iterator[str]:
    for number, (a, b) in enumerate(zip(old, new, strict=True)):
        if UNTRIED in (a.lost, b.lost):
            continue
        for name in dict.fromkeys([*a.values, *b.values]) or {"": None}:
            if not same_case(name, a, b, rules(name, "cpu")):
                yield f"{who} gives another {f'`{name}`' if name else 'failure'} in case {number}"


def _near(a: Mapping[str, Any], b: Mapping[str, Any], rules: Rules = NEAR) -> bool:
    """Whether inputs agree. Args: a, b: name -> plain data, live or as a key holds it."""
    one, other = (dict(picture(live(dict(side)), {})) for side in (a, b))
    return same(one, other, rules)


def explain(name: str, compiler: Compiler, committed: bytes, made: bytes) -> list[str]:
    """Say how a committed key differs from the source, and whose matter it is; nothing if it does not.

    What `build` writes is the same on every machine. If observations alone differ, and other versions wrote the key, then it is this
    machine that gives others, and building would only move the difference; else the source has changed, and its author builds.
    """
    try:
        found = unlike(compiler, keys.parse(committed), keys.parse(made))
    except CourseError as error:
        return [f"out of sync: {name}: {error.problem}", BUILD]
    if not found:
        return []
    head = [f"out of sync: {name}", *(f"  {line}" for line in found[:8])]
    if len(found) > 8:
        head.append(f"  and {len(found) - 8} more")
    then, now = keys.maker(committed), keys.maker(made)
    if then == now or not all(" gives another " in line for line in found):
        return [*head, BUILD]
    sides = [", ".join(f"{what} {version}" for what, version in side.items()) or "unknown" for side in (then, now)]
    return [
        *head,
        f"  The key was written with {sides[0]};",
        f"  this machine has {sides[1]}.",
        "Unless you changed the source, this is a fault of the course: report these lines.",
    ]
