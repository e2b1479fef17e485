"""The key of u04-two-layer-net."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, layers_of, normal, other_forward

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
