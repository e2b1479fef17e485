"""Say what kind of mistake an observation shows when no known wrong answer matches. Never the expected values.

Where numbers are named they are relative: a factor, a share of the expected size, a place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from coursekit.checks.compare import Rules, as_number, as_tensor, close, device_fits, kind, same, wide
from coursekit.checks.snapshot import Opaque, Seen, Snapshot

# The kinds of finding that are about numbers, not about the form.
NUMERIC = ("values", "some-rows", "zero", "factor", "sign", "offset")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. kind: a short fixed word for reports. text: what the student reads."""

    kind: str
    text: str


def _type_of(value: Snapshot) -> str:
    if isinstance(value, Seen):
        return f"a tensor of shape {tuple(value.data.shape)}" if value.data.dim() else "a tensor"
    if isinstance(value, Opaque):
        if value.type_name.startswith("a "):
            return value.type_name
        return f"a {value.type_name}" if " " in value.type_name else f"an object of type {value.type_name}"
    names = {
        type(None): "None",
        bool: "a bool",
        int: "an int",
        float: "a float",
        str: "a string",
        list: "a list",
        dict: "a dict",
    }
    return names[type(value)]


def diagnose(name: str, got: Snapshot, want: Snapshot, rules: Rules) -> Finding:
    """Find the first general mistake that explains `got`.

    Args: name: of the observation. got, want: snapshots that differ. rules: how they were compared.
    Returns: the finding, in the order type, shape, dtype, device, gradient, numbers.
    """
    if isinstance(got, list) and isinstance(want, list):
        return _items(name, got, want, rules)
    if isinstance(got, dict) and isinstance(want, dict):
        return _entries(name, got, want, rules)
    if isinstance(want, str) and isinstance(got, str):
        return Finding("text", f"`{name}` is not the expected text.")
    got_t, want_t = as_tensor(got), as_tensor(want)
    if not isinstance(got_t, Seen) or not isinstance(want_t, Seen):
        back = " Does the function end in `return`?" if got is None else ""
        return Finding("type", f"`{name}` is {_type_of(got)}; expected {_type_of(want)}.{back}")
    plain_got, plain_want = not isinstance(got, Seen), not isinstance(want, Seen)
    truths = [kind(side.data.dtype) == "bool" for side in (got_t, want_t)]
    if (plain_got and want_t.data.dim()) or (
        (plain_got or plain_want) and not got_t.data.dim() and truths[0] != truths[1]
    ):
        return Finding("type", f"`{name}` is {_type_of(got)}; expected {_type_of(want)}.")
    return _tensor(name, got_t, want_t, rules, plain_got or plain_want)


def _items(name: str, got: list[Snapshot], want: list[Snapshot], rules: Rules) -> Finding:
    """A list: its length; then as one row of numbers, where a factor shows; else the first item that differs."""
    if len(got) != len(want):
        return Finding("length", f"`{name}` has {len(got)} items; expected {len(want)}.")
    if want and all(type(item) in (int, float) for item in (*got, *want)):
        rows = [torch.tensor([as_number(item) for item in side], dtype=torch.float64) for side in (got, want)]
        return _numbers(name, rows[0], rows[1], rules)
    for index, (a, b) in enumerate(zip(got, want, strict=True)):
        if not same(a, b, rules):
            return diagnose(f"{name}[{index}]", a, b, rules)
    return Finding("values", f"`{name}` is not right.")


def _entries(name: str, got: dict[str, Snapshot], want: dict[str, Snapshot], rules: Rules) -> Finding:
    if got.keys() != want.keys():
        missing = [f"`{key}`" for key in want if key not in got]
        extra = [f"`{key}`" for key in got if key not in want]
        parts = ([f"missing: {', '.join(missing)}"] if missing else []) + (
            [f"unexpected: {', '.join(extra)}"] if extra else []
        )
        return Finding("names", f"`{name}` holds the wrong names ({'; '.join(parts)}).")
    for key in want:
        if not same(got[key], want[key], rules):
            return diagnose(f'{name}["{key}"]', got[key], want[key], rules)
    return Finding("values", f"`{name}` is not right.")


