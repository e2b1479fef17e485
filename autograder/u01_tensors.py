"""The key of u01: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Sizes within a case all differ, so that no transposed or misplaced axis passes in silence.
"""

import torch

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
SINGLE = Tolerance(1e-5, 1e-7, "float32, eps 1.2e-7; at most two products in a row with sums of up to 8 "
                               "terms")


ON_CPU = "keys are made on the CPU, where the default device is that of the inputs; the CUDA run of the checks sees it"


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def mixed(h):
    """There are entries on both sides of the bend, and none close to it."""
    return (h > 0.05).any() and (h < -0.05).any() and h.abs().min() > 0.01


# ---- two_layer_forward -----------------------------------------------------------------------------------

BY_HAND = ("backward", "autograd", "requires_grad", "requires_grad_")  # gradients are derived and written out in this unit

forward = Key(
    "u01-two-layer-forward",
    hints=(
        "Write the shapes of x, w1 and w2 side by side. In which order do the inner sizes meet?",
        "`@` multiplies matrices. The bend keeps positive entries and replaces the others by 0: look at the "
        "entries of `torch.clamp`, and at the difference between `clamp` and `clamp_`.",
        "A near-example with another bend: `h = x @ w1`, `s = torch.sigmoid(h)`, `return h, s, s @ w2`. All "
        "three are different tensors, so the backward pass can still read h.",
    ),
    tolerance=SINGLE,
)


@forward.inputs
def _(g, case):
    n, d, m, k = [(4, 5, 3, 2), (2, 3, 6, 4), (1, 4, 2, 3)][case]
    while True:
        x, w1, w2 = normal(g, n, d), normal(g, d, m), normal(g, m, k)
        if mixed(x @ w1) and mixed((x @ w1).clamp(min=0) @ w2):
            return {"x": x, "w1": w1, "w2": w2}


@forward.oracle
def _(x, w1, w2):
    h = torch.einsum("nd,dm->nm", x.double(), w1.double())
    r = torch.nn.functional.relu(h)
    return {"h": h, "r": r, "pred": torch.einsum("nm,mk->nk", r, w2.double())}


@forward.wrong("`{function}` changes h after computing it: h has no negative entries left, so h and r hold "
               "the same numbers. Which operation of yours ends in an underscore, or writes into h? The "
               "backward pass needs h as it was.")
def relu_in_place(x, w1, w2):
    h = x @ w1
    r = h.clamp_(min=0)
    return h, r, r @ w2


@forward.wrong("In `{function}`, r still has negative entries: the bend between the layers is missing. "
               "Without it two layers can do no more than one.")
def no_relu(x, w1, w2):
    h = x @ w1
    return h, h, h @ w2


@forward.wrong("h and r of `{function}` are right, but pred was computed from h: the second layer skips the "
               "bend. Which of the two tensors should it read?")
def second_layer_reads_h(x, w1, w2):
    h = x @ w1
    return h, h.clamp(min=0), h @ w2


@forward.wrong("`{function}` cuts off negative predictions. The bend stands between the two layers only; a "
               "prediction may have any sign.")
def relu_after_both(x, w1, w2):
    h = x @ w1
    r = h.clamp(min=0)
    return h, r, (r @ w2).clamp(min=0)


@forward.wrong("`{function}` applies the bend to the prediction instead of the hidden layer. Compare your "
               "order of operations with the three formulas of section 2.1.")
def relu_at_the_end(x, w1, w2):
    h = x @ w1
    return h, h, (h @ w2).clamp(min=0)


@forward.wrong("`{function}` keeps the negative entries and drops the positive ones. Print h and r side by "
               "side: which bound does your clamp set, the lower or the upper one?")
def keeps_the_negative(x, w1, w2):
    h = x @ w1
    r = h.clamp(max=0)
    return h, r, r @ w2


@forward.wrong("r of `{function}` holds only zeros and ones: that says where h is positive, which is relu's "
               "derivative. relu itself returns the positive numbers.")
def step_for_relu(x, w1, w2):
    h = x @ w1
    r = (h > 0).to(h.dtype)
    return h, r, r @ w2


@forward.wrong("`{function}` turns negative entries into positive ones. The bend replaces them by 0; where "
               "did the sign go?")
def absolute_value(x, w1, w2):
    h = x @ w1
    r = h.abs()
    return h, r, r @ w2


@forward.wrong("`{function}` multiplies in the wrong order: a matrix product needs equal inner sizes. x is "
               "(N, D) and w1 is (D, M); write them down in the order in which the D's touch.")
def weights_first(x, w1, w2):
    h = w1 @ x
    r = h.clamp(min=0)
    return h, r, w2 @ r


@forward.wrong("`{function}` returns its results transposed, one column per sample. In this course a row is "
               "a sample: h is (N, M).")
def one_column_per_sample(x, w1, w2):
    h = w1.T @ x.T
    r = h.clamp(min=0)
    return h, r, w2.T @ r


@forward.variant
def forward_by_where(x, w1, w2):
    h = torch.mm(x, w1)
    r = torch.where(h > 0, h, torch.zeros_like(h))
    return h, r, torch.mm(r, w2)


