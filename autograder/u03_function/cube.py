"""The key of u03-cube."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, other_backward

cube = Key(
    "u03-cube",
    hints=(
        "Which tensor does the graph know: an input, an output, or something that forward computed on the way?",
        "Save x, and compute the derivative from it inside backward. There recording is on, so the derivative is differentiated in turn.",
        "A near-example, 1/x: forward saves x and returns `1 / x`; backward returns `-grad_output / x ** 2`. To save `x ** 2` instead would give "
        "the same first derivative and a wrong second one.",
    ),
    guards=("x_after",),
    weights={"grad": 2, "grad_of_loss_with_penalty": 4},
    tolerance={"x_after": EXACT, **dict.fromkeys(
        ("out", "grad", "grad_of_loss_with_penalty", "the_same_for_upstream"),
        Tolerance(1e-5, 1e-6, "float32, up to eight products in a row"))},
)


@cube.inputs
def _(g, case):
    shape = [(2, 3), (3,), (2, 1, 2)][case]
    return {"x": away_from_zero(g, *shape), "upstream": away_from_zero(g, *shape), "v": away_from_zero(g, *shape)}


@cube.oracle
def _(x, upstream, v):
    t, u, v = x.double(), upstream.double(), v.double()
    return {"out": t ** 3, "grad": 3 * u * t ** 2, "grad_of_loss_with_penalty": 3 * u * t ** 2 + 6 * u * v * t,
            "the_same_for_upstream": t ** 3 + 3 * v * t ** 2, "x_after": x}


class Cubed(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3


@cube.wrong("The first derivative of `{function}` is right; the second is missing: x² was computed in forward, where recording is off, so "
            "the graph takes it for a constant. gradcheck passes, gradgradcheck does not.")
class cube_keeps_square(Function):
    @staticmethod
    def forward(ctx, x):
        square = x * x
        ctx.save_for_backward(square)
        return square * x

    @staticmethod
    def backward(ctx, up):
        return up * 3 * ctx.saved_tensors[0]


@cube.wrong("The first derivative of `{function}` is right; in the second only half of x² counts: one factor comes from a detached or "
            "stored copy.")
@other_backward(Cubed)
def cube_half_detached(ctx, up):
    (x,) = ctx.saved_tensors
    return up * 3 * x * x.detach()


@cube.wrong("backward of `{function}` is cut out of the graph as a whole (`no_grad`, `once_differentiable`, `detach`, or NumPy): its "
            "gradient cannot be differentiated. Leave recording on.")
@other_backward(Cubed)
def cube_no_grad(ctx, up):
    with torch.no_grad():
        return up * 3 * ctx.saved_tensors[0] ** 2


@cube.wrong("`{function}` loses the factor 3 that comes down from the exponent.")
@other_backward(Cubed)
def cube_no_factor(ctx, up):
    return up * ctx.saved_tensors[0] ** 2


@cube.wrong("`{function}` multiplies by 3x. The exponent goes down by one, to 2, not to 1.")
@other_backward(Cubed)
def cube_wrong_power(ctx, up):
    return up * 3 * ctx.saved_tensors[0]


@cube.wrong("`{function}` multiplies by 3x³: the exponent has not gone down.")
@other_backward(Cubed)
def cube_same_power(ctx, up):
    return up * 3 * ctx.saved_tensors[0] ** 3


@cube.wrong("`{function}` returns the derivative alone; its upstream is missing.")
@other_backward(Cubed)
def cube_drops_upstream(ctx, up):
    return 3 * ctx.saved_tensors[0] ** 2


@cube.wrong("`{function}` takes the absolute value or the sign of something: the gradient should have the sign of its upstream.")
@other_backward(Cubed)
def cube_absolute(ctx, up):
    return up.abs() * 3 * ctx.saved_tensors[0] ** 2


@cube.wrong("`{function}` returns a gradient of zeros.")
@other_backward(Cubed)
def cube_zero(ctx, up):
    return up * 0 * ctx.saved_tensors[0]


@cube.wrong("`{function}` changes x: forward multiplies in place. Use an operation that makes a new tensor.")
@other_backward(Cubed)
def cube_changes_x(ctx, up):
    (x,) = ctx.saved_tensors
    grad = up * 3 * x ** 2
    x.data.add_(1)
    return grad


@cube.variant
@other_backward(Cubed)
def cube_by_products(ctx, up):
    (x,) = ctx.saved_tensors
    return x * up * x + x * up * x + x * x * up


@cube.variant
class cube_square_as_output(Function):
    """The intermediate is a second output, so the graph knows it; `apply` hides it."""

    @staticmethod
    def forward(ctx, x):
        square = x * x
        ctx.save_for_backward(x, square)
        return square * x, square

    @staticmethod
    def backward(ctx, up, up_square):
        x, square = ctx.saved_tensors
        return 3 * up * square + 2 * up_square * x

    @classmethod
    def apply(cls, x):
        return super().apply(x)[0]


@cube.variant
class cube_calls_a_function(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.pow(x, 3)

    @staticmethod
    def backward(ctx, up):
        with torch.enable_grad():
            return torch.square(ctx.saved_tensors[0]).mul(3).mul(up)
