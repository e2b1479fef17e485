"""The key of u02-vjp."""

import torch

from coursekit.course.authoring import Key

from ._shared import SINGLE, normal

vjp_key = Key(
    "u02-vjp",
    hints=(
        "What does `.grad` hold before your walk begins, and whom does the tensor that you return belong to?",
        "`out.backward(v)` starts the walk with v. Clear old gradients first, and copy the new ones into the dict. "
        "`model.named_parameters()` gives the names.",
        "A near-example for one tensor: `w.grad = None`, `(x @ w).backward(v)`, `result = w.grad.clone()`.",
    ),
    cases=2,
    guards=("x_after", "v_after"),
    weights={"first_call": 4, "second_call": 2, "first_call_seen_later": 2},
    tolerance=SINGLE,
)

SHAPES = {"0.weight": (3, 4), "0.bias": (3,), "2.weight": (2, 3), "2.bias": (2,), "spare": (5,)}
SHAPES_LARGER = {"0.weight": (5, 2), "0.bias": (5,), "2.weight": (4, 5), "2.bias": (4,), "spare": (3,)}


@vjp_key.inputs
def _(g, case):
    shapes, n = [(SHAPES, 5), (SHAPES_LARGER, 3)][case]
    d, k = shapes["0.weight"][1], shapes["2.weight"][0]
    state = {name: normal(g, *shape) for name, shape in shapes.items()}
    return {"state": state, "x": normal(g, n, d), "v": normal(g, n, k), "x2": normal(g, n + 2, d), "v2": normal(g, n + 2, k)}


def tanh_net(state, x, v):
    """The backward pass by hand, in float64."""
    s = {name: value.double() for name, value in state.items()}
    x, v = x.double(), v.double()
    h = torch.tanh(x @ s["0.weight"].T + s["0.bias"])
    grad = (v @ s["2.weight"]) * (1 - h * h)
    return {"0.weight": grad.T @ x, "0.bias": grad.sum(0), "2.weight": v.T @ h, "2.bias": v.sum(0), "spare": torch.zeros_like(s["spare"])}


@vjp_key.oracle
def _(state, x, v, x2, v2):
    # PyTorch lists a module's own parameters before those of its children
    first, second = ({name: grads[name] for name in ("spare", *list(state)[:4])} for grads in (tanh_net(state, x, v), tanh_net(state, x2, v2)))
    return {"first_call": first, "second_call": second, "first_call_seen_later": first, "x_after": x, "v_after": v}


def products(model, x, v, change=lambda grad: grad, walk=lambda out, v: out.backward(v)):
    model.zero_grad()
    walk(model(x), v)
    return {name: change(torch.zeros_like(p) if p.grad is None else p.grad.clone()) for name, p in model.named_parameters()}


@vjp_key.wrong("`{function}` drops v: it gives the gradient of out.sum(), as if v were all ones. Where does your code use v?")
def drops_v(model, x, v):
    return products(model, x, v, walk=lambda out, v: out.sum().backward())


@vjp_key.wrong("`{function}` averages over the entries of the output. The docstring asks for sum(v * model(x)).")
def averages_outputs(model, x, v):
    return products(model, x, v, walk=lambda out, v: (out * v).mean().backward())


@vjp_key.wrong("The first call of `{function}` is right; the second one contains the first: `.grad` is added to, and was not cleared.")
def adds_to_the_last_call(model, x, v):
    model(x).backward(v)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


@vjp_key.wrong("Both calls of `{function}` are right, but what the first one returned has changed by the second: you return the tensor "
               "that lies in `.grad`, and clearing it in place writes zeros into it. Return copies.")
def returns_grad_itself(model, x, v):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.zero_()
    model(x).backward(v)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}


@vjp_key.wrong("`{function}` calls backward on an output with several entries and gives no v, so the walk cannot begin.")
def no_start(model, x, v):
    model(x).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@vjp_key.wrong("One parameter does not take part in the output, and `{function}` stumbles over its gradient, None. The docstring says "
               "what to return for it.")
def stumbles_over_none(model, x, v):
    model.zero_grad()
    model(x).backward(v)
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@vjp_key.wrong("`{function}` leaves out the parameter that the output does not depend on. Every name belongs in the dict.")
def leaves_out_none(model, x, v):
    model.zero_grad()
    model(x).backward(v)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@vjp_key.wrong("Every gradient of `{function}` is zero. Were they cleared after the walk instead of before it?")
def all_zero(model, x, v):
    return products(model, x, v, change=torch.zeros_like)


@vjp_key.wrong("The matrices of `{function}` are transposed. `nn.Linear` stores its weight as (outputs, inputs), and a gradient has the "
               "shape of its tensor.")
def transposes(model, x, v):
    return products(model, x, v, change=lambda grad: grad.T.clone() if grad.dim() == 2 else grad)


@vjp_key.wrong("`{function}` squares v, or uses it twice: once in a product and once more to start the walk.")
def uses_v_twice(model, x, v):
    return products(model, x, v, walk=lambda out, v: (out * v).backward(v))


@vjp_key.wrong("`{function}` divides by the number of rows. Gradients of samples are added, not averaged.")
def averages_rows(model, x, v):
    return products(model, x, v / len(v))


@vjp_key.wrong("The gradients of `{function}` are right, but x requires grad afterwards: `requires_grad_()` works in place on the "
               "caller's tensor, and nobody asked for the gradient of x.")
def watches_x(model, x, v):
    return products(model, x.requires_grad_(), v)


@vjp_key.variant
def vjp_by_autograd_grad(model, x, v):
    names, parameters = zip(*model.named_parameters(), strict=True)
    grads = torch.autograd.grad(model(x), parameters, v, allow_unused=True)
    return {name: p.detach() * 0 if grad is None else grad for name, p, grad in zip(names, parameters, grads, strict=True)}


@vjp_key.variant
def vjp_by_weighted_sum(model, x, v):
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    (v * model(x)).sum().backward()
    found = {}
    for name, p in model.named_parameters():
        found[name], p.grad = p.grad, None
    return found
