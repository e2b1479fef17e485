"""An exercise's key as data: inputs, expected observations, and what each known wrong answer gives. No code, no answer text.

The visible key of a unit (data/keys/uNN_slug.key) and the secret key made for grading have this one form.
"""

from __future__ import annotations

import functools
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from coursekit.checks import wire
from coursekit.checks.snapshot import Observed, decode, decode_observed, encode, encode_observed
from coursekit.errors import CourseError

VERSION = 2
UNTRIED = "not tried"  # a known wrong answer on a case that is too costly for it


@dataclass(frozen=True)
class Case:
    """One input by name, and what the reference gave for it."""

    inputs: dict[str, Any]
    expected: Observed


@dataclass(frozen=True)
class KnownWrong:
    """A wrong answer's observations, one a case.

    `released`: it is the bug that the release notebook shows. within: (rtol, atol) in which observations are taken for its own.
    """

    name: str
    hint: str
    observed: tuple[Observed, ...]
    released: bool = False
    within: tuple[float, float] | None = None


@dataclass(frozen=True)
class ExerciseKey:
    """Everything that judging one exercise needs. tolerance: name -> (rtol, atol)."""

    id: str
    function: str
    hints: tuple[str, ...]
    cases: tuple[Case, ...]
    wrong: tuple[KnownWrong, ...]
    guards: tuple[str, ...]
    weights: dict[str, float]
    tolerance: dict[str, tuple[float, float]]
    strict_dtype: tuple[str, ...] = ()


def machine() -> dict[str, str]:
    """The versions that observations are made with, and the processor's vector instructions."""
    import platform

    import torch

    return {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def dump(unit: str, keys: list[ExerciseKey], made_with: dict[str, str] | None = None) -> bytes:
    """Write a unit's key as one compressed frame; the same keys give the same frame. made_with: `machine()`, for messages."""
    tensors: dict[str, Tensor] = {}
    exercises = [
        {
            "id": key.id,
            "function": key.function,
            "hints": list(key.hints),
            "guards": list(key.guards),
            "weights": key.weights,
            "tolerance": {name: list(pair) for name, pair in key.tolerance.items()},
            "strict_dtype": list(key.strict_dtype),
            "cases": [
                {"inputs": encode(case.inputs, tensors), "expected": encode_observed(case.expected, tensors)}
                for case in key.cases
            ],
            "wrong": [
                {
                    "name": wrong.name,
                    "hint": wrong.hint,
                    "released": wrong.released,
                    "within": wrong.within and list(wrong.within),
                    "observed": [encode_observed(item, tensors) for item in wrong.observed],
                }
                for wrong in key.wrong
            ],
        }
        for key in keys
    ]
    head = {"format": "coursekit-key", "version": VERSION, "unit": unit, "made_with": made_with or {}}
    return zlib.compress(wire.pack({**head, "exercises": exercises}, tensors), 9)


def parse(data: bytes) -> dict[str, ExerciseKey]:
    """Read a unit's key. Raises: CourseError: if it is damaged or of another version."""
    try:
        message, tensors = wire.unpack(frame(data))
        if message.get("format") != "coursekit-key" or message.get("version") != VERSION:
            raise ValueError("it is not a key of this version")
        return {item["id"]: _exercise(item, tensors) for item in message["exercises"]}
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"An answer key cannot be read: {error}.", "Install the course again, or run `coursekit build`."
        ) from None


def maker(data: bytes) -> dict[str, str]:
    """The versions that a key was made with; empty if it does not say."""
    try:
        said = wire.unpack(frame(data))[0].get("made_with")
    except ValueError:
        return {}
    return {str(name): str(version) for name, version in said.items()} if isinstance(said, dict) else {}


def frame(data: bytes) -> bytes:
    """A key file's frame; compressed bytes differ between zlib versions, the frame does not. Raises: ValueError: if damaged."""
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise ValueError(f"its bytes are damaged ({error})") from None


def _exercise(item: dict[str, Any], tensors: dict[str, Tensor]) -> ExerciseKey:
    cases = tuple(
        Case(_dict(decode(case["inputs"], tensors)), decode_observed(case["expected"], tensors))
        for case in item["cases"]
    )
    wrong = tuple(
        KnownWrong(
            entry["name"],
            entry["hint"],
            tuple(decode_observed(seen, tensors) for seen in entry["observed"]),
            bool(entry["released"]),
            entry["within"] and (float(entry["within"][0]), float(entry["within"][1])),
        )
        for entry in item["wrong"]
    )
    tolerance = {name: (float(pair[0]), float(pair[1])) for name, pair in item["tolerance"].items()}
    return ExerciseKey(
        item["id"],
        item["function"],
        tuple(item["hints"]),
        cases,
        wrong,
        tuple(item["guards"]),
        dict(item["weights"]),
        tolerance,
        tuple(item["strict_dtype"]),
    )


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("inputs are not an object")
    return value


def folder() -> Path:
    """Where visible keys lie: $COURSEKIT_KEYS, else inside the package, else in the checkout that holds it."""
    if chosen := os.environ.get("COURSEKIT_KEYS"):
        return Path(chosen)
    package = Path(__file__).resolve().parents[1]
    return package / "_keys" if (package / "_keys").is_dir() else package.parents[1] / "data" / "keys"


@functools.cache
def _load(path: Path, modified: int) -> dict[str, ExerciseKey]:
    return parse(path.read_bytes())


def visible(exercise: str) -> ExerciseKey:
    """Find an exercise's visible key by its id.

    Raises: CourseError: if there is no such exercise; it names the nearest id.
    """
    known: list[str] = []
    for path in sorted(folder().glob(f"{exercise[:3]}_*.key")):
        keys = _load(path, path.stat().st_mtime_ns)
        if exercise in keys:
            return keys[exercise]
        known += keys
    import difflib

    near = difflib.get_close_matches(exercise, known, n=1, cutoff=0)
    raise CourseError(
        f"There is no exercise `{exercise}`.",
        f"Did you mean `{near[0]}`?" if near else "Exercise ids look like u01-sse-grad.",
    )


def units() -> dict[str, dict[str, ExerciseKey]]:
    """All visible keys: unit name -> exercise id -> key."""
    return {path.stem: _load(path, path.stat().st_mtime_ns) for path in sorted(folder().glob("u*.key"))}
