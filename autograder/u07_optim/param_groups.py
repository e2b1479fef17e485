"""The key of u07-param-groups."""

from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, between, shuffled

groups = Key(
    "u07-param-groups",
    hints=(
        "For a given tensor, who knows whether it belongs to a normalisation layer: its name, its shape, or its module?",
        "Walk through `model.modules()`, and for each through `module.named_parameters(recurse=False)`: then name and module are both at "
        "hand. A tied tensor comes twice; keep it once.",
        "A near-example, all weights of linear layers: `[p for m in model.modules() if isinstance(m, nn.Linear) for n, p in "
        "m.named_parameters(recurse=False) if n == 'weight']`.",
    ),
    cases=3,
    weights={"decaying": 2, "not_decaying": 2},
    tolerance=EXACT,
)
LAYER_NAMES = ["norm1", "bias_net", "bn", "first", "last", "mix", "normal", "a", "z9"]


@groups.inputs
def _(g, case):
    kinds = [["linear", "batch", "relu", "linear", "block"], ["linear", "layer", "conv", "linear", "group"],
             ["embedding", "layer", "linear", "batch", "block", "linear"]][case]
    names = shuffled(g, LAYER_NAMES)[:len(kinds)]
    layers = dict(zip(names, kinds, strict=True))
    linear = [name for name, kind in layers.items() if kind == "linear"]
    trap = [name for name in ("norm1", "bias_net") if name not in layers]
    layers |= {trap[0]: "linear"} if trap else {}
    return {"layers": layers, "tie": linear[:2] if case else [], "weight_decay": between(g, 0.02, 0.1)}


def sort_by(model, weight_decay, rule, parameters=None):
    """Two groups by a rule over (module, own name, full name, parameter)."""
    decay, rest, seen = [], [], set()
    for prefix, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if id(p) not in seen:
                (decay if rule(module, name, f"{prefix}.{name}", p) else rest).append(p)
                seen.add(id(p))
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def is_norm(module):
    return isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm))


@groups.oracle
def _(layers, tie, weight_decay):
    of_kind = {"linear": ["weight"], "conv": ["weight"], "embedding": ["weight"], "block": ["0.weight"]}
    exempt = {"linear": ["bias"], "conv": ["bias"], "block": ["0.bias", "1.weight", "1.bias"], "batch": ["weight", "bias"],
              "layer": ["weight", "bias"], "group": ["weight", "bias"]}
    lost = {f"{tie[1]}.weight"} if tie else set()
    found = [{f"{name}.{own}" for name, kind in layers.items() for own in kinds.get(kind, [])} - lost for kinds in (of_kind, exempt)]
    return {"decaying": sorted(found[0] | {"scale"}), "not_decaying": sorted(found[1]), "weight_decays": [weight_decay, 0.0]}


@groups.wrong("`{function}` goes by names: a layer that is called norm1 may be linear, and one called `a` a norm. Ask the module's class.")
def by_full_name(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: "norm" not in full and "bias" not in full and "bn" not in full)


@groups.wrong("`{function}` goes by shape: LayerNorm((2, 3)) has a matrix, and a vector of the model's own is no bias. Ask the module's class.")
def by_shape(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: p.dim() > 1)


@groups.wrong("`{function}` spares biases only. The weights of normalisation layers belong to the second group as well.")
def biases_only(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: name != "bias")


@groups.wrong("`{function}` spares normalisation layers only; the biases of the others decay.")
def norms_only(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: not is_norm(module))


@groups.wrong("`{function}` lets everything decay.")
def all_decay(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: True)


@groups.wrong("`{function}` returns the groups in the wrong order, or with each other's weight decay.")
def groups_swapped(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))[::-1]


@groups.wrong("Both groups of `{function}` have the same weight decay. The second one's is 0.0.")
def same_decay(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [{**group, "weight_decay": weight_decay} for group in found]


@groups.wrong("The second group of `{function}` does not say what its weight decay is, so it takes the optimizer's default, and AdamW's is not 0. "
              "Write 0.0 into the group.")
def silent_group(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [found[0], {"params": found[1]["params"]}]


@groups.wrong("`{function}` leaves out parameters that belong to a module with children: the model's own `scale` is in no group. Every "
              "module may have parameters.")
def leaves_only(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    own = {id(p) for p in model.parameters(recurse=False)}
    return [{**group, "params": [p for p in group["params"] if id(p) not in own]} for group in found]


@groups.wrong("`{function}` looks at the model's children, not at theirs: parameters inside a nested block are in no group.")
def children_only(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    near = {id(p) for module in (model, *model.children()) for p in module.parameters(recurse=False)}
    return [{**group, "params": [p for p in group["params"] if id(p) in near]} for group in found]


@groups.wrong("The second group of `{function}` is empty: a generator that the first walk has used up gives nothing to the second. Make a "
              "list of it, or sort in one walk.")
def exhausted(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [found[0], {"params": [], "weight_decay": 0.0}]


@groups.wrong("`{function}` gives a tied tensor twice (or, with recursion, a child's parameters once more with each parent). Each tensor "
              "belongs to one group, once.")
def doubles(model, weight_decay):
    decay, rest = [], []
    for module in model.modules():
        for name, p in module.named_parameters():
            (rest if name.endswith("bias") or is_norm(module) else decay).append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


@groups.variant
def by_ids_of_exempt(model, weight_decay):
    exempt = {id(p) for m in model.modules() if is_norm(m) for p in m.parameters(recurse=False)}
    exempt |= {id(p) for name, p in model.named_parameters() if name.split(".")[-1] == "bias"}
    return [{"params": [p for p in model.parameters() if id(p) not in exempt], "weight_decay": weight_decay},
            {"params": [p for p in model.parameters() if id(p) in exempt], "weight_decay": 0.0}]


@groups.variant
def by_owner(model, weight_decay):
    owners = {}
    for prefix, module in model.named_modules():
        for name, p in module._parameters.items():
            if p is not None:
                owners.setdefault(p, (module, name))
    free = [p for p, (module, name) in owners.items() if name == "bias" or is_norm(module)]
    rest = [p for p in owners if not any(p is q for q in free)]
    return [dict(params=rest, weight_decay=weight_decay), dict(params=free, weight_decay=0.0)]
