"""The key of u03: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Answers are classes. Most wrong ones differ from a sound class in one method, which `other_backward` and `other_forward` exchange.
"""

import warnings

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
SINGLE = Tolerance(1e-5, 1e-7, "float32, eps 1.2e-7; a handful of products, sums of up to 15 terms")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def away_from_zero(g, *shape):
    """Random numbers of both signs, none smaller than 0.2: a sign that is lost always shows."""
    t = normal(g, *shape)
    return t + 0.2 * torch.where(t < 0, -1.0, 1.0)


def other_backward(base):
    """Make a Function from a sound one by exchanging its backward."""
    return lambda backward: type(base)(backward.__name__, (base,), {"backward": staticmethod(backward)})


def other_forward(base):
    """Make a Function from a sound one by exchanging its forward."""
    return lambda forward: type(base)(forward.__name__, (base,), {"forward": staticmethod(forward)})


def gradients(out, inputs, upstream):
    """First derivatives of <upstream, out>, by torch's own operators in float64."""
    return torch.autograd.grad((upstream * out).sum(), inputs, create_graph=True)


# ---- MyReLU ----------------------------------------------------------------------------------------------

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


# ---- MyExp -----------------------------------------------------------------------------------------------

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


# ---- MyMatmul --------------------------------------------------------------------------------------------

matmul = Key(
    "u03-my-matmul",
    hints=(
        "grad_output is (N, K). Which product of it with one of the inputs has the shape of a, and which that of b?",
        "Save both inputs. `ctx.needs_input_grad[0]` belongs to a and `[1]` to b. Return two results in that order, and None for a product "
        "that is not needed, without computing it.",
        "A near-example, the outer product c = u vᵀ of two vectors: `grad_u = grad_output @ v if ctx.needs_input_grad[0] else None`, "
        "`grad_v = grad_output.T @ u if ctx.needs_input_grad[1] else None`, `return grad_u, grad_v`.",
    ),
    cases=4,
    guards=("upstream_after",),
    weights={"grads": 4, "returned": 2},
    tolerance={"out": SINGLE, "grads": SINGLE, "upstream_after": EXACT},
)


@matmul.inputs
def _(g, case):
    n, d, k = [(3, 4, 2), (2, 3, 4), (4, 2, 3), (3, 3, 3)][case]
    needs = [[True, True], [True, False], [False, True], [True, True]][case]
    return {"a": normal(g, n, d), "b": normal(g, d, k), "upstream": away_from_zero(g, n, k), "needs": needs}


@matmul.oracle
def _(a, b, upstream, needs):
    leaves = [t.double().requires_grad_(need) for t, need in zip((a, b), needs, strict=True)]
    out = torch.einsum("nd,dk->nk", *leaves)
    grads = gradients(out, [t for t in leaves if t.requires_grad], upstream)
    return {"out": out.detach(), "grads": [t.detach() for t in grads], "upstream_after": upstream,
            "returned": ["computed" if need else "None" for need in needs]}


