"""The key of u05-logistic-regression."""

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, normal
from .logistic_regression_answers import Logistic

logistic = Key(
    "u05-logistic-regression",
    hints=(
        "Which shapes have x, z, y and the two gradients? Which product of x and the (N,) vector has shape (D,)?",
        "backward, under no_grad: grad_z is the sigmoid of the logits minus y, divided by N. weight.grad and "
        "bias.grad are assigned, not added to. optimize: the loop of section 5.3, mended.",
        "A near-example, least squares with the mean of squares: `e = 2 * (self(x) - y) / len(y)`, `self.weight.grad = x.T @ e`, `self.bias.grad = "
        "e.sum()`; and `p -= lr * p.grad` for each parameter, all under `torch.no_grad()`.",
    ),
    guards=("parameters", "weight_in_the_model"),
    forbids=("backward", "autograd", "binary_cross_entropy_with_logits", "BCEWithLogitsLoss"),
    weights={"grad_weight": 3, "grad_bias": 2, "weight_after_a_step": 2},
    tolerance={
        "parameters": EXACT,
        **dict.fromkeys(
            ("logits", "grad_weight", "grad_bias", "weight_after_a_step", "bias_after_a_step", "weight_in_the_model"),
            Tolerance(2e-5, 1e-6, "float32; a product, a sigmoid, a sum of up to 6 terms, one step"),
        ),
    },
)


@logistic.inputs
def _(g, case):
    n, d = [(6, 4), (5, 3), (4, 2)][case]
    while True:
        x, weight, bias = normal(g, n, d), normal(g, d), normal(g, ())
        if case > 0:
            weight = 300 * weight
        z = x @ weight + bias
        if case == 0 or (
            case == 1 and z[:2].min() > 150 and z[2:4].max() < -150
        ):  # saturated on both sides, right and wrong
            break
        if (
            case == 2 and z[:2].max() < -150 and z.max() < 50
        ):  # on one side only: there, exp(z) / (1 + exp(z)) is harmless
            break
    y = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])[:n]
    return {"x": x, "y": y, "weight": weight, "bias": bias, "lr": 0.25 + 0.5 * float(torch.rand((), generator=g))}


@logistic.oracle
def _(x, y, weight, bias, lr):
    w, b = weight.double().requires_grad_(), bias.double().requires_grad_()
    z = x.double() @ w + b
    grad_w, grad_b = torch.autograd.grad(nn.functional.binary_cross_entropy_with_logits(z, y.double()), (w, b))
    after = (w - lr * grad_w).detach()
    return {
        "logits": z.detach(),
        "grad_weight": grad_w,
        "grad_bias": grad_b,
        "weight_after_a_step": after,
        "bias_after_a_step": (b - lr * grad_b).detach(),
        "weight_in_the_model": after,
        "parameters": 2,
    }


@logistic.wrong(
    "Both gradients of `{function}` are N times too large: they belong to the sum of the losses. The loss is a mean."
)
class logistic_sum(Logistic):
    def error(self, x, y):
        return torch.sigmoid(self(x)) - y


@logistic.wrong(
    "Both gradients of `{function}` point the wrong way: a probability that is too high should give a positive gradient."
)
class logistic_sign(Logistic):
    def error(self, x, y):
        return (y - torch.sigmoid(self(x))) / len(y)


@logistic.wrong("backward of `{function}` compares the *logits* with the labels. Between the two stands the sigmoid.")
class logistic_no_sigmoid(Logistic):
    def error(self, x, y):
        return (self(x) - y) / len(y)


@logistic.wrong(
    "backward of `{function}` multiplies by p (1 - p), as for squared errors. For this loss the logarithm's "
    "derivative cancels that factor."
)
class logistic_squared_error(Logistic):
    def error(self, x, y):
        p = torch.sigmoid(self(x))
        return (p - y) * p * (1 - p) / len(y)


@logistic.wrong(
    "The gradients of `{function}` are nan for large logits: it divides by p or 1 - p, which are exactly 0 "
    "there. The product of the two derivatives is a short formula that divides by neither."
)
class logistic_naive_chain(Logistic):
    def error(self, x, y):
        p = torch.sigmoid(self(x))
        return ((1 - y) / (1 - p) - y / p) * p * (1 - p) / len(y)


@logistic.wrong(
    "`{function}` computes the sigmoid as exp(z) / (1 + exp(z)), which is infinity over infinity for large z. `torch.sigmoid` is safe."
)
class logistic_unsafe_sigmoid(Logistic):
    def error(self, x, y):
        z = self(x)
        return (z.exp() / (1 + z.exp()) - y) / len(y)


@logistic.wrong(
    "The gradients of `{function}` grow with each call of backward: it adds to what is there. Here, backward sets them."
)
class logistic_accumulates(Logistic):
    def fill(self, x, grad_z):
        for p, g in ((self.weight, x.T @ grad_z), (self.bias, grad_z.sum())):
            p.grad = g if p.grad is None else p.grad + g


