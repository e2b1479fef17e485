"""An optimizer race on contours: an ill-conditioned bowl and Rosenbrock's valley, one frame for each moment of the race."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from torch import Tensor

from coursekit.viz.style import BLACK, GREY, MARKS, Picture

Maker = Callable[[list[Tensor]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Landscape:
    """A function of two numbers with the part of the plane that is shown.

    Args: name: as the title says it. function: (..., 2) -> (...). x, y: limits of the picture. minimum: where it is. start: of the race.
    levels: of the contours. makers: name -> the optimizer with the rate that suits this landscape. notes: the same as text. steps: of a race.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    x: tuple[float, float]
    y: tuple[float, float]
    minimum: tuple[float, float]
    start: tuple[float, float]
    levels: tuple[float, ...]
    makers: Mapping[str, Maker]
    notes: Mapping[str, str]
    steps: int


def _bowl(p: Tensor) -> Tensor:
    return (p[..., 0] ** 2 + 25 * p[..., 1] ** 2) / 2


def _rosenbrock(p: Tensor) -> Tensor:
    return (1 - p[..., 0]) ** 2 + 100 * (p[..., 1] - p[..., 0] ** 2) ** 2


def _sgd(lr: float, momentum: float = 0.0, nesterov: bool = False) -> Maker:
    return lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=nesterov)


BOWL = Landscape(
    "½ (x² + 25 y²)",
    _bowl,
    (-4.4, 1.9),
    (-1.25, 1.25),
    (0.0, 0.0),
    (-4.0, 1.0),
    (0.1, 0.5, 1.5, 4, 8, 14, 22),
    {"SGD": _sgd(0.07), "momentum": _sgd(0.04, 0.8), "Nesterov": _sgd(0.04, 0.8, True)},
    {"SGD": "lr 0.07", "momentum": "lr 0.04, μ 0.8", "Nesterov": "lr 0.04, μ 0.8"},
    40,
)
ROSENBROCK = Landscape(
    "Rosenbrock's valley",
    _rosenbrock,
    (-1.9, 1.5),
    (-0.7, 2.5),
    (1.0, 1.0),
    (-1.5, 2.0),
    (0.2, 1, 4, 12, 40, 120, 300, 700),
    {
        "SGD": _sgd(0.001),
        "Nesterov": _sgd(0.001, 0.9, True),
        "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.02),
        "Adam": lambda params: torch.optim.Adam(params, lr=0.1),
    },
    {"SGD": "lr 0.001", "Nesterov": "lr 0.001, μ 0.9", "RMSprop": "lr 0.02", "Adam": "lr 0.1"},
    300,
)


def run_race(landscape: Landscape, names: Sequence[str] | None = None, steps: int | None = None) -> dict[str, Tensor]:
    """Let PyTorch's optimizers walk down a landscape.

    Args: names: of landscape.makers; all if None. steps: of each; the landscape's own number if None.
    Returns: name -> (steps + 1, 2) positions, the start first.
    """
    paths = {}
    for name in landscape.makers if names is None else names:
        p = torch.tensor(landscape.start, requires_grad=True)
        optimizer = landscape.makers[name]([p])
        path = [p.detach().clone()]
        for _ in range(landscape.steps if steps is None else steps):
            optimizer.zero_grad()
            landscape.function(p).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            path.append(p.detach().clone())
        paths[name] = torch.stack(path)
    return paths


