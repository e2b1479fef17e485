"""No text file is opened without its encoding: what Python would take then is UTF-8 here and cp1252 or cp949 elsewhere.

The lint rule PLW1514 says so where it can tell that something is a path; this looks at the names alone, so it also sees `made.read_text()`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where the encoding stands if it has no name, and where the mode does.
ENCODING = {"read_text": 0, "write_text": 1, "open": 3, ".open": 2}
MODE = {"open": 1, ".open": 0}


def unsaid(text: str) -> Iterator[str]:
    """Calls that open a text file, and do not say in which encoding."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        of_another = isinstance(node.func, ast.Attribute) and name == "open"
        if of_another and ast.unparse(node.func.value) in ("Image", "os", "archive", "tarfile", "zipfile", "io", "gzip"):  # type: ignore[attr-defined]
            continue
        name = ".open" if of_another else name
        given = {keyword.arg for keyword in node.keywords}
        if name not in ENCODING or "encoding" in given or None in given or len(node.args) > ENCODING[name]:
            continue
        if name in MODE:
            modes = [word.value for word in node.keywords if word.arg == "mode"] + node.args[MODE[name] : MODE[name] + 1]
            if any(not isinstance(mode, ast.Constant) or "b" in str(mode.value) for mode in modes):
                continue
        yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def test_every_text_file_is_opened_with_its_encoding(written: list[Path], repository: Path) -> None:
    files = [path for path in written if path.suffix == ".py"]
    assert len(files) > 200
    found = {path.relative_to(repository).as_posix(): list(unsaid(path.read_text("utf-8"))) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("p.read_text()", True),
        ('p.read_text("utf-8")', False),
        ("p.write_text(x)", True),
        ('p.write_text(x, encoding="utf-8")', False),
        ("open(p)", True),
        ('open(p, "w")', True),
        ('open(p, "rb")', False),
        ('open(p, encoding="ascii")', False),
        ('p.open("w")', True),
        ('p.open("ab")', False),
        ("Image.open(p)", False),
    ],
)
def test_what_counts_as_unsaid(code: str, seen: bool) -> None:
    assert bool(list(unsaid(code))) is seen
