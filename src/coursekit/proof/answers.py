"""Try an exercise's right and wrong answers: right ones pass, wrong ones fail and get their own hint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from coursekit.checks.compare import Rules, same
from coursekit.checks.judge import judge
from coursekit.checks.key import Case, ExerciseKey, KnownWrong
from coursekit.checks.snapshot import Observed, Seen, Snapshot, live, picture
from coursekit.checks.verdict import State, Verdict
from coursekit.errors import CourseError
from coursekit.proof.stage import Stage, bare, lean

HINT_SEEDS = 5  # fresh seeds on which hints are looked at too: feedback after grading speaks of such inputs


@dataclass
class Finding:
    """What trials of one exercise gave.

    Args: problems: sentences. own_hint: the wrong answers that got theirs. names: what the probe observes;
    oracle: those of them that the oracle gives.
    """

    problems: list[str] = field(default_factory=list)
    own_hint: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    oracle: set[str] = field(default_factory=set)

    def say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def add(self, other: Finding) -> None:
        """Take over what other trials of the same exercise gave."""
        for problem in other.problems:
            self.say(problem)
        self.own_hint |= other.own_hint
        self.names |= other.names
        self.oracle |= other.oracle


def visible(stage: Stage, finding: Finding) -> None:
    """On the visible inputs right answers pass, and each wrong one gets its own hint and no other's."""
    key, place = stage.visible_key, "the visible inputs"
    finding.names |= {name for case in key.cases for name in case.expected.values}
    _right(stage, finding, key, place)
    for wrong in key.wrong:
        if wrong.released:
            _released(finding, key, wrong, place)
        elif _named(finding, key, wrong, place):
            finding.own_hint.add(wrong.name)


def shipped(stage: Stage, finding: Finding) -> None:
    """With the committed key, which another machine made, right answers of this machine pass, and each wrong one gets its own hint."""
    key, place = stage.shipped_key, "the committed key"
    if key is None:
        finding.say("there is no committed key. Run `coursekit build`.")
        return
    made = stage.observed_on(key)
    _right(stage, finding, key, place)
    for wrong in made:
        if wrong.released:
            _released(finding, key, wrong, place)
        elif _named(finding, key, wrong, place):
            finding.own_hint.add(wrong.name)


def fresh(stage: Stage, finding: Finding, number: int) -> None:
    """On fresh inputs right answers pass; wrong ones fail, and so does one that knows the visible ones."""
    place = f"fresh seed {number}"
    try:
        key = stage.fresh_key(number)
    except CourseError as error:
        finding.say(f"no key can be made for {place}: {error.problem} {error.remedy}")
        return
    _right(stage, finding, key, place)
    plain = bare(key)
    for wrong in key.wrong:
        if wrong.released:
            _released(finding, key, wrong, place)
        elif _fails(finding, plain, wrong, place) and number < HINT_SEEDS:
            _named(finding, key, wrong, place)
    if judge(plain, _memorised(stage.visible_key, key)).state is State.PASSED:
        finding.say(
            f"an answer that returns the visible example's results passes on {place}. Let the inputs change more with the generator."
        )


def _fails(finding: Finding, key: ExerciseKey, wrong: KnownWrong, place: str) -> bool:
    """A wrong answer is not passed, is not taken for a blank, and does not earn everything."""
    verdict = judge(key, wrong.observed)
    who = f"the wrong answer {wrong.name}"
    if verdict.state is not State.NOT_YET:
        state = verdict.state.value
        finding.say(f"{who} gives {state} on {place}. Choose inputs on which it is always wrong.")
    elif verdict.credit >= 1:
        finding.say(f"{who} fails but earns full credit on {place}. Weigh what it gets wrong.")
    else:
        return True
    return False


def _named(finding: Finding, key: ExerciseKey, wrong: KnownWrong, place: str) -> bool:
    """A wrong answer gets its own hint."""
    verdict = judge(key, wrong.observed)
    if verdict.matched == (wrong.name,):
        return True
    who = f"the wrong answer {wrong.name}"
    if verdict.state is State.PASSED:
        finding.say(f"{who} passes on {place}. Make it wrong, or choose inputs on which it is.")
    else:
        other = " and ".join(verdict.matched) or f"no known wrong answer ({_why(verdict)})"
        finding.say(f"{who} gets the hint of {other} on {place}. Choose inputs that tell them apart.")
    return False


