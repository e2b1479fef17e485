"""The optimizer race: trails on contours, values beside them, one frame for each moment."""

from __future__ import annotations

import pytest
import torch

from coursekit.viz.race import BOWL, ROSENBROCK, Landscape, race_frame, run_race
from coursekit.viz.show import png


@pytest.mark.parametrize("landscape", [BOWL, ROSENBROCK])
def test_the_minimum_is_one_and_the_start_is_in_the_picture(landscape: Landscape) -> None:
    at = torch.tensor(landscape.minimum, requires_grad=True)
    value = landscape.function(at)
    assert value.item() == 0 and torch.autograd.grad(value, at)[0].abs().max() == 0
    (left, right), (low, high) = landscape.x, landscape.y
    assert left < landscape.start[0] < right and low < landscape.start[1] < high
    assert set(landscape.notes) == set(landscape.makers)


def test_plain_descent_on_the_bowl_follows_its_powers() -> None:
    path = run_race(BOWL, ("SGD",), steps=5)["SGD"]
    factor = torch.tensor([1 - 0.07, 1 - 25 * 0.07])
    expected = torch.stack([torch.tensor(BOWL.start) * factor**k for k in range(6)])
    torch.testing.assert_close(path, expected)


def test_everybody_starts_at_the_same_point_and_keeps_it() -> None:
    paths = run_race(ROSENBROCK, steps=3)
    assert list(paths) == ["SGD", "Nesterov", "RMSprop", "Adam"]
    assert all(
        path.shape == (4, 2) and path[0].tolist() == list(ROSENBROCK.start) and not path.requires_grad
        for path in paths.values()
    )


def test_the_bowl_punishes_neither_momentum_nor_nesterov() -> None:
    ends = {name: BOWL.function(path[-1]).item() for name, path in run_race(BOWL).items()}
    assert ends["Nesterov"] < ends["momentum"] < ends["SGD"]


def test_a_frame_shows_trails_up_to_now_and_their_values() -> None:
    paths = run_race(BOWL)
    picture = race_frame(BOWL, paths, 15)
    plane, curve = picture.axes
    assert "step 15" in plane.get_title() and (plane.get_xlabel(), plane.get_ylabel()) == ("x", "y")
    assert (
        curve.get_title()
        and curve.get_xlabel() == "step"
        and curve.get_yscale() == "log"
        and curve.get_ylabel().startswith("f")
    )
    trails = [line for line in plane.get_lines() if ":" in str(line.get_label())]
    assert len(trails) == 3 and all(len(line.get_xdata()) == 16 for line in trails)  # type: ignore[arg-type]
    for feature in ("get_color", "get_marker", "get_linestyle"):
        assert len({str(getattr(line, feature)()) for line in trails}) == 3
    assert [text.get_text() for text in plane.texts] == ["minimum", "start"]
    assert [text.get_text() for text in picture.legends[0].get_texts()] == [
        "SGD: lr 0.07",
        "momentum: lr 0.04, μ 0.8",
        "Nesterov: lr 0.04, μ 0.8",
    ]


def test_all_frames_have_the_same_limits() -> None:
    paths = run_race(BOWL)
    limits = {
        tuple((*axes.get_xlim(), *axes.get_ylim()) for axes in race_frame(BOWL, paths, k).axes) for k in (0, 7, 40)
    }
    assert len(limits) == 1


def test_the_alt_text_gives_positions_and_values() -> None:
    alt = race_frame(BOWL, run_race(BOWL), 5).alt
    assert "after 5 steps" in alt and "The minimum is at (0, 0), the start at (-4, 1)" in alt
    assert "SGD is at (-2.78, -0.24) with f = 4.58" in alt


def test_a_students_own_paths_are_drawn() -> None:
    picture = race_frame(ROSENBROCK, {"mine": torch.tensor([[-1.5, 2.0], [0.0, 0.0]])}, 1)
    assert "mine is at (0.00, 0.00) with f = 1" in picture.alt
    assert png(picture).startswith(b"\x89PNG")


def test_a_moment_after_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="the race has 40 steps; got k = 41"):
        race_frame(BOWL, run_race(BOWL), 41)
