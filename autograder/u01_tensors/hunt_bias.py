"""The key of u01-hunt-bias: the bias that grew."""

import torch

from coursekit.course.authoring import Key

from ._shared import BY_HAND, EXACT, SINGLE, normal

bias = Key(
    "u01-hunt-bias",
    forbids=BY_HAND,
    hints=(
        "How many rows did the forward pass make from the one vector b?",
        "Compare the shape of each returned gradient with the shape of its tensor. Then read the rule in "
        "section 3.2 for the one that does not fit.",
        "A near-example: a number s of shape () is added to a (5, 3) matrix, `c = a + s`. It was copied 15 "
        "times, so `grad_s = upstream.sum()`. b was copied along one axis only.",
    ),
    cases=2,
    guards=("grad_x", "grad_w", "upstream_after"),       # grad_x and grad_w are right as released
    weights={"grad_b": 6},
    tolerance={name: SINGLE for name in ("grad_x", "grad_w", "grad_b")} | {"upstream_after": EXACT},
)


@bias.inputs
def _(g, case):
    n, d, k = [(5, 4, 3), (2, 3, 6)][case]
    return {"upstream": normal(g, n, k), "x": normal(g, n, d), "w": normal(g, d, k)}


@bias.oracle
def _(upstream, x, w):
    leaves = [t.double().requires_grad_() for t in (x, w, torch.zeros(w.shape[1]))]
    out = torch.addmm(leaves[2], leaves[0], leaves[1])
    grad_x, grad_w, grad_b = torch.autograd.grad(out, leaves, upstream.double())
    return {"grad_x": grad_x, "grad_w": grad_w, "grad_b": grad_b, "upstream_after": upstream}


def with_bias(grad_b):
    """A wrong answer's gradients: those of x and w are right."""
    return lambda upstream, x, w: (upstream @ w.T, x.T @ upstream, grad_b(upstream))


@bias.wrong("grad_b of `{function}` has the right shape, but it is the mean over the samples. The loss is a "
            "sum over them, and so is every gradient of it.")
def bias_mean(upstream, x, w):
    return with_bias(lambda u: u.mean(dim=0))(upstream, x, w)


@bias.wrong("`{function}` sums over the outputs: grad_b has one number per sample. b has one number per "
            "output; along which axis was it copied?")
def bias_wrong_axis(upstream, x, w):
    return with_bias(lambda u: u.sum(dim=1))(upstream, x, w)


@bias.wrong("The numbers of grad_b are right, but `{function}` returns them as (1, K). b has the shape "
            "(K,), and an update would turn it into (1, K).")
def bias_keepdim(upstream, x, w):
    return with_bias(lambda u: u.sum(dim=0, keepdim=True))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is a single number: all entries were summed. Each output has a bias of "
            "its own, so one axis must remain.")
def bias_all_summed(upstream, x, w):
    return with_bias(lambda u: u.sum())(upstream, x, w)


@bias.wrong("`{function}` takes the gradient of the first sample as grad_b. The shape fits now, but every "
            "sample used the same bias and sends its share.")
def bias_first_sample(upstream, x, w):
    return with_bias(lambda u: u[0].clone())(upstream, x, w)


@bias.wrong("Every entry of grad_b is the number of samples: `{function}` ignores the numbers in upstream "
            "there.")
def bias_counts_samples(upstream, x, w):
    return with_bias(lambda u: torch.ones_like(u).sum(dim=0))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is zero everywhere. It has the shape of b, and with it b would never "
            "learn.")
def bias_zero(upstream, x, w):
    return with_bias(lambda u: torch.zeros_like(u[0]))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is right, but grad_x and grad_w changed: upstream was averaged or "
            "summed before they were computed. Those two lines were fine as released.")
def bias_divides_all(upstream, x, w):
    return upstream @ w.T / len(x), x.T @ upstream / len(x), upstream.sum(dim=0)


@bias.wrong("All gradients of `{function}` are right, but upstream holds other numbers afterwards: the sum "
            "was built in place, in the caller's tensor.")
def bias_in_place(upstream, x, w):
    grad_x, grad_w = upstream @ w.T, x.T @ upstream
    for row in upstream[1:]:
        upstream[0] += row
    return grad_x, grad_w, upstream[0].clone()


@bias.variant
def bias_by_product(upstream, x, w):
    ones = torch.ones(len(x), device=x.device, dtype=x.dtype)
    return upstream.mm(w.t()), torch.einsum("nd,nk->dk", x, upstream), ones @ upstream


@bias.variant
def bias_by_loop(upstream, x, w):
    total = torch.zeros_like(upstream[0])
    for row in upstream:
        total += row
    return (w @ upstream.T).T, (upstream.T @ x).T, total
