"""The key of u05-trainable-report."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, whole

report = Key(
    "u05-trainable-report",
    hints=(
        "For one module alone: where are its Parameters, where its buffers, and where its other attributes?",
        "One loop over `module.named_modules()`, and three inside it: over `part.named_parameters(recurse=False, remove_duplicate=False)`, over "
        "`part.named_buffers(recurse=False)`, and over `vars(part).items()`, where only tensors count. Remember the `id` of each Parameter "
        "that you have seen.",
        "A near-example, the total size of all buffers, by full name: `for prefix, part in module.named_modules():` / "
        '`    for name, b in part.named_buffers(recurse=False):` / `        sizes[f"{prefix}.{name}" if prefix else name] = b.numel()`.',
    ),
    weights={"kinds": 2, "count": 1},
    tolerance=EXACT,
    equivalent={
        "line 9: part.named_buffers(recurse=False) -> part.named_buffers(recurse=True)": (
            "buffers below the part are then listed by its parents as well, each time under the same full name and kind"
        )
    },
)


@report.inputs
def _(g, case):
    hows = [
        "parameter",
        "parameter",
        "no gradient",
        "buffer",
        "not persistent",
        "tensor",
        "tensor with gradient",
        "absent",
        ["text", "list", "buffer"][case],
    ]
    places = [
        "scale",
        "rate",
        "encoder.weight",
        "encoder.extra",
        "encoder.norm.mean",
        "encoder.norm.rate",
        "head.weight",
        "head.rate",
        "head.out.top",
    ]
    order = torch.randperm(len(places), generator=g).tolist()
    parts = [[places[place], how, [whole(g, 2, 5), whole(g, 2, 6)]] for place, how in zip(order, hows, strict=True)]
    first, shape = parts[0][0], parts[0][2]
    parts.append(["tail.weight", "parameter", shape])  # equal to the first in all but identity
    beside = first.rpartition(".")[0]
    parts.append([f"{beside}.again" if beside else "again", f"same as {first}", shape])
    parts.append(["aside.twin", f"same as {['tail.weight', first, parts[1][0]][case]}", shape])
    if case != 1:
        parts.append(["top", "same as tail.weight", shape])  # the root's own come first
    parts.append(["tail.mean", "buffer", [3]])  # a name that has two meanings in one module tree
    parts.append(["aside.mean", "not persistent", [4]])
    parts.append(["mean", "buffer", [2]])
    return {"parts": parts}


@report.oracle
def _(parts):
    owner = {path: how[8:] if how.startswith("same as ") else path for path, how, _ in parts}
    tree = {}
    for path in owner:  # modules in the order in which they were made
        at = tree
        for piece in path.split(".")[:-1]:
            at = at.setdefault(piece, {})

    def visited(prefix, node):
        yield from (path for path in owner if path.rpartition(".")[0] == prefix)
        for name, child in node.items():
            yield from visited(f"{prefix}.{name}" if prefix else name, child)

    named = {
        "parameter": "trained",
        "no gradient": "frozen",
        "buffer": "buffer",
        "not persistent": "unsaved buffer",
        "tensor": "constant",
        "tensor with gradient": "forgotten",
    }
    how, kinds, met = {path: how for path, how, _ in parts}, {}, set()
    for path in visited("", tree):
        if (kind := named.get(how[owner[path]])) is not None:
            kinds[path] = "tied" if owner[path] in met and kind == "trained" else kind
            met.add(owner[path])
    return {
        "kinds": kinds,
        "count": sum(a * b for _, how, (a, b, *_) in ((p, h, [*s, 1]) for p, h, s in parts) if how == "parameter"),
    }


def walk(
    module,
    *,
    deep=True,
    dot=True,
    tied=True,
    same=None,
    frozen=True,
    saved=True,
    attributes=True,
    each=None,
    local=False,
    prefixed=True,
):
    """A sound report with its parts open, for wrong answers and variants."""
    kinds, seen, count = {}, [], 0
    same = same or (lambda a, b: a is b)
    for prefix, part in module.named_modules() if deep else [("", module)]:
        path = (f"{prefix}." if prefix or not dot else "") if prefixed else ""
        seen = [] if local else seen
        for name, p in part._parameters.items():
            if p is None:
                continue
            again = tied and any(same(p, q) for q in seen)
            seen.append(p)
            kinds[path + name] = "tied" if again else "trained" if p.requires_grad or not frozen else "frozen"
            if kinds[path + name] == "trained":
                count += each(p) if each else p.numel()
        for name in part._buffers:
            kinds[path + name] = (
                "buffer" if not saved or name not in part._non_persistent_buffers_set else "unsaved buffer"
            )
        for name, value in part.__dict__.items():
            if attributes and isinstance(value, torch.Tensor):
                kinds[path + name] = "forgotten" if value.requires_grad else "constant"
    return kinds, count


@report.wrong(
    "`{function}` looks at the module itself and not at what lies below it. Which method goes through all submodules, with their paths?"
)
def report_top_only(module):
    return walk(module, deep=False)


@report.wrong(
    "`{function}` gives names without their paths, so that entries of different submodules overwrite each other."
)
def report_without_paths(module):
    return walk(module, prefixed=False)


@report.wrong(
    "The names of the module's own entries begin with a dot in `{function}`: the path of the module itself is empty."
)
def report_leading_dot(module):
    return walk(module, dot=False)


@report.wrong(
    "`{function}` lists a Parameter with two names as if it were two, and counts it twice. Two names of one "
    "object: which comparison tells?"
)
def report_no_ties(module):
    return walk(module, tied=False)


@report.wrong(
    "`{function}` recognises one Parameter under two names within a module, and not across modules. What you "
    "have seen must be remembered over the whole walk."
)
def report_ties_within_modules(module):
    return walk(module, local=True)


@report.wrong(
    "`{function}` takes two Parameters for one because their numbers are equal. Tied means the same *object*; "
    "compare with `is`, or by `id`."
)
def report_ties_by_value(module):
    return walk(module, same=lambda a, b: a.shape == b.shape and torch.equal(a, b))


@report.wrong('`{function}` leaves the second name of a Parameter out. It belongs in the list, as "tied".')
def report_skips_tied(module):
    kinds, count = walk(module)
    return {name: kind for name, kind in kinds.items() if kind != "tied"}, count


@report.wrong(
    "`{function}` calls frozen Parameters trained, and counts them. An optimizer receives them, and they do "
    "not move: which flag says so?"
)
def report_frozen_trained(module):
    return walk(module, frozen=False)


@report.wrong("All names are right, but `{function}` counts the frozen Parameters as well.")
def report_counts_frozen(module):
    kinds, count = walk(module)
    return kinds, count + sum(module.get_parameter(name).numel() for name, kind in kinds.items() if kind == "frozen")


@report.wrong("`{function}` counts tensors. Asked for is how many *numbers* they hold.")
def report_counts_tensors(module):
    return walk(module, each=lambda p: 1)


@report.wrong(
    "All names are right, but `{function}` counts a tied Parameter once for each of its names. It is one tensor."
)
def report_counts_tied_twice(module):
    kinds, count = walk(module)
    return kinds, count + sum(module.get_parameter(name).numel() for name, kind in kinds.items() if kind == "tied")


@report.wrong(
    "All names are right, but `{function}` counts forgotten tensors as trained. They get a gradient, and no optimizer knows them."
)
def report_counts_forgotten(module):
    kinds, count = walk(module)
    found = [
        module.get_submodule(name.rpartition(".")[0]).__dict__[name.rpartition(".")[2]]
        for name, kind in kinds.items()
        if kind == "forgotten"
    ]
    return kinds, count + sum(t.numel() for t in found)


@report.wrong(
    '`{function}` calls every buffer "buffer". Those that are not in the `state_dict` are lost when the model '
    "is saved; tell them apart."
)
def report_saved_or_not(module):
    return walk(module, saved=False)


@report.wrong(
    "`{function}` leaves out the ordinary attributes, where the forgotten tensors are. `vars(part)` holds them."
)
def report_no_attributes(module):
    return walk(module, attributes=False)


@report.wrong("`{function}` does not tell a forgotten tensor from a constant: one of them requires a gradient.")
def report_all_constant(module):
    kinds, count = walk(module)
    return {name: "constant" if kind == "forgotten" else kind for name, kind in kinds.items()}, count


@report.wrong(
    "`{function}` stumbles over a Parameter that is None: the name is registered, and there is no tensor. "
    "`named_parameters` leaves such names out, and `_parameters` does not."
)
def report_none_parameter(module):
    for part in module.modules():
        for p in part._parameters.values():
            p.numel()
    return walk(module)


@report.variant
def report_by_private_drawers(module):
    return walk(module)


@report.variant
def report_by_full_names(module):
    kinds, owner, count = {}, {}, 0
    for name, p in module.named_parameters(remove_duplicate=False):
        again = any(p is q for q in owner.values())
        kinds[name] = "tied" if again else "trained" if p.requires_grad else "frozen"
        count += p.numel() if p.requires_grad and not again else 0
        owner[name] = p
    for name, _ in module.named_buffers():
        kinds[name] = "buffer" if name in module.state_dict() else "unsaved buffer"
    for prefix, part in module.named_modules():
        for name, value in vars(part).items():
            if torch.is_tensor(value):
                kinds[".".join(filter(None, (prefix, name)))] = "forgotten" if value.requires_grad else "constant"
    return kinds, count
