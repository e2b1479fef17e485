"""The key of u05: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Sizes within a case all differ, so that no transposed or misplaced axis passes in silence; the one square layer is there on purpose.
"""

import math

import numpy as np
import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, a name or a copy of numbers is either the same or not")
SINGLE = Tolerance(
    1e-5, 1e-6, "float32, eps 1.2e-7; one product with sums of up to 7 terms, and a second one in a gradient"
)


ON_CPU = "keys are made on the CPU, where numpy arrays are, too; the CUDA run of the checks sees it"


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def whole(g, low, high):
    return int(torch.randint(low, high, (), generator=g))


# ---- MyLinear --------------------------------------------------------------------------------------------

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


# ---- the layer that learns only its bias -------------------------------------------------------------------

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


# ---- trainable_report ------------------------------------------------------------------------------------

report = Key(
    "u05-trainable-report",
    hints=(
        "For one module alone: where are its Parameters, where its buffers, and where its other attributes?",
        "One loop over `module.named_modules()`, and three inside it: over `part.named_parameters(recurse=False, remove_duplicate=False)`, over "
        "`part.named_buffers(recurse=False)`, and over `vars(part).items()`, where only tensors count. Remember the `id` of each Parameter "
        "that you have seen.",
        "A near-example, the total size of all buffers, by full name: `for prefix, part in module.named_modules():` / "
        '`    for name, b in part.named_buffers(recurse=False):` / `        sizes[f"{prefix}.{name}" if prefix else name] = b.numel()`.',
    ),
    weights={"kinds": 2, "count": 1},
    tolerance=EXACT,
    equivalent={
        "line 9: part.named_buffers(recurse=False) -> part.named_buffers(recurse=True)": (
            "buffers below the part are then listed by its parents as well, each time under the same full name and kind"
        )
    },
)


@report.inputs
def _(g, case):
    hows = [
        "parameter",
        "parameter",
        "no gradient",
        "buffer",
        "not persistent",
        "tensor",
        "tensor with gradient",
        "absent",
        ["text", "list", "buffer"][case],
    ]
    places = [
        "scale",
        "rate",
        "encoder.weight",
        "encoder.extra",
        "encoder.norm.mean",
        "encoder.norm.rate",
        "head.weight",
        "head.rate",
        "head.out.top",
    ]
    order = torch.randperm(len(places), generator=g).tolist()
    parts = [[places[place], how, [whole(g, 2, 5), whole(g, 2, 6)]] for place, how in zip(order, hows, strict=True)]
    first, shape = parts[0][0], parts[0][2]
    parts.append(["tail.weight", "parameter", shape])  # equal to the first in all but identity
    beside = first.rpartition(".")[0]
    parts.append([f"{beside}.again" if beside else "again", f"same as {first}", shape])
    parts.append(["aside.twin", f"same as {['tail.weight', first, parts[1][0]][case]}", shape])
    if case != 1:
        parts.append(["top", "same as tail.weight", shape])  # the root's own come first
    parts.append(["tail.mean", "buffer", [3]])  # a name that has two meanings in one module tree
    parts.append(["aside.mean", "not persistent", [4]])
    parts.append(["mean", "buffer", [2]])
    return {"parts": parts}


@report.oracle
def _(parts):
    owner = {path: how[8:] if how.startswith("same as ") else path for path, how, _ in parts}
    tree = {}
    for path in owner:  # modules in the order in which they were made
        at = tree
        for piece in path.split(".")[:-1]:
            at = at.setdefault(piece, {})

    def visited(prefix, node):
        yield from (path for path in owner if path.rpartition(".")[0] == prefix)
        for name, child in node.items():
            yield from visited(f"{prefix}.{name}" if prefix else name, child)

    named = {
        "parameter": "trained",
        "no gradient": "frozen",
        "buffer": "buffer",
        "not persistent": "unsaved buffer",
        "tensor": "constant",
        "tensor with gradient": "forgotten",
    }
    how, kinds, met = {path: how for path, how, _ in parts}, {}, set()
    for path in visited("", tree):
        if (kind := named.get(how[owner[path]])) is not None:
            kinds[path] = "tied" if owner[path] in met and kind == "trained" else kind
            met.add(owner[path])
    return {
        "kinds": kinds,
        "count": sum(a * b for _, how, (a, b, *_) in ((p, h, [*s, 1]) for p, h, s in parts) if how == "parameter"),
    }


