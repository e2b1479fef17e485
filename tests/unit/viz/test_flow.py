"""Activation and gradient flow: the hooks measure what they should and leave nothing behind; the picture shows it step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from coursekit.viz.flow import Flow, flow_frame, record_flow
from coursekit.viz.show import png

FLOW = Flow(("a", "b", "c"), (1.0, 0.1, 0.01), (1e-4, 1e-3, 1e-2))
OTHER = Flow(("a", "b", "c"), (1.0, 2.0, 3.0), (0.5, 0.4, 0.3))


def loss(out: Tensor) -> Tensor:
    return (3 * out).sum()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def test_sizes_are_root_mean_squares_of_outputs_and_their_gradients() -> None:
    model, x = net(), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    flow = record_flow(model, x, loss)
    first = model[0](x)
    (grad,) = torch.autograd.grad(loss(model[2](model[1](first))), first)
    assert flow.names == ("0", "2")
    assert flow.activations == pytest.approx([t.pow(2).mean().sqrt().item() for t in (first, model(x))])
    assert flow.gradients == pytest.approx([grad.pow(2).mean().sqrt().item(), 3.0])


def test_nothing_is_left_behind() -> None:
    model, x = net(), torch.ones(2, 4)
    record_flow(model, x, loss)
    assert all(not module._forward_hooks and not module._backward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters()) and not x.requires_grad


def test_hooks_go_also_when_the_model_fails() -> None:
    model = net()
    with pytest.raises(RuntimeError):
        record_flow(model, torch.ones(2, 9), loss)
    assert all(not module._forward_hooks and not module._backward_hooks for module in model.modules())


def test_layers_can_be_chosen() -> None:
    model = net()
    assert record_flow(model, torch.ones(2, 4), loss, {"bend": model[1]}).names == ("bend",)
    with pytest.raises(ValueError, match="none of the layers has run"):
        record_flow(model, torch.ones(2, 4), loss, {"elsewhere": nn.Linear(2, 2)})


def test_lines_grow_forward_and_then_backward() -> None:
    def lengths(k: int) -> list[int]:
        return [len(line.get_xdata()) for axes in flow_frame({"plain": FLOW}, k).axes for line in axes.lines]  # type: ignore[arg-type]

    assert [lengths(k) for k in range(7)] == [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1], [3, 2], [3, 3]]
    backward = flow_frame({"plain": FLOW}, 4).axes[1].lines[0]
    assert list(backward.get_xdata()) == [3] and list(backward.get_ydata()) == [1e-2]  # type: ignore[arg-type]


def test_axes_are_labelled_and_do_not_move() -> None:
    frames = [flow_frame({"plain": FLOW, "residual": OTHER}, k) for k in (0, 6)]
    for place in (0, 1):
        assert frames[0].axes[place].get_ylim() == frames[1].axes[place].get_ylim()
        assert frames[0].axes[place].get_xlabel() == "layer" and "log scale" in frames[0].axes[place].get_ylabel()
    assert [axes.get_title().split(":")[0] for axes in frames[0].axes] == ["forward hooks", "backward hooks"]


def test_lines_differ_by_more_than_colour() -> None:
    lines = flow_frame({"plain": FLOW, "residual": OTHER}, 6).axes[0].lines
    assert lines[0].get_marker() != lines[1].get_marker() and lines[0].get_linestyle() != lines[1].get_linestyle()
    assert [line.get_label() for line in lines] == ["plain", "residual"]


def test_the_alt_text_says_what_is_shown() -> None:
    assert "no hook has run yet" in flow_frame({"plain": FLOW}, 0).alt
    alt = flow_frame({"plain": FLOW}, 6).alt
    assert (
        "outputs from 1.0e+00 at layer 1 to 1.0e-02 at layer 3" in alt
        and "gradients from 1.0e-02 at layer 3 to 1.0e-04 at layer 1" in alt
    )


def test_impossible_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames 0 to 6, not 7"):
        flow_frame({"plain": FLOW}, 7)
    with pytest.raises(ValueError, match="one number of layers"):
        flow_frame({"plain": FLOW, "short": Flow(("a",), (1.0,), (1.0,))}, 0)


def test_it_can_be_drawn() -> None:
    assert png(flow_frame({"plain": FLOW, "residual": OTHER}, 4)).startswith(b"\x89PNG")