def _right(stage: Stage, finding: Finding, key: ExerciseKey, place: str) -> None:
    """The reference agrees with itself and the oracle, the variants with the reference."""
    judged = lean(key)
    _accept(stage, finding, judged, "the reference", stage.observe(key), place)
    for name, answer in stage.variants:
        _accept(stage, finding, judged, name, stage.observe(key, answer), place)
    if stage.author.expected_by_oracle is not None:
        for case in key.cases:
            if case.expected.failure is None:
                _ask_oracle(stage, finding, key, case, place)
    elif not all(_finite(value) for case in key.cases for value in case.expected.values.values()):
        finding.say(
            f"the reference gives NaN or infinity on {place}, and no oracle says that it should. Choose other inputs, or register an oracle."
        )


def _accept(
    stage: Stage, finding: Finding, key: ExerciseKey, who: str, observed: Sequence[Observed], place: str
) -> None:
    verdict = judge(key, observed)
    if verdict.state is not State.PASSED:
        again = " when it runs a second time" if who == "the reference" else ""
        finding.say(f"{who} does not pass on {place}{again}: {_why(verdict)}")
    elif (said := stage.extra(key, observed)) is not None:
        finding.say(f"{who} does not satisfy the key's own judge on {place}: {said}")


def _why(verdict: Verdict) -> str:
    said = verdict.findings[0].text if verdict.findings else ""
    return f"{verdict.state.value}. {said}".strip()


def _ask_oracle(stage: Stage, finding: Finding, key: ExerciseKey, case: Case, place: str) -> None:
    """Compare one case with the oracle, by the exercise's own tolerance."""
    assert stage.author.expected_by_oracle is not None
    try:
        wanted = picture(stage.author.expected_by_oracle(**live(case.inputs)), {})
    except Exception as error:
        finding.say(f"the oracle fails on {place}: {type(error).__name__}: {error}")
        return
    for name, value in wanted.items():
        if name not in case.expected.values:
            finding.say(f"the oracle gives `{name}`, which the probe does not observe. Use the probe's names.")
            continue
        finding.oracle.add(name)
        if not same(_unmarked(case.expected.values[name]), _unmarked(value), Rules(key.tolerance[name])):
            finding.say(
                f"the reference and the oracle disagree on `{name}` for {place}. One of them is wrong, or the tolerance is too small."
            )


def _released(finding: Finding, key: ExerciseKey, wrong: KnownWrong, place: str) -> None:
    """The broken code of a bug hunt is wrong, and counts as not started."""
    who = "the broken code that the release shows"
    if judge(bare(key), wrong.observed).state is State.PASSED:
        finding.say(f"{who} passes on {place}. Choose inputs on which the bug shows.")
    elif judge(key, wrong.observed).state is not State.NOT_STARTED:
        finding.say(f"{who} is not taken for unchanged on {place}. Is it random?")


def _memorised(known: ExerciseKey, key: ExerciseKey) -> list[Observed]:
    """What an answer gives that always returns the visible results; it breaks no guard."""
    found = []
    for old, case in zip(known.cases, key.cases, strict=False):  # a key may lack the last, costly cases
        guards = {name: value for name, value in case.expected.values.items() if name in key.guards}
        found.append(Observed({**old.expected.values, **guards}, old.expected.failure))
    return found


def _finite(value: Snapshot) -> bool:
    if isinstance(value, Seen):
        return bool(value.data.isfinite().all())
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, dict)):
        return all(_finite(item) for item in (value.values() if isinstance(value, dict) else value))
    return True


def _unmarked(value: Snapshot) -> Snapshot:
    """Values only: an oracle need not say whether a tensor requires grad."""
    if isinstance(value, Seen):
        return Seen(value.data)
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        return {name: _unmarked(item) for name, item in value.items()}
    return value
