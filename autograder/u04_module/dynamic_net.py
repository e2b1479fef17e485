"""The key of u04-dynamic-net."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, layers_of, normal, other_forward

dynamic = Key(
    "u04-dynamic-net",
    hints=(
        "For n = 3, how many layers does x pass, and how many layers does the network own?",
        "Three layers in `__init__`. In `forward` a `for _ in range(n)` around one line that uses the middle layer and a relu.",
        "A near-example, a number that is squared n times: `for _ in range(n): x = self.square(x)`, with one module `self.square`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"shapes": 2, "out": 2, "grads": 3},
    tolerance={"out": SINGLE, "grads": SINGLE, "x_after": EXACT, "shapes": EXACT},
)


def dynamic_run(t, x, n, uses=None):
    """Hidden layers before and after the bend. uses: a weight and a bias for each use of the middle layer."""
    before = [F.linear(x, t["input_linear.weight"], t["input_linear.bias"])]
    for k in range(n):
        w, b = uses[k] if uses else (t["middle_linear.weight"], t["middle_linear.bias"])
        before.append(F.linear(before[-1].relu(), w, b))
    return before, F.linear(before[-1].relu(), t["output_linear.weight"], t["output_linear.bias"])


@dynamic.inputs
def _(g, case):
    D, H, K = [(3, 4, 2), (2, 3, 4), (4, 3, 2), (2, 4, 3)][case]
    n = [2, 0, 3, 1][case]
    while True:
        values = layers_of(g, input_linear=(D, H), middle_linear=(H, H), output_linear=(H, K))
        x = normal(g, 5, D)
        before, out = dynamic_run(values, x, n + 1)
        if (
            all((h > 0.1).any() and (h < -0.1).any() and h.abs().min() > 0.005 for h in before)
            and all((h > 0.05).any(dim=0).sum() >= 2 for h in before)
            and (out < -0.1).any()
        ):
            return {"sizes": [D, H, K], "values": values, "x": x, "n": n, "upstream": normal(g, 5, K)}


@dynamic.oracle
def _(sizes, values, x, n, upstream):
    t = {name: v.double().requires_grad_() for name, v in values.items()}
    uses = [
        (
            values["middle_linear.weight"].double().requires_grad_(),
            values["middle_linear.bias"].double().requires_grad_(),
        )
        for _ in range(n)
    ]
    _, out = dynamic_run(t, x.double(), n, uses)
    (upstream * out).sum().backward()
    grads = {name: v.grad for name, v in t.items()}
    for place, name in enumerate(("middle_linear.weight", "middle_linear.bias")):
        grads[name] = sum(use[place].grad for use in uses) if n else None
    return {
        "shapes": {name: list(v.shape) for name, v in values.items()},
        "out": out.detach(),
        "x_after": x,
        "grads": {
            name: grad for name, grad in grads.items() if name.startswith("middle") or name == "input_linear.weight"
        },
    }


class Dynamic(nn.Module):
    def __init__(self, D_in, H, D_out):
        super().__init__()
        self.input_linear, self.middle_linear, self.output_linear = (
            nn.Linear(D_in, H),
            nn.Linear(H, H),
            nn.Linear(H, D_out),
        )

    def run(self, x, n, bend=F.relu, first=F.relu, last=lambda out: out):
        h = first(self.input_linear(x))
        for _ in range(n):
            h = bend(self.middle_linear(h))
        return last(self.output_linear(h))

    def forward(self, x, n):
        return self.run(x, n)


@dynamic.wrong("`{function}` uses its middle layer once, whatever n says.")
@other_forward(Dynamic)
def dynamic_once(self, x, n):
    return self.run(x, 1)


@dynamic.wrong("`{function}` does not use its middle layer. Where does n come in?")
@other_forward(Dynamic)
def dynamic_never(self, x, n):
    return self.run(x, 0)


@dynamic.wrong("`{function}` uses its middle layer once too often.")
@other_forward(Dynamic)
def dynamic_one_more(self, x, n):
    return self.run(x, n + 1)


@dynamic.wrong("`{function}` uses its middle layer once too rarely: does your range begin at 1?")
@other_forward(Dynamic)
def dynamic_one_less(self, x, n):
    return self.run(x, n - 1)


@dynamic.wrong("In `{function}` there is no relu after the middle layer. Three uses in a row are then one matrix, W³.")
@other_forward(Dynamic)
def dynamic_no_bend_in_loop(self, x, n):
    return self.run(x, n, bend=lambda h: h)


@dynamic.wrong("`{function}` has no relu after the input layer.")
@other_forward(Dynamic)
def dynamic_no_first_bend(self, x, n):
    return self.run(x, n, first=lambda h: h)


@dynamic.wrong("`{function}` applies a relu to its prediction as well.")
@other_forward(Dynamic)
def dynamic_bend_at_the_end(self, x, n):
    return self.run(x, n, last=F.relu)


@dynamic.wrong(
    "Each use of the middle layer in `{function}` starts from the same h: the result of the use before is thrown away."
)
@other_forward(Dynamic)
def dynamic_forgets(self, x, n):
    h = out = self.input_linear(x).relu()
    for _ in range(n):
        out = self.middle_linear(h).relu()
    return self.output_linear(out)


@dynamic.wrong(
    "The middle layer of `{function}` learns from its last use only: the hidden numbers are detached between the "
    "uses. The gradient of a "
    "shared weight is the sum over all uses."
)
@other_forward(Dynamic)
def dynamic_detaches(self, x, n):
    h = self.input_linear(x).relu()
    for _ in range(n):
        h = self.middle_linear(h.detach()).relu()
    return self.output_linear(h)


@dynamic.wrong(
    "`{function}` owns three middle layers. There should be one, used n times; the number of parameters must not depend on n."
)
class dynamic_three_layers(Dynamic):
    def __init__(self, D_in, H, D_out):
        super().__init__(D_in, H, D_out)
        self.middle_linear = nn.ModuleList(nn.Linear(H, H) for _ in range(3))

    def forward(self, x, n):
        h = self.input_linear(x).relu()
        for layer in self.middle_linear[:n]:
            h = layer(h).relu()
        return self.output_linear(h)


@dynamic.wrong("`{function}` builds its middle layer in `forward`: new weights in each call, which nobody trains.")
class dynamic_builds_in_forward(Dynamic):
    def __init__(self, D_in, H, D_out):
        super().__init__(D_in, H, D_out)
        del self.middle_linear
        self.size = H

    def forward(self, x, n):
        h = self.input_linear(x).relu()
        for _ in range(n):
            h = nn.Linear(self.size, self.size).to(x.device)(h).relu()
        return self.output_linear(h)


@dynamic.wrong("`{function}` does not call `super().__init__()` first.")
class dynamic_no_super(Dynamic):
    def __init__(self, D_in, H, D_out):
        self.input_linear = nn.Linear(D_in, H)


@dynamic.variant
class dynamic_by_recursion(Dynamic):
    def forward(self, x, n):
        def deeper(h, left):
            return h if left == 0 else deeper(self.middle_linear(h).clamp(min=0), left - 1)

        return self.output_linear(deeper(self.input_linear(x).clamp(min=0), n))


@dynamic.variant
class dynamic_by_list(Dynamic):
    def forward(self, x, n):
        h = x
        for layer in [self.input_linear] + [self.middle_linear] * n:
            h = torch.maximum(layer(h), torch.zeros((), device=x.device))
        return self.output_linear(h)
