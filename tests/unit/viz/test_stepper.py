"""The backward stepper: what a trace holds, read from an engine or from PyTorch, and what each frame shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from matplotlib.patches import BoxStyle, FancyArrowPatch, FancyBboxPatch

from coursekit.viz.show import png
from coursekit.viz.stepper import frame, said, trace_nodes, trace_tensor
from coursekit.viz.style import GREEN, VERMILION, Picture
from coursekit.viz.trace import Trace


@dataclass(eq=False)
class Number:
    value: float
    parents: Sequence[Number] = ()
    slopes: Sequence[float] = ()
    label: str = "leaf"
    grad: float = 0.0
    touched: list[str] = field(default_factory=list)


def diamond() -> Number:
    """r = p q with p = x y and q = p + x, at x = 2 and y = 5; the derivatives are 120 and 44."""
    x, y = Number(2, label="x"), Number(5, label="y")
    p = Number(10, (x, y), (5, 2), "*")
    q = Number(12, (p, x), (1, 1), "+")
    return Number(120, (p, q), (12, 10), "*")


def recorded() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y = torch.tensor(2.0, requires_grad=True), torch.tensor(5.0, requires_grad=True)
    p = x * y
    return x, y, p * (p + x)


def texts(picture: Picture) -> list[str]:
    return [item.get_text() for item in picture.axes[0].texts]


def boxes(picture: Picture) -> list[FancyBboxPatch]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def arrows(picture: Picture) -> list[FancyArrowPatch]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def by_label(trace: Trace) -> dict[str, float]:
    grads = trace.grads(len(trace.steps))
    return {trace.spots[place].label: float(grad) for place, grad in grads.items() if trace.spots[place].leaf}


def test_both_sources_give_the_same_walk() -> None:
    x, y, r = recorded()
    ours, theirs = trace_nodes(diamond()), trace_tensor(r, {"x": x, "y": y})
    assert by_label(ours) == by_label(theirs) == {"x": 120.0, "y": 44.0}
    assert [spot.local for spot in ours.spots if not spot.leaf] == [spot.local for spot in theirs.spots if not spot.leaf]
    assert [spot.label for spot in theirs.spots] == ["x", "y", "Mul", "Add", "Mul"]


def test_tracing_changes_nothing() -> None:
    x, y, r = recorded()
    x.grad = torch.tensor(7.0)
    trace_tensor(r, {"x": x})
    assert x.grad.item() == 7.0 and y.grad is None
    r.backward()                                        # the graph is still there
    assert x.grad.item() == 127.0


def test_a_gradient_that_was_there_is_added_to() -> None:
    root = diamond()
    root.parents[0].parents[0].grad = 10.0
    trace = trace_nodes(root, upstream=2.0)
    assert by_label(trace) == {"x": 250.0, "y": 88.0}
    assert "grad 10" in texts(frame(trace, 0))


def test_upstream_enters_at_the_root() -> None:
    assert by_label(trace_nodes(diamond(), upstream=-3.0)) == {"x": -360.0, "y": -132.0}
    x, y, r = recorded()
    assert by_label(trace_tensor(r, {"x": x, "y": y}, upstream=-3.0)) == {"x": -360.0, "y": -132.0}


def test_frames_go_forward_then_back() -> None:
    trace = trace_nodes(diamond())
    assert trace.count == 8
    titles = [frame(trace, k).axes[0].get_title().split("\n")[0] for k in range(trace.count)]
    assert titles == ["The leaves", "Forward 1 of 3: * #1", "Forward 2 of 3: +", "Forward 3 of 3: * #2", "The walk starts",
                      "Backward 1 of 3: * #2", "Backward 2 of 3: +", "Backward 3 of 3: * #1"]
    assert [len(boxes(frame(trace, k))) for k in range(trace.count)] == [2, 3, 4, 5, 5, 5, 5, 5]


def test_a_backward_frame_shows_upstream_local_derivative_and_what_has_come_together() -> None:
    picture = frame(trace_nodes(diamond()), 7)          # p has collected 12 + 10
    assert {"× 5\n= 110", "× 2\n= 44", "grad 22", "grad 120", "grad 44"} <= set(texts(picture))
    assert "Upstream 22. It sends to x 110, to y 44." in picture.axes[0].get_title()
    assert "x (leaf) value 2, gradient 120" in picture.alt


def test_before_its_turn_a_node_shows_only_what_has_arrived() -> None:
    assert "grad 12" in texts(frame(trace_nodes(diamond()), 5))
    assert "grad 22" in texts(frame(trace_nodes(diamond()), 6))


def test_the_same_parent_twice_has_two_arrows_of_its_own() -> None:
    x = Number(3, label="x")
    square = Number(9, (x, x), (3, 3), "*")
    picture = frame(trace_nodes(square), 3)
    paths = [tuple(map(tuple, arrow.get_path().vertices[:1])) for arrow in arrows(picture)]
    assert len(paths) == len(set(paths)) == 2
    assert "grad 6" in texts(picture)


def test_leaves_and_the_current_node_are_marked_twice_over() -> None:
    found = boxes(frame(trace_nodes(diamond()), 5))
    square = [box for box in found if isinstance(box.get_boxstyle(), BoxStyle.Square)]
    assert len(square) == 2
    assert {tuple(box.get_edgecolor()) for box in square} == {_rgba(GREEN)}
    thick = [box for box in found if box.get_linewidth() > 3]
    assert [tuple(box.get_edgecolor()) for box in thick] == [_rgba(VERMILION)]


def _rgba(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    return tuple(to_rgba(colour))


def test_tensors_are_described_by_their_one_value_or_their_shape() -> None:
    x = torch.ones(3, 3, requires_grad=True)
    y = x + 3
    trace = trace_tensor((3 * y * y).mean(), {"x": x})
    last = frame(trace, trace.count - 1)
    assert "grad 2.667 in 3×3" in texts(last)
    assert "value not saved" in texts(last)             # a mean keeps nothing of what went in
    assert said(torch.tensor([3.0, 4.0])) == "2, length 5"
    assert said(-0.5) == "−0.5"


def test_an_operation_that_mixes_entries_has_no_single_derivative() -> None:
    w = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    trace = trace_tensor((torch.tensor([[1.0, 4.0]]) @ w).sum(), {"w": w})
    assert trace.spots[-2].local == (None,)
    assert float(trace.spots[0].value.sum()) == 11.0    # type: ignore[union-attr]
    frame(trace, trace.count - 1)


def test_a_zero_upstream_is_no_error() -> None:
    x = torch.tensor(-1.0, requires_grad=True)
    trace = trace_tensor(2 * torch.relu(3 * x), {"x": x})
    assert by_label(trace) == {"x": 0.0}
    assert "gradient 0" in frame(trace, trace.count - 1).alt


def test_a_graph_that_was_freed_says_so() -> None:
    _, _, r = recorded()
    r.backward()
    with pytest.raises(RuntimeError, match="second time"):
        trace_tensor(r)


@pytest.mark.parametrize("k", [-1, 8])
def test_other_frames_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"there are 8 frames, from 0 to 7; got {k}"):
        frame(trace_nodes(diamond()), k)


def test_a_leaf_has_no_graph_to_trace() -> None:
    with pytest.raises(ValueError, match="no graph behind it"):
        trace_tensor(torch.ones(2, requires_grad=True))


def test_a_root_that_is_a_leaf_has_two_frames() -> None:
    trace = trace_nodes(Number(3, label="x"), upstream=2.0)
    assert trace.count == 2
    assert "grad 2" in texts(frame(trace, 1))


def test_a_frame_can_be_drawn() -> None:
    assert png(frame(trace_nodes(diamond()), 6)).startswith(b"\x89PNG")
