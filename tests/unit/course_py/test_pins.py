"""The pins fit every Python that pyproject.toml names, down to the first release of each."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[3]
PINS = [
    line.partition("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
SUPPORTED = SpecifierSet(
    tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
)
PYTHONS = [f"3.{minor}.0" for minor in range(30) if f"3.{minor}.0" in SUPPORTED]


def test_there_are_pythons() -> None:
    assert PYTHONS[0] == "3.11.0"
    assert len(PYTHONS) == 4


@pytest.mark.parametrize(("name", "_", "version"), PINS)
def test_a_pin_refuses_no_python(name: str, _: str, version: str) -> None:
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed here")
    if metadata["Version"].partition("+")[0] != version:
        pytest.skip("another version is installed here")
    needs = SpecifierSet(metadata.get("Requires-Python", ""))
    assert [python for python in PYTHONS if python not in needs] == []
