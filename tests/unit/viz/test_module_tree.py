"""The module tree by its structure: which rows there are, what the optimizer sees of them, and an alt text that says the same."""

from __future__ import annotations

import torch
from matplotlib.patches import Rectangle
from torch import nn

from coursekit.viz.module_tree import AGAIN, BUFFER, FROZEN, HIDDEN, MARKS, SEEN, module_tree, rows
from coursekit.viz.show import png
from coursekit.viz.style import Picture


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.hidden = [nn.Linear(3, 2)]
        self.by_name = {"scale": torch.ones(5, requires_grad=True)}
        self.note = "no tensor"
        self.register_buffer("mean", torch.zeros(3))
        self.register_parameter("off", None)


def kinds(model: nn.Module) -> dict[str, str]:
    return {f"{row.depth} {row.name}": row.kind for row in rows(model) if row.tensor}


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.axes[0].texts]


def test_registered_tensors_are_seen_and_hidden_ones_are_not() -> None:
    found = kinds(Mixed())
    assert found["2 weight"] == SEEN and found["1 mean"] == BUFFER
    assert found["3 weight"] == found["3 bias"] == found["2 scale"] == HIDDEN
    assert not any("note" in name or "off" in name for name in found)


def test_an_optimizer_may_see_less_than_the_model_has() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    last_only = rows(model, torch.optim.SGD(model[1].parameters(), lr=0.1))
    assert [row.kind for row in last_only if row.tensor] == [HIDDEN, HIDDEN, SEEN, SEEN]


def test_frozen_and_shared_parameters_are_told_apart() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert [row.kind for row in rows(nn.Sequential(layer, nn.ReLU(), layer)) if row.tensor] == [
        SEEN,
        FROZEN,
        AGAIN,
        AGAIN,
    ]


def test_the_title_counts_what_is_trained() -> None:
    assert module_tree(Mixed()).axes[0].get_title() == "Mixed: the optimizer trains 15 of 28 numbers"
    assert (
        module_tree(nn.Linear(1000, 100)).axes[0].get_title()
        == "Linear: the optimizer trains 100 100 of 100 100 numbers"
    )


def test_each_tensor_has_shape_count_and_a_mark_with_a_word() -> None:
    picture = module_tree(Mixed())
    shown = texts(picture)
    assert {"3×4", "12", "shape", "numbers", SEEN, BUFFER, HIDDEN, "   Linear, not registered", "   a list"} <= set(
        shown
    )
    swatches = [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(swatches) == sum(row.tensor for row in rows(Mixed()))


def test_marks_differ_by_more_than_colour() -> None:
    assert len({mark.hatch for mark in MARKS.values()}) == len(MARKS)


def test_the_alt_text_names_each_tensor_by_its_path() -> None:
    alt = module_tree(Mixed()).alt
    for words in (
        "trains 15 of 28",
        "first.weight (3 by 4): the optimizer sees it",
        "hidden.0.weight (2 by 3): not seen",
        "mean (3): buffer",
    ):
        assert words in alt


def test_a_single_number_has_a_shape_too() -> None:
    model = nn.Module()
    model.step = nn.Parameter(torch.tensor(1.0))
    assert "number" in texts(module_tree(model)) and "a single number" in module_tree(model).alt


def test_it_can_be_drawn() -> None:
    assert png(module_tree(Mixed())).startswith(b"\x89PNG")
