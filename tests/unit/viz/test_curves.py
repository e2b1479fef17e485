"""Learning curves, by their structure: marks, goals, the line where a run was resumed, the numbers in the alt text."""

from __future__ import annotations

from coursekit.viz.curves import learning_curves
from coursekit.viz.show import png
from coursekit.viz.style import Picture

LOSSES = {"train": [1.2, 0.5, 0.25], "valid": [0.9, 0.6, 0.5]}
ACCURACIES = {"train": [0.6, 0.8, 0.95], "valid": [0.7, 0.85, 0.91]}


def picture() -> Picture:
    return learning_curves(LOSSES, ACCURACIES, {"goal": 0.9}, resumed=2, title="LeNet")


def test_losses_on_the_left_accuracies_on_the_right() -> None:
    left, right = picture().axes
    assert (left.get_title(), left.get_yscale(), right.get_title(), right.get_yscale()) == (
        "Loss",
        "log",
        "Accuracy",
        "linear",
    )
    assert (
        left.get_xlabel() == right.get_xlabel() == "epoch"
        and "loss" in left.get_ylabel()
        and "right" in right.get_ylabel()
    )
    lines = [line for line in left.lines if not str(line.get_label()).startswith("_")]
    assert [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in lines] == [
        (name, [1, 2, 3], values) for name, values in LOSSES.items()
    ]


def test_curves_differ_in_more_than_colour() -> None:
    for axes in picture().axes:
        looks = {(line.get_marker(), line.get_linestyle()) for line in axes.lines if line.get_marker() != "None"}
        assert len(looks) == 2
        legend = axes.get_legend()
        assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["train", "valid"]


def test_goal_and_resume_are_named() -> None:
    left, right = picture().axes
    assert [text.get_text() for text in left.texts] == ["resumed"]
    assert {text.get_text() for text in right.texts} == {"resumed", "goal: 0.90"}
    assert [
        line.get_xdata()[0] for line in left.lines if line.get_linestyle() == "--" and line.get_marker() == "None"
    ] == [2.5]  # type: ignore[index]


def test_the_alt_text_has_the_numbers() -> None:
    alt = picture().alt
    assert "loss train: from 1.200 to 0.250 in 3 epochs" in alt and "accuracy valid: from 0.700 to 0.910" in alt
    assert "a line, goal, at accuracy 0.90" in alt and "resumed after epoch 2" in alt


def test_one_epoch_without_goals_can_be_drawn() -> None:
    plain = learning_curves({"train": [0.5]}, {"train": [0.5]})
    assert png(plain).startswith(b"\x89PNG") and "goal" not in plain.alt and "resumed" not in plain.alt
