"""One look for all pictures: a palette that colour-blind readers can tell apart, and a second mark that says the same as colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): eight colours that stay apart under all common colour vision deficiencies.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
GREY, PALE = "#6B6B6B", "#ECECEC"


@dataclass(frozen=True)
class Mark:
    """A colour together with the marker, line style and hatch that mean the same."""

    colour: str
    marker: str
    line: str
    hatch: str

    def of_line(self) -> dict[str, Any]:
        """Arguments for Axes.plot."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line}


MARKS = (Mark(BLUE, "o", "-", ""), Mark(VERMILION, "s", "--", "//"), Mark(GREEN, "^", "-.", ".."), Mark(ORANGE, "D", ":", "xx"),
         Mark(PURPLE, "v", (0, (5, 1, 1, 1)), "++"), Mark(SKY, "P", (0, (1, 1)), "oo"))  # type: ignore[arg-type]


class Picture(Figure):
    """A figure that carries its alternative text, and needs no window system.

    Args: alt: what a reader who does not see the picture has to know. size: inches.
    """

    def __init__(self, alt: str = "", size: tuple[float, float] = (7.0, 4.0), **options: Any) -> None:
        super().__init__(figsize=size, layout="constrained", facecolor="white", **options)
        self.alt = alt

    def axes_with(self, title: str, x: str = "", y: str = "", **options: Any) -> Axes:
        """Add one axes with title and axis labels; lines on top and right stay away."""
        axes: Axes = self.add_subplot(**options)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.spines[["top", "right"]].set_visible(False)
        return axes

    def canvas_without_frame(self, title: str) -> Axes:
        """Add axes for a diagram: no ticks and no frame."""
        axes = self.axes_with(title)
        axes.set_axis_off()
        return axes