def walk(
    module,
    *,
    deep=True,
    dot=True,
    tied=True,
    same=None,
    frozen=True,
    saved=True,
    attributes=True,
    each=None,
    local=False,
    prefixed=True,
):
    """A sound report with its parts open, for wrong answers and variants."""
    kinds, seen, count = {}, [], 0
    same = same or (lambda a, b: a is b)
    for prefix, part in module.named_modules() if deep else [("", module)]:
        path = (f"{prefix}." if prefix or not dot else "") if prefixed else ""
        seen = [] if local else seen
        for name, p in part._parameters.items():
            if p is None:
                continue
            again = tied and any(same(p, q) for q in seen)
            seen.append(p)
            kinds[path + name] = "tied" if again else "trained" if p.requires_grad or not frozen else "frozen"
            if kinds[path + name] == "trained":
                count += each(p) if each else p.numel()
        for name in part._buffers:
            kinds[path + name] = (
                "buffer" if not saved or name not in part._non_persistent_buffers_set else "unsaved buffer"
            )
        for name, value in part.__dict__.items():
            if attributes and isinstance(value, torch.Tensor):
                kinds[path + name] = "forgotten" if value.requires_grad else "constant"
    return kinds, count


@report.wrong(
    "`{function}` looks at the module itself and not at what lies below it. Which method goes through all submodules, with their paths?"
)
def report_top_only(module):
    return walk(module, deep=False)


@report.wrong(
    "`{function}` gives names without their paths, so that entries of different submodules overwrite each other."
)
def report_without_paths(module):
    return walk(module, prefixed=False)


@report.wrong(
    "The names of the module's own entries begin with a dot in `{function}`: the path of the module itself is empty."
)
def report_leading_dot(module):
    return walk(module, dot=False)


@report.wrong(
    "`{function}` lists a Parameter with two names as if it were two, and counts it twice. Two names of one "
    "object: which comparison tells?"
)
def report_no_ties(module):
    return walk(module, tied=False)


@report.wrong(
    "`{function}` recognises one Parameter under two names within a module, and not across modules. What you "
    "have seen must be remembered over the whole walk."
)
def report_ties_within_modules(module):
    return walk(module, local=True)


@report.wrong(
    "`{function}` takes two Parameters for one because their numbers are equal. Tied means the same *object*; "
    "compare with `is`, or by `id`."
)
def report_ties_by_value(module):
    return walk(module, same=lambda a, b: a.shape == b.shape and torch.equal(a, b))


@report.wrong('`{function}` leaves the second name of a Parameter out. It belongs in the list, as "tied".')
def report_skips_tied(module):
    kinds, count = walk(module)
    return {name: kind for name, kind in kinds.items() if kind != "tied"}, count


@report.wrong(
    "`{function}` calls frozen Parameters trained, and counts them. An optimizer receives them, and they do "
    "not move: which flag says so?"
)
def report_frozen_trained(module):
    return walk(module, frozen=False)


@report.wrong("All names are right, but `{function}` counts the frozen Parameters as well.")
def report_counts_frozen(module):
    kinds, count = walk(module)
    return kinds, count + sum(module.get_parameter(name).numel() for name, kind in kinds.items() if kind == "frozen")


@report.wrong("`{function}` counts tensors. Asked for is how many *numbers* they hold.")
def report_counts_tensors(module):
    return walk(module, each=lambda p: 1)


@report.wrong(
    "All names are right, but `{function}` counts a tied Parameter once for each of its names. It is one tensor."
)
def report_counts_tied_twice(module):
    kinds, count = walk(module)
    return kinds, count + sum(module.get_parameter(name).numel() for name, kind in kinds.items() if kind == "tied")


@report.wrong(
    "All names are right, but `{function}` counts forgotten tensors as trained. They get a gradient, and no optimizer knows them."
)
def report_counts_forgotten(module):
    kinds, count = walk(module)
    found = [
        module.get_submodule(name.rpartition(".")[0]).__dict__[name.rpartition(".")[2]]
        for name, kind in kinds.items()
        if kind == "forgotten"
    ]
    return kinds, count + sum(t.numel() for t in found)


@report.wrong(
    '`{function}` calls every buffer "buffer". Those that are not in the `state_dict` are lost when the model '
    "is saved; tell them apart."
)
def report_saved_or_not(module):
    return walk(module, saved=False)


