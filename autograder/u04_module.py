"""The key of u04: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Most answers are classes. Trees of modules come as plain data; `real` makes PyTorch's own modules of the same form for the oracles.
"""

import collections

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "names, counts and copied numbers are either the same or not")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; up to five layers in a row with sums of up to 8 terms")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def number(g):
    """A number of one decimal, so that float32 lists read well."""
    return torch.randint(-80, 80, (), generator=g).item() / 8


def shuffled(g, items):
    return [items[place] for place in torch.randperm(len(items), generator=g).tolist()]


def whole(g, low, high):
    return int(torch.randint(low, high + 1, (), generator=g))


# ---- MiniModule ------------------------------------------------------------------------------------------

PLACES = ("_parameters", "_buffers", "_modules")
UNSET = "`place` is unset then, the next line raises UnboundLocalError, and any exception refuses"
NO_PLACE = "the last line raises KeyError then, for want of the dictionary, and any exception refuses"

mini = Key(
    "u04-mini-module",
    hints=(
        "For each row of section 1.3's rules: which type or which dictionary do you have to ask about, and in which order?",
        "First find out where the name is registered now, if anywhere. Then decide on a place by `isinstance`. Take the name out of "
        "`vars(self)` and out of its old dictionary, and write it into the new one.",
        "A near-example, a class that keeps all functions in a dictionary of their own: `def __setattr__(self, name, value):`, then `if "
        "callable(value): vars(self).pop(name, None); self._functions[name] = value`, `else: object.__setattr__(self, name, value)`.",
    ),
    cases=8,
    weights={"_parameters": 2, "_modules": 2, "read_back": 2, "(refuses wrong input)": 3},
    tolerance=EXACT,
    equivalent={
        'line 13: raise TypeError(f"{name} is regi… take a {type(value).__name__}") -> pass': UNSET,
        'line 15: raise AttributeError(f"cannot as… call super().__init__() first") -> pass': NO_PLACE,
    },
)


@mini.inputs
def _(g, case):
    names = shuffled(
        g, ["kernel", "alpha", "steps", "body", "head", "zeta", "mean", "table", "gain", "note", "depth", "core"]
    )
    if case == 0:
        kinds = shuffled(
            g, ["parameter", "parameter", "module", "module", "tensor", "leaf", "number", "buffer", "none"]
        )
        pairs = [[kind] for kind in kinds]
    elif case == 1:
        pairs = shuffled(
            g,
            [
                ["tensor", "parameter"],
                ["buffer", "tensor"],
                ["parameter", "none"],
                ["module", "parameter"],
                ["parameter", "module"],
                ["buffer", "parameter"],
                ["module", "none"],
                ["number", "module"],
                ["parameter", "parameter"],
                ["buffer", "none"],
                ["buffer", "module"],
            ],
        )
    elif case == 2:
        pairs = [[kind] for kind in shuffled(g, ["number", "tensor", "none", "leaf"])]
    else:
        pairs = [["parameter"]], [["module"]], [["parameter", "tensor"]], [["module", "number"]], [["buffer", "number"]]
        pairs = pairs[case - 3]
    steps = [[name, kind, number(g)] for name, kinds in zip(names, pairs, strict=False) for kind in kinds]
    return {"steps": steps, "ready": case not in (2, 3, 4)}


@mini.oracle
def _(steps, ready):
    m = nn.Module() if ready else nn.Module.__new__(nn.Module)

    def child(n):
        made = nn.Module()
        vars(made)["number"] = n
        return made

    make = {
        "parameter": lambda n: nn.Parameter(torch.full((2,), n)),
        "module": child,
        "number": lambda n: n,
        "tensor": lambda n: torch.full((2,), n),
        "leaf": lambda n: torch.full((2,), n, requires_grad=True),
        "none": lambda n: None,
    }
    for name, kind, n in steps:
        try:
            m.register_buffer(name, make["tensor"](n)) if kind == "buffer" else setattr(m, name, make[kind](n))
        except (TypeError, AttributeError):
            return {}

    def seen(value):
        return (
            value.tolist()
            if torch.is_tensor(value)
            else vars(value)["number"]
            if isinstance(value, nn.Module)
            else value
        )

    kept = {place: [[name, seen(value)] for name, value in vars(m).get(place, {}).items()] for place in PLACES}
    return {
        **kept,
        "read_back": {name: seen(getattr(m, name, "nothing")) for name, _, _ in steps},
        "ordinary": sorted({name for name, _, _ in steps} & set(vars(m))),
    }


class Mini:
    """A sound MiniModule; wrong ones exchange its __setattr__."""

    def __init__(self):
        for place in PLACES:
            object.__setattr__(self, place, {})

    def register_buffer(self, name, tensor):
        self._buffers[name] = tensor

    def __getattr__(self, name):
        for place in PLACES:
            if name in vars(self).get(place, {}):
                return vars(self)[place][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name, value):
        put(self, name, value)


def put(
    m,
    name,
    value,
    *,
    tensors=False,
    leaves=False,
    modules=True,
    parameters=True,
    buffers=True,
    typed=True,
    hides=False,
    leaves_old=False,
    none=True,
    ready=True,
    doubles=False,
):
    """nn.Module's rules, each of which can be broken."""
    own = vars(m)
    held = next((place for place in PLACES if name in own.get(place, {})), None)
    if isinstance(value, nn.Parameter) or (
        isinstance(value, torch.Tensor) and (tensors or (leaves and value.requires_grad))
    ):
        place = "_parameters" if parameters else None
    elif isinstance(value, Mini):
        place = "_modules" if modules else None
    elif held is None or (value is None and not none) or (held == "_buffers" and not buffers):
        place = None
    elif value is None or (held == "_buffers" and isinstance(value, torch.Tensor)) or not typed:
        place = held
    else:
        raise TypeError(f"{name} is registered in {held}")
    if place is None:
        object.__setattr__(m, name, value)
        return
    if place not in own:
        if ready:
            raise AttributeError("call super().__init__() first")
        for one in PLACES:
            own.setdefault(one, {})
    if held != place:
        if not hides:
            own.pop(name, None)
        if not leaves_old:
            own.get(held, {}).pop(name, None)
    own[place][name] = value
    if doubles:
        own[name] = value


def breaking(**rules):
    """Make a MiniModule with some rules broken."""
    return lambda function: type(
        function.__name__, (Mini,), {"__setattr__": lambda m, name, value: put(m, name, value, **rules)}
    )


@mini.wrong(
    "`{function}` registers nothing: every value ends up as an ordinary attribute. An optimizer would see no parameter. Look at the type "
    "of the value before you store it."
)
@breaking(parameters=False, modules=False)
def mini_registers_nothing():
    pass


@mini.wrong(
    "`{function}` registers every tensor as a parameter. Only an `nn.Parameter` carries that label; a table of constants must not be "
    "trained."
)
@breaking(tensors=True)
def mini_takes_all_tensors():
    pass


@mini.wrong(
    "`{function}` registers a tensor that has `requires_grad`. That alone makes no parameter: ask for the type `nn.Parameter`."
)
@breaking(leaves=True)
def mini_takes_leaves():
    pass


@mini.wrong(
    "`{function}` registers parameters and no modules. A layer in an attribute would be lost with all that it holds."
)
@breaking(modules=False)
def mini_ignores_modules():
    pass


@mini.wrong("`{function}` registers modules and no parameters of its own.")
@breaking(parameters=False)
def mini_ignores_parameters():
    pass


@mini.wrong(
    "An ordinary attribute stays in `vars(self)` when `{function}` registers a parameter or module under the same name. Python finds the "
    "old one first, and the registered one is hidden."
)
@breaking(hides=True)
def mini_keeps_ordinary():
    pass


@mini.wrong(
    "A name that changes its kind is registered twice by `{function}`: it stays in its old dictionary. Rule 1: a name has one place."
)
@breaking(leaves_old=True)
def mini_keeps_old_place():
    pass


@mini.wrong(
    "A registered buffer that gets a new tensor becomes an ordinary attribute in `{function}`. Rule 2: the name keeps its place."
)
@breaking(buffers=False)
def mini_loses_buffers():
    pass


@mini.wrong(
    "`None` for a registered name becomes an ordinary attribute in `{function}`. It should stand in the dictionary, in the name's place."
)
@breaking(none=False)
def mini_none_is_ordinary():
    pass


@mini.wrong(
    "All that `{function}` registers is right, but it lets a registered name take a value of a wrong kind. A plain tensor in a "
    "parameter's place would not be trained any more: raise TypeError."
)
@breaking(typed=False)
def mini_takes_anything():
    pass


