"""The loader of the real archive, on a small one of its form from a local server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from coursekit.data.download import Remote
from coursekit.data.letters import LETTERS, read_image
from coursekit.data.notmnist import KNOWN_CORRUPT, SMALL, TOP, fetch, listing
from coursekit.errors import CourseError

from .conftest import pack

Serve = Callable[..., Any]


def remote(server: Any) -> Remote:
    return Remote(server.url, f"sha256:{hashlib.sha256(server.content).hexdigest()}", len(server.content))


def test_from_the_address_to_the_pictures(serve: Serve, small: bytes, tmp_path: Path) -> None:
    root = fetch(tmp_path, remote(serve(small, plan=["cut", "503"])), progress=None, pause=0.0)
    found = listing(root)
    assert root == tmp_path / TOP
    assert found.labels == tuple(label for label in range(10) for _ in range(2))
    assert [path.parent.name for path in found.files] == [letter for letter in LETTERS for _ in range(2)]
    assert found.files == tuple(sorted(found.files))
    assert {f"{path.parent.name}/{path.name}" for path in found.known} == KNOWN_CORRUPT
    [(path, reason)] = found.unreadable
    assert path.name == "broken.png" and "not a readable picture" in reason
    assert read_image(found.files[0]).shape == (1, 28, 28)


def test_a_second_call_needs_no_server(serve: Serve, small: bytes, tmp_path: Path) -> None:
    server = serve(small)
    assert fetch(tmp_path, remote(server), None) == fetch(tmp_path, remote(server), None)
    assert len(server.asked) == 1


def test_a_wrong_checksum_unpacks_nothing(serve: Serve, small: bytes, tmp_path: Path) -> None:
    server = serve(small)
    wrong = Remote(server.url, f"sha256:{'0' * 64}", len(small))
    with pytest.raises(CourseError, match="its SHA256 differs"):
        fetch(tmp_path, wrong, None)
    assert {path.name for path in tmp_path.iterdir()} == {f"{TOP}.tar.gz.refused"}


def test_an_archive_that_reaches_outside_is_kept_but_not_unpacked(serve: Serve, tmp_path: Path) -> None:
    server = serve(pack([(f"{TOP}/A/a.png", b""), ("../evil", b"x")]))
    with pytest.raises(CourseError, match="refused"):
        fetch(tmp_path / "in", remote(server), None)
    assert {path.name for path in (tmp_path / "in").iterdir()} == {f"{TOP}.tar.gz"}
    assert not (tmp_path / "evil").exists()


def test_listing_names_the_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="has no folder 'A'") as caught:
        listing(tmp_path)
    assert "that `fetch` returned" in caught.value.remedy


def test_the_default_is_the_archive_that_everybody_used() -> None:
    assert urlsplit(SMALL.url).scheme == "https" and SMALL.url.endswith("/notMNIST_small.tar.gz")
    assert SMALL.size == 8458043 and len(KNOWN_CORRUPT) == 2
