from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.data import files
from coursekit.errors import CourseError


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "a.bin").write_bytes(b"abc")
    (tmp_path / files.SUMS).write_text(f"{hashlib.sha256(b'abc').hexdigest()}  a.bin\n{'0' * 64}  gone.bin\n", "utf-8")
    monkeypatch.setattr(files, "sets_folder", lambda: tmp_path)
    files.data_file.cache_clear()
    yield tmp_path
    files.data_file.cache_clear()


def test_gives_a_shipped_file(sets: Path) -> None:
    assert files.data_file("a.bin") == sets / "a.bin"


def test_refuses_a_damaged_file(sets: Path) -> None:
    (sets / "a.bin").write_bytes(b"abd")
    with pytest.raises(CourseError, match="damaged"):
        files.data_file("a.bin")


def test_names_what_there_is(sets: Path) -> None:
    with pytest.raises(CourseError, match=r"no data named 'b\.bin'") as caught:
        files.data_file("b.bin")
    assert "a.bin, gone.bin" in caught.value.remedy


def test_says_that_a_file_is_missing(sets: Path) -> None:
    with pytest.raises(CourseError, match=r"gone\.bin: No such file") as caught:
        files.data_file("gone.bin")
    assert "git checkout" in caught.value.remedy


def test_every_shipped_file_is_listed_and_whole() -> None:
    folder = files.sets_folder()
    listed = {line.split()[1] for line in (folder / files.SUMS).read_text("utf-8").splitlines()}
    lying = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {files.SUMS, "README.md"}
    assert listed == lying
    assert all(files.data_file(name).is_file() for name in listed)