@report.wrong(
    "`{function}` leaves out the ordinary attributes, where the forgotten tensors are. `vars(part)` holds them."
)
def report_no_attributes(module):
    return walk(module, attributes=False)


@report.wrong("`{function}` does not tell a forgotten tensor from a constant: one of them requires a gradient.")
def report_all_constant(module):
    kinds, count = walk(module)
    return {name: "constant" if kind == "forgotten" else kind for name, kind in kinds.items()}, count


@report.wrong(
    "`{function}` stumbles over a Parameter that is None: the name is registered, and there is no tensor. "
    "`named_parameters` leaves such names out, and `_parameters` does not."
)
def report_none_parameter(module):
    for part in module.modules():
        for p in part._parameters.values():
            p.numel()
    return walk(module)


@report.variant
def report_by_private_drawers(module):
    return walk(module)


@report.variant
def report_by_full_names(module):
    kinds, owner, count = {}, {}, 0
    for name, p in module.named_parameters(remove_duplicate=False):
        again = any(p is q for q in owner.values())
        kinds[name] = "tied" if again else "trained" if p.requires_grad else "frozen"
        count += p.numel() if p.requires_grad and not again else 0
        owner[name] = p
    for name, _ in module.named_buffers():
        kinds[name] = "buffer" if name in module.state_dict() else "unsaved buffer"
    for prefix, part in module.named_modules():
        for name, value in vars(part).items():
            if torch.is_tensor(value):
                kinds[".".join(filter(None, (prefix, name)))] = "forgotten" if value.requires_grad else "constant"
    return kinds, count


# ---- from_torch ------------------------------------------------------------------------------------------

convert = Key(
    "u05-from-torch",
    hints=(
        "What is the shape of the weight of nn.Linear(7, 5), and what is that of MyLinear(7, 5)?",
        "Make a MyLinear of the right sizes, move it to dtype and device of the old weight, then write into its parameters with `copy_`, recording "
        "switched off. A bias may be None.",
        "A near-example, the conversion back: `new = nn.Linear(i, o).to(mine.weight)`, then under `torch.no_grad()`: "
        "`new.weight.copy_(mine.weight.T)` and `new.bias.copy_(mine.bias)`.",
    ),
    guards=("old_weight_after", "kind"),
    weights={"out": 3, "out_when_the_old_layer_changed": 2},
    strict_dtype=("out",),
    tolerance={
        "kind": EXACT,
        "parameters": EXACT,
        "old_weight_after": EXACT,
        "out": SINGLE,
        "out_when_the_old_layer_changed": SINGLE,
        "grads": SINGLE,
    },
)


@convert.inputs
def _(g, case):
    n, i, o = [(3, 7, 5), (2, 4, 4), (5, 2, 3)][case]
    made = {"weight": normal(g, o, i), "bias": normal(g, o), "x": normal(g, n, i), "upstream": normal(g, n, o)}
    if case == 1:
        made = {name: t.double() for name, t in made.items()}
    return {**made, "bias": made["bias"] if case < 2 else None}


@convert.oracle
def _(weight, bias, x, upstream):
    out = nn.functional.linear(x, weight, bias)
    grads = [x.T @ upstream, upstream.sum(dim=0)]
    shapes = {"weight": [weight.shape[1], weight.shape[0]], "bias": [weight.shape[0]]}
    return {
        "kind": "MyLinear",
        "parameters": shapes,
        "out": out,
        "out_when_the_old_layer_changed": out,
        "grads": grads,
        "old_weight_after": weight,
    }


def converted(linear, weight=lambda w: w.T, bias=lambda b: b):
    """A sound conversion whose two copies can be exchanged."""
    layer = MyLinear(linear.in_features, linear.out_features).to(linear.weight)
    with torch.no_grad():
        layer.weight.copy_(weight(linear.weight))
        if linear.bias is not None:
            layer.bias.copy_(bias(linear.bias))
    return layer


@convert.wrong(
    "`{function}` copies the weight as it is. nn.Linear stores (o, i), and MyLinear stores (i, o). For a "
    "square layer nothing raises: the outputs are wrong."
)
def convert_not_transposed(linear):
    return converted(linear, weight=lambda w: w)


