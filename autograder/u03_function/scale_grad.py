"""The key of u03-scale-grad."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, other_backward


def other_forward(base):
    """Make a Function from a sound one by exchanging its forward."""
    return lambda forward: type(base)(forward.__name__, (base,), {"forward": staticmethod(forward)})


scale = Key(
    "u03-scale-grad",
    hints=(
        "Forward has two inputs. How many results must backward return, and what is the second?",
        "Keep s as an attribute of ctx: it is a number, not a tensor. Forward leaves the numbers of x as they are and returns a view or a copy.",
        "A near-example, an operation that adds a constant c to the gradient: forward sets `ctx.c = c` and returns `x.clone()`; backward "
        "returns `grad_output + ctx.c, None`.",
    ),
    guards=("x_after",),
    weights={"grad": 3, "grad_of_x_plus_f": 2},
    equivalent={"line 2: x.view_as(x) -> x": "where forward returns its input, autograd makes the view itself"},
    tolerance={"out": EXACT, "x_after": EXACT, **dict.fromkeys(
        ("grad", "grad_of_x_plus_f", "grad_of_f_of_square_squared"), Tolerance(1e-5, 0, "up to five float32 products"))},
)


@scale.inputs
def _(g, case):
    shape = [(2, 3), (4,), (3, 1, 2)][case]
    size = 1.3 + torch.rand((), generator=g, dtype=torch.float64).item()
    return {"x": away_from_zero(g, *shape), "s": [size, -size, 1 / size][case], "upstream": away_from_zero(g, *shape)}


@scale.oracle
def _(x, s, upstream):
    x, upstream = x.double(), upstream.double()
    return {"out": x, "grad": s * upstream, "grad_of_x_plus_f": (1 + s) * upstream,
            "grad_of_f_of_square_squared": 4 * s * upstream * x ** 3, "x_after": x}


class Scale(Function):
    @staticmethod
    def forward(ctx, x, s):
        ctx.s = s
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.s, None


@scale.wrong("backward of `{function}` returns one gradient. s is an input too, though it has no gradient: what stands in its place?")
@other_backward(Scale)
def scale_one_gradient(ctx, up):
    return up * ctx.s


@scale.wrong("`{function}` returns a gradient for s. s is a plain number, and autograd accepts only None for it. Or do the two results "
             "stand in the wrong order?")
@other_backward(Scale)
def scale_gradient_for_s(ctx, up):
    return up * ctx.s, up.sum()


@scale.wrong("forward of `{function}` multiplies by s as well. It should leave the numbers alone; only the gradient is scaled.")
@other_forward(Scale)
def scale_forward_too(ctx, x, s):
    ctx.s = s
    return x * s


@scale.wrong("`{function}` multiplies the output by s and leaves the gradient alone: the two passes are exchanged.")
class scale_only_forward(Function):
    @staticmethod
    def forward(ctx, x, s):
        return x * s

    @staticmethod
    def backward(ctx, up):
        return up.clone(), None


@scale.wrong("`{function}` does not use s in backward: the gradient passes unchanged.")
@other_backward(Scale)
def scale_ignores_s(ctx, up):
    return up.clone(), None


@scale.wrong("`{function}` divides by s where it should multiply.")
@other_backward(Scale)
def scale_divides(ctx, up):
    return up / ctx.s, None


@scale.wrong("`{function}` always reverses the gradient: it takes minus s. A reversal is what the caller asks for with a negative s.")
@other_backward(Scale)
def scale_reverses(ctx, up):
    return -ctx.s * up, None


@scale.wrong("`{function}` returns s itself as the gradient, in every entry: the upstream is missing.")
@other_backward(Scale)
def scale_drops_upstream(ctx, up):
    return torch.full_like(up, ctx.s), None


@scale.wrong("`{function}` returns a gradient of zeros.")
@other_backward(Scale)
def scale_zero(ctx, up):
    return 0 * up, None


@scale.wrong("The gradient of `{function}` is right, and that of x + f(x) is not: backward multiplies `grad_output` in place, and the other "
             "branch receives the product.")
@other_backward(Scale)
def scale_writes_upstream(ctx, up):
    return up.mul_(ctx.s), None


@scale.wrong("`save_for_backward` takes tensors, and s is a number. Where do plain numbers travel?")
@other_forward(Scale)
def scale_saves_a_number(ctx, x, s):
    ctx.save_for_backward(s)
    return x.view_as(x)


@scale.variant
class scale_on_a_copy(Function):
    @staticmethod
    def forward(ctx, x, s):
        ctx.factor = float(s)
        return x.clone()

    @staticmethod
    def backward(ctx, up):
        grad = up.clone()
        grad *= ctx.factor
        return grad, None


@scale.variant
class scale_with_setup_context(Function):
    @staticmethod
    def forward(x, s):
        return x + 0

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.s = inputs

    @staticmethod
    def backward(ctx, up):
        return torch.mul(ctx.s, up), None, None


@scale.variant
class scale_by_detach:
    @staticmethod
    def apply(x, s):
        return x.detach() + (s * x - (s * x).detach())       # value x + 0, gradient s
