"""The key of u09: six bug hunts, each with the half repairs, the patches that only silence, and repairs that fit one input.

A released program has up to three faults, so most wrong answers here are that program with one or two of them mended.
"""

import copy
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, a count or a name is either the same or not")
TRAINED = Tolerance(1e-4, 1e-6, "float32, a handful of updates that each depend on the one before")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; at most three products in a row with sums of up to 16 terms")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


# ---- fit: the tutorial of 2017 ---------------------------------------------------------------------------

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


# ---- descend: the walk that stays ------------------------------------------------------------------------

walk = Key(
    "u09-hunt-descent",
    hints=(
        "Which of the names in the update holds the rate of *this* step? And when the path is printed, why do all later points agree?",
        "`.grad` is an attribute. `.data` is a second name for the same memory. `lr` is set after it is used.",
        "A near-example of the last one: `log = []`, `t = torch.zeros(1)`; twice `t += 1` and `log.append(t)`. The log holds 2 and 2; "
        "with `log.append(t.clone())` it holds 1 and 2.",
    ),
    cases=3,
    guards=("start_after",),
    tolerance={"path": TRAINED, "start_after": EXACT},
)


@walk.inputs
def _(g, case):
    d, steps = [(3, 4), (2, 3), (4, 5)][case]
    rates = (0.05 + 0.2 * torch.rand(steps, generator=g)).tolist()
    return {"a": 0.5 + torch.rand(d, generator=g), "c": normal(g, d), "start": 1 + normal(g, d), "rates": rates}


@walk.oracle
def _(a, c, start, rates):
    t = start.double()
    path = [t + 1]
    for rate in rates:
        t = t - rate * (2 * a.double() * (t - c.double()) + torch.cos(t))
        path.append(t)
    return {"path": path, "start_after": start}


def walked(f, start, rates, record=lambda x: x.data.clone(), clear=True, sign=1.0):
    """The walk with its faults to choose from."""
    x = start.clone().requires_grad_()
    path = [start.clone()]
    for rate in rates:
        f(x).backward()
        x.data -= sign * rate * x.grad
        if clear:
            x.grad.zero_()
        path.append(record(x))
    return path


@walk.wrong(
    "`{function}` raises nothing any more, but all points after the start are the last one. You store the same tensor again and again, "
    "and it goes on moving."
)
def descend_records_one_memory(f, start, rates):
    return walked(f, start, rates, record=lambda x: x.data)


@walk.wrong(
    "The path of `{function}` has the right values and carries graphs. Copy the data, not the tensor that autograd watches."
)
def descend_records_graphs(f, start, rates):
    return walked(f, start, rates, record=lambda x: x.clone())


@walk.wrong(
    "`{function}` takes each step with the rate of the step before: a first value for `lr` silences the message, and the rates "
    "still come one step late."
)
def descend_one_rate_late(f, start, rates):
    return walked(f, start, [rates[0], *rates[:-1]])


@walk.wrong("`{function}` uses one rate for all steps. Set before the loop, a name does not follow the loop.")
def descend_first_rate_only(f, start, rates):
    return walked(f, start, [rates[0]] * len(rates))


@walk.wrong("`{function}` uses the last rate for all steps. Which name changes in each turn of the loop?")
def descend_last_rate_only(f, start, rates):
    return walked(f, start, [rates[-1]] * len(rates))


@walk.wrong(
    "The first step of `{function}` is right, the later ones are too long: the line that cleared the gradient was healthy."
)
def descend_never_clears(f, start, rates):
    return walked(f, start, rates, clear=False)


@walk.wrong("`{function}` walks uphill. Take a look at the sign of the update.")
def descend_uphill(f, start, rates):
    return walked(f, start, rates, sign=-1.0)


@walk.wrong(
    "`{function}` never moves: the gradient is cleared before it is used, or the step was removed together with its message."
)
def descend_stands_still(f, start, rates):
    return walked(f, start, rates, sign=0.0)


@walk.wrong(
    "`{function}` makes a new x in each step. It is no leaf, so its `.grad` stays None, and the second round fails: it is right for a "
    "single rate only."
)
def descend_makes_a_new_x(f, start, rates):
    x = start.clone().requires_grad_()
    path = [start.clone()]
    for rate in rates:
        x.retain_grad()
        f(x).backward()
        x = x.detach() - rate * x.grad
        path.append(x.clone())
    return path


