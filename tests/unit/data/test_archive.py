"""Unpacking: whole or not at all, once, and never outside the folder."""

from __future__ import annotations

import errno
import os
import tarfile
import time
from pathlib import Path

import pytest

from coursekit.data import archive as module
from coursekit.data.archive import STAMP, unpack
from coursekit.errors import CourseError

from .conftest import Entry, pack

DIGEST = "0" * 64
GOOD: list[Entry] = [("top/A/1.png", b"one"), ("top/B/2.png", b"two")]


def write(folder: Path, entries: list[Entry]) -> Path:
    path = folder / "a.tar.gz"
    path.write_bytes(pack(entries))
    return path


def member(name: str, kind: bytes, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return name, info


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_unpacks_into_a_folder_that_it_makes(tmp_path: Path) -> None:
    tree = unpack(
        write(tmp_path, [member("top", tarfile.DIRTYPE), member("top/A", tarfile.DIRTYPE), *GOOD]),
        tmp_path / "x" / "y",
        "top",
        DIGEST,
    )
    assert tree == tmp_path / "x" / "y" / "top"
    assert (tree / "A" / "1.png").read_bytes() == b"one" and (tree / STAMP).read_text("utf-8") == DIGEST
    assert left(tmp_path / "x" / "y") == {"top"}


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    tree = unpack(path, tmp_path, "top", DIGEST)
    (tree / "A" / "1.png").write_bytes(b"mine")
    (tree / "B" / "2.png").unlink()
    path.unlink()
    assert unpack(path, tmp_path, "top", DIGEST) == tree
    assert (tree / "A" / "1.png").read_bytes() == b"mine" and not (tree / "B" / "2.png").exists()


@pytest.mark.parametrize(
    "evil",
    [
        ("../evil", b"x"),
        ("top/../../evil", b"x"),
        ("/evil", b"x"),
        ("other/evil", b"x"),
        ("top", b"x"),
        ("C:/evil", b"x"),
        ("top/..\\..\\evil", b"x"),
        (f"top/{STAMP}", b"x"),
        ("top/A/1.png", b"twice"),
        member("top/link", tarfile.SYMTYPE, "/"),
        member("top/hard", tarfile.LNKTYPE, "top/A/1.png"),
        member("top/hard", tarfile.LNKTYPE, "../../etc/passwd"),
        member("top/pipe", tarfile.FIFOTYPE),
        member("top/device", tarfile.CHRTYPE),
        member("../folder", tarfile.DIRTYPE),
    ],
    ids=lambda entry: entry[0],
)  # type: ignore[no-any-return]
def test_refuses_what_leaves_its_folder_or_is_no_file(tmp_path: Path, evil: Entry) -> None:
    path, folder = write(tmp_path, [*GOOD, evil]), tmp_path / "deep" / "in"
    with pytest.raises(CourseError, match="The archive is refused") as caught:
        unpack(path, folder, "top", DIGEST)
    assert "Nothing was unpacked" in caught.value.remedy and left(folder) == set()
    assert left(tmp_path) == {"a.tar.gz", "deep"} and left(tmp_path / "deep") == {"in"}


def test_a_link_followed_by_a_file_through_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    path = write(tmp_path, [member("top/A", tarfile.SYMTYPE, str(tmp_path / "outside")), ("top/A/evil", b"x")])
    with pytest.raises(CourseError, match="'top/A' is a link"):
        unpack(path, tmp_path / "in", "top", DIGEST)
    assert left(tmp_path / "outside") == set()


@pytest.mark.parametrize(("name", "value"), [("MAX_FILES", 1), ("MAX_BYTES", 4)])
def test_refuses_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(module, name, value)
    with pytest.raises(CourseError, match="takes the archive above"):
        unpack(write(tmp_path, GOOD), tmp_path, "top", DIGEST)


@pytest.mark.parametrize("keep", [0, 10, 60, -9])
def test_a_damaged_archive_leaves_nothing_behind(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, [("top/A/1.png", os.urandom(5000))])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CourseError, match="damaged") as caught:
        unpack(path, tmp_path / "in", "top", DIGEST)
    assert "Get the archive again" in caught.value.remedy and left(tmp_path / "in") == set()


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="holds no folder 'top'"):
        unpack(write(tmp_path, []), tmp_path / "in", "top", DIGEST)


def test_a_full_disk_leaves_no_half_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write(tmp_path, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfileobj", full)
        with pytest.raises(CourseError, match="disk is full") as caught:
            unpack(path, tmp_path / "in", "top", DIGEST)
    assert "Free some space" in caught.value.remedy and left(tmp_path / "in") == set()
    assert (unpack(path, tmp_path / "in", "top", DIGEST) / "A" / "1.png").is_file()


def test_a_killed_run_does_not_stop_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(source: object, target: object) -> None:
        raise KeyboardInterrupt

    path = write(tmp_path, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfileobj", killed)
        patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # nothing is tidied up, as after a power cut
        with pytest.raises(KeyboardInterrupt):
            unpack(path, tmp_path / "in", "top", DIGEST)
    [half] = (tmp_path / "in").iterdir()
    assert unpack(path, tmp_path / "in", "top", DIGEST).is_dir() and half.exists()
    long_ago = time.time() - 2 * module.STALE
    os.utime(half, (long_ago, long_ago))
    (tmp_path / "in" / "top").rename(tmp_path / "elsewhere")
    unpack(path, tmp_path / "in", "top", DIGEST)
    assert left(tmp_path / "in") == {"top"}


def test_a_faster_twin_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    whole = module._write_members

    def slow(archive: Path, work: Path, top: str) -> None:
        monkeypatch.setattr(module, "_write_members", whole)
        unpack(archive, tmp_path / "in", top, DIGEST)
        whole(archive, work, top)

    monkeypatch.setattr(module, "_write_members", slow)
    assert (unpack(path, tmp_path / "in", "top", DIGEST) / "B" / "2.png").read_bytes() == b"two"
    assert left(tmp_path / "in") == {"top"}


def test_somebodys_own_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    with pytest.raises(CourseError, match="was not unpacked by the course") as caught:
        unpack(write(tmp_path, GOOD), tmp_path, "top", DIGEST)
    assert "Rename it" in caught.value.remedy and left(tmp_path / "top") == set()


def test_a_tree_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    unpack(path, tmp_path, "top", DIGEST)
    with pytest.raises(CourseError, match="another version"):
        unpack(path, tmp_path, "top", "1" * 64)
    assert (tmp_path / "top" / "A" / "1.png").is_file()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CourseError, match="file"):
        unpack(write(tmp_path, GOOD), tmp_path / "file" / "in", "top", DIGEST)
