"""The key of u05-my-linear."""

import math

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, SINGLE, normal, whole

linear = Key(
    "u05-my-linear",
    hints=(
        "Which type must a tensor have when it is assigned, so that the module puts it into its drawer of parameters?",
        "Make the numbers first and wrap them last: `nn.Parameter(...)` is the outermost call. `torch.empty(i, o).uniform_(low, high)` draws "
        "them; forward is one matrix product and one sum.",
        "A near-example, a layer that scales each feature: `self.scale = nn.Parameter(1 + torch.randn(i) / 10)` in `__init__`, and "
        "`return x * self.scale` in forward.",
    ),
    guards=("first_bias",),
    weights={"parameters": 2, "out": 2, "grads": 2},
    tolerance={
        "parameters": EXACT,
        "out": SINGLE,
        "grads": SINGLE,
        "first_bias": EXACT,
        "different_columns": EXACT,
        "spread": Tolerance(0.03, 0, "the standard deviation of 19 000 or more draws is right to half a percent"),
        "largest": Tolerance(0.01, 0, "the largest of 19 000 uniform draws is within a thousandth of the bound"),
    },
)


@linear.inputs
def _(g, case):
    i, o = [(7, 5), (4, 6), (5, 3)][case]
    rows = [(3,), (2, 3), (1,)][case]
    return {
        "x": normal(g, *rows, i),
        "weight": normal(g, i, o),
        "bias": normal(g, o),
        "upstream": normal(g, *rows, o),
        "seed": whole(g, 0, 10_000),
    }


@linear.oracle
def _(x, weight, bias, upstream, seed):
    w, b = weight.double().requires_grad_(), bias.double().requires_grad_()
    out = nn.functional.linear(x.double(), w.T, b)
    grads = torch.autograd.grad((upstream * out).sum(), (w, b))
    return {
        "parameters": {"weight": list(weight.shape), "bias": list(bias.shape)},
        "out": out.detach(),
        "grads": {"weight": grads[0], "bias": grads[1]},
        "first_bias": 0.0,
        "spread": 3**-0.5,
        "largest": 1.0,
        "different_columns": 40 * weight.shape[1],
    }


class Layer(nn.Module):
    """A sound layer whose start can be exchanged."""

    def __init__(self, i, o):
        super().__init__()
        self.start(i, o)

    def start(self, i, o):
        self.weight = nn.Parameter(self.draw(i, o))
        self.bias = nn.Parameter(torch.zeros(o))

    def draw(self, i, o):
        return torch.empty(i, o).uniform_(-(i**-0.5), i**-0.5)

    def forward(self, x):
        return x @ self.weight + self.bias


@linear.wrong(
    "`{function}` computes the right numbers and has no parameters at all: weight and bias are plain tensors. `requires_grad=True` "
    "gives them gradients, but no optimizer will ever be told of them. Which type does the module look for?"
)
class linear_plain_tensors(Layer):
    def start(self, i, o):
        self.weight = self.draw(i, o).requires_grad_()
        self.bias = torch.zeros(o, requires_grad=True)


@linear.wrong(
    "The weight of `{function}` is not among its parameters, the bias is. Is the Parameter the last thing that is made, or is something "
    "computed from it afterwards (a scale, a shift, `.to`)? What is stored then is the result of a computation."
)
class linear_scaled_outside(Layer):
    def start(self, i, o):
        self.weight = (2 * nn.Parameter(torch.rand(i, o)) - 1) * i**-0.5
        self.bias = nn.Parameter(torch.zeros(o))


@linear.wrong(
    "The weight of `{function}` is learned, and its bias is a plain tensor: it is in no list. Both are parameters."
)
class linear_bias_plain(Layer):
    def start(self, i, o):
        self.weight = nn.Parameter(self.draw(i, o))
        self.bias = torch.zeros(o)


@linear.wrong(
    "`{function}` stores its weight as (o, i), as nn.Linear does. This layer computes x W + b, so the weight is (i, o): a row for each "
    "input."
)
class linear_torch_layout(Layer):
    def draw(self, i, o):
        return torch.empty(o, i).uniform_(-(i**-0.5), i**-0.5)

    def forward(self, x):
        return x @ self.weight.T + self.bias


@linear.wrong(
    "All weights of `{function}` start at the same value. Its outputs then all compute the same, receive the same gradient, and "
    "stay equal for ever. Draw them at random."
)
class linear_constant(Layer):
    def draw(self, i, o):
        return torch.full((i, o), i**-0.5)


@linear.wrong("The weights of `{function}` all start at 0. They are all equal then, and stay so; draw them at random.")
class linear_zeros(Layer):
    def draw(self, i, o):
        return torch.zeros(i, o)


@linear.wrong(
    "The weights of `{function}` start far too large: they have the spread 1 whatever the number of inputs. Section 1.3 gives the bounds "
    "of a uniform draw."
)
class linear_standard_normal(Layer):
    def draw(self, i, o):
        return torch.randn(i, o)


@linear.wrong(
    "The weights of `{function}` have the right spread, yet some lie beyond the bounds: they come from a normal distribution, not from "
    "a uniform one."
)
class linear_normal(Layer):
    def draw(self, i, o):
        return torch.randn(i, o) * (3 * i) ** -0.5


@linear.wrong(
    "The weights of `{function}` are bounded by the number of *outputs*. An output sums over the inputs, so their number decides."
)
class linear_fan_out(Layer):
    def draw(self, i, o):
        return torch.empty(i, o).uniform_(-(o**-0.5), o**-0.5)


@linear.wrong(
    "The weights of `{function}` are too small: their bound shrinks with the number of inputs instead of with its square root."
)
class linear_no_root(Layer):
    def draw(self, i, o):
        return torch.empty(i, o).uniform_(-1 / i, 1 / i)


@linear.wrong(
    "No weight of `{function}` starts below 0. A draw from 0 to 1 has to be shifted as well as scaled; or "
    "draw between two bounds at once."
)
class linear_positive(Layer):
    def draw(self, i, o):
        return torch.rand(i, o) * i**-0.5


@linear.wrong("The bias of `{function}` does not start at 0. Random weights are enough to make the outputs differ.")
class linear_bias_random(Layer):
    def start(self, i, o):
        super().start(i, o)
        self.bias = nn.Parameter(torch.empty(o).uniform_(-(i**-0.5), i**-0.5))


@linear.wrong("`{function}` has a bias and does not use it: forward is the product alone.")
class linear_bias_unused(Layer):
    def forward(self, x):
        return x @ self.weight


@linear.wrong(
    "forward of `{function}` uses copies without a past (`.data` or `detach`): the outputs are right, and no gradient can reach the "
    "weights."
)
class linear_detached(Layer):
    def forward(self, x):
        return x @ self.weight.data + self.bias.data


@linear.variant
class linear_by_init(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.register_parameter("bias", nn.Parameter(torch.empty(o)))
        nn.init.uniform_(self.weight, -1 / math.sqrt(i), 1 / math.sqrt(i))
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return torch.einsum("...i,io->...o", x, self.weight) + self.bias


@linear.variant
class linear_from_rand(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(o))
        self.weight = nn.Parameter((2 * torch.rand(o, i).T - 1) / i**0.5)

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight.T, self.bias)
