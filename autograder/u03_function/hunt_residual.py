"""The key of u03-hunt-residual."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, other_backward

clip = Key(
    "u03-hunt-residual",
    hints=(
        "Which lines of backward change a tensor, and whose tensor is it?",
        "`grad = grad_output` gives the tensor a second name, it copies nothing. Writing into `grad` then writes into what the residual path "
        "receives.",
        "A near-example: `small = t; small[0] = 0` changes t. `small = t.clone(); small[0] = 0`, `torch.where(mask, t, 0)` and `t * mask` do "
        "not.",
    ),
    guards=("upstream_after", "out"),
    weights={"grad": 1, "grad_of_x_plus_f": 3},
    tolerance={"out": EXACT, "upstream_after": EXACT, "grad": Tolerance(1e-6, 0, "one float32 product with 0 or 1"),
               "grad_of_x_plus_f": Tolerance(1e-6, 0, "one float32 product and one sum")},
)


@clip.inputs
def _(g, case):
    shape = [(2, 3), (5,), (2, 1, 3)][case]
    x, upstream = away_from_zero(g, *shape), away_from_zero(g, *shape)
    bound = [0.9, 1.1, 1.3][case]
    flat, ups = x.view(-1), upstream.view(-1)
    flat[0], flat[1], flat[2], flat[3] = 0.5 + 0.3 * flat[0].tanh(), 1.5 + flat[1].abs(), -1.5 - flat[2].abs(), -0.5
    flat[4] = -bound
    ups[0], ups[3] = -ups[0].abs(), ups[3].abs()
    return {"x": x, "bound": bound, "upstream": upstream}


@clip.oracle
def _(x, bound, upstream):
    grad = torch.where((-bound <= x) & (x <= bound), upstream, 0 * upstream)  # torch's own clamp differs between versions at the bound
    return {"out": torch.clamp(x, -bound, bound), "grad": grad, "grad_of_x_plus_f": grad + upstream, "upstream_after": upstream}


class Clipped(Function):
    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(-bound, bound)


@clip.wrong("`{function}` passes everything on: the clipped entries receive a gradient too. The mask was right; its place was not.")
@other_backward(Clipped)
def clip_no_mask(ctx, up):
    return up.clone(), None


@clip.wrong("`{function}` works on a detached tensor, and that still shares its memory with `grad_output`: detach copies nothing.")
@other_backward(Clipped)
def clip_half_in_place(ctx, up):
    grad = up.detach()
    grad[ctx.saved_tensors[0] > ctx.bound] = 0
    return grad * (ctx.saved_tensors[0] >= -ctx.bound), None


@clip.wrong("`{function}` no longer clips negative entries: the absolute value is gone from the mask.")
@other_backward(Clipped)
def clip_one_sided(ctx, up):
    return up * (ctx.saved_tensors[0] <= ctx.bound), None


@clip.wrong("`{function}` returns the mask without the upstream.")
@other_backward(Clipped)
def clip_drops_upstream(ctx, up):
    return (ctx.saved_tensors[0].abs() <= ctx.bound).to(up.dtype), None


@clip.wrong("`{function}` compares the *upstream* with the bound. What was clipped is x.")
@other_backward(Clipped)
def clip_by_upstream(ctx, up):
    return up * (up.abs() <= ctx.bound / 2), None


@clip.wrong("`{function}` returns zeros only. Which entries should keep their gradient?")
@other_backward(Clipped)
def clip_zero(ctx, up):
    return torch.zeros_like(up), None


@clip.wrong("`{function}` passes on what was clipped and blocks what was not. Look at the direction of the comparison.")
@other_backward(Clipped)
def clip_reversed(ctx, up):
    return up * (ctx.saved_tensors[0].abs() > ctx.bound), None


@clip.wrong("`{function}` blocks entries that are exactly at the bound. The docstring blocks only those beyond it.")
@other_backward(Clipped)
def clip_blocks_bound(ctx, up):
    return up * (ctx.saved_tensors[0].abs() < ctx.bound), None


@clip.wrong("`{function}` returns one gradient and needs two: bound is an input as well.")
@other_backward(Clipped)
def clip_one_gradient(ctx, up):
    return up * (ctx.saved_tensors[0].abs() <= ctx.bound)


@clip.variant
@other_backward(Clipped)
def clip_on_a_clone(ctx, up):
    grad = up.clone()
    grad[ctx.saved_tensors[0].abs() > ctx.bound] = 0
    return grad, None


@clip.variant
@other_backward(Clipped)
def clip_by_product(ctx, up):
    return up * (ctx.saved_tensors[0].abs() <= ctx.bound), None


@clip.variant
@other_backward(Clipped)
def clip_by_where(ctx, up):
    x = ctx.saved_tensors[0]
    return torch.where((x < -ctx.bound) | (x > ctx.bound), torch.zeros_like(up), up), None
