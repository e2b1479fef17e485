"""The picture of activation sizes by depth: its numbers follow the law, its curves differ in more than colour, its alt text says what it shows."""

from __future__ import annotations

import pytest

from coursekit.viz.initialisation import GAINS, mean_squares, variance_picture
from coursekit.viz.show import png


@pytest.mark.parametrize("gain", [0.5, 1.0, 2**0.5, 2.0])
def test_relu_follows_the_law(gain: float) -> None:
    values = mean_squares(gain, "relu", depth=20)
    assert len(values) == 21 and values[0] == pytest.approx(1, rel=0.05)
    per_layer = (values[-1] / values[0]) ** (1 / 20)
    assert per_layer == pytest.approx(gain**2 / 2, rel=0.05)


def test_tanh_settles_above_one_and_fades_below() -> None:
    assert mean_squares(2.0, "tanh")[-1] == pytest.approx(0.53, abs=0.02)
    assert mean_squares(1 / 3**0.5, "tanh")[-1] < 1e-9


def test_a_seed_gives_the_same_numbers_again() -> None:
    assert mean_squares(1.0, "relu", depth=3, seed=4) == mean_squares(1.0, "relu", depth=3, seed=4)
    assert mean_squares(1.0, "relu", depth=3, seed=4) != mean_squares(1.0, "relu", depth=3, seed=5)


@pytest.mark.parametrize("bend", ["relu", "tanh"])
def test_the_picture_has_labels_and_a_logarithmic_axis(bend: str) -> None:
    picture = variance_picture(bend)
    [axes] = picture.axes
    assert axes.get_yscale() == "log" and bend in axes.get_title()
    assert axes.get_xlabel() == "layer" and axes.get_ylabel().startswith("mean square")
    [legend] = picture.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "g = 2",
        "g = √2 (He)",
        "g = 1 (Xavier)",
        "g = 1/√3 (nn.Linear)",
        "g = 0.5",
    ]


def test_the_curves_differ_in_more_than_colour() -> None:
    curves = [line for line in variance_picture("tanh").axes[0].get_lines() if str(line.get_label()).startswith("g = ")]
    assert len(curves) == len(GAINS)
    for feature in ("get_color", "get_marker"):
        assert len({str(getattr(line, feature)()) for line in curves}) == len(GAINS)


def test_only_relu_has_the_predicted_lines() -> None:
    count = {bend: len(variance_picture(bend).axes[0].get_lines()) for bend in ("relu", "tanh")}
    assert count["relu"] == count["tanh"] + len(GAINS)
    assert any("predicted" in text.get_text() for text in variance_picture("relu").axes[0].texts)


def test_the_alt_text_gives_the_ends() -> None:
    assert (
        "g = 1/√3 (nn.Linear): 3.0e-16" in variance_picture("relu").alt
        and "only g = √2 stays level" in variance_picture("relu").alt
    )
    assert "straight line" not in variance_picture("tanh").alt


def test_an_unknown_bend_is_refused_and_a_known_one_can_be_drawn() -> None:
    with pytest.raises(ValueError, match="one of relu, tanh; got 'gelu'"):
        variance_picture("gelu")
    assert png(variance_picture("tanh", gains=(1.0,), depth=4)).startswith(b"\x89PNG")
