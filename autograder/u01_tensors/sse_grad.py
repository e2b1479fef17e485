"""The key of u01-sse-grad."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, normal

sse = Key(
    "u01-sse-grad",
    forbids=BY_HAND,
    hints=(
        "If one entry of pred rises by 0.001 and its error is 3, by how much does the loss rise?",
        "Each entry of pred stands in one term of the sum. For the refusal, compare the two `.shape` "
        "attributes as a whole: sizes, number of axes and order.",
        "A near-example: the loss sum((pred - y)**3) has the gradient `3 * (pred - y) ** 2`. And a refusal: "
        "`if a.dtype != b.dtype: raise ValueError(f\"dtypes differ: {a.dtype}, {b.dtype}\")`.",
    ),
    cases=5,
    guards=("pred_after", "y_after"),
    weights={"grad_pred": 3, "(refuses wrong input)": 3},
    tolerance={"grad_pred": Tolerance(1e-6, 0, "one float32 subtraction and an exact doubling"),
               "pred_after": EXACT, "y_after": EXACT},
)


@sse.inputs
def _(g, case):
    n, k = 4, 3
    shapes = [((n, k), (n, k)), ((n, 1), (n,)), ((n, k), (1, k)), ((n, k), (n, 1)), ((5,), (5,))]
    pred, y = shapes[case]
    return {"pred": normal(g, *pred), "y": normal(g, *y)}


@sse.oracle
def _(pred, y):
    leaf = pred.double().requires_grad_()
    if leaf.shape != y.shape:
        return {}
    loss = torch.nn.functional.mse_loss(leaf, y.double(), reduction="sum")
    return {"grad_pred": torch.autograd.grad(loss, leaf)[0], "pred_after": pred, "y_after": y}


def same_shape(pred, y):
    if pred.shape != y.shape:
        raise ValueError("shapes differ")


@sse.wrong("`{function}` returns exactly half of the gradient. Differentiate e² once more: a factor comes "
           "down from the exponent.")
def sse_half(pred, y):
    same_shape(pred, y)
    return pred - y


@sse.wrong("`{function}` returns the gradient of the mean, not of the sum: it is too small by the number of "
           "entries. Section 2.2 defines the loss as a sum.")
def sse_mean(pred, y):
    same_shape(pred, y)
    return 2 * (pred - y) / pred.numel()


@sse.wrong("The sign of `{function}` is reversed, so a step against it would raise the loss. A prediction "
           "that is too high should give a positive gradient; which of the two is subtracted?")
def sse_sign(pred, y):
    same_shape(pred, y)
    return 2 * (y - pred)


@sse.wrong("`{function}` returns a loss, not its gradient: every entry is a square, so none is negative. "
           "The gradient of a square is linear in the error.")
def sse_loss_terms(pred, y):
    same_shape(pred, y)
    return (pred - y) ** 2


@sse.wrong("`{function}` adds its entries up to one number. The loss is one number; its gradient has one "
           "for each entry of pred.")
def sse_summed(pred, y):
    same_shape(pred, y)
    return (2 * (pred - y)).sum()


@sse.wrong("`{function}` returns zeros. Is the result that you return the one that you computed?")
def sse_zero(pred, y):
    same_shape(pred, y)
    return torch.zeros_like(pred)


@sse.wrong("The numbers of `{function}` are right, but pred holds the gradient afterwards: an in-place "
           "operation wrote into the caller's tensor. Look for `-=`, `*=` and names that end in an "
           "underscore.")
def sse_in_place(pred, y):
    same_shape(pred, y)
    pred -= y
    return pred.mul_(2)


@sse.wrong("The gradient is right where shapes agree, but `{function}` accepts shapes that differ, and "
           "broadcasts them. (4, 1) against (4,) becomes a (4, 4) table. Refuse before you subtract.")
def sse_no_check(pred, y):
    return 2 * (pred - y)


@sse.wrong("`{function}` compares the number of elements, and (4, 1) and (4,) both have 4. Two shapes agree "
           "when every size agrees, in order; compare the shapes themselves.")
def sse_checks_numel(pred, y):
    if pred.numel() != y.numel():
        raise ValueError("sizes differ")
    return 2 * (pred - y)


@sse.wrong("`{function}` compares the number of samples only, and lets (4, 1) against (4,) pass. The other "
           "axes can broadcast too; compare the whole shapes.")
def sse_checks_length(pred, y):
    if len(pred) != len(y):
        raise ValueError("lengths differ")
    return 2 * (pred - y)


@sse.wrong("`{function}` compares the number of axes only. (4, 3) and (1, 3) both have two, and still "
           "broadcast; compare the sizes as well.")
def sse_checks_dimension(pred, y):
    if pred.dim() != y.dim():
        raise ValueError("dimensions differ")
    return 2 * (pred - y)


@sse.variant
def sse_into_buffer(pred, y):
    assert tuple(pred.shape) == tuple(y.shape), f"{pred.shape} and {y.shape}"
    grad = pred.clone()
    grad.sub_(y)
    return grad.add_(grad)


@sse.variant
def sse_entry_by_entry(pred, y):
    if list(pred.size()) != list(y.size()):
        raise RuntimeError("shapes differ")
    entries = [2 * a - 2 * b for a, b in zip(pred.flatten(), y.flatten(), strict=True)]
    return torch.stack(entries).view(pred.shape)
