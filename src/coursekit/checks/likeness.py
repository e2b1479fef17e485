"""Whether an observation is right, and whether it is like that of a known wrong answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from coursekit.checks.compare import Rules, refused, same_case
from coursekit.checks.key import UNTRIED, ExerciseKey, KnownWrong
from coursekit.checks.snapshot import Observed

REFUSAL = "(refuses wrong input)"  # the name under which cases that expect an exception are counted
COMPUTED = (1e-3, 1e-6)  # float32 after a few dozen steps of training
Seen: TypeAlias = tuple[Observed, ...]


def rules_of(key: ExerciseKey, name: str, device: str) -> Rules:
    """How one observation of an exercise is compared with the right one."""
    """How one observation of an exercise is compared."""
    return Rules(key.tolerance.get(name, key.tolerance.get("", (1e-4, 1e-6))), name in key.strict_dtype, device)


def likeness(key: ExerciseKey, wrong: KnownWrong, name: str, device: str = "cpu") -> Rules:
    """How near a value must be to a known wrong answer's, to be taken for it.

    As near as to the right one. But where the right value is exact (an input that stays as it is, a gap of zero), a wrong one is
    a computed number, and rounds otherwise on another processor.
    """
    rules = rules_of(key, name, device)
    if rules.tolerance == (0.0, 0.0):
        return replace(rules, tolerance=COMPUTED)
    return replace(rules, tolerance=wrong.within) if wrong.within else rules


def names_of(key: ExerciseKey) -> list[str]:
    """What earns or guards credit: the observed names, and the refusal of wrong input."""
    names = list(dict.fromkeys(name for case in key.cases for name in case.expected.values))
    return names + ([REFUSAL] if any(case.expected.failure for case in key.cases) else [])


def right(key: ExerciseKey, name: str, seen: Seen, device: str) -> bool:
    """One name is right in every case."""
    if name == REFUSAL:
        return all(refused(got) for got, case in zip(seen, key.cases, strict=True) if case.expected.failure)
    rules = rules_of(key, name, device)
    return all(
        same_case(name, got, case.expected, rules)
        for got, case in zip(seen, key.cases, strict=True)
        if name in case.expected.values
    )


def _right_where_tried(key: ExerciseKey, name: str, seen: Seen, wrong: KnownWrong, device: str) -> bool:
    rules = rules_of(key, name, device)
    return all(
        same_case(name, got, case.expected, rules)
        for got, known, case in zip(seen, wrong.observed, key.cases, strict=True)
        if name in case.expected.values and known.lost != UNTRIED
    )


def mistaken(key: ExerciseKey, name: str, wrong: KnownWrong) -> bool:
    """A known wrong answer gives something wrong under a name, in a case in which it was tried: more wrong than likeness overlooks."""
    rules = rules_of(key, name, "cpu") if wrong.within else likeness(key, wrong, name)
    return any(
        not same_case(name, got, case.expected, rules)
        for got, case in zip(wrong.observed, key.cases, strict=True)
        if name in case.expected.values and got.lost != UNTRIED
    )


def _alike(key: ExerciseKey, name: str, seen: Seen, wrong: KnownWrong, device: str) -> bool:
    """An answer agrees with a known wrong one on one name, in every case that is not there to be refused."""
    rules = likeness(key, wrong, name, device)
    return all(
        same_case(name, x, y, rules)
        for x, y, case in zip(seen, wrong.observed, key.cases, strict=True)
        if not case.expected.failure and y.lost != UNTRIED
    )


def behaves_like(key: ExerciseKey, wrong: KnownWrong, seen: Seen, device: str) -> bool:
    """Everything agrees: each name, and whether wrong input is refused."""
    names = dict.fromkeys(name for item in (*wrong.observed, *seen) for name in item.values) or {"": None}
    if not all(_alike(key, name, seen, wrong, device) for name in names):
        return False
    for name in names:  # where likeness is generous, a right value may be like a wrong one
        generous = likeness(key, wrong, name, device) != rules_of(key, name, device)
        if generous and mistaken(key, name, wrong) == _right_where_tried(key, name, seen, wrong, device):
            return False
    return all(
        refused(x) == refused(y)
        for x, y, case in zip(seen, wrong.observed, key.cases, strict=True)
        if case.expected.failure
    )


def known_for(key: ExerciseKey, name: str, seen: Seen, device: str) -> KnownWrong | None:
    """The first known wrong answer that gives exactly this under one name."""
    if name == REFUSAL:  # many wrong answers refuse nothing; only one that is right otherwise explains it
        if any(got.failure for got, case in zip(seen, key.cases, strict=True) if case.expected.failure):
            return None
        return next(
            (w for w in key.wrong if [n for n in names_of(key) if not right(key, n, w.observed, "cpu")] == [REFUSAL]),
            None,
        )
    if not any(name in item.values for item in seen):
        return None
    return next(
        (
            w
            for w in key.wrong
            if not w.released and mistaken(key, name, w) and _alike(key, name, seen, w, device)
        ),
        None,
    )