@walk.wrong(
    "`{function}` calls a tensor. A gradient is an attribute of its tensor, and no method computes it on request."
)
def descend_calls_the_gradient(f, start, rates):
    x = start.clone().requires_grad_()
    f(x).backward()
    return x.grad()


@walk.wrong("The path of `{function}` lacks the start: it has one point for each step, and one more is due.")
def descend_without_start(f, start, rates):
    return walked(f, start, rates)[1:]


@walk.wrong(
    "`{function}` moves the caller's start, or gives it away as the first point. A copy at the beginning keeps the two apart."
)
def descend_moves_the_start(f, start, rates):
    path = walked(f, start, rates)
    start.copy_(path[-1])
    return path


@walk.variant
def descend_with_no_grad(f, start, rates):
    x = start.detach().clone().requires_grad_(True)
    path = [x.detach().clone()]
    for lr in rates:
        x.grad = None
        f(x).backward()
        with torch.no_grad():
            x -= lr * x.grad
        path.append(x.detach().clone())
    return path


@walk.variant
def descend_by_new_leaves(f, start, rates):
    path = [start.clone()]
    for lr in rates:
        x = path[-1].clone().requires_grad_()
        path.append((x - lr * torch.autograd.grad(f(x), x)[0]).detach())
    return path


# ---- gradients: the missing comma ------------------------------------------------------------------------

comma = Key(
    "u09-hunt-gradients",
    hints=(
        "How many names are in the list? Then, with four: which factor do all gradients share, and what do w1 and b1 have that w2 and b2 do not?",
        "Print len(names). Samples are counted along the first axis here. And what switched a hidden unit off: its own value, or its gradient?",
        "A near-example of the mask, with another bend, `r = h.clamp(max=1)`: `grad_h = grad_r * (h < 1)`. And of the comma: `['a' 'b', "
        "'c']` is `['ab', 'c']`.",
    ),
    cases=2,
    guards=("how_many", "x_after"),
    weights={"w1": 2, "b1": 2},
    equivalent={
        "line 5: h > 0 -> h >= 0": "no entry of h is exactly 0; unit 1 declares the convention there, and a repair may follow either"
    },
    tolerance={"w1": SINGLE, "b1": SINGLE, "w2": SINGLE, "b2": SINGLE, "how_many": EXACT, "x_after": EXACT},
)


def by_hand(x, y, w1, b1, w2, b2, rows=None, mask=lambda h, grad_r: h > 0):
    """The four gradients with the number of samples and the mask to choose."""
    h = x @ w1 + b1
    r = h.clamp(min=0)
    grad_z = (torch.sigmoid(r @ w2 + b2) - y) / (rows or len(x))
    grad_r = grad_z @ w2.T
    grad_h = grad_r * mask(h, grad_r)
    return {"w1": x.T @ grad_h, "b1": grad_h.sum(dim=0), "w2": r.T @ grad_z, "b2": grad_z.sum(dim=0)}


@comma.inputs
def _(g, case):
    n, d, m, k = [(6, 4, 5, 2), (5, 3, 7, 4)][case]
    while True:
        made = {"x": normal(g, n, d), "y": torch.randint(0, 2, (n, k), generator=g).float(), "w1": normal(g, d, m),
                "b1": normal(g, m), "w2": normal(g, m, k), "b2": normal(g, k)}  # fmt: skip
        h = made["x"] @ made["w1"] + made["b1"]
        found = [by_hand(**made, mask=mask)["b1"] for mask in (lambda h, u: h > 0, lambda h, u: u > 0, lambda h, u: 1)]
        far = all((a - b).norm() > 0.2 * a.norm() for i, a in enumerate(found) for b in found[:i])
        if far and (h > 0.1).any() and (h < -0.1).any() and h.abs().min() > 0.01:
            return made


@comma.oracle
def _(x, y, w1, b1, w2, b2):
    leaves = [t.double().requires_grad_() for t in (w1, b1, w2, b2)]
    z = F.linear(torch.relu(F.linear(x.double(), leaves[0].T, leaves[1])), leaves[2].T, leaves[3])
    loss = F.binary_cross_entropy_with_logits(z, y.double(), reduction="sum") / len(x)
    found = torch.autograd.grad(loss, leaves)
    return dict(zip(("w1", "b1", "w2", "b2"), found, strict=True)) | {"how_many": 4, "x_after": x}


