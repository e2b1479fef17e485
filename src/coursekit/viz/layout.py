"""Where the boxes of a graph stand: in layers along the flow, and within a layer near those that they are joined to."""

from __future__ import annotations

from collections.abc import Sequence

Inputs = Sequence[Sequence[int]]


def layers(inputs: Inputs) -> list[int]:
    """The longest way from each node to a node without inputs. Args: inputs: for each node, earlier nodes. Returns: one layer per node."""
    found: list[int] = []
    for places in inputs:
        found.append(1 + max((found[place] for place in places), default=-1))
    return found


def depths(inputs: Inputs) -> list[int]:
    """The longest way from the last node back to each node; a node that it does not reach has depth 0."""
    found = [0] * len(inputs)
    for node in reversed(range(len(inputs))):
        for place in inputs[node]:
            found[place] = max(found[place], found[node] + 1)
    return found


def spread(layer: Sequence[int], inputs: Inputs, rounds: int = 4) -> list[float]:
    """A place within its layer for each node, symmetric around 0, so that joined nodes stand near each other.

    Args: layer: of each node. inputs: as in `layers`. rounds: how often each layer is sorted by its neighbours' mean place.
    Returns: one number per node; neighbours in a layer are 1 apart.
    """
    joined: list[set[int]] = [set(places) for places in inputs]
    for node, places in enumerate(inputs):
        for source in places:
            joined[source].add(node)
    rows: dict[int, list[int]] = {}
    for node, number in enumerate(layer):
        rows.setdefault(number, []).append(node)
    place = [0.0] * len(inputs)
    for turn in range(rounds):
        for number in sorted(rows, reverse=bool(turn % 2)):
            row = rows[number]
            if turn:
                row.sort(key=lambda node: sum(place[other] for other in joined[node]) / max(1, len(joined[node])))
            for position, node in enumerate(row):
                place[node] = position - (len(row) - 1) / 2
    return place


def routed(layer: Sequence[int], inputs: Inputs) -> tuple[list[float], dict[tuple[int, int], list[tuple[int, float]]]]:
    """Places as from `spread`, with room for edges that pass a layer, so that none runs through a box.

    Returns: a place for each node; and for each edge, by node and number of its input, the (layer, place) points that it
    passes from the input to the node.
    """
    wide_layer, wide_inputs = list(layer), [list(places) for places in inputs]
    passes: dict[tuple[int, int], list[int]] = {}
    for node, places in enumerate(inputs):
        for slot, source in enumerate(places):
            passes[node, slot] = []
            for number in range(layer[source] + 1, layer[node]):
                wide_inputs.append([passes[node, slot][-1] if passes[node, slot] else source])
                passes[node, slot].append(len(wide_layer))
                wide_layer.append(number)
            if passes[node, slot]:
                wide_inputs[node][slot] = passes[node, slot][-1]
    place = spread(wide_layer, wide_inputs)
    return place[:len(layer)], {edge: [(wide_layer[stop], place[stop]) for stop in stops] for edge, stops in passes.items()}