@mini.wrong(
    "`{function}` stores a registered value a second time as an ordinary attribute. Who changes the dictionary later, as `to` and "
    "`load` do, leaves the other one behind."
)
@breaking(doubles=True)
def mini_stores_twice():
    pass


@mini.wrong(
    "`{function}` makes the dictionaries itself if they are missing. Then `__init__` makes them again, empty, and what was registered "
    "before is lost. Raise AttributeError instead."
)
@breaking(ready=False)
def mini_needs_no_init():
    pass


@mini.wrong(
    "`{function}` raises before `__init__` has run, also for ordinary values. Only parameters and modules need the dictionaries; ask for "
    "them with `vars(self).get(...)`."
)
class mini_needs_init_for_all(Mini):
    def __setattr__(self, name, value):
        self._parameters.get(name)
        put(self, name, value)


@mini.variant
class mini_by_cases(Mini):
    def __setattr__(self, name, value):
        kinds = {"_parameters": nn.Parameter, "_modules": Mini}
        places = [place for place in PLACES if place in self.__dict__]
        for place, kind in kinds.items():
            if isinstance(value, kind):
                if not places:
                    raise AttributeError("no dictionaries yet")
                for other in places:
                    if other != place:
                        getattr(self, other).pop(name, None)
                self.__dict__.pop(name, None)
                getattr(self, place).update({name: value})
                return
        for place in places:
            if name in getattr(self, place):
                if value is not None and not (place == "_buffers" and torch.is_tensor(value)):
                    raise TypeError(f"{name} cannot be a {type(value)}")
                getattr(self, place)[name] = value
                return
        self.__dict__[name] = value


@mini.variant
class mini_clears_first(Mini):
    def __setattr__(self, name, value):
        kind = 0 if isinstance(value, nn.Parameter) else 2 if isinstance(value, Mini) else None
        if kind is not None:
            mine = [self.__dict__, self._parameters, self._buffers, self._modules]
            for one in mine:
                one.pop(name, None)
            mine[kind + 1][name] = value
        elif name in self.__dict__.get("_buffers", ()) and (value is None or isinstance(value, torch.Tensor)):
            self._buffers[name] = value
        elif any(name in self.__dict__.get(place, ()) for place in PLACES):
            if value is not None:
                raise TypeError(name)
            (self._parameters if name in self._parameters else self._modules)[name] = None
        else:
            super(Mini, self).__setattr__(name, value)


# ---- named_parameters ------------------------------------------------------------------------------------


def real(boxes, parameters, buffers=()):
    """PyTorch's own modules in the form of a tree of boxes; shared entries stay shared."""
    tree = [nn.Module() for _ in boxes]
    for module, data in zip(tree, boxes, strict=True):
        for name, place in data.get("parameters", {}).items():
            module.register_parameter(name, None if place is None else parameters[place])
        for name, place in data.get("buffers", {}).items():
            module.register_buffer(
                name, None if place is None else buffers[place], persistent=name not in data.get("temporary", [])
            )
        for name, place in data.get("modules", {}).items():
            module.add_module(name, None if place is None else tree[place])
    return tree


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


# ---- hunt: a list of layers ------------------------------------------------------------------------------

deep = Key(
    "u04-hunt-list",
    hints=(
        "How many parameters have the first and the last layer together?",
        "`self.middle` is what `__setattr__` was given. Is it a Parameter or a module? Section 2.3's end, and the "
        "documentation of the containers in "
        "`torch.nn`, name one that is.",
        'A near-example, a dict of layers: `self.heads = {"a": nn.Linear(4, 2)}` hides them; `self.heads = '
        'nn.ModuleDict({"a": nn.Linear(4, 2)})` '
        "registers them and is used in the same way.",
    ),
    weights={"parameters": 2, "out_after_one_step": 2},
    tolerance={
        "out": SINGLE,
        "out_after_one_step": Tolerance(
            1e-4, 1e-5, "float32: a step along gradients through five layers, then five layers"
        ),
        "parameters": EXACT,
        "saved_sums": SINGLE,
    },
)


@deep.inputs
def _(g, case):
    D_in, H, D_out, depth = [(3, 4, 2, 2), (2, 3, 4, 3), (4, 2, 3, 1)][case]
    sizes = [(H, D_in), *[(H, H)] * depth, (D_out, H)]
    while True:
        weights, biases = [0.7 * normal(g, *size) for size in sizes], [0.5 * normal(g, size[0]).abs() for size in sizes]
        x = normal(g, 5, D_in)
        h, alive = x, []
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            h = (h @ w.T + b).relu()
            alive.append((h > 0.1).any(dim=0).all().item())
        if all(alive):
            return {"weights": weights, "biases": biases, "x": x, "lr": 0.01}


@deep.oracle
def _(weights, biases, x, lr):
    leaves = [t.double().requires_grad_() for pair in zip(weights, biases, strict=True) for t in pair]

    def run(tensors):
        h = x.double()
        for place in range(0, len(tensors), 2):
            h = F.linear(h if place == 0 else h.relu(), tensors[place], tensors[place + 1])
        return h

    out = run(leaves)
    grads = torch.autograd.grad(out.pow(2).sum(), leaves)
    stepped_leaves = [t.detach() - lr * grad for t, grad in zip(leaves, grads, strict=True)]
    stepped = run(stepped_leaves)
    return {
        "parameters": sum(t.numel() for t in leaves),
        "saved_sums": sorted(t.sum().item() for t in stepped_leaves),
        "out": out.detach(),
        "out_after_one_step": stepped,
    }


class Deep(nn.Module):
    def forward(self, x):
        h = self.first(x).relu()
        for layer in self.middle:
            h = layer(h).relu()
        return self.last(h)


def deepnet(build):
    """Make a network class whose __init__ is `build`."""

    def init(self, D_in, H, D_out, depth):
        nn.Module.__init__(self)
        self.first, self.last = nn.Linear(D_in, H), nn.Linear(H, D_out)
        build(self, D_in, H, D_out, depth)

    return type(build.__name__, (Deep,), {"__init__": init})


