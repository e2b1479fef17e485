"""The key of u04-hunt-list: a list of layers."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, SINGLE, normal

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
