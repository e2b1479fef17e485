"""The key of u07-clip-by-norm."""

import math

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import (
    EXACT,
    away_from_zero,
    between,
)

clip = Key(
    "u07-clip-by-norm",
    hints=(
        "How many norms are there, and how many factors?",
        "Make a list of the gradients that exist. One norm over all their entries; if it is too large, multiply each gradient in place by "
        "the same factor.",
        "A near-example, limiting the largest entry: `grads = [p.grad for p in params if p.grad is not None]`, `top = max(g.abs().max() "
        "for g in grads)`, "
        "`if top > c:` `for g in grads: g *= c / top`.",
    ),
    cases=4,
    guards=("values_after",),
    weights={"grads": 2},
    equivalent={"line 3: norm > max_norm -> norm >= max_norm": "a norm of exactly max_norm is scaled by exactly 1"},
    tolerance={"values_after": EXACT, **dict.fromkeys(("norm", "grads", "in_the_same_memory"), Tolerance(
        1e-5, 1e-7, "float32 sums of ten squares; PyTorch's own function adds 1e-6 to the norm"))},
)


@clip.inputs
def _(g, case):
    shapes = [(2, 3), (3,), (1, 2)]
    grads = [away_from_zero(g, *shape) * scale for shape, scale in zip(shapes, (1.0, 3.0, 0.5), strict=True)]
    grads[[2, 0, 1, 0][case]] = None
    if case == 3:
        grads = [None] * 3
    norm = math.sqrt(sum((t ** 2).sum().item() for t in grads if t is not None))
    factor = between(g, 0.2, 0.5) if case != 1 else between(g, 1.5, 2.0)
    return {"values": [away_from_zero(g, *shape) for shape in shapes], "grads": grads, "max_norm": round(norm * factor, 4) or 1.0}


@clip.oracle
def _(values, grads, max_norm):
    params = [v.double().requires_grad_() for v in values]
    for p, grad in zip(params, grads, strict=True):
        p.grad = None if grad is None else grad.double()
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm).item()
    found = [None if p.grad is None else p.grad for p in params]
    return {"norm": norm, "grads": found, "in_the_same_memory": found, "values_after": values}


def listed(params):
    return [p.grad for p in params if p.grad is not None]


def total_norm(grads):
    return sum((g ** 2).sum() for g in grads) ** 0.5


def scale_all(grads, norm, max_norm):
    if norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm


@clip.wrong("`{function}` clips each tensor by its own norm, so their proportions change. One norm over all of them, one factor.")
def each_by_itself(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        scale_all([g], g.norm(), max_norm)
    return norm


@clip.wrong("`{function}` limits each entry. That changes the direction; the whole vector is to be shortened.")
def by_value(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        g.clamp_(-max_norm, max_norm)
    return norm


@clip.wrong("`{function}` scales gradients that are short enough up to max_norm. It should leave them alone.")
def always_scales(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        g *= max_norm / norm
    return norm


@clip.wrong("`{function}` adds up the norms of the tensors. Lengths of perpendicular parts add in squares.")
def sum_of_norms(params, max_norm):
    grads = listed(params)
    return scale_all(grads, sum(g.norm() for g in grads), max_norm)


@clip.wrong("`{function}` returns the right norm and scales nothing: `params` was a generator, and the first walk used it up. Keep the "
            "gradients in a list.")
def walks_twice(params, max_norm):
    params = iter(params)
    norm = total_norm([p.grad for p in params if p.grad is not None])
    return scale_all(listed(params), norm, max_norm)


@clip.wrong("`{function}` fails on a parameter whose gradient is None. Pass over it.")
def no_test_for_none(params, max_norm):
    grads = [p.grad for p in params]
    return scale_all(grads, total_norm(grads), max_norm)


@clip.wrong("`{function}` fails when nothing has a gradient. There the norm is 0, and nothing is to be scaled.")
def fails_on_nothing(params, max_norm):
    grads = listed(params)
    return scale_all(grads, torch.cat([g.flatten() for g in grads]).norm(), max_norm)


@clip.wrong("`{function}` returns the norm from after clipping. The one from before is the news.")
def norm_after(params, max_norm):
    grads = listed(params)
    scale_all(grads, total_norm(grads), max_norm)
    return total_norm(grads)


@clip.wrong("`{function}` forgets the square root of the sum of squares.")
def no_root(params, max_norm):
    grads = listed(params)
    return scale_all(grads, sum((g ** 2).sum() for g in grads), max_norm)


@clip.wrong("`{function}` takes the largest entry for the norm.")
def largest_entry(params, max_norm):
    grads = listed(params)
    return scale_all(grads, max((g.abs().max() for g in grads), default=0.0), max_norm)


@clip.wrong("`{function}` takes a mean of squares. The norm has their sum.")
def mean_of_squares(params, max_norm):
    grads = listed(params)
    return scale_all(grads, total_norm(grads) / max(1, sum(g.numel() for g in grads)) ** 0.5, max_norm)


@clip.wrong("`{function}` clips the weights. Their gradients are meant.")
def clips_weights(params, max_norm):
    params = list(params)
    norm = total_norm(listed(params))
    scale_all([p.data for p in params], norm, max_norm)
    return norm


@clip.wrong("`{function}` puts new tensors into `.grad`; the old ones stay long. In place: whoever holds the gradient must see the change.")
def new_tensors(params, max_norm):
    params = [p for p in params if p.grad is not None]
    norm = total_norm(listed(params))
    for p in params:
        p.grad = p.grad * (max_norm / norm) if norm > max_norm else p.grad
    return norm


@clip.variant
def by_torch(params, max_norm):
    return torch.nn.utils.clip_grad_norm_(params, max_norm)


@clip.variant
def by_one_vector(params, max_norm):
    params = [p for p in params if p.grad is not None]
    if not params:
        return 0.0
    norm = torch.linalg.vector_norm(torch.cat([p.grad.reshape(-1) for p in params])).item()
    factor = min(1.0, max_norm / max(norm, 1e-12))
    for p in params:
        p.grad.mul_(factor)
    return norm
