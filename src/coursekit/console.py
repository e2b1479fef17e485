"""What a console cannot show, it is shown in ASCII: under cp1252, cp949 or ASCII, Python would end a command at the first ✔."""

from __future__ import annotations

import codecs
import io
import sys

_HANDLER = "coursekit.ascii"
_ASCII = {
    "✔": "+", "✘": "x", "○": "o", "×": "x", "·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->",
    "≤": "<=", "≥": ">=", "≠": "!=", "²": "^2", "½": "1/2", "‘": "'", "’": "'", "“": '"', "”": '"', "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode("ascii") for one in letters), error.end


codecs.register_error(_HANDLER, _in_ascii)


def make_safe() -> None:
    """Let this process's output be unable to fail on a character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def fit(text: str) -> str:
    """The text as stdout can show it, for whoever prints into a session that is not ours."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding)


def shows(text: str) -> bool:
    """Whether stdout can show the text as it is."""
    return fit(text) == text
