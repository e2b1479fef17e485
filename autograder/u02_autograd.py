"""The key of u02: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Sizes within a case all differ, upstream gradients are random, and a wrong answer that would make PyTorch warn keeps it quiet.
"""

import math
import warnings

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
DOUBLE = Tolerance(1e-10, 1e-12, "float64, eps 2.2e-16, carried through a few dozen operations")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; at most three products in a row with sums of up to 7 terms")


def normal(g, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=g, dtype=dtype)


def quietly(f):
    """Reading .grad of a non-leaf warns; what follows is the lesson, not the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f()


def build(leaves, steps):
    """The notebook's helper, for oracles."""
    numbers = list(leaves)
    for operation, i, j in steps:
        a, b = numbers[i], numbers[j]
        numbers.append({"+": lambda: a + b, "*": lambda: a * b, "tanh": lambda: a.tanh()}[operation]())
    return numbers


# ---- autograd_train --------------------------------------------------------------------------------------

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


# ---- hunt: the update ------------------------------------------------------------------------------------

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


# ---- vjp -------------------------------------------------------------------------------------------------

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


# ---- walk_graph ------------------------------------------------------------------------------------------

walk = Key(
    "u02-walk-graph",
    hints=(
        "From a node, where do its ways lead, and how do you notice that you have been somewhere before?",
        "`node.next_functions` holds pairs (node or None, number). Keep a list of nodes that still wait, take the one added last, and "
        "remember in a set which ones you have listed.",
        "A near-example on nested lists: `waiting = [tree]`; while it is not empty: `item = waiting.pop()`; if it is a list, "
        "`waiting += reversed(item)`, else print it. The leaves come out from left to right.",
    ),
    cases=5,
    weights={"names": 4},
)


def random_steps(g, start):
    """A graph in which a breadth-first walk, a walk along first ways, and one with repeats all differ from the right one."""
    first, second = [("*", "+"), ("+", "*")][int(torch.randint(2, (), generator=g))]
    a, b = torch.randperm(start, generator=g)[:2].tolist()
    steps = [[first, a, b], ["tanh", start, start], [second, start + 1, a], ["+", start + 2, start], ["*", start + 3, b]]
    for _ in range(2):
        kind = ["+", "*", "tanh"][int(torch.randint(3, (), generator=g))]
        last = start + len(steps) - 1
        steps.append([kind, last, int(torch.randint(last, (), generator=g))])
    return steps


@walk.inputs
def _(g, case):
    values = [[round(v, 3), True] for v in torch.rand(3, generator=g).tolist()]
    if case == 2:
        values[0][1] = False                             # a None among the ways
        return {"values": values, "steps": [["*", 0, 1], ["+", 3, 0], *[[k, a + 2, b] for k, a, b in random_steps(g, 2)]], "network": False}
    steps = random_steps(g, 3) if case < 2 else []       # case 3: a loss that is a leaf; case 4: LeNet
    return {"values": values, "steps": steps, "network": case == 4}


@walk.oracle
def _(values, steps, network):
    if network:
        linear, pooled = ["T", "AccumulateGrad"], ["MaxPool2DWithIndices", "Relu", "Convolution"]
        relu = ["Addmm", "AccumulateGrad", "Relu"]
        inner = ["View", *pooled, *pooled, *["AccumulateGrad"] * 4]
        return {"names": ["MseLoss", *relu, *relu, "Addmm", "AccumulateGrad", *inner, *linear * 3]}
    loss = build([torch.tensor(v, requires_grad=needs) for v, needs in values], steps)[-1]
    names, seen = [], []

    def visit(node):
        if node is not None and all(node is not other for other in seen):
            seen.append(node)
            names.append(type(node).__name__.split("Backward")[0])
            for way, _ in node.next_functions:
                visit(way)

    visit(loss.grad_fn)
    return {"names": names}


def walked(loss, once=True, last_first=False, along=lambda ways: ways, queue=False, keep=lambda node: True):
    """The walk with its typical faults open."""
    names, seen, waiting = [], set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop(0 if queue else -1)
        if node is None or (once and node in seen):
            continue
        seen.add(node)
        if keep(node):
            names.append(node.name())
        ways = along([way for way, _ in node.next_functions])
        waiting += ways if queue or last_first else ways[::-1]
    return names


@walk.wrong("`{function}` lists nodes by their distance from the loss: breadth first. Go to the end of the first way before you take "
            "the second; which end of your list of waiting nodes do you take from?")
def breadth_first(loss):
    return walked(loss, queue=True)


@walk.wrong("`{function}` lists a node again each time that a way leads to it. Remember where you have been.")
def lists_again(loss):
    return walked(loss, once=False)


@walk.wrong("`{function}` takes the last way first. What is added last to a list is taken first; reverse the ways before you add them.")
def last_way_first(loss):
    return walked(loss, last_first=True)