@convert.wrong(
    "`{function}` gives the weight the right shape by reading its numbers in another order (`view` or "
    "`reshape`). Rows and columns have to be exchanged, not cut anew."
)
def convert_reshaped(linear):
    return converted(linear, weight=lambda w: w.reshape(w.shape[1], w.shape[0]))


@convert.wrong(
    "`{function}` assigns a computed tensor to the name of a Parameter, and the module refuses it. Write into "
    "the Parameter that is there."
)
def convert_assigns_tensor(linear):
    layer = converted(linear)
    layer.weight = linear.weight.T
    return layer


@convert.wrong(
    "The weight of `{function}` lies in the memory of the old layer: `nn.Parameter(t)` and `.data = t` copy "
    "nothing. Train one layer, and the other changes."
)
def convert_shares_weight(linear):
    layer = converted(linear)
    layer.weight = nn.Parameter(linear.weight.detach().T)
    return layer


@convert.wrong("The weight of `{function}` is a copy, and its bias is not: it is the old layer's own.")
def convert_shares_bias(linear):
    layer = converted(linear)
    if linear.bias is not None:
        layer.bias = linear.bias
    return layer


@convert.wrong("`{function}` forgets the bias.")
def convert_no_bias(linear):
    return converted(linear, bias=torch.zeros_like)


@convert.wrong("`{function}` fails for a layer without bias: there, `linear.bias` is None.")
def convert_needs_bias(linear):
    layer = converted(linear)
    layer.bias.data.copy_(linear.bias)
    return layer


@convert.wrong(
    "For a layer without bias, `{function}` takes the bias away from MyLinear, whose forward then fails. Its bias shall be zeros."
)
def convert_drops_bias(linear):
    layer = converted(linear)
    if linear.bias is None:
        layer.bias = None
    return layer


@convert.wrong(
    "The new layer of `{function}` is `float32` whatever the old one was. `.to(linear.weight)` takes over dtype and device."
)
def convert_in_single(linear):
    return converted(linear).float()


@convert.wrong(
    "`{function}` writes into a Parameter while autograd is recording, and autograd refuses it. Switch recording off around the copies."
)
def convert_records(linear):
    layer = converted(linear)
    layer.weight.copy_(linear.weight.T)
    return layer


@convert.wrong("`{function}` returns the old layer, or one like it. Asked for is a MyLinear.")
def convert_returns_old(linear):
    return linear


@convert.wrong("`{function}` transposes the weight of the *old* layer, which shall stay as it is.")
def convert_changes_old(linear):
    layer = converted(linear)
    linear.weight.data = linear.weight.data.T.contiguous()
    return layer


@convert.wrong("The parameters of `{function}` cannot be trained: they require no gradient.")
def convert_frozen(linear):
    return converted(linear).requires_grad_(False)


@convert.variant
def convert_new_parameters(linear):
    outputs, inputs = linear.weight.shape
    layer = MyLinear(inputs, outputs)
    layer.weight = nn.Parameter(linear.weight.detach().T.clone())
    layer.bias = nn.Parameter(linear.weight.new_zeros(outputs) if linear.bias is None else linear.bias.detach().clone())
    return layer


@convert.variant
def convert_by_state_dict(linear):
    layer = MyLinear(linear.in_features, linear.out_features)
    layer = layer.to(device=linear.weight.device, dtype=linear.weight.dtype)
    state = {"weight": linear.weight.detach().T, "bias": torch.zeros(linear.out_features)}
    state.update({"bias": linear.bias.detach()} if linear.bias is not None else {})
    layer.load_state_dict(state)
    return layer


# ---- tie -------------------------------------------------------------------------------------------------

tying = Key(
    "u05-tie",
    hints=(
        "After tying, how many Parameter objects are there under the two names?",
        "Find the source's Parameter with `get_parameter`, and the module that holds the target with "
        "`get_submodule`. Then let that module's attribute be the Parameter itself: `setattr(holder, name, "
        'parameter)`. `target.rpartition(".")` parts the path from the name.',
        'A near-example, replacing a bias by a new one: `path, _, name = "head.bias".rpartition(".")`, then '
        "`setattr(module.get_submodule(path), name, nn.Parameter(torch.zeros(3)))`.",
    ),
    cases=5,
    weights={"tensors": 2, "grads": 2, "target_after_a_step": 2, "(refuses wrong input)": 2},
    tolerance={
        "value": EXACT,
        "tensors": EXACT,
        "saved": EXACT,
        **dict.fromkeys(("grads", "source_after_a_step", "target_after_a_step"), SINGLE),
    },
)


