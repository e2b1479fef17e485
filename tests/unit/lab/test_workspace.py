"""The working folder: an update never overwrites a student's work, and never loses the new version either."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coursekit.errors import CourseError
from coursekit.lab import workspace
from coursekit.lab.workspace import RECORD, bring_up_to_date, working_folder

TODAY = date(2026, 3, 1)
NAME = "u01_tensors.ipynb"
BESIDE = "u01_tensors (new version 2026-03-01).ipynb"


class Folders:
    """A folder of releases, and a student's."""

    def __init__(self, root: Path) -> None:
        self.releases, self.work = root / "releases", root / "my-course"
        self.releases.mkdir()
        self.release("first release")

    def release(self, text: str) -> None:
        (self.releases / NAME).write_text(text, "utf-8")

    def update(self, today: date = TODAY) -> list[str]:
        return bring_up_to_date(self.work, self.releases, today)

    def edit(self, text: str) -> None:
        (self.work / NAME).write_text(text, "utf-8")

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text("utf-8") for path in self.work.iterdir() if path.name != RECORD}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_the_first_time_every_notebook_is_copied(folders: Folders) -> None:
    (folders.releases / "u02_autograd.ipynb").write_text("second unit", "utf-8")
    assert folders.update() == ["u01_tensors.ipynb: new.", "u02_autograd.ipynb: new."]
    assert folders.files() == {NAME: "first release", "u02_autograd.ipynb": "second unit"}


def test_a_second_time_changes_nothing(folders: Folders) -> None:
    folders.update()
    assert folders.update() == []


def test_work_stays_when_there_is_no_new_release(folders: Folders) -> None:
    folders.update()
    folders.edit("my work")
    assert folders.update() == []
    assert folders.files() == {NAME: "my work"}


def test_an_unedited_copy_is_replaced(folders: Folders) -> None:
    folders.update()
    folders.release("second release")
    assert folders.update() == ["u01_tensors.ipynb: updated; you had not changed it."]
    assert folders.files() == {NAME: "second release"}


def test_beside_an_edited_copy_the_new_version_is_put_once(folders: Folders) -> None:
    folders.update()
    folders.edit("my work")
    folders.release("second release")
    assert folders.update() == [f"u01_tensors.ipynb: yours, kept as it is. The new version is beside it: {BESIDE}"]
    assert folders.files() == {NAME: "my work", BESIDE: "second release"}
    assert folders.update(date(2026, 3, 2)) == []
    assert folders.files() == {NAME: "my work", BESIDE: "second release"}


def test_a_new_version_that_was_put_away_does_not_come_back(folders: Folders) -> None:
    folders.update()
    folders.edit("my work")
    folders.release("second release")
    folders.update()
    (folders.work / BESIDE).unlink()
    assert folders.update() == []
    assert folders.files() == {NAME: "my work"}


def test_work_in_the_new_version_is_not_overwritten_by_the_next_one(folders: Folders) -> None:
    folders.update()
    folders.edit("my work")
    folders.release("second release")
    folders.update()
    (folders.work / BESIDE).write_text("more work", "utf-8")
    folders.release("third release")
    folders.update()
    third = "u01_tensors (new version 2026-03-01, 2).ipynb"
    assert folders.files() == {NAME: "my work", BESIDE: "more work", third: "third release"}


def test_taking_over_the_new_version_makes_it_the_origin(folders: Folders) -> None:
    folders.update()
    folders.edit("my work")
    folders.release("second release")
    folders.update()
    os.replace(folders.work / BESIDE, folders.work / NAME)
    assert folders.update() == []
    folders.release("third release")
    assert folders.update() == ["u01_tensors.ipynb: updated; you had not changed it."]


def test_a_deleted_copy_is_restored(folders: Folders) -> None:
    folders.update()
    (folders.work / NAME).unlink()
    assert folders.update() == ["u01_tensors.ipynb: restored, it had been deleted."]
    assert folders.files() == {NAME: "first release"}


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"u01_tensors.ipynb": 3}', "\udce4"])
def test_without_a_readable_record_nothing_is_overwritten(folders: Folders, broken: str) -> None:
    folders.update()
    folders.edit("my work")
    folders.release("second release")
    (folders.work / RECORD).write_bytes(broken.encode("utf-8", "surrogateescape"))
    assert folders.update() == [
        "The record .coursekit.json was unreadable and is made anew; all notebooks count as yours.",
        f"u01_tensors.ipynb: yours, kept as it is. The new version is beside it: {BESIDE}",
    ]
    assert folders.files() == {NAME: "my work", BESIDE: "second release"}
    assert folders.update() == []


def test_an_interruption_between_copy_and_record_does_no_harm(folders: Folders) -> None:
    folders.update()
    record = (folders.work / RECORD).read_bytes()
    folders.release("second release")
    folders.update()
    (folders.work / RECORD).write_bytes(record)  # as if the run had stopped before it was written
    assert folders.update() == []
    assert list(json.loads((folders.work / RECORD).read_bytes())) == [NAME]


def test_a_folder_that_cannot_be_written(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(workspace, "_replace", refuse)
    with pytest.raises(CourseError) as caught:
        folders.update()
    assert caught.value.problem == f"Cannot write to the working folder {folders.work}: Permission denied."
    assert caught.value.remedy == "Choose a folder of your own: --folder DIR"


def test_a_file_where_the_folder_should_be(folders: Folders) -> None:
    folders.work.write_text("a file", "utf-8")
    with pytest.raises(CourseError, match="Cannot write to the working folder"):
        folders.update()


def test_no_release_notebooks(folders: Folders) -> None:
    (folders.releases / NAME).unlink()
    with pytest.raises(CourseError) as caught:
        folders.update()
    assert caught.value.problem == f"There are no release notebooks in {folders.releases}."
    assert caught.value.remedy == "Build them: coursekit build"


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "repository", lambda: tmp_path)
    assert working_folder() == tmp_path / "my-course"
    monkeypatch.setattr(workspace, "repository", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert working_folder() == tmp_path / "my-course"
    assert working_folder("elsewhere") == tmp_path / "elsewhere"


def test_lab_says_where_the_notebooks_are_and_starts_the_server(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    started: list[tuple[object, ...]] = []
    server = ModuleType("coursekit.lab.server")
    server.start = lambda *given: started.append(given) or 0  # type: ignore[attr-defined,func-returns-value]
    monkeypatch.setitem(sys.modules, "coursekit.lab.server", server)
    monkeypatch.setattr(workspace, "notebooks_folder", lambda: folders.releases)
    assert workspace.main(str(folders.work), True, 8890) == 0
    assert started == [(folders.work, True, 8890)]
    assert capsys.readouterr().err == f"u01_tensors.ipynb: new.\nYour notebooks are in {folders.work}\n"
