"""Downloads from a local server: cut, refused, changed, endless, wrong; what came is kept, and the next step is said."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.data import download as module
from coursekit.data.download import Remote, download, show_progress
from coursekit.errors import CourseError

DATA = random.Random(0).randbytes(300_000)
SHA = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
MD5 = f"md5:{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"
Serve = Callable[..., Any]


def get(server: Any, folder: Path, checksum: str = SHA, size: int | None = len(DATA), tries: int = 4) -> Path:
    return download(Remote(server.url, checksum, size), folder / "a.gz", tries=tries, pause=0.0)


def test_a_file_comes_whole_and_leaves_nothing_else(serve: Serve, tmp_path: Path) -> None:
    path = get(serve(DATA), tmp_path / "new" / "folder")
    assert path.read_bytes() == DATA and list(path.parent.iterdir()) == [path]


def test_a_second_call_asks_nobody(serve: Serve, tmp_path: Path) -> None:
    server = serve(DATA)
    assert get(server, tmp_path) == get(server, tmp_path)
    assert server.asked == [None]


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_cut_connection_is_taken_up_where_it_broke(serve: Serve, tmp_path: Path, size: int | None) -> None:
    server = serve(DATA, plan=["cut", "cut"])
    assert get(server, tmp_path, MD5, size).read_bytes() == DATA
    assert server.asked == [None, "bytes=150000-", "bytes=225000-"]


def test_a_later_call_goes_on_too(serve: Serve, tmp_path: Path) -> None:
    server = serve(DATA, plan=["cut"])
    with pytest.raises(CourseError, match="broke off after 150000 of 300000 bytes") as caught:
        get(server, tmp_path, tries=1)
    assert "150000 bytes are kept, and the next call goes on behind them" in caught.value.remedy
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.asked == [None, "bytes=150000-"]


def test_a_server_without_ranges_starts_over(serve: Serve, tmp_path: Path) -> None:
    server = serve(DATA, ranges=False, plan=["cut"])
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.asked == [None, "bytes=150000-"]


def test_a_part_of_another_version_is_not_mixed_in(serve: Serve, tmp_path: Path) -> None:
    old = serve(bytes(300_000), plan=["cut"], version='"old"')
    with pytest.raises(CourseError):
        get(old, tmp_path, tries=1)
    server = serve(DATA, version='"new"')
    assert get(server, tmp_path).read_bytes() == DATA


def test_an_answer_that_starts_elsewhere_is_not_used(serve: Serve, tmp_path: Path) -> None:
    server = serve(DATA, plan=["cut", "shifted"])
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.asked == [None, "bytes=150000-", None]


@pytest.mark.parametrize("status", ["503", "429", "500"])
def test_a_server_in_trouble_is_asked_again(serve: Serve, tmp_path: Path, status: str) -> None:
    server = serve(DATA, plan=[status, status])
    assert get(server, tmp_path).read_bytes() == DATA and len(server.asked) == 3


def test_a_file_that_is_not_there_is_said_at_once(serve: Serve, tmp_path: Path) -> None:
    server = serve(DATA, plan=["404"])
    with pytest.raises(CourseError, match=r"the server answers 404 \(Not Found\)") as caught:
        get(server, tmp_path)
    assert "browser" in caught.value.remedy and len(server.asked) == 1


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="broke off") as caught:
        download(Remote("http://127.0.0.1:9/a.gz", SHA), tmp_path / "a.gz", tries=2, pause=0.0)
    assert "Check the connection" in caught.value.remedy


@pytest.mark.parametrize("checksum", [SHA, MD5])
def test_a_wrong_file_is_put_aside_and_the_next_call_starts_anew(serve: Serve, tmp_path: Path, checksum: str) -> None:
    server = serve(DATA[:-1] + b"?")
    with pytest.raises(CourseError, match=f"its {checksum.split(':')[0].upper()} differs") as caught:
        get(server, tmp_path, checksum)
    assert str(tmp_path / "a.gz.refused") in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["a.gz.refused"]
    server.content = DATA
    assert get(server, tmp_path, checksum).read_bytes() == DATA


def test_a_file_of_another_size_is_refused(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="299990 bytes in place of 300000"):
        get(serve(DATA[:-10]), tmp_path, tries=1)


def test_an_endless_answer_is_cut(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="in place of 300000"):
        get(serve(DATA, plan=["endless"], version=""), tmp_path)
    assert (tmp_path / "a.gz.refused").stat().st_size < 2 * len(DATA)


def test_a_whole_part_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(DATA)
    remote = Remote("http://127.0.0.1:9/a.gz", SHA, len(DATA))
    assert download(remote, tmp_path / "a.gz", tries=1).read_bytes() == DATA


def test_a_whole_part_of_unknown_size_is_enough(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(DATA)
    assert get(serve(DATA), tmp_path, size=None, tries=1).read_bytes() == DATA


def test_a_part_that_is_too_long_is_started_over(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.gz.part").write_bytes(DATA + b"more")
    assert get(serve(DATA), tmp_path, size=None).read_bytes() == DATA


def test_another_file_in_its_place_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"mine")
    with pytest.raises(CourseError, match="is there already") as caught:
        get(serve(DATA), tmp_path)
    assert "Rename or delete it" in caught.value.remedy and (tmp_path / "a.gz").read_bytes() == b"mine"


def test_a_full_disk_keeps_what_came(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(DATA)
    whole = module._receive

    def full(answer: Any, part: Path, start: int, total: int | None, progress: Any) -> None:
        part.write_bytes(DATA[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_receive", full)
    with pytest.raises(CourseError, match="disk is full") as caught:
        get(server, tmp_path)
    assert "Free some space and run this again" in caught.value.remedy
    monkeypatch.setattr(module, "_receive", whole)
    assert get(server, tmp_path).read_bytes() == DATA and server.asked[-1] == "bytes=1000-"


def test_a_folder_that_cannot_be_made_is_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CourseError, match=r"file: |a\.gz"):
        get(serve(DATA), tmp_path / "file")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "a.gz"])
def test_only_web_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="not an http or https address"):
        download(Remote(url, SHA), tmp_path / "a.gz")


@pytest.mark.parametrize("checksum", ["", "sha1:00", "md5:zz", "sha256:" + "0" * 63])
def test_no_checksum_no_download(checksum: str, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="is no checksum"):
        download(Remote("http://127.0.0.1:9/a", checksum), tmp_path / "a.gz")


def test_progress_counts_up_to_the_whole_after_a_resume_too(serve: Serve, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    remote = Remote(serve(DATA, plan=["cut"]).url, SHA, len(DATA))
    download(remote, tmp_path / "a.gz", lambda done, total: seen.append((done, total)), pause=0.0)
    assert seen == sorted(seen) and seen[-1] == (len(DATA), len(DATA))


def test_the_shown_progress(capsys: pytest.CaptureFixture[str]) -> None:
    show_progress(2_500_000, 5_000_000)
    show_progress(5_000_000, 5_000_000)
    show_progress(1_000_000, None)
    out, err = capsys.readouterr()
    assert out + err == "\r   2.5 of 5.0 MB,  50%\r   5.0 of 5.0 MB, 100%\n\r   1.0 MB"
