"""The file that remembers what a student has passed: never a reason to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit.checks import results
from coursekit.checks.verdict import State


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "results.json"
    monkeypatch.setenv("COURSEKIT_RESULTS", str(path))
    return path


def test_it_stands_beside_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSEKIT_RESULTS", raising=False)
    assert results.path() == Path(".coursekit") / "results.json"


def test_round_trip(file: Path) -> None:
    assert results.load() == {}
    results.record("u01-b", State.NOT_YET)
    results.record("u01-a", State.NOT_STARTED)
    results.record("u01-b", State.PASSED)
    assert results.load() == {"u01-a": "Not started", "u01-b": "Passed"}
    assert [path.name for path in file.parent.iterdir()] == ["results.json"], "no draft is left"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"u01-a": ["Passed"], "u01-b": {}, "u01-c": "Superb"}', "\x00"],
)
def test_a_damaged_file_counts_as_empty_and_is_mended(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    assert results.load() == {}
    results.record("u01-a", State.PASSED)
    assert json.loads(file.read_text(encoding="utf-8")) == {"u01-a": "Passed"}


def test_bytes_that_are_no_text(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\x00\xd8")
    assert results.load() == {}


def test_a_place_that_cannot_be_written_to_is_no_failure(file: Path) -> None:
    file.parent.write_text("a file where the folder should be", "utf-8")
    results.record("u01-a", State.PASSED)
    assert results.load() == {}


def test_a_folder_in_its_place_is_no_failure(file: Path) -> None:
    (file / "inside").mkdir(parents=True)
    results.record("u01-a", State.PASSED)
    assert results.load() == {}
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]