@comma.wrong(
    "The keys of `{function}` are right now; all four gradients are longer or shorter than they should be by the same factor, and two of "
    "them point "
    "elsewhere as well. Start with the factor: how long are they in proportion to the true ones, and which two sizes have that ratio?"
)
def gradients_only_comma(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, rows=x.shape[1], mask=lambda h, u: u > 0)


@comma.wrong(
    "Every gradient of `{function}` is off by one factor, the same for all: it divides by the number of columns, and rows are "
    "samples here."
)
def gradients_divide_by_columns(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, rows=x.shape[1])


@comma.wrong(
    "w2 and b2 of `{function}` are right, w1 and b1 point elsewhere: the bend lets a gradient pass where the *gradient* is positive. What "
    "was on or off, going forward?"
)
def gradients_mask_by_sign(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, mask=lambda h, u: u > 0)


@comma.wrong(
    "w2 and b2 of `{function}` are right; for w1 and b1 the mask was removed instead of mended: units that were off pass their "
    "gradient on."
)
def gradients_no_mask(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, mask=lambda h, u: 1)


@comma.wrong(
    "`{function}` no longer averages: its gradients are those of a sum over the samples. Which size belongs under the 1?"
)
def gradients_of_the_sum(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, rows=1)


@comma.wrong(
    "`{function}` divides by the number of all entries. The docstring sums over the outputs and averages over the samples only."
)
def gradients_mean_over_all(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, rows=y.numel())


@comma.wrong("`{function}` divides by the number of outputs. That is the columns of y; samples are rows, in x as in y.")
def gradients_divide_by_outputs(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2, rows=y.shape[1])


@comma.wrong(
    "`{function}` gives zeros under the key b1. The KeyError is gone and the gradient is still missing: how did its name get lost?"
)
def gradients_zero_b1(x, y, w1, b1, w2, b2):
    return by_hand(x, y, w1, b1, w2, b2) | {"b1": torch.zeros_like(b1)}


@comma.wrong("Renamed, not separated: `{function}` still returns three entries, and now another key is missing.")
def gradients_renamed(x, y, w1, b1, w2, b2):
    found = by_hand(x, y, w1, b1, w2, b2)
    return {"w1": found["w1"], "b1": found["b1"], "b2": found["w2"]}


@comma.wrong(
    "`{function}` puts gradients under each other's names: b1 and w2 have changed places. Names and values are paired by position."
)
def gradients_swapped(x, y, w1, b1, w2, b2):
    found = by_hand(x, y, w1, b1, w2, b2)
    return found | {"b1": found["w2"], "w2": found["b1"]}


@comma.wrong("`{function}` returns the four gradients and the joined name besides them. The docstring names four keys.")
def gradients_extra_key(x, y, w1, b1, w2, b2):
    found = by_hand(x, y, w1, b1, w2, b2)
    return found | {"b1w2": found["w2"]}


@comma.wrong(
    "The bias gradients of `{function}` hold one row for each sample: the samples are not added up, so they are not shaped like "
    "the biases."
)
def gradients_unsummed_bias(x, y, w1, b1, w2, b2):
    found = by_hand(x, y, w1, b1, w2, b2)
    h = x @ w1 + b1
    grad_z = (torch.sigmoid(h.clamp(min=0) @ w2 + b2) - y) / len(x)
    return found | {"b1": (grad_z @ w2.T) * (h > 0), "b2": grad_z}


@comma.variant
def gradients_by_autograd(x, y, w1, b1, w2, b2):
    leaves = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    leaves = {name: t.detach().clone().requires_grad_() for name, t in leaves.items()}
    z = torch.relu(x @ leaves["w1"] + leaves["b1"]) @ leaves["w2"] + leaves["b2"]
    (F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(dim=1).mean()).backward()
    return {name: t.grad for name, t in leaves.items()}


@comma.variant
def gradients_sample_by_sample(x, y, w1, b1, w2, b2):
    total = {name: torch.zeros_like(t) for name, t in [("w1", w1), ("b1", b1), ("w2", w2), ("b2", b2)]}
    for row, target in zip(x, y, strict=True):
        h = w1.T @ row + b1
        r = torch.where(h > 0, h, torch.zeros_like(h))
        u = (1 / (1 + torch.exp(-(w2.T @ r + b2))) - target) / len(x)
        v = torch.where(h > 0, w2 @ u, torch.zeros_like(h))
        for name, grad in [("w1", torch.outer(row, v)), ("b1", v), ("w2", torch.outer(r, u)), ("b2", u)]:
            total[name] += grad
    return total