@walk.wrong("`{function}` follows only the first way from each node, so it misses everything behind the others.")
def first_way_only(loss):
    return walked(loss, along=lambda ways: ways[:1])


@walk.wrong("`{function}` leaves out the AccumulateGrad nodes. The walk ends there, and they are nodes like all others.")
def without_leaves(loss):
    return walked(loss, keep=lambda node: bool(node.next_functions))


@walk.wrong("`{function}` leaves out the node that it starts from, the loss's own grad_fn.")
def without_the_start(loss):
    return walked(loss)[1:]


@walk.wrong("`{function}` lists each *name* once. Two nodes may be of the same kind; what must not repeat is the node itself.")
def each_name_once(loss):
    return list(dict.fromkeys(walked(loss)))


@walk.wrong("`{function}` stumbles over a way that leads to None: an input that needs no gradient has no node.")
def stumbles_over_nothing(loss):
    names, seen, waiting = [], set(), [loss.grad_fn] if loss.grad_fn is not None else []
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            names.append(node.name())
            waiting += [way for way, _ in reversed(node.next_functions)]
    return names


@walk.wrong("`{function}` assumes that there is a graph. A leaf has no grad_fn; the docstring says what to return for it.")
def assumes_a_graph(loss):
    names = [loss.grad_fn.name()]
    return names + walked(loss)[1:]


@walk.wrong("`{function}` lists the leaves first and the loss last. The docstring asks for a node first, and then what is behind it.")
def from_the_leaves(loss):
    return walked(loss)[::-1]


@walk.wrong("`{function}` returns a list of lists, one for each node's ways. Flatten it: one name after the other.")
def nested(loss):
    return [[name] for name in walked(loss)]


@walk.variant
def walk_by_recursion(loss):
    listed = {}

    def visit(node):
        if node is None or node in listed:
            return
        listed[node] = type(node).__name__
        for way, _ in node.next_functions:
            visit(way)

    visit(loss.grad_fn)
    return list(listed.values())


@walk.variant
def walk_with_iterators(loss):
    if loss.grad_fn is None:
        return []
    names, seen, path = [loss.grad_fn.name()], [loss.grad_fn], [iter(loss.grad_fn.next_functions)]
    while path:
        way = next((node for node, _ in path[-1] if node is not None and node not in seen), None)
        if way is None:
            path.pop()
        else:
            seen.append(way)
            names.append(way.name())
            path.append(iter(way.next_functions))
    return names


# ---- hunt: the average -----------------------------------------------------------------------------------

average = Key(
    "u02-hunt-average",
    hints=(
        "What does `total` reach after three rounds, if you follow its grad_fn?",
        "A tensor with a history keeps that history alive. Add up something that has none.",
        "A near-example: to remember the largest weight of each round, `largest.append(w.max())` keeps tensors with a history, "
        "`largest.append(w.max().item())` keeps numbers.",
    ),
    cases=2,
    guards=("alive_afterwards", "weight_after", "grad_after", "recording_after"),
    weights={"growth": 4},
    tolerance={"average": SINGLE, "weight_after": EXACT},
)


@average.inputs
def _(g, case):
    k, d = [(2, 3), (4, 2)][case]
    sizes = [(4, 3, 5, 2), (2, 4, 3, 5, 6)][case]
    return {"weight": normal(g, k, d), "xs": [normal(g, n, d) for n in sizes], "ys": [normal(g, n, k) for n in sizes]}


@average.oracle
def _(weight, xs, ys):
    losses = [((torch.tanh(x.double() @ weight.double().T) - y.double()) ** 2).mean() for x, y in zip(xs, ys, strict=True)]
    return {"average": (sum(losses) / len(losses)).item(), "growth": 0, "alive_afterwards": 0, "weight_after": weight}


def batch_losses(model, batches):
    return [((model(x) - y) ** 2).mean() for x, y in batches]


@average.wrong("The average of `{function}` is right, but a list of losses keeps their graphs alive as well as their sum did. What should "
               "the list hold?")
def collects_losses(model, batches):
    return torch.stack(batch_losses(model, batches)).mean()


@average.wrong("`{function}` calls backward to set the saved tensors free. That works, and it leaves gradients in the model's parameters, "
               "which should come out as they went in. Nothing needs to be walked here.")
