"""Where the course lies: a checkout is found from anywhere inside it; an installed package brings its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.course import paths
from coursekit.errors import CourseError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    (root / "autograder").mkdir(parents=True)
    (root / "autograder" / "course.toml").write_text("", "utf-8")
    (root / "solutions" / "deep").mkdir(parents=True)
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(paths, "_PACKAGE", package)
    monkeypatch.chdir(root / "solutions" / "deep")
    return root


def test_found_from_inside(checkout: Path) -> None:
    found = paths.course()
    assert found.root == checkout
    assert found.catalog == checkout / "autograder" / "course.toml"
    assert [found.solutions, found.notebooks, found.keys] == [
        checkout / "solutions",
        checkout / "notebooks",
        checkout / "data" / "keys",
    ]
    assert paths.notebooks_folder() == checkout / "notebooks"
    assert paths.keys_folder() == checkout / "data" / "keys"


def test_found_from_the_package(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = checkout / "src" / "coursekit"
    inside.mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", inside)
    monkeypatch.chdir(tmp_path)
    assert paths.repository() == checkout


def test_an_installed_package_brings_its_files(checkout: Path) -> None:
    for name in ("_keys", "_notebooks"):
        (paths._PACKAGE / name).mkdir()
    assert paths.notebooks_folder() == paths._PACKAGE / "_notebooks"
    assert paths.keys_folder() == paths._PACKAGE / "_keys"


def test_nothing_there(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError) as caught:
        paths.course()
    assert str(caught.value) == (
        "This command needs the course's own checkout (a folder with autograder/course.toml); "
        "none was found from here upward.\nChange into the checkout and run it again."
    )
    with pytest.raises(CourseError) as caught:
        paths.notebooks_folder()
    assert str(caught.value) == (
        "The course's files are not installed beside the coursekit package.\nInstall again: pip install ."
    )
