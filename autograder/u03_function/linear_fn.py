"""The key of u03-linear-fn."""

import torch
from torch.autograd import Function

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, away_from_zero, gradients, normal, other_backward

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
