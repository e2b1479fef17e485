"""The graph that PyTorch recorded behind a tensor, as a walk over grad_fn finds it: leaves and saved tensors are marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from torch import Tensor

from coursekit.viz.layout import depths, routed
from coursekit.viz.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION, Picture

WIDTH, HEIGHT = 2.75, 0.56                              # of a box, in inches
ACROSS, DOWN = 3.1, 0.84


@dataclass(frozen=True)
class Stop:
    """One node of the walk. leaf: an AccumulateGrad node. saved: name -> shape, or "freed" after a walk.
    ways: the places of the nodes that it leads to, in order; ways to nothing are left out."""

    name: str
    leaf: bool
    label: str = ""
    saved: tuple[tuple[str, str], ...] = ()
    ways: tuple[int, ...] = ()


def walk(root: Tensor, names: Mapping[str, Tensor] | None = None) -> tuple[Stop, ...]:
    """List the nodes behind a tensor, depth first, each once, at its first visit.

    Args: root: with or without a graph. names: name -> leaf, such as dict(model.named_parameters()).
    """
    order: list[Any] = []
    waiting = [root.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in order:
            continue
        order.append(node)
        waiting += [way for way, _ in reversed(node.next_functions)]
    called = {id(leaf): name for name, leaf in (names or {}).items()}
    return tuple(_stop(node, order, called) for node in order)


def _stop(node: Any, order: list[Any], called: Mapping[int, str]) -> Stop:
    ways = tuple(order.index(way) for way, _ in node.next_functions if way is not None)
    name = node.name().split("::")[-1]
    leaf = getattr(node, "variable", None)
    if leaf is not None:
        return Stop(name, True, f"{called.get(id(leaf), 'a leaf')} {_shape(leaf)}", (), ways)
    return Stop(name, False, "", _saved(node), ways)


def _saved(node: Any) -> tuple[tuple[str, str], ...]:
    """The tensors that a node keeps for its derivative."""
    found = []
    for attribute in dir(node):
        if not attribute.startswith("_saved_") and attribute != "saved_tensors":
            continue
        name = attribute.removeprefix("_saved_").replace("saved_tensors", "tensor")
        try:
            value = getattr(node, attribute)
        except RuntimeError:                            # a walk has set it free
            found.append((name, "freed"))
            continue
        tensors = value if isinstance(value, (list, tuple)) else [value]
        found += [(name, _shape(tensor)) for tensor in tensors if isinstance(tensor, Tensor)]
    return tuple(found)


def _shape(tensor: Tensor) -> str:
    return "×".join(str(size) for size in tensor.shape) or "number"


def walk_length(root: Tensor) -> int:
    """The number of nodes that the walk lists."""
    return len(walk(root))


def walk_frame(root: Tensor, k: int, names: Mapping[str, Tensor] | None = None) -> Picture:
    """The graph after k steps of the walk: visited nodes are numbered and strong, the others are pale.

    Args: root: a tensor. k: from 0 to walk_length(root). names: name -> leaf, for the labels.
    Raises: ValueError: for another k, or if there is no graph.
    """
    stops = walk(root, names)
    if not stops:
        raise ValueError("this tensor has no graph behind it; compute it from a tensor with requires_grad=True")
    if not 0 <= k <= len(stops):
        raise ValueError(f"there are {len(stops) + 1} frames, from 0 to {len(stops)}; got {k}")
    where, routes = _places(stops)
    middle = (min(x for x, _ in where) + max(x for x, _ in where)) / 2
    half = max(3.4, middle - min(x for x, _ in where) + WIDTH / 2 + 0.25)
    top = max(y for _, y in where)
    picture = Picture(_alt(stops, k), (2 * half, top + 2 * HEIGHT + 1.4))
    now = f": {stops[k - 1].name}" if k else ""
    axes = picture.canvas_without_frame(f"The walk from grad_fn, {k} of {len(stops)} nodes{now}")
    for place, stop in enumerate(stops):
        for slot, way in enumerate(stop.ways):
            _arrow(axes, where[place], routes[place, slot], where[way], place < k)
    for place, stop in enumerate(stops):
        _box(axes, where[place], stop, place + 1 if place < k else None, place == k - 1)
    _legend(axes, middle, -HEIGHT - 0.25)
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(-HEIGHT - 0.6, top + HEIGHT)
    return picture


Point = tuple[float, float]


def _places(stops: tuple[Stop, ...]) -> tuple[list[Point], dict[tuple[int, int], list[Point]]]:
    """The root on top; each node one layer below the last that leads to it."""
    order = _users_first(stops)
    rank = {place: turn for turn, place in enumerate(reversed(order))}          # what is led to comes first
    ways = [[rank[way] for way in stops[place].ways] for place in reversed(order)]
    depth = depths(ways)
    layer = [max(depth) - number for number in depth]
    across, routes = routed(layer, ways)
    where = [(ACROSS * across[rank[place]], DOWN * layer[rank[place]]) for place in range(len(stops))]
    drawn = {(place, slot): [(ACROSS * x, DOWN * y) for y, x in reversed(routes[rank[place], slot])]
             for place, stop in enumerate(stops) for slot in range(len(stop.ways))}
    return where, drawn


def _users_first(stops: tuple[Stop, ...]) -> list[int]:
    users = [0] * len(stops)
    for stop in stops:
        for way in stop.ways:
            users[way] += 1
    free, order = [0], []
    while free:
        place = free.pop()
        order.append(place)
        for way in stops[place].ways:
            users[way] -= 1
            if users[way] == 0:
                free.append(way)
    return order


def _arrow(axes: Axes, start: Point, stops: list[Point], end: Point, strong: bool) -> None:
    points = [(start[0], start[1] - HEIGHT / 2)]
    for x, y in stops:
        points += [(x, y + HEIGHT / 2), (x, y - HEIGHT / 2)]
    points.append((end[0], end[1] + HEIGHT / 2))
    axes.add_patch(FancyArrowPatch(path=Path(points), arrowstyle="-|>", mutation_scale=11, color=GREY, linewidth=1.2, zorder=1,
                                   alpha=1.0 if strong else 0.35))


def _box(axes: Axes, at: Point, stop: Stop, number: int | None, current: bool) -> None:
    """A leaf is square and green; a node that keeps tensors has an orange bar on its left and says what it keeps."""
    x, y = at
    alpha = 1.0 if number is not None else 0.35
    shape = "square,pad=0" if stop.leaf else "round,pad=0,rounding_size=0.15"
    edge = VERMILION if current else GREEN if stop.leaf else BLUE
    axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle=shape, facecolor="white", edgecolor=edge,
                                  linewidth=3.0 if current else 1.5, zorder=2, alpha=alpha))
    if stop.saved:
        axes.add_patch(Rectangle((x - WIDTH / 2 + 0.07, y - HEIGHT / 2 + 0.08), 0.09, HEIGHT - 0.16, facecolor="white" if _freed(stop) else ORANGE,
                                 zorder=3, alpha=alpha, hatch="" if _freed(stop) else "///", edgecolor=BLACK, linewidth=0.5))
    lower = stop.label if stop.leaf else _kept(stop)
    style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4, "color": BLACK, "alpha": alpha}
    x += 0.08 if stop.saved else 0                      # beside the bar
    axes.text(x, y + (0.11 if lower else 0), stop.name, fontsize=8.5, fontweight="bold", **style)
    if lower:
        axes.text(x, y - 0.13, lower, fontsize=7.5, **style)
    if number is not None:
        x = at[0]
        axes.add_patch(Circle((x + WIDTH / 2, y + HEIGHT / 2), 0.145, facecolor=edge, edgecolor="white", zorder=5))
        axes.text(x + WIDTH / 2, y + HEIGHT / 2, str(number), fontsize=7.5, color="white", ha="center", va="center", zorder=6)


def _kept(stop: Stop) -> str:
    if not stop.saved:
        return ""
    if _freed(stop):
        return "kept tensors, now freed"
    return "keeps " + ", ".join(f"{name} {shape}" for name, shape in stop.saved)


def _freed(stop: Stop) -> bool:
    return bool(stop.saved) and all(shape == "freed" for _, shape in stop.saved)


def _legend(axes: Axes, x: float, y: float) -> None:
    text = "green square: a leaf, where .grad is added to\norange hatched bar: keeps tensors   ·   number: order of the walk"
    axes.text(x, y, text, fontsize=8, color=GREY, ha="center", va="center")


def _alt(stops: tuple[Stop, ...], k: int) -> str:
    parts = []
    for place, stop in enumerate(stops):
        mark = f"leaf {stop.label}" if stop.leaf else _kept(stop) or "keeps nothing"
        ways = f", leads to {', '.join(str(way + 1) for way in stop.ways)}" if stop.ways else ""
        parts.append(f"{place + 1} {stop.name} ({mark}{ways})")
    leaves = sum(stop.leaf for stop in stops)
    return f"Graph of {len(stops)} nodes, {leaves} of them leaves; {k} visited. In the order of the walk: {'; '.join(parts)}."
