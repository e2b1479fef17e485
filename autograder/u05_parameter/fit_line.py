"""The key of u05-fit-line."""

import numpy as np
import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, normal, whole

ON_CPU = "keys are made on the CPU, where numpy arrays are, too; the CUDA run of the checks sees it"

line = Key(
    "u05-fit-line",
    hints=(
        "Which shapes have the prediction and the target, right before they are subtracted?",
        "Turn both arrays into (N, 1) tensors on the device, make the layer there, then the optimizer. In the "
        "loop: clear the gradients, compute the loss, go backward, step. `.item()` makes a float of a tensor with "
        "one number.",
        "A near-example, fitting one number c to data t: `c = nn.Parameter(torch.zeros(1, device=device))`, "
        "`optimizer = torch.optim.SGD([c], lr=0.1)`, and 100 times `optimizer.zero_grad()`, `((t - c) ** "
        "2).mean().backward()`, `optimizer.step()`.",
    ),
    guards=("x_after", "y_after"),
    tolerance={
        "slope": Tolerance(0, 0.01, "the exercise asks for 0.01"),
        "intercept": Tolerance(0, 0.01, "the exercise asks for 0.01"),
        "x_after": EXACT,
        "y_after": EXACT,
    },
    equivalent={
        **{
            f"line {number}: torch.from_numpy({name}).reshape(-1, 1).to(device) -> torch.from_numpy({name}).reshape(-1, 1){rest}": ON_CPU
            for number, name in ((1, "x"), (2, "y"))
            for rest in ("", ".to()")
        },
        **{f"line 3: nn.Linear(1, 1).to(device) -> nn.Linear(1, 1){rest}": ON_CPU for rest in ("", ".to()")},
        "line 5: range(150) -> range(149)": "the line is found to seven digits after 80 steps",
        "line 5: range(150) -> range(151)": "the line is found to seven digits after 80 steps",
        "line 7: nn.functional.mse_loss(line(x), y) -> nn.functional.mse_loss(y, line(x))": (
            "a square does not tell which of two numbers was subtracted"
        ),
    },
)


@line.inputs
def _(g, case):
    n = [11, 14, 17][case]
    x = torch.linspace(-1, 2, n)[torch.randperm(n, generator=g)]
    slope, intercept = (
        (2.0, 1.0)
        if case == 0
        else ((-1.0) ** case * (1 + 2 * torch.rand((), generator=g)), -0.5 - 2 * torch.rand((), generator=g))
    )
    y = slope * x + intercept + (0.5 * normal(g, n) if case == 2 else 0)
    if case != 0:
        x, y = (x.view(-1, 1), y) if case == 1 else (x, y.view(-1, 1))
    return {"x": x, "y": y, "seed": whole(g, 0, 10_000)}


@line.oracle
def _(x, y, seed):
    x, y = x.double().flatten(), y.double().flatten()
    slope, intercept = torch.linalg.lstsq(torch.stack([x, torch.ones_like(x)], dim=1), y).solution
    return {"slope": slope, "intercept": intercept}


def descent(x, y, device, steps=120, lr=0.2, zero=True, loss=lambda p, y: ((p - y) ** 2).mean(), flat=False, bias=True):
    """A sound fit with its parts open."""
    x = torch.from_numpy(x).reshape(-1, 1).to(device)
    y = torch.from_numpy(y).reshape(-1 if flat else len(x), *([] if flat else [1])).to(device)
    layer = nn.Linear(1, 1, bias=bias).to(device)
    for _ in range(steps):
        if zero:
            layer.zero_grad()
        loss(layer(x), y).backward()
        with torch.no_grad():
            for p in layer.parameters():
                p -= lr * p.grad
    return layer


def numbers(layer):
    return layer.weight.item(), layer.bias.item()


@line.wrong(
    "`{function}` gives the slope 0 and the mean of y: prediction and target have the shapes (N, 1) and (N,), "
    "so that every prediction was compared with every target. Bring both to (N, 1)."
)
def line_broadcast(x, y, device):
    return numbers(descent(x, y, device, flat=True))


