"""Short ways to make observations and keys by hand."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch

from coursekit.checks.key import Case, ExerciseKey, KnownWrong
from coursekit.checks.snapshot import Failure, Observed, picture

See = Callable[..., Observed]
MakeKey = Callable[..., ExerciseKey]


@pytest.fixture
def see() -> See:
    """see(grad=tensor) is one observation; see(inputs={...}, grad=...) also knows whose memory is shared."""

    def make(inputs: Mapping[str, Any] | None = None, **values: Any) -> Observed:
        return Observed(picture(values, inputs or {}))

    return make


@pytest.fixture
def fail() -> Callable[..., Observed]:
    """fail("ValueError", "shapes", line, lineno, function, step=1) is an observation of an exception."""
    return lambda *parts, **more: Observed(failure=Failure(*parts, **more))


@pytest.fixture
def make_key() -> MakeKey:
    """Make a key from one expected observation per case; wrong: name -> (hint, one observation per case)."""

    def make(
        expected: Sequence[Observed],
        wrong: Mapping[str, tuple[str, Sequence[Observed]]] | None = None,
        released: Sequence[str] = (),
        within: Mapping[str, tuple[float, float]] | None = None,
        **options: Any,
    ) -> ExerciseKey:
        known = tuple(
            KnownWrong(name, hint, tuple(seen), name in released, (within or {}).get(name))
            for name, (hint, seen) in (wrong or {}).items()
        )
        given: dict[str, Any] = {"guards": (), "weights": {}, "tolerance": {}, "strict_dtype": (), **options}
        cases = tuple(Case({}, item) for item in expected)
        return ExerciseKey("u01-sse-grad", "sse_grad", ("one?", "two", "three"), cases, known, **given)

    return make


@pytest.fixture
def notebook() -> Callable[..., Callable[..., Any]]:
    """Run cells as IPython does, under names in angle brackets that linecache knows; give `observe`."""

    def run(*cells: str) -> Callable[..., Any]:
        space: dict[str, Any] = {"torch": torch}
        for number, cell in enumerate(cells):
            name = f"<ipython-input-{number}-test>"
            linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
            exec(compile(cell, name, "exec"), space)
        return space["observe"]  # type: ignore[no-any-return]

    return run