class Matmul(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b


def if_needed(ctx, grad_a, grad_b):
    """Both gradients, each None where nobody needs it."""
    return tuple(grad() if need else None for grad, need in zip((grad_a, grad_b), ctx.needs_input_grad, strict=True))


@matmul.wrong("`{function}` computes both gradients whether they are needed or not. Autograd drops the superfluous one in silence, after "
              "you have paid for it. Ask `ctx.needs_input_grad`.")
@other_backward(Matmul)
def matmul_always_both(ctx, up):
    a, b = ctx.saved_tensors
    return up @ b.T, a.T @ up


@matmul.wrong("`{function}` asks the wrong entry of `ctx.needs_input_grad`: it skips the gradient that is needed. Entry 0 belongs to a, "
              "entry 1 to b.")
@other_backward(Matmul)
def matmul_needs_swapped(ctx, up):
    a, b = ctx.saved_tensors
    return up @ b.T if ctx.needs_input_grad[1] else None, a.T @ up if ctx.needs_input_grad[0] else None


@matmul.wrong("`{function}` fails or is wrong unless all matrices are square: b stands untransposed in the gradient of a. Write the shapes "
              "beside each factor.")
@other_backward(Matmul)
def matmul_b_not_transposed(ctx, up):
    a, b = ctx.saved_tensors
    return if_needed(ctx, lambda: up @ b, lambda: a.T @ up)


@matmul.wrong("`{function}` is right for a and not for b: a stands untransposed in the gradient of b. It must be (D, N) times (N, K).")
@other_backward(Matmul)
def matmul_a_not_transposed(ctx, up):
    a, b = ctx.saved_tensors
    return if_needed(ctx, lambda: up @ b.T, lambda: a @ up)


@matmul.wrong("`{function}` returns its gradients transposed: rows and columns are swapped. A gradient has the shape of its tensor.")
@other_backward(Matmul)
def matmul_results_transposed(ctx, up):
    a, b = ctx.saved_tensors
    return if_needed(ctx, lambda: (up @ b.T).T, lambda: (a.T @ up).T)


@matmul.wrong("`{function}` returns the two gradients in the wrong order. The first belongs to the first input of forward.")
@other_backward(Matmul)
def matmul_order(ctx, up):
    a, b = ctx.saved_tensors
    return a.T @ up, up @ b.T


@matmul.wrong("`{function}` returns one gradient, and forward has two inputs. Each input has its place, if need be with None in it.")
@other_backward(Matmul)
def matmul_one_gradient(ctx, up):
    return up @ ctx.saved_tensors[1].T


@matmul.wrong("`{function}` does not use `grad_output`: it is right only for an upstream of ones.")
@other_backward(Matmul)
def matmul_drops_upstream(ctx, up):
    a, b = ctx.saved_tensors
    return if_needed(ctx, lambda: torch.ones_like(up) @ b.T, lambda: a.T @ torch.ones_like(up))


@matmul.wrong("`{function}` returns gradients of zeros, of the right shapes. Does backward compute anything?")
@other_backward(Matmul)
def matmul_zero(ctx, up):
    a, b = ctx.saved_tensors
    return if_needed(ctx, lambda: 0 * a, lambda: 0 * b)


@matmul.wrong("`{function}` gives a gradient to a only. b is an input like any other when it needs one.")
@other_backward(Matmul)
def matmul_a_only(ctx, up):
    return (up @ ctx.saved_tensors[1].T if ctx.needs_input_grad[0] else None), (
        0 * ctx.saved_tensors[1] if ctx.needs_input_grad[1] else None)


@matmul.wrong("The gradients of `{function}` are right at first, but backward changes `grad_output` in place; whoever shares it reads wrong "
              "numbers.")
@other_backward(Matmul)
def matmul_writes_upstream(ctx, up):
    a, b = ctx.saved_tensors
    found = if_needed(ctx, lambda: up @ b.T, lambda: a.T @ up)
    up.mul_(2)
    return found


@matmul.variant
class matmul_by_einsum(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return torch.einsum("nd,dk->nk", a, b)

    @staticmethod
    def backward(ctx, up):
        a, b = ctx.saved_tensors
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_a = torch.einsum("nk,dk->nd", up, b)
        if ctx.needs_input_grad[1]:
            grad_b = torch.einsum("nd,nk->dk", a, up)
        return grad_a, grad_b


@matmul.variant
class matmul_saves_what_it_needs(Function):
    @staticmethod
    def forward(ctx, a, b):
        need_a, need_b = ctx.needs_input_grad
        ctx.save_for_backward(a if need_b else None, b if need_a else None)
        return (b.T @ a.T).T

    @staticmethod
    def backward(ctx, up):
        a, b = ctx.saved_tensors
        return None if b is None else up.mm(b.t()), None if a is None else (up.t() @ a).t(), None


# ---- ScaleGrad -------------------------------------------------------------------------------------------

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


# ---- LinearFn --------------------------------------------------------------------------------------------

linear = Key(
    "u03-linear-fn",
    hints=(
        "For x of shape (2, 3, 4) and w of shape (4, 5): what shape has the output, and over how many samples does the gradient of w sum?",
        "Flatten the leading axes of x and of grad_output with `reshape(-1, ...)`; then the gradients of w and b are those of a plain layer. "
        "Note in ctx whether there was a b. Return three results in any case.",
        "A near-example, a scale for each feature, y = x s with x (..., D), s (D,): `grad_s = (grad_output * x).reshape(-1, s.shape[0])"
        ".sum(dim=0)`, `grad_x = grad_output * s`.",
    ),
    cases=4,
    guards=("upstream_after",),
    weights={"grad_x": 2, "grad_w": 3, "grad_b": 2},
    equivalent={"line 7: rows.sum(dim=0) -> rows": "autograd sums a gradient that broadcasting made too large; section 4.2 shows it"},
    tolerance={"upstream_after": EXACT, **dict.fromkeys(
        ("out", "grad_x", "grad_w", "grad_b", "grad_w_of_loss_with_penalty"),
        Tolerance(1e-5, 1e-6, "float32, sums of up to 12 terms"))},
)


@linear.inputs
def _(g, case):
    lead, d, k = [((3,), 4, 2), ((2,), 3, 5), ((2, 3), 4, 5), ((3, 1, 2), 2, 4)][case]
    bias = normal(g, k) if case != 1 else None
    return {"x": normal(g, *lead, d), "w": normal(g, d, k), "b": bias, "upstream": away_from_zero(g, *lead, k), "v": normal(g, *lead, d)}


@linear.oracle
def _(x, w, b, upstream, v):
    given = {name: t.double().requires_grad_() for name, t in (("x", x), ("w", w), ("b", b)) if t is not None}
    out = torch.nn.functional.linear(given["x"], given["w"].T, given.get("b"))
    grads = gradients(out, list(given.values()), upstream)
    (penalty,) = torch.autograd.grad((upstream * out).sum() + (v * grads[0]).sum(), given["w"])
    return {"out": out.detach(), **{f"grad_{name}": t.detach() for name, t in zip(given, grads, strict=True)},
            "grad_w_of_loss_with_penalty": penalty, "upstream_after": upstream}


def linear_grads(x, w, up):
    """The gradients of w and b, whatever the leading axes."""
    rows = up.reshape(-1, w.shape[1])
    return x.reshape(-1, w.shape[0]).T @ rows, rows.sum(dim=0)


class Linear(Function):
    @staticmethod
    def forward(ctx, x, w, b=None):
        ctx.save_for_backward(x, w)
        ctx.has_bias = b is not None
        return x @ w if b is None else x @ w + b


def linear_backward(change):
    """A Function whose three gradients come from change(x, w, up, grad_w, grad_b)."""
    def backward(ctx, up):
        x, w = ctx.saved_tensors
        grad_x, grad_w, grad_b = change(x, w, up, *linear_grads(x, w, up))
        return grad_x, grad_w, grad_b if ctx.has_bias else None
    backward.__name__ = change.__name__
    return other_backward(Linear)(backward)


@linear.wrong("`{function}` takes the mean over the samples for the gradient of b. Each sample used b once; its gradients add up.")
@linear_backward
def linear_bias_mean(x, w, up, grad_w, grad_b):
    return up @ w.T, grad_w, grad_b / up[..., 0].numel()


@linear.wrong("The gradient of w is a mean over the samples in `{function}`. The loss decides whether to average; a layer sums.")
@linear_backward
def linear_weight_mean(x, w, up, grad_w, grad_b):
    return up @ w.T, grad_w / up[..., 0].numel(), grad_b


@linear.wrong("`{function}` is right for x of shape (N, D), and uses only a part of it when there are more leading axes. Every leading axis "
              "counts samples.")
@linear_backward
def linear_first_axis_only(x, w, up, grad_w, grad_b):
    if x.dim() > 2:
        grad_w, grad_b = linear_grads(x[0], w, up[0])
    return up @ w.T, grad_w, grad_b


@linear.wrong("`{function}` drops the upstream in the gradient of w: it is right only for an upstream of ones.")
@linear_backward
def linear_drops_upstream(x, w, up, grad_w, grad_b):
    return up @ w.T, linear_grads(x, w, torch.ones_like(up))[0], grad_b


@linear.wrong("The gradient of b is 1 for every sample in `{function}`. b was added, so its derivative is 1, times the *upstream*.")
@linear_backward
def linear_bias_counts(x, w, up, grad_w, grad_b):
    return up @ w.T, grad_w, torch.ones_like(up).reshape(-1, w.shape[1]).sum(dim=0)


@linear.wrong("The gradient of w is zero in `{function}`: the layer would never learn.")
@linear_backward
def linear_weight_zero(x, w, up, grad_w, grad_b):
    return up @ w.T, 0 * w, grad_b


@linear.wrong("The gradient of x is zero in `{function}`: nothing before this layer would learn.")
@linear_backward
def linear_input_zero(x, w, up, grad_w, grad_b):
    return 0 * x, grad_w, grad_b


@linear.wrong("`{function}` returns the gradient of w transposed. It has the shape of w, (D, K).")
@linear_backward
def linear_transposed(x, w, up, grad_w, grad_b):
    return up @ w.T, grad_w.T, grad_b


@linear.wrong("`{function}` returns the gradients of x and w in the wrong order.")
@linear_backward
def linear_order(x, w, up, grad_w, grad_b):
    return grad_w, up @ w.T, grad_b


@linear.wrong("The first derivatives of `{function}` are right; a penalty on the gradient of x does not reach w. backward cuts w out of the "
              "graph (`detach`, `.data`, `no_grad`), or reads a copy that forward made.")
@linear_backward
def linear_detaches(x, w, up, grad_w, grad_b):
    return up @ w.detach().T, grad_w, grad_b


@linear.wrong("`{function}` writes into `grad_output`. Other branches may read it; work on a new tensor.")
@linear_backward
def linear_writes_upstream(x, w, up, grad_w, grad_b):
    result = up @ w.T, grad_w, grad_b
    with torch.no_grad():
        up.mul_(2)
    return result


@linear.wrong("`{function}` needs a b: without one it fails. Only use b, and only return its gradient, where there is one.")
class linear_needs_bias(Linear):
    @staticmethod
    def forward(ctx, x, w, b=None):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, up):
        x, w = ctx.saved_tensors
        return up @ w.T, *linear_grads(x, w, up)


@linear.wrong("forward of `{function}` forgets b, and its gradient is right all the same: the two passes disagree.")
class linear_forgets_bias(Linear):
    @staticmethod
    def forward(ctx, x, w, b=None):
        ctx.save_for_backward(x, w)
        ctx.has_bias = b is not None
        return x @ w

    @staticmethod
    def backward(ctx, up):
        x, w = ctx.saved_tensors
        grad_w, grad_b = linear_grads(x, w, up)
        return up @ w.T, grad_w, grad_b if ctx.has_bias else None


@linear.wrong("backward of `{function}` returns two gradients also where b was given: forward then has three inputs.")
@other_backward(Linear)
def linear_two_gradients(ctx, up):
    x, w = ctx.saved_tensors
    return up @ w.T, linear_grads(x, w, up)[0]


@linear.variant
class linear_by_einsum(Function):
    @staticmethod
    def forward(ctx, x, w, b=None):
        ctx.save_for_backward(x, w, b)
        y = torch.einsum("...d,dk->...k", x, w)
        return y if b is None else y + b

    @staticmethod
    def backward(ctx, up):
        x, w, b = ctx.saved_tensors
        grads = [None, None, None]
        if ctx.needs_input_grad[0]:
            grads[0] = torch.einsum("...k,dk->...d", up, w)
        if ctx.needs_input_grad[1]:
            grads[1] = torch.einsum("...d,...k->dk", x, up)
        if b is not None and ctx.needs_input_grad[2]:
            grads[2] = up.sum(dim=tuple(range(up.dim() - 1)))
        return tuple(grads)


@linear.variant
class linear_leaves_the_bias_to_autograd(Function):
    @staticmethod
    def forward(ctx, x, w, *rest):
        ctx.save_for_backward(x, w)
        ctx.rest = len(rest)
        return torch.nn.functional.linear(x, w.T, *rest)

    @staticmethod
    def backward(ctx, up):
        x, w = ctx.saved_tensors
        return up.matmul(w.t()), torch.tensordot(x, up, dims=([*range(x.dim() - 1)],) * 2), *[up] * ctx.rest


# ---- Bug hunt: the residual ------------------------------------------------------------------------------

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


# ---- Cube ------------------------------------------------------------------------------------------------

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


# ---- audit_function --------------------------------------------------------------------------------------

KINDS = ["drops_upstream", "mixes_upstream", "small_numbers", "sign_mask", "writes_upstream", "keeps_square", "transposed", "too_few"]

audit = Key(
    "u03-audit-function",
    hints=(
        "For each kind in the table: which number would be different if the function were sound? What do you have to look at to see it?",
        "Make float64 copies. Draw an upstream v with torch.randn. Compare v before and after a backward pass; check the functions "
        "v * fn(...) and -v * fn(...) with gradcheck and gradgradcheck at a tiny atol; put all of it into a try.",
        "A near-example, an audit of a forward pass: `def audit(fn, x): found = []`, `kept = x.clone()`, `try: y = fn(x)`, `except Exception "
        "as error: return [f\"raises {error}\"]`, `if not torch.equal(x, kept): found.append(\"changes its input\")`, `return found`.",
    ),
    guards=("inputs_after",),
    tolerance=EXACT,
    equivalent={
        "line 1: t.detach() -> t": "`.clone()` gives memory of its own as well; the given tensors track no gradient",
        "line 1: t.detach().double().clone() -> t.detach().double()": "a copy protects from functions that write into their inputs; gradcheck puts "
                                                                     "back what it moves",
        'line 9: found.append("backward writes into its upstream gradient") -> found.append()': "the TypeError is caught, and an error is a finding",
        "line 12: up * fn(*args) -> up / fn(*args)": "another function of fn, with upstreams of both signs",
    },
)


@audit.inputs
def _(g, case):
    kinds = [KINDS[i] for i in torch.randperm(len(KINDS), generator=g).tolist()]
    small = ["small_numbers", "keeps_square"] if case == 1 else ["small_numbers"]
    sizes = (0.5 + 2 * torch.rand(len(KINDS), generator=g, dtype=torch.float64)).tolist()
    first = (torch.rand(len(KINDS), generator=g) < 0.5).tolist()
    dtype = [torch.float32, torch.float64, torch.float32][case]
    x = away_from_zero(g, *[(2, 3), (5,), (3, 1, 2)][case])
    x.view(-1)[0] = x.view(-1)[0].abs()
    n = 2
    return {"x": x.to(dtype), "a": normal(g, n, n).to(dtype), "b": (normal(g, n, n) + torch.triu(torch.ones(n, n), 1)).to(dtype),
            "kinds": kinds, "scales": [1e-7 if kind in small else size for kind, size in zip(kinds, sizes, strict=True)], "wrong_first": first}


@audit.oracle
def _(x, a, b, kinds, scales, wrong_first):
    return {**{kind: [first, not first] for kind, first in zip(kinds, wrong_first, strict=True)}, "inputs_after": [x, a, b]}


def doubled(inputs):
    return [t.detach().double().clone().requires_grad_() if torch.is_tensor(t) else t for t in inputs]


def auditor(fn, inputs, mixed_signs=True, writes=True, second=True, atol=0.0):
    """A sound auditor by its own central differences along one random direction; each of its parts can be left out."""
    given = doubled(inputs)
    where = [i for i, t in enumerate(given) if torch.is_tensor(t)]
    steps, h = [torch.randn_like(given[i]) for i in where], 1e-4
    v = torch.randn_like(fn(*given).detach())
    said = []
    kept = v.clone()
    torch.autograd.grad(fn(*given), [given[i] for i in where], v)
    if writes and not torch.equal(v, kept):
        said.append("changes its upstream")

    def pulled(at, up, graph=False):
        return torch.autograd.grad(fn(*at), [at[i] for i in where], up * 1, create_graph=graph)

    def moved(sign):
        at = list(given)
        for i, step in zip(where, steps, strict=True):
            at[i] = (given[i].detach() + sign * h * step).requires_grad_()
        return at

    def differ(quotients, claims):
        pairs = [(q.sum().item(), c.sum().item(), c.abs().sum().item()) for q, c in zip(quotients, claims, strict=True)]
        gap = abs(sum(q for q, _, _ in pairs) - sum(c for _, c, _ in pairs))
        return not gap <= atol + 1e-5 * sum(size for _, _, size in pairs)

    for up in (kept, -kept) if mixed_signs else (kept.abs(),):
        first = pulled(given, up, graph=True)
        if differ([up * (fn(*moved(1)) - fn(*moved(-1))) / (2 * h)], [torch.cat([(g * s).flatten() for g, s in zip(first, steps, strict=True)])]):
            return [*said, "gradient"]
    if second:
        weights = [torch.randn_like(g) for g in first]
        quotients = [w * (p - q) / (2 * h) for w, p, q in zip(weights, pulled(moved(1), up), pulled(moved(-1), up), strict=True)]
        loss = sum((w * g).sum() for w, g in zip(weights, first, strict=True))
        again = torch.autograd.grad(loss, [given[i] for i in where], materialize_grads=True)
        if differ(quotients, [g * s for g, s in zip(again, steps, strict=True)]):
            said.append("second")
    return said


def surviving(fn, inputs, **parts):
    """The same, with an error as a finding."""
    try:
        return auditor(fn, inputs, **parts)
    except Exception as error:
        return [str(error)]


def gradchecked(fn, given, **options):
    """gradcheck's verdict alone, with an error as a finding."""
    try:
        return [] if torch.autograd.gradcheck(fn, given, raise_exception=False, **options) else ["gradient"]
    except Exception as error:
        return [str(error)]


@audit.wrong("`{function}` reports every function, sound ones too. That catches nothing: look at what it says about `torch.exp`.")
def audit_reports_all(fn, *inputs):
    return ["looks suspicious"]


@audit.wrong("`{function}` never reports anything. Do your findings reach the list that you return?")
def audit_reports_none(fn, *inputs):
    return []


@audit.wrong("`{function}` trusts gradcheck alone, with its standard tolerance. Section 5.2 shows three wrong functions that pass it, and "
             "section 6 a fourth.")
def audit_gradcheck_alone(fn, *inputs):
    return gradchecked(fn, doubled(inputs))


@audit.wrong("`{function}` gives false alarms when the inputs are float32: rounding is larger than what it looks for. Turn the inputs into "
             "float64 first.")
def audit_in_single(fn, *inputs):
    found = [item for item in surviving(fn, inputs) if item != "gradient"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = [t.detach().clone().requires_grad_() if torch.is_tensor(t) else t for t in inputs]
        return found + gradchecked(lambda *t: (fn(*t), -fn(*t)), given, atol=0.0)


@audit.wrong("`{function}` does not find a lost factor in numbers near 1e-7: the absolute tolerance is larger than the values. gradcheck's "
             "atol is 1e-5.")
def audit_absolute_tolerance(fn, *inputs):
    return surviving(fn, inputs, atol=1e-5)


@audit.wrong("`{function}` finds everything but the function that passes positive upstreams only: gradcheck never asks with a negative one. "
             "Check v * fn(x) and -v * fn(x) with a random v.")
def audit_positive_upstream(fn, *inputs):
    return surviving(fn, inputs, mixed_signs=False)


@audit.wrong("`{function}` does not notice that a backward pass writes into its upstream. Keep a copy of v, and compare after the backward "
             "pass.")
def audit_ignores_writes(fn, *inputs):
    return surviving(fn, inputs, writes=False)


@audit.wrong("`{function}` does not test the second derivative. Which function of torch.autograd does?")
def audit_first_only(fn, *inputs):
    return surviving(fn, inputs, second=False)


@audit.wrong("`{function}` raises when the function under test does. An error is a finding: catch it and put it on the list.")
def audit_dies(fn, *inputs):
    return auditor(fn, inputs)


@audit.wrong("`{function}` tests with an upstream of ones, as `.sum().backward()` does: a function that drops or mixes up its upstream, or "
             "blocks negative ones, looks right.")
def audit_with_ones(fn, *inputs):
    given = doubled(inputs)
    leaves = [t for t in given if torch.is_tensor(t)]
    try:
        grads = torch.autograd.grad(fn(*given).sum(), leaves)
        for leaf, grad in zip(leaves, grads, strict=True):
            step = 1e-4 * torch.randn_like(leaf)
            before, ends = leaf.detach().clone(), []
            for sign in (1, -1):
                leaf.data = before + sign * step
                ends.append(fn(*given).sum().item())
            leaf.data = before
            if abs((ends[0] - ends[1]) / 2 - (grad * step).sum().item()) > 1e-5 * (grad * step).abs().sum().item():
                return ["gradient"]
    except Exception as error:
        return [str(error)]
    return []


@audit.wrong("`{function}` is right about every function, and switches `requires_grad` of the caller's tensors, or writes into them. Work "
             "on detached float64 copies.")
def audit_touches_inputs(fn, *inputs):
    found = surviving(fn, inputs)
    for t in inputs:
        if torch.is_tensor(t):
            t.requires_grad_()
    return found


@audit.wrong("`{function}` looks at the first tensor only. A function of two inputs has two gradients, and either may be wrong.")
def audit_first_tensor_only(fn, *inputs):
    place = next(i for i, t in enumerate(inputs) if torch.is_tensor(t))
    rest = doubled(inputs)
    others = [t.detach() if torch.is_tensor(t) and i != place else t for i, t in enumerate(rest)]
    last = max(i for i, t in enumerate(inputs) if torch.is_tensor(t))
    return surviving(lambda t: fn(*others[:last], t, *others[last + 1:]), [inputs[last]])


@audit.wrong("`{function}` compares the gradient with a quotient of a step that is far too large, or too strictly: sound functions are "
             "reported. What error does a central difference have at your step?")
def audit_too_strict(fn, *inputs):
    given = doubled(inputs)
    try:
        v = torch.randn_like(fn(*given))
        return [] if torch.autograd.gradcheck(lambda *t: (v * fn(*t)).sum(), given, eps=0.3, atol=0, rtol=1e-6, raise_exception=False) else ["off"]
    except Exception:
        return []


@audit.variant
def audit_by_hand(fn, *inputs):
    return surviving(fn, inputs)


@audit.variant
def audit_in_two_checks(fn, *inputs):
    given, found = doubled(inputs), []
    try:
        v = torch.randn_like(fn(*given).detach())
        kept = v.clone()
        fn(*given).backward(v)
        if not torch.equal(v, kept):
            found.append("writes into its upstream")
        for up in (kept, -kept):
            found += gradchecked(lambda *t: up * fn(*t), given, atol=1e-13, rtol=1e-4)
        if not torch.autograd.gradgradcheck(fn, given, (up.clone().requires_grad_(),), atol=1e-13, raise_exception=False):
            found.append("second derivative")
    except Exception as error:
        found.append(repr(error))
    return found
