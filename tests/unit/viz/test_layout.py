"""Where boxes of a graph stand: layers, neighbours one apart, and edges that pass a layer beside its boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coursekit.viz.layout import depths, layers, routed, spread

DIAMOND = [[], [], [0, 1], [2, 0], [2, 3]]              # x, y, p = x y, q = p + x, r = p q


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 8))
    return [draw(st.lists(st.integers(0, node - 1), max_size=3)) if node else [] for node in range(size)]


def test_layers_count_the_longest_way() -> None:
    assert layers(DIAMOND) == [0, 0, 1, 2, 3]
    assert layers([]) == []


def test_depths_count_the_longest_way_back() -> None:
    assert depths(DIAMOND) == [3, 3, 2, 1, 0]


@given(graphs())
def test_in_a_layer_no_two_nodes_share_a_place(inputs: list[list[int]]) -> None:
    layer = layers(inputs)
    place = spread(layer, inputs)
    for number in set(layer):
        row = sorted(place[node] for node in range(len(inputs)) if layer[node] == number)
        assert all(b - a == 1 for a, b in zip(row, row[1:], strict=False))
        assert sum(row) == 0


@given(graphs())
def test_a_long_edge_passes_each_layer_once_and_no_box(inputs: list[list[int]]) -> None:
    layer = layers(inputs)
    place, passes = routed(layer, inputs)
    boxes = set(zip(layer, place, strict=True))
    assert len(boxes) == len(inputs)
    for node, sources in enumerate(inputs):
        for slot, source in enumerate(sources):
            stops = passes[node, slot]
            assert [number for number, _ in stops] == list(range(layer[source] + 1, layer[node]))
            assert not boxes & set(stops)


def test_the_same_input_twice_has_two_routes() -> None:
    _, passes = routed([0, 1, 2], [[], [0], [1, 0]])
    assert passes[2, 0] == []
    assert [number for number, _ in passes[2, 1]] == [1]
