"""Padding, drawn: the numbers are counted, and every place is data or hatched padding."""

from __future__ import annotations

from matplotlib.patches import Rectangle

from coursekit.viz.padding import padding, waste
from coursekit.viz.show import png


def test_waste_is_counted() -> None:
    assert waste([[1, 3], [2, 2]]) == (2, 10)
    assert waste([[4]]) == (0, 4)


def test_one_panel_per_way_with_boxes_for_data_and_padding() -> None:
    picture = padding({"mixed": [[1, 4], [2, 3]], "sorted": [[1, 2], [3, 4]]})
    assert [axes.get_title().splitlines()[0] for axes in picture.axes] == ["mixed", "sorted"]
    for axes, count in zip(picture.axes, (2, 2), strict=True):
        gids = [patch.get_gid() for patch in axes.patches if isinstance(patch, Rectangle)]
        assert (gids.count("data"), gids.count("padding")) == (4, count)
        assert axes.get_xlabel() == "characters"
        assert [text.get_text() for text in axes.texts] == ["0", "1"]
    assert {patch.get_hatch() for patch in picture.axes[0].patches if patch.get_gid() == "padding"} == {"////"}
    assert picture.alt == (
        "Padding per way of making batches. mixed: 4 of 14 places padded, 29 %. sorted: 2 of 12 places padded, 17 %."
    )
    assert png(picture).startswith(b"\x89PNG")
