"""`coursekit prove`: right answers pass on fresh inputs, wrong ones get their hint, mutants are caught."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from tqdm import tqdm

from coursekit.build import verify
from coursekit.build.compile import Compiler
from coursekit.build.source import Exercise, read
from coursekit.course import catalog
from coursekit.course.authoring import Key
from coursekit.course.paths import Course, course
from coursekit.proof import page
from coursekit.proof.answers import Finding
from coursekit.proof.mutants import Mutant, mutants
from coursekit.proof.report import Report, Row, data, text
from coursekit.proof.trial import Trial, serve
from coursekit.proof.workers import Broken, Lost, each

CHUNK = 10  # seeds in one task
MUTANT_LIMIT, SEEDS_LIMIT = 60.0, 900.0  # seconds before a worker process is taken for hung


def main(
    units: list[str], seeds: int = 200, as_json: bool = False, page_at: str | None = None, shipped: bool = False
) -> int:
    """Prove the named units, or all.

    Args: page_at: a file whose table gets the rows. shipped: judge with the committed keys on their own inputs, and nothing else:
    whether this machine's Python and torch give what the keys hold.
    Returns: 0, or 1 if one is below the bar.
    """
    where = course()
    selected = catalog.load(where.catalog).select(units)
    jobs = max(2, min(8, os.cpu_count() or 2))
    reports = prove(where, [unit.name for unit in selected], 0 if shipped else seeds, jobs, shipped)
    fine = all(report.fine for report in reports)
    if as_json:
        print(json.dumps({"ok": fine, "units": [data(report) for report in reports]}, indent=1))
    else:
        print("\n\n".join(text(report) for report in reports))
    if page_at is not None:
        page.write(Path(page_at), reports, date.today())
    return 0 if fine else 1


def prove(where: Course, units: Iterable[str], seeds: int, jobs: int = 2, shipped: bool = False) -> list[Report]:
    """Run all trials of the units.

    Args: jobs: worker processes; 0 runs the trials in this process.
    Raises: CourseError: if a unit's source or key cannot be read or run.
    """
    loaded = [_Unit(where, name) for name in units]
    work = [(unit, mutant, trial) for unit in loaded for mutant, trial in unit.trials(seeds, shipped)]
    answers = each([trial for _, _, trial in work], serve, jobs, _seconds)
    # disable=None: no bar unless stderr is a terminal
    for index, answer in tqdm(
        answers, total=len(work), desc="prove", unit="trial", file=sys.stderr, disable=None, leave=False
    ):
        unit, mutant, trial = work[index]
        unit.take(trial, mutant, answer)
    return [unit.report(seeds, shipped) for unit in loaded]


def _seconds(trial: Trial) -> float:
    return SEEDS_LIMIT if trial.mutant is None else MUTANT_LIMIT


class _Unit:
    """A unit's trials, and what has come of them."""

    def __init__(self, where: Course, name: str) -> None:
        self.where = where
        self.source = read(where.solutions / f"{name}.py")
        self.key_folder = where.autograder / name
        self.compiler = Compiler.of(self.source, self.key_folder)
        self.problems = verify.completeness(self.compiler)
        self.found = {exercise: Finding() for exercise in self.source.exercises}
        self.fates: dict[str, dict[Mutant, str | None]] = {exercise: {} for exercise in self.source.exercises}

    def trials(self, seeds: int, shipped: bool) -> list[tuple[Mutant | None, Trial]]:
        """All tasks of the unit; those of a mutant come with it."""
        if shipped:
            return [(None, Trial(self.source.path, self.key_folder, name, shipped=True)) for name in self.source.exercises]
        made: list[tuple[Mutant | None, Trial]] = []
        for name, exercise in self.source.exercises.items():
            for start in range(0, seeds, CHUNK):
                some = range(start, min(start + CHUNK, seeds))
                made.append((None, Trial(self.source.path, self.key_folder, name, some)))
            for mutant in mutants(exercise.answer.text):
                made.append((mutant, Trial(self.source.path, self.key_folder, name, mutant=mutant.text)))
        return made

    def take(self, trial: Trial, mutant: Mutant | None, answer: Any) -> None:
        """Put one trial's answer where it belongs."""
        found = self.found[trial.exercise]
        if isinstance(answer, Broken):
            found.say(f"{answer.problem} {answer.remedy}".strip())
        elif mutant is not None:
            self.fates[trial.exercise][mutant] = answer.reason if isinstance(answer, Lost) else answer
        elif isinstance(answer, Lost):
            some = f"the trials of seeds {trial.seeds.start} to {trial.seeds.stop - 1} {answer.reason}"
            found.say(f"{some}. Is there an answer in the key that never ends, or that ends Python?")
        else:
            found.add(answer)

    def report(self, seeds: int, shipped: bool = False) -> Report:
        rows = [self._row(exercise, seeds, shipped) for exercise in self.source.exercises.values()]
        return Report(self.source.name, rows, self.problems, shipped)

    def _row(self, exercise: Exercise, seeds: int, shipped: bool) -> Row:
        key, found, fates = self.compiler.key(exercise.id), self.found[exercise.id], self.fates[exercise.id]
        oracle = f"{len(found.oracle)} of {len(found.names)}" if key.expected_by_oracle else "no oracle"
        row = Row(exercise.id, oracle, seeds, len(key.variants), len(key.wrong_answers), len(found.own_hint))
        row.mutants = len(fates)
        for mutant, fate in sorted(fates.items(), key=lambda item: item[0].line):
            if fate is not None:
                row.killed += 1
                row.killed_by[fate] = row.killed_by.get(fate, 0) + 1
            elif mutant.name in key.equivalent:
                row.equivalent[mutant.name] = key.equivalent[mutant.name]
            else:
                row.survivors.append((self._place(exercise, mutant), mutant.name))
        stale = [] if shipped else _stale(key, {mutant.name: fate for mutant, fate in fates.items()})
        row.problems = [*_grouped(found.problems), *stale]
        return row

    def _place(self, exercise: Exercise, mutant: Mutant) -> str:
        name = self.source.path.relative_to(self.where.root).as_posix()
        return f"{name}:{exercise.answer.line + mutant.line - 1}"


def _grouped(problems: list[str]) -> list[str]:
    """The same trouble on many seeds is said once, with one seed and how many more there are."""
    alike: dict[str, list[str]] = {}
    for problem in problems:
        head, marker, _ = problem.partition("fresh seed ")
        alike.setdefault(head if marker else problem, []).append(problem)
    more = [f" (The same on {len(same) - 1} more.)" if len(same) > 1 else "" for same in alike.values()]
    return [same[0] + tail for same, tail in zip(alike.values(), more, strict=True)]


def _stale(key: Key, fates: dict[str, str | None]) -> list[str]:
    """Listed equivalents that are none."""
    said = []
    for name, reason in key.equivalent.items():
        what = f"the key lists `{name}` as equivalent"
        if name not in fates:
            said.append(f"{what}, but there is no such mutant any more. Take it out.")
        elif fates[name] is not None:
            said.append(f"{what}, but the check catches it. Take it out.")
        elif not reason.strip():
            said.append(f"{what} without a reason. Say why nothing can tell it apart.")
    return said
