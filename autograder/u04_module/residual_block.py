"""The key of u04-residual-block."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, normal

block = Key(
    "u04-residual-block",
    hints=(
        "For cin = 2, cout = 3, stride = 2 and x of shape (1, 2, 5, 7): what shape does f(x) have, and what shape must the skip path give?",
        "Make `conv1`, `bn1`, `conv2`, `bn2` and `skip` in `__init__`; the skip is `nn.Identity()` if neither channels "
        "nor size change. In `forward` the "
        "second relu stands around the whole sum.",
        "A near-example on vectors: `self.f = nn.Linear(i, o)`, `self.skip = nn.Identity() if i == o else nn.Linear(i, "
        "o, bias=False)`, and `forward` "
        "returns `(self.f(x).tanh() + self.skip(x)).tanh()`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"shapes": 2, "out": 2, "grad_x": 2, "out_without_branch": 2},
    tolerance={
        "x_after": EXACT,
        "shapes": EXACT,
        **dict.fromkeys(
            ("out", "grad_x", "out_without_branch"),
            Tolerance(
                1e-4,
                1e-5,
                "float32: two convolutions with sums of up to 27 terms, and divisions by standard deviations",
            ),
        ),
    },
)


@block.inputs
def _(g, case):
    cin, cout, stride, size = [(2, 3, 2, (3, 4)), (2, 2, 1, (2, 3)), (2, 2, 2, (4, 3)), (3, 2, 1, (2, 3))][case]
    values = {"conv1.weight": 0.5 * normal(g, cout, cin, 3, 3), "conv2.weight": 0.5 * normal(g, cout, cout, 3, 3)}
    if stride != 1 or cin != cout:
        values["skip.0.weight"] = normal(g, cout, cin, 1, 1)
    for name in ("bn1", "bn2", "skip.1") if "skip.0.weight" in values else ("bn1", "bn2"):
        values[f"{name}.weight"], values[f"{name}.bias"] = (
            0.8 + 0.5 * torch.rand(cout, generator=g),
            0.5 * normal(g, cout),
        )
    high, wide = ((n + stride - 1) // stride for n in size)
    return {
        "sizes": [cin, cout, stride],
        "values": values,
        "x": normal(g, 2, cin, *size),
        "upstream": normal(g, 2, cout, high, wide),
    }


@block.oracle
def _(sizes, values, x, upstream):
    _, cout, stride = sizes
    v = {name: t.double() for name, t in values.items()}
    leaf = x.double().requires_grad_()
    kept = {}

    def norm(name, h, training):
        if training:
            spread = h.var(dim=(0, 2, 3), unbiased=False)
            count = h.numel() / cout
            kept[name] = 0.1 * h.mean(dim=(0, 2, 3)).detach(), 0.9 + 0.1 * spread.detach() * count / (count - 1)
            mean = h.mean(dim=(0, 2, 3))
        else:
            mean, spread = kept[name]
        h = (h - mean.view(-1, 1, 1)) / (spread + 1e-5).sqrt().view(-1, 1, 1)
        return h * v[f"{name}.weight"].view(-1, 1, 1) + v[f"{name}.bias"].view(-1, 1, 1)

    def run(training, branch=1.0):
        h = norm("bn1", F.conv2d(leaf, v["conv1.weight"], stride=stride, padding=1), training).clamp(min=0)
        h = norm("bn2", F.conv2d(h, v["conv2.weight"], padding=1), training)
        skip = leaf
        if "skip.0.weight" in v:
            skip = norm(
                "skip.1",
                torch.einsum("oc,nchw->nohw", v["skip.0.weight"][:, :, 0, 0], leaf[:, :, ::stride, ::stride]),
                training,
            )
        return (branch * h + skip).clamp(min=0)

    run(True)
    out = run(False)
    (grad,) = torch.autograd.grad((upstream * out).sum(), leaf)
    order = [
        name
        for name in (
            "conv1.weight",
            "bn1.weight",
            "bn1.bias",
            "conv2.weight",
            "bn2.weight",
            "bn2.bias",
            "skip.0.weight",
            "skip.1.weight",
            "skip.1.bias",
        )
        if name in v
    ]
    return {
        "shapes": {name: list(values[name].shape) for name in order},
        "out": out.detach(),
        "grad_x": grad,
        "out_without_branch": run(False, 0.0).detach(),
        "x_after": x,
    }


class Block(nn.Module):
    """A sound block; wrong ones exchange a method."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.convolutions(cin, cout, stride)
        self.bn1, self.bn2 = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)
        self.skip = self.way(cin, cout, stride)

    def convolutions(self, cin, cout, stride):
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)

    def way(self, cin, cout, stride):
        return nn.Identity() if cin == cout and stride == 1 else self.narrow(cin, cout, stride)

    def narrow(self, cin, cout, stride):
        return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def branch(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))

    def forward(self, x):
        return (self.branch(x) + self.skip(x)).relu()


