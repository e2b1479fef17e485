"""The key of u02-backprop."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import build, explored, ordered

engine = Key(
    "u02-backprop",
    hints=(
        "When a node's turn comes, how do you know that everything has arrived? And which numbers may survive from one call to the next?",
        "Keep this call's gradients in a dict of their own, zero for every node and `upstream` for the root. Walk the order from its end, "
        "add to parents, and only then write to `.grad`.",
        "A near-example, counting ways instead of gradients: `ways = dict.fromkeys(order, 0)`, `ways[root] = 1`, and for each node from the "
        "end of the order, `ways[parent] += ways[node]` for each of its parents.",
    ),
    cases=4,
    guards=("values_after",),
    equivalent={"line 5: zip(node.parents, node.slopes, strict=True) -> zip(node.parents, node.slopes, strict=False)":
                "every node that the engine makes has as many slopes as parents"},
    weights={"leaves": 4, "computed": 2, "leaves_after_second_call": 4, "computed_after_second_call": 2},
    tolerance=Tolerance(1e-10, 1e-13, "float64; a few dozen products and sums in any order"),
)


@engine.inputs
def _(g, case):
    values = [round(v, 3) for v in (0.5 + torch.rand(3, generator=g)).tolist()]
    upstream, upstream2 = (round(v, 3) for v in (2 + torch.rand(2, generator=g)).tolist())
    steps = [
        [["*", 0, 1], ["+", 3, 2], ["*", 3, 4], ["tanh", 5, 5], ["+", 6, 3]],       # two diamonds with unequal sides
        [["*", 0, 0], ["*", 3, 0], ["+", 4, 4], ["*", 5, 1], ["+", 6, 4]],          # the same parent twice; leaf 2 unused
        [],                                                                         # the root is a leaf
        [["tanh", 2, 2], ["*", 3, 1], ["*", 4, 4], ["+", 5, 4], ["*", 6, 3], ["+", 7, 0]],
    ][case]
    return {"values": values, "steps": steps, "upstream": upstream, "upstream2": upstream2}


@engine.oracle
def _(values, steps, upstream, upstream2):
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    numbers = build(leaves, steps)
    grads = torch.autograd.grad(numbers[-1], numbers, allow_unused=True, materialize_grads=True)
    slopes, count = [grad.item() for grad in grads], len(values)
    first, second = ([upstream * slope for slope in slopes], [upstream2 * slope for slope in slopes])
    both = [a + b for a, b in zip(first, second, strict=True)]
    return {"leaves": first[:count], "computed": first[count:], "leaves_after_second_call": both[:count],
            "computed_after_second_call": second[count:], "values_after": [n.item() for n in numbers]}


def arriving(root, upstream, order=None, add=True, send=lambda slope, grad: slope * grad):
    """This call's gradients by node."""
    order = ordered(root) if order is None else order
    found = dict.fromkeys(order, 0.0)
    found[root] = upstream
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            found[parent] = send(slope, found[node]) + (found[parent] if add else 0.0)
    return found


def store(found, leaf=lambda old, new: old + new, computed=lambda old, new: new):
    for node, grad in found.items():
        node.grad = computed(node.grad, grad) if node.parents else leaf(node.grad, grad)


@engine.wrong("`{function}` overwrites at a diamond: where two ways meet, or a number is used twice, only the last gradient is kept. What "
              "arrives is added.")
def overwrites_at_a_diamond(root, upstream):
    store(arriving(root, upstream, add=False))


@engine.wrong("`{function}` ignores `upstream` and starts with 1. Everything is right for an upstream of 1, and only then.")
def ignores_upstream(root, upstream):
    store(arriving(root, 1.0))


@engine.wrong("The first call of `{function}` is right. After the second, the leaves hold only its gradient; theirs add up over calls.")
def replaces_at_leaves(root, upstream):
    store(arriving(root, upstream), leaf=lambda old, new: new)


@engine.wrong("The leaves of `{function}` are right, but computed numbers add up over calls as well. Theirs is the gradient of the latest "
              "call alone.")
def adds_everywhere(root, upstream):
    store(arriving(root, upstream), computed=lambda old, new: old + new)


@engine.wrong("The first call of `{function}` is right. In the second, computed numbers start from what the first one left, and send it on "
              "once more: the leaves get too much. Keep each call's gradients apart.")
def sends_old_gradients_again(root, upstream):
    order = ordered(root)
    root.grad = upstream if root.parents else root.grad + upstream
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += slope * node.grad


@engine.wrong("`{function}` sends a node's gradient on before everything has arrived: at a diamond of unequal sides it goes by distance. "
              "Which order did section 5.2 find?")
def walks_by_distance(root, upstream):
    store(arriving(root, upstream, explored(root, queue=True)[::-1]))


@engine.wrong("`{function}` starts at the leaves and walks to the root. The gradient is known at the root; take the order from its end.")
def walks_forward(root, upstream):
    store(arriving(root, upstream, ordered(root)[::-1]))


@engine.wrong("`{function}` hands the gradient on without the local derivative. Each parent gets its slope times what arrived.")
def without_slopes(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: grad))


@engine.wrong("`{function}` adds slopes where they should multiply. Along a way, derivatives are multiplied; where ways meet, added.")
def adds_slopes(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: slope + grad))


@engine.wrong("`{function}` multiplies with the upstream at every node. It enters once, at the root.")
def upstream_everywhere(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: slope * grad * upstream))


@engine.wrong("The leaves of `{function}` are right, but computed numbers have no gradient, or that of the root is missing. The docstring asks "
              "for theirs, too.")
def only_leaves(root, upstream):
    store(arriving(root, upstream), computed=lambda old, new: old)


@engine.wrong("`{function}` never writes a gradient. Where do the sums that it computes go?")
def writes_nothing(root, upstream):
    arriving(root, upstream)


@engine.wrong("`{function}` uses parents' values where their slopes belong. Each node holds its local derivatives ready, in `slopes`.")
def values_for_slopes(root, upstream):
    found = dict.fromkeys(ordered(root), 0.0)
    found[root] = upstream
    for node in reversed(list(found)):
        for parent in node.parents:
            found[parent] += parent.value * found[node]
    store(found)


@engine.variant
def backprop_by_counting(root, upstream):
    users, waiting = {root: 0}, [root]
    while waiting:
        for parent in waiting.pop().parents:
            if parent not in users:
                users[parent] = 0
                waiting.append(parent)
            users[parent] += 1
    sums, ready = {root: upstream}, [root]
    while ready:
        node = ready.pop()
        if node.parents:
            node.grad = sums[node]
        else:
            node.grad += sums[node]
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            sums[parent] = sums.get(parent, 0.0) + slope * sums[node]
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)


@engine.variant
def backprop_by_paths(root, upstream):
    totals = {}

    def go(node, grad):
        totals[node] = totals.get(node, 0.0) + grad
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            go(parent, grad * slope)

    go(root, upstream)
    for node, grad in totals.items():
        node.grad = grad + (0.0 if node.parents else node.grad)


@engine.variant
def backprop_in_grad(root, upstream):
    order = ordered(root)
    for node in order:
        if node.parents:
            node.grad = 0.0
    root.grad = upstream if root.parents else root.grad + upstream
    while order:
        node = order.pop()
        for slope, parent in zip(node.slopes, node.parents, strict=True):
            parent.grad = parent.grad + node.grad * slope
