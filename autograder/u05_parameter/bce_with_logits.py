"""The key of u05-bce-with-logits."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

bce = Key(
    "u05-bce-with-logits",
    hints=(
        "What is log(1 + exp(z)) for z = 200, roughly? You need no computer for it.",
        "`torch.logaddexp(a, b)` is log(exp(a) + exp(b)), safely. Which a and b give log(1 + exp(z))? Then subtract y z, and take the mean.",
        "A near-example, the loss -log p of class 1 alone, which is log(1 + exp(-z)): `torch.logaddexp(-z, torch.zeros_like(z)).mean()`.",
    ),
    forbids=("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", "binary_cross_entropy", "BCELoss"),
    cases=6,
    guards=("z_after",),
    weights={"loss": 2, "grad": 3, "(refuses wrong input)": 2},
    tolerance={"loss": SINGLE, "grad": SINGLE, "z_after": EXACT},
)


@bce.inputs
def _(g, case):
    if case >= 4:
        z, y = [((5, 1), (5,)), ((4, 3), (1, 3))][case - 4]
        return {"z": normal(g, *z), "y": torch.rand(y, generator=g).round(), "upstream": torch.tensor(1.5)}
    shape = [(6,), (7,), (3, 4), (5,)][case]
    z, y = 2 * normal(g, *shape), torch.rand(shape, generator=g)
    if case == 1:  # confident and right, undecided, confident and wrong
        big = 150 + 100 * torch.rand(4, generator=g)
        z = torch.cat([big * torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.zeros(2), z[:1]])
        y = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    if case == 2:
        y = y.round()
    if case == 3:  # confident and right only: one nan would spoil all
        z = torch.tensor([200.0, -200.0, 1.0, -1.0, 0.5])
        y = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    return {"z": z, "y": y, "upstream": 0.5 + torch.rand((), generator=g)}


@bce.oracle
def _(z, y, upstream):
    if z.shape != y.shape:
        return {}
    leaf = z.double().requires_grad_()
    loss = nn.functional.binary_cross_entropy_with_logits(leaf, y.double())
    return {"loss": loss.detach(), "grad": torch.autograd.grad(upstream * loss, leaf)[0], "z_after": z}


def refuse(z, y):
    if z.shape != y.shape:
        raise ValueError("shapes differ")


def terms(z, y):
    return torch.logaddexp(z, torch.zeros_like(z)) - y * z


@bce.wrong(
    "`{function}` is infinite or nan for large logits: it computes the probability first and its logarithm "
    "afterwards. A float32 sigmoid of 200 is exactly 1. Simplify the formula before you compute."
)
def bce_naive(z, y):
    refuse(z, y)
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@bce.wrong(
    "`{function}` clamps the probability. The loss is finite then, but too small for a confident mistake, and "
    "its gradient there is 0: the worst samples teach nothing."
)
def bce_clamped(z, y):
    refuse(z, y)
    p = torch.sigmoid(z).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@bce.wrong(
    "`{function}` writes log(1 + exp(z)) out, and exp(z) overflows for z above 88. PyTorch has a function for the logarithm of a sum of "
    "exponentials."
)
def bce_overflows(z, y):
    refuse(z, y)
    return (torch.log(1 + torch.exp(z)) - y * z).mean()


KINKS = (
    "The loss of `{function}` is right everywhere, and its gradient is wrong where a logit is exactly 0: "
    "`clamp`, `relu` and `abs` have kinks there. Weights that start at 0 give such logits."
)


@bce.wrong(KINKS)
def bce_kinks(z, y):
    """As with clamp up to torch 2.13, which passes the gradient at its bound."""
    refuse(z, y)
    return (torch.where(z >= 0, z, 0 * z) - y * z + torch.log1p(torch.exp(-z.abs()))).mean()


@bce.wrong(KINKS)
def bce_kinks_closed(z, y):
    """As with relu, and with clamp since torch 2.15, which stop it there."""
    refuse(z, y)
    return (torch.relu(z) - y * z + torch.log1p(torch.exp(-z.abs()))).mean()


@bce.wrong("`{function}` adds the losses up. Asked for is their mean.")
def bce_sum(z, y):
    refuse(z, y)
    return terms(z, y).sum()


@bce.wrong("`{function}` takes the mean over the samples only, and adds up over the rest.")
def bce_rows(z, y):
    refuse(z, y)
    return terms(z, y).sum() / len(z)


@bce.wrong("`{function}` exchanges the two classes: it rewards a high logit where y is 0.")
def bce_swapped(z, y):
    refuse(z, y)
    return terms(z, 1 - y).mean()


@bce.wrong("`{function}` has the wrong sign: its loss falls as the predictions get worse.")
def bce_sign(z, y):
    refuse(z, y)
    return -terms(z, y).mean()


@bce.wrong(
    "`{function}` is the loss for class 1 alone: samples with y = 0 do not count in it as they should. Both "
    "terms of the formula are needed."
)
def bce_one_class(z, y):
    refuse(z, y)
    return (y * torch.logaddexp(-z, torch.zeros_like(z))).mean()


@bce.wrong(
    "`{function}` applies the sigmoid before it begins. Its input is a logit already as it is; squashed twice, it lies between 0 and 1."
)
def bce_double_sigmoid(z, y):
    refuse(z, y)
    return terms(torch.sigmoid(z), y).mean()


@bce.wrong("`{function}` returns one loss per entry. Asked for is their mean, one number.")
def bce_not_reduced(z, y):
    refuse(z, y)
    return terms(z, y)


@bce.wrong(
    "The loss of `{function}` has no past: no gradient reaches z. Is there a `detach`, `.item()` or a new tensor on the way?"
)
def bce_detached(z, y):
    refuse(z, y)
    return terms(z, y).mean().detach()


@bce.wrong(
    "The numbers are right, but `{function}` accepts shapes that differ, and broadcasts: (5, 1) against (5,) "
    "compares every prediction with every label. Refuse first."
)
def bce_no_check(z, y):
    return terms(z, y).mean()


@bce.wrong("`{function}` compares the number of elements, and lets (5, 1) against (5,) pass. Compare the shapes.")
def bce_checks_numel(z, y):
    if z.numel() != y.numel():
        raise ValueError("sizes differ")
    return terms(z, y).mean()


@bce.wrong(
    "`{function}` compares the number of axes only, and lets (4, 3) against (1, 3) pass. Compare the sizes, too."
)
def bce_checks_axes(z, y):
    if z.dim() != y.dim():
        raise ValueError("axes differ")
    return terms(z, y).mean()


@bce.variant
def bce_by_softplus(z, y):
    if tuple(z.shape) != tuple(y.shape):
        raise ValueError(f"{tuple(z.shape)} and {tuple(y.shape)}")
    return (y * nn.functional.softplus(-z) + (1 - y) * nn.functional.softplus(z)).mean()


@bce.variant
def bce_by_logsigmoid(z, y):
    assert z.size() == y.size(), f"{z.size()} and {y.size()}"
    losses = -(y * nn.functional.logsigmoid(z)) - (1 - y) * nn.functional.logsigmoid(-z)
    return losses.sum() / losses.numel()


@bce.variant
def bce_by_logsumexp(z, y):
    refuse(z, y)
    return torch.stack([torch.zeros_like(z), z]).logsumexp(dim=0).mean() - (y * z).mean()
