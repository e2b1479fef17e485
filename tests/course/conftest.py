"""What the tests of one unit share. A test module names its unit in UNIT."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.build.compile import Compiler
from coursekit.build.source import UnitSource, read


@pytest.fixture(scope="module")
def unit(repository: Path, request: pytest.FixtureRequest) -> tuple[UnitSource, Compiler]:
    """The unit's source, and the compiler of its key."""
    name = request.module.UNIT
    source = read(repository / "solutions" / f"{name}.py")
    return source, Compiler.of(source, repository / "autograder" / name)


@pytest.fixture(scope="module")
def source(unit: tuple[UnitSource, Compiler]) -> UnitSource:
    return unit[0]


@pytest.fixture(scope="module")
def compiler(unit: tuple[UnitSource, Compiler]) -> Compiler:
    return unit[1]
