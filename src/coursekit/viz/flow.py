"""Picture: how large activations and gradients are, layer by layer, as forward and backward hooks find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from coursekit.viz.style import MARKS, Picture


@dataclass(frozen=True)
class Flow:
    """Sizes (root mean square), one for each layer, in the order of the forward pass.

    names: of the layers. activations: of their outputs. gradients: of the loss with respect to these outputs.
    """

    names: tuple[str, ...]
    activations: tuple[float, ...]
    gradients: tuple[float, ...]


def record_flow(
    model: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor], layers: Mapping[str, nn.Module] | None = None
) -> Flow:
    """Run one forward and one backward pass with hooks on the layers, and take the hooks away again.

    Args: model: any module. x: its input. loss: from the model's output to a number. layers: name -> module, where to look;
    without it, every module that has parameters of its own. A layer that is used several times counts at its first use.
    Returns: sizes by layer. The gradients in the model's parameters are cleared afterwards.
    Raises: ValueError: if none of the layers has run.
    """
    if layers is None:
        layers = {
            name: module
            for name, module in model.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        }
    activations: dict[str, float] = {}
    gradients: dict[str, float] = {}
    handles = []
    for name, layer in layers.items():
        handles.append(layer.register_forward_hook(_forward_hook(name, activations)))
        handles.append(layer.register_full_backward_hook(_backward_hook(name, gradients)))
    try:
        loss(model(x.detach().requires_grad_())).backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad()
    if not activations:
        raise ValueError("none of the layers has run; give the layers that forward calls")
    names = tuple(activations)
    return Flow(names, tuple(activations.values()), tuple(gradients.get(name, 0.0) for name in names))


def _size(t: Tensor) -> float:
    return float(t.detach().double().pow(2).mean().sqrt())


def _forward_hook(name: str, found: dict[str, float]) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        found.setdefault(name, _size(output))

    return hook


def _backward_hook(name: str, found: dict[str, float]) -> Callable[..., None]:
    def hook(module: nn.Module, grad_input: Any, grad_output: tuple[Tensor | None, ...]) -> None:
        if grad_output[0] is not None:
            found[name] = _size(grad_output[0])

    return hook


def flow_frame(flows: Mapping[str, Flow], k: int) -> Picture:
    """Draw what the first k hooks have seen: forward hooks from the first layer on, then backward hooks from the last.

    Args: flows: label -> flow, all of the same number of layers L. k: 0 to 2 L.
    Raises: ValueError: for another k, no flow, or flows of different length.
    """
    lengths = {len(flow.names) for flow in flows.values()}
    if len(lengths) != 1:
        raise ValueError(f"give flows of one number of layers; got {sorted(lengths)}")
    count = lengths.pop()
    if not 0 <= k <= 2 * count:
        raise ValueError(f"{count} layers have frames 0 to {2 * count}, not {k}")
    forward, backward = min(k, count), max(k - count, 0)
    picture = Picture(_alt(flows, forward, backward, count), (9.2, 3.8))
    sides = picture.subplots(1, 2)
    _panel(
        sides[0], "forward hooks: output of each layer", {a: f.activations for a, f in flows.items()}, 0, forward, count
    )
    _panel(
        sides[1],
        "backward hooks: gradient that arrives",
        {a: f.gradients for a, f in flows.items()},
        count - backward,
        count,
        count,
    )
    return picture


def _panel(axes: Axes, title: str, series: Mapping[str, tuple[float, ...]], first: int, last: int, count: int) -> None:
    """Lines over layers first+1 … last; the frame is that of the whole, so that nothing moves from step to step."""
    sizes = [size for line in series.values() for size in line if size > 0]
    for mark, (label, line) in zip(MARKS, series.items(), strict=False):
        axes.plot(range(first + 1, last + 1), line[first:last], label=label, markersize=5, **mark.of_line())
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("layer")
    axes.set_ylabel("root mean square (log scale)")
    axes.set_yscale("log")
    axes.set_xlim(0.5, count + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if sizes:
        axes.set_ylim(min(sizes) / 3, max(sizes) * 3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9, frameon=False)


def _alt(flows: Mapping[str, Flow], forward: int, backward: int, count: int) -> str:
    said = [
        f"Two line charts over {count} layers, on logarithmic scales: sizes of outputs on the left, of gradients on the right."
    ]
    for label, flow in flows.items():
        part = f"{label}: "
        if forward:
            part += f"outputs from {flow.activations[0]:.1e} at layer 1 to {flow.activations[forward - 1]:.1e} at layer {forward}"
        else:
            part += "no hook has run yet"
        if backward:
            place = count - backward
            part += f"; gradients from {flow.gradients[-1]:.1e} at layer {count} to {flow.gradients[place]:.1e} at layer {place + 1}"
        said.append(part + ".")
    return " ".join(said)