# ---- Tower: the class that was copied --------------------------------------------------------------------

tower = Key(
    "u09-hunt-tower",
    hints=(
        "Whose constructor does `super(A, self)` look for? Then count: which layers does `model.parameters()` know? Then: what does "
        "F.dropout know of eval()?",
        "In Python 3 `super()` needs no names. A module finds layers that are attributes, or stand in a container that is a module. "
        "F.dropout has a third argument.",
        "A near-example: `self.blocks = nn.ModuleList([nn.LayerNorm(d) for _ in range(n)])`, and `F.alpha_dropout(x, self.p, "
        "self.training)` in forward.",
    ),
    cases=3,
    guards=("zeros_in_training",),
    weights={"parameters": 2},
    tolerance={
        "parameters": EXACT,
        "answer_in_eval": SINGLE,
        "head_reads_in_eval": SINGLE,
        "factors_in_training": Tolerance(0, 0.002, "rounded to three digits"),
        "zeros_in_training": EXACT,
    },
)


@tower.inputs
def _(g, case):
    n, width, depth, classes, p = [(12, 6, 3, 4, 0.5), (14, 5, 2, 3, 0.75), (10, 7, 4, 2, 0.0)][case]
    while True:
        hidden, x = normal(g, depth, width, width) / 2, normal(g, n, width).abs()
        read = x
        for weight in hidden:
            before = read @ weight.T + 0.1
            read = before.clamp(min=0)
        if (read > 0.01).sum() >= 24 and (before < -0.05).any():
            return {"hidden": hidden, "head": normal(g, classes, width), "x": x, "p": p, "seed": 7 + case}


@tower.oracle
def _(hidden, head, x, p, seed):
    read = x.double()
    for weight in hidden.double():
        read = torch.relu(torch.einsum("nd,ed->ne", read, weight) + float(torch.tensor(0.1)))
    width = x.shape[1]
    shapes = sorted([[len(head), width], [len(head)]] + len(hidden) * [[width, width], [width]])
    return {"parameters": shapes, "answer_in_eval": read @ head.double().T + 0.5, "head_reads_in_eval": read,
            "factors_in_training": sorted({1 / (1 - p), 0.0} if p else {1.0}), "zeros_in_training": 0}  # fmt: skip


class Healthy(nn.Module):
    """A tower with its parts to choose from, for wrong answers and variants. Not a wrong answer itself."""

    def __init__(self, width, depth, classes, p):
        super().__init__()
        self.p = p
        self.hidden = self.layers(width, depth)
        self.head = nn.Linear(width, classes)

    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])

    def drop(self, x):
        return F.dropout(x, self.p, self.training)

    def walk(self, x):
        for layer in self.hidden:
            x = layer(x).relu()
        return x

    def forward(self, x):
        return self.head(self.drop(self.walk(x)))


@tower.wrong(
    "`{function}` can be built now, and has only the head's parameters. A Python list hides layers: no optimizer, no checkpoint and no "
    "`.to()` will find them."
)
class TowerInList(Healthy):
    def layers(self, width, depth):
        return [nn.Linear(width, width) for _ in range(depth)]


@tower.wrong(
    "`{function}` has all its layers, and drops in eval mode, too: `F.dropout` is a function, and nobody tells it the mode."
)
class TowerAlwaysDrops(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p)


@tower.wrong(
    "Only the message is gone: `{function}` has the head's parameters alone, and answers differently at each call in eval mode. Two "
    "faults were waiting behind the first."
)
class TowerOnlySuper(Healthy):
    def layers(self, width, depth):
        return [nn.Linear(width, width) for _ in range(depth)]

    def drop(self, x):
        return F.dropout(x, self.p)


@tower.wrong(
    "`{function}` is the same in both modes now, because it never drops anything. The docstring wants dropout in training."
)
class TowerNeverDrops(Healthy):
    def drop(self, x):
        return x


@tower.wrong("`{function}` drops in eval mode and not in training: the mode is asked the wrong way round.")
class TowerDropsInEval(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p, not self.training)


@tower.wrong(
    "The layers of `{function}` are one layer, several times: repeating a list repeats references. Its parameters are counted once."
)
class TowerOneLayer(Healthy):
    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width)] * depth)


