"""Run a probe on one case and look at what comes back. The same code runs in JupyterLab, in the sandbox and in `prove`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from coursekit.checks.failure import failure_of
from coursekit.checks.snapshot import Observed, live, picture


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
        described = failure_of(error, getattr(observe, "__name__", "observe"), getattr(observe, "__code__", None))
        _forget(error.__traceback__)
        return Observed(failure=described)


def _forget(trace: TracebackType | None) -> None:
    """Let go of the tensors that a traceback's frames hold."""
    if trace is not None:
        traceback.clear_frames(trace)