def frees_by_backward(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        total, count = total + loss.item(), count + 1
    return total / count


@average.wrong("`{function}` switches recording off and not on again: whoever trains after it will be surprised. Use "
               "`with torch.no_grad():`, which ends with its block.")
def switches_off_for_good(model, batches):
    torch.set_grad_enabled(False)
    losses = batch_losses(model, batches)
    return (sum(losses) / len(losses)).item()


@average.wrong("`{function}` tells the model's parameters not to require grad, and leaves them so. The model should come out as it went "
               "in.")
def freezes_the_model(model, batches):
    model.requires_grad_(False)
    losses = batch_losses(model, batches)
    return (sum(losses) / len(losses)).item()


@average.wrong("Memory no longer grows, but `{function}` returns the last batch's loss. Add them up, as numbers.")
def last_batch(model, batches):
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean().item()
    return loss


@average.wrong("Memory no longer grows, but `{function}` returns the sum over the batches. Divide by their number.")
def sum_of_batches(model, batches):
    return sum(((model(x) - y) ** 2).mean().item() for x, y in batches)


@average.wrong("`{function}` returns zero. Is the loss still added to the total?")
def nothing_added(model, batches):
    for _ in batches:
        pass
    return 0.0


@average.wrong("`{function}` divides by the number of samples. The docstring averages over batches.")
def per_sample(model, batches):
    losses, samples = 0.0, 0
    for x, y in batches:
        losses += ((model(x) - y) ** 2).mean().item()
        samples += len(x)
    return losses / samples


@average.wrong("`{function}` keeps the history of one batch: the average that it returns still tracks gradients. The docstring asks for a "
               "float.")
def returns_a_tensor(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean()
        total, count = total + loss.item(), count + 1
    return loss - loss.item() + total / count


@average.variant
def average_without_recording(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        with torch.no_grad():
            total = total + ((model(x) - y) ** 2).mean()
        count += 1
    return (total / count).item()


@average.variant
def average_detached(model, batches):
    losses = []
    for x, y in batches:
        losses.append(nn.functional.mse_loss(model(x), y).detach())
    return torch.stack(losses).mean().item()


@average.variant
@torch.no_grad()
def average_decorated(model, batches):
    losses = [float(((model(x) - y) ** 2).mean()) for x, y in batches]
    return sum(losses) / len(losses)


# ---- topo_order ------------------------------------------------------------------------------------------

topo = Key(
    "u02-topo-order",
    hints=(
        "Draw the diamond p, q = p + x, r = p q. In which orders may p and q be listed?",
        "Go depth first, with a stack of your own, and list a node when you leave it: when you see it again and all its parents are "
        "listed. Two sets help: opened, and left.",
        "A near-example, packing boxes into boxes: `while stack:` look at `stack[-1]`; if its contents were pushed before, pop it and write "
        "it down; if not, mark it and push its contents. Small boxes are written down before those around them.",
    ),
    cases=8,
    weights={"carried_to_root": 4, "listed": 2, "(refuses wrong input)": 2},
    guards=("last",),
    tolerance=Tolerance(1e-9, 0, "float64; sums of positive numbers along up to 4000 nodes"),
)

SHARED = [[], [], [0, 1], [2, 0], [3, 2], [4, 2, 1], []]            # diamonds whose sides differ in length; the last place is filled below
FIXED = {
    0: [[], [], [0, 1], [2, 0], [2, 3]],                             # p, q = p + x, r = p q
    1: [[], [0], [1], [2, 0], [0, 3], [4, 1, 1], [], [5, 3]],        # one node that nobody needs, one parent twice
    2: [[]],
    3: [[], [0, 0]],                                                 # and a long chain behind it
    4: [[], [0, 3], [1], [2], [3]],                                  # 1 -> 3 -> 2 -> 1
    5: [[], [0, 1], [1, 0]],                                         # its own parent
    6: [[], [0, 3], [1], [2, 3]],                                    # the root itself is on the cycle
    7: [[], [0], [0, 1], [2, 1, 0], [3, 0, 2], [4, 3]],
}


@topo.inputs
def _(g, case):
    parents = FIXED[case]
    values = [round(v, 3) for v in (1 + torch.rand(len(parents), generator=g)).tolist()]
    return {"values": values, "parents": parents, "chain": 4000 if case == 3 else 0}


@topo.oracle
def _(values, parents, chain):
    if any(place >= child for child, places in enumerate(parents) for place in places):
        return {}
    carried = []                                                     # the places are an order themselves
    for value, places in zip(values, parents, strict=True):
        carried.append(value + sum(0.5 * carried[place] for place in places))
    used, todo = set(), [len(values) - 1]
    while todo:
        place = todo.pop()
        if place not in used:
            used.add(place)
            todo += parents[place]
    total, last, root = sum(values[place] for place in used), values[-1], carried[-1]
    for _ in range(chain):
        last /= 2
        total, root = total + last, last + 0.5 * root
    return {"carried_to_root": root, "listed": len(used) + chain, "sum_of_values": total, "last": last}


def ordered(root, check=True, pushed=lambda parents: parents):
    """The right order."""
    order, opened, left, stack = [], set(), set(), [root]
    while stack:
        node = stack[-1]
        if node in opened:
            stack.pop()
            if node not in left:
                left.add(node)
                order.append(node)
        else:
            opened.add(node)
            for parent in pushed(node.parents):
                if parent not in opened:
                    stack.append(parent)
                elif parent not in left and check:
                    raise ValueError("cycle")
    return order


def explored(root, queue=False, once=True):
    """Nodes in the order in which they are met; with queue, breadth first."""
    met, waiting = [], [root]
    seen = set()
    while waiting:
        node = waiting.pop(0 if queue else -1)
        if once and node in seen:
            continue
        seen.add(node)
        met.append(node)
        waiting += node.parents
    return met


@topo.wrong("`{function}` orders nodes by their distance from the root. At a diamond with sides of different lengths a node then comes "
            "behind one that needs it. List a node when you leave it, not when you meet it.")
def by_distance(root):
    ordered(root)
    return explored(root, queue=True)[::-1]


@topo.wrong("`{function}` lists nodes when it meets them, depth first. A node that is also reached by a longer way is then in the wrong "
            "place. List it when you leave it.")
def when_met(root):
    ordered(root)
    return explored(root)[::-1]


@topo.wrong("`{function}` lists the root first and the leaves last. The docstring asks for parents before children.")
def root_first(root):
    return ordered(root)[::-1]


@topo.wrong("`{function}` calls itself once for each node on the way, and long graphs exceed Python's limit. Keep a stack in a list.")
def by_recursion(root):
    order, opened, left = [], set(), set()

    def visit(node):
        if node in left:
            return
        if node in opened:
            raise ValueError("cycle")
        opened.add(node)
        for parent in node.parents:
            visit(parent)
        left.add(node)
        order.append(node)

    try:
        visit(root)
    except RecursionError:
        raise RecursionError("maximum recursion depth exceeded") from None
    return order


@topo.wrong("`{function}` returns an order where there is none: a node that is its own ancestor has to be refused with a ValueError.")
def accepts_cycles(root):
    return ordered(root, check=False)


@topo.wrong("`{function}` takes every node that it meets twice for a cycle. A diamond is met twice as well; it is a cycle only if the "
            "node has not been left yet.")
def diamonds_refused(root):
    order = ordered(root)
    if any(order.count(parent) and sum(parent in node.parents for node in order) > 1 for parent in order[:20]):
        raise ValueError("the graph has a cycle")
    return order


@topo.wrong("`{function}` lists a node once for each way that leads to it. Remember which ones are listed.")
def once_per_way(root):
    ordered(root)
    order = []
    for node in ordered(root):
        order += [node] * max(1, sum(node in child.parents for child in ordered(root)) if len(order) < 20 else 1)
    return order


@topo.wrong("`{function}` leaves the root out. It comes last.")
def without_the_root(root):
    return ordered(root)[:-1]


@topo.wrong("`{function}` leaves the leaves out: nodes without parents belong in the list as well.")
def without_the_leaves(root):
    return [node for node in ordered(root) if node.parents or node is root]


@topo.wrong("`{function}` follows each node's first parent only, and misses the rest of the graph.")
def first_parent_only(root):
    ordered(root)
    return ordered(root, pushed=lambda parents: parents[:1])


@topo.wrong("`{function}` notices a cycle only if it leads back to the root. Any node can be its own ancestor.")
def looks_at_the_root_only(root):
    met = explored(root)
    if any(root in node.parents for node in met):
        raise ValueError("cycle")
    return ordered(root, check=False)


@topo.variant
def topo_by_counting(root):
    waiting, users = [root], {root: 0}
    while waiting:
        node = waiting.pop()
        for parent in node.parents:
            if parent not in users:
                users[parent] = 0
                waiting.append(parent)
            users[parent] += 1
    free = [root] if users[root] == 0 else []
    order = []
    while free:
        node = free.pop()
        order.append(node)
        for parent in node.parents:
            users[parent] -= 1
            if users[parent] == 0:
                free.append(parent)
    if len(order) < len(users):
        raise ValueError("cycle")
    return order[::-1]


@topo.variant
def topo_with_iterators(root):
    order, state, path = [], {root: "open"}, [(root, iter(root.parents))]
    while path:
        node, parents = path[-1]
        for parent in parents:
            if state.get(parent) == "open":
                raise ValueError("a node is its own ancestor")
            if parent not in state:
                state[parent] = "open"
                path.append((parent, iter(parent.parents)))
                break
        else:
            state[node] = "left"
            order.append(node)
            path.pop()
    return order


# ---- backprop --------------------------------------------------------------------------------------------

engine = Key(
    "u02-backprop",
    hints=(
        "When a node's turn comes, how do you know that everything has arrived? And which numbers may survive from one call to the next?",
        "Keep this call's gradients in a dict of their own, zero for every node and `upstream` for the root. Walk the order from its end, "
        "add to parents, and only then write to `.grad`.",
        "A near-example, counting ways instead of gradients: `ways = dict.fromkeys(order, 0)`, `ways[root] = 1`, and for each node from the "
        "end of the order, `ways[parent] += ways[node]` for each of its parents.",
    ),
    cases=4,
    guards=("values_after",),
    equivalent={"line 5: zip(node.parents, node.slopes, strict=True) -> zip(node.parents, node.slopes, strict=False)":
                "every node that the engine makes has as many slopes as parents"},
    weights={"leaves": 4, "computed": 2, "leaves_after_second_call": 4, "computed_after_second_call": 2},
    tolerance=Tolerance(1e-10, 1e-13, "float64; a few dozen products and sums in any order"),
)


@engine.inputs
def _(g, case):
    values = [round(v, 3) for v in (0.5 + torch.rand(3, generator=g)).tolist()]
    upstream, upstream2 = (round(v, 3) for v in (2 + torch.rand(2, generator=g)).tolist())
    steps = [
        [["*", 0, 1], ["+", 3, 2], ["*", 3, 4], ["tanh", 5, 5], ["+", 6, 3]],       # two diamonds with unequal sides
        [["*", 0, 0], ["*", 3, 0], ["+", 4, 4], ["*", 5, 1], ["+", 6, 4]],          # the same parent twice; leaf 2 unused
        [],                                                                         # the root is a leaf
        [["tanh", 2, 2], ["*", 3, 1], ["*", 4, 4], ["+", 5, 4], ["*", 6, 3], ["+", 7, 0]],
    ][case]
    return {"values": values, "steps": steps, "upstream": upstream, "upstream2": upstream2}


@engine.oracle
def _(values, steps, upstream, upstream2):
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    numbers = build(leaves, steps)
    grads = torch.autograd.grad(numbers[-1], numbers, allow_unused=True, materialize_grads=True)
    slopes, count = [grad.item() for grad in grads], len(values)
    first, second = ([upstream * slope for slope in slopes], [upstream2 * slope for slope in slopes])
    both = [a + b for a, b in zip(first, second, strict=True)]
    return {"leaves": first[:count], "computed": first[count:], "leaves_after_second_call": both[:count],
            "computed_after_second_call": second[count:], "values_after": [n.item() for n in numbers]}


def arriving(root, upstream, order=None, add=True, send=lambda slope, grad: slope * grad):
    """This call's gradients by node."""
    order = ordered(root) if order is None else order
    found = dict.fromkeys(order, 0.0)
    found[root] = upstream
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            found[parent] = send(slope, found[node]) + (found[parent] if add else 0.0)
    return found


def store(found, leaf=lambda old, new: old + new, computed=lambda old, new: new):
    for node, grad in found.items():
        node.grad = computed(node.grad, grad) if node.parents else leaf(node.grad, grad)


@engine.wrong("`{function}` overwrites at a diamond: where two ways meet, or a number is used twice, only the last gradient is kept. What "
              "arrives is added.")
def overwrites_at_a_diamond(root, upstream):
    store(arriving(root, upstream, add=False))


@engine.wrong("`{function}` ignores `upstream` and starts with 1. Everything is right for an upstream of 1, and only then.")
def ignores_upstream(root, upstream):
    store(arriving(root, 1.0))


@engine.wrong("The first call of `{function}` is right. After the second, the leaves hold only its gradient; theirs add up over calls.")
def replaces_at_leaves(root, upstream):
    store(arriving(root, upstream), leaf=lambda old, new: new)


@engine.wrong("The leaves of `{function}` are right, but computed numbers add up over calls as well. Theirs is the gradient of the latest "
              "call alone.")
def adds_everywhere(root, upstream):
    store(arriving(root, upstream), computed=lambda old, new: old + new)


@engine.wrong("The first call of `{function}` is right. In the second, computed numbers start from what the first one left, and send it on "
              "once more: the leaves get too much. Keep each call's gradients apart.")
def sends_old_gradients_again(root, upstream):
    order = ordered(root)
    root.grad = upstream if root.parents else root.grad + upstream
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad += slope * node.grad


@engine.wrong("`{function}` sends a node's gradient on before everything has arrived: at a diamond of unequal sides it goes by distance. "
              "Which order did section 5.2 find?")
def walks_by_distance(root, upstream):
    store(arriving(root, upstream, explored(root, queue=True)[::-1]))


@engine.wrong("`{function}` starts at the leaves and walks to the root. The gradient is known at the root; take the order from its end.")
def walks_forward(root, upstream):
    store(arriving(root, upstream, ordered(root)[::-1]))


@engine.wrong("`{function}` hands the gradient on without the local derivative. Each parent gets its slope times what arrived.")
def without_slopes(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: grad))


@engine.wrong("`{function}` adds slopes where they should multiply. Along a way, derivatives are multiplied; where ways meet, added.")
def adds_slopes(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: slope + grad))


@engine.wrong("`{function}` multiplies with the upstream at every node. It enters once, at the root.")
def upstream_everywhere(root, upstream):
    store(arriving(root, upstream, send=lambda slope, grad: slope * grad * upstream))


@engine.wrong("The leaves of `{function}` are right, but computed numbers have no gradient, or that of the root is missing. The docstring asks "
              "for theirs, too.")
def only_leaves(root, upstream):
    store(arriving(root, upstream), computed=lambda old, new: old)


@engine.wrong("`{function}` never writes a gradient. Where do the sums that it computes go?")
def writes_nothing(root, upstream):
    arriving(root, upstream)


@engine.wrong("`{function}` uses parents' values where their slopes belong. Each node holds its local derivatives ready, in `slopes`.")
def values_for_slopes(root, upstream):
    found = dict.fromkeys(ordered(root), 0.0)
    found[root] = upstream
    for node in reversed(list(found)):
        for parent in node.parents:
            found[parent] += parent.value * found[node]
    store(found)


@engine.variant
def backprop_by_counting(root, upstream):
    users, waiting = {root: 0}, [root]
    while waiting:
        for parent in waiting.pop().parents:
            if parent not in users:
                users[parent] = 0
                waiting.append(parent)
            users[parent] += 1
    sums, ready = {root: upstream}, [root]
    while ready:
        node = ready.pop()
        if node.parents:
            node.grad = sums[node]
        else:
            node.grad += sums[node]
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            sums[parent] = sums.get(parent, 0.0) + slope * sums[node]
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)


