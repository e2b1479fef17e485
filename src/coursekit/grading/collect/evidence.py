"""What a submission did, kept as one file: enough to judge it again without running it again."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from coursekit.checks import wire
from coursekit.checks.snapshot import Observed, decode_observed, encode_observed
from coursekit.errors import CourseError

FORMAT = "coursekit-evidence"
VERSION = 1
MAX_JSON = 96 << 20
MAX_BLOB = 512 << 20
CELL_STATUSES = ("ok", "error", "timed out", "crashed", "not run")


@dataclass(frozen=True)
class CellRun:
    """One cell: how it ended, what it showed (nbformat outputs), wall clock seconds."""

    status: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """What came out of the sandbox for one submission.

    Args: submission: SHA-256 of the notebook file, hex. unit: its name.
    outcome: "graded" if every piece ran to its own end; else what happened first: "timed out", "crashed"
    or "too large".
    where: for people: which cells and exercises that touched; empty if none.
    cells: in the notebook's order. observed: exercise id -> one observation per case.
    isolation: how it was run. seconds: wall clock. environment: versions.
    cpu_seconds, memory_bytes: what all its processes used, as the watchdog saw it; 0 where there is no /proc.
    inputs: exercise id -> SHA-256 of the inputs that it was observed on, so that a later judge knows whether they are still the key's.
    """

    submission: str
    unit: str
    outcome: str
    where: str
    cells: list[CellRun]
    observed: dict[str, list[Observed]]
    isolation: str
    seconds: float
    environment: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


def pack(evidence: Evidence) -> bytes:
    """Write evidence as one frame."""
    tensors: dict[str, Tensor] = {}
    observed = {
        name: [encode_observed(one, tensors) for one in cases] for name, cases in evidence.observed.items()
    }
    head = {
        name: getattr(evidence, name)
        for name in ("submission", "unit", "outcome", "where", "isolation", "seconds", "environment", "inputs", "cpu_seconds", "memory_bytes")
    }
    message = {
        "format": FORMAT,
        "version": VERSION,
        **head,
        "cells": [vars(cell) for cell in evidence.cells],
        "observed": observed,
    }
    return wire.pack(message, tensors, MAX_JSON, MAX_BLOB)


def unpack(data: bytes) -> Evidence:
    """Read what `pack` wrote. Raises: ValueError: if it is something else."""
    form, tensors = wire.unpack(data, MAX_JSON, MAX_BLOB)
    if form.get("format") != FORMAT:
        raise ValueError("it is not evidence")
    if form.get("version") != VERSION:
        raise ValueError(f"it has version {form.get('version')}, and this program reads version {VERSION}")
    try:
        cells = [
            CellRun(
                _text(cell["status"]), [dict(output) for output in cell["outputs"]], float(cell["seconds"])
            )
            for cell in form["cells"]
        ]
        observed = {
            name: [decode_observed(one, tensors) for one in cases] for name, cases in form["observed"].items()
        }
        environment = {name: _text(value) for name, value in form["environment"].items()}
        inputs = {name: _text(value) for name, value in form["inputs"].items()}
        if any(cell.status not in CELL_STATUSES for cell in cells):
            raise ValueError("a cell has an unknown status")
        texts = {name: _text(form[name]) for name in ("submission", "unit", "outcome", "where", "isolation")}
        return Evidence(
            **texts, cells=cells, observed=observed, seconds=float(form["seconds"]), environment=environment, inputs=inputs,
            cpu_seconds=float(form.get("cpu_seconds", 0.0)), memory_bytes=int(form.get("memory_bytes", 0)),  # not in the first files
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"a part is missing or of the wrong kind ({error})") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def save(evidence: Evidence, path: Path) -> None:
    """Write evidence to a file: all of it or nothing. Raises: CourseError: if the disk does not take it."""
    data = pack(evidence)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        remedy = {
            errno.ENOSPC: "Free some space on that disk, then run the same command with --resume.",
            errno.EDQUOT: "Your quota there is used up: free some space, then run it again with --resume.",
            errno.EROFS: "That folder is read-only: choose another, or mount it writable.",
        }
        raise CourseError(
            f"Evidence could not be written to {path}: {error.strerror or error}.",
            remedy.get(error.errno or 0, "Check that you may write in that folder."),
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def load(path: Path) -> Evidence:
    """Read evidence from a file. Raises: CourseError: if it is not there, or damaged."""
    try:
        return unpack(path.read_bytes())
    except OSError as error:
        raise CourseError(
            f"Evidence {path} could not be read: {error.strerror or error}.", "Grade that submission again."
        ) from error
    except ValueError as error:
        raise CourseError(
            f"Evidence {path} is damaged: {error}.", "Delete the file and grade that submission again."
        ) from error
