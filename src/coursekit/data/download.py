"""Download one file: with progress, taken up again where it broke off, and believed only when size and checksum are right."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from coursekit.data.archive import MAX_BYTES, disk_error
from coursekit.errors import CourseError

Progress = Callable[[int, int | None], None]
CHUNK = 1 << 16
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)  # the line, not the server's answer
CHECKSUM = re.compile(r"sha256:[0-9a-fA-F]{64}|md5:[0-9a-fA-F]{32}")
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Remote:
    """A file on a server. checksum: "sha256:…" or "md5:…". size: bytes, None if it is not known."""

    url: str
    checksum: str
    size: int | None = None


class Again(Exception):
    """A try failed in a way that another may mend."""


def download(
    remote: Remote, target: Path, progress: Progress | None = None, tries: int = 4, pause: float = 1.0
) -> Path:
    """Download a file once; what has come already is kept beside it as NAME.part and taken up again, also by a later call.

    Args: tries: how often it is tried in one call. pause: seconds before the second try, doubled each time.
    Returns: target.
    Raises: CourseError: no connection, an answer that is not the file, a wrong size or checksum, a full disk.
    """
    if urlsplit(remote.url).scheme not in ("http", "https"):
        raise CourseError(
            f"{remote.url!r} is not an http or https address.", "Give the address that a browser would open."
        )
    if not CHECKSUM.fullmatch(remote.checksum):
        raise CourseError(f"{remote.checksum!r} is no checksum.", 'Write it as "sha256:…" or "md5:…", in hexadecimal.')
    part = target.with_name(f"{target.name}.part")
    try:
        if target.exists():
            return _present(remote, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        for number in range(tries):
            try:
                if not _whole(remote, part):
                    _fetch(remote, part, progress)
                break
            except (Again, *BROKEN) as error:
                if number == tries - 1:
                    raise _unreachable(remote, part, error) from error
                time.sleep(pause * 2**number)
        _accept(remote, part, target)
    except OSError as error:
        raise disk_error(error, part) from error
    return target


def show_progress(done: int, total: int | None) -> None:
    """One line that is written over: megabytes, and percent where the total is known."""
    stream = sys.stdout if "ipykernel" in sys.modules else sys.stderr
    share = f" of {total / 1e6:.1f} MB, {done / total:4.0%}" if total else " MB"
    print(f"\r{done / 1e6:6.1f}{share}", end="\n" if done == total else "", file=stream, flush=True)


def digest_of(path: Path, kind: str = "sha256") -> str:
    """The hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _fetch(remote: Remote, part: Path, progress: Progress | None) -> None:
    """Get what is missing, once. Raises: Again or one of BROKEN: another try may help. CourseError: none will."""
    have = part.stat().st_size if part.exists() else 0
    note = part.with_name(f"{part.name}.version")  # of which version of the remote file the part is
    headers = {"User-Agent": "coursekit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if note.exists() and (version := note.read_text("utf-8")):
            headers["If-Range"] = version
    try:
        answer = urllib.request.urlopen(urllib.request.Request(remote.url, headers=headers), timeout=30)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
                return  # nothing is missing
            raise _refusal(remote, part, error.code) from error
    except urllib.error.URLError as error:
        raise Again(str(error.reason)) from error
    with answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status == 206 and not resumed:
            _forget(part)
            raise Again("the server sent another part of the file than was asked for")
        start = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        note.write_text("" if version.startswith("W/") else version, "utf-8")
        _receive(answer, part, start, remote.size or total, progress)
        if total is not None and part.stat().st_size < total:
            raise Again(f"the connection broke off after {part.stat().st_size} of {total} bytes")


def _receive(
    answer: http.client.HTTPResponse, part: Path, start: int, total: int | None, progress: Progress | None
) -> None:
    """Write what comes behind the first `start` bytes of the part; an endless answer is cut."""
    limit = total or MAX_BYTES
    told = 0.0
    with part.open("r+b" if part.exists() else "xb") as file:
        file.truncate(start)
        file.seek(start)
        while block := answer.read(CHUNK):
            file.write(block)
            if file.tell() > limit:
                break  # too long: _accept says so
            if progress and (time.monotonic() - told > 0.2 or file.tell() == total):
                told = time.monotonic()
                progress(file.tell(), total)


def _refusal(remote: Remote, part: Path, status: int) -> Exception:
    if status == 416:  # nothing lies behind what we have, so what we have is wrong
        _forget(part)
        return Again("the part that was there did not fit the server's file")
    if status in TEMPORARY:
        return Again(f"the server answers {status}")
    return CourseError(
        f"{remote.url} cannot be had: the server answers {status} ({http.client.responses.get(status, '?')}).",
        "Open the address in a browser; if it has moved, give the new one as `url`.",
    )


def _unreachable(remote: Remote, part: Path, error: Exception) -> CourseError:
    have = part.stat().st_size if part.exists() else 0
    kept = f" {have} bytes are kept, and the next call goes on behind them." if have else ""
    return CourseError(
        f"The download of {remote.url} broke off: {error or type(error).__name__}.",
        f"Check the connection (and a proxy, if you need one), then run this again.{kept}",
    )


def _whole(remote: Remote, part: Path) -> bool:
    return remote.size is not None and part.exists() and part.stat().st_size >= remote.size


def _accept(remote: Remote, part: Path, target: Path) -> None:
    """Rename the part to its name if it is the file that was meant, else put it aside."""
    wrong = _wrong(remote, part)
    if wrong:
        aside = target.with_name(f"{target.name}.refused")
        os.replace(part, aside)
        _forget(part)
        raise CourseError(
            f"What {remote.url} gave is not the file that was meant: {wrong}.",
            f"It is kept as {aside}. Run this again; if it is wrong again, the address holds another file.",
        )
    os.replace(part, target)
    _forget(part)


def _present(remote: Remote, target: Path) -> Path:
    wrong = _wrong(remote, target)
    if wrong:
        raise CourseError(
            f"{target} is there already, but it is not the file that was meant: {wrong}.",
            "Rename or delete it, then run this again.",
        )
    return target


def _wrong(remote: Remote, path: Path) -> str:
    """How a file differs from what was meant; empty if it does not."""
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"{size} bytes in place of {remote.size}"
    kind, _, wanted = remote.checksum.partition(":")
    return "" if digest_of(path, kind) == wanted.lower() else f"its {kind.upper()} differs"


def _forget(part: Path) -> None:
    for path in (part, part.with_name(f"{part.name}.version")):
        path.unlink(missing_ok=True)