@forward.variant
def forward_by_columns(x, w1, w2):
    h = torch.stack([(x * w1[:, j]).sum(dim=1) for j in range(w1.shape[1])]).T
    r = h.clone()
    r[r < 0] = 0
    return h, r, (r.unsqueeze(2) * w2).sum(dim=1)


@forward.variant
def forward_by_mask(x, w1, w2):
    h = torch.einsum("nd,dm->nm", x, w1)
    r = h * (h > 0)
    return h, r, torch.nn.functional.linear(r, w2.T)


# ---- sse_grad --------------------------------------------------------------------------------------------

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


# ---- two_layer_backward ----------------------------------------------------------------------------------

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


def grads(x, y, w1, w2, mask=lambda h, grad_r: h > 0, scale=2.0):
    """The backward pass with its mask and its factor open, for wrong answers."""
    h = x @ w1
    r = h.clamp(min=0)
    grad_pred = scale * (r @ w2 - y)
    grad_r = grad_pred @ w2.T
    return x.T @ (grad_r * mask(h, grad_r)), r.T @ grad_pred


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


# ---- manual_train ----------------------------------------------------------------------------------------

train = Key(
    "u01-manual-train",
    forbids=BY_HAND,
    hints=(
        "At which weights is each of these taken: the loss that you store, the gradient of w1, the gradient "
        "of w2?",
        "In each round, in this order: forward pass, store the loss as a number, both gradients, both "
        "updates. `w = w - ...` makes a new tensor, `w -= ...` writes into the one that the caller owns.",
        "A near-example with one number: `for _ in range(steps):` then `losses.append((w - 3.0) ** 2)`, "
        "`grad = 2 * (w - 3.0)`, `w = w - lr * grad`.",
    ),
    cases=2,
    guards=("types_in_losses", "w1_after", "w2_after"),
    weights={"losses": 6},
    tolerance={"losses": Tolerance(1e-4, 1e-6, "float32; six steps carry each rounding error on, measured "
                                               "below 1e-5"),
               "w1_after": EXACT, "w2_after": EXACT},
)


@train.inputs
def _(g, case):
    n, d, m, k = [(5, 4, 6, 3), (3, 6, 5, 2)][case]
    lr, steps = [(0.004, 6), (0.006, 5)][case]
    while True:
        x, y, w1, w2 = normal(g, n, d), normal(g, n, k), normal(g, d, m), normal(g, m, k)
        inputs = {"x": x, "y": y, "w1": w1, "w2": w2, "lr": lr, "steps": steps}
        right, late = loop(**inputs), loop(late=True, **inputs)
        if 0.5 < right[-1] < 0.7 * right[0] and abs(late[-1] / right[-1] - 1) > 0.01:
            return inputs


def loop(x, y, w1, w2, lr, steps, late=False, scale=2.0, mask=lambda h, grad_r: h > 0):
    """The training loop with its typical faults open; late: w2 is updated before w1's gradient is taken."""
    losses = []
    for _ in range(steps):
        losses.append((((x @ w1).clamp(min=0) @ w2 - y) ** 2).sum().item())
        grad_w1, grad_w2 = grads(x, y, w1, w2, mask, scale)
        new_w2 = w2 - lr * grad_w2
        if late:
            grad_pred = scale * ((x @ w1).clamp(min=0) @ w2 - y)
            grad_w1 = x.T @ ((grad_pred @ new_w2.T) * (x @ w1 > 0))
        w1, w2 = w1 - lr * grad_w1, new_w2
    return losses


@train.oracle
def _(x, y, w1, w2, lr, steps):
    a, b = torch.nn.Parameter(w1.double()), torch.nn.Parameter(w2.double())
    optimizer = torch.optim.SGD([a, b], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.relu(x.double() @ a) @ b, y.double(), reduction="sum")
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return {"losses": losses, "types_in_losses": ["float"], "w1_after": w1, "w2_after": w2}


@train.wrong("`{function}` updates w2 before it computes the gradient of w1, so from the second loss on the "
             "numbers drift. Both gradients belong to the same weights: take both, then take both steps.")
def second_layer_first(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, late=True)


@train.wrong("The losses of `{function}` rise: it walks along the gradient instead of against it. Look at "
             "the sign of the update.")
def walks_uphill(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, -lr, steps)


@train.wrong("`{function}` walks half of each step. The gradient of a square has a factor 2; where did it "
             "go on the way into the update?")
def half_steps(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, scale=1.0)


@train.wrong("`{function}` trains with a gradient that ignores the bend. The loss falls all the same, but "
             "not to the numbers of gradient descent. Check the mask of the backward pass that it uses.")
def trains_without_mask(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps, mask=lambda h, grad_r: 1)


@train.wrong("`{function}` stores each loss after the update: the list starts with the second value. The "
             "first entry belongs to the weights that came in.")
def loss_after_update(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps + 1)[1:]


@train.wrong("`{function}` stores the mean of the squared errors. The docstring asks for their sum.")
def stores_means(x, y, w1, w2, lr, steps):
    return [loss / y.numel() for loss in loop(x, y, w1, w2, lr, steps)]


@train.wrong("Every loss of `{function}` is the same: no update reaches the weights that the next round "
             "uses. Is the result of the subtraction stored under the name that the forward pass reads?")
def never_updates(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, 0.0, steps)