@engine.variant
def backprop_by_paths(root, upstream):
    totals = {}

    def go(node, grad):
        totals[node] = totals.get(node, 0.0) + grad
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            go(parent, grad * slope)

    go(root, upstream)
    for node, grad in totals.items():
        node.grad = grad + (0.0 if node.parents else node.grad)


@engine.variant
def backprop_in_grad(root, upstream):
    order = ordered(root)
    for node in order:
        if node.parents:
            node.grad = 0.0
    root.grad = upstream if root.parents else root.grad + upstream
    while order:
        node = order.pop()
        for slope, parent in zip(node.slopes, node.parents, strict=True):
            parent.grad = parent.grad + node.grad * slope


# ---- scale_grad ------------------------------------------------------------------------------------------

scale = Key(
    "u02-scale-grad",
    hints=(
        "What does the function that you register receive, what does it return, and when is it called?",
        "`t.register_hook(f)`: f gets the gradient and returns what goes on. `register_hook` itself returns what you need to return.",
        "A near-example that reverses gradients: `handle = t.register_hook(lambda grad: -grad)`.",
    ),
    cases=2,
    guards=("forward", "grad_beside_t", "removed", "removed_from_leaf", "v_after"),
    weights={"grad_behind_t": 3, "after_two_calls": 2, "of_a_leaf_after_two_calls": 2},
    tolerance=SINGLE,
)


