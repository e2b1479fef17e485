"""The key of u01-unbroadcast."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, normal

unbroadcasting = Key(
    "u01-unbroadcast",
    forbids=BY_HAND,
    hints=(
        "For g of shape (2, 3, 4) and the shape (3, 1): which entries of g saw the same entry of the small "
        "tensor?",
        "Two steps. While g has more axes than `shape`, the first axis was added on the left. After that "
        "both have equally many axes, and you can compare them one by one; `sum(dim=..., keepdim=True)` "
        "leaves an axis of size 1.",
        "A near-example with fixed shapes: back from (5, 2, 3) to (2, 1) is `g.sum(dim=0).sum(dim=1, "
        "keepdim=True)`. Yours reads from `shape` which axes those are.",
    ),
    cases=2,
    guards=("g_after",),
    tolerance=Tolerance(1e-5, 1e-5, "float32 sums of up to 60 numbers, in any order; they may cancel to "
                                    "almost 0"),
)


@unbroadcasting.inputs
def _(g, case):
    return {"g": normal(g, *[(2, 3, 4), (5, 4, 3)][case])}


@unbroadcasting.oracle
def _(g):
    def through_autograd(shape):
        leaf = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(leaf.expand(g.shape), leaf, g.double())[0]
    a, b, c = g.shape
    return {"to_matrix": through_autograd((b, c)), "to_vector": through_autograd((c,)),
            "to_scalar": through_autograd(()), "one_inside": through_autograd((a, 1, c)),
            "one_at_both_ends": through_autograd((1, b, 1)), "missing_and_one": through_autograd((b, 1)),
            "g_after": g}


def summed(g, shape, how=lambda g, axis: g.sum(dim=axis, keepdim=True)):
    """unbroadcast with the reduction of one axis open; the axis stays and is removed at the end."""
    lead = g.dim() - len(shape)
    for axis in range(g.dim()):
        if axis < lead or shape[axis - lead] == 1:
            g = how(g, axis)
    return g.reshape(shape)


@unbroadcasting.wrong("`{function}` averages. A copied number acts once through each of its copies, and all "
                      "these effects add up: which reduction adds?")
def mean_of_copies(g, shape):
    return summed(g, shape, lambda g, axis: g.mean(dim=axis, keepdim=True))


@unbroadcasting.wrong("`{function}` takes the first copy's gradient and forgets the others. Every copy sent "
                      "a gradient back.")
def first_copy_only(g, shape):
    return summed(g, shape, lambda g, axis: g.narrow(axis, 0, 1))


@unbroadcasting.wrong("`{function}` keeps the largest of the gradients that come back. They all count: "
                      "gradients of copies add up.")
def largest_copy(g, shape):
    return summed(g, shape, lambda g, axis: g.amax(dim=axis, keepdim=True))


@unbroadcasting.wrong("`{function}` returns zeros. It is right in shape only; the numbers of g never arrive.")
def unbroadcast_zero(g, shape):
    return torch.zeros(shape, dtype=g.dtype, device=g.device)


@unbroadcasting.wrong("`{function}` does not use the numbers of g: it counts the copies, as if the upstream "
                      "gradient were all ones.")
def counts_copies(g, shape):
    return summed(torch.ones_like(g), shape)


@unbroadcasting.wrong("`{function}` handles axes that were missing on the left, but leaves axes of size 1 "
                      "as large as in g. Those were copied as well: compare the sizes axis by axis.")
def only_missing_axes(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    return g


@unbroadcasting.wrong("`{function}` sums axes of size 1, but leaves the axes that were missing on the left "
                      "in place. The result must have exactly as many axes as `shape`.")
def only_axes_of_one(g, shape):
    lead = g.dim() - len(shape)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=lead + axis, keepdim=True)
    return g


@unbroadcasting.wrong("`{function}` loses the axes of size 1: where (2, 1, 4) is asked for, it returns (2, "
                      "4). A summed axis can be kept; which argument of `sum` does that?")
def loses_axes_of_one(g, shape):
    lead = g.dim() - len(shape)
    for axis in reversed(range(g.dim())):
        if axis < lead or shape[axis - lead] == 1:
            g = g.sum(dim=axis)
    return g


@unbroadcasting.wrong("`{function}` removes one axis on the left and then stops. Several can be missing; a "
                      "scalar lacks all of them.")
def removes_one_axis(g, shape):
    if g.dim() > len(shape):
        g = g.sum(dim=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=axis, keepdim=True)
    return g


@unbroadcasting.wrong("`{function}` handles the first axis of size 1 and then stops. (1, 3, 1) has two; "
                      "does a `break` or a `return` stand inside the loop?")
def stops_after_one(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    for axis, size in enumerate(shape):
        if size == 1:
            return g.sum(dim=axis, keepdim=True)
    return g


@unbroadcasting.wrong("`{function}` removes axes on the right. Shapes are aligned at their right ends, so "
                      "what is missing is missing on the left.")
def removes_on_the_right(g, shape):
    while g.dim() > len(shape):
        g = g.sum(dim=-1)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=axis, keepdim=True)
    return g


@unbroadcasting.wrong("`{function}` counts axes of `shape` from the left of g while g still has more axes, "
                      "so it sums the wrong one. Position i of `shape` is not position i of g until the "
                      "missing axes are gone.")
def forgets_the_offset(g, shape):
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=axis, keepdim=True)
    while g.dim() > len(shape):
        g = g.sum(dim=0)
    return g


@unbroadcasting.wrong("`{function}` returns shape (1,) where () is asked for. A scalar has no axes; summing "
                      "over all of them leaves none.")
def scalar_with_an_axis(g, shape):
    return summed(g, shape) if shape else g.sum().reshape(1)


@unbroadcasting.variant
def unbroadcast_by_sum_to_size(g, shape):
    return g.sum_to_size(shape).clone()


@unbroadcasting.variant
def unbroadcast_in_one_sum(g, shape):
    lead = g.dim() - len(shape)
    axes = [*range(lead), *(lead + i for i, size in enumerate(shape) if size == 1)]
    return g.sum(dim=axes).reshape(shape) if axes else g


@unbroadcasting.variant
def unbroadcast_by_loop(g, shape):
    total = g.new_zeros(shape)
    padded = (1,) * (g.dim() - len(shape)) + tuple(shape)
    flat = total.view(padded)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in g.shape)).tolist():
        flat[tuple(i if size > 1 else 0 for i, size in zip(place, padded, strict=True))] += g[tuple(place)]
    return total
