"""Load the real notMNIST (Y. Bulatov, 2011): letters A to J of fonts from the web, 28×28 grey, the small hand-cleaned part.

It is not shipped with the course: `fetch` downloads it. All of the course works without it, on `coursekit.data.letters`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coursekit.data.archive import unpack
from coursekit.data.download import Progress, Remote, digest_of, download, show_progress
from coursekit.data.letters import LETTERS, read_image
from coursekit.errors import CourseError

TOP = "notMNIST_small"
# The address, size and MD5 that public code has used for years. The MD5 guards against damage; safe unpacking against malice.
SMALL = Remote(
    url="https://commondatastorage.googleapis.com/books1000/notMNIST_small.tar.gz",
    checksum="md5:c9890a473a9769fda4bdf314aaf500dd",
    size=8458043,
)
# Two of its 18,726 files are empty.
KNOWN_CORRUPT = frozenset(
    {
        "A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png",
        "F/Q3Jvc3NvdmVyIEJvbGRPYmxpcXVlLnR0Zg==.png",
    }
)


@dataclass(frozen=True)
class Listing:
    """What a tree holds. files: readable pictures, sorted. labels: 0 for A … 9 for J. known, unreadable: skipped, with reasons."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    known: tuple[Path, ...]
    unreadable: tuple[tuple[Path, str], ...]


def fetch(
    folder: str | Path,
    remote: Remote = SMALL,
    progress: Progress | None = show_progress,
    tries: int = 4,
    pause: float = 1.0,
) -> Path:
    """Download the archive and unpack it, each once; a call that was broken off is taken up where it stopped.

    Args: folder: gets notMNIST_small.tar.gz and the tree notMNIST_small. remote: another copy of the archive.
    Returns: folder/notMNIST_small, holding A … J.
    Raises: CourseError: with one next step; what has been downloaded is kept.
    """
    archive = download(remote, Path(folder) / f"{TOP}.tar.gz", progress, tries, pause)
    return unpack(archive, Path(folder), TOP, digest_of(archive))


def listing(root: Path, known: frozenset[str] = KNOWN_CORRUPT) -> Listing:
    """Read every picture once and list those that can be used.

    Args: root: as `fetch` gives it. known: files, as letter/name, that nobody expects to be readable.
    Raises: CourseError: a letter's folder is missing.
    """
    files: list[Path] = []
    labels: list[int] = []
    expected: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for label, letter in enumerate(LETTERS):
        if not (root / letter).is_dir():
            raise CourseError(
                f"{root} has no folder {letter!r}.", "Give the folder that `fetch` returned; it holds A to J."
            )
        for path in sorted((root / letter).glob("*.png")):
            if f"{letter}/{path.name}" in known:
                expected.append(path)
                continue
            try:
                read_image(path)
            except ValueError as error:
                unreadable.append((path, str(error)))
            else:
                files.append(path)
                labels.append(label)
    return Listing(tuple(files), tuple(labels), tuple(expected), tuple(unreadable))
