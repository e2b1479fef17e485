"""The key of u02-walk-graph."""

import torch

from coursekit.course.authoring import Key

from ._shared import build

walk = Key(
    "u02-walk-graph",
    hints=(
        "From a node, where do its ways lead, and how do you notice that you have been somewhere before?",
        "`node.next_functions` holds pairs (node or None, number). Keep a list of nodes that still wait, take the one added last, and "
        "remember in a set which ones you have listed.",
        "A near-example on nested lists: `waiting = [tree]`; while it is not empty: `item = waiting.pop()`; if it is a list, "
        "`waiting += reversed(item)`, else print it. The leaves come out from left to right.",
    ),
    cases=5,
    weights={"names": 4},
)


def random_steps(g, start):
    """A graph in which a breadth-first walk, a walk along first ways, and one with repeats all differ from the right one."""
    first, second = [("*", "+"), ("+", "*")][int(torch.randint(2, (), generator=g))]
    a, b = torch.randperm(start, generator=g)[:2].tolist()
    steps = [[first, a, b], ["tanh", start, start], [second, start + 1, a], ["+", start + 2, start], ["*", start + 3, b]]
    for _ in range(2):
        kind = ["+", "*", "tanh"][int(torch.randint(3, (), generator=g))]
        last = start + len(steps) - 1
        steps.append([kind, last, int(torch.randint(last, (), generator=g))])
    return steps


@walk.inputs
def _(g, case):
    values = [[round(v, 3), True] for v in torch.rand(3, generator=g).tolist()]
    if case == 2:
        values[0][1] = False                             # a None among the ways
        return {"values": values, "steps": [["*", 0, 1], ["+", 3, 0], *[[k, a + 2, b] for k, a, b in random_steps(g, 2)]], "network": False}
    steps = random_steps(g, 3) if case < 2 else []       # case 3: a loss that is a leaf; case 4: LeNet
    return {"values": values, "steps": steps, "network": case == 4}


@walk.oracle
def _(values, steps, network):
    if network:
        linear, pooled = ["T", "AccumulateGrad"], ["MaxPool2DWithIndices", "Relu", "Convolution"]
        relu = ["Addmm", "AccumulateGrad", "Relu"]
        inner = ["View", *pooled, *pooled, *["AccumulateGrad"] * 4]
        return {"names": ["MseLoss", *relu, *relu, "Addmm", "AccumulateGrad", *inner, *linear * 3]}
    loss = build([torch.tensor(v, requires_grad=needs) for v, needs in values], steps)[-1]
    names, seen = [], []

    def visit(node):
        if node is not None and all(node is not other for other in seen):
            seen.append(node)
            names.append(type(node).__name__.split("Backward")[0])
            for way, _ in node.next_functions:
                visit(way)

    visit(loss.grad_fn)
    return {"names": names}


def walked(loss, once=True, last_first=False, along=lambda ways: ways, queue=False, keep=lambda node: True):
    """The walk with its typical faults open."""
    names, seen, waiting = [], set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop(0 if queue else -1)
        if node is None or (once and node in seen):
            continue
        seen.add(node)
        if keep(node):
            names.append(node.name())
        ways = along([way for way, _ in node.next_functions])
        waiting += ways if queue or last_first else ways[::-1]
    return names


@walk.wrong("`{function}` lists nodes by their distance from the loss: breadth first. Go to the end of the first way before you take "
            "the second; which end of your list of waiting nodes do you take from?")
def breadth_first(loss):
    return walked(loss, queue=True)


@walk.wrong("`{function}` lists a node again each time that a way leads to it. Remember where you have been.")
def lists_again(loss):
    return walked(loss, once=False)


@walk.wrong("`{function}` takes the last way first. What is added last to a list is taken first; reverse the ways before you add them.")
def last_way_first(loss):
    return walked(loss, last_first=True)


@walk.wrong("`{function}` follows only the first way from each node, so it misses everything behind the others.")
def first_way_only(loss):
    return walked(loss, along=lambda ways: ways[:1])


@walk.wrong("`{function}` leaves out the AccumulateGrad nodes. The walk ends there, and they are nodes like all others.")
def without_leaves(loss):
    return walked(loss, keep=lambda node: bool(node.next_functions))


@walk.wrong("`{function}` leaves out the node that it starts from, the loss's own grad_fn.")
def without_the_start(loss):
    return walked(loss)[1:]


@walk.wrong("`{function}` lists each *name* once. Two nodes may be of the same kind; what must not repeat is the node itself.")
def each_name_once(loss):
    return list(dict.fromkeys(walked(loss)))


@walk.wrong("`{function}` stumbles over a way that leads to None: an input that needs no gradient has no node.")
def stumbles_over_nothing(loss):
    names, seen, waiting = [], set(), [loss.grad_fn] if loss.grad_fn is not None else []
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            names.append(node.name())
            waiting += [way for way, _ in reversed(node.next_functions)]
    return names


@walk.wrong("`{function}` assumes that there is a graph. A leaf has no grad_fn; the docstring says what to return for it.")
def assumes_a_graph(loss):
    names = [loss.grad_fn.name()]
    return names + walked(loss)[1:]


@walk.wrong("`{function}` lists the leaves first and the loss last. The docstring asks for a node first, and then what is behind it.")
def from_the_leaves(loss):
    return walked(loss)[::-1]


@walk.wrong("`{function}` returns a list of lists, one for each node's ways. Flatten it: one name after the other.")
def nested(loss):
    return [[name] for name in walked(loss)]


@walk.variant
def walk_by_recursion(loss):
    listed = {}

    def visit(node):
        if node is None or node in listed:
            return
        listed[node] = type(node).__name__
        for way, _ in node.next_functions:
            visit(way)

    visit(loss.grad_fn)
    return list(listed.values())


@walk.variant
def walk_with_iterators(loss):
    if loss.grad_fn is None:
        return []
    names, seen, path = [loss.grad_fn.name()], [loss.grad_fn], [iter(loss.grad_fn.next_functions)]
    while path:
        way = next((node for node, _ in path[-1] if node is not None and node not in seen), None)
        if way is None:
            path.pop()
        else:
            seen.append(way)
            names.append(way.name())
            path.append(iter(way.next_functions))
    return names
