"""One task of the proof: an exercise's answers on some seeds, or one mutant. Runs in a worker process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from coursekit.checks.judge import judge
from coursekit.checks.verdict import State
from coursekit.proof.answers import Finding, fresh, shipped, visible
from coursekit.proof.limits import TimeUp, time_limit
from coursekit.proof.stage import Stage, stage


@dataclass(frozen=True)
class Trial:
    """A task.

    key: the key's folder. seeds: the fresh seeds to try, by number. mutant: if it is one that is tried, its text.
    shipped: try the committed key.
    """

    source: Path
    key: Path
    exercise: str
    seeds: range = range(0)
    mutant: str | None = None
    shipped: bool = False


def serve(trial: Trial) -> Finding | str | None:
    """Run one trial. Returns: a finding; for a mutant, how it was killed, or None if it survives."""
    ready = stage(trial.source, trial.key, trial.exercise)
    if trial.mutant is not None:
        return kill(ready, trial.mutant)
    finding = Finding()
    if trial.shipped:
        shipped(ready, finding)
        return finding
    if 0 in trial.seeds:
        visible(ready, finding)
        control = kill(ready, ready.exercise.answer.text)
        if control is not None:  # without this control, a prover that fails everything would look perfect
            finding.say(f"the unchanged solution is killed like a mutant ({control}). Does it end in time?")
    for number in trial.seeds:
        fresh(ready, finding, number)
    return finding


def kill(ready: Stage, text: str) -> str | None:
    """Try one text of the answer cell on the visible inputs and a few fresh ones.

    Returns: what told it from the reference, or None.
    """
    keys, limit = ready.mutant_keys
    names = dict(ready.compiler.names)
    try:
        with time_limit(limit):
            try:
                exec(compile(text, f"<{ready.compiler.source.path.name}:mutant>", "exec"), names)
            except (Exception, SystemExit) as error:
                return f"{type(error).__name__} in the cell"
            mutant = Stage(dataclasses.replace(ready.compiler, names=names), ready.name)
            for key in keys:
                observed = mutant.observe(key)
                verdict = judge(key, observed)
                if verdict.state is not State.PASSED:
                    return str(verdict.state.value)
                if mutant.extra(key, observed) is not None:
                    return "the key's judge"
    except TimeUp:
        return "does not end"
    return None
