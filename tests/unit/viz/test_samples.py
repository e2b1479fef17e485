"""A row of pictures: one image and title per tensor, grey or coloured."""

from __future__ import annotations

import pytest
import torch

from coursekit.viz.samples import row
from coursekit.viz.show import png


def test_grey_and_coloured_pictures_side_by_side() -> None:
    picture = row([torch.rand(4, 5), torch.rand(1, 4, 5), torch.rand(3, 4, 5)], ["a", "b", "c"], "three")
    assert [axes.get_title() for axes in picture.axes] == ["a", "b", "c"]
    assert [axes.images[0].get_array().shape for axes in picture.axes] == [(4, 5), (4, 5), (4, 5, 3)]  # type: ignore[union-attr]
    assert picture.alt == "three" and png(picture).startswith(b"\x89PNG")


def test_each_picture_needs_its_title() -> None:
    with pytest.raises(ValueError, match="zip"):
        row([torch.rand(4, 5)], [], "none")
