"""Judge observations against a key: pure data in, a verdict out; the same in JupyterLab and when grading."""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.checks.compare import Rules, refused, same_case
from coursekit.checks.diagnose import NUMERIC, Finding, diagnose
from coursekit.checks.key import ExerciseKey
from coursekit.checks.likeness import REFUSAL, behaves_like, known_for, names_of, right, rules_of
from coursekit.checks.snapshot import Failure, Observed, Snapshot
from coursekit.checks.verdict import State, Verdict

PROBE = "observe"  # what every check cell calls its probe


def judge(key: ExerciseKey, observed: Sequence[Observed], device: str = "cpu") -> Verdict:
    """Judge one exercise.

    Args: key: inputs, expected observations, known wrong answers. observed: one per case of the key.
    device: where the probe ran.
    Returns: the verdict; credit is the weight of the names that are right in every case.
    """
    seen = tuple(observed)
    if len(seen) != len(key.cases):
        return _verdict(
            key,
            State.NOT_YET,
            Finding("missing", f"`{key.function}` was observed {len(seen)} times; expected {len(key.cases)}."),
        )
    if (stub := _not_started(key, seen, device)) is not None:
        return stub
    names = names_of(key)
    wrong = [name for name in names if not right(key, name, seen, device)]
    fine = [name for name in names if name not in wrong]
    if not wrong:
        return Verdict(key.id, key.function, State.PASSED, 1.0, right=tuple(names))
    findings, matched = _explain(key, wrong, seen, device)
    return Verdict(
        key.id, key.function, State.NOT_YET, _credit(key, fine), findings, tuple(_counted(key, fine)), matched
    )


def _verdict(key: ExerciseKey, state: State, finding: Finding) -> Verdict:
    return Verdict(key.id, key.function, state, 0.0, (finding,))


def _counted(key: ExerciseKey, right: list[str]) -> list[str]:
    """Guards and refusals keep a right answer honest, and count only with it: a blank changes no input either."""
    earning = [name for name in names_of(key) if name != REFUSAL and name not in key.guards]
    complete = all(name in right for name in earning)
    return [name for name in right if complete or name in earning]


def _credit(key: ExerciseKey, right: list[str]) -> float:
    weight = {name: key.weights.get(name, 1.0) for name in names_of(key)}
    return sum(weight[name] for name in _counted(key, right)) / sum(weight.values())


def _not_started(key: ExerciseKey, seen: tuple[Observed, ...], device: str) -> Verdict | None:
    failures = [got.failure for got in seen if got.failure is not None]
    if len(failures) == len(seen) and all(map(_is_stub, failures)):
        return _verdict(key, State.NOT_STARTED, Finding("not-started", _stub(key, failures[0])))
    first = seen[0].failure
    if first is not None and first.type_name == "NameError" and f"'{key.function}'" in first.message:
        return _verdict(
            key,
            State.NOT_STARTED,
            Finding("not-defined", f"`{key.function}` is not defined. Run the cell that defines it, then this one."),
        )
    for wrong in key.wrong:
        if wrong.released and behaves_like(key, wrong, seen, device):
            return _verdict(
                key,
                State.NOT_STARTED,
                Finding("as-released", f"`{key.function}` still behaves as released. {wrong.hint}"),
            )
    return None


def _is_stub(failure: Failure) -> bool:
    """Whether it was a notebook's own line that said so: torch raises NotImplementedError, too, where a class lacks a method.

    From a worker process of a DataLoader the line comes as part of the message.
    """
    if failure.type_name != "NotImplementedError":
        return False
    return not failure.line or "NotImplementedError" in failure.line or "raise NotImplementedError" in failure.message


def _stub(key: ExerciseKey, failure: Failure) -> str:
    """Name the stub that was reached: the exercise's own, a method of its class, or an earlier exercise."""
    if failure.function in ("", PROBE, key.function):
        return f"`{key.function}` is still the blank stub. Replace `raise NotImplementedError()` with your code."
    return (
        f"`{key.function}` cannot run yet: `{failure.function}` is still a blank stub. "
        "Replace its `raise NotImplementedError()` with your code."
    )


