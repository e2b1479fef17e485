"""What all trials of one exercise share: its compiled unit, its keys, and the key's own judge."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.build.compile import Compiler, secret_seed, visible_seed
from coursekit.build.source import read
from coursekit.checks import key as keys
from coursekit.checks.key import ExerciseKey, KnownWrong
from coursekit.checks.snapshot import Observed, live
from coursekit.course.paths import course

MUTANT_SEEDS = 5
COSTLY_SEEDS = 2  # fresh seeds on which cases that take seconds are tried, too
LEAST = 1.0  # seconds that a mutant has at least; 20 times the reference's if that is more


def bare(key: ExerciseKey) -> ExerciseKey:
    """The key without its known wrong answers: right and wrong stay the same, and no hint is looked for."""
    return dataclasses.replace(key, wrong=())


def lean(key: ExerciseKey) -> ExerciseKey:
    """The key with no known wrong answer but the released one, which decides what counts as started."""
    return dataclasses.replace(key, wrong=tuple(wrong for wrong in key.wrong if wrong.released))


class Stage:
    """One exercise, ready to be tried."""

    def __init__(self, compiler: Compiler, name: str) -> None:
        self.compiler = compiler
        self.name = name
        self.exercise = compiler.source.exercises[name]
        self.author = compiler.key(name)
        self.variants: list[tuple[str, Any]] = [
            (f"variant {number} ({getattr(answer, '__name__', '?')})", answer)
            for number, answer in enumerate(self.author.variants, 1)
        ]

    @functools.cached_property
    def visible_key(self) -> ExerciseKey:
        return self.compiler.compile(self.name, visible_seed)

    @functools.cached_property
    def shipped_key(self) -> ExerciseKey | None:
        """The committed key, which learners have. Raises: CourseError: if it cannot be read."""
        path = course().keys / f"{self.compiler.source.name}.key"
        return keys.parse(path.read_bytes()).get(self.name) if path.is_file() else None

    def observed_on(self, key: ExerciseKey) -> tuple[KnownWrong, ...]:
        """What this machine's wrong answers give on another key's inputs."""
        return self.compiler.compile(self.name, inputs=[live(case.inputs) for case in key.cases]).wrong

    def fresh_key(self, number: int) -> ExerciseKey:
        """A key on other inputs. Raises: CourseError: if the reference fails on all of them."""
        return self.compiler.compile(self.name, secret_seed(f"prove/{number}"), costly=number < COSTLY_SEEDS)

    @functools.cached_property
    def mutant_keys(self) -> tuple[list[ExerciseKey], float]:
        """The keys that mutants are tried on, and the seconds that one mutant has for all of them."""
        import torch.fx.experimental.symbolic_shapes  # noqa: F401  torch imports it (and sympy) when one of its own checks is
        # first asked; a time limit that rings inside an import leaves half a module behind, for all later trials

        seeds = [visible_seed, *(secret_seed(f"prove/{number}") for number in range(MUTANT_SEEDS))]
        keys = [lean(self.compiler.compile(self.name, seed, costly=False)) for seed in seeds]
        began = time.perf_counter()
        for key in keys:
            self.observe(key)
        return keys, max(LEAST, 20 * (time.perf_counter() - began))

    def observe(self, key: ExerciseKey, answer: Any = None) -> tuple[Observed, ...]:
        """Run the probe on a key's inputs, with an answer in the place of the reference."""
        return self.compiler.observe(self.exercise, [case.inputs for case in key.cases], answer)

    def extra(self, key: ExerciseKey, observed: Sequence[Observed]) -> str | None:
        """What the key's own judge says about the cases that were not refused."""
        if self.author.extra_judge is None:
            return None
        for case, seen in zip(key.cases, observed, strict=True):
            if seen.failure is None and case.expected.failure is None:
                try:
                    said = self.author.extra_judge(live(case.inputs), live(seen.values))
                except Exception as error:
                    return f"it fails itself: {type(error).__name__}: {error}"
                if said is not None:
                    return str(said)
        return None


@functools.cache
def stage(source: Path, key: Path, exercise: str) -> Stage:
    """The stage of one exercise; a process makes it once."""
    return Stage(_compiler(source, key), exercise)


@functools.cache
def _compiler(source: Path, key: Path) -> Compiler:
    return Compiler.of(read(source), key)