@block.wrong(
    "`{function}` applies the relu to the branch and then adds: the sum can only grow, and negative entries of x "
    "pass. The relu comes after the "
    "addition."
)
class block_relu_before_add(Block):
    def forward(self, x):
        return self.branch(x).relu() + self.skip(x)


@block.wrong("`{function}` has no relu after the addition.")
class block_no_last_relu(Block):
    def forward(self, x):
        return self.branch(x) + self.skip(x)


@block.wrong("`{function}` has no relu between its two convolutions.")
class block_no_inner_relu(Block):
    def branch(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x))))


@block.wrong(
    "`{function}` does not add the skip path: with the branch set to zero nothing comes out, and no gradient passes by."
)
class block_no_skip(Block):
    def forward(self, x):
        return self.branch(x).relu()


@block.wrong(
    "`{function}` works in place on x, with an in-place relu: the skip path and the caller read a changed x. Drop `inplace=True`."
)
class block_in_place(Block):
    def forward(self, x):
        return (self.branch(F.relu(x, inplace=True)) + self.skip(x)).relu()


@block.wrong(
    "`{function}` always has a convolution on its skip path. Where channels and size stay, x should pass untouched: `nn.Identity()`."
)
class block_always_converts(Block):
    def way(self, cin, cout, stride):
        return self.narrow(cin, cout, stride)


@block.wrong(
    "`{function}` adapts the channels of the skip path and forgets the stride: with equal channels and stride 2 the sizes do not fit."
)
class block_forgets_stride_of_skip(Block):
    def way(self, cin, cout, stride):
        return nn.Identity() if cin == cout else self.narrow(cin, cout, stride)


@block.wrong(
    "`{function}` adapts the size of the skip path and forgets the channels: with stride 1 and other channels the "
    "sum fails, or broadcasts."
)
class block_forgets_channels(Block):
    def way(self, cin, cout, stride):
        return nn.Identity() if stride == 1 else self.narrow(cin, cout, stride)


@block.wrong("The skip path of `{function}` is always the identity. It fits only if neither channels nor size change.")
class block_never_converts(Block):
    def way(self, cin, cout, stride):
        return nn.Identity()


@block.wrong("The skip path of `{function}` has a convolution and no batch normalisation behind it.")
class block_skip_without_norm(Block):
    def narrow(self, cin, cout, stride):
        return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False))


@block.wrong(
    "The convolutions of `{function}` have biases. Batch normalisation subtracts them at once; switch them off."
)
class block_with_biases(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = nn.Conv2d(cin, cout, 3, stride, 1), nn.Conv2d(cout, cout, 3, 1, 1)


@block.wrong(
    "`{function}` has no padding: a 3 × 3 convolution then takes a pixel off each side, and the sum does not fit."
)
class block_no_padding(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = nn.Conv2d(cin, cout, 3, stride, bias=False), nn.Conv2d(cout, cout, 3, bias=False)


@block.wrong("Both convolutions of `{function}` have the stride. Only the first has it.")
class block_stride_twice(Block):
    def convolutions(self, cin, cout, stride):
        self.conv1, self.conv2 = (
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            nn.Conv2d(cout, cout, 3, stride, 1, bias=False),
        )


@block.wrong(
    "`{function}` uses one batch normalisation for both convolutions: they share weights and statistics. Make two."
)
class block_one_norm(Block):
    def branch(self, x):
        return self.bn1(self.conv2(self.bn1(self.conv1(x)).relu()))


@block.wrong("`{function}` leaves out the second batch normalisation.")
class block_no_second_norm(Block):
    def branch(self, x):
        return self.conv2(self.bn1(self.conv1(x)).relu())


@block.wrong(
    "`{function}` detaches the skip path: the numbers are right, and the gradient comes back through the branch alone."
)
class block_detached_skip(Block):
    def forward(self, x):
        return (self.branch(x) + self.skip(x.detach())).relu()


@block.wrong("`{function}` does not call `super().__init__()` first.")
class block_no_super(Block):
    def __init__(self, cin, cout, stride):
        self.convolutions(cin, cout, stride)


@block.variant
class block_step_by_step(Block):
    def forward(self, x):
        before = x
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)  # in place on a tensor of its own
        out = self.bn2(self.conv2(out))
        out += self.skip(before)
        return out.clamp(min=0)


@block.variant
class block_with_empty_skip(Block):
    def way(self, cin, cout, stride):
        return nn.Sequential() if (cin, stride) == (cout, 1) else self.narrow(cin, cout, stride)
