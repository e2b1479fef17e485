"""The key of u03-my-matmul."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, gradients, normal, other_backward

SINGLE = Tolerance(1e-5, 1e-7, "float32, eps 1.2e-7; a handful of products, sums of up to 15 terms")

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
