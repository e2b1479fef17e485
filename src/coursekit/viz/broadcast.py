"""The broadcast and shape grid: shapes written below each other, right-aligned, and what the rule makes of each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from coursekit.viz.style import BLACK, GREY, MARKS, PALE, VERMILION, Picture

Shape = tuple[int, ...]
WRITTEN, FILLED, REPEATED = range(3)                    # what one frame adds to the one before
STEPS = 3
_TITLES = ("1. Write the shapes right-aligned", "2. Fill missing axes with 1", "3. Repeat each axis of size 1 to meet the other")
_REPEATED = MARKS[3]
_LABELS = {"written": "as written", "filled": "filled-up 1", "repeated": "repeated (crossed)", "clash": "clash (striped)"}


@dataclass(frozen=True)
class Alignment:
    """What broadcasting makes of some shapes.

    Args: filled: each shape with leading 1s, all of one length. sizes: per axis, or None where two sizes clash.
    """

    shapes: tuple[Shape, ...]
    filled: tuple[Shape, ...]
    sizes: tuple[int | None, ...]

    @property
    def result(self) -> Shape | None:
        """The common shape, or None if there is none."""
        return None if None in self.sizes else tuple(size for size in self.sizes if size is not None)

    def kind(self, row: int, axis: int, step: int = REPEATED) -> str:
        """What a frame shows for one axis of one shape: absent, written, filled, repeated or clash."""
        missing = axis < len(self.sizes) - len(self.shapes[row])
        if step == WRITTEN:
            return "absent" if missing else "written"
        size = self.filled[row][axis]
        if step == REPEATED and self.sizes[axis] is None and size != 1:
            return "clash"
        if step == REPEATED and size == 1 and self.sizes[axis] not in (1, None):
            return "repeated"
        return "filled" if missing else "written"

    def words(self) -> str:
        """The outcome in words: the result, or every clash by name."""
        if self.result is not None:
            return f"result {self.result}"
        clashes = [f"{_meeting(self, axis, ' meets ')} at axis {axis - len(self.sizes)}" for axis, size in enumerate(self.sizes) if size is None]
        return "error: " + ", ".join(clashes)


def align(*shapes: Sequence[int]) -> Alignment:
    """Apply the broadcasting rule. Raises: ValueError: for fewer than two shapes, or a negative size."""
    if len(shapes) < 2 or any(size < 0 for shape in shapes for size in shape):
        raise ValueError(f"broadcasting needs two or more shapes of sizes ≥ 0; got {shapes}")
    written = tuple(tuple(shape) for shape in shapes)
    count = max(len(shape) for shape in written)
    filled = tuple((1,) * (count - len(shape)) + shape for shape in written)
    met = [{shape[axis] for shape in filled} - {1} or {1} for axis in range(count)]
    return Alignment(written, filled, tuple(next(iter(sizes)) if len(sizes) == 1 else None for sizes in met))


def grid(*shapes: Sequence[int], step: int = REPEATED, names: Sequence[str] = ()) -> Picture:
    """Draw one frame of the rule.

    Args: shapes: two or more. step: 0 right-aligned, 1 filled up, 2 repeated, with result or clash. names: of the rows.
    Returns: the picture; its alt text says the same in words.
    """
    if not 0 <= step < STEPS:
        raise ValueError(f"step is one of 0 to {STEPS - 1}; got {step}")
    found = align(*shapes)
    rows, columns = len(found.shapes), len(found.sizes)
    longest = max(len(str(shape)) + (len(names[row]) if row < len(names) else 0) for row, shape in enumerate(found.shapes))
    margin = 0.5 + 0.1 * longest                        # inches for the rows' names; a character takes 0.092
    width = min(max(margin + 1.2 * columns, 6.4), 12.0)
    picture = Picture(_alt(found, step, names), (width, 1.9 + 0.55 * rows))
    axes = picture.canvas_without_frame(_TITLES[step])
    for axis in range(columns):
        axes.text(axis + 0.5, 0.35, f"axis {axis - columns}", ha="center", va="center", color=GREY, fontsize=9)
    for row, shape in enumerate(found.shapes):
        name = f"{names[row]} " if row < len(names) else ""
        axes.text(-0.2, -row - 0.5, f"{name}{shape}", ha="right", va="center", family="monospace", fontsize=11)
        for axis in range(columns):
            _box(axes, axis, row, found.kind(row, axis, step), found.filled[row][axis], found.sizes[axis])
    _outcome(axes, found, step)
    axes.set_xlim(-margin * columns / (width - margin) - 0.1 if columns else -1, columns + 0.1)
    axes.set_ylim(-rows - 1.4, 0.6)
    kinds = {found.kind(row, axis, frame) for row in range(rows) for axis in range(columns) for frame in range(STEPS)}
    used = [name for name in _LABELS if name in kinds]  # the same for all frames, so that nothing jumps
    handles = [Patch(**_look(name), label=_LABELS[name]) for name in used]
    picture.legend(handles=handles, loc="outside lower center", ncols=max(len(used), 1), frameon=False, fontsize=9, columnspacing=1.4)
    return picture


def _look(kind: str) -> dict[str, Any]:
    """Colour, edge and hatch of a box: each kind differs in at least two of them."""
    return {
        "written": {"facecolor": "white", "edgecolor": BLACK, "linewidth": 1.5},
        "filled": {"facecolor": PALE, "edgecolor": GREY, "linewidth": 1.5, "linestyle": "--"},
        "repeated": {"facecolor": "#FBE7B8", "edgecolor": _REPEATED.colour, "linewidth": 1.5, "hatch": _REPEATED.hatch},
        "clash": {"facecolor": "#F7D9C7", "edgecolor": VERMILION, "linewidth": 2.5, "hatch": "//"},
    }[kind]


def _box(axes: Axes, axis: int, row: int, kind: str, size: int, target: int | None) -> None:
    if kind == "absent":
        return
    axes.add_patch(Rectangle((axis + 0.06, -row - 0.92), 0.88, 0.84, gid=kind, **_look(kind)))
    text = f"1 → {target}" if kind == "repeated" else str(size)
    plain = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(axis + 0.5, -row - 0.5, text, ha="center", va="center", fontsize=12, bbox=plain if kind in ("repeated", "clash") else None)


def _outcome(axes: Axes, found: Alignment, step: int) -> None:
    """The last row: the size of each axis, or which sizes clash."""
    if step < REPEATED:
        return
    rows, columns = len(found.shapes), len(found.sizes)
    axes.plot([0, columns], [-rows - 0.08, -rows - 0.08], color=BLACK, linewidth=1)
    colour = BLACK if found.result is not None else VERMILION
    shown = "error" if found.result is None else str(found.result)
    axes.text(-0.2, -rows - 0.6, shown, ha="right", va="center", family="monospace", fontsize=11, fontweight="bold", color=colour)
    for axis, size in enumerate(found.sizes):
        text = _meeting(found, axis, " ≠ ") if size is None else str(size)
        axes.text(axis + 0.5, -rows - 0.6, text, ha="center", va="center", fontsize=12, fontweight="bold", color=VERMILION if size is None else BLACK)


def _meeting(found: Alignment, axis: int, between: str) -> str:
    return between.join(str(size) for size in dict.fromkeys(shape[axis] for shape in found.filled) if size != 1)


def _alt(found: Alignment, step: int, names: Sequence[str]) -> str:
    rows = " and ".join(f"{names[row]} {shape}" if row < len(names) else str(shape) for row, shape in enumerate(found.shapes))
    said = [f"Broadcast grid of {rows}, step {step + 1} of {STEPS}: {_TITLES[step][3:].lower()}."]
    if step >= FILLED:
        said.append(f"Filled up they are {' and '.join(map(str, found.filled))}.")
    if step >= REPEATED:
        repeated = [f"axis {axis - len(found.sizes)} of {found.shapes[row]} {found.sizes[axis]} times"
                    for row in range(len(found.shapes)) for axis in range(len(found.sizes)) if found.kind(row, axis) == "repeated"]
        said.append(f"Repeated: {', '.join(repeated) or 'nothing'}. {found.words().capitalize()}.")
    return " ".join(said)
