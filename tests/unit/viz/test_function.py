"""The diagram of one Function call, by its structure: what each step adds, and an alt text that says the same."""

from __future__ import annotations

import pytest
from matplotlib.patches import Rectangle

from coursekit.viz.function import FRAMES, Call, function_frame
from coursekit.viz.show import png
from coursekit.viz.style import Picture

CALL = Call("Scale", inputs=(("x", "1, 2"), ("s", "-1")), saved="s", output=("y", "1, 2"), upstream="5, 7", gradients=("-5, -7", "None"))


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.axes[0].texts if text.get_text()]


def arrows(picture: Picture) -> int:
    return sum(getattr(text, "arrow_patch", None) is not None for text in picture.axes[0].texts)


def test_each_step_adds_to_the_one_before() -> None:
    shown = [set(texts(function_frame(CALL, k))) for k in range(FRAMES)]
    assert all(before < after for before, after in zip(shown, shown[1:], strict=False))
    assert [arrows(function_frame(CALL, k)) for k in range(FRAMES)] == [2, 4, 6, 8]


def test_the_first_step_shows_no_result() -> None:
    assert set(texts(function_frame(CALL, 0))) == {"forward(ctx, x, s)", "backward(ctx, grad_output)", "x = 1, 2", "s = -1"}


def test_the_last_step_has_one_gradient_for_each_input() -> None:
    shown = texts(function_frame(CALL, 3))
    assert {"grad x = -5, -7", "grad s = None", "upstream = 5, 7", "ctx: s", "y = 1, 2"} <= set(shown)


def test_the_running_method_stands_out_by_more_than_colour() -> None:
    for k in range(FRAMES):
        boxes = [patch for patch in function_frame(CALL, k).axes[0].patches if isinstance(patch, Rectangle)]
        widths = [box.get_linewidth() for box in boxes]
        assert (widths[0] > widths[1]) == (k < 2)
        assert boxes[0].get_linestyle() != boxes[1].get_linestyle()


def test_titles_count_the_steps() -> None:
    titles = [function_frame(CALL, k).axes[0].get_title() for k in range(FRAMES)]
    assert [title.split(".")[0] for title in titles] == ["Scale: 1", "Scale: 2", "Scale: 3", "Scale: 4"]


def test_the_alt_text_says_what_the_picture_shows() -> None:
    alt = function_frame(CALL, 3).alt
    for words in ("x = 1, 2, s = -1", "keeps s in ctx", "upstream 5, 7", "-5, -7 for x, None for s"):
        assert words in alt
    assert "upstream" not in function_frame(CALL, 1).alt


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="0 to 3, not 4"):
        function_frame(CALL, 4)
    with pytest.raises(ValueError, match="2 inputs and 1 gradients"):
        function_frame(Call("F", (("a", "1"), ("b", "2")), "a", ("y", "2"), "1", ("2",)), 0)


def test_it_can_be_drawn() -> None:
    assert png(function_frame(CALL, 3)).startswith(b"\x89PNG")