@train.wrong("`{function}` trains the first layer only; w2 keeps its starting values. Which of your two "
             "updates is missing or lost?")
def only_first_layer(x, y, w1, w2, lr, steps):
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        w1 = w1 - lr * grads(x, y, w1, w2)[0]
    return losses


@train.wrong("`{function}` computes the gradients once and walks on along them. After a step the weights "
             "are elsewhere, and so is their gradient: what belongs inside the loop?")
def stale_gradients(x, y, w1, w2, lr, steps):
    grad_w1, grad_w2 = grads(x, y, w1, w2)
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        w1, w2 = w1 - lr * grad_w1, w2 - lr * grad_w2
    return losses


@train.wrong("`{function}` adds each round's gradients to those of all rounds before, so its steps grow "
             "longer and longer. Gradient descent uses the gradient of the current weights only; where does "
             "an old one survive?")
def accumulates_gradients(x, y, w1, w2, lr, steps):
    total_w1, total_w2 = torch.zeros_like(w1), torch.zeros_like(w2)
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        grad_w1, grad_w2 = grads(x, y, w1, w2)
        total_w1, total_w2 = total_w1 + grad_w1, total_w2 + grad_w2
        w1, w2 = w1 - lr * total_w1, w2 - lr * total_w2
    return losses


@train.wrong("The losses hardly move: `{function}` does not use the `lr` that it is given. Is a number such "
             "as 1e-6 written into the update?")
def fixed_step_length(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, 1e-6, steps)


@train.wrong("The losses of `{function}` are right, but the caller's weights have moved: `-=` writes into "
             "the tensor that was passed in. A second training from the same start would begin elsewhere.")
def trains_the_callers_weights(x, y, w1, w2, lr, steps):
    losses = []
    for _ in range(steps):
        losses += loop(x, y, w1, w2, lr, 1)
        grad_w1, grad_w2 = grads(x, y, w1, w2)
        w1 -= lr * grad_w1
        w2 -= lr * grad_w2
    return losses


@train.wrong("The numbers of `{function}` are right, but its list holds tensors. The docstring asks for "
             "Python floats; section 1.1 takes a number out of a tensor.")
def keeps_tensors(x, y, w1, w2, lr, steps):
    return [torch.tensor(loss) for loss in loop(x, y, w1, w2, lr, steps)]


@train.wrong("`{function}` returns one loss too many. One loss is stored per update, before it; the last "
             "weights are not judged.")
def one_loss_too_many(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps + 1)


@train.wrong("`{function}` returns a single number, and the check cannot walk through it. Collect the loss "
             "of every step in a list.")
def last_loss_only(x, y, w1, w2, lr, steps):
    return loop(x, y, w1, w2, lr, steps)[-1]


@train.variant
def train_in_place_on_copies(x, y, w1, w2, lr, steps):
    w1, w2 = w1.clone(), w2.clone()
    losses = []
    for _ in range(steps):
        h = x @ w1
        r = torch.relu(h)
        error = r @ w2 - y
        losses.append(float(error.square().sum()))
        grad_w2 = 2 * r.T @ error
        w1 -= 2 * lr * x.T @ ((error @ w2.T) * (h > 0))
        w2 -= lr * grad_w2
    return losses


@train.variant
def train_in_double(x, y, w1, w2, lr, steps):
    x, y, w1, w2 = x.double(), y.double(), w1.double(), w2.double()
    losses = []
    while len(losses) < steps:
        pred = two_layer_forward(x, w1, w2)[2]
        losses.append(float(torch.dot((pred - y).flatten(), (pred - y).flatten())))
        step_w1, step_w2 = two_layer_backward(x, y, w1, w2)
        w1, w2 = torch.add(w1, step_w1, alpha=-lr), torch.add(w2, step_w2, alpha=-lr)
    return losses


# ---- the line that will not tilt -------------------------------------------------------------------------

line = Key(
    "u01-hunt-line",
    forbids=BY_HAND,
    hints=(
        "Which shape should the error have, and which has it?",
        "Print `error.shape`. Then follow each tensor with which it is combined: the error meets x once "
        "more further down.",
        "A near-example: prices of shape (N,) and weights of shape (N, 1) multiply to (N, N). "
        "`weights.squeeze(1)` or `prices.unsqueeze(1)` makes them agree; then every later line must use the "
        "same form.",
    ),
    cases=3,
    guards=("grad_b", "x_after", "y_after"),             # grad_b is right as released
    equivalent={"line 1: x.squeeze(1) -> x.squeeze()": "they differ for one point only, and broadcasting makes up for it there"},
    weights={"loss": 4, "grad_w": 4},
    tolerance={"loss": SINGLE, "grad_w": SINGLE, "grad_b": Tolerance(1e-5, 1e-6, "float32 mean of up to 7 "
                                                                                 "numbers that partly "
                                                                                 "cancel"),
               "x_after": EXACT, "y_after": EXACT},
)


@line.inputs
def _(g, case):
    n = [5, 4, 7][case]
    x = normal(g, n, 1)
    w, b = (torch.rand(2, generator=g) + 0.5).tolist()
    return {"x": x, "y": -2 * x.squeeze(1) + 3 + normal(g, n) / 2, "w": w, "b": b}


