"""The key of u02-hunt-update."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import DOUBLE, EXACT, normal, quietly

update = Key(
    "u02-hunt-update",
    hints=(
        "After the first round, is `w` the tensor that `backward` fills, or another one with the same name?",
        "`w = ...` gives the name to a new tensor; under no_grad that one is not watched. Change the old one in place. "
        "Then ask what its `.grad` holds when the next `backward` adds to it.",
        "A near-example: to halve a bias, `with torch.no_grad(): bias *= 0.5`, and `bias.grad = None` before the next "
        "`backward`.",
    ),
    cases=2,
    guards=("last_w_is_leaf", "w_after"),
    weights={"losses": 4, "last_w": 2},
    tolerance={"losses": DOUBLE, "last_w": DOUBLE, "w_after": EXACT},
)


@update.inputs
def _(g, case):
    n, d = [(6, 3), (5, 2)][case]
    while True:
        x, y, w = (normal(g, *shape, dtype=torch.float64) for shape in ((n, d), (n,), (d,)))
        losses = line(x, y, w, 0.1, 4 + case)[0]
        if losses[-1] < 0.8 * losses[0] and losses[0] > 0.5:
            return {"x": x, "y": y, "w": w, "lr": 0.1, "steps": 4 + case}


def line(x, y, w, lr, steps, scale=2.0, total=False):
    """Gradient descent by formula; total: along the sum of all gradients so far."""
    losses, grad = [], torch.zeros_like(w)
    for _ in range(steps):
        error = x @ w - y
        losses.append((error ** 2).mean().item())
        grad = scale * x.T @ error / len(y) + (grad if total else 0)
        w = w - lr * grad
    return losses, w


@update.oracle
def _(x, y, w, lr, steps):
    losses, last = line(x, y, w, lr, steps)
    return {"losses": losses, "last_w": last, "w_after": w}


@update.wrong("`{function}` runs now, and its losses do not fall as they should: since `w` stays the same leaf, its `.grad` holds the "
              "sum of all rounds. Begin each round's sum from nothing.")
def update_without_clearing(x, y, w, lr, steps):
    return line(x, y, w, lr, steps, total=True)


@update.wrong("Without no_grad, `{function}` makes `w` the result of a recorded subtraction. A result keeps no gradient, so `w.grad` is "
              "None in the next round. Keep no_grad, and look at the assignment instead.")
def update_recorded(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        w = w - lr * quietly(lambda: w.grad)
    return losses, w.detach()


@update.wrong("`{function}` changes the leaf in place, which is right, but outside no_grad: autograd refuses to have a watched leaf "
              "overwritten.")
def update_in_place_while_watched(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    ((x @ w - y) ** 2).mean().backward()
    w -= lr * w.grad
    return [], w


@update.wrong("`{function}` clears the gradient between `backward` and the update: there is nothing left to follow, and every loss is "
              "the same. Clear it after its use.")
def update_cleared_too_early(x, y, w, lr, steps):
    return line(x, y, w, 0.0, steps)


@update.wrong("The numbers of `{function}` are right, but the caller's `w` has moved too: the loop now works on the tensor that "
              "came in. Keep the clone.")
def update_of_the_callers_w(x, y, w, lr, steps):
    losses, last = line(x, y, w, lr, steps)
    w.copy_(last)
    return losses, last


@update.wrong("The numbers of `{function}` are right, but the final weights still belong to a graph that reaches back through every "
              "round: it grows with each step. `retain_grad` on a result is not what is missing; keep one leaf.")
def update_retains_grad(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        grad = torch.autograd.grad(loss, w)[0]
        w = w - lr * grad
    return losses, w


@update.wrong("`{function}` works on `w` with requires_grad set on what comes back: the final weights still track gradients. Return "
              "plain numbers, as the released code did.")
def update_returns_a_watched_leaf(x, y, w, lr, steps):
    losses, last = line(x, y, w, lr, steps)
    return losses, last.requires_grad_()


@update.wrong("`{function}` walks uphill: its losses rise. The sign of the update was right in the released code.")
def update_uphill(x, y, w, lr, steps):
    return line(x, y, w, -lr, steps)


@update.wrong("`{function}` walks half of each step. Nothing but the kind of the update had to change; is a factor lost?")
def update_half(x, y, w, lr, steps):
    return line(x, y, w, lr, steps, scale=1.0)


@update.variant
def update_with_new_leaves(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        w = (w - lr * w.grad).detach().requires_grad_()
    return losses, w.detach()


@update.variant
def update_through_detach(x, y, w, lr, steps):
    w = nn.Parameter(w.clone())
    losses = []
    for _ in range(steps):
        w.grad = None
        loss = nn.functional.mse_loss(x @ w, y)
        loss.backward()
        losses.append(loss.item())
        w.detach().add_(w.grad, alpha=-lr)
    return losses, w.detach().clone()
