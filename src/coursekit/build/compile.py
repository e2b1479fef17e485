"""Turn a unit's source and its authors' key into data: inputs, expected observations, each wrong answer's observations."""

from __future__ import annotations

import builtins
import hashlib
import linecache
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from coursekit.build.key_folder import key_file, key_files, load_keys, short
from coursekit.build.source import Exercise, UnitSource
from coursekit.checks.compare import words
from coursekit.checks.key import UNTRIED, Case, ExerciseKey, KnownWrong
from coursekit.checks.probe import run_probe
from coursekit.checks.snapshot import Failure, Observed, Opaque, Seen, Snapshot, picture
from coursekit.course.authoring import Key, Wrong
from coursekit.errors import CourseError

Seed = Callable[[str, int], int]
ANYTHING = (0.0, 1e30)  # a tolerance that every number meets, and NaN does not
AS_RELEASED = "Read the symptom above the cell, then follow one number through the code."


def visible_seed(exercise: str, case: int) -> int:
    """The seed of a visible case: fixed, so that keys are byte-stable."""
    return int.from_bytes(hashlib.sha256(f"visible/{exercise}/{case}".encode()).digest()[:6], "big")


def secret_seed(secret: str) -> Seed:
    """The seeds of fresh cases, from the instructor's secret."""
    return lambda exercise, case: int.from_bytes(
        hashlib.sha256(f"{secret}/{exercise}/{case}".encode()).digest()[:6], "big"
    )


@dataclass
class Compiler:
    """Runs a unit's reference, wrong answers and variants on inputs. Holds only trusted code.

    folder: the key's. modules: its files by name. keys: by exercise. names: what the unit's own cells define.
    """

    source: UnitSource
    folder: Path
    modules: dict[str, ModuleType]
    keys: dict[str, Key]
    names: dict[str, Any]

    @classmethod
    def of(cls, source: UnitSource, folder: Path) -> Compiler:
        """Load the key and run the parameters, setup and solution cells. Raises: CourseError: if one of them fails."""
        modules, keys = load_keys(folder)
        names: dict[str, Any] = {"__name__": f"coursekit_unit_{source.name}", "__builtins__": builtins}
        for cell in source.cells:
            if cell.role in ("parameters", "setup", "answer"):
                _run(source, cell.text, cell.line, names)
        for exercise in source.exercises.values():
            for module in modules.values():
                if not hasattr(module, exercise.function):  # wrong answers may call the unit's other functions
                    setattr(module, exercise.function, names[exercise.function])
        return cls(source, folder, modules, keys, names)

    def key(self, exercise: str) -> Key:
        if exercise not in self.keys:
            raise CourseError(
                f"`{exercise}` is checked in {self.source.path.name} but has no key.",
                f'Add Key("{exercise}", …) to {self.file(exercise)}.',
            )
        return self.keys[exercise]

    def file(self, exercise: str) -> str:
        """Where an exercise's key belongs, for messages."""
        return short(self.folder / key_file(exercise))

    def place(self, exercise: str) -> str:
        """File and line where a key's id stands, for messages."""
        own = self.folder / key_file(exercise)
        for path in sorted(key_files(self.folder), key=lambda path: path != own):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if f'"{exercise}"' in line or f"'{exercise}'" in line:
                    return f"{short(path)}:{number}"
        return f"{short(own)}:1"

    def inputs(self, exercise: str, case: int, seed: Seed) -> dict[str, Any]:
        """Generate one case's inputs by name. Raises: CourseError: if they are not plain data by the names that the probe takes."""
        key = self.key(exercise)
        if key.make_inputs is None:
            raise CourseError(
                f"{self.place(exercise)}: the key of `{exercise}` generates no inputs.",
                "Register a generator with @key.inputs.",
            )
        generator = torch.Generator().manual_seed(seed(exercise, case))
        try:
            made = key.make_inputs(generator, case)
        except Exception as error:
            raise CourseError(
                f"{self.place(exercise)}: the inputs of `{exercise}`, case {case}, cannot be generated: {type(error).__name__}: {error}",
                "Mend the generator.",
            ) from error
        taken = self.source.exercises[exercise].parameters
        if not isinstance(made, dict) or sorted(made) != sorted(taken):
            gave = ", ".join(made) if isinstance(made, dict) else type(made).__name__
            raise CourseError(
                f"{self.place(exercise)}: the inputs of `{exercise}`, case {case}, are {gave}; its check takes {', '.join(taken)}.",
                "Give one input for each parameter of the check.",
            )
        if odd := [name for name, value in picture(made, {}).items() if opaque(value)]:
            raise CourseError(
                f"{self.place(exercise)}: the input {odd[0]} of `{exercise}` is not plain data.",
                "Inputs are tensors, numbers, texts, lists and dicts; build the rest in the check.",
            )
        return made

    def all_inputs(self, exercise: str, seed: Seed, costly: bool = True) -> list[dict[str, Any]]:
        key = self.key(exercise)
        return [self.inputs(exercise, case, seed) for case in range(key.cases - (0 if costly else key.costly))]

    def observe(self, exercise: Exercise, inputs: Iterable[dict[str, Any]], answer: Any = None) -> tuple[Observed, ...]:
        """Run the probe on the inputs, with `answer` standing in for the student's function; None keeps the reference."""
        names = dict(self.names)
        if answer is not None:
            names[exercise.function] = _named(answer, exercise.function)
        _run(self.source, exercise.probe, exercise.check.line, names)
        return tuple(run_probe(names[exercise.probe_name], item) for item in inputs)

    def redefined(self, exercise: Exercise, text: str) -> Any:
        """The student's function as another text of its answer cell defines it."""
        names = dict(self.names)
        _run(self.source, text, exercise.answer.line, names)
        return names[exercise.function]

    def compile(
        self,
        exercise_id: str,
        seed: Seed = visible_seed,
        costly: bool = True,
        inputs: list[dict[str, Any]] | None = None,
    ) -> ExerciseKey:
        """Make an exercise's key for the seeds.

        Args: costly: False leaves out the cases that take seconds. inputs: take these instead of generating them.
        Raises: CourseError: if the reference itself fails where it should not.
        """
        exercise, key = self.source.exercises[exercise_id], self.key(exercise_id)
        if inputs is None:
            inputs = self.all_inputs(exercise_id, seed, costly)
        cheap = inputs[: key.cases - key.costly]
        expected = self.observe(exercise, inputs)
        if all(item.failure is not None for item in expected):
            failure = expected[0].failure
            assert failure is not None
            raise CourseError(
                f"{self.source.path.name}:{exercise.answer.line}: the reference of `{exercise_id}` fails on every case: "
                f"{failure.type_name}: {failure.message}",
                "Mend the solution, the probe or the inputs.",
            )

        def known(item: Wrong, released: bool = False) -> KnownWrong:
            seen = self.observe(exercise, cheap, item.answer) + (Observed(lost=UNTRIED),) * (len(inputs) - len(cheap))
            return KnownWrong(
                item.name,
                item.hint.replace("{function}", exercise.function),
                tuple(_bare(item, want.failure is None, key.form) for item, want in zip(seen, expected, strict=True)),
                released,
                (item.within.rtol, item.within.atol) if item.within else None,
            )

        wrong = [known(item) for item in key.wrong_answers]
        if exercise.broken is not None:
            broken = self.redefined(exercise, exercise.broken)
            wrong.insert(0, known(Wrong(broken, AS_RELEASED, called="as_released"), released=True))
        names = dict.fromkeys(name for item in expected for name in item.values)
        tolerance = {name: (key.tolerance_of(name).rtol, key.tolerance_of(name).atol) for name in names}
        tolerance |= dict.fromkeys(key.form, ANYTHING)
        cases = tuple(
            Case(item, _bare(seen, identity=False, form=key.form)) for item, seen in zip(inputs, expected, strict=True)
        )
        return ExerciseKey(
            exercise_id,
            exercise.function,
            tuple(key.hints),
            cases,
            tuple(wrong),
            tuple(key.guards),
            dict(key.weights),
            tolerance,
            tuple(key.strict_dtype),
        )

    def compile_all(self, seed: Seed = visible_seed) -> list[ExerciseKey]:
        return [self.compile(exercise, seed) for exercise in self.source.exercises]


