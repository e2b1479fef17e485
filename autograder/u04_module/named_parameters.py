"""The key of u04-named-parameters."""

from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, normal, real, shuffled, whole

named = Key(
    "u04-named-parameters",
    hints=(
        "Your function gives a module's own parameters. Who gives those of its modules, and what must it be told?",
        "For a child called `name`, call the function again with a longer prefix and the same `seen`. Remember parameters by `id(p)`. `yield` and "
        "`yield from` make an iterator of it; a list that you extend does as well.",
        'A near-example, all files of a folder: `def walk(folder, before=""):`, then `for f in folder.files: yield before + f`, and `for name, '
        'sub in folder.folders.items(): yield from walk(sub, before + name + "/")`.',
    ),
    guards=(),
    weights={"places": 2, "names": 2},
    tolerance=EXACT,
)


@named.inputs
def _(g, case):
    sizes = shuffled(g, [[2], [3], [1, 2], [2, 2]])
    values = [normal(g, *size) for size in (*sizes, *sizes)]
    values[4] = values[0].clone()  # equal numbers in another parameter
    a, b, c, d = shuffled(g, ["stem", "body", "head", "0"])
    w, s, t = shuffled(g, ["weight", "scale", "bias"])
    boxes = [
        [
            {"parameters": {w: 0, s: None, t: 4}, "buffers": {"mean": 1}, "modules": {a: 1, b: 2}},
            {"parameters": {w: 1}, "modules": {c: 3, d: None}},
            {"parameters": {t: 2, s: 3}},
            {"parameters": {w: 5}},
        ],
        [
            {"modules": {a: 1, b: 1, c: 2}},
            {"parameters": {s: 0, w: 1}, "modules": {d: 3}},
            {"parameters": {t: 1, s: 4, w: 2}},
            {"parameters": {t: 3, w: 3}, "buffers": {"count": 2}},
        ],
        [
            {"parameters": {w: 1, t: 1, s: 2}, "modules": {a: 1}},
            {"modules": {b: 2}},
            {"modules": {c: 3}, "parameters": {t: 0}},
            {"parameters": {s: 4, w: 2}},
        ],
    ][case]
    return {"boxes": boxes, "values": values, "frozen": [whole(g, 0, 1), 2], "prefix": ["net", "a.b", "m"][case]}


@named.oracle
def _(boxes, values, frozen, prefix):
    pool = [nn.Parameter(t) for t in values]
    root = real(boxes, pool, values)[0]
    found, again = list(root.named_parameters()), list(root.named_parameters(prefix))
    place = {id(p): i for i, p in enumerate(pool)}
    return {
        "names": [name for name, _ in found],
        "places": [place[id(p)] for _, p in found],
        "names_with_prefix": [name for name, _ in again],
        "places_with_prefix": [place[id(p)] for _, p in again],
    }


def listed(
    module,
    prefix="",
    seen=None,
    *,
    own=lambda box: box._parameters.items(),
    once=id,
    join=lambda a, b: f"{a}.{b}" if a else b,
):
    """A sound walk with its parts open."""
    seen = set() if seen is None else seen
    found = []
    for name, p in own(module):
        if p is not None and once(p) not in seen:
            seen.add(once(p))
            found.append((join(prefix, name), p))
    for name, child in module._modules.items():
        if child is not None:
            found += listed(child, join(prefix, name), seen, own=own, once=once, join=join)
    return found


@named.wrong(
    "`{function}` gives a shared parameter under each of its names. An optimizer would update it twice in one step."
)
def named_shared_twice(module, prefix="", seen=None):
    return listed(module, prefix, once=lambda p: object())


@named.wrong(
    "`{function}` forgets what it has seen when it goes into the next module: a parameter that two modules share comes twice. Hand `seen` "
    "on."
)
def named_seen_not_passed(module, prefix="", seen=None):
    seen = set()
    for name, p in module._parameters.items():
        if p is not None and id(p) not in seen:
            seen.add(id(p))
            yield f"{prefix}.{name}" if prefix else name, p
    for name, child in module._modules.items():
        if child is not None:
            yield from named_seen_not_passed(child, f"{prefix}.{name}" if prefix else name)


