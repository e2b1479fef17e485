"""Picture: loss and accuracy against the epoch, with goals and the epoch after which a run was resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from coursekit.viz.style import BLACK, GREY, MARKS, Picture

Curves = Mapping[str, Sequence[float]]


def learning_curves(
    losses: Curves,
    accuracies: Curves,
    goals: Mapping[str, float] | None = None,
    resumed: int | None = None,
    title: str = "Learning curves",
) -> Picture:
    """Draw losses on the left, logarithmic, and accuracies on the right; value k of a curve belongs to epoch k + 1.

    Args: losses, accuracies: name -> one value an epoch. goals: name -> accuracy to reach, drawn as a line. resumed: the
    last epoch before the run was stopped and resumed.
    """
    goals = goals or {}
    picture = Picture(_alt(losses, accuracies, goals, resumed), (8.6, 3.9))
    picture.suptitle(title, fontsize=12)
    left, right = picture.subplots(1, 2)
    for axes, name, unit, curves in (
        (left, "Loss", "mean loss (log scale)", losses),
        (right, "Accuracy", "share that is right", accuracies),
    ):
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _draw(axes, curves, resumed)
    left.set_yscale("log")
    for name, goal in goals.items():
        right.axhline(goal, color=BLACK, linewidth=1, linestyle=":")
        right.annotate(
            f"{name}: {goal:.2f}",
            (0.0, goal),
            xycoords=("axes fraction", "data"),
            xytext=(4, 2),
            textcoords="offset points",
            fontsize=8,
        )
    return picture


def _draw(axes: Axes, curves: Curves, resumed: int | None) -> None:
    for mark, (name, values) in zip(MARKS, curves.items(), strict=False):
        axes.plot(range(1, len(values) + 1), values, label=name, markersize=4, linewidth=1.5, **mark.of_line())
    if resumed is not None:
        axes.axvline(resumed + 0.5, color=GREY, linewidth=1, linestyle="--")
        axes.annotate(
            "resumed",
            (resumed + 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
        )
    axes.legend(frameon=False, fontsize=8)


def _alt(losses: Curves, accuracies: Curves, goals: Mapping[str, float], resumed: int | None) -> str:
    parts = [
        f"{kind} {name}: from {values[0]:.3f} to {values[-1]:.3f} in {len(values)} epochs"
        for kind, curves in (("loss", losses), ("accuracy", accuracies))
        for name, values in curves.items()
        if len(values)
    ]
    parts += [f"a line, {name}, at accuracy {goal:.2f}" for name, goal in goals.items()]
    parts += [f"the run was stopped and resumed after epoch {resumed}"] if resumed is not None else []
    return "Two plots over the epochs, loss on the left and accuracy on the right. " + "; ".join(parts) + "."
