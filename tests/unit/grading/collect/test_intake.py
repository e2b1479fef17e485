"""Submissions are read tolerantly, from folders and zips, and nothing in them is believed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.grading.collect.intake import MAX_BYTES, clean, gather, parse, read_file

CODE = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "u01-a"}}, "source": ["x = 1\n", "y = 2"]}


def notebook(*cells: object) -> bytes:
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def test_cells_keep_text_kind_and_claimed_id() -> None:
    sheet = parse(notebook(CODE, {"cell_type": "markdown", "source": "# hi"}, {"cell_type": "raw", "source": "?"}))
    assert sheet.problem is None
    assert [(part.kind, part.text, part.grade_id) for part in sheet.parts] == [
        ("code", "x = 1\ny = 2", "u01-a"),
        ("markdown", "# hi", None),
        ("markdown", "?", None),
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty: the file has no content"),
        (b"  \n", "empty: the file has no content"),
        (b'{"cells": [', "unreadable: the file is not a notebook (its JSON is damaged)"),
        (b"\x00\xff\xfe\x01", "unreadable: the file is not a notebook (its JSON is damaged)"),
        (b"[" * 100_000, "unreadable: the file is not a notebook (its JSON is damaged)"),
        (b"[]", "unreadable: the file holds no list of cells"),
        (b'{"cells": 3}', "unreadable: the file holds no list of cells"),
        (b'{"metadata": {}}', "unreadable: the file holds no list of cells"),
        (notebook(), "empty: the notebook has no code cells"),
        (notebook({"cell_type": "code", "source": "  "}), "empty: the notebook has no code cells"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, problem: str) -> None:
    assert parse(data).problem == problem


def test_a_huge_file_is_refused_without_parsing() -> None:
    assert parse(b"x" * (MAX_BYTES + 1)).problem == "unreadable: the file is larger than 32 MB"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    data = json.dumps({"cells": [{"cell_type": "code", "source": "s = '한국어'"}]}, ensure_ascii=False).encode(encoding)
    assert parse(data).parts[0].text == "s = '한국어'"


def test_nbformat_3_is_read() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1"]}]}], "nbformat": 3}
    assert parse(json.dumps(old).encode()).parts[0].text == "a = 1"


def test_cells_of_odd_types_do_no_harm() -> None:
    odd = [
        None,
        3,
        "text",
        {},
        {"cell_type": "code", "source": {"a": 1}, "metadata": []},
        {"cell_type": "code", "source": [1, None, "x"]},
        {"cell_type": "code", "source": "ok", "metadata": {"nbgrader": {"grade_id": ["no"]}}},
        {"cell_type": "code", "source": "\ud800"},
    ]
    sheet = parse(notebook(*odd))
    assert [part.text for part in sheet.parts] == ["", "", "1Nonex", "ok", "?"]
    assert all(part.grade_id is None for part in sheet.parts)


def test_nbgrader_layout_and_loose_files(tmp_path: Path) -> None:
    for path in (
        "ann/u01_tensors/u01_tensors.ipynb",
        "bob/u01_tensors/my answers.ipynb",
        "bob/u02_autograd/u02_autograd.ipynb",
        "ann/u01_tensors/.ipynb_checkpoints/u01_tensors-checkpoint.ipynb",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    found = gather(tmp_path, "u01_tensors")
    assert [(item.student, item.note) for item in found] == [("ann", ""), ("bob", "handed in as my answers.ipynb")]
    assert found[0].data == b"ann/u01_tensors/u01_tensors.ipynb"


def test_a_folder_of_files_and_a_zip_of_them_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("zoe.ipynb", "ann_u01_tensors.ipynb", "u01_tensors-kim.ipynb"):
        (folder / name).write_bytes(b"{}")
    (folder / "notes.txt").write_text("no notebook", "utf-8")
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, path.name)
        file.writestr("__MACOSX/._zoe.ipynb", b"?")
        file.writestr("../../evil.ipynb", b"{}")
    assert [item.student for item in gather(folder, "u01_tensors")] == ["ann", "kim", "zoe"]
    assert [item.student for item in gather(archive, "u01_tensors")] == ["ann", "kim", "zoe"]
    assert not (tmp_path.parent / "evil.ipynb").exists()


def test_the_well_named_file_wins(tmp_path: Path) -> None:
    folder = tmp_path / "ann" / "u01_tensors"
    folder.mkdir(parents=True)
    for name in ("a copy.ipynb", "u01_tensors.ipynb", "z copy.ipynb"):
        (folder / name).write_text(name, "utf-8")
    assert [(item.data, item.note) for item in gather(tmp_path, "u01_tensors")] == [(b"u01_tensors.ipynb", "")]


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(notebook(CODE))
    link = tmp_path / "in" / "eve.ipynb"
    link.parent.mkdir()
    link.symlink_to(secret)
    assert read_file(link) == b""
    assert parse(gather(link.parent, "u01_tensors")[0].data).problem == "empty: the file has no content"


def test_missing_places_and_broken_zips_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CourseError, match=r"There is no .*nowhere\.\nGive --submitted a folder or a zip of notebooks\."
    ):
        gather(tmp_path / "nowhere", "u01_tensors")
    with pytest.raises(CourseError, match=r"No submissions of `u01_tensors` were found"):
        gather(tmp_path, "u01_tensors")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    with pytest.raises(CourseError, match=r"broken\.zip cannot be read as a zip"):
        gather(broken, "u01_tensors")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Kim Min-ji", "Kim_Min-ji"),
        ("../../etc", "_.._etc"),
        ("a/b", "a_b"),
        ("=1+2", "_1_2"),
        ("...", "unnamed"),
        ("<script>", "_script_"),
        ("민지", "민지"),
        ("x" * 200, "x" * 80),
    ],
)
def test_student_names_are_safe_as_folders(name: str, safe: str) -> None:
    assert clean(name) == safe


def test_files_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "kim.ipynb").write_bytes(b"first")
    [item] = gather(tmp_path, "u01_tensors")
    (tmp_path / "kim.ipynb").write_bytes(b"second")
    assert item.data == b"second"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_file_in_a_zip_says_what_to_do(tmp_path: Path, method: int) -> None:
    archive = tmp_path / "all.zip"
    text = b"some text of a notebook " * 50
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("kim.ipynb", text)
    data = bytearray(archive.read_bytes())
    data[60:64] = b"\xff\xff\xff\xff"
    archive.write_bytes(data)
    [item] = gather(archive, "u01_tensors")
    with pytest.raises(CourseError, match=r"all\.zip cannot be read as a zip"):
        item.data  # noqa: B018
