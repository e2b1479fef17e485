"""What a student runs in a notebook: check, hint, progress, expect_error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from coursekit import console
from coursekit.checks import key as keys
from coursekit.checks import render, results
from coursekit.checks.judge import judge
from coursekit.checks.probe import run_probe
from coursekit.checks.verdict import State, Verdict
from coursekit.errors import Incorrect, NotAttempted

Probe = TypeVar("Probe", bound=Callable[..., Mapping[str, Any]])
_next_hint: dict[str, int] = {}


def check(exercise: str) -> Callable[[Probe], Probe]:
    """Run the decorated probe on the exercise's visible inputs, and show the verdict.

    Args: exercise: an id such as "u01-sse-grad".
    Returns: a decorator that gives the probe back unchanged.
    Raises: Incorrect, NotAttempted: only under nbgrader's Validate and stock autograde, which see nothing else.
    CourseError: if the exercise is unknown.
    """

    def run(observe: Probe) -> Probe:
        if os.environ.get("COURSEKIT_SANDBOX"):  # while grading, the verdict is computed elsewhere, on fresh inputs
            return observe
        with contextlib.redirect_stderr(sys.stdout):  # nbgrader takes any stderr in a check cell for a failure
            verdict = examine(exercise, observe)
        results.record(exercise, verdict.state)
        _show(verdict)
        if os.environ.get("NBGRADER_EXECUTION") and verdict.state is not State.PASSED:
            raise (NotAttempted if verdict.state is State.NOT_STARTED else Incorrect)(render.text(verdict))
        return observe

    return run


def examine(exercise: str, observe: Callable[..., Mapping[str, Any]]) -> Verdict:
    """Judge a probe on the visible inputs, on the device that the notebook's `device` names."""
    key = keys.visible(exercise)
    device = str(getattr(observe, "__globals__", {}).get("device", "cpu")).split(":")[0]
    return judge(key, [run_probe(observe, case.inputs, device) for case in key.cases], device)


def _show(verdict: Verdict) -> None:
    _display(render.text(verdict), lambda: render.html(verdict))


def _display(text: str, html: Callable[[], str]) -> None:
    """Rich output inside IPython, plain text elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    text = console.fit(text)
    if shell is None:
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": html()}, raw=True)  # type: ignore[no-untyped-call]


def hint(exercise: str) -> None:
    """Show the next of the exercise's three hints: a question, a pointer, a worked near-example. After the last, the first again."""
    if os.environ.get("COURSEKIT_SANDBOX"):
        return
    hints = keys.visible(exercise).hints
    turn = _next_hint.get(exercise, 0) % len(hints)
    _next_hint[exercise] = turn + 1
    print(console.fit(f"Hint {turn + 1} of {len(hints)} for {exercise}:\n{hints[turn]}"))


def progress(unit: str | None = None) -> None:
    """Show what this student's latest checks said: a line per unit, and each exercise of the units that are under way.

    Args: unit: its short name, such as "u04": show all exercises of this one, and nothing else.
    """
    if os.environ.get("COURSEKIT_SANDBOX"):
        return
    known = results.load()
    parts: list[str] = []
    passed = total = 0
    for name, exercises in keys.units().items():
        states = {exercise: State(known.get(exercise, State.NOT_STARTED.value)) for exercise in exercises}
        done = sum(state is State.PASSED for state in states.values())
        passed, total = passed + done, total + len(states)
        begun = any(state is not State.NOT_STARTED for state in states.values())
        if unit in (None, name, name.partition("_")[0]):
            parts.append(f"{name}: {done} of {len(states)} passed")
            if unit is not None or (begun and done < len(states)):
                parts += [f"  {state.symbol} {state.value:<11}  {one}" for one, state in states.items()]
    if unit is None:
        parts.append(f"course: {passed} of {total} passed")
    said = "\n".join(parts) if parts else f"There is no unit {unit!r}. Units are: {', '.join(keys.units())}."
    print(console.fit(said))


@contextlib.contextmanager
def expect_error(*types: type[BaseException]) -> Iterator[None]:
    """Show the error that the block raises, and go on. It is a lesson, so a block that raises nothing is a fault.

    Args: types: the exceptions that are expected. Raises: AssertionError: if none of them came.
    """
    try:
        yield
    except types as error:
        print(console.fit(f"{type(error).__name__}: {error}"))
        return
    raise AssertionError(f"expected {' or '.join(kind.__name__ for kind in types)}, but nothing was raised")