@named.wrong(
    "`{function}` skips a parameter whose *numbers* equal those of another. Two parameters are the same if they are one object: compare "
    "with `is`, or by `id`."
)
def named_by_value(module, prefix="", seen=None):
    return listed(module, prefix, once=lambda p: tuple(p.flatten().tolist()))


@named.wrong(
    "The second call of `{function}` gives nothing, or less: what was seen in the first is still remembered. A default argument is made "
    "once, when the function is defined."
)
def named_default_set(module, prefix="", seen=None):
    module.remembered = seen = getattr(module, "remembered", set())
    return listed(module, prefix, seen)


@named.wrong("`{function}` gives the root's own parameters and does not go into its modules.")
def named_own_only(module, prefix="", seen=None):
    return listed(module, prefix)[: len({id(p) for p in module._parameters.values() if p is not None})]


@named.wrong(
    "`{function}` goes one level deep. A module's modules may hold modules in turn: let the function call itself."
)
def named_one_level(module, prefix="", seen=None):
    return [(name, p) for name, p in listed(module, prefix) if name.removeprefix(prefix).strip(".").count(".") <= 1]


@named.wrong(
    "`{function}` gives the last part of each name only, so that two layers have the same names. Put the path in front."
)
def named_without_path(module, prefix="", seen=None):
    return listed(module, prefix, join=lambda a, b: b)


@named.wrong("`{function}` does not use the prefix that it is given.")
def named_ignores_prefix(module, prefix="", seen=None):
    return listed(module)


@named.wrong("Names from `{function}` begin with a dot when there is no prefix. A dot stands *between* two parts.")
def named_leading_dot(module, prefix="", seen=None):
    return listed(module, prefix, join=lambda a, b: f"{a}.{b}")


@named.wrong("`{function}` joins the parts of a name without a dot.")
def named_no_dot(module, prefix="", seen=None):
    return listed(module, prefix, join=lambda a, b: a + b)


@named.wrong("`{function}` also gives buffers. They belong to the model and are not trained.")
def named_with_buffers(module, prefix="", seen=None):
    return listed(module, prefix, own=lambda box: [*box._parameters.items(), *box._buffers.items()])


@named.wrong(
    "`{function}` leaves out parameters that have `requires_grad=False`. A frozen parameter is a parameter: it is "
    "saved and moved, and may "
    "be thawed."
)
def named_without_frozen(module, prefix="", seen=None):
    return [(name, p) for name, p in listed(module, prefix) if p.requires_grad]


@named.wrong("`{function}` gives the modules' parameters before the module's own. Own ones come first.")
def named_children_first(module, prefix="", seen=None):
    pairs = listed(module, prefix)
    depth = prefix.count(".") + bool(prefix)
    return [pair for pair in pairs if pair[0].count(".") > depth] + [
        pair for pair in pairs if pair[0].count(".") == depth
    ]


@named.wrong(
    "`{function}` stops at an entry that is None: a bias that was switched off, or a module that is absent. Skip it."
)
def named_fails_at_none(module, prefix="", seen=None):
    for p in module._parameters.values():
        p.shape
    for child in module._modules.values():
        child._parameters
    return listed(module, prefix)


@named.wrong(
    "`{function}` gives copies of the parameters. An optimizer needs the objects themselves, or its steps change nothing."
)
def named_copies(module, prefix="", seen=None):
    return [(name, p.detach().clone()) for name, p in listed(module, prefix)]


@named.wrong(
    "A shared parameter comes under its *last* name from `{function}`. It belongs to the first name that the walk meets."
)
def named_last_name(module, prefix="", seen=None):
    return list({id(p): (name, p) for name, p in listed(module, prefix, once=lambda p: object())}.values())


@named.variant
def named_as_list(module, prefix="", seen=None):
    return listed(module, prefix)


@named.variant
def named_by_stack(module, prefix="", seen=None):
    found, waiting = {}, [(prefix, module)]
    while waiting:
        path, box = waiting.pop()
        for name, p in box._parameters.items():
            if p is not None:
                found.setdefault(id(p), (".".join(part for part in (path, name) if part), p))
        waiting += [
            (".".join(part for part in (path, name) if part), child)
            for name, child in reversed(box._modules.items())
            if child is not None
        ]
    return found.values()
