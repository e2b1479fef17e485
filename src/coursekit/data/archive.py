"""Unpack a .tar.gz that came from elsewhere: whole or not at all, and never outside its folder."""

from __future__ import annotations

import errno
import gzip
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from coursekit.errors import CourseError

STAMP = ".source"  # inside the unpacked tree: the digest of the archive that it came from
MAX_FILES, MAX_BYTES = 100_000, 1 << 30  # far above what the course's archives hold; a bomb stops here
STALE = 3600.0  # seconds after which a half-unpacked folder belongs to nobody any more
MAX_REST = 1 << 20  # after the last file: tar fills up with zeros
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


def unpack(archive: Path, folder: Path, top: str, digest: str) -> Path:
    """Unpack an archive once and give the tree; later calls find it and change nothing in it.

    The files go to a folder of another name first, which is renamed when all of them lie there: a broken-off run leaves
    no half tree behind, and the next one starts again.

    Args: folder: where the tree is to lie; made if it is missing. top: the one folder that the archive holds.
    digest: SHA-256 of the archive, noted in the tree.
    Returns: folder / top.
    Raises: CourseError: the archive is damaged or reaches outside its folder, the disk is full, or another tree is there.
    """
    target = folder / top
    if _finished(target, digest):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, top)
        work = Path(tempfile.mkdtemp(prefix=f".{top}.unpacking.", dir=folder))
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        _write_members(archive, work, top)
        (work / top / STAMP).write_text(digest, "ascii")
        if not _finished(target, digest):  # another process may have been faster
            (work / top).rename(target)
    except DAMAGE as error:
        raise CourseError(f"{archive} is damaged: {error}.", "Get the archive again; nothing was unpacked.") from error
    except OSError as error:
        if _finished(target, digest):
            return target
        raise disk_error(error, target) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def disk_error(error: OSError, path: Path) -> CourseError:
    """What to tell when a file cannot be written or read: the reason, and one next step."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CourseError(f"The disk is full: {path} cannot be written.", "Free some space and run this again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CourseError(
            f"{path} cannot be written: {reason}.", "Choose a folder of your own, such as `Path.home()`."
        )
    return CourseError(f"{error.filename or path}: {reason}.", "Mend that and run this again.")


def _finished(target: Path, digest: str) -> bool:
    """Whether the tree is there already. Raises: CourseError: if something else is."""
    if not target.exists() and not target.is_symlink():
        return False
    try:
        found = (target / STAMP).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise CourseError(
            f"{target} is there already, and it was not unpacked by the course.", "Rename it, or choose another folder."
        ) from None
    if found != digest:
        raise CourseError(
            f"{target} came from another version of the archive.",
            "Rename it if you changed something in it, else delete it; then run this again.",
        )
    return True


def _sweep(folder: Path, top: str) -> None:
    """Remove what killed runs left behind long ago."""
    for left in folder.glob(f".{top}.unpacking.*"):
        if time.time() - left.stat().st_mtime > STALE:
            shutil.rmtree(left, ignore_errors=True)


def _write_members(archive: Path, work: Path, top: str) -> None:
    with gzip.open(archive) as plain, tarfile.open(fileobj=plain, mode="r:") as tar:
        for member, path in _checked(tar, top):
            source = tar.extractfile(member)
            assert source is not None  # it is a regular file
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            with source, (work / path).open("xb") as file:  # x: nothing that lies there is followed or overwritten
                shutil.copyfileobj(source, file)
            if (work / path).stat().st_size != member.size:
                raise EOFError(f"{member.name} breaks off")
        if len(plain.read(MAX_REST)) == MAX_REST:  # reading to the end compares gzip's checksum
            raise tarfile.ReadError("much follows after its end")
    if not (work / top).is_dir():
        raise CourseError(
            f"{archive} holds no folder {top!r}.", "It is another archive: check the address it came from."
        )


def _checked(tar: tarfile.TarFile, top: str) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """The regular files of the archive with their safe paths. Raises: CourseError: for anything that is not one."""
    seen: set[str] = set()
    total = 0
    for member in tar:
        path = _inside(member.name, top)
        if member.isdir():
            continue
        if not member.isreg():
            raise _refused(member.name, "is a link or a device, not a file")
        if str(path) in seen or len(path.parts) < 2:
            raise _refused(member.name, "stands in the archive twice, or in the place of a folder")
        seen.add(str(path))
        total += member.size
        if len(seen) > MAX_FILES or total > MAX_BYTES:
            raise _refused(member.name, f"takes the archive above {MAX_FILES} files or {MAX_BYTES >> 20} MiB")
        yield member, path


def _inside(name: str, top: str) -> PurePosixPath:
    """A member's path, if it is a plain one below the folder `top`. Raises: CourseError."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and not any(sign in name for sign in "\\:\0")
    if not plain or path.parts[:1] != (top,) or path.name == STAMP:
        raise _refused(name, f"would be written outside {top!r}")
    return path


def _refused(name: str, why: str) -> CourseError:
    return CourseError(
        f"The archive is refused: {name!r} {why}.", "Nothing was unpacked. Get the archive from its own source."
    )