@scale.inputs
def _(g, case):
    shape = [(3, 4), (2, 5)][case]
    return {"a": normal(g, *shape), "b": normal(g, *shape), "v": normal(g, *shape), "s": [-0.5, 3.0][case] + torch.rand((), generator=g).item() / 4}


@scale.oracle
def _(a, b, v, s):
    a, b, v = a.double(), b.double(), v.double()
    return {"forward": a * b + b * a, "grad_behind_t": s * b * v, "grad_beside_t": a * v, "after_two_calls": 2 * s * b * v,
            "of_a_leaf_after_two_calls": 2 * s * b * v, "removed": b * v, "removed_from_leaf": b * v, "v_after": v}


class Handle:
    """Stands for a handle that does nothing."""

    def remove(self):
        pass


@scale.wrong("`{function}` has no effect on the gradients. A hook that returns nothing changes nothing: does yours return its product?")
def hook_returns_nothing(t, s):
    def hook(grad):
        grad * s

    return t.register_hook(hook)


@scale.wrong("`{function}` changes the incoming gradient in place. That tensor is not the hook's own: the v of backward(v) holds other "
             "numbers now. Return a new tensor.")
def hook_in_place(t, s):
    return t.register_hook(lambda grad: grad.mul_(s))


@scale.wrong("`{function}` scales the numbers in t instead of the gradient that arrives there: the forward result has changed.")
def scales_the_values(t, s):
    t.data.mul_(s)
    return Handle()


