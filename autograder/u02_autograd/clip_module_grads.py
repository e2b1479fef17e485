"""The key of u02-clip-module-grads."""

import torch

from coursekit.course.authoring import Key

from ._shared import SINGLE, normal

clip = Key(
    "u02-clip-module-grads",
    hints=(
        "With c = 1 and a gradient of 5 at each of two calls: what is in `.grad` if clipping comes before the sum, what if after?",
        "`p.register_post_accumulate_grad_hook(f)` calls f(p) after the sum. In f, replace p.grad by its clamped values. One hook for each "
        "parameter that requires grad; collect what the registrations return.",
        "A near-example that rounds: `def rounded(p): p.grad = p.grad.round()`, then "
        "`handles = [p.register_post_accumulate_grad_hook(rounded) for p in layer.parameters()]`.",
    ),
    cases=2,
    guards=("after_removal", "needs_grad_after"),
    weights={"first_call": 3, "second_call": 3},
    tolerance=SINGLE,
)

NET = {"0.0.weight": (4, 3), "0.0.bias": (4,), "1.weight": (2, 4), "1.bias": (2,)}
NET_LARGER = {"0.0.weight": (3, 5), "0.0.bias": (3,), "1.weight": (4, 3), "1.bias": (4,)}


def net_grads(state, x, v):
    """Gradients of the net by hand, in float64; the first bias is frozen."""
    s = {name: value.double() for name, value in state.items()}
    x, v = x.double(), v.double()
    h = torch.tanh(x @ s["0.0.weight"].T + s["0.0.bias"])
    grad = (v @ s["1.weight"]) * (1 - h * h)
    return {"0.0.weight": grad.T @ x, "1.weight": v.T @ h, "1.bias": v.sum(0)}


def has_all_kinds(grad, c):
    """Some entries are beyond each bound, and some within that two calls carry beyond it."""
    inside = (grad.abs() > 0.55 * c) & (grad.abs() < 0.9 * c)
    return (grad > 1.1 * c).any() and (grad < -1.1 * c).any() and inside.any()


@clip.inputs
def _(g, case):
    shapes, n = [(NET, 5), (NET_LARGER, 2)][case]
    c = [0.5, 0.8][case]
    while True:
        state = {name: normal(g, *shape) / 2 for name, shape in shapes.items()}
        x, v = normal(g, n, shapes["0.0.weight"][1]), normal(g, n, shapes["1.weight"][0])
        grads = net_grads(state, x, v)
        if all(has_all_kinds(grads[name], c) for name in ("0.0.weight", "1.weight")) and (grads["1.bias"].abs() > 1.1 * c).any():
            return {"state": state, "x": x, "v": v, "c": c}


@clip.oracle
def _(state, x, v, c):
    grads = net_grads(state, x, v)
    return {"first_call": {name: grad.clamp(-c, c) for name, grad in grads.items()},
            "second_call": {name: (2 * grad).clamp(-c, c) for name, grad in grads.items()}, "after_removal": grads,
            "needs_grad_after": [True, False, True, True]}


def clipping(m, change, chosen=lambda name, p: p.requires_grad):
    """A hook after the sum on each chosen parameter."""
    def after(p):
        p.grad = change(p.grad)

    return [p.register_post_accumulate_grad_hook(after) for name, p in m.named_parameters() if chosen(name, p)]


@clip.wrong("`{function}` clips each gradient before it is added: after one call all is well, after two an entry can be 2c. Which hook runs after "
            "the sum?")
def clips_before_the_sum(m, c):
    return [p.register_hook(lambda grad: grad.clamp(-c, c)) for p in m.parameters() if p.requires_grad]


@clip.wrong("`{function}` scales a whole gradient down to length c. Here each entry is held between -c and c by itself.")
def clips_the_length(m, c):
    return clipping(m, lambda grad: grad * (c / grad.norm()).clamp(max=1))


