"""The key of u09-hunt-hooks."""

import itertools

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

hooks = Key(
    "u09-hunt-hooks",
    hints=(
        "When is `name` read: when the function is defined, or when it runs? Whose gradient has the shape of a bias? And what does "
        "autograd compute for an x that wants none?",
        "A default argument is bound at definition. `register_full_backward_hook` gives the gradients of the module's own inputs. Only "
        "tensors with `requires_grad` get one.",
        "A near-example of the late name: `fs = [lambda: i for i in range(3)]` gives 2, 2, 2 when called, `[lambda i=i: i for i in "
        "range(3)]` gives 0, 1, 2.",
    ),
    cases=3,
    guards=("x_after", "upstream_after"),
    weights={"gradients": 4},
    tolerance={"gradients": SINGLE, "names": EXACT, "x_after": EXACT, "upstream_after": EXACT},
)


@hooks.inputs
def _(g, case):
    sizes, plain, n = [([4, 3, 5, 2], (), 6), ([2, 5, 3], (1,), 4), ([3, 6, 2, 4], (0, 2), 5)][case]
    pairs = list(itertools.pairwise(sizes))
    return {
        "weights": [normal(g, o, i) / i**0.5 for i, o in pairs],
        "biases": [torch.zeros(0) if k in plain else normal(g, o) for k, (_, o) in enumerate(pairs)],
        "x": normal(g, n, sizes[0]),
        "upstream": normal(g, n, sizes[-1]),
        "later": normal(g, n + 1, sizes[0]),
    }


@hooks.oracle
def _(weights, biases, x, upstream, later):
    inputs, outputs = [], x.double()
    for weight, bias in zip(weights, biases, strict=True):
        inputs.append(outputs if not inputs else torch.tanh(outputs))
        outputs = inputs[-1] @ weight.double().T + (bias.double() if bias.numel() else 0)
    grads, u = {}, upstream.double()
    for k in reversed(range(len(weights))):
        grads[str(2 * k)] = u @ weights[k].double()
        u = grads[str(2 * k)] * (1 - inputs[k] ** 2)
    return {"gradients": grads, "names": sorted(grads), "x_after": x, "upstream_after": upstream}


def hooked(model, x, upstream, pick=lambda grad_input, grad_output: grad_input[0], old=False, keep=False, ask=True):
    """Gradients by hooks with their faults to choose from."""
    found, handles = {}, []
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):

            def note(layer, grad_input, grad_output, name=name):
                found[name] = pick(grad_input, grad_output)

            handles.append(layer.register_backward_hook(note) if old else layer.register_full_backward_hook(note))
    model(x.clone().requires_grad_() if ask else x).backward(upstream)
    for handle in handles:
        if not keep:
            handle.remove()
    return found


@hooks.wrong(
    "Every layer of `{function}` has its name now, and what is stored is shaped like a bias: the old hook reports the inputs of the "
    "layer's last *operation*, and "
    "the bias comes first in it."
)
def hooks_old(model, x, upstream):
    return hooked(model, x, upstream, old=True)


@hooks.wrong(
    "`{function}` takes another entry of the old hook's tuple. That is right for a layer with a bias, and wrong for one without, where "
    "the places shift. Ask a hook "
    "that reports on the module."
)
def hooks_old_second_entry(model, x, upstream):
    return hooked(model, x, upstream, old=True, pick=lambda grad_input, grad_output: grad_input[1])


@hooks.wrong(
    "`{function}` stores everything under one name: when the hooks run, the loop has ended, and `name` is its last value. How "
    "can each hook keep its own?"
)
def hooks_late_name(model, x, upstream):
    found = hooked(model, x, upstream)
    return {max(found): found["0"]}


@hooks.wrong(
    "The hook of `{function}` is the right one now. One entry is left, and it is empty: all layers write under one name, and the last to "
    "write is the first layer, "
    "whose gradient nobody has asked for."
)
def hooks_late_name_and_nobody_asks(model, x, upstream):
    found = hooked(model, x, upstream, ask=False)
    return {max(found): found["0"]}


@hooks.wrong(
    "The first layer of `{function}` has no gradient: nothing asked for one. Autograd goes only as far back as there is a tensor "
    "that wants a gradient."
)
def hooks_nobody_asks(model, x, upstream):
    return hooked(model, x, upstream, ask=False)


@hooks.wrong(
    "`{function}` leaves the first layer out, so that None does not disturb. Its gradient exists as soon as the input wants one."
)
def hooks_skip_first(model, x, upstream):
    found = hooked(model, x, upstream)
    return {name: grad for name, grad in found.items() if name != "0"}


@hooks.wrong(
    "`{function}` stores what arrives at each layer's *output*. The input's gradient has the width of the layer's input."
)
def hooks_grad_output(model, x, upstream):
    return hooked(model, x, upstream, pick=lambda grad_input, grad_output: grad_output[0])


@hooks.wrong(
    "`{function}` leaves its hooks on the model: the next backward of anybody writes into the result that you returned."
)
def hooks_stay(model, x, upstream):
    return hooked(model, x, upstream, keep=True)


@hooks.wrong(
    "`{function}` drops the upstream gradient and starts the walk with ones. `.sum()` hides that; what is given as `upstream` "
    "must weigh the outputs."
)
def hooks_upstream_of_ones(model, x, upstream):
    return hooked(model, x, torch.ones_like(upstream))


@hooks.wrong(
    "`{function}` collects the gradients of the *weights*. They are shaped like the weights; the input's have a row for each sample."
)
def hooks_weight_grads(model, x, upstream):
    hooked(model, x, upstream)
    return {name: layer.weight.grad for name, layer in model.named_children() if isinstance(layer, nn.Linear)}


@hooks.wrong(
    "The gradients of `{function}` are right, and the caller's x wants gradients from now on: it was marked, not a copy of it."
)
def hooks_marks_x(model, x, upstream):
    found = hooked(model, x, upstream)
    x.requires_grad_()
    return found


@hooks.wrong("`{function}` returns zeros in place of what it could not collect. The shapes are right, and that is all.")
def hooks_zeros(model, x, upstream):
    return {name: torch.zeros_like(grad) for name, grad in hooked(model, x, upstream).items()}


@hooks.wrong("`{function}` has an entry for the activations as well. The docstring asks for the linear layers.")
def hooks_all_children(model, x, upstream):
    found, handles = {}, []
    for name, layer in model.named_children():
        handles.append(layer.register_full_backward_hook(lambda m, gi, go, name=name: found.update({name: gi[0]})))
    model(x.clone().requires_grad_()).backward(upstream)
    for handle in handles:
        handle.remove()
    return found


@hooks.variant
def hooks_by_walking(model, x, upstream):
    inputs, out = {}, x.clone().requires_grad_()
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            inputs[name] = out
        out = layer(out)
    return dict(zip(inputs, torch.autograd.grad(out, list(inputs.values()), upstream), strict=True))


@hooks.variant
def hooks_on_tensors(model, x, upstream):
    found, handles = {}, []
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            handles.append(
                layer.register_forward_pre_hook(
                    lambda layer, given, name=name: (
                        given[0].register_hook(lambda grad: found.update({name: grad.clone()})) and None
                    )
                )
            )
    try:
        model(x.detach().clone().requires_grad_(True)).backward(upstream)
    finally:
        for handle in handles:
            handle.remove()
    return found
