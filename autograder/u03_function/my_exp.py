"""The key of u03-my-exp."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, gradients, other_backward

exp = Key(
    "u03-my-exp",
    hints=(
        "The derivative of exp at x is a number that forward has computed already. Which one?",
        "Give the output a name before you return it, save that name with `ctx.save_for_backward`, and multiply in backward. The tensor that "
        "is saved must be the one that is returned.",
        "A near-example, the sigmoid: forward computes `y = 1 / (1 + (-x).exp())`, saves y and returns y; backward returns "
        "`grad_output * y * (1 - y)`.",
    ),
    guards=("x_after",),
    weights={"grad": 2, "grad_of_loss_with_penalty": 2, "saved": 2},
    tolerance={"x_after": EXACT, **dict.fromkeys(
        ("out", "grad", "grad_of_loss_with_penalty", "grad_of_x_plus_f", "saved"),
        Tolerance(1e-5, 1e-7, "float32 exponentials of numbers up to 4, and two products"))},
)


@exp.inputs
def _(g, case):
    shape = [(2, 3), (3,), (1, 2, 2)][case]
    return {"x": away_from_zero(g, *shape), "upstream": away_from_zero(g, *shape), "v": away_from_zero(g, *shape)}


@exp.oracle
def _(x, upstream, v):
    leaf = x.double().requires_grad_()
    out = torch.exp(leaf)
    (grad,) = gradients(out, [leaf], upstream)
    (penalty,) = torch.autograd.grad((upstream * out + v * grad).sum(), leaf)
    return {"out": out.detach(), "grad": grad.detach(), "grad_of_loss_with_penalty": penalty,
            "grad_of_x_plus_f": upstream * (1 + x.double().exp()), "saved": [out.detach()], "x_after": x}


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0]


@exp.wrong("All gradients of `{function}` are right, but it saves x and computes the exponential a second time. The number that backward "
           "needs exists already; save that one.")
class exp_saves_input(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0].exp()


@exp.wrong("`{function}` saves both x and its output. One of them is enough; the other is memory that nobody reads.")
class exp_saves_both(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[1]


@exp.wrong("`{function}` keeps its output in an attribute of ctx. In-place changes go unnoticed there, and the output keeps itself alive. "
           "Section 1.2 names the method for it.")
class exp_attribute(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.y


@exp.wrong("The first derivative of `{function}` is right, and the second is missing: what backward multiplies with is a constant to the "
           "graph. Is the tensor that you save the very one that you return, and does backward use it without `detach`, `.data` or "
           "`no_grad`?")
class exp_saves_copy(Exp):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.exp())
        return x.exp()


@exp.wrong("`{function}` multiplies by x where it should multiply by its derivative. What is the derivative of exp?")
class exp_times_x(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0]


@exp.wrong("`{function}` returns the derivative alone; its upstream is missing.")
@other_backward(Exp)
def exp_drops_upstream(ctx, grad_output):
    return ctx.saved_tensors[0]


@exp.wrong("`{function}` passes its upstream on as it is. Where is the derivative?")
@other_backward(Exp)
def exp_passes_upstream(ctx, grad_output):
    return grad_output.clone()


@exp.wrong("`{function}` returns a gradient of zeros. Does your product reach the `return`?")
@other_backward(Exp)
def exp_zero(ctx, grad_output):
    return grad_output * 0


@exp.wrong("`{function}` takes the exponential of the output again: exp(exp(x)). The saved tensor *is* the exponential.")
@other_backward(Exp)
def exp_twice(ctx, grad_output):
    return grad_output * ctx.saved_tensors[0].exp()


@exp.wrong("The gradient of `{function}` is right, and that of x + f(x) is not: `grad_output` is multiplied in place, and the other branch "
           "receives the product.")
@other_backward(Exp)
def exp_writes_upstream(ctx, grad_output):
    return grad_output.mul_(ctx.saved_tensors[0])


@exp.wrong("`{function}` computes exp(x) in x itself: the caller's tensor has changed. Use the method without the underscore.")
class exp_changes_x(Exp):
    @staticmethod
    def forward(ctx, x):
        y = x.exp_().clone()
        ctx.save_for_backward(y)
        return y


@exp.variant
class exp_with_setup_context(Function):
    @staticmethod
    def forward(x):
        return torch.exp(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, up):
        return torch.einsum("...,...->...", up, ctx.saved_tensors[0])


@exp.variant
class exp_by_power(Function):
    @staticmethod
    def forward(ctx, x):
        result = torch.full_like(x, 2.718281828459045) ** x
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, up):
        (result,) = ctx.saved_tensors
        grad = up.clone()
        return grad * result
