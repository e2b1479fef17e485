"""The key of u05-from-torch."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

convert = Key(
    "u05-from-torch",
    hints=(
        "What is the shape of the weight of nn.Linear(7, 5), and what is that of MyLinear(7, 5)?",
        "Make a MyLinear of the right sizes, move it to dtype and device of the old weight, then write into its parameters with `copy_`, recording "
        "switched off. A bias may be None.",
        "A near-example, the conversion back: `new = nn.Linear(i, o).to(mine.weight)`, then under `torch.no_grad()`: "
        "`new.weight.copy_(mine.weight.T)` and `new.bias.copy_(mine.bias)`.",
    ),
    guards=("old_weight_after", "kind"),
    weights={"out": 3, "out_when_the_old_layer_changed": 2},
    strict_dtype=("out",),
    tolerance={
        "kind": EXACT,
        "parameters": EXACT,
        "old_weight_after": EXACT,
        "out": SINGLE,
        "out_when_the_old_layer_changed": SINGLE,
        "grads": SINGLE,
    },
)


@convert.inputs
def _(g, case):
    n, i, o = [(3, 7, 5), (2, 4, 4), (5, 2, 3)][case]
    made = {"weight": normal(g, o, i), "bias": normal(g, o), "x": normal(g, n, i), "upstream": normal(g, n, o)}
    if case == 1:
        made = {name: t.double() for name, t in made.items()}
    return {**made, "bias": made["bias"] if case < 2 else None}


@convert.oracle
def _(weight, bias, x, upstream):
    out = nn.functional.linear(x, weight, bias)
    grads = [x.T @ upstream, upstream.sum(dim=0)]
    shapes = {"weight": [weight.shape[1], weight.shape[0]], "bias": [weight.shape[0]]}
    return {
        "kind": "MyLinear",
        "parameters": shapes,
        "out": out,
        "out_when_the_old_layer_changed": out,
        "grads": grads,
        "old_weight_after": weight,
    }


def converted(linear, weight=lambda w: w.T, bias=lambda b: b):
    """A sound conversion whose two copies can be exchanged."""
    layer = MyLinear(linear.in_features, linear.out_features).to(linear.weight)
    with torch.no_grad():
        layer.weight.copy_(weight(linear.weight))
        if linear.bias is not None:
            layer.bias.copy_(bias(linear.bias))
    return layer


@convert.wrong(
    "`{function}` copies the weight as it is. nn.Linear stores (o, i), and MyLinear stores (i, o). For a "
    "square layer nothing raises: the outputs are wrong."
)
def convert_not_transposed(linear):
    return converted(linear, weight=lambda w: w)


@convert.wrong(
    "`{function}` gives the weight the right shape by reading its numbers in another order (`view` or "
    "`reshape`). Rows and columns have to be exchanged, not cut anew."
)
def convert_reshaped(linear):
    return converted(linear, weight=lambda w: w.reshape(w.shape[1], w.shape[0]))


@convert.wrong(
    "`{function}` assigns a computed tensor to the name of a Parameter, and the module refuses it. Write into "
    "the Parameter that is there."
)
def convert_assigns_tensor(linear):
    layer = converted(linear)
    layer.weight = linear.weight.T
    return layer


@convert.wrong(
    "The weight of `{function}` lies in the memory of the old layer: `nn.Parameter(t)` and `.data = t` copy "
    "nothing. Train one layer, and the other changes."
)
def convert_shares_weight(linear):
    layer = converted(linear)
    layer.weight = nn.Parameter(linear.weight.detach().T)
    return layer


@convert.wrong("The weight of `{function}` is a copy, and its bias is not: it is the old layer's own.")
def convert_shares_bias(linear):
    layer = converted(linear)
    if linear.bias is not None:
        layer.bias = linear.bias
    return layer


@convert.wrong("`{function}` forgets the bias.")
def convert_no_bias(linear):
    return converted(linear, bias=torch.zeros_like)


@convert.wrong("`{function}` fails for a layer without bias: there, `linear.bias` is None.")
def convert_needs_bias(linear):
    layer = converted(linear)
    layer.bias.data.copy_(linear.bias)
    return layer


@convert.wrong(
    "For a layer without bias, `{function}` takes the bias away from MyLinear, whose forward then fails. Its bias shall be zeros."
)
def convert_drops_bias(linear):
    layer = converted(linear)
    if linear.bias is None:
        layer.bias = None
    return layer


@convert.wrong(
    "The new layer of `{function}` is `float32` whatever the old one was. `.to(linear.weight)` takes over dtype and device."
)
def convert_in_single(linear):
    return converted(linear).float()


@convert.wrong(
    "`{function}` writes into a Parameter while autograd is recording, and autograd refuses it. Switch recording off around the copies."
)
def convert_records(linear):
    layer = converted(linear)
    layer.weight.copy_(linear.weight.T)
    return layer


@convert.wrong("`{function}` returns the old layer, or one like it. Asked for is a MyLinear.")
def convert_returns_old(linear):
    return linear


@convert.wrong("`{function}` transposes the weight of the *old* layer, which shall stay as it is.")
def convert_changes_old(linear):
    layer = converted(linear)
    linear.weight.data = linear.weight.data.T.contiguous()
    return layer


@convert.wrong("The parameters of `{function}` cannot be trained: they require no gradient.")
def convert_frozen(linear):
    return converted(linear).requires_grad_(False)


@convert.variant
def convert_new_parameters(linear):
    outputs, inputs = linear.weight.shape
    layer = MyLinear(inputs, outputs)
    layer.weight = nn.Parameter(linear.weight.detach().T.clone())
    layer.bias = nn.Parameter(linear.weight.new_zeros(outputs) if linear.bias is None else linear.bias.detach().clone())
    return layer


@convert.variant
def convert_by_state_dict(linear):
    layer = MyLinear(linear.in_features, linear.out_features)
    layer = layer.to(device=linear.weight.device, dtype=linear.weight.dtype)
    state = {"weight": linear.weight.detach().T, "bias": torch.zeros(linear.out_features)}
    state.update({"bias": linear.bias.detach()} if linear.bias is not None else {})
    layer.load_state_dict(state)
    return layer
