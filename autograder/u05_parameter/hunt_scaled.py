"""The key of u05-hunt-scaled: the layer that learns only its bias."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

scaled = Key(
    "u05-hunt-scaled",
    hints=(
        "What type has `nn.Parameter(t) * 2`? Print it.",
        "The product of a Parameter and a number is a computed tensor. Which of the two operations has to come first?",
        "A near-example: `nn.Parameter(t) + 1` is lost, `nn.Parameter(t + 1)` is learned.",
    ),
    guards=("start_after", "out_before"),
    weights={"parameters": 1, "weight_after_a_step": 3},
    tolerance={
        "start_after": EXACT,
        "parameters": EXACT,
        "saved": EXACT,
        "out_before": SINGLE,
        "weight_after_a_step": SINGLE,
        "bias_after_a_step": SINGLE,
    },
)


@scaled.inputs
def _(g, case):
    n, i, o = [(3, 7, 5), (2, 4, 3), (5, 2, 6)][case]
    return {
        "start": normal(g, i, o),
        "scale": [0.5, -0.25, 2.5][case],
        "x": normal(g, n, i),
        "upstream": normal(g, n, o),
    }


@scaled.oracle
def _(start, scale, x, upstream):
    grad_w, grad_b = x.double().T @ upstream.double(), upstream.double().sum(dim=0)
    return {
        "out_before": x.double() @ (start.double() * scale),
        "parameters": ["bias", "weight"],
        "weight_after_a_step": start * scale - 0.1 * grad_w,
        "bias_after_a_step": -0.1 * grad_b,
        "start_after": start,
        "saved": ["bias", "weight"],
    }


class Score(nn.Module):
    """A sound layer whose weight can be made in another way."""

    def __init__(self, start, scale):
        super().__init__()
        self.make(start, scale)
        self.bias = nn.Parameter(torch.zeros(start.shape[1], device=start.device))

    def make(self, start, scale):
        self.weight = nn.Parameter(start * scale)

    def forward(self, x):
        return x @ self.weight + self.bias


@scaled.wrong("The weight of `{function}` is learned now, but the scale is gone: it starts at `start` itself.")
class scaled_not_at_all(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start.clone())


@scaled.wrong(
    "The weight of `{function}` is a Parameter on the caller's own memory: `nn.Parameter(t)` copies nothing, "
    "so training changes `start`, and so does scaling in place."
)
class scaled_in_place(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start.mul_(scale))


@scaled.wrong("`{function}` keeps its weight as a buffer: it is saved and moved, but not learned.")
class scaled_buffer(Score):
    def make(self, start, scale):
        self.register_buffer("weight", start * scale)


@scaled.wrong("The weight of `{function}` is listed and does not move: it is a Parameter without a gradient.")
class scaled_frozen(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start * scale, requires_grad=False)


@scaled.wrong(
    "`{function}` scales in forward, at every call. The outputs start right, but the stored weight is unscaled, and its gradient is "
    "scaled once more. Scale once, when the weight is made."
)
class scaled_in_forward(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start.clone())
        self.factor = scale

    def forward(self, x):
        return x @ (self.weight * self.factor) + self.bias


@scaled.wrong("`{function}` scales twice.")
class scaled_twice(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start * scale * scale)


@scaled.wrong("`{function}` divides by the scale.")
class scaled_divides(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start / scale)


@scaled.wrong("The weight of `{function}` starts at zero.")
class scaled_zero(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(torch.zeros_like(start))


@scaled.variant
class scaled_rewrapped(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(nn.Parameter(start) * scale)  # a Parameter's data is cut off from its past


@scaled.variant
class scaled_afterwards(Score):
    def make(self, start, scale):
        self.weight = nn.Parameter(start.clone())
        with torch.no_grad():
            self.weight *= scale
