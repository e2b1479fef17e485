"""Find a file of data that the course ships, and make sure that it is the one that was shipped."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from coursekit.errors import CourseError

SUMS = "SHA256SUMS"
AGAIN = "Get the course's files again: `git checkout -- data/sets` in the checkout, or install the package again."


def sets_folder() -> Path:
    """Where shipped data lies: inside the installed package, else in the checkout that holds it."""
    package = Path(__file__).resolve().parents[1]
    return package / "_sets" if (package / "_sets").is_dir() else package.parents[1] / "data" / "sets"


@cache
def data_file(name: str) -> Path:
    """Give the path of a shipped file, checked once per process against the checksums beside it.

    Args: name: as listed in data/sets/SHA256SUMS, such as "digits.npz".
    Raises: CourseError: not a shipped file, missing, or not the bytes that were shipped.
    """
    folder = sets_folder()
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
        if name not in sums:
            raise CourseError(f"The course ships no data named {name!r}.", f"There is: {', '.join(sorted(sums))}.")
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    except OSError as error:
        raise CourseError(f"Cannot read the course's data {error.filename}: {error.strerror}.", AGAIN) from error
    if found != sums[name]:
        raise CourseError(f"{folder / name} is damaged: its SHA-256 is not the one that was shipped.", AGAIN)
    return folder / name