def _bare(seen: Observed, identity: bool, form: Sequence[str] = ()) -> Observed:
    """An observation without the author's own lines: a key that students have must not quote the solution.

    Args: identity: keep what a known wrong answer's failure is recognised by, which is the same on every machine.
    form: names of which only the form is kept.
    """
    if seen.failure is None:
        kept = {name: _form(value) if name in form else value for name, value in seen.values.items()}
        return replace(seen, values=kept)
    failure = seen.failure
    if not identity:
        return replace(seen, failure=Failure(failure.type_name, ""))
    known_by = Failure(failure.type_name, words(failure), step=failure.step, operation=failure.operation, own=failure.own)
    return replace(seen, failure=known_by)


def _form(value: Snapshot) -> Snapshot:
    """The same structure with zeros in its tensors, which a compressed key holds for next to nothing."""
    if isinstance(value, Seen):
        return replace(value, data=torch.zeros_like(value.data))
    if isinstance(value, list):
        return [_form(item) for item in value]
    return {name: _form(item) for name, item in value.items()} if isinstance(value, dict) else value


def _named(answer: Any, name: str) -> Any:
    """A class under the student's name, since messages of PyTorch carry it: `function MyReLUBackward returned …`."""
    return type(answer)(name, (answer,), {"__doc__": answer.__doc__}) if isinstance(answer, type) else answer


def opaque(value: Snapshot) -> bool:
    """Whether a snapshot holds an object that is not plain data."""
    if isinstance(value, (list, dict)):
        return any(opaque(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, Opaque)


def _run(source: UnitSource, text: str, line: int, names: dict[str, Any]) -> None:
    """Execute an author's cell under a file name that tracebacks can show."""
    filename = f"<{source.path.name}:{line}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    try:
        exec(compile(text, filename, "exec"), names)
    except Exception as error:
        raise CourseError(
            f"{source.path.name}:{line}: this cell fails: {type(error).__name__}: {error}",
            "Mend the cell; it may use only what stands in earlier parameters, setup and solution cells.",
        ) from error
