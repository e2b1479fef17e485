"""What a check says: one of three states, the share of the credit, and the findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from coursekit.checks.diagnose import Finding


class State(Enum):
    """The three states; each has a word, a symbol and (in HTML) a colour, so that none of them is needed alone."""

    PASSED = "Passed"
    NOT_YET = "Not yet"
    NOT_STARTED = "Not started"

    @property
    def symbol(self) -> str:
        return {"Passed": "✔", "Not yet": "✘", "Not started": "○"}[self.value]


@dataclass(frozen=True)
class Verdict:
    """The judgement of one exercise.

    Args: exercise: id. function: the student's function. credit: 0–1.
    findings: what is wrong, most telling first. right: observation names that are right. matched: names of known wrong answers.
    """

    exercise: str
    function: str
    state: State
    credit: float
    findings: tuple[Finding, ...] = ()
    right: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        return f"{self.state.symbol} {self.state.value}: {self.exercise}"