@tying.inputs
def _(g, case):
    source, target, a, b = [
        ("text.embed.weight", "head.weight", (4, 3), (4, 3)),
        ("head.out.weight", "table", (2, 5), (2, 5)),
        ("embed.weight", "head.weight", (4, 3), (3, 4)),
        ("table", "head.weight", (1, 3), (4, 3)),
        ("weight", "deep.down.bias", (3,), (3,)),
    ][case]
    values = {source: normal(g, *a), "other.bias": normal(g, 2), target: normal(g, *b)}
    if case == 1:
        values = dict(reversed(values.items()))
    return {"values": values, "source": source, "target": target, "upstream": normal(g, *a)}


@tying.oracle
def _(values, source, target, upstream):
    a = values[source].double()
    if a.shape != values[target].shape:
        return {}
    return {
        "value": a,
        "tensors": 2,
        "saved": sorted(values),
        "grads": [upstream + 3 * a**2],
        "source_after_a_step": a + 1,
        "target_after_a_step": a + 1,
    }


def held_by(module, target):
    path, _, name = target.rpartition(".")
    return module.get_submodule(path), name


def same_shapes(module, source, target):
    a, b = module.get_parameter(source), module.get_parameter(target)
    if a.shape != b.shape:
        raise ValueError("shapes differ")
    return a, b


@tying.wrong(
    "`{function}` copies the numbers. The two are equal now, and part ways at the first step: there are still two Parameters."
)
def tie_copies(module, source, target):
    a, b = same_shapes(module, source, target)
    b.data.copy_(a.data)


@tying.wrong(
    "`{function}` shares the memory, but two Parameters remain (`b.data = a.data`, or a new `nn.Parameter` "
    "around it): each has a gradient of its own, and both are counted. Assign the Parameter itself."
)
def tie_shares_memory(module, source, target):
    a, b = same_shapes(module, source, target)
    b.data = a.data


@tying.wrong("`{function}` ties in the wrong direction: the target's numbers survive, and the source's are lost.")
def tie_reversed(module, source, target):
    same_shapes(module, source, target)
    holder, name = held_by(module, source)
    setattr(holder, name, module.get_parameter(target))


@tying.wrong(
    "`{function}` ties Parameters of different shapes. The assignment does not mind, and forward fails much later. Compare first."
)
def tie_no_check(module, source, target):
    holder, name = held_by(module, target)
    setattr(holder, name, module.get_parameter(source))


@tying.wrong("`{function}` compares the number of elements. (4, 3) and (3, 4) have equally many; compare the shapes.")
def tie_checks_numel(module, source, target):
    if module.get_parameter(source).numel() != module.get_parameter(target).numel():
        raise ValueError("sizes differ")
    tie_no_check(module, source, target)


@tying.wrong("`{function}` compares the last size only. (1, 3) and (4, 3) agree in it; compare the whole shapes.")
def tie_checks_last(module, source, target):
    if module.get_parameter(source).shape[-1] != module.get_parameter(target).shape[-1]:
        raise ValueError("sizes differ")
    tie_no_check(module, source, target)


@tying.wrong(
    "`{function}` uses the full name as an attribute of the outermost module. A name with dots is a path: find the module that holds the "
    "Parameter first."
)
def tie_dotted_attribute(module, source, target):
    a, _ = same_shapes(module, source, target)
    setattr(module, target, a)


@tying.wrong(
    "`{function}` assigns a plain tensor to the name of a Parameter (`.data` and `detach()` give one), and the module refuses it."
)
def tie_assigns_tensor(module, source, target):
    a, _ = same_shapes(module, source, target)
    holder, name = held_by(module, target)
    setattr(holder, name, a.detach())


@tying.wrong(
    "`{function}` makes a new Parameter for both names. They are tied, but an optimizer that was made earlier "
    "holds the old one, and trains nothing. The source's own Parameter must stay."
)
def tie_new_for_both(module, source, target):
    a, _ = same_shapes(module, source, target)
    fresh = nn.Parameter(a.detach().clone())
    for path in (source, target):
        holder, name = held_by(module, path)
        setattr(holder, name, fresh)