@scale.wrong("`{function}` does not return the handle, so nobody can end the scaling.")
def no_handle(t, s):
    t.register_hook(lambda grad: grad * s)


@scale.wrong("`{function}` works for one backward only: the hook is removed, or counts its calls. It stays until the caller removes the "
             "handle.")
def works_once(t, s):
    calls = []

    def hook(grad):
        calls.append(1)
        return grad * s if len(calls) == 1 else grad

    return t.register_hook(hook)


@scale.wrong("`{function}` scales again at each call: with every backward the factor grows. Is a result kept in a variable that the next call "
             "starts from?")
def factor_grows(t, s):
    factor = [1.0]

    def hook(grad):
        factor[0] *= s
        return grad * factor[0]

    return t.register_hook(hook)


@scale.wrong("`{function}` scales what has accumulated, so in a leaf the first gradient is scaled twice after two calls. `register_hook` sees "
             "each gradient before it is added.")
def scales_the_sum(t, s):
    if t.is_leaf:
        def after(p):
            p.grad = p.grad * s

        return t.register_post_accumulate_grad_hook(after)
    return t.register_hook(lambda grad: grad * s)


@scale.wrong("`{function}` divides by s.")
def divides(t, s):
    return t.register_hook(lambda grad: grad / s)


@scale.wrong("`{function}` adds s to the gradient. It should multiply.")
def adds(t, s):
    return t.register_hook(lambda grad: grad + s)


