"""The key of u09-hunt-gradients: the missing comma."""

import torch
import torch.nn.functional as F

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

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
