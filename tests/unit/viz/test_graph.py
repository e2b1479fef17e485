"""The walk over grad_fn: its order, its leaves, what is saved, and how a frame marks them."""

from __future__ import annotations

import pytest
import torch
from matplotlib.patches import BoxStyle, Circle, FancyBboxPatch, Rectangle
from torch import Tensor, nn

from coursekit.viz.graph import walk, walk_frame, walk_length
from coursekit.viz.show import png
from coursekit.viz.style import Picture


def small() -> tuple[dict[str, Tensor], Tensor]:
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    return {"a": a, "b": b}, (a * b + a).exp()


def texts(picture: Picture) -> list[str]:
    return [item.get_text() for item in picture.axes[0].texts]


def bars(picture: Picture) -> list[Rectangle]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle)]


def test_the_walk_is_depth_first_and_lists_each_node_once() -> None:
    names, root = small()
    stops = walk(root, names)
    assert [stop.name for stop in stops] == ["ExpBackward0", "AddBackward0", "MulBackward0", "AccumulateGrad", "AccumulateGrad"]
    assert [stop.ways for stop in stops] == [(1,), (2, 3), (3, 4), (), ()]
    assert [stop.label for stop in stops if stop.leaf] == ["a 2×3", "b 2×3"]
    assert walk_length(root) == 5


def test_saved_tensors_are_named_and_noticed_when_they_are_freed() -> None:
    _, root = small()
    assert walk(root)[0].saved == (("result", "2×3"),)
    assert walk(root)[1].saved == ()
    assert dict(walk(root)[2].saved) == {"self": "2×3", "other": "2×3"}
    root.sum().backward()
    assert walk(root)[0].saved == (("result", "freed"),)


def test_a_function_of_ones_own_shows_its_saved_tensors() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return 2 * x

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
            return 2 * grads[0]

    x = torch.ones(4, requires_grad=True)
    assert walk(Twice.apply(x))[0].saved == (("tensor", "4"),)


def test_a_frame_marks_leaves_saved_tensors_and_what_was_visited() -> None:
    names, root = small()
    picture = walk_frame(root, 3, names)
    boxes = [patch for patch in picture.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == 5
    assert sum(isinstance(box.get_boxstyle(), BoxStyle.Square) for box in boxes) == 2
    assert len(bars(picture)) == 2 and all(bar.get_hatch() for bar in bars(picture))
    assert len([patch for patch in picture.axes[0].patches if isinstance(patch, Circle)]) == 3
    assert {"1", "2", "3", "keeps result 2×3", "a 2×3"} <= set(texts(picture))
    assert "4" not in texts(picture)
    assert picture.axes[0].get_title() == "The walk from grad_fn, 3 of 5 nodes: MulBackward0"


def test_a_freed_graph_has_empty_bars() -> None:
    names, root = small()
    root.sum().backward()
    picture = walk_frame(root, 5, names)
    assert "kept tensors, now freed" in texts(picture)
    assert not any(bar.get_hatch() for bar in bars(picture))
    assert "kept tensors, now freed" in picture.alt


def test_the_alternative_text_tells_the_whole_graph() -> None:
    names, root = small()
    alt = walk_frame(root, 5, names).alt
    assert alt.startswith("Graph of 5 nodes, 2 of them leaves; 5 visited.")
    assert "3 MulBackward0 (keeps other 2×3, self 2×3, leads to 4, 5)" in alt
    assert "4 AccumulateGrad (leaf a 2×3)" in alt


def test_a_network_with_shared_weights_and_long_ways_is_drawn() -> None:
    layer = nn.Linear(3, 3)
    x = torch.ones(2, 3)
    h = torch.tanh(layer(x))
    loss = (layer(h) + h + layer(torch.tanh(layer(h)))).sum()
    names = dict(layer.named_parameters())
    stops = walk(loss, names)
    assert sum(stop.leaf for stop in stops) == 2
    assert png(walk_frame(loss, len(stops), names)).startswith(b"\x89PNG")


def test_no_box_lies_on_another() -> None:
    names, root = small()
    boxes = [patch for patch in walk_frame(root, 0, names).axes[0].patches if isinstance(patch, FancyBboxPatch)]
    for place, box in enumerate(boxes):
        for other in boxes[:place]:
            apart = abs(box.get_x() - other.get_x()) >= box.get_width() or abs(box.get_y() - other.get_y()) >= box.get_height()
            assert apart


def test_other_frames_and_tensors_without_a_graph_are_refused() -> None:
    names, root = small()
    with pytest.raises(ValueError, match="there are 6 frames, from 0 to 5; got 6"):
        walk_frame(root, 6, names)
    with pytest.raises(ValueError, match="no graph behind it"):
        walk_frame(torch.ones(1), 0)
    assert walk(torch.ones(1)) == ()