def _tensor(name: str, got: Seen, want: Seen, rules: Rules, number: bool) -> Finding:
    a, b = got.data, want.data
    if a.shape != b.shape:
        return _shape(name, a, b, rules)
    if not number and (
        kind(a.dtype) != kind(b.dtype) or (rules.strict_dtype and a.dtype != b.dtype) or _too_narrow(a, b)
    ):
        return Finding("dtype", f"`{name}` has dtype {a.dtype}; expected {b.dtype}.")
    if not number and not device_fits(got, want, rules.device):
        return Finding(
            "device",
            f"`{name}` is on {got.device}; expected {rules.device}. Create new tensors on the device of the inputs.",
        )
    if got.requires_grad != want.requires_grad:
        if got.requires_grad:
            return Finding(
                "requires-grad", f"`{name}` still tracks gradients (requires_grad=True); expected plain numbers."
            )
        return Finding("requires-grad", f"`{name}` does not track gradients; expected requires_grad=True.")
    if kind(a.dtype) == kind(b.dtype) == "bool":
        return _truths(name, a, b)
    return _numbers(name, a, b, rules)


def _shape(name: str, a: Tensor, b: Tensor, rules: Rules) -> Finding:
    text = (
        f"`{name}` has shape {tuple(a.shape)}; expected {tuple(b.shape) if b.dim() else 'a single number, shape ()'}."
    )
    if a.dim() == 2 and a.T.shape == b.shape:
        if bool(close(a.T, b, rules.tolerance).all()):
            return Finding("transposed", text + " The values are right, rows and columns are swapped.")
        return Finding("shape", text + " Rows and columns may be swapped.")
    if a.numel() == b.numel():
        return Finding("shape", text + " The number of elements agrees, their arrangement does not.")
    return Finding("shape", text)


def _too_narrow(a: Tensor, b: Tensor) -> bool:
    """The values are right to the precision of a float that is narrower than expected."""
    if not a.is_floating_point() or not b.is_floating_point() or a.dtype.itemsize >= b.dtype.itemsize:
        return False
    return bool(close(a, b, (100 * torch.finfo(a.dtype).eps, 0.0)).all())


def _truths(name: str, got: Tensor, want: Tensor) -> Finding:
    if not got.dim():
        return Finding("values", f"`{name}` is not the expected truth value.")
    if bool((got != want).all()):
        return Finding("sign", f"`{name}` is inverted: True and False are swapped everywhere.")
    if bool((got == got.flatten()[0]).all()):
        return Finding("zero", f"`{name}` is {bool(got.flatten()[0])} everywhere; expected a mixture.")
    return _count(name, got != want)


def _numbers(name: str, a: Tensor, b: Tensor, rules: Rules) -> Finding:
    got, want = wide(a), wide(b)
    bad = ~torch.isfinite(got) & torch.isfinite(want)
    if bool(bad.any()):
        word = "NaN" if bool(got[bad].isnan().any()) else "infinite"
        if not got.dim():
            return Finding("not-finite", f"`{name}` is {word}; expected a finite number.")
        return Finding(
            "not-finite", f"`{name}` is {word} in {int(bad.sum())} of {got.numel()} places; expected finite numbers."
        )
    if got.numel() and not bool(got.any()) and bool(want.any()):
        return Finding(
            "zero",
            f"`{name}` is zero everywhere; expected other values."
            if got.dim()
            else f"`{name}` is zero; expected another value.",
        )
    right = close(a, b, rules.tolerance)
    rounding = 100 * torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
    loose = (
        max(rules.tolerance[0], rounding),
        rules.tolerance[1],
    )  # a factor in float32 is one where float64 is asked for, too
    for test in (_factor, _offset, _transposed):
        if (finding := test(name, got, want, lambda x, y: bool(close(x, y, loose).all()))) is not None:
            return finding
    return _some_rows(name, right) or (
        _count(name, ~right) if got.dim() and kind(b.dtype) == "int" else _largest(name, got, want)
    )


