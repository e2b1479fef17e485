"""Picture: how the size of activations changes with depth, for several scales of the initial weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coursekit.viz.style import BLACK, GREY, MARKS, Picture

GAINS = (0.5, 1 / 3**0.5, 1.0, 2**0.5, 2.0)
NAMES = {0.5: "0.5", 1 / 3**0.5: "1/√3 (nn.Linear)", 1.0: "1 (Xavier)", 2**0.5: "√2 (He)", 2.0: "2"}
BENDS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


def mean_squares(
    gain: float, bend: str, depth: int = 20, width: int = 128, samples: int = 256, seed: int = 0
) -> list[float]:
    """Measure the mean square of the activations after each layer of a network without biases.

    Args: gain: weights are drawn with the standard deviation gain / sqrt(width). bend: "relu" or "tanh".
    Returns: depth + 1 numbers; the first belongs to the input, which is standard normal.
    """
    g = torch.Generator().manual_seed(seed)
    h = torch.randn(samples, width, generator=g, dtype=torch.float64)
    found = [h.square().mean().item()]
    for _ in range(depth):
        h = BENDS[bend](h @ torch.randn(width, width, generator=g, dtype=torch.float64) * (gain / width**0.5))
        found.append(h.square().mean().item())
    return found


def variance_picture(bend: str = "relu", gains: Sequence[float] = GAINS, depth: int = 20, seed: int = 0) -> Picture:
    """Draw the mean square of the activations against depth, one curve for each gain; for relu with the predicted lines (g²/2)^layer."""
    if bend not in BENDS:
        raise ValueError(f"bend is one of {', '.join(BENDS)}; got {bend!r}")
    measured = {gain: mean_squares(gain, bend, depth, seed=seed) for gain in gains}
    picture = Picture(_alt(bend, measured, depth), size=(7.4, 4.2))
    axes = picture.axes_with(
        f"Size of activations by depth, {bend}: weights with σ = g/√n",
        "layer",
        "mean square of the activations (log scale)",
    )
    axes.set_yscale("log")
    layers = range(depth + 1)
    for mark, (gain, values) in zip(MARKS, measured.items(), strict=False):
        axes.plot(
            layers, values, markersize=4, linewidth=1.4, label=f"g = {NAMES.get(gain, f'{gain:.3g}')}", **mark.of_line()
        )
        if bend == "relu":
            axes.plot(layers, [(gain * gain / 2) ** layer for layer in layers], color=GREY, linewidth=0.8)
    axes.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
    if bend == "relu":
        axes.text(
            0.01,
            0.02,
            "thin grey lines: predicted, (g²/2) to the power of the layer",
            transform=axes.transAxes,
            fontsize=8,
            color=GREY,
        )
    axes.set_xticks(range(0, depth + 1, 5 if depth >= 10 else 1))
    handles, labels = axes.get_legend_handles_labels()
    picture.legend(
        handles[::-1], labels[::-1], loc="outside right center", frameon=False, fontsize=9
    )  # in the order of the curves
    return picture


def _alt(bend: str, measured: dict[float, list[float]], depth: int) -> str:
    ends = "; ".join(f"g = {NAMES.get(gain, f'{gain:.3g}')}: {values[-1]:.1e}" for gain, values in measured.items())
    law = (
        " For relu each curve follows the straight line (g²/2) to the power of the layer; only g = √2 stays level."
        if bend == "relu"
        else ""
    )
    return (
        f"Mean square of the activations against the layer, on a logarithmic axis, for {len(measured)} scales of the initial weights and {bend}. "
        f"All start near 1. After {depth} layers: {ends}.{law}"
    )
