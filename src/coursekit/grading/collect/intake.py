"""Read what students handed in: nbgrader's folders, a folder of files, or a zip. Nothing here runs or trusts it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from coursekit.errors import CourseError

MAX_BYTES = 32 << 20
MAX_CELLS = 2000
MAX_TEXT = 4 << 20  # characters in all cells: a course's notebook has about 60,000
MAX_NESTS = 1_000_000  # objects and lists in the JSON: 32 MB of `{},` take 800 MB once read


@dataclass(frozen=True)
class Part:
    """One cell as the student left it. grade_id: what its metadata claims, for finding the place only."""

    kind: str
    text: str
    grade_id: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A submitted notebook, read tolerantly. problem: why there are no cells, or None."""

    parts: tuple[Part, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Submission:
    """One student's file. content: its bytes, or what reads them: a class is not held in memory. note: what was odd about how it came."""

    student: str
    content: bytes | Callable[[], bytes]
    note: str = ""
    name: str = field(default="", compare=False)

    @property
    def data(self) -> bytes:
        """Its bytes. Raises: CourseError: if the zip that it is in is damaged."""
        return self.content if isinstance(self.content, bytes) else self.content()


def parse(data: bytes) -> Sheet:
    """Read a notebook's cells from bytes of any quality; what cannot be read is said in `problem`."""
    if not data.strip():
        return Sheet(problem="empty: the file has no content")
    if len(data) > MAX_BYTES:
        return Sheet(problem=f"unreadable: the file is larger than {MAX_BYTES >> 20} MB")
    if data.count(b"{") + data.count(b"[") > MAX_NESTS:
        return Sheet(problem="unreadable: the file's JSON has more than a million parts")
    try:
        notebook = json.loads(data)  # finds UTF-8, 16 and 32 by itself
    except (ValueError, RecursionError):
        return Sheet(problem="unreadable: the file is not a notebook (its JSON is damaged)")
    cells = _cells(notebook)
    if cells is None:
        return Sheet(problem="unreadable: the file holds no list of cells")
    if len(cells) > MAX_CELLS:
        return Sheet(problem=f"unreadable: the notebook has more than {MAX_CELLS} cells")
    parts = tuple(part for cell in cells if (part := _part(cell)) is not None)
    if not any(part.kind == "code" and part.text.strip() for part in parts):
        return Sheet(problem="empty: the notebook has no code cells")
    if sum(len(part.text) for part in parts) > MAX_TEXT:
        return Sheet(problem=f"unreadable: the notebook has more than {MAX_TEXT >> 20} MB of text")
    return Sheet(parts)


def _cells(notebook: Any) -> list[Any] | None:
    """nbformat 4 keeps cells at the top, nbformat 3 in worksheets."""
    if not isinstance(notebook, dict):
        return None
    if isinstance(cells := notebook.get("cells"), list):
        return cells
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [
        cell
        for sheet in sheets
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
        for cell in sheet["cells"]
    ]


def _part(cell: Any) -> Part | None:
    if not isinstance(cell, dict):
        return None
    source = cell.get("source", cell.get("input", ""))
    text = (
        "".join(str(line) for line in source) if isinstance(source, list) else source if isinstance(source, str) else ""
    )
    metadata = cell.get("metadata")
    claimed = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = claimed.get("grade_id") if isinstance(claimed, dict) else None
    kind = "code" if cell.get("cell_type") == "code" else "markdown"
    return Part(kind, text.encode("utf-8", "replace").decode("utf-8"), grade_id if isinstance(grade_id, str) else None)


def read_file(path: Path) -> bytes:
    """A submitted file's bytes; links and devices are refused, a huge file is cut where `parse` will say so."""
    if path.is_symlink() or not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        return b""


def gather(place: Path, unit: str) -> list[Submission]:
    """Find the submissions of a unit.

    Args: place: a folder laid out STUDENT/UNIT/UNIT.ipynb, a folder of STUDENT.ipynb files, or a zip of either.
    Returns: one per student, by name.
    Raises: CourseError: if the place does not exist or holds none.
    """
    if not place.exists():
        raise CourseError(f"There is no {place}.", "Give --submitted a folder or a zip of notebooks.")
    files = list(_zip(place) if place.is_file() else _folder(place))
    found: dict[str, Submission] = {}
    owners: dict[str, str] = {}  # a name as it came -> the id that is safe to use
    named = [(raw, fits, path, read) for path, read in files for raw, fits in [_student(path, unit)] if raw is not None]
    for raw, fits, path, read in sorted(named, key=lambda item: (item[0] != clean(item[0]), item[2])):
        note = "" if fits else f"handed in as {printable(path.name)}"
        if raw not in owners and (safe := clean(raw)) in found:  # whoever really has that name was before
            owners[raw] = next(name for number in itertools.count(2) if (name := f"{safe}_{number}") not in found)
            note = f"the name {printable(raw)} is not `{safe}`"
        student = owners.setdefault(raw, clean(raw))
        if student not in found or (fits and found[student].note):
            found[student] = Submission(student, read, note, path.name)
    if not found:
        raise CourseError(
            f"No submissions of `{unit}` were found in {place}.",
            f"Expected STUDENT/{unit}/{unit}.ipynb, or files named STUDENT.ipynb, in a folder or a zip.",
        )
    return [found[student] for student in sorted(found)]


def _folder(place: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    for path in sorted(place.rglob("*.ipynb")):
        inside = PurePosixPath(path.relative_to(place).as_posix())
        if not any(part.startswith(".") for part in inside.parts):
            yield inside, partial(read_file, path)


def _zip(place: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Read members in memory: nothing is extracted, so no path can lead outside."""
    with _told(place):
        archive = zipfile.ZipFile(place)  # is closed with the last of those that read from it
    for info in archive.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        if not (info.is_dir() or path.suffix != ".ipynb" or hidden):
            yield path, partial(_member, place, archive, info)


def _member(place: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A file in a zip. Its size is not believed, it is counted."""
    with _told(place), archive.open(info) as file:
        return file.read(MAX_BYTES + 1)


@contextlib.contextmanager
def _told(place: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise CourseError(
            f"{place.name} cannot be read as a zip: {error}.", "Give --submitted a folder, or make the zip again."
        ) from None


def _student(path: PurePosixPath, unit: str) -> tuple[str | None, bool]:
    """Whose file it is, and whether it has the expected name: …/STUDENT/UNIT/UNIT.ipynb or STUDENT[_UNIT].ipynb."""
    if len(path.parts) >= 3 or (len(path.parts) == 2 and path.parts[0] == unit):
        if len(path.parts) >= 3 and path.parts[-2] != unit:
            return None, False
        return (path.parts[-3], path.stem == unit) if len(path.parts) >= 3 else (_own(path.stem, unit), True)
    return _own(path.stem, unit), True


def _own(stem: str, unit: str) -> str:
    return re.sub(rf"[-_ .]*{re.escape(unit)}[-_ .]*", "", stem[:200]) or stem


def clean(student: str) -> str:
    """A student id that is safe as a folder name, in a report, and in a spreadsheet, where = + - @ begin a formula."""
    return re.sub(r"[^\w.@-]", "_", student).lstrip(".-@")[:80] or "unnamed"


def printable(name: str) -> str:
    """A name for people: no control characters, which a terminal would obey, and not very long."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:80])