Close = Callable[[Tensor, Tensor], bool]


def _factor(name: str, got: Tensor, want: Tensor, near: Close) -> Finding | None:
    """One factor explains everything, found by least squares. One number alone proves no factor."""
    square = (want * want).sum()
    if int((want != 0).sum()) < 2 or got.is_complex() or not bool(square > 0):
        return None
    factor = float((want * got).sum() / square)
    if factor == 0 or not near(got / factor, want):
        return None
    if abs(factor + 1) < 1e-3:
        return Finding("sign", f"`{name}` has the opposite sign everywhere.")
    if (size := _plain(factor)) == "1":  # off by less than a factor that is worth naming
        return None
    return Finding(
        "factor", f"`{name}` is {size} times what is expected, everywhere. A constant factor is missing or extra."
    )


def _plain(factor: float) -> str:
    """A factor as people say it: 640, -2, 0.5; never with digits enough to compute an answer."""
    near = round(factor)
    if near and abs(near) < 1_000_000 and abs(factor - near) < 1e-3 * abs(near):
        return str(near)
    return f"{factor:.3g}"


def _offset(name: str, got: Tensor, want: Tensor, near: Close) -> Finding | None:
    if want.numel() < 3 or got.is_complex():
        return None
    shift = (got - want).median()
    return (
        Finding("offset", f"`{name}` is off by the same amount everywhere. A constant is missing or extra.")
        if near(got - shift, want)
        else None
    )


def _transposed(name: str, got: Tensor, want: Tensor, near: Close) -> Finding | None:
    if want.dim() == 2 and want.shape[0] == want.shape[1] and near(got.T, want):
        return Finding("transposed", f"`{name}` is transposed: rows and columns are swapped.")
    return None


def _some_rows(name: str, right: Tensor) -> Finding | None:
    """Right in most rows. right: bool, for each element whether it is close enough."""
    if right.dim() < 1 or right.shape[0] < 2:
        return None
    word = "row" if right.dim() > 1 else "element"
    wrong = (~right).reshape(right.shape[0], -1).any(dim=1).nonzero().flatten().tolist()
    if not 0 < len(wrong) <= right.shape[0] // 2:
        return None
    which = (
        f"{word} {wrong[0]}"
        if len(wrong) == 1
        else f"{len(wrong)} of {right.shape[0]} {word}s, the first is {word} {wrong[0]}"
    )
    return Finding("some-rows", f"`{name}` is right except in {which}. What is special there?")


def _count(name: str, wrong: Tensor) -> Finding:
    """For labels, indices and masks, how many is more telling than how far."""
    return Finding(
        "values",
        f"`{name}` is wrong in {int(wrong.sum())} of {wrong.numel()} places, "
        f"the first at {wrong.nonzero()[0].tolist()}.",
    )


def _largest(name: str, got: Tensor, want: Tensor) -> Finding:
    gap = (got - want).abs().nan_to_num(nan=float("inf"))
    gap = torch.where(got == want, torch.zeros_like(gap), gap)
    sizes = want.abs()[torch.isfinite(want)]
    scale = float(sizes.max()) if sizes.numel() else 0.0
    worst = float(gap.max())
    size = f" is {_share(worst / scale)} the {'largest ' if gap.dim() else ''}expected size" if scale > 0 else ""
    if not gap.dim():
        return Finding("values", f"`{name}` has the wrong value.{' The difference' + size + '.' if size else ''}")
    place = (gap == gap.max()).nonzero()[0].tolist()     # torch.unravel_index would import sympy first: a second, once
    where = f", at {place}," if size else f" is at {place}"
    return Finding("values", f"`{name}` has the right form but wrong values. The largest difference{where}{size}.")


def _share(ratio: float) -> str:
    if ratio > 10:
        return "more than 10 times"
    return f"{100 * ratio:.0f} % of" if ratio >= 0.1 else f"{100 * ratio:.1g} % of"
