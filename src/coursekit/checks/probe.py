"""Run a probe on one case and look at what comes back. The same code runs in JupyterLab, in the sandbox and in `prove`."""

from __future__ import annotations

import linecache
import re
import tempfile
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from coursekit.checks.snapshot import Failure, Observed, live, picture


def _temporary() -> str:
    """Where temporary folders are made. Asked once and early: on a full disk Python finds no place for them, and raises."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return "/tmp"


_IN_TEMPORARY = re.compile(rf"({re.escape(_temporary())}[/\\])[^/\\'\"\s]+(?=[/\\])")


def failure_of(error: BaseException, probe: str = "observe") -> Failure:
    """Describe an exception by the student's own line: the last frame that is notebook code and not the probe."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [f for f in frames if _is_notebook(f.filename) and f.name != probe] or [
        f for f in frames if _is_notebook(f.filename)
    ]
    message = _text(error)[:2000]
    if not mine:
        return Failure(type(error).__name__, message)
    last = mine[-1]
    line = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return Failure(type(error).__name__, message, line[:400], last.lineno or 0, last.name)


def _text(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception as another:  # a student's own exception may have a broken __str__
        return f"<its text cannot be made: {type(another).__name__}>"
    # A temporary folder has a new name in each run, and two runs are to give the same verdict.
    return _IN_TEMPORARY.sub(r"\1…", said)


def _is_notebook(filename: str) -> bool:
    """Cells are compiled under names such as <ipython-input-…>, /tmp/ipykernel_…/1.py or <cell>; libraries are files elsewhere."""
    return filename.startswith("<") and not filename.startswith("<frozen") or "ipykernel_" in filename


def run_probe(observe: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any], device: str = "cpu") -> Observed:
    """Call a probe on fresh copies of the inputs.

    Args: observe: the probe; takes inputs by name and returns a dict. inputs: name -> tensor, number, text or list.
    device: where the copies are made.
    Returns: values by name as plain snapshots, or the failure that was raised. KeyboardInterrupt passes through.
    """
    given = {name: live(value, device) for name, value in inputs.items()}
    try:
        result = observe(**given)
        return Observed(values=picture(result, given))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # student code may raise anything, SystemExit included
        described = failure_of(error, getattr(observe, "__name__", "observe"))
        _forget(error.__traceback__)
        return Observed(failure=described)


def _forget(trace: TracebackType | None) -> None:
    """Let go of the tensors that a traceback's frames hold."""
    if trace is not None:
        traceback.clear_frames(trace)
