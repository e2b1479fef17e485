"""The picture of a gradient check's error, by its structure: curves, their marks, the guide lines, and an alt text with the numbers."""

from __future__ import annotations

import math

import pytest
import torch

from coursekit.viz.gradcheck import FLOOR, STEPS, residual_picture, residuals
from coursekit.viz.show import png


def test_truncation_falls_with_the_square_of_the_step() -> None:
    coarse, fine = residuals(torch.exp, math.e, 1.0, torch.float64, [1e-1, 1e-2])
    assert coarse / fine == pytest.approx(100, rel=0.01)
    assert fine == pytest.approx(1e-4 / 6, rel=0.01)


def test_rounding_rises_as_the_step_falls() -> None:
    best, small = residuals(torch.exp, math.e, 1.0, torch.float64, [3e-6, 1e-11])
    assert best < 1e-9 < small


def test_at_gradchecks_step_float64_is_good_and_float32_is_not() -> None:
    [double] = residuals(torch.exp, math.e, 1.0, torch.float64, [1e-6])
    [single] = residuals(torch.exp, math.e, 1.0, torch.float32, [1e-6])
    assert double < 1e-9 and 1e-2 < single < 1e-1


def test_both_formats_are_drawn_on_logarithmic_axes() -> None:
    picture = residual_picture()
    [axes] = picture.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_title() and axes.get_xlabel().startswith("step") and "error" in axes.get_ylabel()
    legend = axes.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["float64", "float32"]


def test_the_curves_differ_in_more_than_colour() -> None:
    curves = [line for line in residual_picture().axes[0].get_lines() if line.get_label() in ("float64", "float32")]
    assert len(curves) == 2
    for feature in ("get_color", "get_marker", "get_linestyle"):
        assert len({str(getattr(line, feature)()) for line in curves}) == 2
    assert all(len(line.get_xdata()) == len(STEPS) and min(line.get_ydata()) >= FLOOR for line in curves)


def test_the_branches_and_gradchecks_defaults_are_named() -> None:
    texts = " ".join(text.get_text() for text in residual_picture().axes[0].texts)
    for words in ("rounding ε/h, float64", "rounding ε/h, float32", "truncation h²/6", "gradcheck's h", "gradcheck's rtol"):
        assert words in texts


def test_the_alt_text_gives_the_numbers() -> None:
    alt = residual_picture().alt
    assert "In float64 the smallest error is 1e-11" in alt and "In float32" in alt and "gradcheck's step of 1e-6" in alt


def test_another_function_and_no_truncation_line() -> None:
    picture = residual_picture(torch.sin, math.cos(0.5), 0.5, "sin at x = 0.5", third=None)
    assert "sin at x = 0.5" in picture.alt and "sin at x = 0.5" in picture.axes[0].get_title()
    assert not any("truncation" in text.get_text() for text in picture.axes[0].texts)
    assert png(picture).startswith(b"\x89PNG")