@tower.wrong(
    "`{function}` removes the line with `super`, or calls it without `__init__`: then there is no place in which layers could be "
    "registered."
)
class TowerNoSuper(Healthy):
    def __init__(self, width, depth, classes, p):
        super(Healthy, self)
        self.p = p
        self.hidden = self.layers(width, depth)


@tower.wrong(
    "In eval mode `{function}` multiplies by 1 - p on top. PyTorch scales in training already, so that eval needs nothing."
)
class TowerScalesTwice(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p, self.training) if self.training else x * (1 - self.p)


@tower.wrong(
    "In training `{function}` drops without making up for it: what is kept must grow by 1 / (1 - p), so that sums keep their size."
)
class TowerNoScale(Healthy):
    def drop(self, x):
        return x * (torch.rand_like(x) >= self.p) if self.training else x


@tower.wrong("The layers of `{function}` are not followed by their ReLU: the tower is one linear map.")
class TowerLinear(Healthy):
    def walk(self, x):
        for layer in self.hidden:
            x = layer(x)
        return x


@tower.wrong("`{function}` drops behind the head: it sets logits to zero. The head should read what dropout leaves.")
class TowerDropsLogits(Healthy):
    def forward(self, x):
        return self.drop(self.head(self.walk(x)))


@tower.wrong(
    "`{function}` has one hidden layer, whatever its depth. Kept as an attribute, a layer is registered; but all of them are wanted."
)
class TowerShallow(Healthy):
    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width)])


@tower.variant
class TowerSequential(nn.Module):
    def __init__(self, width, depth, classes, p):
        super().__init__()
        self.hidden = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))
        self.dropout = nn.Dropout(p)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(self.dropout(x))


@tower.variant
class TowerRegistered(nn.Module):
    def __init__(self, width, depth, classes, p):
        nn.Module.__init__(self)
        self.hidden, self.p = [], p
        for i in range(depth):
            self.hidden.append(nn.Linear(width, width))
            self.add_module(f"hidden{i}", self.hidden[-1])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).clamp(min=0)
        if self.training and self.p:
            x = x * (torch.rand_like(x) >= self.p) / (1 - self.p)
        return self.head(x)


# ---- train: steps instead of epochs ----------------------------------------------------------------------

epochs = Key(
    "u09-hunt-epochs",
    hints=(
        "How does Python ask an iterator for its next item? What should happen when there is none, though steps are left? And what does "
        "cross_entropy do with its input?",
        "`next(iterator)`; a new `iter(loader)` at each end, not at each step; `F.cross_entropy` takes logits.",
        "A near-example of a stream that starts again: `def forever(source):` with `while True:` and in it `yield from source`. Each turn "
        "asks the source for a new iterator.",
    ),
    cases=3,
    tolerance=TRAINED,
)


@epochs.inputs
def _(g, case):
    n, d, k, batch_size, steps = [(7, 3, 4, 3, 8), (5, 4, 3, 2, 7), (8, 2, 5, 3, 2)][case]
    orders = [torch.randperm(n, generator=g).tolist() for _ in range(steps + 1)]
    labels = torch.randint(0, k, (n,), generator=g)
    return {
        "x": normal(g, n, d),
        "y": labels,
        "w": 2 * normal(g, k, d),
        "orders": orders,
        "lr": 0.5,
        "batch_size": batch_size,
        "steps": steps,
    }


@epochs.oracle
def _(x, y, w, orders, lr, batch_size, steps):
    a, losses = w.double(), []
    batches = [order[i : i + batch_size] for order in orders for i in range(0, len(order), batch_size)]
    for chosen in batches[:steps]:
        rows, right = x[chosen].double(), F.one_hot(y[chosen], len(w)).double()
        p = torch.softmax(rows @ a.T, dim=1)
        losses.append(float(-(right * p.log()).sum() / len(chosen)))
        a = a - lr * (p - right).T @ rows / len(chosen)
    return {"losses": losses, "weight": a}


