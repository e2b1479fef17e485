"""Decide whether an observation equals the expected one, and measure how far off it is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coursekit.checks.snapshot import Failure, Observed, Opaque, Seen, Snapshot

Tolerance = tuple[float, float]


def kind(dtype: torch.dtype) -> str:
    """float, complex, bool or int: what must agree even where the width need not."""
    if dtype.is_complex:
        return "complex"
    if dtype.is_floating_point:
        return "float"
    return "bool" if dtype == torch.bool else "int"


def wide(value: Tensor) -> Tensor:
    """The same numbers in float64 (complex128 for complex), where differences are exact enough to judge."""
    return value.to(torch.complex128 if value.dtype.is_complex else torch.float64)


def as_tensor(value: Snapshot) -> Snapshot:
    """A plain number counts as a 0-d tensor; everything else stays."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = as_number(value)
    if isinstance(value, (bool, int, float)):
        return Seen(torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None))
    return value


def as_number(value: Any) -> float:
    """A plain number as a float; an int that no float holds becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def close(got: Tensor, want: Tensor, tolerance: Tolerance) -> Tensor:
    """Say for each element whether it is close enough.

    Args: got, want: the same shape. tolerance: (rtol, atol); rtol is scaled to the largest |want|, and counts are exact:
    131,411 parameters are not 131,410, however small the difference.
    Returns: bool tensor of that shape.
    """
    if got.dtype == want.dtype and torch.equal(got, want):  # the usual case, and the fastest to decide
        return torch.ones(want.shape, dtype=torch.bool)
    a, b = wide(got), wide(want)
    finite = b[torch.isfinite(b)]
    scale = finite.abs().max().item() if finite.numel() and kind(want.dtype) in ("float", "complex") else 0.0
    near = (a - b).abs() <= tolerance[0] * scale + tolerance[1]
    return near | (a == b) | (a.isnan() & b.isnan())


@dataclass(frozen=True)
class Rules:
    """How one observation is compared. device: where the student's tensors should be."""

    tolerance: Tolerance = (1e-4, 1e-6)
    strict_dtype: bool = False
    device: str = "cpu"


def same(got: Snapshot, want: Snapshot, rules: Rules) -> bool:
    """Compare two snapshots; lists and dicts go item by item."""
    if isinstance(got, Opaque) or isinstance(want, Opaque):
        return got == want
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(same(a, b, rules) for a, b in zip(got, want, strict=True))
    if isinstance(got, dict) and isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[name], want[name], rules) for name in want)
    number = not isinstance(got, Seen) or not isinstance(want, Seen)
    got, want = as_tensor(got), as_tensor(want)
    if isinstance(got, Seen) and isinstance(want, Seen):
        if got.data.shape != want.data.shape or not _same_dtype(got.data, want.data, rules.strict_dtype, number):
            return False
        if got.requires_grad != want.requires_grad or not (number or device_fits(got, want, rules.device)):
            return False
        return bool(close(got.data, want.data, rules.tolerance).all())
    return type(got) is type(want) and got == want


def device_fits(got: Seen, want: Seen, device: str) -> bool:
    """Expected tensors are on `device`; the reference itself was looked at on the CPU."""
    return got.device == (device if want.device == "cpu" else want.device)


def _same_dtype(got: Tensor, want: Tensor, strict: bool, number: bool) -> bool:
    if number:  # a Python number has no dtype of its own; True is still not 1.0
        return (kind(got.dtype) == "bool") == (kind(want.dtype) == "bool")
    return got.dtype == want.dtype if strict else kind(got.dtype) == kind(want.dtype)


def same_failure(got: Observed, want: Observed) -> bool:
    """Two runs failed alike."""
    return got.failure is not None and want.failure is not None and identity(got.failure) == identity(want.failure)


def identity(failure: Failure) -> tuple[str, int, str, str]:
    """What tells one failure from another on every processor, Python and torch.

    Returns: the exception's type, the probe's statement, the operation that failed, the words that count.
    """
    kind = failure.type_name
    if kind == "NotImplementedError" and not failure.own:
        kind = "RuntimeError"  # its base class: of two versions of torch, one raises this, the other that
    return kind, failure.step, failure.operation, words(failure)


def words(failure: Failure) -> str:
    """What counts of a failure's text: all that the learner or the course says; of a library's text the numbers, for its
    wording changes between versions, and the sizes in it are the learner's own.
    """
    if failure.own:
        return _gist(failure.message)
    first = _BETWEEN.sub(r"\1 ", _COUNTED.sub("", failure.message.split("\n", 1)[0]))
    return " ".join(sorted(_NUMBER.findall(first)[:20]))


_COUNTED = re.compile(r"\b(index|position|argument|dimension|dim)\W{0,2}\d+")  # the library's own counting: versions differ
_NUMBER = re.compile(r"(?<![\w.])\d+")
_BETWEEN = re.compile(r"(\d)[x.](?=\d)")  # of 3x4 and 0.5
_FOLDERS = re.compile(r"(?<![\w.:/])(?:/[^\s'\"/]+)+/(?=[^\s'\"/])")


def _gist(message: str) -> str:
    """The first words of a message."""
    return portable(message).split("\n", 1)[0].split(" (", 1)[0][:120]


def portable(message: str) -> str:
    """A message without the folders in it: a temporary one has another name in each run."""
    return _FOLDERS.sub("", message)


def refused(observed: Observed) -> bool:
    """The student's code raised on purpose or not, but something that is not 'not written yet' or 'not defined'."""
    return observed.failure is not None and observed.failure.type_name not in (
        "NotImplementedError",
        "NameError",
        "SystemExit",
    )


def same_case(name: str, got: Observed, want: Observed, rules: Rules) -> bool:
    """Compare one name in one case. A name that neither run has, though both came to their end, is no difference."""
    if name in got.values and name in want.values:
        return same(got.values[name], want.values[name], rules)
    if name in got.values or name in want.values:
        return False
    return same_failure(got, want) or (_ended(got) and _ended(want))


def _ended(observed: Observed) -> bool:
    return observed.failure is None and observed.lost is None
