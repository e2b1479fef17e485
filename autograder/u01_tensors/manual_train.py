"""The key of u01-manual-train."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, grads, normal

train = Key(
    "u01-manual-train",
    forbids=BY_HAND,
    hints=(
        "At which weights is each of these taken: the loss that you store, the gradient of w1, the gradient "
        "of w2?",
        "In each round, in this order: forward pass, store the loss as a number, both gradients, both "
        "updates. `w = w - ...` makes a new tensor, `w -= ...` writes into the one that the caller owns.",
        "A near-example with one number: `for _ in range(steps):` then `losses.append((w - 3.0) ** 2)`, "
        "`grad = 2 * (w - 3.0)`, `w = w - lr * grad`.",
    ),
    cases=2,
    guards=("types_in_losses", "w1_after", "w2_after"),
    weights={"losses": 6},
    tolerance={"losses": Tolerance(1e-4, 1e-6, "float32; six steps carry each rounding error on, measured "
                                               "below 1e-5"),
               "w1_after": EXACT, "w2_after": EXACT},
)


@train.inputs
def _(g, case):
    n, d, m, k = [(5, 4, 6, 3), (3, 6, 5, 2)][case]
    lr, steps = [(0.004, 6), (0.006, 5)][case]
    while True:
        x, y, w1, w2 = normal(g, n, d), normal(g, n, k), normal(g, d, m), normal(g, m, k)
        inputs = {"x": x, "y": y, "w1": w1, "w2": w2, "lr": lr, "steps": steps}
        right, late = loop(**inputs), loop(late=True, **inputs)
        if 0.5 < right[-1] < 0.7 * right[0] and abs(late[-1] / right[-1] - 1) > 0.01:
            return inputs


def loop(x, y, w1, w2, lr, steps, late=False, scale=2.0, mask=lambda h, grad_r: h > 0):
    """The training loop with its typical faults open; late: w2 is updated before w1's gradient is taken."""
    losses = []
    for _ in range(steps):
        losses.append((((x @ w1).clamp(min=0) @ w2 - y) ** 2).sum().item())
        grad_w1, grad_w2 = grads(x, y, w1, w2, mask, scale)
        new_w2 = w2 - lr * grad_w2
        if late:
            grad_pred = scale * ((x @ w1).clamp(min=0) @ w2 - y)
            grad_w1 = x.T @ ((grad_pred @ new_w2.T) * (x @ w1 > 0))
        w1, w2 = w1 - lr * grad_w1, new_w2
    return losses


@train.oracle
def _(x, y, w1, w2, lr, steps):
    a, b = torch.nn.Parameter(w1.double()), torch.nn.Parameter(w2.double())
    optimizer = torch.optim.SGD([a, b], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.relu(x.double() @ a) @ b, y.double(), reduction="sum")
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return {"losses": losses, "types_in_losses": ["float"], "w1_after": w1, "w2_after": w2}


@train.wrong("`{function}` updates w2 before it computes the gradient of w1, so from the second loss on the "
             "numbers drift. Both gradients belong to the same weights: take both, then take both steps.")
def second_layer_first(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, late=True)


@train.wrong("The losses of `{function}` rise: it walks along the gradient instead of against it. Look at "
             "the sign of the update.")
def walks_uphill(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, -lr, steps)


@train.wrong("`{function}` walks half of each step. The gradient of a square has a factor 2; where did it "
             "go on the way into the update?")
def half_steps(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, scale=1.0)


@train.wrong("`{function}` trains with a gradient that ignores the bend. The loss falls all the same, but "
             "not to the numbers of gradient descent. Check the mask of the backward pass that it uses.")
def trains_without_mask(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, mask=lambda h, grad_r: 1)


@train.wrong("`{function}` stores each loss after the update: the list starts with the second value. The "
             "first entry belongs to the weights that came in.")
def loss_after_update(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps + 1)[1:]


