"""Picture: one call of a custom Function, forward and backward, with what travels in between."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from coursekit.viz.style import BLUE, GREY, ORANGE, PALE, VERMILION, Picture

FRAMES = 4
_HALF = 1.6                                             # half a box's width
_TITLES = ("1. apply hands the inputs to forward", "2. forward saves in ctx and returns the output",
           "3. backward receives the upstream and reads ctx", "4. backward returns one gradient for each input")


@dataclass(frozen=True)
class Call:
    """One call of a Function, as texts.

    Args: name: of the class. inputs: (name, value) each. saved: what lies in ctx. output: (name, value).
    upstream: the gradient of the output. gradients: of the inputs, in order; "None" where there is none.
    """

    name: str
    inputs: tuple[tuple[str, str], ...]
    saved: str
    output: tuple[str, str]
    upstream: str
    gradients: tuple[str, ...]


def function_frame(call: Call, k: int) -> Picture:
    """Draw step k of a call: 0 inputs arrive, 1 output and saved tensors, 2 upstream arrives, 3 gradients leave.

    Raises: ValueError: if k is none of them, or gradients and inputs differ in number.
    """
    if not 0 <= k < FRAMES:
        raise ValueError(f"a call has the steps 0 to {FRAMES - 1}, not {k}")
    if len(call.gradients) != len(call.inputs):
        raise ValueError(f"{call.name} has {len(call.inputs)} inputs and {len(call.gradients)} gradients; backward returns one for each")
    picture = Picture(_alt(call, k), size=(8.2, 3.2 + 0.5 * (len(call.inputs) - 1)))
    axes = picture.canvas_without_frame(f"{call.name}: {_TITLES[k]}")
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 6)
    _box(axes, 5, 4.7, f"forward(ctx, {', '.join(name for name, _ in call.inputs)})", BLUE, "-", k < 2)
    _box(axes, 5, 1.3, "backward(ctx, grad_output)", VERMILION, "--", k >= 2)
    for place, ((name, value), gradient) in enumerate(zip(call.inputs, call.gradients, strict=True)):
        shift = (0.5 * (len(call.inputs) - 1) - place) * 1.1
        _arrow(axes, (2.4, 4.7 + shift), (3.3, 4.7 + shift / 3), BLUE, "-", k == 0)
        axes.text(2.3, 4.7 + shift, f"{name} = {value}", ha="right", va="center", fontsize=10)
        if k >= 3:
            _arrow(axes, (3.3, 1.3 + shift / 3), (2.4, 1.3 + shift), VERMILION, "--", True)
            axes.text(2.3, 1.3 + shift, f"grad {name} = {gradient}", ha="right", va="center", fontsize=10)
    if k >= 1:
        _arrow(axes, (6.7, 4.7), (7.6, 4.7), BLUE, "-", k == 1)
        axes.text(7.7, 4.7, f"{call.output[0]} = {call.output[1]}", va="center", fontsize=10)
        _arrow(axes, (5, 4.1), (5, 3.4), ORANGE, ":", k == 1)
        axes.text(5, 3, f"ctx: {call.saved}", ha="center", va="center", fontsize=10,
                  bbox={"boxstyle": "round", "facecolor": PALE, "edgecolor": ORANGE, "linestyle": ":", "linewidth": 1.5})
    if k >= 2:
        _arrow(axes, (7.6, 1.3), (6.7, 1.3), VERMILION, "--", k == 2)
        axes.text(7.7, 1.3, f"upstream = {call.upstream}", va="center", fontsize=10)
        _arrow(axes, (5, 2.6), (5, 1.9), ORANGE, ":", k == 2)
    return picture


def _box(axes: Axes, x: float, y: float, text: str, colour: str, line: str, active: bool) -> None:
    axes.add_patch(Rectangle((x - _HALF, y - 0.55), 2 * _HALF, 1.1, facecolor="white", edgecolor=colour if active else GREY,
                             linestyle=line, linewidth=2.2 if active else 1.0))
    axes.text(x, y, text, ha="center", va="center", fontsize=10, family="monospace", color="black" if active else GREY)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, line: str, active: bool) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linestyle": line, "linewidth": 2.4 if active else 1.2})


def _alt(call: Call, k: int) -> str:
    inputs = ", ".join(f"{name} = {value}" for name, value in call.inputs)
    said = [f"Diagram of one call of {call.name}, step {k + 1} of {FRAMES}.", f"forward receives {inputs}."]
    if k >= 1:
        said.append(f"It keeps {call.saved} in ctx and returns {call.output[0]} = {call.output[1]}.")
    if k >= 2:
        said.append(f"backward receives the upstream {call.upstream} from the right and reads {call.saved} from ctx.")
    if k >= 3:
        said.append("It returns " + ", ".join(f"{value} for {name}" for (name, _), value in zip(call.inputs, call.gradients, strict=True)) + ".")
    return " ".join(said)
