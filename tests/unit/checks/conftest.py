"""Short ways to make observations and keys by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

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
    """fail("ValueError", "shapes", line, lineno, function) is an observation of an exception."""
    return lambda *parts: Observed(failure=Failure(*parts))


@pytest.fixture
def make_key() -> MakeKey:
    """Make a key from one expected observation per case; wrong: name -> (hint, one observation per case)."""

    def make(
        expected: Sequence[Observed],
        wrong: Mapping[str, tuple[str, Sequence[Observed]]] | None = None,
        released: Sequence[str] = (),
        **options: Any,
    ) -> ExerciseKey:
        known = tuple(
            KnownWrong(name, hint, tuple(seen), name in released) for name, (hint, seen) in (wrong or {}).items()
        )
        given: dict[str, Any] = {"guards": (), "weights": {}, "tolerance": {}, "strict_dtype": (), **options}
        cases = tuple(Case({}, item) for item in expected)
        return ExerciseKey("u01-sse-grad", "sse_grad", ("one?", "two", "three"), cases, known, **given)

    return make
