"""The picture of what each omission does to a training loop: panels, the numbers behind them, and an alt text that tells the outcomes apart."""

from __future__ import annotations

import pytest

from coursekit.viz.omissions import ROUNDS, TITLES, omissions_picture, train
from coursekit.viz.show import png


def test_the_sound_loop_arrives() -> None:
    run = train()
    assert len(run.losses) == ROUNDS and not run.error
    assert run.losses[0] > 5 and run.losses[-1] < 1e-3


@pytest.mark.parametrize("omit", ["backward", "step", "late"])
def test_three_omissions_have_one_symptom(omit: str) -> None:
    run = train(omit)
    assert len(run.losses) == ROUNDS and set(run.losses) == {train().losses[0]}


def test_without_zero_the_loss_swings_for_ever() -> None:
    run = train("zero", rounds=200)
    late = run.losses[150:]
    assert max(late) > 0.8 * run.losses[0] and min(late) < 0.2 * run.losses[0]


def test_without_forward_the_second_backward_raises() -> None:
    run = train("forward")
    assert len(run.losses) == 2 and run.error == "Trying to backward through the graph a second time"


def test_an_unknown_omission_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no omission 'coffee'; choose from zero, forward"):
        train("coffee")


def test_one_panel_for_each_loop_with_the_sound_one_behind_it() -> None:
    picture = omissions_picture()
    assert [axes.get_title() for axes in picture.axes] == ["all four steps", *TITLES.values()]
    assert all(axes.get_xlabel() == "round" for axes in picture.axes)
    assert [axes.get_ylabel() for axes in picture.axes] == ["loss", "", "", "loss", "", ""]
    assert all(len(axes.get_lines()) >= 2 for axes in picture.axes[1:])
    assert len({axes.get_ylim() for axes in picture.axes}) == 1


def test_curves_differ_in_more_than_colour() -> None:
    own = [
        next(line for line in axes.get_lines() if line.get_label() == axes.get_title())
        for axes in omissions_picture().axes[1:]
    ]
    for feature in ("get_color", "get_marker", "get_linestyle"):
        assert len({str(getattr(line, feature)()) for line in own}) >= 4


def test_the_error_is_marked_and_named() -> None:
    axes = next(axes for axes in omissions_picture().axes if axes.get_title() == TITLES["forward"])
    assert [text.get_text() for text in axes.texts] == ["RuntimeError in round 2"]
    assert "X" in [line.get_marker() for line in axes.get_lines()]


def test_the_alt_text_tells_all_outcomes() -> None:
    picture = omissions_picture()
    for words in (
        "no zero_grad: swings, between",
        "no forward in the loop: a RuntimeError in round 2",
        "no backward: constant at 5.21",
        "no step: constant at 5.21",
        "zero_grad too late: constant at 5.21",
    ):
        assert words in picture.alt
    assert png(picture).startswith(b"\x89PNG")