@tying.wrong("`{function}` takes the Parameter away from the source. Both names shall have it.")
def tie_moves(module, source, target):
    tie_no_check(module, *((source, target) if same_shapes(module, source, target) else ()))
    holder, name = held_by(module, source)
    delattr(holder, name)


@tying.wrong("The two are tied by `{function}`, but the numbers are an average of both. The source's numbers stay.")
def tie_averages(module, source, target):
    a, b = same_shapes(module, source, target)
    a.data.add_(b.data).div_(2)
    tie_no_check(module, source, target)


@tying.wrong("`{function}` changes nothing. Does it assign to an attribute of a module, or to a local name only?")
def tie_local_name(module, source, target):
    a, b = same_shapes(module, source, target)
    b = a  # noqa: F841


@tying.variant
def tie_by_walking(module, source, target):
    shared = dict(module.named_parameters(remove_duplicate=False))[source]
    *way, name = target.split(".")
    holder = module
    for step in way:
        holder = getattr(holder, step)
    if list(getattr(holder, name).shape) != list(shared.shape):
        raise ValueError(f"{source} and {target} differ in shape")
    setattr(holder, name, shared)


@tying.variant
def tie_by_registering(module, source, target):
    a, b = module.get_parameter(source), module.get_parameter(target)
    assert a.size() == b.size(), f"{a.size()} and {b.size()}"
    holder, name = held_by(module, target)
    holder.register_parameter(name, a)


# ---- bce_with_logits -------------------------------------------------------------------------------------

bce = Key(
    "u05-bce-with-logits",
    hints=(
        "What is log(1 + exp(z)) for z = 200, roughly? You need no computer for it.",
        "`torch.logaddexp(a, b)` is log(exp(a) + exp(b)), safely. Which a and b give log(1 + exp(z))? Then subtract y z, and take the mean.",
        "A near-example, the loss -log p of class 1 alone, which is log(1 + exp(-z)): `torch.logaddexp(-z, torch.zeros_like(z)).mean()`.",
    ),
    forbids=("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", "binary_cross_entropy", "BCELoss"),
    cases=6,
    guards=("z_after",),
    weights={"loss": 2, "grad": 3, "(refuses wrong input)": 2},
    tolerance={"loss": SINGLE, "grad": SINGLE, "z_after": EXACT},
)


@bce.inputs
def _(g, case):
    if case >= 4:
        z, y = [((5, 1), (5,)), ((4, 3), (1, 3))][case - 4]
        return {"z": normal(g, *z), "y": torch.rand(y, generator=g).round(), "upstream": torch.tensor(1.5)}
    shape = [(6,), (7,), (3, 4), (5,)][case]
    z, y = 2 * normal(g, *shape), torch.rand(shape, generator=g)
    if case == 1:  # confident and right, undecided, confident and wrong
        big = 150 + 100 * torch.rand(4, generator=g)
        z = torch.cat([big * torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.zeros(2), z[:1]])
        y = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    if case == 2:
        y = y.round()
    if case == 3:  # confident and right only: one nan would spoil all
        z = torch.tensor([200.0, -200.0, 1.0, -1.0, 0.5])
        y = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    return {"z": z, "y": y, "upstream": 0.5 + torch.rand((), generator=g)}


@bce.oracle
def _(z, y, upstream):
    if z.shape != y.shape:
        return {}
    leaf = z.double().requires_grad_()
    loss = nn.functional.binary_cross_entropy_with_logits(leaf, y.double())
    return {"loss": loss.detach(), "grad": torch.autograd.grad(upstream * loss, leaf)[0], "z_after": z}


def refuse(z, y):
    if z.shape != y.shape:
        raise ValueError("shapes differ")


def terms(z, y):
    return torch.logaddexp(z, torch.zeros_like(z)) - y * z


@bce.wrong(
    "`{function}` is infinite or nan for large logits: it computes the probability first and its logarithm "
    "afterwards. A float32 sigmoid of 200 is exactly 1. Simplify the formula before you compute."
)
def bce_naive(z, y):
    refuse(z, y)
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@bce.wrong(
    "`{function}` clamps the probability. The loss is finite then, but too small for a confident mistake, and "
    "its gradient there is 0: the worst samples teach nothing."
)
def bce_clamped(z, y):
    refuse(z, y)
    p = torch.sigmoid(z).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@bce.wrong(
    "`{function}` writes log(1 + exp(z)) out, and exp(z) overflows for z above 88. PyTorch has a function for the logarithm of a sum of "
    "exponentials."
)
def bce_overflows(z, y):
    refuse(z, y)
    return (torch.log(1 + torch.exp(z)) - y * z).mean()