def line_grads(x, y, w, b, scale=2.0):
    error = w * x.flatten() + b - y
    return (error ** 2).mean(), scale * (error * x.flatten()).mean(), scale * error.mean()


@line.oracle
def _(x, y, w, b):
    leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (w, b)]
    loss = torch.nn.functional.mse_loss(x.double()[:, 0] * leaves[0] + leaves[1], y.double())
    grad_w, grad_b = torch.autograd.grad(loss, leaves)
    return {"loss": loss.detach(), "grad_w": grad_w, "grad_b": grad_b, "x_after": x, "y_after": y}


@line.wrong("The loss of `{function}` is right now, but grad_w is not: the repaired error, (N,), meets x, "
            "still (N, 1), and the same trap closes again. Follow x through every line.")
def repaired_once(x, y, w, b):
    error = (w * x + b).squeeze(1) - y
    return (error ** 2).mean(), 2 * (error * x).mean(), 2 * error.mean()


@line.wrong("The shapes are fine now, but `{function}` sums over the samples where a mean is asked for: "
            "everything is N times too large.")
def line_sums(x, y, w, b):
    return tuple(len(y) * value for value in line_grads(x, y, w, b))


@line.wrong("The loss of `{function}` is right and both derivatives are half of what they should be. The "
            "square's factor was there in the released code.")
def line_half(x, y, w, b):
    return line_grads(x, y, w, b, scale=1.0)


@line.wrong("The loss of `{function}` is right, and both derivatives have the opposite sign. Is the error "
            "still prediction minus target?")
def line_uphill(x, y, w, b):
    return line_grads(x, y, w, b, scale=-2.0)


@line.wrong("`{function}` returns zero derivatives. With these, the line would never move; return what you "
            "computed.")
def line_zero(x, y, w, b):
    loss, grad_w, grad_b = line_grads(x, y, w, b)
    return loss, torch.zeros_like(grad_w), torch.zeros_like(grad_b)


@line.wrong("grad_w of `{function}` equals grad_b: the derivative with respect to w has lost its factor x. "
            "A slope is multiplied by x, an intercept is not.")
def line_without_x(x, y, w, b):
    loss, _, grad_b = line_grads(x, y, w, b)
    return loss, grad_b.clone(), grad_b


@line.wrong("`{function}` compares mean with mean: its loss is the square of the mean error, so errors of "
            "opposite sign cancel. Square each error first, then average.")
def line_of_means(x, y, w, b):
    error = (w * x + b).mean() - y.mean()
    return error ** 2, 2 * error * x.mean(), 2 * error


@line.wrong("`{function}` returns one value for each sample. The loss and its derivatives are one number "
            "each: average over the samples.")
def line_per_sample(x, y, w, b):
    error = w * x.squeeze(1) + b - y
    return error ** 2, 2 * error * x.squeeze(1), 2 * error


@line.wrong("The results of `{function}` are right, but x has lost an axis afterwards: `squeeze_` and "
            "`resize_` change the caller's tensor. Their names without the underscore give a new view.")
def line_in_place(x, y, w, b):
    result = line_grads(x, y, w, b)
    x.squeeze_(1)
    return result


@line.variant
def line_in_columns(x, y, w, b):
    error = w * x + b - y.unsqueeze(1)
    return error.square().mean(), 2 * (error * x).mean(), 2 * error.mean()


@line.variant
def line_by_loop(x, y, w, b):
    n = len(y)
    errors = [w * x[i, 0] + b - y[i] for i in range(n)]
    grad_w = sum(2 * e * x[i, 0] for i, e in enumerate(errors)) / n
    return sum(e * e for e in errors) / n, grad_w, sum(2 * e for e in errors) / n


@line.variant
def line_by_products(x, y, w, b):
    error = torch.add(w * x[:, 0], b) - y
    return error @ error / len(y), 2 * (error @ x)[0] / len(y), 2 * error.sum() / len(y)


# ---- unbroadcast -----------------------------------------------------------------------------------------

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


# ---- the bias that grew ----------------------------------------------------------------------------------

bias = Key(
    "u01-hunt-bias",
    forbids=BY_HAND,
    hints=(
        "How many rows did the forward pass make from the one vector b?",
        "Compare the shape of each returned gradient with the shape of its tensor. Then read the rule in "
        "section 3.2 for the one that does not fit.",
        "A near-example: a number s of shape () is added to a (5, 3) matrix, `c = a + s`. It was copied 15 "
        "times, so `grad_s = upstream.sum()`. b was copied along one axis only.",
    ),
    cases=2,
    guards=("grad_x", "grad_w", "upstream_after"),       # grad_x and grad_w are right as released
    weights={"grad_b": 6},
    tolerance={name: SINGLE for name in ("grad_x", "grad_w", "grad_b")} | {"upstream_after": EXACT},
)


@bias.inputs
def _(g, case):
    n, d, k = [(5, 4, 3), (2, 3, 6)][case]
    return {"upstream": normal(g, n, k), "x": normal(g, n, d), "w": normal(g, d, k)}


@bias.oracle
def _(upstream, x, w):
    leaves = [t.double().requires_grad_() for t in (x, w, torch.zeros(w.shape[1]))]
    out = torch.addmm(leaves[2], leaves[0], leaves[1])
    grad_x, grad_w, grad_b = torch.autograd.grad(out, leaves, upstream.double())
    return {"grad_x": grad_x, "grad_w": grad_w, "grad_b": grad_b, "upstream_after": upstream}