@clip.wrong("`{function}` clips large positive entries only; negative ones pass below -c.")
def clips_above_only(m, c):
    return clipping(m, lambda grad: grad.clamp(max=c))


@clip.wrong("`{function}` cuts negative entries off at 0, or clips to [0, c]. The lower bound is -c.")
def clips_from_zero(m, c):
    return clipping(m, lambda grad: grad.clamp(0, c))


@clip.wrong("`{function}` turns every entry into c or -c. Entries within the bounds keep their value.")
def only_signs(m, c):
    return clipping(m, lambda grad: grad.sign() * c)


@clip.wrong("`{function}` reaches only the parameters of the outer module's direct layers, and misses a nested one. `m.parameters()` goes through "
            "all of them.")
def outer_layers_only(m, c):
    return clipping(m, lambda grad: grad.clamp(-c, c), lambda name, p: p.requires_grad and name.count(".") == 1)


@clip.wrong("`{function}` clips weights and leaves biases out. Each parameter that requires grad is meant.")
def weights_only(m, c):
    return clipping(m, lambda grad: grad.clamp(-c, c), lambda name, p: p.requires_grad and p.dim() > 1)


@clip.wrong("`{function}` registers a hook on a parameter that needs no gradient, which PyTorch refuses. Leave those out.")
def frozen_too(m, c):
    return clipping(m, lambda grad: grad.clamp(-c, c), lambda name, p: True)


@clip.wrong("`{function}` makes a frozen parameter trainable to get its hook registered. Leave those that need no gradient alone.")
def thaws(m, c):
    m.requires_grad_(True)
    return clipping(m, lambda grad: grad.clamp(-c, c), lambda name, p: True)


@clip.wrong("`{function}` has no effect. Inside the hook, is `p.grad` replaced or changed in place?")
def drops_the_clamped(m, c):
    def after(p):
        p.grad.clamp(-c, c)

    return [p.register_post_accumulate_grad_hook(after) for p in m.parameters() if p.requires_grad]


@clip.wrong("The hook of `{function}` returns something, and a post-accumulate hook must return `None`. A lambda returns what its expression "
            "gives: write a function that changes `p.grad` and has no `return`.")
def returns_instead(m, c):
    return [p.register_post_accumulate_grad_hook(lambda p: p.grad.clamp_(-c, c)) for p in m.parameters() if p.requires_grad]


@clip.wrong("`{function}` returns only one of its handles: after its removal other parameters are still clipped. Collect all of them in a list.")
def last_handle_only(m, c):
    return clipping(m, lambda grad: grad.clamp(-c, c))[-1:]


@clip.wrong("`{function}` sets all gradients to zero. Are the two bounds of the clamp in order, and not both the same?")
def clips_to_zero(m, c):
    return clipping(m, torch.zeros_like)


@clip.wrong("The hooks of `{function}` act on one parameter only, the last of the loop: a function defined in a loop sees the loop's variable as it "
            "is *later*. Use the argument that the hook receives.")
def late_binding(m, c):
    handles = []
    chosen = [p for p in m.parameters() if p.requires_grad]
    for p in chosen:
        def hook(_):
            if p.grad is not None:
                p.grad.clamp_(-c, c)

        handles.append(p.register_post_accumulate_grad_hook(hook))
    return handles


@clip.variant
def clip_in_place(m, c):
    handles = []
    for _, p in m.named_parameters():
        if not p.requires_grad:
            continue

        def hook(parameter):
            parameter.grad.clamp_(min=-c, max=c)

        handles.append(p.register_post_accumulate_grad_hook(hook))
    return handles


@clip.variant
def clip_by_where(m, c):
    def bound(p):
        large = p.grad.abs() > c
        p.grad = torch.where(large, c * p.grad.sign(), p.grad)

    return tuple(p.register_post_accumulate_grad_hook(bound) for p in m.parameters() if p.requires_grad)