@scale.wrong("`{function}` replaces the gradient by s: what arrived is dropped. The upstream has to stay a factor.")
def drops_the_gradient(t, s):
    return t.register_hook(lambda grad: torch.full_like(grad, s))


@scale.wrong("`{function}` sends zeros on. Does the hook return what it computed?")
def sends_zeros(t, s):
    return t.register_hook(torch.zeros_like)


@scale.wrong("The handle of `{function}` does nothing when it is removed. `register_hook` returns the one that does.")
def handle_of_no_use(t, s):
    t.register_hook(lambda grad: grad * s)
    return Handle()


@scale.variant
def scale_by_named_hook(t, s):
    def hook(grad):
        return torch.mul(grad, s)

    handle = t.register_hook(hook)
    return handle


@scale.variant
def scale_on_a_copy(t, s):
    return t.register_hook(lambda grad: grad.clone().mul_(s))


# ---- clip_module_grads -----------------------------------------------------------------------------------

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


# ---- predict_grads ---------------------------------------------------------------------------------------

predict = Key(
    "u02-predict-grads",
    hints=(
        "For each snippet: which tensors are leaves, how many walks are there, what was saved, and what was not recorded?",
        "A walk adds to `.grad`. A part that was not recorded is a constant. A second walk needs the saved tensors of the first. In place on a "
        "watched leaf is refused.",
        "A near-example: `y = 4 * x * x.detach()`, then `y.backward()`. The detached factor is the constant a, so x.grad is 4 · a.",
    ),
    cases=2,
    weights={"C": 0.5, "E": 0.5, "G": 0.5, "J": 0.5},
    tolerance=Tolerance(1e-5, 1e-6, "formulas of at most three operations; PyTorch's side of them runs in float32"),
)

SNIPPETS = {
    "A": "for _ in range(3):\n    (x * x).backward()",
    "B": "with torch.no_grad():\n    k = x * x\n(k * x).backward()",
    "C": "x += 1\n(x * x).backward()",
    "D": "y = x + x\ny.backward()\ny.backward()",
    "E": "y = x * x\ny.backward()\ny.backward()",
    "F": "s = torch.sigmoid(x)\ns.data.zero_()\ns.backward()",
    "G": "s = torch.sigmoid(x)\ns.detach().zero_()\ns.backward()",
    "H": "torch.stack([x, x * x]).backward(torch.tensor([5.0, a]))",
    "I": "x.register_hook(lambda grad: 10 * grad)\ny = x * x.detach()\ny.backward(retain_graph=True)\ny.backward()",
    "J": "k = x.detach().clone().requires_grad_()\n(k * k).backward()",
}


@predict.inputs
def _(g, case):
    return {"a": round([1.6, 3.2][case] + torch.rand((), generator=g).item(), 3)}


@predict.oracle
def _(a):
    found = {}
    for name, text in SNIPPETS.items():
        names = {"torch": torch, "a": a, "x": torch.tensor(a, requires_grad=True)}
        try:
            exec(text, names)
            found[name] = None if names["x"].grad is None else names["x"].grad.item()
        except RuntimeError as error:
            found[name] = type(error).__name__
    return found


RIGHT = {"A": lambda a: 6 * a, "B": lambda a: a * a, "C": lambda a: "RuntimeError", "D": lambda a: 4.0, "E": lambda a: "RuntimeError",
         "F": lambda a: 0.0, "G": lambda a: "RuntimeError", "H": lambda a: 5 + 2 * a * a, "I": lambda a: 20 * a, "J": lambda a: None}