def with_bias(grad_b):
    """A wrong answer's gradients: those of x and w are right."""
    return lambda upstream, x, w: (upstream @ w.T, x.T @ upstream, grad_b(upstream))


@bias.wrong("grad_b of `{function}` has the right shape, but it is the mean over the samples. The loss is a "
            "sum over them, and so is every gradient of it.")
def bias_mean(upstream, x, w):
    return with_bias(lambda u: u.mean(dim=0))(upstream, x, w)


@bias.wrong("`{function}` sums over the outputs: grad_b has one number per sample. b has one number per "
            "output; along which axis was it copied?")
def bias_wrong_axis(upstream, x, w):
    return with_bias(lambda u: u.sum(dim=1))(upstream, x, w)


@bias.wrong("The numbers of grad_b are right, but `{function}` returns them as (1, K). b has the shape "
            "(K,), and an update would turn it into (1, K).")
def bias_keepdim(upstream, x, w):
    return with_bias(lambda u: u.sum(dim=0, keepdim=True))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is a single number: all entries were summed. Each output has a bias of "
            "its own, so one axis must remain.")
def bias_all_summed(upstream, x, w):
    return with_bias(lambda u: u.sum())(upstream, x, w)


@bias.wrong("`{function}` takes the gradient of the first sample as grad_b. The shape fits now, but every "
            "sample used the same bias and sends its share.")
def bias_first_sample(upstream, x, w):
    return with_bias(lambda u: u[0].clone())(upstream, x, w)


@bias.wrong("Every entry of grad_b is the number of samples: `{function}` ignores the numbers in upstream "
            "there.")
def bias_counts_samples(upstream, x, w):
    return with_bias(lambda u: torch.ones_like(u).sum(dim=0))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is zero everywhere. It has the shape of b, and with it b would never "
            "learn.")
def bias_zero(upstream, x, w):
    return with_bias(lambda u: torch.zeros_like(u[0]))(upstream, x, w)


@bias.wrong("grad_b of `{function}` is right, but grad_x and grad_w changed: upstream was averaged or "
            "summed before they were computed. Those two lines were fine as released.")
def bias_divides_all(upstream, x, w):
    return upstream @ w.T / len(x), x.T @ upstream / len(x), upstream.sum(dim=0)


@bias.wrong("All gradients of `{function}` are right, but upstream holds other numbers afterwards: the sum "
            "was built in place, in the caller's tensor.")
def bias_in_place(upstream, x, w):
    grad_x, grad_w = upstream @ w.T, x.T @ upstream
    for row in upstream[1:]:
        upstream[0] += row
    return grad_x, grad_w, upstream[0].clone()


@bias.variant
def bias_by_product(upstream, x, w):
    ones = torch.ones(len(x), device=x.device, dtype=x.dtype)
    return upstream.mm(w.t()), torch.einsum("nd,nk->dk", x, upstream), ones @ upstream


@bias.variant
def bias_by_loop(upstream, x, w):
    total = torch.zeros_like(upstream[0])
    for row in upstream:
        total += row
    return (w @ upstream.T).T, (upstream.T @ x).T, total


# ---- batch_diagonals -------------------------------------------------------------------------------------

diagonals = Key(
    "u01-batch-diagonals",
    forbids=("diagonal", "diag", "diag_embed"),
    hints=(
        "Row i of each matrix gives one number. In which column does it stand, and which shape must the "
        "index therefore have?",
        "The output of gather has the shape of its index, and the index is never broadcast: it needs three "
        "axes, (B, n, 1) for dim=2. `torch.arange`, `view` and `expand` build it; the last axis of the "
        "result is superfluous.",
        "A near-example: column 0 of each matrix of t (B, n, n) is `t.gather(2, torch.zeros(B, n, 1, "
        "dtype=torch.int64)).squeeze(2)`. There each row picks column 0.",
    ),
    guards=("kept_when_t_is_cleared", "t_after"),
    weights={"diagonals": 6},
    tolerance=EXACT,
    equivalent={"line 2: torch.arange(n, device=t.device) -> torch.arange(n)": ON_CPU},
)


@diagonals.inputs
def _(g, case):
    batch, n = [(2, 3), (5, 4), (1, 3)][case]
    return {"t": normal(g, batch, n, n)}


@diagonals.oracle
def _(t):
    found = torch.diagonal(t, dim1=1, dim2=2).clone()
    return {"diagonals": found, "kept_when_t_is_cleared": found, "t_after": t}


def column_of_rows(t):
    return torch.arange(t.shape[1], device=t.device).view(1, -1, 1).expand(t.shape[0], -1, 1)


@diagonals.wrong("`{function}` returns the first matrix's diagonal only, as (1, n): the index has size 1 "
                 "along the batch, and gather does not broadcast it. Repeat the index for every matrix of "
                 "the batch.")
def index_not_expanded(t):
    return t.gather(2, column_of_rows(t)[:1]).squeeze(2)


@diagonals.wrong("`{function}` returns shape (1, 1, n): an index of that shape picks n numbers from the "
                 "first row of the first matrix. The output has the shape of the index; which shape do you "
                 "want?")
