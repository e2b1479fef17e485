"""Picture: the loss of a training loop with all four steps, and of five loops in each of which one thing is missing or misplaced."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes

from coursekit.viz.style import GREY, MARKS, VERMILION, Picture

TITLES = {
    "zero": "no zero_grad",
    "forward": "no forward in the loop",
    "backward": "no backward",
    "step": "no step",
    "late": "zero_grad too late",
}
ROUNDS, RATE, SAMPLES = 40, 0.1, 32


@dataclass(frozen=True)
class Run:
    """The losses of a loop, one for each round, and the first line of the error that ended it, if one did."""

    losses: tuple[float, ...]
    error: str = ""


def train(omit: str = "", rounds: int = ROUNDS, lr: float = RATE, seed: int = 0) -> Run:
    """Fit a plane by gradient descent, with one of the four steps left out.

    Args: omit: "" for the sound loop, or a key of TITLES. rounds, lr: of the loop. seed: of the data.
    Raises: ValueError: for another omission.
    """
    if omit and omit not in TITLES:
        raise ValueError(f"there is no omission {omit!r}; choose from {', '.join(TITLES)}")
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(SAMPLES, 3, generator=g)
    y = x @ torch.tensor([2.0, -1.0, 0.5]) + 0.5
    w, b = torch.zeros(3, requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.SGD([w, b], lr=lr)
    losses: list[float] = []
    for k in range(rounds):
        if omit not in ("zero", "late"):
            optimizer.zero_grad()
        if omit != "forward" or k == 0:
            loss = ((x @ w + b - y) ** 2).mean()
        losses.append(loss.item())
        try:
            if omit != "backward":
                loss.backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            return Run(tuple(losses), str(error).split(" (")[0])
        if omit == "late":
            optimizer.zero_grad()
        if omit != "step":
            optimizer.step()
    return Run(tuple(losses))


def omissions_picture(rounds: int = ROUNDS, lr: float = RATE, seed: int = 0) -> Picture:
    """Draw the loss of each omission in a panel of its own, with the sound loop in grey behind it."""
    sound = train("", rounds, lr, seed)
    runs = {omit: train(omit, rounds, lr, seed) for omit in TITLES}
    picture = Picture(_alt(sound, runs), size=(8.6, 5.2))
    top = 1.15 * max(max(run.losses) for run in (sound, *runs.values()))
    first = _panel(picture, 1, "all four steps", sound, sound, top, GREY, "-", "o")
    first.set_ylabel("loss")
    for place, (mark, (omit, run)) in enumerate(zip(MARKS, runs.items(), strict=False), 2):
        axes = _panel(picture, place, TITLES[omit], run, sound, top, mark.colour, mark.line, mark.marker)
        if place == 4:
            axes.set_ylabel("loss")
        if run.error:
            axes.plot(
                [len(run.losses)],
                [run.losses[-1]],
                marker="X",
                markersize=11,
                color=VERMILION,
                linestyle="none",
                label="RuntimeError",
            )
            axes.annotate(
                f"RuntimeError in round {len(run.losses)}",
                (len(run.losses), run.losses[-1]),
                xytext=(12, -3),
                textcoords="offset points",
                fontsize=8.5,
            )
    return picture


def _panel(
    picture: Picture, place: int, title: str, run: Run, sound: Run, top: float, colour: str, line: str, marker: str
) -> Axes:
    axes = picture.add_subplot(2, 3, place)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("round")
    axes.spines[["top", "right"]].set_visible(False)
    if run is not sound:
        axes.plot(
            range(1, len(sound.losses) + 1), sound.losses, color=GREY, linewidth=1.2, alpha=0.7, label="all four steps"
        )
    axes.plot(
        range(1, len(run.losses) + 1),
        run.losses,
        color=colour,
        linestyle=line,
        marker=marker,
        markersize=3.5,
        markevery=3,
        linewidth=1.5,
        label=title,
    )
    axes.set_xlim(0, len(sound.losses) + 1)
    axes.set_ylim(-0.03 * top, top)
    return axes


def _alt(sound: Run, runs: dict[str, Run]) -> str:
    parts = [f"Six panels, loss against round. All four steps: from {sound.losses[0]:.3g} to {sound.losses[-1]:.2g}."]
    for omit, run in runs.items():
        later = run.losses[len(run.losses) // 4 :]
        if run.error:
            said = f"a RuntimeError in round {len(run.losses)}: {run.error}"
        elif max(run.losses) == min(run.losses):
            said = f"constant at {run.losses[0]:.3g}"
        else:
            said = f"swings, between {min(later):.2g} and {max(later):.2g} after the first quarter"
        parts.append(f"{TITLES[omit]}: {said}.")
    return " ".join(parts)
