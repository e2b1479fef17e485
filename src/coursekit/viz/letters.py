"""Pictures of the letters: a sheet of samples with their defects marked, and confusions shown by the letters themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from coursekit.data.letters import LETTERS, SIDE
from coursekit.viz.style import BLACK, MARKS, Mark, Picture

# A defect is told by colour, by the line of its frame and by a word: (mark, line, word).
DEFECTS: dict[str, tuple[Mark, Literal["--", "-.", ":"], str]] = {
    "corrupt": (MARKS[1], "--", "cannot be read"),
    "duplicate": (MARKS[2], "-.", "copy of a train file"),
    "mislabelled": (MARKS[4], ":", "in another letter's folder"),
}
FRONT = (0.90, 0.96, 1.0)  # the ground of what was predicted right
FEW, MANY = (
    torch.tensor([1.0, 0.93, 0.75]),
    torch.tensor([0.95, 0.62, 0.35]),
)  # the ground of a rare and of the commonest mistake


def sample_sheet(
    images: Sequence[Tensor | None],
    titles: Sequence[str],
    defects: Sequence[str] | None = None,
    columns: int = 10,
    title: str = "Samples",
) -> Picture:
    """Draw pictures in rows; those with a defect get a frame and a word.

    Args: images: each (28, 28) or (1, 28, 28), uint8 or float; None for a file that cannot be read. titles: such as the
    folder. defects: "" or a key of DEFECTS for each.
    """
    defects = [""] * len(images) if defects is None else list(defects)
    rows = -(-len(images) // columns)
    picture = Picture(_sheet_alt(titles, defects), (0.8 * columns, 0.98 * rows + 0.9))
    picture.suptitle(title, fontsize=11)
    for number, (image, label, defect) in enumerate(zip(images, titles, defects, strict=True)):
        axes = picture.add_subplot(rows, columns, number + 1)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(label, fontsize=8, pad=3)
        if image is None:
            axes.set_facecolor("#F4F4F4")
            axes.text(0.5, 0.5, "?", ha="center", va="center", fontsize=16, transform=axes.transAxes)
        else:
            axes.imshow(_grey(image).numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set_aspect(1)
        if defect:
            _frame(axes, defect)
    _legend(picture, defects)
    return picture


def confusion_letters(
    labels: Tensor,
    predictions: Tensor,
    images: Tensor,
    names: str = LETTERS,
    title: str = "Which letter was taken for which",
) -> Picture:
    """Draw the confusion matrix with, in each cell, a letter that was so predicted, and how many there are.

    Args: labels, predictions: (N,) int, below len(names). images: (N, 28, 28) or (N, 1, 28, 28). Where several fall into a
    cell the first is shown, so sort by loss, worst first, to see the worst.
    """
    count = len(names)
    table = torch.zeros(count, count, dtype=torch.int64)
    canvas = torch.ones(count * SIDE, count * SIDE, 3)
    wrong = (labels != predictions).cpu()
    most = max(_commonest(labels, predictions), 1)
    for k, (true, predicted) in enumerate(zip(labels.tolist(), predictions.tolist(), strict=True)):
        table[true, predicted] += 1
        if table[true, predicted] == 1:
            share = (int(((labels == true) & (predictions == predicted)).sum()) - 1) / max(most - 1, 1)
            ground = FEW + (MANY - FEW) * share if true != predicted else torch.tensor(FRONT)
            cell = ground * (1 - _grey(images[k]).unsqueeze(-1))
            canvas[true * SIDE : (true + 1) * SIDE, predicted * SIDE : (predicted + 1) * SIDE] = cell
    picture = Picture(_confusion_alt(table, names), (7.4, 7.6))
    axes = picture.axes_with(f"{title}: {int(wrong.sum())} of {len(labels)} wrong", "predicted letter", "true letter")
    axes.imshow(canvas.numpy(), extent=(-0.5, count - 0.5, count - 0.5, -0.5), interpolation="nearest")
    axes.set_xticks(range(count), list(names))
    axes.set_yticks(range(count), list(names))
    for edge in range(1, count):
        axes.axvline(edge - 0.5, color="#C8C8C8", linewidth=0.6)
        axes.axhline(edge - 0.5, color="#C8C8C8", linewidth=0.6)
    for true, predicted in table.nonzero().tolist():
        axes.text(
            predicted + 0.46,
            true + 0.45,
            str(int(table[true, predicted])),
            ha="right",
            va="bottom",
            fontsize=8,
            color=BLACK,
            fontweight="normal" if true == predicted else "bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )
    return picture


def _grey(image: Tensor) -> Tensor:
    """(28, 28) float from 0 to 1, whatever scale the picture has."""
    plain = image.detach().cpu().reshape(image.shape[-2:]).float()
    low, high = (0.0, 255.0) if image.dtype == torch.uint8 else (float(plain.min()), float(plain.max()))
    return (plain - low) / max(high - low, 1e-6)


def _frame(axes: Axes, defect: str) -> None:
    mark, line, _ = DEFECTS[defect]
    for spine in axes.spines.values():
        spine.set(visible=True, color=mark.colour, linewidth=2.5, linestyle=line)
    axes.set_xlabel(defect, fontsize=7, labelpad=2)


def _legend(picture: Picture, defects: Sequence[str]) -> None:
    handles = [
        Patch(facecolor="white", edgecolor=mark.colour, linestyle=line, linewidth=2, label=f"{name}: {word}")
        for name, (mark, line, word) in DEFECTS.items()
        if name in defects
    ]
    if handles:
        picture.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _sheet_alt(titles: Sequence[str], defects: Sequence[str]) -> str:
    found = Counter(defect for defect in defects if defect)
    parts = [
        f"{found[name]} {name} ({DEFECTS[name][2]}): "
        + ", ".join(title for title, defect in zip(titles, defects, strict=True) if defect == name)
        + "."
        for name in DEFECTS
        if name in found
    ]
    return f"A sheet of {len(titles)} letter pictures, white on black. " + (
        " ".join(parts) or "None is marked as defective."
    )


def _commonest(labels: Tensor, predictions: Tensor) -> int:
    pairs = Counter((t, p) for t, p in zip(labels.tolist(), predictions.tolist(), strict=True) if t != p)
    return max(pairs.values(), default=0)


def _confusion_alt(table: Tensor, names: str) -> str:
    wrong = [(int(table[t, p]), names[t], names[p]) for t, p in table.nonzero().tolist() if t != p]
    wrong.sort(key=lambda entry: (-entry[0], entry[1:]))
    right, total = int(table.diagonal().sum()), int(table.sum())
    text = f"A grid of {len(names)} by {len(names)} cells, true letters down, predicted letters across; {right} of {total} are right. "
    if not wrong:
        return f"{text}No letter was taken for another."
    return f"{text}Commonest mistakes: " + ", ".join(f"{t} taken for {p} {n} times" for n, t, p in wrong[:5]) + "."
