"""Folder trees of pictures for checks, in a temporary folder: small ones that the check makes, and a part of the shipped letters."""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from coursekit.data.files import data_file


@contextlib.contextmanager
def tree(
    paths: Sequence[str], pictures: Tensor, raw: Mapping[str, str] | None = None, folders: Sequence[str] = ()
) -> Iterator[Path]:
    """Write PNG files into a new folder, and remove it at the end.

    Meanwhile the system lists folders in descending order of names: file systems promise no order, and code that counts on
    one has to show it.

    Args: paths: where each picture goes, relative, such as "A/a1.png". pictures: (N, H, W) uint8, grey. Every second
    file carries a note of its own, so equal pictures often differ in their bytes. raw: path -> text, written as Latin-1 bytes; for files
    that are no pictures. folders: relative paths of folders that may stay empty.
    Yields: the folder.
    """
    with tempfile.TemporaryDirectory(prefix="letters-") as temporary:
        root = Path(temporary)
        for name in folders:
            (root / name).mkdir(parents=True, exist_ok=True)
        for number, (name, picture) in enumerate(zip(paths, pictures.cpu(), strict=True)):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            note = PngInfo()
            if number % 2:
                note.add_text("number", str(number))
            Image.fromarray(picture.numpy()).save(root / name, "PNG", pnginfo=note)
        for name, text in (raw or {}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode("latin-1"))
        with descending_listings():
            yield root


@contextlib.contextmanager
def descending_listings() -> Iterator[None]:
    """Let os.listdir and os.scandir, and so glob, os.walk and Path.iterdir, give names in descending order; Path.glob and rglob, too.

    These two need it said: in Python 3.13 they hold a scandir of their own, and from then on they walk subfolders from the last.
    """
    listdir, scandir, path_glob, path_rglob = os.listdir, os.scandir, Path.glob, Path.rglob

    def listed(*given: Any) -> list[Any]:
        return sorted(listdir(*given), reverse=True)

    def scanned(*given: Any) -> _Entries:
        with scandir(*given) as entries:
            return _Entries(sorted(entries, key=lambda entry: entry.name, reverse=True))

    def globbed(path: Path, *given: Any, **options: Any) -> Iterator[Path]:
        return iter(sorted(path_glob(path, *given, **options), reverse=True))

    def globbed_below(path: Path, *given: Any, **options: Any) -> Iterator[Path]:
        return iter(sorted(path_rglob(path, *given, **options), reverse=True))

    os.listdir, os.scandir = listed, scanned  # type: ignore[assignment]
    Path.glob, Path.rglob = globbed, globbed_below  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        os.listdir, os.scandir = listdir, scandir
        Path.glob, Path.rglob = path_glob, path_rglob  # type: ignore[method-assign]


class _Entries:
    """What os.scandir returns: an iterator that can be closed."""

    def __init__(self, entries: list[os.DirEntry[Any]]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> os.DirEntry[Any]:
        return next(self._entries)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def close(self) -> None:
        """There is nothing to close."""


@contextlib.contextmanager
def sample(per_letter: int) -> Iterator[tuple[Path, Path]]:
    """Unpack a part of the shipped letters into a new folder, and remove it at the end.

    Args: per_letter: files of each letter in train; half as many in valid. The first by name, so the same fonts each time.
    Yields: the roots train and valid.
    """
    with (
        tempfile.TemporaryDirectory(prefix="letters-") as temporary,
        tarfile.open(data_file("letters.tar.gz")) as archive,
    ):
        folders: dict[PurePosixPath, list[tarfile.TarInfo]] = {}
        for member in archive.getmembers():
            if member.isfile() and member.name.endswith(".png"):
                folders.setdefault(PurePosixPath(member.name).parent, []).append(member)
        roots = Path(temporary) / "train", Path(temporary) / "valid"
        for folder, members in folders.items():
            count = per_letter if folder.parent.name == "train" else per_letter // 2
            for member in sorted(members, key=lambda item: item.name)[:count]:
                target = Path(temporary, *PurePosixPath(member.name).parts[-3:])
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                target.write_bytes(content.read() if content is not None else b"")
        yield roots