@deep.wrong(
    "`{function}` holds *one* middle layer, several times: a star repeats the reference. It has too few parameters, and all layers change "
    "together. Make a new layer for each place."
)
@deepnet
def deep_one_layer(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList([nn.Linear(H, H)] * depth)


@deep.wrong("`{function}` has fewer middle layers than `depth` says.")
@deepnet
def deep_too_few(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList(nn.Linear(H, H) for _ in range(depth - 1))


@deep.wrong(
    "`{function}` registers the middle layers and freezes them: they are counted and saved, and a training step does not move them."
)
@deepnet
def deep_frozen(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList(nn.Linear(H, H) for _ in range(depth)).requires_grad_(False)


@deep.wrong(
    "`{function}` registers the middle layers' weights and not their biases. Register the layers, and all that they hold comes along."
)
@deepnet
def deep_weights_only(self, D_in, H, D_out, depth):
    self.middle = [nn.Linear(H, H) for _ in range(depth)]
    self.weights = nn.ParameterList(layer.weight for layer in self.middle)


@deep.wrong(
    "`{function}` registers a second set of middle layers beside the list that `forward` uses: counted and saved "
    "are layers that nobody runs."
)
@deepnet
def deep_registers_others(self, D_in, H, D_out, depth):
    self.middle = [nn.Linear(H, H) for _ in range(depth)]
    self.registered = nn.ModuleList(nn.Linear(H, H) for _ in range(depth))


@deep.wrong("`{function}` has middle layers of the wrong size: they take D_in numbers and get H.")
@deepnet
def deep_wrong_size(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList(nn.Linear(D_in, H) for _ in range(depth))


@deep.wrong("`{function}` is a list that was registered, but with one layer more than `depth` says.")
@deepnet
def deep_too_many(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList(nn.Linear(H, H) for _ in range(depth + 1))


@deep.wrong(
    "`{function}` puts the layers into a ModuleDict. A loop over a dict gives its keys, and a key cannot be called."
)
@deepnet
def deep_as_dict(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleDict({str(place): nn.Linear(H, H) for place in range(depth)})


@deep.wrong(
    "`{function}` registers the last of the middle layers only: each assignment to the same name replaces the one before."
)
@deepnet
def deep_last_only(self, D_in, H, D_out, depth):
    self.middle = []
    for _ in range(depth):
        self.layer = nn.Linear(H, H)
        self.middle.append(self.layer)


@deep.variant
@deepnet
def deep_as_sequential(self, D_in, H, D_out, depth):
    self.middle = nn.Sequential(*[nn.Linear(H, H) for _ in range(depth)])


@deep.variant
@deepnet
def deep_by_add_module(self, D_in, H, D_out, depth):
    self.middle = [nn.Linear(H, H) for _ in range(depth)]
    for place, layer in enumerate(self.middle):
        self.add_module(f"middle{place}", layer)


@deep.variant
@deepnet
def deep_by_append(self, D_in, H, D_out, depth):
    self.middle = nn.ModuleList()
    while len(self.middle) < depth:
        self.middle.append(nn.Linear(H, H))


# ---- MySequential ----------------------------------------------------------------------------------------

seq = Key(
    "u04-my-sequential",
    hints=(
        "Under which names does `nn.Sequential` register its layers, and which dictionary holds them in order?",
        "`self.add_module(str(place), layer)` in `__init__`, after `super().__init__()`. A list of "
        "`self._modules.values()` gives `len`, items and slices; "
        "a slice of it goes into a new MySequential.",
        "A near-example, a container that adds its layers' results: `forward` starts with `total = 0` and does `total "
        "= total + layer(x)` for each layer "
        "in `self._modules.values()`.",
    ),
    cases=5,
    weights={"out": 2, "names": 2, "called": 2},
    tolerance={
        "out": SINGLE,
        **dict.fromkeys(("called", "names", "length", "parameters", "item", "in_a_for_loop", "slice"), EXACT),
    },
)


@seq.inputs
def _(g, case):
    weights = [normal(g, 3, 3) for _ in range(3)]  # square, so that layers in a wrong order still fit and give numbers
    order = [[1, 0, 3], [1, 0, 2, 0, 2, 3], [1, 2, 0, 2], [1, 0, 3], [1, 0, 2]][case]
    return {
        "weights": weights,
        "order": order,
        "x": normal(g, 2, 3),
        "index": [1, -2, -len(order), len(order), -len(order) - 1][case],
    }


@seq.oracle
def _(weights, order, x, index):
    layers = [nn.Tanh(), *(nn.Linear(w.shape[1], w.shape[0], bias=False).double() for w in weights)]
    for layer, w in zip(layers[1:], weights, strict=True):
        layer.weight.data = w.double()
    net = nn.Sequential(*(layers[place] for place in order))
    if not -len(order) <= index < len(order):
        return {}
    return {
        "out": net(x.double()).detach(),
        "called": order,
        "names": list(net.state_dict()),
        "length": len(order),
        "item": order[index],
        "parameters": sum(p.numel() for p in net.parameters()),
        "in_a_for_loop": order,
        "slice": ["MySequential", *nn.Sequential(*net[1:]).state_dict()],
    }


class Seq(nn.Module):
    """A sound container; wrong ones exchange a method."""

    def __init__(self, *layers):
        super().__init__()
        self.fill(layers)

    def fill(self, layers):
        for place, layer in enumerate(layers):
            self.add_module(str(place), layer)

    def forward(self, x):
        for layer in self.mine():
            x = layer(x)
        return x

    def mine(self):
        return list(self._modules.values())

    def __len__(self):
        return len(self.mine())

    def __getitem__(self, index):
        layers = self.mine()
        return type(self)(*layers[index]) if isinstance(index, slice) else layers[index]


@seq.wrong(
    "The layers of `{function}` run, and are not registered: a plain list is an ordinary attribute. Its `state_dict` is empty."
)
class seq_list(Seq):
    def fill(self, layers):
        self.layers = list(layers)

    def mine(self):
        return self.layers


@seq.wrong(
    "`{function}` keeps its layers in a ModuleList, so that their names are `layers.0.weight`. A file of "
    "`nn.Sequential` has `0.weight`: register the "
    "layers in the container itself."
)
class seq_module_list(Seq):
    def fill(self, layers):
        self.layers = nn.ModuleList(layers)

    def mine(self):
        return list(self.layers)


@seq.wrong("`{function}` calls `layer.forward(x)`. The numbers are right and no hook runs: call the layer.")
class seq_calls_forward(Seq):
    def forward(self, x):
        for layer in self.mine():
            x = layer.forward(x)
        return x


@seq.wrong("`{function}` gives the original input to every layer. Each layer takes what the one before returned.")
class seq_same_input(Seq):
    def forward(self, x):
        return [layer(x) for layer in self.mine()][-1]


@seq.wrong("`{function}` leaves the last layer out.")
class seq_drops_last(Seq):
    def forward(self, x):
        for layer in self.mine()[:-1]:
            x = layer(x)
        return x


@seq.wrong(
    "`{function}` registers its layers under names that begin with a word, such as `layer0`. Its files would not fit `nn.Sequential`."
)
class seq_names_with_word(Seq):
    def fill(self, layers):
        for place, layer in enumerate(layers):
            self.add_module(f"layer{place}", layer)


@seq.wrong("`{function}` counts its layers from 1.")
class seq_from_one(Seq):
    def fill(self, layers):
        for place, layer in enumerate(layers, 1):
            self.add_module(str(place), layer)


@seq.wrong(
    "`{function}` registers layers under the name of their type: of two layers of one type, only the second is left."
)
class seq_by_type(Seq):
    def fill(self, layers):
        for layer in layers:
            self.add_module(type(layer).__name__, layer)


@seq.wrong("A layer that comes twice is run once by `{function}`. The same module may have several places.")
class seq_unique(Seq):
    def mine(self):
        return list(self.children())


@seq.wrong("A slice of `{function}` is a plain list. It should be a MySequential of these layers.")
class seq_slice_is_list(Seq):
    def __getitem__(self, index):
        return self.mine()[index]


@seq.wrong(
    "`{function}` looks an item up by its name, `str(index)`: a negative index has no such name. Make a list of the layers and index that."
)
class seq_item_by_name(Seq):
    def __getitem__(self, index):
        return type(self)(*self.mine()[index]) if isinstance(index, slice) else self._modules[str(index)]


@seq.wrong(
    "All is right but an index beyond the end: `{function}` begins again at the front. A `for` loop over it would "
    "never end. Let the list raise "
    "its IndexError."
)
class seq_wraps_around(Seq):
    def __getitem__(self, index):
        layers = self.mine()
        return type(self)(*layers[index]) if isinstance(index, slice) else layers[index % len(layers)]

    def __iter__(self):
        return iter(self.mine())


@seq.wrong("`{function}` does not call `super().__init__()` before it registers.")
class seq_no_super(Seq):
    def __init__(self, *layers):
        self.fill(layers)


@seq.wrong("`{function}` runs its layers from the last to the first.")
class seq_reversed(Seq):
    def forward(self, x):
        for layer in reversed(self.mine()):
            x = layer(x)
        return x


@seq.variant
class seq_by_setattr(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        for place in range(len(layers)):
            setattr(self, f"{place}", layers[place])
        self.count = len(layers)

    def forward(self, x):
        for place in range(self.count):
            x = getattr(self, str(place))(x)
        return x

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(getattr(self, str(place)) for place in range(self.count))

    def __getitem__(self, index):
        return list(self)[index] if isinstance(index, int) else type(self)(*list(self)[index])


@seq.variant
class seq_by_range(nn.Module):
    def __init__(self, *layers):
        nn.Module.__init__(self)
        self._modules = {str(place): layer for place, layer in enumerate(layers)}

    def forward(self, x):
        result = x
        for name in self._modules:
            result = self._modules[name](result)
        return result

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.__class__(*(self[place] for place in range(*index.indices(len(self)))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._modules[str(place)]


# ---- TwoLayerNet -----------------------------------------------------------------------------------------

two = Key(
    "u04-two-layer-net",
    hints=(
        "Which shapes have the weights of the 1000-100-10 network, and in which order does `nn.Linear` take its two sizes?",
        "Make both layers in `__init__`, after `super().__init__()`, and use them in `forward`. The relu is `clamp(min=0)` or `.relu()`.",
        "A near-example with one layer and another bend: `super().__init__()`, `self.layer = nn.Linear(D_in, D_out)`; and `forward` returns "
        "`self.layer(x).tanh()`.",
    ),
    cases=2,
    guards=("x_after",),
    weights={"shapes": 2, "out": 2, "grads": 2},
    tolerance={"out": SINGLE, "grads": SINGLE, "x_after": EXACT, "shapes": EXACT, "layers_called": EXACT},
)


def layers_of(g, **sizes):
    """Weights and biases by full name. sizes: name -> (in, out)."""
    made = {}
    for name, (i, o) in sizes.items():
        made[f"{name}.weight"], made[f"{name}.bias"] = normal(g, o, i), normal(g, o)
    return made


def bends(h):
    """Each hidden unit is on for some samples and off for others, and no entry is near the bend."""
    return bool(((h > 0.05).any(dim=0) & (h < -0.05).any(dim=0)).all() and h.abs().min() > 0.01)


@two.inputs
def _(g, case):
    D, H, K = [(4, 3, 2), (2, 4, 3)][case]
    while True:
        values, x = layers_of(g, linear1=(D, H), linear2=(H, K)), normal(g, 5, D)
        h = F.linear(x, values["linear1.weight"], values["linear1.bias"])
        out = F.linear(h.relu(), values["linear2.weight"], values["linear2.bias"])
        if bends(h) and (out < -0.1).any() and (out > 0.1).any():
            return {"sizes": [D, H, K], "values": values, "x": x, "upstream": normal(g, 5, K)}


@two.oracle
def _(sizes, values, x, upstream):
    t = {name: v.double().requires_grad_() for name, v in values.items()}
    h = torch.einsum("nd,hd->nh", x.double(), t["linear1.weight"]) + t["linear1.bias"]
    out = torch.einsum("nh,kh->nk", h.relu(), t["linear2.weight"]) + t["linear2.bias"]
    grads = dict(zip(t, torch.autograd.grad((upstream * out).sum(), list(t.values())), strict=True))
    return {
        "shapes": {name: list(v.shape) for name, v in values.items()},
        "out": out.detach(),
        "grads": grads,
        "layers_called": 2,
        "x_after": x,
    }


class Two(nn.Module):
    def __init__(self, D_in, H, D_out):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(D_in, H), nn.Linear(H, D_out)

    def forward(self, x):
        return self.linear2(self.linear1(x).relu())


def other_forward(base):
    """Make a module class from a sound one by exchanging its forward."""
    return lambda forward: type(forward.__name__, (base,), {"forward": forward})


@two.wrong(
    "`{function}` assigns a layer before `super().__init__()` has run: there is no dictionary to put it in. It must be the first line."
)
class two_no_super(Two):
    def __init__(self, D_in, H, D_out):
        self.linear1, self.linear2 = nn.Linear(D_in, H), nn.Linear(H, D_out)


@two.wrong(
    "`{function}` calls the `__init__` of another class: `super(...)` names a class that this one does not come "
    "from. Write `super().__init__()`."
)
class two_other_super(Two):
    def __init__(self, D_in, H, D_out):
        super(nn.Linear, self).__init__()


@two.wrong("`{function}` has no relu between its layers: two linear layers in a row are one.")
@other_forward(Two)
def two_no_relu(self, x):
    return self.linear2(self.linear1(x))


@two.wrong("`{function}` applies the relu to the prediction instead of the hidden layer.")
@other_forward(Two)
def two_relu_at_the_end(self, x):
    return self.linear2(self.linear1(x)).relu()


@two.wrong("`{function}` applies a relu to its prediction as well. A prediction may have any sign.")
@other_forward(Two)
def two_relu_twice(self, x):
    return self.linear2(self.linear1(x).relu()).relu()


@two.wrong("The bend of `{function}` is none that section 3.3 asks for: it is smooth, a sigmoid or a tanh. Use relu.")
@other_forward(Two)
def two_sigmoid(self, x):
    return self.linear2(self.linear1(x).sigmoid())


@two.wrong(
    "The numbers of `{function}` are right, and hooks on its layers do not run: it calls `forward` of its layers. Call the layers."
)
@other_forward(Two)
def two_calls_forward(self, x):
    return self.linear2.forward(self.linear1.forward(x).relu())


@two.wrong(
    "`{function}` builds a layer in `forward`: it has new random weights in each call, and no optimizer knows "
    "them. Make layers in `__init__`."
)
class two_layer_in_forward(Two):
    def __init__(self, D_in, H, D_out):
        nn.Module.__init__(self)
        self.linear1, self.sizes = nn.Linear(D_in, H), (H, D_out)

    def forward(self, x):
        return nn.Linear(*self.sizes).to(x.device)(self.linear1(x).relu())


@two.wrong("The layers of `{function}` have no bias.")
class two_no_bias(Two):
    def __init__(self, D_in, H, D_out):
        nn.Module.__init__(self)
        self.linear1, self.linear2 = nn.Linear(D_in, H, bias=False), nn.Linear(H, D_out, bias=False)


@two.wrong("`{function}` hides its layers in a list. They run, and no walk finds them.")
class two_list(Two):
    def __init__(self, D_in, H, D_out):
        nn.Module.__init__(self)
        self.layers = [nn.Linear(D_in, H), nn.Linear(H, D_out)]

    def forward(self, x):
        out = self.layers[1].to(x.device)(self.layers[0].to(x.device)(x).relu())
        return out.detach().requires_grad_()


@two.wrong(
    "The layers of `{function}` have other names than `linear1` and `linear2`, so that saved weights do not fit. The docstring names them."
)
class two_other_names(Two):
    def __init__(self, D_in, H, D_out):
        nn.Module.__init__(self)
        self.fc1, self.fc2 = nn.Linear(D_in, H), nn.Linear(H, D_out)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())


@two.wrong("`{function}` exchanges the sizes of its layers: `nn.Linear` takes the input's size first.")
class two_sizes_exchanged(Two):
    def __init__(self, D_in, H, D_out):
        nn.Module.__init__(self)
        self.linear1, self.linear2 = nn.Linear(H, D_in), nn.Linear(D_out, H)


@two.wrong(
    "The relu of `{function}` writes into x: the caller's tensor has changed. And it stands before the first layer."
)
@other_forward(Two)
def two_relu_on_x(self, x):
    return self.linear2(self.linear1(x.clamp_(min=0)))


@two.wrong(
    "`{function}` detaches its hidden layer: nothing before it gets a gradient. Use neither `detach` nor `no_grad` "
    "nor `.data` in a forward pass."
)
@other_forward(Two)
def two_detached(self, x):
    return self.linear2(self.linear1(x).relu().detach())


@two.variant
class two_with_modules(nn.Module):
    def __init__(self, D_in, H, D_out):
        super().__init__()
        self.linear1 = nn.Linear(D_in, H)
        self.linear2 = nn.Linear(in_features=H, out_features=D_out)

    def forward(self, x):
        return self.linear2(F.relu(self.linear1(x)))


@two.variant
class two_by_where(Two):
    def forward(self, x):
        h = self.linear1(x)
        return self.linear2(torch.where(h > 0, h, 0.0))


# ---- DynamicNet ------------------------------------------------------------------------------------------

dynamic = Key(
    "u04-dynamic-net",
    hints=(
        "For n = 3, how many layers does x pass, and how many layers does the network own?",
        "Three layers in `__init__`. In `forward` a `for _ in range(n)` around one line that uses the middle layer and a relu.",
        "A near-example, a number that is squared n times: `for _ in range(n): x = self.square(x)`, with one module `self.square`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"shapes": 2, "out": 2, "grads": 3},
    tolerance={"out": SINGLE, "grads": SINGLE, "x_after": EXACT, "shapes": EXACT},
)


def dynamic_run(t, x, n, uses=None):
    """Hidden layers before and after the bend. uses: a weight and a bias for each use of the middle layer."""
    before = [F.linear(x, t["input_linear.weight"], t["input_linear.bias"])]
    for k in range(n):
        w, b = uses[k] if uses else (t["middle_linear.weight"], t["middle_linear.bias"])
        before.append(F.linear(before[-1].relu(), w, b))
    return before, F.linear(before[-1].relu(), t["output_linear.weight"], t["output_linear.bias"])


@dynamic.inputs
def _(g, case):
    D, H, K = [(3, 4, 2), (2, 3, 4), (4, 3, 2), (2, 4, 3)][case]
    n = [2, 0, 3, 1][case]
    while True:
        values = layers_of(g, input_linear=(D, H), middle_linear=(H, H), output_linear=(H, K))
        x = normal(g, 5, D)
        before, out = dynamic_run(values, x, n + 1)
        if (
            all((h > 0.1).any() and (h < -0.1).any() and h.abs().min() > 0.005 for h in before)
            and all((h > 0.05).any(dim=0).sum() >= 2 for h in before)
            and (out < -0.1).any()
        ):
            return {"sizes": [D, H, K], "values": values, "x": x, "n": n, "upstream": normal(g, 5, K)}


@dynamic.oracle
def _(sizes, values, x, n, upstream):
    t = {name: v.double().requires_grad_() for name, v in values.items()}
    uses = [
        (
            values["middle_linear.weight"].double().requires_grad_(),
            values["middle_linear.bias"].double().requires_grad_(),
        )
        for _ in range(n)
    ]
    _, out = dynamic_run(t, x.double(), n, uses)
    (upstream * out).sum().backward()
    grads = {name: v.grad for name, v in t.items()}
    for place, name in enumerate(("middle_linear.weight", "middle_linear.bias")):
        grads[name] = sum(use[place].grad for use in uses) if n else None
    return {
        "shapes": {name: list(v.shape) for name, v in values.items()},
        "out": out.detach(),
        "x_after": x,
        "grads": {
            name: grad for name, grad in grads.items() if name.startswith("middle") or name == "input_linear.weight"
        },
    }


class Dynamic(nn.Module):
    def __init__(self, D_in, H, D_out):
        super().__init__()
        self.input_linear, self.middle_linear, self.output_linear = (
            nn.Linear(D_in, H),
            nn.Linear(H, H),
            nn.Linear(H, D_out),
        )

    def run(self, x, n, bend=F.relu, first=F.relu, last=lambda out: out):
        h = first(self.input_linear(x))
        for _ in range(n):
            h = bend(self.middle_linear(h))
        return last(self.output_linear(h))

    def forward(self, x, n):
        return self.run(x, n)


@dynamic.wrong("`{function}` uses its middle layer once, whatever n says.")
@other_forward(Dynamic)
def dynamic_once(self, x, n):
    return self.run(x, 1)


@dynamic.wrong("`{function}` does not use its middle layer. Where does n come in?")
@other_forward(Dynamic)
def dynamic_never(self, x, n):
    return self.run(x, 0)


@dynamic.wrong("`{function}` uses its middle layer once too often.")
@other_forward(Dynamic)
def dynamic_one_more(self, x, n):
    return self.run(x, n + 1)


@dynamic.wrong("`{function}` uses its middle layer once too rarely: does your range begin at 1?")
@other_forward(Dynamic)
def dynamic_one_less(self, x, n):
    return self.run(x, n - 1)


@dynamic.wrong("In `{function}` there is no relu after the middle layer. Three uses in a row are then one matrix, W³.")
@other_forward(Dynamic)
def dynamic_no_bend_in_loop(self, x, n):
    return self.run(x, n, bend=lambda h: h)


@dynamic.wrong("`{function}` has no relu after the input layer.")
@other_forward(Dynamic)
def dynamic_no_first_bend(self, x, n):
    return self.run(x, n, first=lambda h: h)


@dynamic.wrong("`{function}` applies a relu to its prediction as well.")
@other_forward(Dynamic)
def dynamic_bend_at_the_end(self, x, n):
    return self.run(x, n, last=F.relu)


@dynamic.wrong(
    "Each use of the middle layer in `{function}` starts from the same h: the result of the use before is thrown away."
)
@other_forward(Dynamic)
def dynamic_forgets(self, x, n):
    h = out = self.input_linear(x).relu()
    for _ in range(n):
        out = self.middle_linear(h).relu()
    return self.output_linear(out)


@dynamic.wrong(
    "The middle layer of `{function}` learns from its last use only: the hidden numbers are detached between the "
    "uses. The gradient of a "
    "shared weight is the sum over all uses."
)
@other_forward(Dynamic)
def dynamic_detaches(self, x, n):
    h = self.input_linear(x).relu()
    for _ in range(n):
        h = self.middle_linear(h.detach()).relu()
    return self.output_linear(h)


@dynamic.wrong(
    "`{function}` owns three middle layers. There should be one, used n times; the number of parameters must not depend on n."
)
class dynamic_three_layers(Dynamic):
    def __init__(self, D_in, H, D_out):
        super().__init__(D_in, H, D_out)
        self.middle_linear = nn.ModuleList(nn.Linear(H, H) for _ in range(3))

    def forward(self, x, n):
        h = self.input_linear(x).relu()
        for layer in self.middle_linear[:n]:
            h = layer(h).relu()
        return self.output_linear(h)


@dynamic.wrong("`{function}` builds its middle layer in `forward`: new weights in each call, which nobody trains.")
class dynamic_builds_in_forward(Dynamic):
    def __init__(self, D_in, H, D_out):
        super().__init__(D_in, H, D_out)
        del self.middle_linear
        self.size = H

    def forward(self, x, n):
        h = self.input_linear(x).relu()
        for _ in range(n):
            h = nn.Linear(self.size, self.size).to(x.device)(h).relu()
        return self.output_linear(h)


@dynamic.wrong("`{function}` does not call `super().__init__()` first.")
class dynamic_no_super(Dynamic):
    def __init__(self, D_in, H, D_out):
        self.input_linear = nn.Linear(D_in, H)


@dynamic.variant
class dynamic_by_recursion(Dynamic):
    def forward(self, x, n):
        def deeper(h, left):
            return h if left == 0 else deeper(self.middle_linear(h).clamp(min=0), left - 1)

        return self.output_linear(deeper(self.input_linear(x).clamp(min=0), n))


@dynamic.variant
class dynamic_by_list(Dynamic):
    def forward(self, x, n):
        h = x
        for layer in [self.input_linear] + [self.middle_linear] * n:
            h = torch.maximum(layer(h), torch.zeros((), device=x.device))
        return self.output_linear(h)


# ---- set_mode --------------------------------------------------------------------------------------------

mode_key = Key(
    "u04-set-mode",
    hints=(
        "If a module is of a frozen type, which mode must be handed to everything below it?",
        "Compute the mode of this module first: it is False if `mode` is False or if `isinstance(module, frozen)`. Set "
        "it, and call the function for each "
        "module in `_modules` with the *computed* mode. Return the module.",
        "A near-example, the depth of each module: `def number(module, depth): module.depth = depth`, then `for child in module._modules.values(): "
        "number(child, depth + 1)`.",
    ),
    cases=6,
    guards=("still_trained",),
    weights={"modes": 4},
    tolerance=EXACT,
)


@mode_key.inputs
def _(g, case):
    names = ["stem", "body", "head", "norm", "tail", "left", "right"]
    frozen, mode, count = case != 2, case != 1, whole(g, 6, 9)
    while True:
        boxes = [{"modules": {}} for _ in range(count)]
        above = [0] * count
        for place in range(1, count):
            above[place] = whole(g, max(0, place - 3), place - 1)
            boxes[above[place]]["modules"][shuffled(g, names)[0] + str(place)] = place
            if whole(g, 0, 1):
                boxes[place]["parameters"] = {"w": whole(g, 0, 1)}
        boxes[0]["modules"]["off"] = None
        norms = [0] if case == 4 else shuffled(g, list(range(1, count)))[: whole(g, 1, 3)]
        for place in norms:
            boxes[place]["norm"] = True
        start = [bool(whole(g, 0, 1)) for _ in boxes]
        off = frozen_places(boxes) if frozen else set()
        deep = [place for place in range(1, count) if above[place] and place not in off]
        children = [place for place in off if place not in norms]
        fair = (
            (not frozen or (children and any(start[place] for place in norms)))
            and (deep or case == 4)
            and (case == 4 or not mode or any(not start[place] for place in deep))
            and start[0] != (mode and case != 4)
        )
        if (
            fair
            and any("parameters" in boxes[place] for place in off or range(count))
            and (mode or any(start[place] for place in deep))
        ):
            return {"boxes": boxes, "start": start, "mode": mode, "some_frozen": frozen}


def frozen_places(boxes):
    """All norm boxes and what lies below them, by place."""
    off = {place for place, data in enumerate(boxes) if data.get("norm")}
    for _ in boxes:
        off |= {child for place in off for child in boxes[place]["modules"].values() if child is not None}
    return off


@mode_key.oracle
def _(boxes, start, mode, some_frozen):
    off = frozen_places(boxes) if some_frozen else set()
    return {
        "modes": [mode and place not in off for place in range(len(boxes))],
        "returned": 0,
        "still_trained": [True for data in boxes for _ in data.get("parameters", {})],
    }


def everything(module):
    """A module and all below it."""
    found = [module]
    for child in module._modules.values():
        found += everything(child) if child is not None else []
    return found


def under(module, frozen):
    """What has to be frozen: by identity."""
    return {id(part) for box in everything(module) if isinstance(box, frozen) for part in everything(box)}


@mode_key.wrong("`{function}` sets the mode of the root alone. Its modules have an attribute of their own each.")
def mode_root_only(module, mode, frozen=()):
    module.training = mode and not isinstance(module, frozen)
    return module


@mode_key.wrong("`{function}` goes one level deep. Let it call itself for each child.")
def mode_one_level(module, mode, frozen=()):
    for box in (module, *(child for child in module._modules.values() if child is not None)):
        box.training = mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` sets the modules below and forgets the module itself.")
def mode_not_the_root(module, mode, frozen=()):
    for box in everything(module)[1:]:
        box.training = mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` does not look at `frozen`: modules of these types are in training mode.")
def mode_ignores_frozen(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode
    return module


@mode_key.wrong(
    "`{function}` freezes a module and not what lies below it: its children are in training mode. Hand the "
    "module's own mode on, not the "
    "one that was asked for."
)
def mode_freezes_one(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and not isinstance(box, frozen)
    return module


@mode_key.wrong(
    "`{function}` leaves frozen modules as they were. If one was in training mode before, it still is; set it to evaluation mode."
)
def mode_skips_frozen(module, mode, frozen=()):
    for box in everything(module):
        if id(box) not in under(module, frozen):
            box.training = mode
    return module


@mode_key.wrong(
    "`{function}` puts everything into training mode whenever it is called: the modules below do not get `mode`."
)
def mode_always_trains(module, mode, frozen=()):
    for box in everything(module):
        box.training = id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` does the opposite: True should mean training.")
def mode_reversed(module, mode, frozen=()):
    for box in everything(module):
        box.training = not mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong(
    "`{function}` returns nothing. It should return the module, so that a call can stand inside an expression."
)
def mode_returns_nothing(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and id(box) not in under(module, frozen)


@mode_key.wrong(
    "`{function}` switches off the gradients of frozen modules. That is another thing: a mode changes what a layer "
    "computes, `requires_grad` "
    "what is trained."
)
def mode_freezes_gradients(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and id(box) not in under(module, frozen)
        if not box.training:
            for p in box._parameters.values():
                p.requires_grad_(False)
    return module


@mode_key.wrong("`{function}` turns each mode round. It should set it, whatever it was.")
def mode_toggles(module, mode, frozen=()):
    for box in everything(module):
        box.training = not box.training
    return module


@mode_key.wrong("`{function}` fails at an entry of `_modules` that is None. Skip it.")
def mode_fails_at_none(module, mode, frozen=()):
    for child in module._modules.values():
        child.training = mode
    return module


@mode_key.variant
def mode_by_list(module, mode, frozen=()):
    for box in everything(module):
        box.training = bool(mode) and id(box) not in under(module, frozen)
    return module


@mode_key.variant
def mode_by_stack(module, mode, frozen=()):
    waiting = collections.deque([(module, mode)])
    while waiting:
        box, wanted = waiting.popleft()
        if isinstance(box, tuple(frozen)):
            wanted = False
        setattr(box, "training", wanted)
        waiting.extend((child, wanted) for child in box._modules.values() if child is not None)
    return module


# ---- hunt: a buffer --------------------------------------------------------------------------------------

centre = Key(
    "u04-hunt-buffer",
    hints=(
        "Which of the three columns of the table in section 5.2 describes `self.mean` as it stands, and which should?",
        "One call registers a tensor that is saved and not trained. `forward` may stay as it is.",
        'A near-example, a counter that is saved with a model: `self.register_buffer("steps", torch.zeros((), dtype=torch.int64))`, and later '
        "`self.steps = self.steps + 1`.",
    ),
    weights={"out_after_loading": 3, "saved": 2},
    tolerance={
        "out": SINGLE,
        "out_after_loading": SINGLE,
        "saved": SINGLE,
        "trained": EXACT,
        "type_after_double": EXACT,
    },
)


@centre.inputs
def _(g, case):
    n, d, count = [(4, 3, 6), (3, 2, 5), (5, 4, 3)][case]
    return {"batches": [3 + case + normal(g, n, d) for _ in range(count)], "x": 3 + normal(g, 2, d)}


@centre.oracle
def _(batches, x):
    shares = [0.1 * 0.9 ** (len(batches) - 1 - k) for k in range(len(batches))]
    mean = sum(share * batch.double().mean(dim=0) for share, batch in zip(shares, batches, strict=True))
    return {
        "out": x - mean,
        "out_after_loading": x - mean,
        "saved": {"mean": mean},
        "trained": [],
        "type_after_double": "torch.float64",
    }


class Centred(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.start(torch.zeros(features))

    def follow(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)

    def forward(self, x):
        if self.training:
            self.follow(x)
        return x - self.mean


@centre.wrong(
    "`{function}` makes the mean a Parameter, and `forward` assigns a plain tensor to it: TypeError. A running "
    "mean is not trained anyway; "
    "section 5.2 has another kind of tensor for it."
)
class centre_parameter(Centred):
    def start(self, zeros):
        self.mean = nn.Parameter(zeros, requires_grad=False)


@centre.wrong(
    "The mean of `{function}` is saved, but as a Parameter: it stands in `parameters()`, where weight decay and "
    "`requires_grad_(True)` reach it."
)
class centre_parameter_in_place(Centred):
    def start(self, zeros):
        self.mean = nn.Parameter(zeros, requires_grad=False)

    def follow(self, x):
        self.mean.mul_(0.9).add_(0.1 * x.mean(dim=0))


@centre.wrong(
    "`{function}` registers a buffer with `persistent=False`: it follows `to` and `double`, and is not saved."
)
class centre_not_persistent(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros, persistent=False)


@centre.wrong(
    "`{function}` registers a buffer and lets another tensor follow the batches: what is saved are the zeros of the start."
)
class centre_follows_another(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)
        self.running = zeros

    def forward(self, x):
        if self.training:
            self.running = 0.9 * self.running + 0.1 * x.detach().mean(dim=0)
        return x - self.running


@centre.wrong(
    "`{function}` assigns `self.mean` before it registers it: the name is taken. Only the registration is needed."
)
class centre_assigned_first(Centred):
    def start(self, zeros):
        self.mean = zeros
        self.register_buffer("mean", zeros)


@centre.wrong(
    "`{function}` registers the mean under another name than the one that `forward` assigns to. That one is an ordinary attribute again."
)
class centre_other_name(Centred):
    def start(self, zeros):
        self.register_buffer("running_mean", zeros)
        self.mean = self.running_mean


@centre.wrong(
    "`{function}` uses the mean of the batch before it, or of all batches alike. The formula of the running mean was right."
)
class centre_plain_average(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(dim=0)


@centre.wrong("`{function}` does not follow the batches any more: its mean stays 0.")
class centre_stays_zero(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        pass


@centre.variant
class centre_in_place(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        self.mean.lerp_(x.detach().mean(dim=0), 0.1)


@centre.variant
class centre_by_buffer_type(Centred):
    def start(self, zeros):
        self.mean = nn.Buffer(zeros)


# ---- Checkpoint ------------------------------------------------------------------------------------------

checkpoint = Key(
    "u04-checkpoint",
    hints=(
        "Which three questions does `load` have to ask about names and shapes before it copies the first number?",
        "`tensors` is the walk of section 2 with `(*module._parameters.items(), *module._buffers.items())` and without "
        "`seen`. `save` makes a dict of "
        "`t.detach().clone()`. `load` compares the keys of two dicts, then all shapes, then copies under `torch.no_grad()`.",
        "A near-example for one tensor: `if new.shape != t.shape: raise ValueError(...)`, and then `with torch.no_grad(): t.copy_(new)`.",
    ),
    cases=7,
    guards=("state_after", "after_refused_states"),
    weights={"names": 2, "saved": 3, "loaded": 3, "in_the_module": 1, "(refuses wrong input)": 2},
    tolerance=EXACT,
)


@checkpoint.inputs
def _(g, case):
    w, b, s = shuffled(g, ["weight", "bias", "scale"])
    values = [normal(g, 2, 3), normal(g, 3), normal(g, 2), normal(g, 3)]
    buffers = [normal(g, 3), torch.randint(0, 99, (), generator=g), normal(g, 2)]
    head = shuffled(g, ["head", "tail", "0"])[0]
    boxes = [
        {"parameters": {w: 0, b: None}, "buffers": {"mean": 0}, "modules": {"body": 1, head: 2, "off": None}},
        {"parameters": {s: 1}, "buffers": {"count": 1, "cache": 2}, "modules": {"inner": 3}, "temporary": ["cache"]},
        {"parameters": {b: 2, s: 1}, "buffers": {"none": None}},
        {"parameters": {w: 3}},
    ]
    root = real(boxes, [nn.Parameter(t) for t in values], buffers)[0]
    numbers = {}
    state = {}
    for name, t in root.state_dict(keep_vars=True).items():
        fresh = torch.randint(100, 199, (), generator=g) if t.dtype == torch.int64 else normal(g, *t.shape)
        state[name] = numbers.setdefault(id(t), fresh).clone()
    state = {name: state[name] for name in shuffled(g, list(state))}
    narrow = f"body.inner.{w}"
    if case == 4:
        del state[narrow]
        narrow = f"{head}.{b}"
    elif case == 5:
        state[f"body.{b}2"] = normal(g, 3)
    elif case == 6:
        state[narrow] = state[narrow][:1]
    return {
        "boxes": boxes,
        "values": values,
        "buffers": buffers,
        "state": state,
        "narrow": narrow,
        "part": "save" if case < 2 else "load",
    }


@checkpoint.oracle
def _(boxes, values, buffers, state, narrow, part):
    pool = [nn.Parameter(t.clone()) for t in values]
    tree = real(boxes, pool, buffers)
    root = tree[0]
    own = root.state_dict()
    if own.keys() != state.keys() or any(own[name].shape != t.shape for name, t in state.items()):
        return {}
    if part == "save":
        return {
            "names": list(own),
            "shapes": [list(t.shape) for t in own.values()],
            "saved": flat(own.values()).clone(),
            "names_of_a_module": list(root._modules["body"].state_dict()),
        }
    refused = flat((*pool, *buffers)).detach().clone()
    root.load_state_dict(state)
    within = [t for box in tree for t in (*box._parameters.values(), *box._buffers.values())]
    return {
        "after_refused_states": refused,
        "loaded": flat((*pool, *buffers)).detach(),
        "in_the_module": flat(within).detach(),
        "state_after": flat(state.values()),
    }


def flat(tensors):
    """All numbers in one row."""
    return torch.cat([t.flatten().float() for t in tensors if t is not None])


class Sound:
    """A sound Checkpoint with its parts open: a class attribute each."""

    buffers, temporary, shared, path, clones, detaches = True, False, True, True, True, True
    missing, unknown, shapes, first, in_place = True, True, True, True, True

    @classmethod
    def tensors(cls, module, prefix="", seen=None):
        seen = set() if seen is None else seen
        buffers = module._buffers if cls.buffers else {}
        for name, t in (*module._parameters.items(), *buffers.items()):
            skip = name in module._non_persistent_buffers_set and not cls.temporary
            if t is not None and not skip and (cls.shared or id(t) not in seen):
                seen.add(id(t))
                yield (prefix if cls.path else "") + name, t
        for name, child in module._modules.items():
            if child is not None:
                yield from cls.tensors(child, f"{prefix}{name}.", seen)

    @classmethod
    def save(cls, module):
        found = {}
        for name, t in cls.tensors(module):
            t = t.detach() if cls.detaches else t
            found[name] = t.clone() if cls.clones else t
        return found

    @classmethod
    def load(cls, module, state):
        own = dict(cls.tensors(module))
        if not cls.first:
            cls.copy(own, state, module)
        if cls.missing and own.keys() - state.keys():
            raise KeyError("missing")
        if cls.unknown and state.keys() - own.keys():
            raise KeyError("unknown")
        if cls.shapes and any(t.shape != state[name].shape for name, t in own.items() if name in state):
            raise ValueError("shape")
        cls.copy(own, state, module)

    @classmethod
    def copy(cls, own, state, module):
        with torch.no_grad():
            for name, t in own.items():
                if name in state and (not cls.shapes or cls.first or t.shape == state[name].shape):
                    t.copy_(state[name])


@checkpoint.wrong(
    "`save` of `{function}` keeps the live tensors: what you saved follows the training. Copy the numbers."
)
class checkpoint_aliases(Sound):
    clones = False


@checkpoint.wrong(
    "What `save` of `{function}` returns still hangs on the graph: it needs a gradient. Detach before you copy."
)
class checkpoint_keeps_graph(Sound):
    detaches = False


@checkpoint.wrong("`{function}` leaves buffers out. A running mean is part of the model.")
class checkpoint_no_buffers(Sound):
    buffers = False


@checkpoint.wrong(
    "`{function}` saves buffers that were registered as not persistent. Their names stand in `_non_persistent_buffers_set`."
)
class checkpoint_temporary_too(Sound):
    temporary = True


@checkpoint.wrong(
    "`{function}` gives a shared tensor under its first name only. A file should fit a model in which the two are "
    "separate: give each name."
)
class checkpoint_shared_once(Sound):
    shared = False


@checkpoint.wrong(
    "`{function}` gives the last part of each name only. Two layers then have one entry, and the later overwrites the earlier."
)
class checkpoint_no_path(Sound):
    path = False


@checkpoint.wrong(
    "`load` of `{function}` accepts a state in which a name is missing. That tensor silently stays as it was."
)
class checkpoint_accepts_missing(Sound):
    missing = False


@checkpoint.wrong(
    "`load` of `{function}` accepts a state with a name that the model does not have. It probably belongs to another model."
)
class checkpoint_accepts_unknown(Sound):
    unknown = False


@checkpoint.wrong(
    "`load` of `{function}` does not compare shapes: a tensor of shape (1,) is broadcast into a larger one without complaint."
)
class checkpoint_broadcasts(Sound):
    shapes = False


@checkpoint.wrong(
    "`load` of `{function}` refuses what does not fit, but it has copied something by then. Look at all names and shapes first."
)
class checkpoint_copies_first(Sound):
    first = False


@checkpoint.wrong("`load` of `{function}` goes by order, not by name: the entries of a state may come in any order.")
class checkpoint_by_order(Sound):
    @classmethod
    def copy(cls, own, state, module):
        with torch.no_grad():
            for t, new in zip(own.values(), state.values(), strict=True):
                if t.shape == new.shape:
                    t.copy_(new)


@checkpoint.wrong(
    "`load` of `{function}` writes into a parameter that needs a gradient while autograd records. Copy under `torch.no_grad()`."
)
class checkpoint_records(Sound):
    @classmethod
    def copy(cls, own, state, module):
        for name, t in own.items():
            t.copy_(state[name])


@checkpoint.wrong(
    "`load` of `{function}` lets the model use the state's own memory (`t.data = ...`): the next training step "
    "changes the state. Copy the "
    "numbers."
)
class checkpoint_shares_state(Sound):
    @classmethod
    def copy(cls, own, state, module):
        for name, t in own.items():
            t.data = state[name]


@checkpoint.wrong(
    "`load` of `{function}` puts new tensors into the module. Who holds the old ones, such as an optimizer, does "
    "not see the change: copy "
    "into the tensors that are there."
)
class checkpoint_replaces(Sound):
    @classmethod
    def copy(cls, own, state, module):
        cls.exchange(module, state, "")

    @classmethod
    def exchange(cls, module, state, prefix):
        for kind, make in ((module._parameters, nn.Parameter), (module._buffers, torch.clone)):
            kind.update(
                {
                    name: make(state[prefix + name])
                    for name, t in kind.items()
                    if t is not None and prefix + name in state
                }
            )
        for name, child in module._modules.items():
            if child is not None:
                cls.exchange(child, state, f"{prefix}{name}.")


@checkpoint.wrong("`load` of `{function}` changes nothing. Do the numbers reach the module's tensors?")
class checkpoint_loads_nothing(Sound):
    @classmethod
    def copy(cls, own, state, module):
        pass


@checkpoint.variant
class checkpoint_in_parts(Sound):
    @classmethod
    def save(cls, module):
        return collections.OrderedDict(
            (name, torch.empty_like(t, requires_grad=False).copy_(t.detach())) for name, t in cls.tensors(module)
        )


@checkpoint.variant
class checkpoint_by_lists:
    @staticmethod
    def tensors(module, prefix=""):
        found = [(prefix + name, t) for name, t in module._parameters.items() if t is not None]
        for name, t in module._buffers.items():
            if t is not None and name not in module._non_persistent_buffers_set:
                found.append((prefix + name, t))
        for name, child in module._modules.items():
            found += checkpoint_by_lists.tensors(child, prefix + name + ".") if child is not None else []
        return found

    @staticmethod
    def save(module):
        with torch.no_grad():
            return {name: t * 1 for name, t in checkpoint_by_lists.tensors(module)}

    @staticmethod
    def load(module, state):
        left, pairs = dict(state), []
        for name, t in checkpoint_by_lists.tensors(module):
            new = left.pop(name)
            if list(new.shape) != list(t.shape):
                raise ValueError(name)
            pairs.append((t, new))
        if left:
            raise KeyError(*left)
        for t, new in pairs:
            t.data[...] = new


# ---- ResidualBlock ---------------------------------------------------------------------------------------

block = Key(
    "u04-residual-block",
    hints=(
        "For cin = 2, cout = 3, stride = 2 and x of shape (1, 2, 5, 7): what shape does f(x) have, and what shape must the skip path give?",
        "Make `conv1`, `bn1`, `conv2`, `bn2` and `skip` in `__init__`; the skip is `nn.Identity()` if neither channels "
        "nor size change. In `forward` the "
        "second relu stands around the whole sum.",
        "A near-example on vectors: `self.f = nn.Linear(i, o)`, `self.skip = nn.Identity() if i == o else nn.Linear(i, "
        "o, bias=False)`, and `forward` "
        "returns `(self.f(x).tanh() + self.skip(x)).tanh()`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"shapes": 2, "out": 2, "grad_x": 2, "out_without_branch": 2},
    tolerance={
        "x_after": EXACT,
        "shapes": EXACT,
        **dict.fromkeys(
            ("out", "grad_x", "out_without_branch"),
            Tolerance(
                1e-4,
                1e-5,
                "float32: two convolutions with sums of up to 27 terms, and divisions by standard deviations",
            ),
        ),
    },
)


@block.inputs
def _(g, case):
    cin, cout, stride, size = [(2, 3, 2, (3, 4)), (2, 2, 1, (2, 3)), (2, 2, 2, (4, 3)), (3, 2, 1, (2, 3))][case]
    values = {"conv1.weight": 0.5 * normal(g, cout, cin, 3, 3), "conv2.weight": 0.5 * normal(g, cout, cout, 3, 3)}
    if stride != 1 or cin != cout:
        values["skip.0.weight"] = normal(g, cout, cin, 1, 1)
    for name in ("bn1", "bn2", "skip.1") if "skip.0.weight" in values else ("bn1", "bn2"):
        values[f"{name}.weight"], values[f"{name}.bias"] = (
            0.8 + 0.5 * torch.rand(cout, generator=g),
            0.5 * normal(g, cout),
        )
    high, wide = ((n + stride - 1) // stride for n in size)
    return {
        "sizes": [cin, cout, stride],
        "values": values,
        "x": normal(g, 2, cin, *size),
        "upstream": normal(g, 2, cout, high, wide),
    }


@block.oracle
def _(sizes, values, x, upstream):
    _, cout, stride = sizes
    v = {name: t.double() for name, t in values.items()}
    leaf = x.double().requires_grad_()
    kept = {}

    def norm(name, h, training):
        if training:
            spread = h.var(dim=(0, 2, 3), unbiased=False)
            count = h.numel() / cout
            kept[name] = 0.1 * h.mean(dim=(0, 2, 3)).detach(), 0.9 + 0.1 * spread.detach() * count / (count - 1)
            mean = h.mean(dim=(0, 2, 3))
        else:
            mean, spread = kept[name]
        h = (h - mean.view(-1, 1, 1)) / (spread + 1e-5).sqrt().view(-1, 1, 1)
        return h * v[f"{name}.weight"].view(-1, 1, 1) + v[f"{name}.bias"].view(-1, 1, 1)

    def run(training, branch=1.0):
        h = norm("bn1", F.conv2d(leaf, v["conv1.weight"], stride=stride, padding=1), training).clamp(min=0)
        h = norm("bn2", F.conv2d(h, v["conv2.weight"], padding=1), training)
        skip = leaf
        if "skip.0.weight" in v:
            skip = norm(
                "skip.1",
                torch.einsum("oc,nchw->nohw", v["skip.0.weight"][:, :, 0, 0], leaf[:, :, ::stride, ::stride]),
                training,
            )
        return (branch * h + skip).clamp(min=0)

    run(True)
    out = run(False)
    (grad,) = torch.autograd.grad((upstream * out).sum(), leaf)
    order = [
        name
        for name in (
            "conv1.weight",
            "bn1.weight",
            "bn1.bias",
            "conv2.weight",
            "bn2.weight",
            "bn2.bias",
            "skip.0.weight",
            "skip.1.weight",
            "skip.1.bias",
        )
        if name in v
    ]
    return {
        "shapes": {name: list(values[name].shape) for name in order},
        "out": out.detach(),
        "grad_x": grad,
        "out_without_branch": run(False, 0.0).detach(),
        "x_after": x,
    }


class Block(nn.Module):
    """A sound block; wrong ones exchange a method."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.convolutions(cin, cout, stride)
        self.bn1, self.bn2 = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)
        self.skip = self.way(cin, cout, stride)

    def convolutions(self, cin, cout, stride):
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)

    def way(self, cin, cout, stride):
        return nn.Identity() if cin == cout and stride == 1 else self.narrow(cin, cout, stride)

    def narrow(self, cin, cout, stride):
        return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def branch(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))

    def forward(self, x):
        return (self.branch(x) + self.skip(x)).relu()


@block.wrong(
    "`{function}` applies the relu to the branch and then adds: the sum can only grow, and negative entries of x "
    "pass. The relu comes after the "
    "addition."
)
class block_relu_before_add(Block):
    def forward(self, x):
        return self.branch(x).relu() + self.skip(x)


@block.wrong("`{function}` has no relu after the addition.")
class block_no_last_relu(Block):
    def forward(self, x):
        return self.branch(x) + self.skip(x)


@block.wrong("`{function}` has no relu between its two convolutions.")
class block_no_inner_relu(Block):
    def branch(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x))))


@block.wrong(
    "`{function}` does not add the skip path: with the branch set to zero nothing comes out, and no gradient passes by."
)
class block_no_skip(Block):
    def forward(self, x):
        return self.branch(x).relu()


@block.wrong(
    "`{function}` works in place on x, with an in-place relu: the skip path and the caller read a changed x. Drop `inplace=True`."
)
class block_in_place(Block):
    def forward(self, x):
        return (self.branch(F.relu(x, inplace=True)) + self.skip(x)).relu()


@block.wrong(
    "`{function}` always has a convolution on its skip path. Where channels and size stay, x should pass untouched: `nn.Identity()`."
)
class block_always_converts(Block):
    def way(self, cin, cout, stride):
        return self.narrow(cin, cout, stride)


@block.wrong(
    "`{function}` adapts the channels of the skip path and forgets the stride: with equal channels and stride 2 the sizes do not fit."
)
class block_forgets_stride_of_skip(Block):
    def way(self, cin, cout, stride):
        return nn.Identity() if cin == cout else self.narrow(cin, cout, stride)


@block.wrong(
    "`{function}` adapts the size of the skip path and forgets the channels: with stride 1 and other channels the "
    "sum fails, or broadcasts."
)
class block_forgets_channels(Block):
    def way(self, cin, cout, stride):
        return nn.Identity() if stride == 1 else self.narrow(cin, cout, stride)


@block.wrong("The skip path of `{function}` is always the identity. It fits only if neither channels nor size change.")
class block_never_converts(Block):
    def way(self, cin, cout, stride):
        return nn.Identity()


@block.wrong("The skip path of `{function}` has a convolution and no batch normalisation behind it.")
class block_skip_without_norm(Block):
    def narrow(self, cin, cout, stride):
        return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False))


@block.wrong(
    "The convolutions of `{function}` have biases. Batch normalisation subtracts them at once; switch them off."
)
class block_with_biases(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = nn.Conv2d(cin, cout, 3, stride, 1), nn.Conv2d(cout, cout, 3, 1, 1)


@block.wrong(
    "`{function}` has no padding: a 3 × 3 convolution then takes a pixel off each side, and the sum does not fit."
)
class block_no_padding(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = nn.Conv2d(cin, cout, 3, stride, bias=False), nn.Conv2d(cout, cout, 3, bias=False)


@block.wrong("Both convolutions of `{function}` have the stride. Only the first has it.")
class block_stride_twice(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = (
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            nn.Conv2d(cout, cout, 3, stride, 1, bias=False),
        )


@block.wrong(
    "`{function}` uses one batch normalisation for both convolutions: they share weights and statistics. Make two."
)
class block_one_norm(Block):
    def branch(self, x):
        return self.bn1(self.conv2(self.bn1(self.conv1(x)).relu()))


@block.wrong("`{function}` leaves out the second batch normalisation.")
class block_no_second_norm(Block):
    def branch(self, x):
        return self.conv2(self.bn1(self.conv1(x)).relu())


@block.wrong(
    "`{function}` detaches the skip path: the numbers are right, and the gradient comes back through the branch alone."
)
class block_detached_skip(Block):
    def forward(self, x):
        return (self.branch(x) + self.skip(x.detach())).relu()


@block.wrong("`{function}` does not call `super().__init__()` first.")
class block_no_super(Block):
    def __init__(self, cin, cout, stride):
        self.convolutions(cin, cout, stride)


@block.variant
class block_step_by_step(Block):
    def forward(self, x):
        before = x
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)  # in place on a tensor of its own
        out = self.bn2(self.conv2(out))
        out += self.skip(before)
        return out.clamp(min=0)


@block.variant
class block_with_empty_skip(Block):
    def way(self, cin, cout, stride):
        return nn.Sequential() if (cin, stride) == (cout, 1) else self.narrow(cin, cout, stride)
