"""The key of u02-topo-order."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import explored, ordered

topo = Key(
    "u02-topo-order",
    hints=(
        "Draw the diamond p, q = p + x, r = p q. In which orders may p and q be listed?",
        "Go depth first, with a stack of your own, and list a node when you leave it: when you see it again and all its parents are "
        "listed. Two sets help: opened, and left.",
        "A near-example, packing boxes into boxes: `while stack:` look at `stack[-1]`; if its contents were pushed before, pop it and write "
        "it down; if not, mark it and push its contents. Small boxes are written down before those around them.",
    ),
    cases=8,
    weights={"carried_to_root": 4, "listed": 2, "(refuses wrong input)": 2},
    guards=("last",),
    tolerance=Tolerance(1e-9, 0, "float64; sums of positive numbers along up to 4000 nodes"),
)

SHARED = [[], [], [0, 1], [2, 0], [3, 2], [4, 2, 1], []]            # diamonds whose sides differ in length; the last place is filled below
FIXED = {
    0: [[], [], [0, 1], [2, 0], [2, 3]],                             # p, q = p + x, r = p q
    1: [[], [0], [1], [2, 0], [0, 3], [4, 1, 1], [], [5, 3]],        # one node that nobody needs, one parent twice
    2: [[]],
    3: [[], [0, 0]],                                                 # and a long chain behind it
    4: [[], [0, 3], [1], [2], [3]],                                  # 1 -> 3 -> 2 -> 1
    5: [[], [0, 1], [1, 0]],                                         # its own parent
    6: [[], [0, 3], [1], [2, 3]],                                    # the root itself is on the cycle
    7: [[], [0], [0, 1], [2, 1, 0], [3, 0, 2], [4, 3]],
}


@topo.inputs
def _(g, case):
    parents = FIXED[case]
    values = [round(v, 3) for v in (1 + torch.rand(len(parents), generator=g)).tolist()]
    return {"values": values, "parents": parents, "chain": 4000 if case == 3 else 0}


@topo.oracle
def _(values, parents, chain):
    if any(place >= child for child, places in enumerate(parents) for place in places):
        return {}
    carried = []                                                     # the places are an order themselves
    for value, places in zip(values, parents, strict=True):
        carried.append(value + sum(0.5 * carried[place] for place in places))
    used, todo = set(), [len(values) - 1]
    while todo:
        place = todo.pop()
        if place not in used:
            used.add(place)
            todo += parents[place]
    total, last, root = sum(values[place] for place in used), values[-1], carried[-1]
    for _ in range(chain):
        last /= 2
        total, root = total + last, last + 0.5 * root
    return {"carried_to_root": root, "listed": len(used) + chain, "sum_of_values": total, "last": last}


@topo.wrong("`{function}` orders nodes by their distance from the root. At a diamond with sides of different lengths a node then comes "
            "behind one that needs it. List a node when you leave it, not when you meet it.")
def by_distance(root):
    ordered(root)
    return explored(root, queue=True)[::-1]


@topo.wrong("`{function}` lists nodes when it meets them, depth first. A node that is also reached by a longer way is then in the wrong "
            "place. List it when you leave it.")
def when_met(root):
    ordered(root)
    return explored(root)[::-1]


@topo.wrong("`{function}` lists the root first and the leaves last. The docstring asks for parents before children.")
def root_first(root):
    return ordered(root)[::-1]


@topo.wrong("`{function}` calls itself once for each node on the way, and long graphs exceed Python's limit. Keep a stack in a list.")
def by_recursion(root):
    order, opened, left = [], set(), set()

    def visit(node):
        if node in left:
            return
        if node in opened:
            raise ValueError("cycle")
        opened.add(node)
        for parent in node.parents:
            visit(parent)
        left.add(node)
        order.append(node)

    try:
        visit(root)
    except RecursionError:
        raise RecursionError("maximum recursion depth exceeded") from None
    return order


@topo.wrong("`{function}` returns an order where there is none: a node that is its own ancestor has to be refused with a ValueError.")
def accepts_cycles(root):
    return ordered(root, check=False)


@topo.wrong("`{function}` takes every node that it meets twice for a cycle. A diamond is met twice as well; it is a cycle only if the "
            "node has not been left yet.")
def diamonds_refused(root):
    order = ordered(root)
    if any(order.count(parent) and sum(parent in node.parents for node in order) > 1 for parent in order[:20]):
        raise ValueError("the graph has a cycle")
    return order


@topo.wrong("`{function}` lists a node once for each way that leads to it. Remember which ones are listed.")
def once_per_way(root):
    ordered(root)
    order = []
    for node in ordered(root):
        order += [node] * max(1, sum(node in child.parents for child in ordered(root)) if len(order) < 20 else 1)
    return order


@topo.wrong("`{function}` leaves the root out. It comes last.")
def without_the_root(root):
    return ordered(root)[:-1]


@topo.wrong("`{function}` leaves the leaves out: nodes without parents belong in the list as well.")
def without_the_leaves(root):
    return [node for node in ordered(root) if node.parents or node is root]


@topo.wrong("`{function}` follows each node's first parent only, and misses the rest of the graph.")
def first_parent_only(root):
    ordered(root)
    return ordered(root, pushed=lambda parents: parents[:1])


@topo.wrong("`{function}` notices a cycle only if it leads back to the root. Any node can be its own ancestor.")
def looks_at_the_root_only(root):
    met = explored(root)
    if any(root in node.parents for node in met):
        raise ValueError("cycle")
    return ordered(root, check=False)


@topo.variant
def topo_by_counting(root):
    waiting, users = [root], {root: 0}
    while waiting:
        node = waiting.pop()
        for parent in node.parents:
            if parent not in users:
                users[parent] = 0
                waiting.append(parent)
            users[parent] += 1
    free = [root] if users[root] == 0 else []
    order = []
    while free:
        node = free.pop()
        order.append(node)
        for parent in node.parents:
            users[parent] -= 1
            if users[parent] == 0:
                free.append(parent)
    if len(order) < len(users):
        raise ValueError("cycle")
    return order[::-1]


@topo.variant
def topo_with_iterators(root):
    order, state, path = [], {root: "open"}, [(root, iter(root.parents))]
    while path:
        node, parents = path[-1]
        for parent in parents:
            if state.get(parent) == "open":
                raise ValueError("a node is its own ancestor")
            if parent not in state:
                state[parent] = "open"
                path.append((parent, iter(parent.parents)))
                break
        else:
            state[node] = "left"
            order.append(node)
            path.pop()
    return order
