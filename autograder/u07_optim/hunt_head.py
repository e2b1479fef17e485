"""The key of u07-hunt-head."""

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, between

head = Key(
    "u07-hunt-head",
    hints=(
        "Which tensors does the optimizer hold, and which does the model use?",
        "Print `[id(p) for p in model.parameters()]` and the same for `optimizer.param_groups[0]['params']`, just before the loop.",
        "A near-example: `guests = list(table)`, then `table[0] = newcomer`. The list of guests was made before, so the newcomer is not on it.",
    ),
    cases=2,
    guards=("the_model_has_the_head",),
    weights={"losses": 2, "head_weight": 2},
    tolerance={"the_model_has_the_head": EXACT, **dict.fromkeys(("losses", "body_weight", "head_weight"), Tolerance(
        5e-5, 1e-6, "four float32 training steps through a tanh"))},
)


@head.inputs
def _(g, case):
    n, d, m, k = [(5, 3, 4, 2), (4, 2, 3, 5)][case]
    return {"body_weight": away_from_zero(g, m, d), "head_weight": away_from_zero(g, k, m), "x": away_from_zero(g, n, d),
            "y": away_from_zero(g, n, k), "lr": between(g, 0.1, 0.2), "steps": 4}


@head.oracle
def _(body_weight, head_weight, x, y, lr, steps):
    a, b, x, y = (t.double() for t in (body_weight, head_weight, x, y))
    losses = []
    for _ in range(steps):
        hidden = torch.tanh(x @ a.T)
        error = hidden @ b.T - y
        losses.append((error ** 2).mean().item())
        up = 2 * error / error.numel()
        a, b = a - lr * ((up @ b) * (1 - hidden ** 2)).T @ x, b - lr * up.T @ hidden
    return {"losses": losses, "body_weight": a, "head_weight": b, "the_model_has_the_head": 1}


def tune(model, parameters, x, y, lr, steps, zero=True, late=False, reduce=torch.mean):
    optimizer = torch.optim.SGD(parameters, lr=lr)
    losses = []
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        loss = ((model(x) - y) ** 2)
        loss = reduce(loss)
        loss.backward()
        optimizer.step()
        losses.append(reduce((model(x) - y) ** 2).item() if late else loss.item())
    return losses


@head.wrong("`{function}` now trains the head, and the body stands still. All of the model is to be trained.")
def head_only(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, head.parameters(), x, y, lr, steps)


@head.wrong("`{function}` does not put the new head into the model: it goes on with the old one.")
def keeps_old_head(model, head, x, y, lr, steps):
    return tune(model, model.parameters(), x, y, lr, steps)


@head.wrong("`{function}` trains a copy of the head: the one that the caller passed in stays as it was.")
def copies_head(model, head, x, y, lr, steps):
    model[-1] = nn.Linear(head.in_features, head.out_features, bias=False)
    model[-1].weight.data.copy_(head.weight)
    return tune(model, model.parameters(), x, y, lr, steps)


@head.wrong("`{function}` does not clear the gradients: from the second step on they are sums.")
def never_clears(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, zero=False)


@head.wrong("`{function}` stores each loss after its update. The first entry belongs to the weights from before any update.")
def loss_after_update(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, late=True)


@head.wrong("`{function}` uses the sum of the squared errors. Keep the mean; that was not the fault.")
def sums(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, reduce=torch.sum)


@head.wrong("`{function}` adds the new head behind the old one: the model has one layer more. It is to be replaced.")
def appends_head(model, head, x, y, lr, steps):
    optimizer = torch.optim.SGD(model[:-1].parameters(), lr=lr)
    optimizer.add_param_group({"params": list(head.parameters()), "lr": 2 * lr})
    model[-1] = head
    return tune_with(optimizer, model, x, y, steps)


def tune_with(optimizer, model, x, y, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@head.variant
def adds_a_group(model, head, x, y, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model[-1] = head
    optimizer.add_param_group({"params": head.parameters()})
    return tune_with(optimizer, model, x, y, steps)


@head.variant
def zero_at_the_end(model, head, x, y, lr, steps):
    model[len(model) - 1] = head
    optimizer = torch.optim.SGD(list(model.parameters()), lr=lr, momentum=0.0)
    losses = []
    while len(losses) < steps:
        loss = nn.functional.mse_loss(model(x), y)
        losses.append(float(loss))
        loss.backward()
        optimizer.step()
        model.zero_grad()
    return losses
