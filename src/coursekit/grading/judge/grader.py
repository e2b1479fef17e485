"""Everything the trusted side knows of a unit: release, probes, secret inputs and key. Made once, used for a whole class."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from nbformat import NotebookNode

from coursekit.build import notebook
from coursekit.build.compile import Compiler, secret_seed
from coursekit.build.key_folder import key_files
from coursekit.build.source import UnitSource, read
from coursekit.checks.diagnose import Finding
from coursekit.checks.judge import judge
from coursekit.checks.key import ExerciseKey
from coursekit.checks.snapshot import live
from coursekit.checks.verdict import State, Verdict
from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError
from coursekit.grading.collect.compose import compose
from coursekit.grading.collect.demonstrations import demonstrations
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.intake import Sheet, parse, read_file
from coursekit.grading.collect.plan import Planner, Prepared
from coursekit.grading.collect.run import Probe
from coursekit.grading.collect.store import Store
from coursekit.grading.judge.policy import mentions
from coursekit.grading.sandbox.limits import Limits


def grading_seed(where: Course) -> str:
    """The course's secret, from $COURSEKIT_SEED or autograder/private/seed; made at random the first time."""
    if chosen := os.environ.get("COURSEKIT_SEED"):
        return chosen
    path = where.autograder / "private" / "seed"
    try:
        if not path.is_file():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = path.with_name(f"seed.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(16) + "\n", "utf-8")
            draft.replace(path)
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise CourseError(
            f"The grading seed cannot be read or made: {error.strerror}.",
            "Give write permission to autograder/private/, or set COURSEKIT_SEED.",
        ) from None


@dataclass(frozen=True)
class Paper:
    """A submission, laid out. notebook: to be filled in, by one who takes it alone. prepared: what of it is run."""

    notebook: NotebookNode
    prepared: Prepared


def _as_it_is(path: Path) -> object:
    """What a file is known by as long as nobody writes to it; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Grader:
    """Prepares, collects and judges the submissions of one unit."""

    def __init__(self, where: Course, unit: catalog.Unit, seed: str, limits: Limits) -> None:
        self.where, self.unit, self.limits = where, unit, limits
        self.source: UnitSource = read(where.solutions / f"{unit.name}.py")
        self.release = notebook.release(self.source, unit)
        self.compiler = Compiler.of(self.source, where.autograder / unit.name)
        self.keys: dict[str, ExerciseKey] = {key.id: key for key in self.compiler.compile_all(secret_seed(seed))}
        self.probes = [
            Probe(name, exercise.probe, exercise.probe_name, [case.inputs for case in self.keys[name].cases])
            for name, exercise in self.source.exercises.items()
        ]
        self.store = Store(where.autograder / "evidence" / unit.name, unit.name, self.probes, limits, demonstrations(self.release))
        self._judged: tuple[Evidence, dict[str, Verdict]] | None = None
        self._next: tuple[object, Paper] | None = None
        basis = json.dumps([unit.name, seed, [[p.exercise, p.source, p.name, len(p.cases)] for p in self.probes]])
        functions = [exercise.function for exercise in self.source.exercises.values()]
        self.planner = Planner.of(self.release, unit.name, functions, hashlib.sha256(basis.encode()).hexdigest())

    def lay_out(self, sheet: Sheet) -> Paper:
        """Make the notebook to grade, and name what of it is run."""
        places = self.planner.places(sheet)
        return Paper(compose(self.release, places), self.planner.prepared(places, self.planner.outcome(sheet)))

    def look(self, path: Path) -> Prepared:
        """Read and lay out a submission that nbgrader will ask for next: it is kept until then."""
        self._next = _as_it_is(path), self.lay_out(parse(read_file(path)))
        return self._next[1].prepared

    def take(self, path: Path) -> Paper:
        """A submission for whoever fills its notebook in: what `look` kept, if that is still the file, else as `lay_out` makes it."""
        kept, self._next = self._next, None
        return kept[1] if kept is not None and kept[0] == _as_it_is(path) else self.lay_out(parse(read_file(path)))

    def review(self, prepared: Prepared) -> dict[str, list[str]]:
        """Exercises whose answers use what they should do without, for a person to look at: exercise -> names."""
        if prepared.outcome is not None:
            return {}
        found = {
            name: mentions(prepared.sources, exercise.function, forbidden)
            for name, exercise in self.source.exercises.items()
            if (forbidden := self.compiler.key(name).forbids)
        }
        return {name: names for name, names in found.items() if names}

    def judge(self, evidence: Evidence) -> dict[str, Verdict]:
        """Judge every exercise of the unit from evidence alone."""
        if self._judged is None or self._judged[0] is not evidence:
            self._judged = evidence, {name: self._judge(key, evidence) for name, key in self.keys.items()}
        return self._judged[1]

    def _judge(self, key: ExerciseKey, evidence: Evidence) -> Verdict:
        if key.id not in evidence.observed:
            finding = Finding(
                "not-run",
                f"`{key.function}` was not run, because the submission is {evidence.outcome}: {evidence.where}.",
            )
            return Verdict(key.id, key.function, State.NOT_STARTED, 0.0, (finding,))
        observed = evidence.observed[key.id]
        verdict = judge(key, observed)
        extra: Callable[..., str | None] | None = self.compiler.key(key.id).extra_judge
        if extra is None or verdict.state is not State.PASSED:
            return verdict
        said = [
            text
            for case, seen in zip(key.cases, observed, strict=True)
            if case.expected.failure is None and (text := extra(live(case.inputs), live(seen.values)))
        ]
        return (
            replace(verdict, state=State.NOT_YET, credit=0.0, findings=(Finding("judge", said[0]),))
            if said
            else verdict
        )


@functools.lru_cache(maxsize=4)
def _grader(root: Path, name: str, seed: str, changed: tuple[int, ...]) -> Grader:
    where = Course(root)
    listed = catalog.load(where.catalog)
    return Grader(where, listed.unit(name), seed, limits(listed))


def limits(listed: catalog.Catalog) -> Limits:
    """The limits of a submission, with the [grading] table of course.toml over the defaults."""
    known = {item.name: item.type for item in fields(Limits)}
    for name in listed.grading:
        if name not in known:
            raise CourseError(
                f"course.toml: [grading] has no limit called `{name}`.", f"Limits are: {', '.join(known)}."
            )
    return replace(Limits(), **{name: type(getattr(Limits(), name))(value) for name, value in listed.grading.items()})


def grader(name: str) -> Grader:
    """The grader of a unit; made anew when its source, key or course.toml changed."""
    where = course()
    unit = catalog.load(where.catalog).unit(name)
    files = (where.catalog, where.solutions / f"{unit.name}.py", *key_files(where.autograder / unit.name))
    changed = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in files)
    return _grader(where.root, unit.name, grading_seed(where), changed)
