"""The pictures of letters, by their structure: frames and words of defects, the cells of the confusions, the alt texts."""

from __future__ import annotations

import pytest
import torch
from matplotlib.patches import Patch
from torch import Tensor

from coursekit.viz.letters import DEFECTS, FRONT, MANY, confusion_letters, sample_sheet
from coursekit.viz.show import png


def letter(value: int = 255) -> Tensor:
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 4:24, 10:18] = value
    return image


def sheet() -> list[Tensor | None]:
    return [letter(), None, letter().float() / 255 - 0.5, letter()]


def test_each_sample_is_drawn_with_its_title() -> None:
    picture = sample_sheet(sheet(), list("ACBD"), columns=3, title="Four")
    assert [axes.get_title() for axes in picture.axes] == list("ACBD")
    assert [len(axes.images) for axes in picture.axes] == [1, 0, 1, 1]
    assert picture.axes[1].texts[0].get_text() == "?" and picture.get_suptitle() == "Four"
    assert picture.alt.endswith("None is marked as defective.") and not picture.legends
    assert png(picture).startswith(b"\x89PNG")


def test_a_normalised_picture_looks_like_the_raw_one() -> None:
    first, _, third, _ = (axes.images for axes in sample_sheet(sheet(), list("ACBD")).axes)
    assert (first[0].get_array() == third[0].get_array()).all()  # type: ignore[union-attr]


def test_defects_are_told_by_colour_line_and_word() -> None:
    picture = sample_sheet(sheet(), list("ACBD"), ["mislabelled", "corrupt", "", "duplicate"])
    marked = [axes for axes in picture.axes if axes.get_xlabel()]
    assert [axes.get_xlabel() for axes in marked] == ["mislabelled", "corrupt", "duplicate"]
    looks = {(axes.spines["left"].get_edgecolor(), str(axes.spines["left"].get_linestyle())) for axes in marked}
    assert len({colour for colour, _ in looks}) == len({line for _, line in looks}) == 3
    [legend] = picture.legends
    handles = [handle for handle in legend.legend_handles if isinstance(handle, Patch)]
    assert len(handles) == 3
    assert [text.get_text() for text in legend.get_texts()] == [f"{name}: {DEFECTS[name][2]}" for name in DEFECTS]
    assert (
        "1 mislabelled (in another letter's folder): A." in picture.alt
        and "1 corrupt (cannot be read): C." in picture.alt
    )


def test_only_the_defects_that_occur_are_explained() -> None:
    [legend] = sample_sheet(sheet(), list("ACBD"), ["", "corrupt", "", ""]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["corrupt: cannot be read"]


def test_one_title_for_each_picture() -> None:
    with pytest.raises(ValueError, match="zip"):
        sample_sheet(sheet(), ["A"])


def confusions() -> tuple[Tensor, Tensor, Tensor]:
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    predictions = torch.tensor([0, 0, 1, 2, 0, 0, 2])
    return labels, predictions, torch.stack([letter(30 * (k + 1)) for k in range(7)])


def test_a_cell_shows_its_first_letter_and_its_count() -> None:
    picture = confusion_letters(*confusions(), names="ABC")
    [axes] = picture.axes
    assert axes.get_title().endswith("3 of 7 wrong")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted letter", "true letter")
    assert (
        [tick.get_text() for tick in axes.get_xticklabels()]
        == [tick.get_text() for tick in axes.get_yticklabels()]
        == list("ABC")
    )
    counts = {(round(t.get_position()[1] - 0.45), round(t.get_position()[0] - 0.46)): t.get_text() for t in axes.texts}
    assert counts == {(0, 0): "2", (1, 1): "1", (1, 2): "1", (2, 0): "2", (2, 2): "1"}
    canvas = torch.tensor(axes.images[0].get_array())
    assert canvas.shape == (84, 84, 3)
    assert (canvas[:28, 28:56] == 1).all()  # nobody took an A for a B
    assert torch.allclose(canvas[0, 0], torch.tensor(FRONT))  # ground of what is right
    assert torch.allclose(canvas[56 + 14, 14], MANY * (1 - 150 / 255))  # the first C taken for an A: the fifth letter


def test_a_commoner_mistake_has_a_darker_ground() -> None:
    canvas = torch.tensor(confusion_letters(*confusions(), names="ABC").axes[0].images[0].get_array())
    assert canvas[56, 0].sum() < canvas[28, 56].sum() < 3


def test_mistakes_are_named_commonest_first() -> None:
    alt = confusion_letters(*confusions(), names="ABC").alt
    assert "4 of 7 are right" in alt and alt.endswith("C taken for A 2 times, B taken for C 1 times.")


def test_no_mistake_at_all() -> None:
    labels, _, images = confusions()
    assert confusion_letters(labels, labels, images, names="ABC").alt.endswith("No letter was taken for another.")


def test_the_grid_takes_pictures_without_a_channel_and_can_be_drawn() -> None:
    labels, predictions, images = confusions()
    assert png(confusion_letters(labels, predictions, images.squeeze(1).float())).startswith(b"\x89PNG")
