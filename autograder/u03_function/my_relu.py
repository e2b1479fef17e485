"""The key of u03-my-relu."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, gradients, other_backward

relu = Key(
    "u03-my-relu",
    hints=(
        "For x = (2, -3, 0) and an upstream of (5, 7, 9): which three numbers come back?",
        "Backward needs to know where x was positive. `ctx.save_for_backward(x)` in forward, `(x,) = ctx.saved_tensors` in backward, and "
        "a product of the upstream with a mask. The result is a new tensor.",
        "A near-example, the absolute value: forward saves x and returns `x.abs()`; backward returns `grad_output * x.sign()`.",
    ),
    guards=("x_after",),
    weights={"grad": 3, "grad_of_x_plus_f": 2},
    tolerance={"x_after": EXACT, "out": EXACT, "grad": Tolerance(1e-6, 0, "one float32 product with 0 or 1"),
               "grad_of_x_plus_f": Tolerance(1e-6, 0, "one float32 product and one sum")},
)


@relu.inputs
def _(g, case):
    shape = [(2, 3), (4,), (2, 1, 4)][case]
    x = away_from_zero(g, *shape)
    flat = x.view(-1)
    flat[0], flat[1], flat[-1] = 0.0, flat[1].abs(), -flat[-1].abs()
    upstream = away_from_zero(g, *shape)
    ups = upstream.view(-1)                             # where x is positive, both signs of upstream occur
    ups[1] = -ups[1].abs()
    flat[2], ups[2] = flat[2].abs() + 1.5, ups[2].abs()
    return {"x": x, "upstream": upstream}


@relu.oracle
def _(x, upstream):
    leaf = x.double().requires_grad_()
    out = torch.relu(leaf)
    (grad,) = gradients(out, [leaf], upstream)
    (beside,) = gradients(leaf + torch.nn.functional.relu(leaf), [leaf], upstream)
    return {"out": out.detach(), "grad": grad.detach(), "grad_of_x_plus_f": beside.detach(), "x_after": x}


class Relu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * (ctx.saved_tensors[0] > 0)


@relu.wrong("`{function}` returns zeros and ones: the derivative alone. Its upstream is missing, so everything behind it in the network is "
            "ignored. With `.sum()` behind it nobody would notice.")
@other_backward(Relu)
def relu_drops_upstream(ctx, grad_output):
    return (ctx.saved_tensors[0] > 0).to(grad_output.dtype)


@relu.wrong("The gradient of `{function}` is right, and that of x + f(x) is not: backward writes into `grad_output`, which the other branch "
            "receives as well. Make a new tensor.")
@other_backward(Relu)
def relu_writes_upstream(ctx, grad_output):
    grad_output[ctx.saved_tensors[0] <= 0] = 0
    return grad_output


@relu.wrong("`{function}` blocks negative *gradients*. What decides is the value that went in; a unit that is on passes gradients of either "
            "sign. Which tensor stands in your comparison?")
@other_backward(Relu)
def relu_mask_by_gradient_sign(ctx, grad_output):
    return grad_output * (grad_output > 0)


@relu.wrong("`{function}` blocks an entry where x *or* the upstream is not positive. Only x decides.")
@other_backward(Relu)
def relu_mask_by_both(ctx, grad_output):
    return grad_output.clamp(min=0) * (ctx.saved_tensors[0] > 0)


@relu.wrong("`{function}` lets the gradient pass at x = 0. Section 1.3 declares 0 there; look at the comparison.")
@other_backward(Relu)
def relu_one_at_zero(ctx, grad_output):
    return grad_output * (ctx.saved_tensors[0] >= 0)


@relu.wrong("At x = 0, `{function}` passes half of the gradient. That convention exists; this course declares 0, like torch.relu.")
@other_backward(Relu)
def relu_half_at_zero(ctx, grad_output):
    return grad_output * torch.heaviside(ctx.saved_tensors[0], torch.tensor(0.5, device=grad_output.device))


@relu.wrong("`{function}` passes the upstream on unchanged: the bend is missing in backward. Training would still lower the loss.")
@other_backward(Relu)
def relu_no_mask(ctx, grad_output):
    return grad_output.clone()


@relu.wrong("`{function}` multiplies the upstream by the *value* of relu. Its derivative is 1 where x is positive, whatever the size of x.")
@other_backward(Relu)
def relu_mask_is_value(ctx, grad_output):
    return grad_output * ctx.saved_tensors[0].clamp(min=0)


@relu.wrong("`{function}` lets through what should be blocked, and the other way round. At a positive x, should the gradient pass?")
@other_backward(Relu)
def relu_mask_reversed(ctx, grad_output):
    return grad_output * (ctx.saved_tensors[0] < 0)


@relu.wrong("`{function}` returns a gradient of zeros. Does the product with the mask reach the `return`?")
@other_backward(Relu)
def relu_zero(ctx, grad_output):
    return torch.zeros_like(grad_output)


@relu.wrong("`{function}` changes x: forward works in place. The caller's tensor is not yours; clamp without an underscore makes a new one.")
class relu_changes_x(Relu):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp_(min=0).clone()


@relu.wrong("forward of `{function}` turns negative entries into positive ones. relu replaces them by 0.")
class relu_absolute(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.abs()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0].sign()


@relu.wrong("backward of `{function}` returns two gradients, and forward has one input. `ctx` is not an input.")
@other_backward(Relu)
def relu_two_gradients(ctx, grad_output):
    grad = grad_output * (ctx.saved_tensors[0] > 0)
    return grad, grad


@relu.variant
class relu_saves_output(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.where(x > 0, x, torch.zeros_like(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        grad = grad_output.clone()
        grad[y == 0] = 0
        return grad


@relu.variant
class relu_with_setup_context(Function):
    @staticmethod
    def forward(x):
        return (x + x.abs()) / 2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mask = inputs[0] > 0

    @staticmethod
    def backward(ctx, grad_output):
        return torch.where(ctx.mask, grad_output, 0.0)


@relu.variant
class relu_methods_not_static(Function):            # `apply` calls them on the class, so it makes no difference
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.nn.functional.relu(x)

    def backward(ctx, grad_output):
        return grad_output.masked_fill(ctx.saved_tensors[0] <= 0, 0)