def stepped(model, batches, lr, steps, loss_of=F.cross_entropy):
    """The loop over a stream of batches, with the loss to choose."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for x, y in itertools.islice(batches, steps):
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def forever(loader):
    while True:
        yield from loader


def one_pass(loader, steps):
    """The batches of a loader that is never started again; StopIteration if there are too few."""
    batches, taken = iter(loader), []
    while len(taken) < steps:
        taken.append(next(batches))
    return taken


@epochs.wrong(
    "`{function}` gets its batches right; its losses stay near the floor, for the loss applies a softmax of its own to what has "
    "already been through one."
)
def train_double_softmax(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.cross_entropy(F.softmax(z, dim=1), y))


@epochs.wrong(
    "`{function}` makes a new iterator at each step, so each step sees the first batch of a new order. In shuffled epochs some samples "
    "come twice and others not at all."
)
def train_first_batch_each_time(model, loader, lr, steps):
    return stepped(model, (next(iter(loader)) for _ in range(steps)), lr, steps)


@epochs.wrong("`{function}` makes a new iterator at each step, and its loss still has one softmax too many.")
def train_first_batch_and_softmax(model, loader, lr, steps):
    return stepped(
        model, (next(iter(loader)) for _ in range(steps)), lr, steps, lambda z, y: F.cross_entropy(z.softmax(1), y)
    )


@epochs.wrong(
    "The first epoch of `{function}` is right. The later ones repeat its batches in the same order: `itertools.cycle`, and a list of the "
    "loader, keep what they saw once. "
    "They keep random augmentation, too, and the whole data set in memory."
)
def train_cycles(model, loader, lr, steps):
    return stepped(model, itertools.cycle(loader), lr, steps)


@epochs.wrong(
    "`{function}` stops after one epoch and returns fewer losses than steps. StopIteration is not to be silenced: it says that "
    "the loader wants to be started again."
)
def train_one_epoch(model, loader, lr, steps):
    return stepped(model, iter(loader), lr, steps)


@epochs.wrong(
    "At the end of the epoch `{function}` goes on with the batch that it has. Where does it ask the loader for a new iterator?"
)
def train_last_batch_again(model, loader, lr, steps):
    seen = list(loader)
    return stepped(model, itertools.chain(seen, itertools.repeat(seen[-1])), lr, steps)


@epochs.wrong(
    "`{function}` raises StopIteration: `next` works, and the loader is at its end before the steps are. Who starts it again?"
)
def train_stops(model, loader, lr, steps):
    return stepped(model, one_pass(loader, steps), lr, steps)


@epochs.wrong(
    "`{function}` raises StopIteration when there are more steps than batches: who starts the loader again? And where the steps suffice, "
    "its losses are not those of "
    "the logits."
)
def train_only_next(model, loader, lr, steps):
    return stepped(model, one_pass(loader, steps), lr, steps, lambda z, y: F.cross_entropy(z.softmax(1), y))


@epochs.wrong(
    "The losses of `{function}` are negative: `nll_loss` expects *log*-probabilities, and gets probabilities."
)
def train_nll_of_softmax(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.nll_loss(F.softmax(z, dim=1), y))


@epochs.wrong(
    "`{function}` leaves the short batch at the end of an epoch out. The docstring wants every batch of the loader."
)
def train_drops_the_short(model, loader, lr, steps):
    return stepped(model, (batch for batch in forever(loader) if len(batch[1]) == loader.batch_size), lr, steps)


@epochs.wrong("`{function}` sums the loss over a batch where the docstring says mean: its steps grow with the batch.")
def train_sums(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.cross_entropy(z, y, reduction="sum"))


@epochs.wrong(
    "`{function}` reports losses and leaves the model as it was: the updates happen to a copy, or not at all."
)
def train_a_copy(model, loader, lr, steps):
    return stepped(copy.deepcopy(model), forever(loader), lr, steps)


@epochs.wrong("`{function}` adds up the gradients of all steps: the line that cleared them was healthy.")
def train_never_zeroes(model, loader, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for x, y in itertools.islice(forever(loader), steps):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@epochs.variant
def train_by_exception(model, loader, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches, losses = iter(loader), []
    for _ in range(steps):
        try:
            x, y = next(batches)
        except StopIteration:
            batches = iter(loader)
            x, y = next(batches)
        loss = F.nll_loss(F.log_softmax(model(x), dim=1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@epochs.variant
def train_by_epochs(model, loader, lr, steps):
    losses = []
    while len(losses) < steps:
        for x, y in loader:
            if len(losses) == steps:
                break
            loss = F.cross_entropy(model(x), y)
            grads = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for p, grad in zip(model.parameters(), grads, strict=True):
                    p -= lr * grad
            losses.append(loss.item())
    return losses


# ---- input_gradients: the hook ---------------------------------------------------------------------------

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
