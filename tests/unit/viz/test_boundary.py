"""The picture of a moving decision boundary: the descent is right, each frame's structure and alt text say what it shows."""

from __future__ import annotations

import math

import pytest
import torch
from matplotlib.collections import PathCollection

from coursekit.viz.boundary import Descent, boundary_frame, descend, right, two_clouds
from coursekit.viz.show import png


@pytest.fixture(scope="module")
def path() -> Descent:
    return descend(*two_clouds(count=30, seed=1), lr=0.5, steps=50, kept=(0, 1, 8))


def test_the_clouds_are_balanced_and_follow_the_seed() -> None:
    points, labels = two_clouds(count=5, seed=2)
    assert points.shape == (10, 2) and labels.sum() == 5 and labels.dtype == points.dtype
    assert torch.equal(points, two_clouds(count=5, seed=2)[0]) and not torch.equal(
        points, two_clouds(count=5, seed=3)[0]
    )


def test_descent_agrees_with_autograd(path: Descent) -> None:
    w, b = (
        torch.zeros(2, dtype=torch.float64, requires_grad=True),
        torch.zeros((), dtype=torch.float64, requires_grad=True),
    )
    for step in range(51):
        z = path.points.double() @ w + b
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, path.labels.double())
        assert path.losses[step] == pytest.approx(loss.item(), rel=1e-12)
        if step == 50:
            break
        for p, g in zip((w, b), torch.autograd.grad(loss, (w, b)), strict=True):
            p.data -= 0.5 * g
    assert torch.allclose(path.weights[-1], w.detach().float()) and path.biases[-1] == pytest.approx(b.item())


def test_the_last_step_is_always_kept(path: Descent) -> None:
    assert path.steps == (0, 1, 8, 50) and len(path.losses) == 51
    assert descend(path.points, path.labels, 0.1, 3).steps == (0, 1, 2, 3)


def test_frame_zero_has_no_boundary(path: Descent) -> None:
    picture = boundary_frame(path, 0)
    axes, loss = picture.axes
    assert len(axes.get_lines()) == 0 and any("w = 0" in text.get_text() for text in axes.texts)
    assert "no boundary yet" in picture.alt and "loss 0.693" in picture.alt
    assert loss.get_lines()[-1].get_ydata()[0] == pytest.approx(math.log(2))


def test_a_later_frame_draws_three_lines_of_equal_probability(path: Descent) -> None:
    axes = boundary_frame(path, 2).axes[0]
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    assert list(lines) == ["p = 0.1", "p = 0.5", "p = 0.9"]
    assert len({str(line.get_linestyle()) for line in lines.values()}) == 3
    for level in (0.1, 0.5, 0.9):
        x, y = lines[f"p = {level}"].get_data()
        ends = torch.tensor([list(x), list(y)], dtype=torch.float64).T
        p = torch.sigmoid(ends @ path.weights[2].double() + path.biases[2])
        assert p.tolist() == pytest.approx([level, level], abs=1e-4)


def test_w_looks_perpendicular(path: Descent) -> None:
    assert boundary_frame(path, 3).axes[0].get_aspect() == 1.0


def test_classes_differ_in_more_than_colour(path: Descent) -> None:
    drawn = [item for item in boundary_frame(path, 1).axes[0].collections if isinstance(item, PathCollection)]
    assert [str(item.get_label()) for item in drawn] == ["class 0", "class 1"]
    assert len(drawn[0].get_facecolors()) > 0 and len(drawn[1].get_facecolors()) == 0  # filled and hollow
    assert sum(len(item.get_offsets()) for item in drawn) == len(path.labels)


def test_labels_titles_and_alt_text(path: Descent) -> None:
    picture = boundary_frame(path, 3)
    axes, loss = picture.axes
    assert (
        axes.get_title() == f"Step 50: {right(path, 3)} of 60 points right, |w| = {float(path.weights[3].norm()):.2f}"
        and loss.get_title().startswith("Loss")
    )
    assert all(one.get_xlabel() and one.get_ylabel() for one in (axes, loss))
    assert "The boundary is the line" in picture.alt and f"{path.losses[50]:.3f}" in picture.alt
    assert png(picture).startswith(b"\x89PNG")


def test_a_frame_that_does_not_exist_is_refused(path: Descent) -> None:
    with pytest.raises(ValueError, match="0 to 3; got 4"):
        boundary_frame(path, 4)
