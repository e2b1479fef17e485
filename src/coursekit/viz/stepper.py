"""The backward stepper: one frame for each step of a forward and a backward pass over a small graph."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from torch import Tensor

from coursekit.viz.layout import layers, routed
from coursekit.viz.style import BLACK, BLUE, GREEN, GREY, PALE, VERMILION, Picture
from coursekit.viz.trace import ScalarNode, Spot, Trace, trace_nodes, trace_tensor

__all__ = ["ScalarNode", "Trace", "frame", "said", "trace_nodes", "trace_tensor"]

WIDTH, HEIGHT = 1.72, 0.94                               # of a box
ACROSS, DOWN = 3.4, 1.35                               # from one box to the next


def said(value: Tensor | float | None) -> str:
    """A number as people write it; a tensor by its one value if all entries agree, else by its shape and length."""
    if value is None:
        return "not saved"
    if not isinstance(value, Tensor):
        return f"{value:.4g}".replace("-", "−")
    if value.numel() == 1:
        return said(float(value.detach()))
    shape = "×".join(str(size) for size in value.shape)
    first = float(value.detach().flatten()[0])
    if bool((value == value.flatten()[0]).all()):
        return f"{said(first)} in {shape}"
    return f"{shape}, length {said(float(value.detach().norm()))}"


def frame(trace: Trace, k: int) -> Picture:
    """One step. Frame 0 shows the leaves; then each computed number appears; then the walk starts at the root and goes back.

    Args: trace: from `trace_nodes` or `trace_tensor`. k: from 0 to trace.count - 1.
    Raises: ValueError: for another k.
    """
    if not 0 <= k < trace.count:
        raise ValueError(f"there are {trace.count} frames, from 0 to {trace.count - 1}; got {k}")
    steps = trace.steps
    forward = k <= len(steps)
    current = steps[k - 1] if 0 < k <= len(steps) else steps[::-1][k - len(steps) - 2] if k > len(steps) + 1 else None
    known = {place for place, spot in enumerate(trace.spots) if spot.leaf} | set(steps[:k])
    grads = trace.grads(max(0, k - len(steps) - 1)) if not forward else {
        place: spot.before for place, spot in enumerate(trace.spots) if spot.before is not None}
    title, text = _story(trace, k, current, grads)
    where, routes = _places(trace)
    picture = Picture(_alt(trace, title, text, known, grads), _size(where, routes))
    axes = picture.canvas_without_frame(f"{title}\n{text}")
    for place in sorted(known):
        if place == current or not trace.spots[place].leaf:
            _edges(axes, trace, where, routes, place, place == current, forward)
    for place, spot in enumerate(trace.spots):
        if place in known:
            marked = place == current or (current is None and not forward and place == len(trace.spots) - 1)
            _box(axes, where[place], spot, _name(trace, place), grads.get(place), marked)
    _fit(axes, where, routes)
    return picture


Point = tuple[float, float]
Routes = dict[tuple[int, int], list[Point]]


def _places(trace: Trace) -> tuple[list[Point], Routes]:
    inputs = [spot.inputs for spot in trace.spots]
    layer = layers(inputs)
    for place, spot in enumerate(trace.spots):          # a leaf stands just before its first use
        if spot.leaf and (users := [layer[user] for user, places in enumerate(inputs) if place in places]):
            layer[place] = min(users) - 1
    across, routes = routed(layer, inputs)
    where = [(ACROSS * x, DOWN * y) for x, y in zip(layer, across, strict=True)]
    return where, {edge: [(ACROSS * x, DOWN * y) for x, y in stops] for edge, stops in routes.items()}


def _extent(where: list[Point], routes: Routes) -> tuple[float, float, float, float]:
    points = [*where, *(stop for stops in routes.values() for stop in stops)]
    (left, right), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))
    return left, right, low, high


def _size(where: list[Point], routes: Routes) -> tuple[float, float]:
    left, right, low, high = _extent(where, routes)
    return max(6.5, 0.72 * (right - left + WIDTH) + 0.4), max(2.6, 0.9 * (high - low + HEIGHT) + 1.2)


def _fit(axes: Axes, where: list[Point], routes: Routes) -> None:
    left, right, low, high = _extent(where, routes)
    axes.set_xlim(left - 0.6 * WIDTH, right + 0.6 * WIDTH)
    axes.set_ylim(low - 0.75 * HEIGHT, high + 0.75 * HEIGHT)


def _story(trace: Trace, k: int, current: int | None, grads: dict[int, Tensor]) -> tuple[str, str]:
    """A title and one sentence for the frame."""
    steps = trace.steps
    if k == 0:
        return "The leaves", "Their values are given; nothing has been computed yet."
    if k <= len(steps):
        assert current is not None
        spot = trace.spots[current]
        made = " and ".join(_name(trace, place) for place in spot.inputs)
        return f"Forward {k} of {len(steps)}: {_name(trace, current)}", f"Made from {made}: {said(spot.value)}."
    if current is None:
        return "The walk starts", f"The upstream gradient of the root is {said(trace.upstream)}."
    spot = trace.spots[current]
    turn = k - len(steps) - 1
    parts = [f"to {_name(trace, place)} {said(sent)}" for place, sent in zip(spot.inputs, spot.sent, strict=True)]
    return f"Backward {turn} of {len(steps)}: {_name(trace, current)}", f"Upstream {said(grads[current])}. It sends {', '.join(parts)}."


def _name(trace: Trace, place: int) -> str:
    """A node's label, with a number where several have the same."""
    spot = trace.spots[place]
    same = [other for other, node in enumerate(trace.spots) if node.label == spot.label]
    return spot.label if len(same) == 1 else f"{spot.label} #{same.index(place) + 1}"


