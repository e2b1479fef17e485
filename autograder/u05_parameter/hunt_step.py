"""The key of u05-hunt-step: the step that goes nowhere."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, normal

step = Key(
    "u05-hunt-step",
    hints=(
        "After `a = [1]; b = a; b = b + [2]`: what is in `a`?",
        "`p = ...` makes the name p refer to something new. Which operation writes into the tensor that p refers to?",
        "A near-example: `t = t * 2` makes a new tensor and leaves the old one alone; `t *= 2` and `t.mul_(2)` change the tensor itself.",
    ),
    guards=("unused", "grads_after"),
    tolerance={
        "unused": EXACT,
        "grads_after": EXACT,
        "weight": Tolerance(1e-6, 1e-7, "one float32 product and one difference"),
        "bias": Tolerance(1e-6, 1e-7, "one float32 product and one difference"),
    },
)


@step.inputs
def _(g, case):
    i, o = [(3, 2), (2, 4), (5, 1)][case]
    return {
        "weight": normal(g, i, o),
        "bias": normal(g, o),
        "unused": normal(g, 2),
        "grad_weight": normal(g, i, o),
        "grad_bias": normal(g, o),
        "lr": 0.25 + 0.5 * float(torch.rand((), generator=g)),
    }


@step.oracle
def _(weight, bias, unused, grad_weight, grad_bias, lr):
    return {
        "weight": weight.double() - lr * grad_weight,
        "bias": bias.double() - lr * grad_bias,
        "unused": unused,
        "grads_after": [grad_weight, grad_bias],
    }


@step.wrong("`{function}` moves the parameters now, uphill: it adds the gradient.")
@torch.no_grad()
def step_uphill(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p += lr * p.grad


@step.wrong("`{function}` moves the parameters by the whole gradient: the learning rate is gone.")
@torch.no_grad()
def step_no_rate(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= p.grad


@step.wrong("`{function}` ends at the first parameter without a gradient. Those behind it want their step, too.")
@torch.no_grad()
def step_stops(parameters, lr):
    for p in parameters:
        if p.grad is None:
            break
        p -= lr * p.grad


@step.wrong("`{function}` fails at a parameter without a gradient. The line that skipped it was right.")
@torch.no_grad()
def step_none(parameters, lr):
    for p in parameters:
        p -= lr * p.grad


@step.wrong("`{function}` writes into a leaf while autograd records, and autograd refuses it. The `no_grad` was right.")
def step_recorded(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad


@step.wrong(
    "The parameters of `{function}` are right, and the gradients are cleared. That is the business of "
    "`zero_grad`, at a moment of the caller's choice."
)
@torch.no_grad()
def step_clears(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad
            p.grad.zero_()


@step.wrong("`{function}` scales the gradient itself, in place. The next reader of `.grad` finds another number.")
@torch.no_grad()
def step_scales_gradient(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.sub_(p.grad.mul_(lr))


@step.wrong("`{function}` puts the step in place of the parameter: its old value is lost.")
@torch.no_grad()
def step_overwrites(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.copy_(-lr * p.grad)


@step.wrong("`{function}` changes the gradients instead of the parameters. Which of the two stands on the left?")
@torch.no_grad()
def step_moves_gradient(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.grad -= lr * p


@step.variant
def step_by_data(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.data = p.data - lr * p.grad


@step.variant
def step_by_add(parameters, lr):
    chosen = [p for p in parameters if p.grad is not None]
    with torch.no_grad():
        for p in chosen:
            p.add_(p.grad, alpha=-lr)


@step.variant
def step_by_optim(parameters, lr):
    torch.optim.SGD(parameters, lr=lr).step()