def _explain(
    key: ExerciseKey, bad: list[str], seen: tuple[Observed, ...], device: str
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """A known wrong answer that gives all of this; else one for each name; else the general diagnosis."""
    for wrong in key.wrong:
        if not wrong.released and behaves_like(key, wrong, seen, device):
            return (Finding("known", wrong.hint),), (wrong.name,)
    for item in seen:
        if item.lost is not None:
            return (
                Finding("lost", f"`{key.function}` {_LOST.get(item.lost, f'could not be observed: {item.lost}.')}"),
            ), ()
    findings: list[Finding] = []
    matched: list[str] = []
    for name in bad:
        known = known_for(key, name, seen, device)
        if known is not None:
            matched.append(known.name)
        finding = Finding("known", known.hint) if known is not None else _general(key, name, seen, device)
        if finding not in findings:
            findings.append(finding)
    return tuple(findings), tuple(dict.fromkeys(matched))


_LOST = {
    "timed out": "did not finish in time. Is there a loop that never ends?",
    "crashed": "ended the whole Python process. Does it call exit, or use very much memory?",
    "too large": "returned more data than a check looks at. Is a shape or a loop larger than it should be?",
}


def _general(key: ExerciseKey, name: str, seen: tuple[Observed, ...], device: str) -> Finding:
    for got, case in zip(seen, key.cases, strict=True):
        if case.expected.failure is not None:
            if name == REFUSAL and not refused(got):
                return (
                    _raised(key, got.failure)
                    if got.failure is not None
                    else Finding(
                        "no-refusal",
                        f"`{key.function}` accepts input that does not fit together; it should raise an error instead.",
                    )
                )
            continue
        if got.failure is not None:
            return _raised(key, got.failure)
        if name not in case.expected.values:
            continue
        if name not in got.values:
            return Finding("missing", f"`{name}` is missing from what the check observed.")
        rules = rules_of(key, name, device)
        if not same_case(name, got, case.expected, rules):
            return _value(key, name, got.values[name], case.expected.values[name], rules)
    return Finding("values", f"`{name}` is not right in every case.")


def _value(key: ExerciseKey, name: str, got: Snapshot, want: Snapshot, rules: Rules) -> Finding:
    """Diagnose one value, with what is known about its place: an input looked at afterwards, memory that is shared."""
    finding = diagnose(name, got, want, rules)
    if name in key.guards and name.endswith("_after"):
        given = name.removesuffix("_after")
        if finding.kind == "requires-grad":
            return Finding(
                "input-changed",
                f"`{key.function}` switches gradient tracking of its input `{given}`. "
                f"Work on `{given}.detach().clone()`.",
            )
        return Finding("input-changed", f"`{key.function}` changes its input `{given}` in place. Work on a new tensor.")
    shared, expected = getattr(got, "shares", None), getattr(want, "shares", None)
    if shared is not None and shared != expected and finding.kind in NUMERIC:
        return Finding(
            "aliased",
            f"`{name}` and `{shared}` are the same memory: a change of one in place changes the other. {finding.text}",
        )
    return finding


def _raised(key: ExerciseKey, failure: Failure) -> Finding:
    message = failure.message.split("\n", 1)[0][:300]
    if failure.function == PROBE and failure.line:  # the student's code had ended, or was never entered: not their line
        back = f". Does `{key.function}` end in `return`?" if "NoneType" in message else ""
        return Finding(
            "raised",
            f"The check of `{key.function}` stopped at its line `{failure.line}`. {failure.type_name}: {message}{back}",
        )
    place = f" in your line {failure.lineno}: `{failure.line}`" if failure.line else ""
    if _is_stub(failure):
        return Finding("unfinished", f"`{key.function}` still raises NotImplementedError{place}.")
    return Finding("raised", f"`{key.function}` raised {failure.type_name}{place}. {message}".rstrip())