def index_in_one_row(t):
    return t.gather(2, torch.arange(t.shape[1], device=t.device).view(1, 1, -1))


@diagonals.wrong("`{function}` returns the first row of each matrix. The index runs along the axis that it "
                 "replaces, so one row picks everything: let the index run along the rows.")
def first_rows(t):
    return t.gather(2, column_of_rows(t).transpose(1, 2)).squeeze(1)


@diagonals.wrong("`{function}` returns the first column of each matrix: the index (B, n, 1) replaces the "
                 "row, and the column stays 0. Which axis should `dim` name?")
def first_columns(t):
    return t.gather(1, column_of_rows(t)).squeeze(2)


@diagonals.wrong("The numbers of `{function}` are right, but an axis of size 1 is left over: (B, n, 1). "
                 "Take it away.")
def keeps_last_axis(t):
    return t.gather(2, column_of_rows(t))


@diagonals.wrong("`{function}` walks the other diagonal, from the top right to the bottom left. In which "
                 "column does row i have its diagonal entry?")
def other_diagonal(t):
    return t.gather(2, t.shape[1] - 1 - column_of_rows(t)).squeeze(2)


@diagonals.wrong("`{function}` returns the transposed result: (n, B). The batch comes first; each row of "
                 "the result belongs to one matrix.")
def diagonals_transposed(t):
    return t.gather(2, column_of_rows(t)).squeeze(2).T


@diagonals.wrong("`{function}` adds each diagonal up to one number. The entries themselves are wanted, n "
                 "for each matrix.")
def traces(t):
    return t.gather(2, column_of_rows(t)).squeeze(2).sum(dim=1)


@diagonals.wrong("`{function}` returns a view on t, as `torch.diagonal` and slices of strides do: when t is "
                 "cleared later, your diagonals become 0 too. gather makes memory of its own.")
def diagonal_view(t):
    return torch.diagonal(t, dim1=1, dim2=2)


@diagonals.wrong("`{function}` returns zeros instead of the diagonal's entries. Are the picked values what "
                 "you return?")
def diagonals_zero(t):
    return torch.zeros_like(t[:, 0])


@diagonals.wrong("The diagonals of `{function}` are right, but t has changed: something wrote into it in "
                 "place, such as `mul_` with a mask. Leave t as it was.")
def masks_t_in_place(t):
    t.mul_(torch.eye(t.shape[1], device=t.device))
    return t.sum(dim=2)


@diagonals.variant
def diagonals_along_rows(t):
    batch, n = t.shape[:2]
    return torch.gather(t, 1, torch.arange(n, device=t.device).repeat(batch, 1, 1)).squeeze(1)


@diagonals.variant
def diagonals_flat(t):
    batch, n, _ = t.shape
    places = torch.arange(0, n * n, n + 1, device=t.device)
    return t.reshape(batch, n * n).gather(1, places.repeat(batch, 1))


@diagonals.variant
def diagonals_by_loop(t):
    places = torch.arange(t.shape[1], device=t.device)
    return torch.stack([torch.stack([row.gather(0, i) for row, i in zip(m, places, strict=True)]) for m in t])


# ---- batch_diagonals_backward ----------------------------------------------------------------------------

scatter = Key(
    "u01-batch-diagonals-backward",
    forbids=BY_HAND,
    hints=(
        "For n = 3 and m = 5: to which entry of the matrix does each of the 5 upstream numbers go back? "
        "Which entries get two?",
        "Start from zeros of shape (B, n·n). Number i of a row of g belongs to the diagonal entry i mod n, "
        "and in a row of n·n numbers the entry (j, j) lies n + 1 places behind (j - 1, j - 1). "
        "`scatter_add_` wants an index as large as g.",
        "A near-example: bin counts with weights. `totals = torch.zeros(B, 4)`, then "
        "`totals.scatter_add_(1, bins, weights)`, where bins (B, m) says for each weight in which of 4 bins "
        "it falls. Weights that share a bin add up.",
    ),
    cases=3,
    guards=("g_after",),
    weights={"grad_t": 6},
    equivalent={"line 2: torch.arange(steps, device=g.device) -> torch.arange(steps)": ON_CPU},
    tolerance={"grad_t": Tolerance(1e-6, 1e-6, "float32 sums of up to 4 numbers, in any order"),
               "g_after": EXACT},
)


@scatter.inputs
def _(g, case):
    batch, steps, n = [(2, 3, 3), (3, 8, 2), (2, 4, 5)][case]
    return {"g": normal(g, batch, steps), "n": n}


