"""What an author writes in autograder/uNN_slug/: for each exercise its inputs, wrong answers, variants and hints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[..., Any] | type


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off: |got - expected| <= rtol * max|expected| + atol. `why` says where the size comes from."""

    rtol: float
    atol: float
    why: str


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that learners give: runnable code that stands in for theirs, and the hint it earns.

    within: how near an observation must be to this answer's to be taken for it, where that is not the exercise's own tolerance.
    called: its name, if not that of its code.
    """

    answer: Answer
    hint: str
    within: Tolerance | None = None
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or self.answer.__name__


FLOAT32 = Tolerance(1e-4, 1e-6, "float32 carries 7 digits; sums of a few dozen terms lose two of them")


@dataclass(eq=False)
class Key:
    """The instructor's side of one exercise.

    Args: exercise: its id. hints: a question, a pointer, a worked near-example. cases: how many inputs are tried.
    guards: observation names that earn nothing by themselves. weights: observation name -> share of the credit, default 1.
    tolerance: one for all observations, or one by name. strict_dtype: names whose exact dtype matters (others: float, int or bool).
    equivalent: mutant -> why nothing can tell it from the reference. form: names of which only the form is compared and kept,
    that is names, shapes and kinds of dtype, and no NaN: for numbers that differ between machines and are left to the judge.
    costly: the last so many cases take seconds; wrong answers and mutants leave them out, and `prove` tries them on few seeds.
    forbids: names that the answer should do without, such as `backward`: using one flags a submission for review and costs no points.
    """

    exercise: str
    hints: Sequence[str] = ()
    cases: int = 3
    guards: Sequence[str] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    tolerance: Tolerance | Mapping[str, Tolerance] = FLOAT32
    strict_dtype: Sequence[str] = ()
    equivalent: Mapping[str, str] = field(default_factory=dict)
    form: Sequence[str] = ()
    costly: int = 0
    forbids: Sequence[str] = ()
    make_inputs: Callable[..., dict[str, Any]] | None = field(default=None, init=False)
    expected_by_oracle: Callable[..., dict[str, Any]] | None = field(default=None, init=False)
    wrong_answers: list[Wrong] = field(default_factory=list, init=False)
    variants: list[Answer] = field(default_factory=list, init=False)
    extra_judge: Callable[..., str | None] | None = field(default=None, init=False)

    def inputs(self, function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Register the generator of inputs: (torch.Generator, case) -> name -> plain data."""
        self.make_inputs = function
        return function

    def oracle(self, function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Register an independent source of expected observations; a subset of the probe's names."""
        self.expected_by_oracle = function
        return function

    def wrong(self, hint: str, within: Tolerance | None = None) -> Callable[[Any], Any]:
        """Register a wrong answer with its hint; `{function}` in the hint becomes the student's function's name.

        Args: within: for an answer whose numbers are mostly rounding, and differ between processors; its hint holds for all of them.
        """

        def register(answer: Answer) -> Answer:
            self.wrong_answers.append(Wrong(answer, hint, within))
            return answer

        return register

    def variant(self, answer: Any) -> Any:
        """Register a correct answer that is written differently."""
        self.variants.append(answer)
        return answer

    def judge(self, function: Callable[..., str | None]) -> Callable[..., str | None]:
        """Register a further judgement, on the trusted side only: (inputs, observed values) -> None, or what is wrong."""
        self.extra_judge = function
        return function

    def tolerance_of(self, name: str) -> Tolerance:
        """The tolerance of one observation."""
        return self.tolerance if isinstance(self.tolerance, Tolerance) else self.tolerance.get(name, FLOAT32)
