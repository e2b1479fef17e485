"""A student's working folder: own copies of the release notebooks, which no update of the course overwrites.

A hidden record remembers, for each copy, the release it came from. A copy that still equals that release
was never edited and is replaced; beside an edited one the new release is put under a name of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import date
from pathlib import Path

from coursekit.course.paths import notebooks_folder, repository
from coursekit.errors import CourseError

RECORD = ".coursekit.json"


def working_folder(given: str | None = None) -> Path:
    """Where the student works: the folder given, else my-course in the checkout or the current folder."""
    return Path(given).expanduser().absolute() if given else (repository() or Path.cwd()) / "my-course"


def bring_up_to_date(folder: Path, releases: Path, today: date) -> list[str]:
    """Give the folder a copy of every release notebook, and new releases of those it has.

    Returns: one line per thing done. Raises: CourseError: the folder cannot be written, or no releases.
    """
    notebooks = sorted(releases.glob("*.ipynb"))
    if not notebooks:
        raise CourseError(f"There are no release notebooks in {releases}.", "Build them: coursekit build")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record, lines = _read_record(folder / RECORD)
        before = json.dumps(record)
        for release in notebooks:
            entry = record.setdefault(release.name, {})
            line = _bring_one(folder / release.name, release.read_bytes(), entry, today)
            lines += [line] if line else []
        if json.dumps(record) != before:
            _replace(folder / RECORD, json.dumps(record, indent=1).encode())
        (folder / RECORD).touch()  # shows that the folder can be written, before hours of work in it
    except OSError as error:
        raise CourseError(
            f"Cannot write to the working folder {folder}: {error.strerror}.",
            "Choose a folder of your own: --folder DIR",
        ) from error
    return lines


def _bring_one(copy: Path, content: bytes, entry: dict[str, str], today: date) -> str | None:
    """Handle one notebook; `entry` says which `release` its copy came from, and which was put `beside` it."""
    release, known = _hash(content), entry.get("release")
    if not os.path.lexists(copy):
        _replace(copy, content)
        entry.update(release=release)
        return f"{copy.name}: restored, it had been deleted." if known else f"{copy.name}: new."
    current = _hash(copy.read_bytes())
    if current == release:
        entry.update(release=release)
        return None
    if release in (known, entry.get("beside")):
        return None
    if current == known:
        _replace(copy, content)
        entry.update(release=release)
        return f"{copy.name}: updated; you had not changed it."
    entry.update(beside=release)
    name = _put_beside(copy, content, today)
    return f"{copy.name}: yours, kept as it is. The new version is beside it: {name}" if name else None


def _put_beside(copy: Path, content: bytes, today: date) -> str | None:
    """Write the new version under a free name. Returns: the name; None if it lies there already."""
    start, number = f"{copy.stem} (new version ", 1
    siblings = [path for path in copy.parent.iterdir() if path.name.startswith(start)]
    if any(path.is_file() and path.read_bytes() == content for path in siblings):
        return None
    stem = f"{start}{today.isoformat()}"
    name = f"{stem}){copy.suffix}"
    while os.path.lexists(copy.with_name(name)):
        number += 1
        name = f"{stem}, {number}){copy.suffix}"
    _replace(copy.with_name(name), content)
    return name


def _read_record(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Read the record. Returns: it, and what to say if it is unreadable (all copies then count as edited)."""
    if not path.exists():
        return {}, []
    try:
        record = json.loads(path.read_bytes())
        if isinstance(record, dict) and all(isinstance(entry, dict) for entry in record.values()):
            return record, []
    except ValueError:
        pass
    return {}, [f"The record {path.name} was unreadable and is made anew; all notebooks count as yours."]


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that an interruption leaves either the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(folder: str | None, no_browser: bool, port: int | None) -> int:
    """Bring the working folder up to date and open JupyterLab on it."""
    from coursekit.lab.server import start

    place = working_folder(folder)
    for line in bring_up_to_date(place, notebooks_folder(), date.today()):
        print(line, file=sys.stderr)
    print(f"Your notebooks are in {place}", file=sys.stderr, flush=True)
    return start(place, no_browser, port)