@scatter.oracle
def _(g, n):
    leaf = torch.zeros(len(g), n, n, dtype=torch.float64, requires_grad=True)
    walked = torch.cat([torch.diagonal(leaf, dim1=1, dim2=2)] * (g.shape[1] // n + 1), dim=1)[:, :g.shape[1]]
    return {"grad_t": torch.autograd.grad(walked, leaf, g.double())[0], "g_after": g}


def scattered(g, n):
    """The right answer by a matrix of ones and zeros: which of the m numbers goes to which diagonal entry."""
    walk, entry = torch.arange(g.shape[1], device=g.device), torch.arange(n, device=g.device)
    goes = walk.unsqueeze(1) % n == entry
    return torch.diag_embed(g @ goes.to(g.dtype))


@scatter.wrong("`{function}` is right where each entry was picked once, and keeps only one number where "
               "several come back. `scatter_`, assignment by index and indexed `+=` overwrite; what adds?")
def last_one_wins(g, n):
    grad = torch.zeros(len(g), n, n, dtype=g.dtype, device=g.device)
    for i in range(g.shape[1]):
        grad[:, i % n, i % n] = g[:, i]
    return grad


@scatter.wrong("`{function}` averages the numbers that return to one entry. In the forward pass each of "
               "them was a use of its own, and uses add up.")
def mean_of_returns(g, n):
    return scattered(g, n) / scattered(torch.ones_like(g), n).clamp(min=1)


@scatter.wrong("`{function}` uses the first n numbers of each row of g and ignores the second time round "
               "the diagonal. Where do the later ones go?")
def first_round_only(g, n):
    return scattered(g[:, :n], n)


@scatter.wrong("`{function}` makes matrices of size m, read off g. The matrices of the forward pass were "
               "(n, n), and the walk wraps round.")
def ignores_n(g, n):
    return torch.diag_embed(g)


@scatter.wrong("Only the first matrix of `{function}` is filled: an index with one row is not repeated for "
               "the batch. Expand it to the shape of g.")
def index_for_one_matrix(g, n):
    grad = scattered(g, n)
    grad[1:] = 0
    return grad


@scatter.wrong("`{function}` fills whole rows of the matrices. Only diagonal entries were picked; "
               "everything else played no part and gets 0.")
def fills_rows(g, n):
    return scattered(g, n).sum(dim=2, keepdim=True).expand(-1, -1, n).clone()


@scatter.wrong("`{function}` fills the other diagonal, from the top right to the bottom left. In a row of "
               "n·n numbers the main diagonal's entries are n + 1 apart, the other's n - 1.")
def fills_other_diagonal(g, n):
    return scattered(g, n).flip(2)


@scatter.wrong("`{function}` returns zeros. Methods without a final underscore return a new tensor and "
               "leave `grad` alone; is the result dropped?")
def scatter_zero(g, n):
    return torch.zeros_like(scattered(g, n))


@scatter.wrong("`{function}` counts how often each entry was picked, and does not use the numbers in g: it "
               "is right only for an upstream of ones.")
def counts_picks(g, n):
    return scattered(torch.ones_like(g), n)


@scatter.wrong("`{function}` adds the matrices of all samples up: every matrix of the batch holds the "
               "total. Each row of g belongs to its own matrix.")
def sums_over_batch(g, n):
    return scattered(g, n).sum(dim=0, keepdim=True).expand(len(g), n, n).clone()


@scatter.wrong("The numbers of `{function}` are right, but their shape is (B, n·n). Arrange them as "
               "matrices before you return them.")
def stays_flat(g, n):
    return scattered(g, n).flatten(1)


@scatter.wrong("The gradient of `{function}` is right, but g has changed: the rounds were added up inside "
               "the caller's tensor. Collect them in one of your own.")
def folds_g_in_place(g, n):
    grad = scattered(g, n)
    for i in range(g.shape[1] - 1, n - 1, -1):
        g[:, i - n] += g[:, i]
    if g.shape[1] <= n:
        g.mul_(2)
    return grad


@scatter.variant
def scatter_by_index_put(g, n):
    batch, steps = g.shape
    walk = torch.arange(steps, device=g.device) % n
    grad = g.new_zeros(batch, n, n)
    sample = torch.arange(batch, device=g.device).unsqueeze(1)
    return grad.index_put_((sample, walk, walk), g, accumulate=True)


@scatter.variant
def scatter_by_loop(g, n):
    grad = torch.zeros(n, n, len(g), dtype=g.dtype, device=g.device)
    for i, column in enumerate(g.T):
        grad[i % n, i % n] += column
    return grad.permute(2, 0, 1)


@scatter.variant
def scatter_by_matrix(g, n):
    eye = torch.eye(n, dtype=g.dtype, device=g.device)
    walk = eye[torch.arange(g.shape[1], device=g.device) % n]
    return torch.einsum("bi,ij,ik->bjk", g, walk, walk)


# ---- numeric_grad ----------------------------------------------------------------------------------------

numeric = Key(
    "u01-numeric-grad",
    forbids=BY_HAND,
    hints=(
        "For a tensor of 6 entries, how many calls of f do you need, and what differs between the two calls "
        "of one entry?",
        "Make a float64 copy of x. For each entry build the two points x + h e and x - h e, where e is 1 at "
        "that entry and 0 elsewhere, and divide the difference of f by their distance.",
        "A near-example for a single number: `x = torch.tensor(2.0, dtype=torch.float64)`, `(f(x + h) - f(x "
        "- h)) / (2 * h)`. For a tensor, `torch.eye(x.numel(), dtype=torch.float64)` has one unit direction "
        "in each row.",
    ),
    cases=3,
    guards=("x_after",),
    weights={"gradient": 6},
    equivalent={"line 2: torch.eye(x.numel(), dtype=torch.float64, device=x.device) -> torch.eye(x.numel(), dtype=torch.float64)": ON_CPU},
    tolerance={"gradient": Tolerance(1e-8, 0, "float64: rounding of f, about 1e-15, over the smallest h, "
                                              "1e-3, leaves 1e-12; the h² term is 1e-6 and must be seen"),
               "x_after": EXACT},
    strict_dtype=("gradient",),
)


@numeric.inputs
def _(g, case):
    shape = [(2, 3), (4,), (2, 1, 3)][case]
    x, a, b = normal(g, *shape), 1 + torch.rand(shape, generator=g), 0.5 + torch.rand(shape, generator=g)
    return {"x": x.double() if case == 1 else x, "a": a, "b": b, "h": [0.1, 0.25, 0.001][case]}


@numeric.oracle
def _(x, a, b, h):
    t, a, b = x.double(), a.double(), b.double()
    return {"gradient": 3 * a * t ** 2 + a * h ** 2 + 2 * b * (b * t).sum(), "x_after": x}


def differences(f, x, h, quotient, dtype=torch.float64):
    """One quotient for each entry, from f at x, one step ahead and one step back."""
    x = x.to(dtype)
    steps = [h * e.view(x.shape) for e in torch.eye(x.numel(), dtype=dtype, device=x.device)]
    return torch.stack([quotient(f(x + step), f(x), f(x - step)) for step in steps]).view(x.shape)


ROUNDED = Tolerance(1e-3, 0, "float32: rounding of f, about 1e-6, over the smallest h, 1e-3; a wrong step is off by more where h is large")


@numeric.wrong("`{function}` takes a one-sided difference: its error shrinks with h, not with h². Step to "
               "both sides of x, and mind the distance between the two points.")
def one_sided(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - here) / h)


@numeric.wrong("`{function}` is exactly twice too large. The two points lie on both sides of x; how far "
               "apart are they?")
def divides_by_h(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - back) / h)


