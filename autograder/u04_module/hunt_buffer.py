"""The key of u04-hunt-buffer."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

centre = Key(
    "u04-hunt-buffer",
    hints=(
        "Which of the three columns of the table in section 5.2 describes `self.mean` as it stands, and which should?",
        "One call registers a tensor that is saved and not trained. `forward` may stay as it is.",
        'A near-example, a counter that is saved with a model: `self.register_buffer("steps", torch.zeros((), dtype=torch.int64))`, and later '
        "`self.steps = self.steps + 1`.",
    ),
    weights={"out_after_loading": 3, "saved": 2},
    tolerance={
        "out": SINGLE,
        "out_after_loading": SINGLE,
        "saved": SINGLE,
        "trained": EXACT,
        "type_after_double": EXACT,
    },
)


@centre.inputs
def _(g, case):
    n, d, count = [(4, 3, 6), (3, 2, 5), (5, 4, 3)][case]
    return {"batches": [3 + case + normal(g, n, d) for _ in range(count)], "x": 3 + normal(g, 2, d)}


@centre.oracle
def _(batches, x):
    shares = [0.1 * 0.9 ** (len(batches) - 1 - k) for k in range(len(batches))]
    mean = sum(share * batch.double().mean(dim=0) for share, batch in zip(shares, batches, strict=True))
    return {
        "out": x - mean,
        "out_after_loading": x - mean,
        "saved": {"mean": mean},
        "trained": [],
        "type_after_double": "torch.float64",
    }


class Centred(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.start(torch.zeros(features))

    def follow(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)

    def forward(self, x):
        if self.training:
            self.follow(x)
        return x - self.mean


@centre.wrong(
    "`{function}` makes the mean a Parameter, and `forward` assigns a plain tensor to it: TypeError. A running "
    "mean is not trained anyway; "
    "section 5.2 has another kind of tensor for it."
)
class centre_parameter(Centred):
    def start(self, zeros):
        self.mean = nn.Parameter(zeros, requires_grad=False)


@centre.wrong(
    "The mean of `{function}` is saved, but as a Parameter: it stands in `parameters()`, where weight decay and "
    "`requires_grad_(True)` reach it."
)
class centre_parameter_in_place(Centred):
    def start(self, zeros):
        self.mean = nn.Parameter(zeros, requires_grad=False)

    def follow(self, x):
        self.mean.mul_(0.9).add_(0.1 * x.mean(dim=0))


@centre.wrong(
    "`{function}` registers a buffer with `persistent=False`: it follows `to` and `double`, and is not saved."
)
class centre_not_persistent(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros, persistent=False)


@centre.wrong(
    "`{function}` registers a buffer and lets another tensor follow the batches: what is saved are the zeros of the start."
)
class centre_follows_another(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)
        self.running = zeros

    def forward(self, x):
        if self.training:
            self.running = 0.9 * self.running + 0.1 * x.detach().mean(dim=0)
        return x - self.running


@centre.wrong(
    "`{function}` assigns `self.mean` before it registers it: the name is taken. Only the registration is needed."
)
class centre_assigned_first(Centred):
    def start(self, zeros):
        self.mean = zeros
        self.register_buffer("mean", zeros)


@centre.wrong(
    "`{function}` registers the mean under another name than the one that `forward` assigns to. That one is an ordinary attribute again."
)
class centre_other_name(Centred):
    def start(self, zeros):
        self.register_buffer("running_mean", zeros)
        self.mean = self.running_mean


@centre.wrong(
    "`{function}` uses the mean of the batch before it, or of all batches alike. The formula of the running mean was right."
)
class centre_plain_average(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(dim=0)


@centre.wrong("`{function}` does not follow the batches any more: its mean stays 0.")
class centre_stays_zero(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        pass


@centre.variant
class centre_in_place(Centred):
    def start(self, zeros):
        self.register_buffer("mean", zeros)

    def follow(self, x):
        self.mean.lerp_(x.detach().mean(dim=0), 0.1)


@centre.variant
class centre_by_buffer_type(Centred):
    def start(self, zeros):
        self.mean = nn.Buffer(zeros)
