"""The broadcast grid, by its structure: boxes, their hatches, the texts, and an alt text that says the same."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from coursekit.viz.broadcast import FILLED, REPEATED, STEPS, WRITTEN, align, grid
from coursekit.viz.show import png
from coursekit.viz.style import Picture

sizes = st.sampled_from([1, 1, 2, 3])
some_shapes = st.lists(st.lists(sizes, max_size=4).map(tuple), min_size=2, max_size=4)


def boxes(picture: Picture) -> list[Rectangle]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle)]


def kinds(picture: Picture) -> list[str]:
    return [str(box.get_gid()) for box in boxes(picture)]


def texts(picture: Picture) -> list[str]:
    return [item.get_text() for item in picture.axes[0].texts]


@settings(deadline=None)
@given(some_shapes)
def test_the_rule_is_torchs(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        expected = None
    assert align(*shapes).result == expected


def test_axes_of_size_zero_take_part() -> None:
    assert align((0, 1), (3,)).result == (0, 3) == tuple(torch.broadcast_shapes((0, 1), (3,)))
    assert align((0,), (3,)).result is None


def test_the_first_frame_aligns_to_the_right() -> None:
    picture = grid((5, 1, 4), (3, 1), step=WRITTEN)
    assert kinds(picture) == ["written"] * 5
    lefts = [round(box.get_x()) for box in boxes(picture)]
    assert lefts == [0, 1, 2, 1, 2]
    assert [text for text in texts(picture) if text.startswith("axis")] == ["axis -3", "axis -2", "axis -1"]
    assert "(5, 3, 4)" not in texts(picture)


def test_the_second_frame_fills_up() -> None:
    picture = grid((5, 1, 4), (3, 1), step=FILLED)
    assert kinds(picture) == ["written"] * 3 + ["filled"] + ["written"] * 2
    assert picture.alt.endswith("Filled up they are (5, 1, 4) and (1, 3, 1).")


def test_the_last_frame_repeats_and_gives_the_result() -> None:
    picture = grid((5, 1, 4), (3, 1), step=REPEATED)
    assert kinds(picture) == ["written", "repeated", "written", "repeated", "written", "repeated"]
    assert [text for text in texts(picture) if "→" in text] == ["1 → 3", "1 → 5", "1 → 4"]
    assert texts(picture)[-4:] == ["(5, 3, 4)", "5", "3", "4"]
    assert picture.alt.endswith("Result (5, 3, 4).")


def test_a_clash_is_named() -> None:
    picture = grid((64, 10), (64,))
    assert kinds(picture) == ["written", "clash", "repeated", "clash"]
    assert texts(picture)[-3:] == ["error", "64", "10 ≠ 64"]
    assert picture.alt.endswith("Error: 10 meets 64 at axis -1.")


def test_three_shapes_may_clash_in_two_axes() -> None:
    assert align((2, 3), (4, 1, 5), (6, 1)).words() == "error: 2 meets 6 at axis -2, 3 meets 5 at axis -1"


def test_the_trap_of_a_column_and_a_row() -> None:
    picture = grid((4, 1), (4,), names=("prediction", "target"))
    assert "prediction (4, 1)" in texts(picture)
    assert "target (4,)" in texts(picture)
    assert picture.alt.startswith("Broadcast grid of prediction (4, 1) and target (4,), step 3 of 3")
    assert picture.alt.endswith("Result (4, 4).")


def test_every_kind_has_a_mark_besides_its_colour() -> None:
    marks = set()
    for picture in (grid((64, 10), (64,)), grid((2, 3), (3,), step=FILLED)):
        for box in boxes(picture):
            marks.add((str(box.get_gid()), box.get_hatch(), box.get_linestyle()))
    assert {kind for kind, _, _ in marks} == {"written", "filled", "repeated", "clash"}
    assert len({mark for _, *mark in map(list, marks) for mark in [tuple(mark)]}) == 4


@pytest.mark.parametrize("step", range(STEPS))
def test_every_frame_has_title_legend_and_alt_text(step: int) -> None:
    picture = grid((64, 10), (64,), step=step)
    assert picture.axes[0].get_title().startswith(f"{step + 1}. ")
    [legend] = picture.legends
    assert [text.get_text() for text in legend.get_texts()] == ["as written", "filled-up 1", "repeated (crossed)", "clash (striped)"]
    assert f"step {step + 1} of {STEPS}" in picture.alt
    assert png(picture).startswith(b"\x89PNG")


def test_frames_have_one_size_so_that_nothing_jumps() -> None:
    assert len({tuple(grid((5, 1, 4), (3, 1), step=step).get_size_inches()) for step in range(STEPS)}) == 1


@pytest.mark.parametrize("shapes", [((64, 10), (64,)), ((1024, 16, 1, 32, 128), (16, 64, 1, 1)), ((3,), (4,)), ((), ())])
def test_text_stays_inside_the_picture(shapes: tuple[tuple[int, ...], ...]) -> None:
    picture = grid(*shapes, names=("activations", "another name"))
    png(picture)
    frame = picture.bbox
    for item in (*picture.axes[0].texts, *picture.legends[0].get_texts(), picture.axes[0].title):
        box = item.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1, item.get_text()
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1, item.get_text()


def test_scalars_can_be_drawn() -> None:
    assert grid((), ()).alt.endswith("Repeated: nothing. Result ().")
    png(grid((), ()))


def test_bad_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="two or more shapes"):
        grid((2, 3))
    with pytest.raises(ValueError, match="two or more shapes"):
        grid((2, -1), (3,))
    with pytest.raises(ValueError, match="step is one of 0 to 2; got 3"):
        grid((2,), (3,), step=3)
