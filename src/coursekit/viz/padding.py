"""Padding, drawn: each sample is a bar, each batch a block as wide as its longest sample, and the rest is filled up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.patches import Patch, Rectangle

from coursekit.viz.style import BLACK, GREY, MARKS, PALE, Picture


def waste(batches: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Count what is stored. Args: batches: the lengths of each batch's samples. Returns: (padding, everything)."""
    total = sum(max(batch) * len(batch) for batch in batches)
    return total - sum(map(sum, batches)), total


def padding(ways: Mapping[str, Sequence[Sequence[int]]]) -> Picture:
    """Draw ways to cut the same samples into batches, side by side.

    Args: ways: name -> batches, each a list of lengths.
    """
    said = {name: _said(batches) for name, batches in ways.items()}
    picture = Picture(
        "Padding per way of making batches. " + " ".join(f"{name}: {text}." for name, text in said.items()), (8.4, 4.2)
    )
    widest = max(max(batch) for batches in ways.values() for batch in batches)
    for column, (name, batches) in enumerate(ways.items()):
        axes = picture.add_subplot(1, len(ways), column + 1)
        axes.set_title(f"{name}\n{said[name]}", fontsize=9)
        axes.set_xlabel("characters")
        row = 0.0
        for number, batch in enumerate(batches):
            colour = MARKS[number % len(MARKS)].colour
            for length in batch:
                axes.add_patch(Rectangle((0, row), length, 0.86, facecolor=colour, edgecolor="none", gid="data"))
                if length < max(batch):
                    axes.add_patch(
                        Rectangle(
                            (length, row),
                            max(batch) - length,
                            0.86,
                            facecolor=PALE,
                            edgecolor=GREY,
                            hatch="////",
                            linewidth=0.3,
                            gid="padding",
                        )
                    )
                row += 1
            axes.text(widest * 1.02, row - len(batch) / 2, str(number), va="center", fontsize=8)
            row += 0.7
        axes.set_xlim(0, widest * 1.1)
        axes.set_ylim(row, -0.5)
        axes.set_yticks([])
        axes.set_ylabel("samples, batch by batch" if column == 0 else "")
        axes.spines[["top", "right"]].set_visible(False)
    handles = [
        Patch(facecolor=MARKS[0].colour, edgecolor=BLACK, label="data (one colour and number per batch)"),
        Patch(facecolor=PALE, edgecolor=GREY, hatch="////", label="padding"),
    ]
    picture.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return picture


def _said(batches: Sequence[Sequence[int]]) -> str:
    filled, total = waste(batches)
    return f"{filled} of {total} places padded, {100 * filled / total:.0f} %"