def answer(snippet, a, **other):
    """Right except for some snippets."""
    return other.get(snippet, RIGHT[snippet])(a)


@predict.wrong("In snippet A, `{function}` counts one walk. How often does `backward` run, and what does it do to `.grad`?")
def a_counts_once(snippet, a):
    return answer(snippet, a, A=lambda a: 2 * a)


@predict.wrong("In snippet B, `{function}` differentiates all three factors. What was computed under no_grad is a constant.")
def b_sees_through_no_grad(snippet, a):
    return answer(snippet, a, B=lambda a: 3 * a * a)


@predict.wrong("In snippet B, `{function}` differentiates k, and forgets the factor x that stands beside it. Which of the two is the constant?")
def b_wrong_factor(snippet, a):
    return answer(snippet, a, B=lambda a: 2 * a)


@predict.wrong("In snippet C, `{function}` gives a number. `x += 1` is in place, and x is a leaf that is watched.")
def c_in_place_allowed(snippet, a):
    return answer(snippet, a, C=lambda a: 2 * (a + 1))


@predict.wrong("In snippet D, `{function}` expects an error at the second walk. It needs saved tensors; what does an addition save?")
def d_refuses_always(snippet, a):
    return answer(snippet, a, D=lambda a: "RuntimeError")


@predict.wrong("In snippet D, `{function}` counts one walk. Nothing was saved, so the second one works too.")
def d_counts_once(snippet, a):
    return answer(snippet, a, D=lambda a: 2.0)


@predict.wrong("In snippet E, `{function}` lets the second walk pass. A product saves its factors, and the first walk sets them free.")
def e_walks_twice(snippet, a):
    return answer(snippet, a, E=lambda a: 4 * a)


@predict.wrong("In snippet F, `{function}` gives the true derivative of the sigmoid. Which s does the walk find when it computes s (1 - s)?")
def f_true_slope(snippet, a):
    return answer(snippet, a, F=lambda a: (1 / (1 + math.exp(-a))) * (1 - 1 / (1 + math.exp(-a))))


@predict.wrong("In snippet F, `{function}` expects an error. `.data` has no version counter in common with s, so nobody notices.")
def f_noticed(snippet, a):
    return answer(snippet, a, F=lambda a: "RuntimeError")


@predict.wrong("In snippet G, `{function}` expects a silent zero. `detach()` shares the version counter, and the walk compares it.")
def g_silent(snippet, a):
    return answer(snippet, a, G=lambda a: 0.0)


@predict.wrong("In snippet H, `{function}` ignores the vector that the walk starts with, as if it were all ones. Each output's slope is weighted.")
def h_all_ones(snippet, a):
    return answer(snippet, a, H=lambda a: 1 + 2 * a)


@predict.wrong("In snippet H, `{function}` keeps one output. Both lead back to x, and what they send is added.")
def h_one_output(snippet, a):
    return answer(snippet, a, H=lambda a: 2 * a * a)


@predict.wrong("In snippet I, `{function}` differentiates the detached factor as well. It is the constant a.")
def i_sees_through_detach(snippet, a):
    return answer(snippet, a, I=lambda a: 40 * a)


@predict.wrong("In snippet I, `{function}` lets the hook act on the sum, or once. It acts on each walk's gradient before that is added.")
def i_hook_on_the_sum(snippet, a):
    return answer(snippet, a, I=lambda a: 110 * a)


@predict.wrong("In snippet I, `{function}` counts one walk. How often does `backward` run?")
def i_counts_once(snippet, a):
    return answer(snippet, a, I=lambda a: 10 * a)


@predict.wrong("In snippet J, `{function}` gives x a gradient. k is a leaf of its own: the walk ends there.")
def j_reaches_x(snippet, a):
    return answer(snippet, a, J=lambda a: 2 * a)


@predict.wrong("In snippet J, `{function}` says 0. No walk ever reached x, so `.grad` was never made; what does an attribute hold "
               "that was never set?")
def j_zero(snippet, a):
    return answer(snippet, a, J=lambda a: 0.0)


@predict.wrong("`{function}` returns the same number for every snippet.")
def all_zeros(snippet, a):
    return 0.0


@predict.variant
def predict_by_lambdas(snippet, a):
    table = {"A": lambda: 6 * a, "B": lambda: a ** 2, "D": lambda: 4, "F": lambda: 0, "H": lambda: 2 * a ** 2 + 5, "I": lambda: 20 * a,
             "J": lambda: None}
    return table[snippet]() if snippet in table else RuntimeError.__name__


@predict.variant
def predict_by_running(snippet, a):
    names = {"torch": torch, "a": a, "x": torch.tensor(a, requires_grad=True)}
    try:
        exec(SNIPPETS[snippet], names)
    except Exception as error:
        return type(error).__name__
    return None if names["x"].grad is None else float(names["x"].grad)