@train.wrong("`{function}` stores the mean of the squared errors. The docstring asks for their sum.")
def stores_means(x, y, w1, w2, lr, steps):
    return [loss / y.numel() for loss in loop(x, y, w1, w2, lr, steps)]


@train.wrong("Every loss of `{function}` is the same: no update reaches the weights that the next round "
             "uses. Is the result of the subtraction stored under the name that the forward pass reads?")
def never_updates(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, 0.0, steps)


@train.wrong("`{function}` trains the first layer only; w2 keeps its starting values. Which of your two "
             "updates is missing or lost?")
def only_first_layer(x, y, w1, w2, lr, steps):
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        w1 = w1 - lr * grads(x, y, w1, w2)[0]
    return losses


@train.wrong("`{function}` computes the gradients once and walks on along them. After a step the weights "
             "are elsewhere, and so is their gradient: what belongs inside the loop?")
def stale_gradients(x, y, w1, w2, lr, steps):
    grad_w1, grad_w2 = grads(x, y, w1, w2)
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        w1, w2 = w1 - lr * grad_w1, w2 - lr * grad_w2
    return losses


@train.wrong("`{function}` adds each round's gradients to those of all rounds before, so its steps grow "
             "longer and longer. Gradient descent uses the gradient of the current weights only; where does "
             "an old one survive?")
def accumulates_gradients(x, y, w1, w2, lr, steps):
    total_w1, total_w2 = torch.zeros_like(w1), torch.zeros_like(w2)
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        grad_w1, grad_w2 = grads(x, y, w1, w2)
        total_w1, total_w2 = total_w1 + grad_w1, total_w2 + grad_w2
        w1, w2 = w1 - lr * total_w1, w2 - lr * total_w2
    return losses


@train.wrong("The losses hardly move: `{function}` does not use the `lr` that it is given. Is a number such "
             "as 1e-6 written into the update?")
def fixed_step_length(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, 1e-6, steps)


@train.wrong("The losses of `{function}` are right, but the caller's weights have moved: `-=` writes into "
             "the tensor that was passed in. A second training from the same start would begin elsewhere.")
def trains_the_callers_weights(x, y, w1, w2, lr, steps):
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        grad_w1, grad_w2 = grads(x, y, w1, w2)
        w1 -= lr * grad_w1
        w2 -= lr * grad_w2
    return losses


@train.wrong("The numbers of `{function}` are right, but its list holds tensors. The docstring asks for "
             "Python floats; section 1.1 takes a number out of a tensor.")
def keeps_tensors(x, y, w1, w2, lr, steps):
    return [torch.tensor(loss) for loss in loop(x, y, w1, w2, lr, steps)]


@train.wrong("`{function}` returns one loss too many. One loss is stored per update, before it; the last "
             "weights are not judged.")
def one_loss_too_many(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps + 1)


@train.wrong("`{function}` returns a single number, and the check cannot walk through it. Collect the loss "
             "of every step in a list.")
def last_loss_only(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps)[-1]


@train.variant
def train_in_place_on_copies(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone(), w2.clone()
    losses = []
    for _ in range(steps):
        h = x @ w1
        r = torch.relu(h)
        error = r @ w2 - y
        losses.append(float(error.square().sum()))
        grad_w2 = 2 * r.T @ error
        w1 -= 2 * lr * x.T @ ((error @ w2.T) * (h > 0))
        w2 -= lr * grad_w2
    return losses


@train.variant
def train_in_double(x, y, w1, w2, lr, steps):
    x, y, w1, w2 = x.double(), y.double(), w1.double(), w2.double()
    losses = []
    while len(losses) < steps:
        pred = two_layer_forward(x, w1, w2)[2]
        losses.append(float(torch.dot((pred - y).flatten(), (pred - y).flatten())))
        step_w1, step_w2 = two_layer_backward(x, y, w1, w2)
        w1, w2 = torch.add(w1, step_w1, alpha=-lr), torch.add(w2, step_w2, alpha=-lr)
    return losses