@line.wrong(
    "`{function}` never clears the gradients: each step is taken with the sum of all gradients so far, and the line swings."
)
def line_no_zero(x, y, device):
    return numbers(descent(x, y, device, zero=False, lr=0.1))


@line.wrong(
    "`{function}` is on its way and stops too early: 100 steps at a learning rate of 0.01. A larger rate gets there."
)
def line_too_few(x, y, device):
    return numbers(descent(x, y, device, steps=100, lr=0.01))


@line.wrong(
    "`{function}` diverges: with the sum of the squares in place of the mean, the gradient is N times as "
    "large, and this learning rate is too large for it."
)
def line_sum(x, y, device):
    return numbers(descent(x, y, device, steps=200, loss=lambda p, y: ((p - y) ** 2).sum()))


@line.wrong("`{function}` returns slope and intercept in the wrong order.")
def line_swapped(x, y, device):
    return numbers(descent(x, y, device))[::-1]


@line.wrong("`{function}` returns its Parameters. Asked for are two Python floats.")
def line_returns_parameters(x, y, device):
    layer = descent(x, y, device)
    return layer.weight, layer.bias


@line.wrong("`{function}` fits a line through the origin: the layer has no bias.")
def line_no_bias(x, y, device):
    return descent(x, y, device, bias=False).weight.item(), 0.0


@line.wrong(
    "`{function}` returns the layer as it was made: nothing has moved it. Does the optimizer hold this "
    "layer's parameters, and is `step()` called?"
)
def line_untrained(x, y, device):
    return numbers(descent(x, y, device, steps=0))


@line.wrong("`{function}` returns 2 and 1 for every data set.")
def line_memorised(x, y, device):
    return 2.0, 1.0


@line.wrong(
    "`{function}` measures the absolute error. The best line in that sense is another one, where there is "
    "noise; asked for is the mean of *squared* errors."
)
def line_absolute(x, y, device):
    layer = descent(x, y, device, steps=300, lr=0.1, loss=lambda p, y: (p - y).abs().mean())
    return round(layer.weight.item(), 2), round(layer.bias.item(), 2)


@line.wrong("`{function}` lays a line through two of the points. With noise, all of them count.")
def line_two_points(x, y, device):
    x, y = x.flatten(), y.flatten()
    low, high = x.argmin(), x.argmax()
    slope = (y[high] - y[low]) / (x[high] - x[low])
    return float(slope), float(y[low] - slope * x[low])


@line.wrong(
    "`{function}` shifts x to mean 0 and forgets to shift back: the slope is right, and the intercept belongs to the shifted line."
)
def line_centred(x, y, device):
    return numbers(descent(x - x.mean(), y, device))


@line.wrong(
    "The line is right, but `{function}` changes the caller's array: `torch.from_numpy` shares its memory, and something works in place."
)
def line_in_place(x, y, device):
    found = numbers(descent(x, y, device))
    x -= x.mean()
    return found


@line.variant
def line_two_numbers(x, y, device):
    x, y = (torch.tensor(a.ravel(), device=device) for a in (x, y))
    w, b = torch.zeros(2, device=device).requires_grad_().unbind()
    theta = torch.zeros(2, device=device, requires_grad=True)
    for _ in range(100):
        w, b = theta
        (grad,) = torch.autograd.grad(((w * x + b - y) ** 2).mean(), theta)
        with torch.no_grad():
            theta -= 0.25 * grad
    return theta[0].item(), theta[1].item()


@line.variant
def line_closed_form(x, y, device):
    slope, intercept = np.polyfit(x.ravel().astype(np.float64), y.ravel().astype(np.float64), 1)
    return float(slope), float(intercept)


@line.variant
def line_by_torch_optim(x, y, device):
    inputs = torch.as_tensor(x).view(-1, 1).to(device)
    targets = torch.as_tensor(y).view(-1, 1).to(device)
    model = nn.Sequential(nn.Linear(1, 1)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    for _ in range(150):
        loss = nn.MSELoss()(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model[0].weight.item(), model[0].bias.item()