KINKS = (
    "The loss of `{function}` is right everywhere, and its gradient is wrong where a logit is exactly 0: "
    "`clamp`, `relu` and `abs` have kinks there. Weights that start at 0 give such logits."
)


@bce.wrong(KINKS)
def bce_kinks(z, y):
    """As with clamp up to torch 2.13, which passes the gradient at its bound."""
    refuse(z, y)
    return (torch.where(z >= 0, z, 0 * z) - y * z + torch.log1p(torch.exp(-z.abs()))).mean()


@bce.wrong(KINKS)
def bce_kinks_closed(z, y):
    """As with relu, and with clamp since torch 2.15, which stop it there."""
    refuse(z, y)
    return (torch.relu(z) - y * z + torch.log1p(torch.exp(-z.abs()))).mean()


@bce.wrong("`{function}` adds the losses up. Asked for is their mean.")
def bce_sum(z, y):
    refuse(z, y)
    return terms(z, y).sum()


@bce.wrong("`{function}` takes the mean over the samples only, and adds up over the rest.")
def bce_rows(z, y):
    refuse(z, y)
    return terms(z, y).sum() / len(z)


@bce.wrong("`{function}` exchanges the two classes: it rewards a high logit where y is 0.")
def bce_swapped(z, y):
    refuse(z, y)
    return terms(z, 1 - y).mean()


@bce.wrong("`{function}` has the wrong sign: its loss falls as the predictions get worse.")
def bce_sign(z, y):
    refuse(z, y)
    return -terms(z, y).mean()


@bce.wrong(
    "`{function}` is the loss for class 1 alone: samples with y = 0 do not count in it as they should. Both "
    "terms of the formula are needed."
)
def bce_one_class(z, y):
    refuse(z, y)
    return (y * torch.logaddexp(-z, torch.zeros_like(z))).mean()


@bce.wrong(
    "`{function}` applies the sigmoid before it begins. Its input is a logit already as it is; squashed twice, it lies between 0 and 1."
)
def bce_double_sigmoid(z, y):
    refuse(z, y)
    return terms(torch.sigmoid(z), y).mean()


@bce.wrong("`{function}` returns one loss per entry. Asked for is their mean, one number.")
def bce_not_reduced(z, y):
    refuse(z, y)
    return terms(z, y)


@bce.wrong(
    "The loss of `{function}` has no past: no gradient reaches z. Is there a `detach`, `.item()` or a new tensor on the way?"
)
def bce_detached(z, y):
    refuse(z, y)
    return terms(z, y).mean().detach()


@bce.wrong(
    "The numbers are right, but `{function}` accepts shapes that differ, and broadcasts: (5, 1) against (5,) "
    "compares every prediction with every label. Refuse first."
)
def bce_no_check(z, y):
    return terms(z, y).mean()


@bce.wrong("`{function}` compares the number of elements, and lets (5, 1) against (5,) pass. Compare the shapes.")
def bce_checks_numel(z, y):
    if z.numel() != y.numel():
        raise ValueError("sizes differ")
    return terms(z, y).mean()


@bce.wrong(
    "`{function}` compares the number of axes only, and lets (4, 3) against (1, 3) pass. Compare the sizes, too."
)
def bce_checks_axes(z, y):
    if z.dim() != y.dim():
        raise ValueError("axes differ")
    return terms(z, y).mean()


@bce.variant
def bce_by_softplus(z, y):
    if tuple(z.shape) != tuple(y.shape):
        raise ValueError(f"{tuple(z.shape)} and {tuple(y.shape)}")
    return (y * nn.functional.softplus(-z) + (1 - y) * nn.functional.softplus(z)).mean()


@bce.variant
def bce_by_logsigmoid(z, y):
    assert z.size() == y.size(), f"{z.size()} and {y.size()}"
    losses = -(y * nn.functional.logsigmoid(z)) - (1 - y) * nn.functional.logsigmoid(-z)
    return losses.sum() / losses.numel()


@bce.variant
def bce_by_logsumexp(z, y):
    refuse(z, y)
    return torch.stack([torch.zeros_like(z), z]).logsumexp(dim=0).mean() - (y * z).mean()


