"""The key of u01-hunt-line: the line that will not tilt."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, SINGLE, normal

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
