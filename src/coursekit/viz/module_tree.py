"""Picture: a model's tree of modules, coloured by what the optimizer sees, with shapes and counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from torch.optim import Optimizer

from coursekit.viz.style import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, Mark, Picture

SEEN, FROZEN, AGAIN, BUFFER, HIDDEN = (
    "the optimizer sees it",
    "frozen: no gradient",
    "the same tensor again",
    "buffer",
    "not seen",
)
MARKS = {
    SEEN: Mark(GREEN, "o", "-", ""),
    FROZEN: Mark(SKY, "P", ":", "oo"),
    AGAIN: Mark(BLUE, "^", "-.", ".."),
    BUFFER: Mark(ORANGE, "D", ":", "xx"),
    HIDDEN: Mark(VERMILION, "X", "--", "///"),
}
ROW = 0.27  # inches
_KEPT = ("_parameters", "_buffers", "_modules")


@dataclass(frozen=True)
class Row:
    """One line of the tree. depth: how far it is indented. name: its last part. kind: a key of MARKS, or the type of a module.

    shape: of a tensor, else empty. count: its numbers; of a module, 0.
    """

    depth: int
    name: str
    kind: str
    shape: tuple[int, ...] = ()
    count: int = 0
    tensor: bool = False


def rows(model: nn.Module, optimizer: Optimizer | None = None) -> tuple[Row, ...]:
    """List a model's modules and tensors in the order of the tree, those included that no walk over modules finds.

    Args: model: any module. optimizer: who sees; without one, an optimizer made with model.parameters().
    """
    groups = [{"params": model.parameters()}] if optimizer is None else optimizer.param_groups
    known = {id(p) for group in groups for p in group["params"]}
    return (Row(0, type(model).__name__, "module"), *_inside(model, 1, known, set()))


def _inside(module: nn.Module, depth: int, known: set[int], met: set[int]) -> Iterator[Row]:
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield _tensor(name, parameter, depth, _kind(parameter, known, met))
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield _tensor(name, buffer, depth, BUFFER)
    for name, value in vars(module).items():
        if name not in _KEPT and not name.startswith("_"):
            yield from _ordinary(name, value, depth, known, met)
    for name, child in module._modules.items():
        if child is not None:
            yield Row(depth, name, type(child).__name__)
            yield from _inside(child, depth + 1, known, met)


def _kind(tensor: Tensor, known: set[int], met: set[int]) -> str:
    if id(tensor) in met:
        return AGAIN
    met.add(id(tensor))
    if id(tensor) not in known:
        return HIDDEN
    return SEEN if tensor.requires_grad else FROZEN


def _ordinary(name: str, value: object, depth: int, known: set[int], met: set[int]) -> Iterator[Row]:
    """Tensors and modules in ordinary attributes, lists and dicts: what registration has not noticed."""
    if isinstance(value, Tensor):
        yield _tensor(name, value, depth, _kind(value, known, met))
    elif isinstance(value, nn.Module):
        yield Row(depth, name, f"{type(value).__name__}, not registered")
        yield from _inside(value, depth + 1, known, met)
    elif isinstance(value, (list, tuple, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found = [row for key, item in items for row in _ordinary(str(key), item, depth + 1, known, met)]
        if found:
            yield Row(depth, name, f"a {type(value).__name__}")
            yield from found


def _tensor(name: str, tensor: Tensor, depth: int, kind: str) -> Row:
    return Row(depth, name, kind, tuple(tensor.shape), tensor.numel(), True)


def module_tree(model: nn.Module, optimizer: Optimizer | None = None) -> Picture:
    """Draw the tree: one row for each module and tensor, its shape, its count, and a mark for what the optimizer sees.

    Args: model: any module, up to some forty rows. optimizer: who sees; without one, model.parameters() counts.
    """
    found = rows(model, optimizer)
    picture = Picture(_alt(found), (8.2, ROW * (len(found) + 1) + 0.45))
    axes = picture.canvas_without_frame(_title(found))
    for x, heading in ((5.6, "shape"), (6.9, "numbers")):
        axes.text(x, 0, heading, va="center", ha="right", fontsize=9, color=GREY)
    for place, row in enumerate(found):
        above = max((n for n in range(place) if found[n].depth < row.depth), default=place)
        _draw(axes, -place, -above, row)
    axes.set_xlim(0, 10)
    axes.set_ylim(-len(found) + 0.4, 0.6)
    return picture


def _draw(axes: Axes, y: float, above: float, row: Row) -> None:
    """One row, joined to the row of the module that it belongs to."""
    x = 0.1 + 0.45 * row.depth
    if row.depth:
        axes.plot([x - 0.3, x - 0.3, x - 0.08], [above - 0.3, y, y], color=GREY, linewidth=0.8, zorder=1)
    if not row.tensor:
        kind = "" if row.kind == "module" else f"   {row.kind}"
        axes.text(x, y, row.name, va="center", fontsize=9.5, fontweight="bold")
        axes.text(x + 0.11 * len(row.name) + 0.1, y, kind, va="center", fontsize=9, color=GREY)
        return
    mark = MARKS[row.kind]
    axes.text(x, y, row.name, va="center", fontsize=9.5, family="monospace")
    axes.text(5.6, y, "×".join(map(str, row.shape)) or "number", va="center", ha="right", fontsize=9.5)
    axes.text(6.9, y, f"{row.count:,}".replace(",", " "), va="center", ha="right", fontsize=9.5)
    _swatch(axes, 7.1, y, mark)
    axes.text(7.65, y, row.kind, va="center", fontsize=9)


def _swatch(axes: Axes, x: float, y: float, mark: Mark) -> None:
    axes.add_patch(
        Rectangle((x, y - 0.33), 0.4, 0.66, facecolor=mark.colour, hatch=mark.hatch, edgecolor="white", linewidth=0)
    )


def _numbers(found: tuple[Row, ...]) -> tuple[int, int]:
    """How many numbers the optimizer sees, and how many it might train: all but buffers and what comes again."""
    seen = sum(row.count for row in found if row.kind == SEEN)
    return seen, seen + sum(row.count for row in found if row.kind in (HIDDEN, FROZEN))


def _title(found: tuple[Row, ...]) -> str:
    seen, whole = _numbers(found)
    return f"{found[0].name}: the optimizer trains {seen:,} of {whole:,} numbers".replace(",", " ")


def _alt(found: tuple[Row, ...]) -> str:
    seen, whole = _numbers(found)
    parts = []
    path: list[str] = []
    for row in found[1:]:
        path = [*path[: row.depth - 1], row.name]
        if row.tensor:
            shape = " by ".join(map(str, row.shape)) or "a single number"
            parts.append(f"{'.'.join(path)} ({shape}): {row.kind}")
    return f"Tree of {found[0].name}. The optimizer trains {seen} of {whole} numbers. " + "; ".join(parts) + "."
