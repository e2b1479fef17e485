"""The common look: colours that stay apart, marks that say the same without colour, figures that carry their text."""

from __future__ import annotations

import itertools
import subprocess
import sys

from matplotlib.colors import to_rgb

from coursekit.viz.style import BLACK, BLUE, GREEN, GREY, MARKS, ORANGE, PALE, PURPLE, SKY, VERMILION, YELLOW, Picture

PALETTE = (BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, 0 to 1."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_palette_is_okabe_and_itos() -> None:
    assert PALETTE == ("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def test_text_colours_can_be_read_on_the_grounds_that_pictures_use() -> None:
    for text in (BLACK, GREY):
        for ground in ("#FFFFFF", PALE):
            assert contrast(text, ground) >= 4.5


def test_no_mark_needs_its_colour() -> None:
    for name in ("colour", "marker", "line", "hatch"):
        values = [getattr(mark, name) for mark in MARKS]
        assert len(set(values)) == len(MARKS), name
    assert all(a != b for a, b in itertools.combinations([(m.marker, m.line) for m in MARKS], 2))


def test_a_mark_gives_arguments_for_a_line() -> None:
    axes = Picture("two lines").axes_with("Lines")
    for mark in MARKS:
        [line] = axes.plot([0, 1], [0, 1], **mark.of_line())
        assert line.get_color() == mark.colour
        assert line.get_marker() == mark.marker


def test_a_picture_has_text_title_and_labels() -> None:
    picture = Picture("a line that rises", size=(3, 2))
    axes = picture.axes_with("Loss", "step", "loss")
    assert picture.alt == "a line that rises"
    assert tuple(picture.get_size_inches()) == (3, 2)
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("Loss", "step", "loss")
    assert not axes.spines["top"].get_visible()
    assert not axes.spines["right"].get_visible()
    assert axes.spines["left"].get_visible()


def test_a_diagram_has_a_title_and_no_frame() -> None:
    axes = Picture("boxes").canvas_without_frame("Boxes")
    assert axes.get_title() == "Boxes"
    assert not axes.axison


def test_no_window_system_and_no_global_state() -> None:
    """A picture is not registered with pyplot, so nothing has to be closed and nothing is shown twice."""
    code = "import sys; from coursekit.viz.style import Picture; Picture('x').axes_with('t'); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
