"""Everything that one backward walk over a small graph shows, as data: read from an engine's nodes or from PyTorch's own graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class ScalarNode(Protocol):
    """What a small engine's node has to offer."""

    value: float
    parents: Sequence[Any]
    slopes: Sequence[float]
    label: str
    grad: float


@dataclass(frozen=True)
class Spot:
    """One node. value: of its output, None if unknown. inputs: places of its inputs, repeated if used twice.
    local: for each input, the local derivative, None if it is not one number. sent: for each input, what the walk sends there.
    before: what a leaf's gradient was before the walk."""

    label: str
    leaf: bool
    value: Tensor | None
    inputs: tuple[int, ...] = ()
    local: tuple[float | None, ...] = ()
    sent: tuple[Tensor, ...] = ()
    before: Tensor | None = None


@dataclass(frozen=True)
class Trace:
    """Nodes with inputs first and the root last, and the gradient with which the walk begins."""

    spots: tuple[Spot, ...]
    upstream: Tensor

    @property
    def steps(self) -> tuple[int, ...]:
        """Computed nodes in forward order."""
        return tuple(place for place, spot in enumerate(self.spots) if not spot.leaf)

    @property
    def count(self) -> int:
        """The number of frames: leaves, one for each computed node, the start of the walk, and back through each."""
        return 2 * len(self.steps) + 2

    def grads(self, done: int) -> dict[int, Tensor]:
        """What has accumulated in each node after `done` computed nodes, counted from the root, have sent theirs."""
        found = {place: spot.before for place, spot in enumerate(self.spots) if spot.leaf and spot.before is not None}
        root = len(self.spots) - 1
        found[root] = found[root] + self.upstream if root in found else self.upstream
        for place in self.steps[::-1][:done]:
            for target, sent in zip(self.spots[place].inputs, self.spots[place].sent, strict=True):
                found[target] = found[target] + sent if target in found else sent
        return found


def _sorted(root: Any, ways: Any) -> list[Any]:
    """Nodes behind `root`, inputs first. ways: node -> its inputs."""
    order: list[Any] = []
    opened: set[Any] = set()
    left: set[Any] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in opened:
            opened.add(node)
            stack += [way for way in ways(node) if way not in opened][::-1]
        else:
            stack.pop()
            if node not in left:
                left.add(node)
                order.append(node)
    return order


def trace_nodes(root: ScalarNode, upstream: float = 1.0) -> Trace:
    """Trace a small engine's graph; nothing is written to its nodes. Args: root: the last node. upstream: its gradient."""
    order = _sorted(root, lambda node: node.parents)
    places = {node: place for place, node in enumerate(order)}
    arrived = [0.0] * len(order)
    arrived[-1] = upstream
    for place in reversed(range(len(order))):
        for parent, slope in zip(order[place].parents, order[place].slopes, strict=True):
            arrived[places[parent]] += slope * arrived[place]
    spots = []
    for place, node in enumerate(order):
        leaf = not node.parents
        sent = tuple(torch.tensor(slope * arrived[place], dtype=torch.float64) for slope in node.slopes)
        before = torch.tensor(float(node.grad), dtype=torch.float64) if leaf and node.grad else None
        spots.append(Spot(node.label, leaf, torch.tensor(float(node.value), dtype=torch.float64), tuple(places[parent] for parent in node.parents),
                          tuple(float(slope) for slope in node.slopes), sent, before))
    return Trace(tuple(spots), torch.tensor(upstream, dtype=torch.float64))


def trace_tensor(root: Tensor, names: Mapping[str, Tensor] | None = None, upstream: Tensor | float = 1.0) -> Trace:
    """Trace the graph that PyTorch recorded behind `root`, by watching one real walk; no .grad is changed, and the graph stays.

    Args: root: requires grad. names: name -> leaf, for the labels. upstream: a number, or a tensor shaped like root.
    Raises: ValueError: if there is no graph.
    """
    if root.grad_fn is None:
        raise ValueError("this tensor has no graph behind it; compute it from a tensor with requires_grad=True")
    order = _sorted(root.grad_fn, lambda node: [way for way, _ in node.next_functions if way is not None])
    start = torch.as_tensor(upstream, dtype=root.dtype, device=root.device).expand_as(root).clone()
    walked = _watch(root, order, start)
    places = {node: place for place, node in enumerate(order)}
    values = _values(root, order)
    called = {id(leaf): name for name, leaf in (names or {}).items()}
    spots = []
    for node in order:
        variable = getattr(node, "variable", None)
        if variable is not None:
            spots.append(Spot(called.get(id(variable), "leaf"), True, variable.detach(), before=variable.grad))
            continue
        sent, arrived = walked[node]
        ways = [(places[way], grad) for (way, _), grad in zip(node.next_functions, sent, strict=True) if way is not None and grad is not None]
        spots.append(Spot(node.name().split("Backward")[0], False, values.get(node), tuple(place for place, _ in ways),
                          tuple(_ratio(grad, arrived) for _, grad in ways), tuple(grad for _, grad in ways)))
    return Trace(tuple(spots), start)


def _watch(root: Tensor, order: Sequence[Any], upstream: Tensor) -> dict[Any, tuple[tuple[Tensor | None, ...], Tensor | None]]:
    """Walk once. Returns: for each computed node, what it sent along each way, and what had arrived."""
    seen: dict[Any, tuple[tuple[Tensor | None, ...], Tensor | None]] = {}

    def watcher(node: Any) -> Any:
        def hook(sent: Any, arrived: Any) -> None:
            copies = tuple(None if grad is None else grad.detach().clone() for grad in sent)
            seen[node] = (copies, None if arrived[0] is None else arrived[0].detach().clone())
        return hook

    leaves = [node.variable for node in order if hasattr(node, "variable")]
    handles = [node.register_hook(watcher(node)) for node in order if not hasattr(node, "variable")]
    try:
        torch.autograd.grad(root, leaves, upstream, retain_graph=True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    return seen


# Which saved attribute holds the output of a node's first and second input.
_OPERANDS = ("_saved_self", "_saved_other")


def _values(root: Tensor, order: Sequence[Any]) -> dict[Any, Tensor]:
    """The outputs that are still known: saved by the node itself, or by the one that uses them."""
    known = {root.grad_fn: root.detach()}
    for node in order:
        result = _saved(node, "_saved_result")
        if result is not None:
            known[node] = result
        for (way, _), name in zip(node.next_functions, _OPERANDS, strict=False):
            operand = _saved(node, name)
            if way is not None and operand is not None:
                known.setdefault(way, operand)
    return known


def _saved(node: Any, name: str) -> Tensor | None:
    try:
        value = getattr(node, name, None)
    except RuntimeError:                                # the walk has set it free
        return None
    return value.detach() if isinstance(value, Tensor) else None


def _ratio(sent: Tensor, arrived: Tensor | None) -> float | None:
    """The local derivative, if it is the same number for every entry."""
    if arrived is None or not (sent.shape == arrived.shape or arrived.numel() == 1) or not bool((arrived != 0).all()):
        return None
    ratio = (sent / arrived).flatten()
    return float(ratio[0]) if bool(torch.isclose(ratio, ratio[0]).all()) else None
