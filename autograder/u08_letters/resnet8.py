"""The key of u08-resnet8."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, SINGLE, blocks, draw

resnet = Key(
    "u08-resnet8",
    hints=(
        "What shape does the output of block2 have, and what shape must its skip have, so that the two can be added?",
        "Write Block first, and try it on torch.randn(2, 16, 8, 8) with (16, 16, 1) and with (16, 32, 2). nn.Sequential() without layers "
        "returns what it gets.",
        "A near-example, a block of one layer: `out = self.bn1(self.conv1(x))`, `return F.relu(out + self.skip(x))`, with "
        "`self.skip = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))` beside `self.conv1 = nn.Conv2d(4, 8, 3, 2, "
        "padding=1, bias=False)`.",
    ),
    cases=2,
    tolerance={
        "shapes": EXACT,
        "blocks": EXACT,
        "logits_eval": Tolerance(2e-4, 1e-5, "float32 through eight layers of sums of up to 576 terms"),
        "logits_train": Tolerance(1e-3, 1e-4, "the same, and divided by the deviations of small batches"),
        "stem_mean": SINGLE,
        "last_mean": Tolerance(1e-3, 1e-5, "float32 through seven layers"),
    },
    weights={"shapes": 2, "logits_eval": 3, "logits_train": 2},
)


@resnet.inputs
def _(g, case):
    return {"x": blocks(g, 2 - case)[:, None].float() / 128 - 1, "seed": draw(g, 0, 1 << 30)}


class Residual(nn.Module):
    """A right block, of which each part can be exchanged."""

    def __init__(
        self, cin, cout, stride, bias=False, skip_norm=True, always=False, skip_stride=None, late=False, skip_kernel=1
    ):
        super().__init__()
        first, second = (1, stride) if late else (stride, 1)
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, first, padding=1, bias=bias), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, second, padding=1, bias=bias), nn.BatchNorm2d(cout)
        self.skip = nn.Sequential()
        if cin != cout or always:
            self.skip = nn.Sequential(
                nn.Conv2d(cin, cout, skip_kernel, stride, padding=skip_kernel // 2, bias=bias),
                *([nn.BatchNorm2d(cout)] if skip_norm else []),
            )

    def branch(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        return F.relu(self.branch(x) + self.skip(x))


class Res(nn.Module):
    """A right ResNet8, of which each part can be exchanged."""

    block, options, stem_bias = Residual, {}, False

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 16, 3, padding=1, bias=self.stem_bias), nn.BatchNorm2d(16)
        self.block1, self.block2, self.block3 = (
            self.block(*sizes, **self.options) for sizes in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.fc = nn.Linear(64, 10)

    def stem(self, x):
        return F.relu(self.bn(self.conv(x)))

    def pool(self, x):
        return x.mean(dim=(2, 3))

    def forward(self, x):
        return self.fc(self.pool(self.block3(self.block2(self.block1(self.stem(x))))))


def wrong_block(name, hint, forward=None, **options):
    """A ResNet8 whose blocks differ. forward: of the block; (self, x) -> output."""
    block = type("OtherBlock", (Residual,), {"forward": forward} if forward else {})
    resnet.wrong(hint)(type(name, (Res,), {"block": block, "options": options}))


wrong_block(
    "no_skip",
    "The blocks of `{function}` return the branch alone. What makes a block residual is the sum with its input.",
    lambda self, x: F.relu(self.branch(x)),
)
wrong_block(
    "relu_before_adding",
    "The blocks of `{function}` bend the branch before adding. Then a block can only add what is positive; the sum comes first, then relu.",
    lambda self, x: F.relu(self.branch(x)) + self.skip(x),
)
wrong_block(
    "no_relu_after_adding",
    "The blocks of `{function}` do not bend after the sum.",
    lambda self, x: self.branch(x) + self.skip(x),
)
wrong_block(
    "relu_both",
    "The blocks of `{function}` bend the branch before the sum, and the sum as well. There is one relu inside the branch and one after the sum.",
    lambda self, x: F.relu(F.relu(self.branch(x)) + self.skip(x)),
)
wrong_block(
    "no_relu_inside",
    "In the blocks of `{function}`, the two convolutions follow each other without a bend.",
    lambda self, x: F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + self.skip(x)),
)
wrong_block(
    "relu_before_norm",
    "The blocks of `{function}` bend before they normalise. The order is convolution, batch norm, relu.",
    lambda self, x: F.relu(self.bn2(self.conv2(self.bn1(F.relu(self.conv1(x))))) + self.skip(x)),
)
wrong_block(
    "skip_reads_bent",
    "The blocks of `{function}` change their input before the skip reads it: an in-place relu, or the same name used again. skip takes the "
    "block's input.",
    lambda self, x: F.relu(
        self.bn2(self.conv2(h := F.relu(self.bn1(self.conv1(x))))) + (h if len(self.skip) == 0 else self.skip(x))
    ),
)
wrong_block(
    "subtracts_skip",
    "The blocks of `{function}` subtract where they should add.",
    lambda self, x: F.relu(self.branch(x) - self.skip(x)),
)
wrong_block(
    "late_stride",
    "conv2 of `{function}` has the stride. The shapes agree, and conv1 computes four times as much as it should: the table gives conv1 the stride.",
    late=True,
)
wrong_block(
    "skip_without_norm",
    "The skips of `{function}` lack their batch norm, so that some names are missing from state_dict.",
    skip_norm=False,
)
wrong_block(
    "skip_everywhere",
    "Each block of `{function}` has a convolution in its skip. Where the shape does not change, the input passes unchanged: that is the way "
    "on which "
    "the gradient arrives.",
    always=True,
)
wrong_block(
    "wide_skip",
    "The skip's convolution in `{function}` is 3 × 3. It only has to fit channels and stride: 1 × 1.",
    skip_kernel=3,
)
wrong_block(
    "biases",
    "The convolutions of `{function}` have biases. A batch norm follows each of them, and subtracts any bias again.",
    bias=True,
)


@resnet.wrong(
    "`{function}` ends in a softmax. F.cross_entropy does log-softmax itself; with both, the loss can never fall below 1.461."
)
class residual_softmax(Res):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


@resnet.wrong("`{function}` takes the maximum over height and width. The table says the mean.")
class residual_maximum(Res):
    def pool(self, x):
        return x.amax(dim=(2, 3))


@resnet.wrong("`{function}` does not bend behind the first batch norm.")
class no_relu_in_stem(Res):
    def stem(self, x):
        return self.bn(self.conv(x))


@resnet.variant
class residual_with_layers(Res):
    def pool(self, x):
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def stem(self, x):
        return self.bn(self.conv(x)).clamp(min=0)


@resnet.variant
class residual_unrolled(Res):
    def forward(self, x):
        x = torch.relu(self.bn.forward(self.conv(x)))
        for block in (self.block1, self.block2, self.block3):
            way = block.skip(x) if len(block.skip) else x
            h = block.bn1(block.conv1(x)).relu_()
            x = block.bn2(block.conv2(h)).add(way).relu()
        return self.fc(x.flatten(2).mean(2))