def race_frame(landscape: Landscape, paths: Mapping[str, Tensor], k: int) -> Picture:
    """Draw the race after k steps: the trails on the contours, and the values of the function below.

    Args: paths: name -> (steps + 1, 2), from `run_race` or from anybody's `race`. k: from 0 to steps.
    Raises: ValueError: for another k.
    """
    last = min(len(path) for path in paths.values()) - 1
    if not 0 <= k <= last:
        raise ValueError(f"the race has {last} steps; got k = {k}")
    shown = {name: path.detach().cpu() for name, path in paths.items()}
    values = {name: landscape.function(path).tolist() for name, path in shown.items()}
    picture = Picture(_alt(landscape, shown, values, k), size=(9.0, 4.2))
    grid = picture.add_gridspec(1, 2, width_ratios=(1.7, 1))
    plane = _axes(picture, grid[0, 0], f"{landscape.name}, step {k}", "x", "y")
    _contours(plane, landscape)
    curve = _axes(picture, grid[0, 1], "value so far", "step", "f (log scale)")
    curve.set_yscale("log")
    for mark, (name, path) in zip(MARKS, shown.items(), strict=False):
        trail = path[: k + 1]
        note = landscape.notes.get(name, "")
        label = f"{name}: {note}" if note else name
        plane.plot(
            trail[:, 0],
            trail[:, 1],
            label=label,
            color=mark.colour,
            linestyle=mark.line,
            linewidth=1.3,
            zorder=4,
            marker=mark.marker,
            markersize=3,
            markevery=max(1, last // 40),
        )
        plane.plot(
            trail[-1:, 0],
            trail[-1:, 1],
            color=mark.colour,
            marker=mark.marker,
            markersize=9,
            markeredgecolor=BLACK,
            linestyle="none",
            zorder=5,
        )
        curve.plot(
            range(k + 1),
            [max(value, 1e-9) for value in values[name][: k + 1]],
            color=mark.colour,
            linestyle=mark.line,
            linewidth=1.5,
            marker=mark.marker,
            markersize=4,
            markevery=max(1, last // 8),
        )
    curve.set_xlim(-0.02 * last, 1.02 * last)
    low = min(min(value) for value in values.values())
    curve.set_ylim(max(0.5 * low, 1e-6), 2 * max(max(value) for value in values.values()))
    picture.legend(loc="outside lower center", ncols=min(4, len(shown)), frameon=False, fontsize=9)
    return picture


def _axes(picture: Picture, place: object, title: str, x: str, y: str) -> Axes:
    axes = picture.add_subplot(place)  # type: ignore[call-overload]
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    assert isinstance(axes, Axes)
    return axes


def _contours(axes: Axes, landscape: Landscape) -> None:
    x, y = torch.linspace(*landscape.x, 160), torch.linspace(*landscape.y, 160)
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    axes.contour(
        x.numpy(),
        y.numpy(),
        landscape.function(points).numpy(),
        levels=list(landscape.levels),
        colors=GREY,
        linewidths=0.7,
        alpha=0.8,
    )
    axes.plot(
        *[[value] for value in landscape.minimum], marker="*", markersize=14, color=BLACK, linestyle="none", zorder=3
    )
    clear = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    for text, at, by in (("minimum", landscape.minimum, (0, -28)), ("start", landscape.start, (-10, 9))):
        axes.annotate(text, at, xytext=by, textcoords="offset points", fontsize=8.5, zorder=6, bbox=clear)
    axes.plot(
        *[[value] for value in landscape.start],
        marker="o",
        markersize=7,
        markerfacecolor="none",
        color=BLACK,
        linestyle="none",
        zorder=3,
    )
    axes.set_xlim(*landscape.x)
    axes.set_ylim(*landscape.y)


def _alt(landscape: Landscape, paths: Mapping[str, Tensor], values: Mapping[str, list[float]], k: int) -> str:
    parts = [
        f"{name} is at ({path[k, 0]:.2f}, {path[k, 1]:.2f}) with f = {values[name][k]:.3g}"
        for name, path in paths.items()
    ]
    x, y = landscape.minimum
    return (
        f"Optimizer race on {landscape.name}, after {k} steps: contours with one trail for each optimizer, and beside them the values of f "
        f"against the step on a log scale. The minimum is at ({x:g}, {y:g}), the start at ({landscape.start[0]:g}, {landscape.start[1]:g}). "
        f"{'; '.join(parts)}."
    )