@numeric.wrong("`{function}` has the opposite sign everywhere. Which of the two points belongs first in the "
               "difference?")
def back_minus_ahead(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (back - ahead) / (2 * h))


@numeric.wrong("`{function}` computes in float32: the difference of two nearly equal numbers keeps only a "
               "few of 7 digits. Make a float64 copy of x before the first step, and store the result in "
               "float64.", within=ROUNDED)
def in_single(f, x, h):
    return differences(f, x.float(), h, lambda ahead, here, back: (ahead - back) / (2 * h), torch.float32)


@numeric.wrong("`{function}` returns float64, but it has only float32 precision: the points or the "
               "quotients were rounded on the way. Convert before the computation, not after it.", within=ROUNDED)
def converts_too_late(f, x, h):
    return in_single(f, x, h).double()


@numeric.wrong("`{function}` does not use the h that it is given: the term in h² is missing from its "
               "result. Is a step written into the code, or the derivative taken in another way?")
def fixed_h(f, x, h):
    return differences(f, x, 1e-5, lambda ahead, here, back: (ahead - back) / 2e-5)


@numeric.wrong("Every entry of `{function}` is the same number: all entries of x are moved at once, which "
               "measures their sum. Move one, and leave the others.")
def moves_all_entries(f, x, h):
    x = x.double()
    return torch.full_like(x, ((f(x + h) - f(x - h)) / (2 * h)).item())


@numeric.wrong("The numbers of `{function}` are right, but they come as one flat row. A gradient has the "
               "shape of x.")
def numeric_flat(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - back) / (2 * h)).reshape(1, -1)


@numeric.wrong("The first entry of `{function}` is right and the later ones drift: an entry that was moved "
               "is not put back before the next one's turn.")
def not_put_back(f, x, h):
    point = x.double().clone()
    flat, slopes = point.view(-1), []
    for i in range(flat.numel()):
        flat[i] += h
        ahead = f(point)
        flat[i] -= 2 * h
        slopes.append((ahead - f(point)) / (2 * h))
    return torch.stack(slopes).view(x.shape)


@numeric.wrong("The gradient of `{function}` is right, but x is not what it was: the caller's own tensor "
               "was moved and not put back. `x.double()` copies nothing if x is float64 already.")
def leaves_x_moved(f, x, h):
    result = differences(f, x, h, lambda ahead, here, back: (ahead - back) / (2 * h))
    x -= h
    return result


@numeric.wrong("`{function}` returns zeros. If both calls of f see the same point, their difference is 0: "
               "is the moved tensor the one that f is given?")
def both_calls_alike(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: here - here)


@numeric.variant
def numeric_on_a_copy(f, x, h):
    point = x.to(torch.float64, copy=True).contiguous()
    grad = torch.zeros_like(point)
    flat = point.view(-1)
    for i in range(flat.numel()):
        here = flat[i].item()
        flat[i] = here + h
        ahead = f(point).item()
        flat[i] = here - h
        grad.view(-1)[i] = (ahead - f(point).item()) / (2 * h)
        flat[i] = here
    return grad


@numeric.variant
def numeric_by_masks(f, x, h):
    x = x.double()
    grad = torch.empty_like(x)
    for place in torch.ones_like(x).nonzero():
        moved = torch.zeros_like(x)
        moved[tuple(place)] = h
        grad[tuple(place)] = f(x + moved) / (2 * h) - f(x - moved) / (2 * h)
    return grad