@logistic.wrong(
    "backward of `{function}` asks autograd. The check calls it where recording is off, so there is nothing "
    "to go back through; write the two formulas of section 5.2."
)
class logistic_autograd(Logistic):
    def backward(self, x, y):
        z = self(x)
        (torch.logaddexp(z, torch.zeros_like(z)) - y * z).mean().backward()


@logistic.wrong(
    "The numbers of `{function}` are right, but the gradients that it stores have a past: backward was "
    "recorded, and each of them keeps a graph alive."
)
class logistic_recorded(Logistic):
    def backward(self, x, y):
        self.fill(x, self.error(x, y))


@logistic.wrong("The bias gradient of `{function}` is divided by N twice. grad_z has the 1/N in it already; add it up.")
class logistic_bias_mean(Logistic):
    def fill(self, x, grad_z):
        self.weight.grad, self.bias.grad = x.T @ grad_z, grad_z.mean()


@logistic.wrong("`{function}` never sets `bias.grad`. Both parameters are learned.")
class logistic_no_bias_gradient(Logistic):
    def fill(self, x, grad_z):
        self.weight.grad = x.T @ grad_z


@logistic.wrong("The gradients of `{function}` are all zero.")
class logistic_zero(Logistic):
    def error(self, x, y):
        return torch.zeros_like(y)


@logistic.wrong(
    "forward of `{function}` returns probabilities. It should return the logits; the sigmoid belongs in backward."
)
class logistic_probabilities(Logistic):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))

    def error(self, x, y):
        return (self(x) - y) / len(y)


@logistic.wrong("forward of `{function}` leaves the bias out.")
class logistic_no_bias(Logistic):
    def forward(self, x):
        return x @ self.weight


@logistic.wrong(
    "optimize of `{function}` changes nothing: `p = p - lr * p.grad` gives a new tensor to the name p, and "
    "the Parameter stays as it was."
)
class logistic_rebinds(Logistic):
    def optimize(self, lr):
        for p in self.parameters():
            p = p - lr * p.grad


@logistic.wrong(
    "optimize of `{function}` puts new Parameters in place of the old. The model learns, but whoever held the "
    "old ones, an optimizer for instance, does not notice. Write into them."
)
class logistic_replaces(Logistic):
    def optimize(self, lr):
        self.weight = nn.Parameter(self.weight.detach() - lr * self.weight.grad)
        self.bias = nn.Parameter(self.bias.detach() - lr * self.bias.grad)


@logistic.wrong(
    "optimize of `{function}` assigns a plain tensor to the name of a Parameter, and the module refuses it. Write into the Parameter."
)
class logistic_assigns_tensor(Logistic):
    def optimize(self, lr):
        self.weight = self.weight - lr * self.weight.grad


@logistic.wrong(
    "optimize of `{function}` writes into a leaf while autograd records, and autograd refuses it. Switch recording off."
)
class logistic_records_step(Logistic):
    def optimize(self, lr):
        for p in self.parameters():
            p -= lr * p.grad


@logistic.wrong("optimize of `{function}` goes uphill: it adds the gradient.")
class logistic_uphill(Logistic):
    @torch.no_grad()
    def optimize(self, lr):
        for p in self.parameters():
            p += lr * p.grad


@logistic.wrong("optimize of `{function}` ignores the learning rate.")
class logistic_no_rate(Logistic):
    @torch.no_grad()
    def optimize(self, lr):
        for p in self.parameters():
            p -= p.grad


@logistic.wrong("optimize of `{function}` moves the weight and forgets the bias.")
class logistic_moves_weight_only(Logistic):
    @torch.no_grad()
    def optimize(self, lr):
        self.weight -= lr * self.weight.grad


@logistic.variant
class logistic_by_data(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return (x * self.weight).sum(dim=1) + self.bias

    def backward(self, x, y):
        p = 1 / (1 + torch.exp(-self(x).detach()))
        self.weight.grad = ((p - y).unsqueeze(1) * x).mean(dim=0)
        self.bias.grad = (p - y).mean()

    def optimize(self, lr):
        self.weight.data.sub_(lr * self.weight.grad)
        self.bias.data.sub_(lr * self.bias.grad)


@logistic.variant
class logistic_by_torch_optim(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return torch.mv(x, self.weight).add(self.bias)

    @torch.no_grad()
    def backward(self, x, y):
        difference = torch.where(y == 1, -torch.sigmoid(-self(x)), torch.sigmoid(self(x)))
        self.weight.grad = torch.einsum("n,nd->d", difference, x) / x.shape[0]
        self.bias.grad = difference.mean()

    def optimize(self, lr):
        torch.optim.SGD(self.parameters(), lr=lr).step()
