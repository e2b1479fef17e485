"""The key of u01-two-layer-forward."""

import torch

from coursekit.course.authoring import Key

from ._shared import SINGLE, mixed, normal

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
