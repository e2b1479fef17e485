"""Picture: how far a central difference is off, against its step; the two branches and why float64 is the one to check in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.viz.style import BLACK, GREY, MARKS, Picture

STEPS = tuple(10.0 ** (-quarter / 4) for quarter in range(2, 45))
GRADCHECK_STEP, GRADCHECK_RTOL = 1e-6, 1e-3             # the defaults of torch.autograd.gradcheck
FLOOR = 1e-13                                           # a residual of exactly 0 has no place on a logarithmic axis


def residuals(function: Callable[[Tensor], Tensor], slope: float, at: float, dtype: torch.dtype, steps: Sequence[float]) -> list[float]:
    """Measure the relative error of (f(x + h) - f(x - h)) / 2h for each step h.

    Args: function: elementwise. slope: the true derivative at `at`. dtype: of all arithmetic.
    Returns: |quotient - slope| / |slope|, one for each step.
    """
    x = torch.tensor(at, dtype=dtype)
    found = []
    for h in steps:
        quotient = (function(x + h) - function(x - h)) / (2 * h)
        found.append(abs(quotient.item() - slope) / abs(slope))
    return found


def residual_picture(function: Callable[[Tensor], Tensor] = torch.exp, slope: float = math.e, at: float = 1.0,
                     name: str = "exp at x = 1", third: float | None = math.e, steps: Sequence[float] = STEPS) -> Picture:
    """Draw the residuals of a gradient check against its step, for float32 and float64.

    Args: third: the third derivative at `at`, for the truncation line h² |f'''| / 6 |f'|; None leaves it out.
    """
    measured = {str(dtype).removeprefix("torch."): (torch.finfo(dtype).eps, residuals(function, slope, at, dtype, steps))
                for dtype in (torch.float64, torch.float32)}
    picture = Picture(_alt(name, measured, steps), size=(7.4, 4.6))
    axes = picture.axes_with(f"Error of a central difference of {name}", "step h (log scale)", "relative error (log scale)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for mark, (label, (eps, errors)) in zip(MARKS, measured.items(), strict=False):
        axes.plot(steps, [max(error, FLOOR) for error in errors], label=label, markersize=4, linewidth=1.4, **mark.of_line())
        axes.plot(steps, [eps / 2 / h for h in steps], color=mark.colour, linewidth=0.8, alpha=0.7)
        place = 0.3 * eps ** 0.5                        # left of where the branches meet, in either format
        axes.annotate(f"rounding ε/h, {label}", (place, eps / 2 / place), xytext=(6, 8), textcoords="offset points", fontsize=8, color=mark.colour)
    if third is not None:
        axes.plot(steps, [h * h * abs(third / slope) / 6 for h in steps], color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate("truncation h²/6", (1e-3, 1e-6 * abs(third / slope) / 6), xytext=(8, -10), textcoords="offset points", fontsize=8, color=GREY)
    axes.axvline(GRADCHECK_STEP, color=BLACK, linewidth=1, linestyle=":")
    axes.axhline(GRADCHECK_RTOL, color=BLACK, linewidth=1, linestyle=":")
    axes.text(GRADCHECK_STEP, 3e-13, " gradcheck's h", fontsize=8, ha="left")
    axes.text(steps[-1], GRADCHECK_RTOL * 1.3, "gradcheck's rtol", fontsize=8, ha="left")
    axes.set_ylim(FLOOR, 30)
    axes.legend(loc="upper right", frameon=False)
    return picture


def _alt(name: str, measured: dict[str, tuple[float, list[float]]], steps: Sequence[float]) -> str:
    parts = []
    near = min(range(len(steps)), key=lambda place: abs(math.log(steps[place] / GRADCHECK_STEP)))
    for label, (_, errors) in measured.items():
        best = min(range(len(steps)), key=lambda place: errors[place])
        parts.append(f"In {label} the smallest error is {errors[best]:.0e}, at a step of {steps[best]:.0e}; "
                     f"at gradcheck's step of 1e-6 it is {errors[near]:.0e}.")
    return (f"Log-log plot: relative error of a central difference of {name} against its step h, one curve for float64 and one for float32. "
            "From large steps on, both fall together along the truncation line h²/6; for smaller steps each rises along its own rounding line, "
            f"epsilon over h. {' '.join(parts)}")