# ---- LogisticRegression ----------------------------------------------------------------------------------

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


class Logistic(nn.Module):
    """A sound model whose parts can be exchanged."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight + self.bias

    def error(self, x, y):
        return (torch.sigmoid(self(x)) - y) / len(y)

    @torch.no_grad()
    def backward(self, x, y):
        self.fill(x, self.error(x, y))

    def fill(self, x, grad_z):
        self.weight.grad, self.bias.grad = x.T @ grad_z, grad_z.sum()

    @torch.no_grad()
    def optimize(self, lr):
        for p in self.parameters():
            p -= lr * p.grad


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


# ---- the step that goes nowhere --------------------------------------------------------------------------

step = Key(
    "u05-hunt-step",
    hints=(
        "After `a = [1]; b = a; b = b + [2]`: what is in `a`?",
        "`p = ...` makes the name p refer to something new. Which operation writes into the tensor that p refers to?",
        "A near-example: `t = t * 2` makes a new tensor and leaves the old one alone; `t *= 2` and `t.mul_(2)` change the tensor itself.",
    ),
    guards=("unused", "grads_after"),
    tolerance={
        "unused": EXACT,
        "grads_after": EXACT,
        "weight": Tolerance(1e-6, 1e-7, "one float32 product and one difference"),
        "bias": Tolerance(1e-6, 1e-7, "one float32 product and one difference"),
    },
)


@step.inputs
def _(g, case):
    i, o = [(3, 2), (2, 4), (5, 1)][case]
    return {
        "weight": normal(g, i, o),
        "bias": normal(g, o),
        "unused": normal(g, 2),
        "grad_weight": normal(g, i, o),
        "grad_bias": normal(g, o),
        "lr": 0.25 + 0.5 * float(torch.rand((), generator=g)),
    }


@step.oracle
def _(weight, bias, unused, grad_weight, grad_bias, lr):
    return {
        "weight": weight.double() - lr * grad_weight,
        "bias": bias.double() - lr * grad_bias,
        "unused": unused,
        "grads_after": [grad_weight, grad_bias],
    }


@step.wrong("`{function}` moves the parameters now, uphill: it adds the gradient.")
@torch.no_grad()
def step_uphill(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p += lr * p.grad


@step.wrong("`{function}` moves the parameters by the whole gradient: the learning rate is gone.")
@torch.no_grad()
def step_no_rate(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= p.grad


@step.wrong("`{function}` ends at the first parameter without a gradient. Those behind it want their step, too.")
@torch.no_grad()
def step_stops(parameters, lr):
    for p in parameters:
        if p.grad is None:
            break
        p -= lr * p.grad


@step.wrong("`{function}` fails at a parameter without a gradient. The line that skipped it was right.")
@torch.no_grad()
def step_none(parameters, lr):
    for p in parameters:
        p -= lr * p.grad


@step.wrong("`{function}` writes into a leaf while autograd records, and autograd refuses it. The `no_grad` was right.")
def step_recorded(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad


@step.wrong(
    "The parameters of `{function}` are right, and the gradients are cleared. That is the business of "
    "`zero_grad`, at a moment of the caller's choice."
)
@torch.no_grad()
def step_clears(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p -= lr * p.grad
            p.grad.zero_()


@step.wrong("`{function}` scales the gradient itself, in place. The next reader of `.grad` finds another number.")
@torch.no_grad()
def step_scales_gradient(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.sub_(p.grad.mul_(lr))


@step.wrong("`{function}` puts the step in place of the parameter: its old value is lost.")
@torch.no_grad()
def step_overwrites(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.copy_(-lr * p.grad)


@step.wrong("`{function}` changes the gradients instead of the parameters. Which of the two stands on the left?")
@torch.no_grad()
def step_moves_gradient(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.grad -= lr * p


@step.variant
def step_by_data(parameters, lr):
    for p in parameters:
        if p.grad is not None:
            p.data = p.data - lr * p.grad


@step.variant
def step_by_add(parameters, lr):
    chosen = [p for p in parameters if p.grad is not None]
    with torch.no_grad():
        for p in chosen:
            p.add_(p.grad, alpha=-lr)


@step.variant
def step_by_optim(parameters, lr):
    torch.optim.SGD(parameters, lr=lr).step()


# ---- fit_line --------------------------------------------------------------------------------------------

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