def _alt(trace: Trace, title: str, text: str, known: set[int], grads: dict[int, Tensor]) -> str:
    lines = []
    for place, spot in enumerate(trace.spots):
        if place in known:
            grad = f", gradient {said(grads[place])}" if place in grads else ""
            lines.append(f"{_name(trace, place)} ({'leaf' if spot.leaf else 'computed'}) value {said(spot.value)}{grad}")
    return f"Graph, {title}. {text} Nodes: {'; '.join(lines)}."


def _box(axes: Axes, at: Point, spot: Spot, name: str, grad: Tensor | None, current: bool) -> None:
    """Leaves are square and green, computed nodes round and blue; the step's own node has a thick frame."""
    x, y = at
    shape = "square,pad=0" if spot.leaf else "round,pad=0,rounding_size=0.25"
    edge = VERMILION if current else GREEN if spot.leaf else BLUE
    axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle=shape, facecolor="white" if not current else "#FFF4EC",
                                  edgecolor=edge, linewidth=3.2 if current else 1.6, zorder=3))
    style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4}
    label = f"{name} (leaf)" if spot.leaf and not name.startswith("leaf") else name
    axes.text(x, y + 0.28, label, fontsize=10, fontweight="bold", color=BLACK, **style)
    axes.text(x, y, f"value {said(spot.value)}", fontsize=8.5, color=BLACK, **style)
    if grad is not None:
        axes.text(x, y - 0.28, f"grad {said(grad)}", fontsize=8.5, color=VERMILION, **style)


def _edges(axes: Axes, trace: Trace, where: list[Point], routes: Routes, place: int, active: bool, forward: bool) -> None:
    """A node's arrows point the way that numbers flow in this frame; those of the step carry local derivative and what is sent."""
    spot = trace.spots[place]
    for slot, source in enumerate(spot.inputs):
        twins = [other for other, target in enumerate(spot.inputs) if target == source and not routes[place, other]]
        lift = 0.0 if len(twins) < 2 or slot not in twins else 0.3 * (1 if slot == twins[0] else -1)     # the same input twice
        (x1, y1), (x2, y2) = where[source], where[place]
        points = [(x1 + WIDTH / 2, y1 + lift)]
        for x, y in routes[place, slot]:
            points += [(x - WIDTH / 2, y), (x + WIDTH / 2, y)]
        points.append((x2 - WIDTH / 2, y2 + lift))
        path = Path(points if forward else points[::-1])
        axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=13, zorder=2, color=VERMILION if active else GREY,
                                       linewidth=2.4 if active else 1.0, linestyle="-" if active else (0, (4, 2))))
        if active and not forward:
            middle = routes[place, slot][0] if routes[place, slot] else ((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
            _label(axes, middle, spot.local[slot], spot.sent[slot])


def _label(axes: Axes, at: Point, local: float | None, sent: Tensor) -> None:
    factor = f"× {said(local)}\n" if local is not None else ""
    axes.text(*at, f"{factor}= {said(sent)}", ha="center", va="center", fontsize=8.5, color=BLACK, zorder=5,
              bbox={"boxstyle": "round,pad=0.2", "facecolor": PALE, "edgecolor": VERMILION, "linewidth": 0.8})
