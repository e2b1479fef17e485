"""Picture: the decision boundary of a logistic regression, step by step, with the loss beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from torch import Tensor

from coursekit.viz.style import BLACK, GREY, MARKS, Picture

CLASSES = (MARKS[0], MARKS[1])
LEVELS = ((0.1, ":"), (0.5, "-"), (0.9, "--"))  # probability of class 1, and how its line is drawn
SHOWN = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Descent:
    """What gradient descent did. Args: points (N, 2), labels (N,); steps: which are kept; weights, biases: there; losses: of every step."""

    points: Tensor
    labels: Tensor
    steps: tuple[int, ...]
    weights: tuple[Tensor, ...]
    biases: tuple[float, ...]
    losses: tuple[float, ...]


def two_clouds(count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two overlapping clouds of points. Returns: points (2 count, 2); labels (2 count,), 0.0 or 1.0."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[-0.8, -1.0], [1.2, 0.7]])
    points = torch.cat([centre + torch.randn(count, 2, generator=g) for centre in centres])
    return points, torch.arange(2).repeat_interleave(count).to(points.dtype)


def descend(points: Tensor, labels: Tensor, lr: float, steps: int, kept: Sequence[int] = SHOWN) -> Descent:
    """Train from zeros on the mean of the binary cross-entropy, and keep what a picture needs.

    Args: points: (N, 2). labels: (N,), 0 or 1. kept: steps to keep; the last step is always among them.
    """
    x, y = points.double().cpu(), labels.double().cpu()
    w, b = torch.zeros(2, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    wanted = sorted({step for step in kept if 0 <= step < steps} | {steps})
    weights, biases, losses = [], [], []
    for step in range(steps + 1):
        z = x @ w + b
        losses.append((torch.logaddexp(z, torch.zeros_like(z)) - y * z).mean().item())
        if step in wanted:
            weights.append(w.float())
            biases.append(b.item())
        error = (torch.sigmoid(z) - y) / len(y)
        w, b = w - lr * (x.T @ error), b - lr * error.sum()
    return Descent(points.cpu(), labels.cpu(), tuple(wanted), tuple(weights), tuple(biases), tuple(losses))


def right(path: Descent, k: int) -> int:
    """How many points lie on the right side of the k-th kept boundary; a point exactly on it counts as class 0."""
    z = path.points @ path.weights[k] + path.biases[k]
    return int(((z > 0) == (path.labels > 0.5)).sum())


def boundary_frame(path: Descent, k: int) -> Picture:
    """Draw the k-th kept step: points, the lines p = 0.1, 0.5 and 0.9, the vector w; and the loss of all steps with this one marked."""
    if not 0 <= k < len(path.steps):
        raise ValueError(f"k is one of 0 to {len(path.steps) - 1}; got {k}")
    picture = Picture(_alt(path, k), size=(9.2, 4.2))
    grid = picture.add_gridspec(1, 2, width_ratios=(1.35, 1))
    axes = _panel(
        picture.add_subplot(grid[0]),
        f"Step {path.steps[k]}: {right(path, k)} of {len(path.labels)} points right, |w| = {float(path.weights[k].norm()):.2f}",
        "x₁",
        "x₂",
    )
    low, high = path.points.min(dim=0).values - 0.4, path.points.max(dim=0).values + 0.4
    axes.set_xlim(float(low[0]), float(high[0]))
    axes.set_ylim(float(low[1]), float(high[1]))
    axes.set_aspect("equal", adjustable="box")  # else w would not look perpendicular to the boundary
    for label, mark in enumerate(CLASSES):
        chosen = path.points[path.labels == label]
        axes.scatter(
            chosen[:, 0].tolist(),
            chosen[:, 1].tolist(),
            s=22,
            marker=mark.marker,
            facecolors="none" if label else mark.colour,
            edgecolors=mark.colour,
            label=f"class {label}",
            zorder=2,
        )
    _lines(axes, path, k)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.1, -0.14),
        ncols=5,
        frameon=False,
        fontsize=8,
        columnspacing=1.0,
        handletextpad=0.4,
    )
    _loss(_panel(picture.add_subplot(grid[1]), "Loss, mean of the cross-entropy", "step (log scale)", "loss"), path, k)
    return picture


def _panel(axes: Axes, title: str, x: str, y: str) -> Axes:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _lines(axes: Axes, path: Descent, k: int) -> None:
    """The lines of equal probability, w · x + b = log(p / (1 - p)), and the vector w from the middle of the boundary."""
    w, b = path.weights[k], path.biases[k]
    length = float(w.norm())
    if length == 0:
        axes.text(
            0.5,
            0.03,
            "w = 0: every point has p = ½",
            transform=axes.transAxes,
            fontsize=9,
            ha="center",
            va="bottom",
        )
        return
    unit = w / length
    along = torch.stack([-unit[1], unit[0]])
    for level, style in LEVELS:
        logit = float(torch.logit(torch.tensor(level)))
        ends = torch.stack([unit * (logit - b) / length + far * along for far in (-20.0, 20.0)])
        axes.plot(
            ends[:, 0].tolist(),
            ends[:, 1].tolist(),
            color=BLACK if level == 0.5 else GREY,
            linestyle=style,
            linewidth=1.8 if level == 0.5 else 1.2,
            label=f"p = {level}",
            zorder=1,
        )
    middle = path.points.mean(dim=0)
    foot = middle - unit * ((middle @ w + b) / length)
    tip = foot + 0.5 * w
    start, end = (float(foot[0]), float(foot[1])), (float(tip[0]), float(tip[1]))
    axes.annotate(
        "", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.6}, zorder=3
    )
    axes.annotate("½ w", end, xytext=(5, 3), textcoords="offset points", fontsize=10, fontweight="bold", zorder=4)


def _loss(axes: Axes, path: Descent, k: int) -> None:
    steps, last = range(len(path.losses)), path.steps[k]
    axes.plot(steps, path.losses, color=GREY, linewidth=1)
    axes.plot(steps[: last + 1], path.losses[: last + 1], color=MARKS[2].colour, linewidth=2)
    axes.plot([last], [path.losses[last]], marker="o", color=MARKS[2].colour)
    axes.annotate(
        f"{path.losses[last]:.3f}", (last, path.losses[last]), xytext=(6, 6), textcoords="offset points", fontsize=9
    )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(-0.1, 2.5 * len(path.losses))
    axes.set_ylim(0, 1.15 * max(path.losses))


def _alt(path: Descent, k: int) -> str:
    w, b = path.weights[k].tolist(), path.biases[k]
    said = (
        f"Points of two classes in the plane, and a logistic regression at step {path.steps[k]}: loss {path.losses[path.steps[k]]:.3f}, "
        f"{right(path, k)} of {len(path.labels)} points on the right side."
    )
    if not any(w):
        return f"{said} All weights are zero, so there is no boundary yet: every point has the probability one half."
    length = (w[0] ** 2 + w[1] ** 2) ** 0.5
    return (
        f"{said} The boundary is the line {w[0]:.2f} x₁ + {w[1]:.2f} x₂ {'−' if b < 0 else '+'} {abs(b):.2f} = 0; w has the length {length:.2f}, "
        f"so the lines p = 0.1 and p = 0.9 are {4.394 / length:.2f} apart."
    )
