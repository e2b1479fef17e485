"""The key of u09-hunt-tower: the class that was copied."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, SINGLE, normal

tower = Key(
    "u09-hunt-tower",
    hints=(
        "Whose constructor does `super(A, self)` look for? Then count: which layers does `model.parameters()` know? Then: what does "
        "F.dropout know of eval()?",
        "In Python 3 `super()` needs no names. A module finds layers that are attributes, or stand in a container that is a module. "
        "F.dropout has a third argument.",
        "A near-example: `self.blocks = nn.ModuleList([nn.LayerNorm(d) for _ in range(n)])`, and `F.alpha_dropout(x, self.p, "
        "self.training)` in forward.",
    ),
    cases=3,
    guards=("zeros_in_training",),
    weights={"parameters": 2},
    tolerance={
        "parameters": EXACT,
        "answer_in_eval": SINGLE,
        "head_reads_in_eval": SINGLE,
        "factors_in_training": Tolerance(0, 0.002, "rounded to three digits"),
        "zeros_in_training": EXACT,
    },
)


@tower.inputs
def _(g, case):
    n, width, depth, classes, p = [(12, 6, 3, 4, 0.5), (14, 5, 2, 3, 0.75), (10, 7, 4, 2, 0.0)][case]
    while True:
        hidden, x = normal(g, depth, width, width) / 2, normal(g, n, width).abs()
        read = x
        for weight in hidden:
            before = read @ weight.T + 0.1
            read = before.clamp(min=0)
        if (read > 0.01).sum() >= 24 and (before < -0.05).any():
            return {"hidden": hidden, "head": normal(g, classes, width), "x": x, "p": p, "seed": 7 + case}


@tower.oracle
def _(hidden, head, x, p, seed):
    read = x.double()
    for weight in hidden.double():
        read = torch.relu(torch.einsum("nd,ed->ne", read, weight) + float(torch.tensor(0.1)))
    width = x.shape[1]
    shapes = sorted([[len(head), width], [len(head)]] + len(hidden) * [[width, width], [width]])
    return {"parameters": shapes, "answer_in_eval": read @ head.double().T + 0.5, "head_reads_in_eval": read,
            "factors_in_training": sorted({1 / (1 - p), 0.0} if p else {1.0}), "zeros_in_training": 0}  # fmt: skip


class Healthy(nn.Module):
    """A tower with its parts to choose from, for wrong answers and variants. Not a wrong answer itself."""

    def __init__(self, width, depth, classes, p):
        super().__init__()
        self.p = p
        self.hidden = self.layers(width, depth)
        self.head = nn.Linear(width, classes)

    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])

    def drop(self, x):
        return F.dropout(x, self.p, self.training)

    def walk(self, x):
        for layer in self.hidden:
            x = layer(x).relu()
        return x

    def forward(self, x):
        return self.head(self.drop(self.walk(x)))


@tower.wrong(
    "`{function}` can be built now, and has only the head's parameters. A Python list hides layers: no optimizer, no checkpoint and no "
    "`.to()` will find them."
)
class TowerInList(Healthy):
    def layers(self, width, depth):
        return [nn.Linear(width, width) for _ in range(depth)]


@tower.wrong(
    "`{function}` has all its layers, and drops in eval mode, too: `F.dropout` is a function, and nobody tells it the mode."
)
class TowerAlwaysDrops(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p)


@tower.wrong(
    "Only the message is gone: `{function}` has the head's parameters alone, and answers differently at each call in eval mode. Two "
    "faults were waiting behind the first."
)
class TowerOnlySuper(Healthy):
    def layers(self, width, depth):
        return [nn.Linear(width, width) for _ in range(depth)]

    def drop(self, x):
        return F.dropout(x, self.p)


@tower.wrong(
    "`{function}` is the same in both modes now, because it never drops anything. The docstring wants dropout in training."
)
class TowerNeverDrops(Healthy):
    def drop(self, x):
        return x


@tower.wrong("`{function}` drops in eval mode and not in training: the mode is asked the wrong way round.")
class TowerDropsInEval(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p, not self.training)


@tower.wrong(
    "The layers of `{function}` are one layer, several times: repeating a list repeats references. Its parameters are counted once."
)
class TowerOneLayer(Healthy):
    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width)] * depth)


@tower.wrong(
    "`{function}` removes the line with `super`, or calls it without `__init__`: then there is no place in which layers could be "
    "registered."
)
class TowerNoSuper(Healthy):
    def __init__(self, width, depth, classes, p):
        super(Healthy, self)
        self.p = p
        self.hidden = self.layers(width, depth)


@tower.wrong(
    "In eval mode `{function}` multiplies by 1 - p on top. PyTorch scales in training already, so that eval needs nothing."
)
class TowerScalesTwice(Healthy):
    def drop(self, x):
        return F.dropout(x, self.p, self.training) if self.training else x * (1 - self.p)


@tower.wrong(
    "In training `{function}` drops without making up for it: what is kept must grow by 1 / (1 - p), so that sums keep their size."
)
class TowerNoScale(Healthy):
    def drop(self, x):
        return x * (torch.rand_like(x) >= self.p) if self.training else x


@tower.wrong("The layers of `{function}` are not followed by their ReLU: the tower is one linear map.")
class TowerLinear(Healthy):
    def walk(self, x):
        for layer in self.hidden:
            x = layer(x)
        return x


@tower.wrong("`{function}` drops behind the head: it sets logits to zero. The head should read what dropout leaves.")
class TowerDropsLogits(Healthy):
    def forward(self, x):
        return self.drop(self.head(self.walk(x)))


@tower.wrong(
    "`{function}` has one hidden layer, whatever its depth. Kept as an attribute, a layer is registered; but all of them are wanted."
)
class TowerShallow(Healthy):
    def layers(self, width, depth):
        return nn.ModuleList([nn.Linear(width, width)])


@tower.variant
class TowerSequential(nn.Module):
    def __init__(self, width, depth, classes, p):
        super().__init__()
        self.hidden = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))
        self.dropout = nn.Dropout(p)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(self.dropout(x))


@tower.variant
class TowerRegistered(nn.Module):
    def __init__(self, width, depth, classes, p):
        nn.Module.__init__(self)
        self.hidden, self.p = [], p
        for i in range(depth):
            self.hidden.append(nn.Linear(width, width))
            self.add_module(f"hidden{i}", self.hidden[-1])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).clamp(min=0)
        if self.training and self.p:
            x = x * (torch.rand_like(x) >= self.p) / (1 - self.p)
        return self.head(x)
