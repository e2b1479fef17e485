"""The key of u09-hunt-tutorial: the tutorial of 2017."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, TRAINED, normal

tutorial = Key(
    "u09-hunt-tutorial",
    hints=(
        "Two lines stop the program. When they are mended, print w.grad in the first two rounds: which part of the second is the first?",
        "Which package holds the optimizers, how does a tensor of one element become a Python number, and which of the four steps of a "
        "training loop is missing?",
        "A near-example of one healthy round, with another loss: `loss = (p - t).abs().mean()`, `opt.zero_grad()`, `loss.backward()`, "
        "`opt.step()`, "
        "`history.append(loss.item())`.",
    ),
    cases=3,
    guards=("w_after", "losses_are"),
    tolerance={"losses": TRAINED, "last_w": TRAINED, "w_after": EXACT, "losses_are": EXACT},
)


@tutorial.inputs
def _(g, case):
    n, d, k, steps = [(7, 3, 2, 4), (5, 2, 3, 6), (6, 4, 1, 3)][case]
    return {"x": normal(g, n, d), "y": normal(g, n, k), "w": normal(g, d, k), "lr": 0.1 + 0.05 * case, "steps": steps}


@tutorial.oracle
def _(x, y, w, lr, steps):
    a, losses = w.double(), []
    for _ in range(steps):
        error = x.double() @ a - y.double()
        losses.append(float((error**2).mean()))
        a = a - lr * 2 * x.double().T @ error / error.numel()
    return {"losses": losses, "last_w": a, "losses_are": ["float"], "w_after": w}


def fitted(x, y, w, lr, steps, zero="before", optimizer=torch.optim.SGD, keep=lambda loss: loss.item(), own=True):
    """The loop with its faults to choose from."""
    w = (w.clone() if own else w).detach().requires_grad_()
    opt = optimizer([w], lr=lr)
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        if zero == "before":
            opt.zero_grad()
        loss.backward()
        if zero == "late":
            opt.zero_grad()
        opt.step()
        losses.append(keep(loss))
    return losses, w.detach()


@tutorial.wrong(
    "No message is left in `{function}`, and the first two losses are right. Later each update is made of all gradients "
    "so far: nothing clears them between two rounds."
)
def fit_never_zeroes(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, zero="never")


@tutorial.wrong(
    "`{function}` clears the gradients between `backward` and `step`: the step finds nothing, and the loss never changes. Which moments "
    "of a round are safe?"
)
def fit_zeroes_too_late(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, zero="late")


@tutorial.wrong(
    "The values of `{function}` are right, but its losses are tensors. The docstring promises floats: how does one element "
    "leave its tensor?"
)
def fit_keeps_tensors(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, keep=lambda loss: loss.data)


@tutorial.wrong(
    "The losses of `{function}` are tensors with their graphs: each keeps its whole round in memory. What is wanted is a float."
)
def fit_keeps_graphs(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, keep=lambda loss: loss)


@tutorial.wrong("The losses of `{function}` have lost their fraction: that is no conversion to a float.")
def fit_keeps_whole_numbers(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, keep=lambda loss: int(loss))


@tutorial.wrong(
    "`{function}` uses another optimizer than the docstring names: its first step has the same length for each weight."
)
def fit_with_adam(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, optimizer=torch.optim.Adam)


@tutorial.wrong(
    "`{function}` trains the caller's own tensor: `Variable(w)` and `detach` share its memory. The copy in the first line was "
    "healthy."
)
def fit_trains_the_callers(x, y, w, lr, steps):
    losses, last = fitted(x, y, w, lr, steps, own=False)
    return losses, last.clone()


@tutorial.wrong(
    "`{function}` makes the loss a vector, so that `[0]` finds something: it reports the first column alone. With one column it would "
    "even be right."
)
def fit_first_column(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    opt = torch.optim.SGD([w], lr=lr)
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean(dim=0)
        opt.zero_grad()
        loss.mean().backward()
        opt.step()
        losses.append(loss.data[0].item())
    return losses, w.data


@tutorial.wrong(
    "`{function}` catches its own error and returns without training. A symptom that nobody sees is still there; take the "
    "`except` away."
)
def fit_catches(x, y, w, lr, steps):
    return [], w.clone()


@tutorial.wrong("`{function}` still asks for something that a 0-dimensional tensor does not have: entry [0].")
def fit_indexes_a_scalar(x, y, w, lr, steps):
    return fitted(x, y, w, lr, steps, keep=lambda loss: loss.data[0])


@tutorial.wrong("`{function}` reports the loss *after* each update. The docstring counts from before the first one.")
def fit_reports_after(x, y, w, lr, steps):
    losses, _ = fitted(x, y, w, lr, steps + 1)
    return losses[1:], fitted(x, y, w, lr, steps)[1]


@tutorial.variant
def fit_by_hand(x, y, w, lr, steps):
    w = w.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = F.mse_loss(x @ w, y)
        (grad,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= lr * grad
        losses.append(float(loss))
    return losses, w.detach()


@tutorial.variant
def fit_with_a_module(x, y, w, lr, steps):
    layer = nn.Linear(*w.shape, bias=False)
    layer.weight = nn.Parameter(w.T.clone())
    opt, losses = torch.optim.SGD(layer.parameters(), lr=lr), []
    for _ in range(steps):
        loss = (layer(x) - y).pow(2).mean()
        loss.backward()
        opt.step()
        layer.zero_grad(set_to_none=False)
        losses += loss.tolist() if loss.dim() else [loss.item()]
    return losses, layer.weight.detach().T
