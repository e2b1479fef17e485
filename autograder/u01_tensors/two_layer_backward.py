"""The key of u01-two-layer-backward."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, grads, mixed, normal

backward = Key(
    "u01-two-layer-backward",
    forbids=BY_HAND,
    hints=(
        "For each of pred, w2, r, h and w1: which shape must its gradient have, and which two tensors give "
        "that shape?",
        "Go from the end: grad_pred, then grad_w2 and grad_r, then grad_h, then grad_w1. Each matrix "
        "product uses the transpose of the other factor; the bend multiplies by where h was positive.",
        "A near-example with one layer and another bend, pred = sin(x w): `z = x @ w`, `grad_pred = 2 * "
        "(torch.sin(z) - y)`, `grad_z = grad_pred * torch.cos(z)`, `grad_w = x.T @ grad_z`. The derivative "
        "is taken at z, the value that went in.",
    ),
    cases=2,
    guards=("x_after", "y_after", "w1_after", "w2_after"),
    weights={"grad_w1": 5, "grad_w2": 3},
    tolerance={"grad_w1": Tolerance(1e-5, 1e-6, "float32; three products in a row, sums of up to 7 terms"),
               "grad_w2": Tolerance(1e-5, 1e-6, "float32; three products in a row, sums of up to 7 terms"),
               "x_after": EXACT, "y_after": EXACT, "w1_after": EXACT, "w2_after": EXACT},
)


@backward.inputs
def _(g, case):
    n, d, m, k = [(4, 5, 6, 2), (7, 3, 5, 4)][case]
    while True:
        if case == 0:
            x, y, w1, w2 = normal(g, n, d), normal(g, n, k), normal(g, d, m), normal(g, m, k)
        else:                                           # whole numbers: some entries of h are exactly 0
            sizes = (n, d), (n, k), (d, m), (m, k)
            x, y, w1, w2 = (torch.randint(-2, 3, size, generator=g).float() for size in sizes)
        masks = [lambda h, u: h > 0, lambda h, u: 1, lambda h, u: u > 0, lambda h, u: h >= 0]
        told_apart = [grads(x, y, w1, w2, mask)[0] for mask in masks[:3 + case]]
        far = all((a - b).norm() > 0.1 * a.norm() for i, a in enumerate(told_apart) for b in told_apart[:i])
        if far and (case == 1 or mixed(x @ w1)):
            return {"x": x, "y": y, "w1": w1, "w2": w2}


@backward.oracle
def _(x, y, w1, w2):
    a, b = w1.double().requires_grad_(), w2.double().requires_grad_()
    loss = ((torch.relu(x.double() @ a) @ b - y.double()) ** 2).sum()
    grad_w1, grad_w2 = torch.autograd.grad(loss, (a, b))
    return {"grad_w1": grad_w1, "grad_w2": grad_w2,
            "x_after": x, "y_after": y, "w1_after": w1, "w2_after": w2}


@backward.wrong("Both gradients of `{function}` are exactly half of what they should be. A constant factor "
                "that all of them share was lost at the very start of the backward pass.")
def no_factor_two(x, y, w1, w2):
    return grads(x, y, w1, w2, scale=1.0)


@backward.wrong("grad_w2 of `{function}` is right, grad_w1 is not: units that were off pass the gradient "
                "on. The bend is missing in the backward pass. Training would still lower the loss, which "
                "is why it is no evidence.")
def no_mask(x, y, w1, w2):
    return grads(x, y, w1, w2, mask=lambda h, grad_r: 1)


@backward.wrong("`{function}` drops the gradient where the *gradient* is negative. A unit is on or off "
                "because of what went into the bend; a unit that is on may well receive a negative "
                "gradient. Which tensor should the comparison look at?")
def mask_by_gradient_sign(x, y, w1, w2):
    return grads(x, y, w1, w2, mask=lambda h, grad_r: grad_r > 0)


@backward.wrong("`{function}` lets the gradient pass where h is exactly 0. The docstring counts relu's "
                "derivative as 0 there; look at the comparison in your mask.")
def mask_passes_zero(x, y, w1, w2):
    return grads(x, y, w1, w2, mask=lambda h, grad_r: h >= 0)


@backward.wrong("`{function}` multiplies the gradient by r itself. Backwards, the bend's *derivative* "
                "counts: 1 where a unit was on and 0 elsewhere, whatever its size.")
def mask_is_activation(x, y, w1, w2):
    return grads(x, y, w1, w2, mask=lambda h, grad_r: h.clamp(min=0))


@backward.wrong("grad_w2 of `{function}` is computed from h. The second layer multiplied r, so r must stand "
                "in its gradient.")
def grad_w2_from_h(x, y, w1, w2):
    grad_pred = 2 * ((x @ w1).clamp(min=0) @ w2 - y)
    return grads(x, y, w1, w2)[0], (x @ w1).T @ grad_pred


@backward.wrong("`{function}` divides by the number of entries of pred: it is the gradient of the mean. The "
                "docstring defines the loss as a sum; in the large example this factor is 640.")
def mean_for_sum(x, y, w1, w2):
    return grads(x, y, w1, w2, scale=2.0 / y.numel())


@backward.wrong("`{function}` divides by the number of samples. The loss is a sum over the samples, so "
                "nothing is averaged.")
def mean_over_samples(x, y, w1, w2):
    return grads(x, y, w1, w2, scale=2.0 / len(x))


@backward.wrong("Both gradients of `{function}` have the opposite sign. Look at the subtraction that begins "
                "the backward pass: a prediction above its target must get a positive gradient.")
def uphill(x, y, w1, w2):
    return grads(x, y, w1, w2, scale=-2.0)


@backward.wrong("`{function}` does not depend on the error: it gives the gradient of pred.sum(), as if the "
                "upstream gradient were all ones. Where does your code use y?")
def dropped_upstream(x, y, w1, w2):
    h = x @ w1
    ones = torch.ones_like(y)
    return x.T @ ((ones @ w2.T) * (h > 0)), h.clamp(min=0).T @ ones


@backward.wrong("Both gradients of `{function}` are zero everywhere. Are the tensors that you return the "
                "ones that you computed?")
def zero_gradient(x, y, w1, w2):
    return torch.zeros_like(w1), torch.zeros_like(w2)


@backward.wrong("Both gradients of `{function}` are transposed. A gradient has the shape of its tensor; "
                "which factor of each product should carry the transpose?")
def transposed(x, y, w1, w2):
    grad_w1, grad_w2 = grads(x, y, w1, w2)
    return grad_w1.T, grad_w2.T


@backward.wrong("`{function}` returns the two gradients in the wrong order: grad_w1 has the shape of w2. "
                "Look at the last line.")
def swapped(x, y, w1, w2):
    return grads(x, y, w1, w2)[::-1]


@backward.wrong("The gradients of `{function}` are right, but y holds other numbers afterwards: something "
                "wrote into the targets in place, so a second call would see other data. Look for `-=`, "
                "`+=`, and names that end in an underscore.")
def writes_into_y(x, y, w1, w2):
    result = grads(x, y, w1, w2)
    y.sub_((x @ w1).clamp(min=0) @ w2)
    return result


@backward.wrong("The gradients of `{function}` are right, but w2 is transposed afterwards: `t_` and other "
                "names with a final underscore work in place. The attribute `.T` gives a view and leaves "
                "the tensor alone.")
def transposes_w2_in_place(x, y, w1, w2):
    result = grads(x, y, w1, w2)
    w2.t_()
    return result


@backward.variant
def backward_by_einsum(x, y, w1, w2):
    h = torch.einsum("nd,dm->nm", x, w1)
    on = torch.heaviside(h, torch.zeros((), device=h.device))
    twice = torch.einsum("nm,mk->nk", h * on, w2).sub(y).mul(2)
    return torch.einsum("nd,nm,nk,mk->dm", x, on, twice, w2), torch.einsum("nm,nk->mk", h * on, twice)


@backward.variant
def backward_by_samples(x, y, w1, w2):
    grad_w1, grad_w2 = torch.zeros_like(w1), torch.zeros_like(w2)
    for sample, target in zip(x, y, strict=True):
        h = sample @ w1
        r = torch.relu(h)
        error = 2 * (r @ w2 - target)
        grad_w2 += torch.outer(r, error)
        grad_h = w2 @ error
        grad_h[h <= 0] = 0
        grad_w1 += torch.outer(sample, grad_h)
    return grad_w1, grad_w2


@backward.variant
def backward_in_own_buffers(x, y, w1, w2):
    h = x.mm(w1)
    off = h <= 0
    r = h.clamp_(min=0)                                 # h is no longer needed: `off` remembers it
    error = r.mm(w2).sub_(y).mul_(2)
    grad_r = error.mm(w2.t()).masked_fill_(off, 0)
    return (grad_r.t() @ x).t(), (error.t() @ r).t()    # transposed memory layout
