"""The key of u02-autograd-train."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import DOUBLE, EXACT, normal, quietly

train = Key(
    "u02-autograd-train",
    hints=(
        "Which tensors have to be leaves, and in which lines of your loop could they stop being the same leaves?",
        "Start from `w.clone().requires_grad_()`. In each round: loss, store its `.item()`, `backward()`, the "
        "update in place under `torch.no_grad()`, and then begin the next sum from nothing.",
        "A near-example with one number: `w = torch.tensor(5.0, requires_grad=True)`; in the loop `loss = (w - 3) ** 2`, "
        "`loss.backward()`, then `with torch.no_grad(): w -= lr * w.grad`, then `w.grad = None`.",
    ),
    cases=2,
    guards=("types_in_losses", "w1_after", "w2_after", "grads_after"),
    weights={"losses": 6},
    tolerance={"losses": DOUBLE, "w1_after": EXACT, "w2_after": EXACT, "grads_after": EXACT},
)


@train.inputs
def _(g, case):
    n, d, m, k = [(5, 4, 6, 3), (3, 6, 5, 2)][case]
    lr, steps = [(0.004, 6), (0.006, 5)][case]
    while True:
        x, y, w1, w2 = (normal(g, *shape, dtype=torch.float64) for shape in ((n, d), (n, k), (d, m), (m, k)))
        losses = by_hand(x, y, w1, w2, lr, steps)
        if 0.5 * losses[0] < losses[-1] < 0.8 * losses[0]:
            return {"x": x, "y": y, "w1": w1, "w2": w2, "lr": lr, "steps": steps}


def by_hand(x, y, w1, w2, lr, steps, scale=2.0, use_mask=True):
    """The loop of unit 1: no autograd."""
    losses = []
    for _ in range(steps):
        h = x @ w1
        r = h.clamp(min=0)
        error = r @ w2 - y
        losses.append((error ** 2).sum().item())
        grad_h = (error @ w2.T) * ((h > 0) if use_mask else 1)
        w1, w2 = w1 - scale * lr * x.T @ grad_h, w2 - scale * lr * r.T @ error
    return losses


@train.oracle
def _(x, y, w1, w2, lr, steps):
    return {"losses": by_hand(x, y, w1, w2, lr, steps), "types_in_losses": ["float"], "w1_after": w1, "w2_after": w2}


def loop(x, y, w1, w2, lr, steps, loss_of=lambda error: (error ** 2).sum(), forget=True, first=True, second=True, keep=torch.Tensor.item):
    """The loop with its typical faults open."""
    w1, w2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = loss_of(torch.relu(x @ w1) @ w2 - y)
        losses.append(keep(loss))
        loss.backward()
        with torch.no_grad():
            for w, moves in ((w1, first), (w2, second)):
                w -= lr * w.grad * moves
                if forget:
                    w.grad = None
    return losses


@train.wrong("`{function}` never clears the gradients: its second loss is right, and from the third on each step follows the sum "
             "of all gradients so far, like 3, 6, 9 in section 2.1. When does a new sum begin?")
def never_clears(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, forget=False)


@train.wrong("In `{function}` a weight's `.grad` is None in the second round: after `w = w - ...` the name belongs to the result "
             "of a subtraction, which is no leaf. Change the leaf itself, in place.")
def weight_becomes_a_result(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((torch.relu(x @ w1) @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        grad1, grad2 = quietly(lambda: (w1.grad, w2.grad))
        w1, w2 = w1 - lr * grad1, w2 - lr * grad2
    return losses


@train.wrong("`{function}` changes a watched leaf in place, which autograd refuses. Under which block is nothing recorded?")
def in_place_while_watched(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    loss = ((torch.relu(x @ w1) @ w2 - y) ** 2).sum()
    loss.backward()
    w1 -= lr * w1.grad
    return [loss.item()]


@train.wrong("In `{function}` the weights no longer require grad in the second round: `w = w - ...` under no_grad gives the name to "
             "a new tensor that nobody watches. `w -= ...` keeps the leaf.")
def rebinds_unrecorded(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((torch.relu(x @ w1) @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w1, w2 = w1 - lr * w1.grad, w2 - lr * w2.grad
    return losses


@train.wrong("`{function}` calls backward on a table of squared errors. A walk without an argument begins at one number: which one "
             "is the loss?")
def backward_on_a_table(x, y, w1, w2, lr, steps):
    w1 = w1.clone().requires_grad_()
    loss = (torch.relu(x @ w1) @ w2 - y) ** 2
    loss.backward()
    return [loss.item()]


@train.wrong("Every loss of `{function}` is the same: no gradient reaches the weights that the next round uses. Are they cleared "
             "between `backward` and the update, or updated in a copy?")
def never_moves(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, first=False, second=False)


@train.wrong("`{function}` trains the second layer only: w1 keeps its starting values. Does the update visit both leaves?")
def only_the_second_layer(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, first=False)


@train.wrong("`{function}` trains the first layer only: w2 keeps its starting values. Does the update visit both leaves?")
def only_the_first_layer(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, second=False)


@train.wrong("`{function}` stores and follows the mean of the squared errors. The docstring asks for their sum.")
def mean_for_sum(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, loss_of=lambda error: (error ** 2).mean())


@train.wrong("The losses of `{function}` rise: it walks along the gradient instead of against it.")
def uphill(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, -lr, steps)


@train.wrong("`{function}` leaves out the bend between the layers. Compare your forward pass with the docstring.")
def no_relu(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((x @ w1 @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= lr * w.grad
                w.grad = None
    return losses


@train.wrong("`{function}` stores each loss after its update: the list starts with the second value. The first one belongs to the "
             "weights that came in.")
def loss_after_the_update(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps + 1)[1:]


@train.wrong("The numbers of `{function}` are right, but the list holds tensors that still track gradients, and each keeps its graph "
             "alive. Take the number out with `.item()`.")
def keeps_graphs(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, keep=lambda loss: loss)


@train.wrong("The losses of `{function}` are right, but the caller's w1 and w2 require grad afterwards and have moved: "
             "`requires_grad_()` works in place. Clone first.")
def trains_the_callers_weights(x, y, w1, w2, lr, steps):
    w1.requires_grad_(), w2.requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((torch.relu(x @ w1) @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= lr * w.grad
                w.grad = None
    return losses


@train.variant
def train_with_an_optimizer(x, y, w1, w2, lr, steps):
    first, second = nn.Parameter(w1.clone()), nn.Parameter(w2.clone())
    optimizer = torch.optim.SGD([first, second], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(torch.relu(x @ first) @ second, y, reduction="sum")
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


@train.variant
def train_with_new_leaves(x, y, w1, w2, lr, steps):
    losses = []
    for _ in range(steps):
        w1, w2 = w1.detach().requires_grad_(), w2.detach().requires_grad_()
        loss = (torch.relu(x @ w1) @ w2 - y).square().sum()
        losses.append(loss.item())
        grad1, grad2 = torch.autograd.grad(loss, (w1, w2))
        w1, w2 = w1 - lr * grad1, w2 - lr * grad2
    return losses


@train.variant
def train_by_zeroing_in_place(x, y, w1, w2, lr, steps):
    a, b = torch.empty_like(w1).copy_(w1).requires_grad_(), torch.empty_like(w2).copy_(w2).requires_grad_()
    losses = []
    for _ in range(steps):
        error = (x @ a).clamp(min=0) @ b - y
        loss = (error * error).sum()
        loss.backward()
        losses.append(loss.detach().item())
        a.detach().sub_(lr * a.grad)
        b.detach().sub_(lr * b.grad)
        a.grad.zero_()
        b.grad.zero_()
    return losses
