# %% [markdown]
# # Parameter
#
# In the last unit you built the container, `nn.Module`. This unit is about what goes into it. A module holds
# numbers of several kinds: some are learned, some are kept but not learned, some are only passing through.
# PyTorch tells them apart by their *type* and by *where they are stored*, and a number of the wrong kind never
# raises an error: it is silently not trained, or not saved, or left behind on another device.
#
# At the end you will be able to
#
# - say what makes a tensor a parameter, and predict `parameters()`, `state_dict()` and `print(model)` for any
#   module;
# - choose between Parameter, buffer and plain tensor;
# - move weights between layers of different layout, and share one weight between two layers;
# - explain why weights start at random, and at which size;
# - write logistic regression with its gradient by hand, in a form that survives large numbers;
# - fit a line to NumPy arrays with code that runs unchanged on a CPU and on a GPU.
#
# You need autograd (unit 2) and modules (unit 4). Plan about two hours. There are seven exercises and two bug
# hunts, 40 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import numpy as np
import torch
from torch import nn

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Write down your answers first, then run the cell.
#
# 1. A module has a `nn.Linear(4, 3)` as an attribute, and two `nn.Linear(2, 2)` in a plain Python list. How
#    many numbers do its `parameters()` hold?
# 2. `w` is a leaf that requires a gradient and holds 2. You compute $v = 3w$, then $v^2$, and go backward. What
#    is in `w.grad`, and what is in `v.grad`?
# 3. One `nn.Linear(5, 5)` is called three times in `forward`. How many parameters (numbers, not tensors) does
#    the module have?

# %%
model = nn.Module()
model.first, model.others = nn.Linear(4, 3), [nn.Linear(2, 2), nn.Linear(2, 2)]
print("1.", sum(p.numel() for p in model.parameters()))
w = torch.tensor(2.0, requires_grad=True)
v = 3 * w
(v ** 2).backward()
print("2.", w.grad.item(), "and", "nothing: v is no leaf" if not v.is_leaf else v.grad)
shared = nn.Linear(5, 5)
thrice = nn.Sequential(shared, shared, shared)
print("3.", sum(p.numel() for p in thrice.parameters()))

# %% [markdown]
# 1. {shown 15}: twelve weights and three biases. A list is not a module, so what is in it is invisible.
# 2. $d(9w^2)/dw = 18w = {shown 36}$. Autograd fills `.grad` of leaves only. `v` was computed, so it has none, and an
#    optimizer that held `v` would have nothing to go by.
# 3. {shown 30}. A layer that is used three times is still one layer.
#
# Each of the three comes back in this unit, one level lower: for tensors in place of layers.

# %% [markdown]
# ## 1. What makes a tensor a parameter
#
# ### 1.1 A type, and a drawer
#
# `nn.Parameter` is a subclass of `Tensor`. It adds next to nothing: `requires_grad` is on from the start, and
# the type has another name. But in unit 4 you wrote `__setattr__`, and there the name decides everything. A
# module has three drawers:
#
# | what you assign | where it is put | how it got there |
# |---|---|---|
# | an `nn.Parameter` | `module._parameters` | `__setattr__` looked at the type |
# | a tensor given to `register_buffer` | `module._buffers` | you said so |
# | any other tensor | `module.__dict__` | as any Python attribute |
#
# Everything that acts on a whole model goes through the first two drawers: `parameters()` (and so the
# optimizer), `state_dict()` (and so saving), `.to(...)`. The third is seen by nobody but your own `forward`.
#
# **Predict** three lines: which names are in `named_parameters()`, which in `state_dict()`, and which tensors
# are `float64` after `.double()`?

# %%
layer = nn.Module()
layer.learned = nn.Parameter(torch.ones(2))
layer.register_buffer("kept", torch.ones(2))
layer.passing = torch.ones(2)
layer.hoped_for = torch.ones(2, requires_grad=True)        # will it be learned?
names = ["learned", "kept", "passing", "hoped_for"]
print("parameters:", [name for name, _ in layer.named_parameters()])
print("state_dict:", list(layer.state_dict()))
layer.double()
print("double    :", [name for name in names if getattr(layer, name).dtype == torch.float64])

# %% [markdown]
# Only `learned` is a parameter; `learned` and `kept` are saved and converted. `hoped_for` requires a gradient
# and gets one at every backward pass, and it is in no list: no optimizer will ever move it. **A tensor with
# `requires_grad=True` is not a parameter.**
#
# ### 1.2 The type is easily lost
#
# Operations on a Parameter give ordinary tensors. They must: a result is computed, it has a `grad_fn`, and it
# is no leaf. **Predict** which of the four attributes below are parameters of the module.

# %%
made = nn.Module()
made.a = nn.Parameter(torch.randn(3)) * 0.01
made.b = nn.Parameter(torch.randn(3) * 0.01)
made.c = nn.Parameter(torch.randn(3)).to(torch.float64)
made.d = nn.Parameter(torch.randn(3)).to("cpu")
for name in "abcd":
    t = getattr(made, name)
    print(name, type(t).__name__, "leaf" if t.is_leaf else "computed", "listed" if name in dict(made.named_parameters()) else "lost")

# %% [markdown]
# `a` and `c` are lost: the Parameter existed for a moment, and what was stored is the result of an operation on
# it. `d` is the nastiest of the four. `.to("cpu")` has nothing to do for a tensor that is there already, so it
# returns the Parameter itself; the same line with `"cuda"` returns a copy, and the model loses its weight on a
# machine with a GPU only. The rule: **`nn.Parameter(...)` is the outermost call.** Whatever is to be scaled,
# converted or moved is scaled, converted or moved inside.
#
# Once a name holds a Parameter, the module guards it. **Predict** what happens when a plain tensor is assigned
# to it:

# %%
linear = nn.Linear(2, 2)
with expect_error(TypeError):
    linear.weight = torch.zeros(2, 2)
with torch.no_grad():
    linear.weight.copy_(torch.zeros(2, 2))                 # the numbers change, the Parameter stays
print(type(linear.weight).__name__, linear.weight.tolist())

# %% [markdown]
# Assigning `nn.Parameter(torch.zeros(2, 2))` would have worked too, and it is something else: the module then
# has *another* Parameter, while an optimizer that was made before still holds the old one. To change the
# numbers, write into the Parameter, with recording switched off.
#
# ### 1.3 Your linear layer
#
# $y = xW + b$ with $W$ of shape $(i, o)$: a (3, 7) batch times a (7, 5) weight gives (3, 5). This is the layout
# of units 1 to 3. (`nn.Linear` stores the transpose, as section 2 discusses.) Both parameters must be found
# under the names `weight` and `bias`.
#
# For a start, draw the weights uniformly between $-1/\sqrt{i}$ and $1/\sqrt{i}$, and set the bias to zeros.
# Section 4 says why weights must not start equal, and where the $\sqrt{i}$ comes from. The check looks at both
# through a layer 40 times as large, where chance plays no role.
#
# {exercise u05-my-linear}

# %%
class MyLinear(nn.Module):
    """The layer x @ weight + bias."""

    def __init__(self, i, o):
        """Args: i, o: sizes in and out. Makes weight (i, o), uniform in ±1/sqrt(i), and bias (o,), zeros: both learned."""
        super().__init__()
        ### BEGIN SOLUTION
        bound = i ** -0.5
        self.weight = nn.Parameter(torch.empty(i, o).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(o))
        ### END SOLUTION

    def forward(self, x):
        """Args: x: (..., i). Returns: (..., o)."""
        ### BEGIN SOLUTION
        return x @ self.weight + self.bias
        ### END SOLUTION

# %%
@check("u05-my-linear")
def observe(x, weight, bias, upstream, seed):
    torch.manual_seed(seed)
    i, o = weight.shape
    layer, large = MyLinear(i, o).to(x.device), MyLinear(40 * i, 40 * o)
    shapes = {name: list(p.shape) for name, p in layer.named_parameters()}
    start, first_bias = large.weight.detach(), large.bias.detach()
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    out = layer(x)
    (upstream * out).sum().backward()
    grads = {name: p.grad for name, p in layer.named_parameters()}
    return {"parameters": shapes, "out": out.detach(), "grads": grads, "first_bias": first_bias.abs().sum().item(),
            "spread": (start.std() * (40 * i) ** 0.5).item(), "largest": (start.abs().max() * (40 * i) ** 0.5).item(),
            "different_columns": torch.unique(start, dim=1).shape[1]}

# %% [markdown]
# ### 1.4 Bug hunt: the layer that learns only its bias
#
# A scoring layer starts from given weights, scaled down. The first training step works, and the second one
# stops with a message that speaks of something else:
#
# ```text
# RuntimeError: Trying to backward through the graph a second time (...). Specify retain_graph=True if you need to
# backward through the graph a second time (...)
# ```
#
# Somebody followed that advice. Now it runs, and in a test with 64 samples whose targets are a linear function
# of x, the loss falls from 12.18 to 10.92 and stays there. Mended, the same program reaches $10^{-5}$ after 300
# steps. The optimizer never complained, since it did receive something to train:
#
# ```text
# >>> [name for name, _ in Scorer(torch.randn(7, 5), 0.01).named_parameters()]
# ['bias']
# ```
#
# Had there been no bias, it would have said `optimizer got an empty parameter list`. Find the line, and say why
# the graph of the first step was still there in the second.
#
# {exercise u05-hunt-scaled}

# %%
class Scorer(nn.Module):
    """The layer x @ weight + bias, whose weight starts at `start * scale` and is learned, as is the bias."""

    def __init__(self, start, scale):
        """Args: start: (i, o) float, stays as it is. scale: a Python number."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(start.shape[1], device=start.device))
        ### BEGIN SOLUTION
        self.weight = nn.Parameter(start * scale)
        ### RELEASE SHOWS
        # self.weight = nn.Parameter(start) * scale
        ### END SOLUTION

    def forward(self, x):
        """Args: x: (N, i). Returns: (N, o)."""
        return x @ self.weight + self.bias

# %%
@check("u05-hunt-scaled")
def observe(start, scale, x, upstream):
    layer = Scorer(start, scale)
    first = layer(x).detach()
    names = sorted(name for name, _ in layer.named_parameters())
    (upstream * layer(x)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    return {"out_before": first, "parameters": names, "weight_after_a_step": layer.weight.detach(), "bias_after_a_step": layer.bias.detach(),
            "saved": sorted(layer.state_dict()), "start_after": start}

# %% [markdown]
# The product was computed once, in `__init__`, so there was one node for it, and every step's graph ended in
# that same node. The first backward pass freed what it had saved. When a program asks you for
# `retain_graph=True` and you cannot say why, look for something that was computed outside of the loop.

# %% [markdown]
# ## 2. Parameter, buffer, or neither
#
# ### 2.1 A hidden state
#
# A recurrent layer reads a sequence step by step, and carries a **state** from one step to the next:
#
# $$s_t = \tanh(x_t A + s_{t-1} B) .$$
#
# $A$ and $B$ are learned. What is $s$? It changes with every step, but not by an optimizer. It has to be where
# the weights are: on their device, in their dtype. And when a model is saved in the middle of a text, it should
# be saved too. The next cell stores it in all three ways. **Predict** the row of each: is it in `parameters()`,
# is it in `state_dict()`, does it follow `.double()`, and does a step run?

# %%
class Recurrent(nn.Module):
    def __init__(self, store):
        super().__init__()
        self.A = nn.Parameter(torch.randn(4, 3) / 2)
        self.B = nn.Parameter(torch.randn(3, 3) / 3 ** 0.5)
        store(self, torch.zeros(3))

    def forward(self, x):
        new = torch.tanh(x @ self.A + self.state @ self.B)
        self.state = new.detach()                          # remembered without its past
        return new

# %%
ways = {"Parameter": lambda m, s: setattr(m, "state", nn.Parameter(s)), "buffer": lambda m, s: m.register_buffer("state", s),
        "plain tensor": lambda m, s: setattr(m, "state", s)}
for name, store in ways.items():
    m = Recurrent(store).double()
    lists = ["state" in dict(m.named_parameters()), "state" in m.state_dict()]
    try:
        outcome = f"runs, state {m(torch.ones(2, 4).double()).dtype}"
    except (TypeError, RuntimeError) as error:
        outcome = f"{type(error).__name__}: {str(error)[:58]}"
    print(f"{name:13} parameters {lists[0]!s:6} state_dict {lists[1]!s:6} {outcome}")

# %% [markdown]
# - As a **Parameter** it would be handed to the optimizer, which would subtract a gradient from a memory. The
#   first step raises a `{shown TypeError}`, since a plain tensor cannot replace a Parameter.
# - As a **plain tensor** it stays `float32` (and on the CPU) while the weights go elsewhere.
# - As a **buffer** it is saved, it moves, and it may be assigned anew: the name keeps its drawer.
#
# The `detach()` is needed however the state is stored. Without it, the second backward pass would reach through
# the state into the first step's graph, which is gone. Some buffers should move but not be saved, such as a
# mask that can be computed again: `register_buffer(name, t, persistent=False)`.
#
# | | Parameter | frozen Parameter | buffer | unsaved buffer | plain tensor |
# |---|---|---|---|---|---|
# | `parameters()` | yes | yes | no | no | no |
# | gets a gradient, is trained | yes | no | no | no | no |
# | `state_dict()` | yes | yes | yes | no | no |
# | follows `.to()`, `.double()` | yes | yes | yes | yes | no |
#
# A **frozen** Parameter has `requires_grad` switched off. It stays in `parameters()`: an optimizer skips it
# since its `.grad` is `None`. The usual examples of buffers are the running mean and variance of a `BatchNorm`,
# and the frequencies of a positional encoding.
#
# ### 2.2 Lists of parameters, and what print shows
#
# For several Parameters under one name there are `nn.ParameterList` and `nn.ParameterDict`, as `nn.ModuleList`
# is for modules. A plain list hides what is in it. **Predict** what `print` shows of the four attributes.

# %%
class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1))
        self.hidden = [nn.Parameter(torch.ones(2, 3)) for _ in range(2)]
        self.listed = nn.ParameterList(nn.Parameter(torch.ones(2, 3)) for _ in range(2))
        self.head = nn.Linear(3, 1)

model = Mixture()
print(model)
print({name: tuple(p.shape) for name, p in model.named_parameters()})

# %% [markdown]
# `print(model)` shows **modules**. A `ParameterList` is one, so its entries appear, and `head` appears. The
# Parameter `temperature` does not appear, although it is trained, and neither does `hidden`, which is not. So
# the printout is no inventory: what is trained is what `named_parameters()` lists, with names that are the path
# to each Parameter, such as `listed.0` and `head.weight`. (A class can add to its own line of the printout with
# the method `extra_repr`.)
#
# ### 2.3 An inventory
#
# Write the inventory that `print` is not. For every tensor that is held by a module or by one of its
# submodules, at any depth, say what it is:
#
# | kind | meaning |
# |---|---|
# | `"trained"` | a Parameter that requires a gradient |
# | `"frozen"` | a Parameter that does not |
# | `"tied"` | a Parameter that is listed already, under another name |
# | `"buffer"`, `"unsaved buffer"` | a buffer that is, or is not, in the `state_dict` |
# | `"forgotten"` | an ordinary attribute that requires a gradient: probably meant as a Parameter |
# | `"constant"` | an ordinary attribute that does not |
#
# Names are full paths, as in `state_dict()`. The order is that of `named_modules()`: a module's own entries,
# then its children's. Of two names of one Parameter, the later is `"tied"`. The count is the number of
# *numbers* that will be trained. A forgotten tensor is not among them, and a tied one counts once.
#
# A hint at the tools: `named_modules()`, `named_parameters(recurse=False)` and `named_buffers(recurse=False)`
# go through one module each, and `vars(module)` is the dictionary of its ordinary attributes.
# `named_parameters` leaves out repetitions *within one call*, so one Parameter under two names of the same
# module needs `remove_duplicate=False`.
#
# {exercise u05-trainable-report}

# %%
def trainable_report(module):
    """List every tensor that a module and its submodules hold, by kind.

    Args: module: nn.Module; stays as it is. Attributes that are no tensors, lists included, and Parameters that are None are left out.
    Returns: (kinds, count). kinds: full name -> "trained", "frozen", "tied", "buffer", "unsaved buffer", "forgotten" or "constant".
        count: how many numbers are trained.
    """
    ### BEGIN SOLUTION
    kinds, seen, count = {}, set(), 0
    saved = module.state_dict()
    for prefix, part in module.named_modules():
        path = f"{prefix}." if prefix else ""
        for name, p in part.named_parameters(recurse=False, remove_duplicate=False):
            kinds[path + name] = "tied" if id(p) in seen else "trained" if p.requires_grad else "frozen"
            count += p.numel() if kinds[path + name] == "trained" else 0
            seen.add(id(p))
        for name, _ in part.named_buffers(recurse=False):
            kinds[path + name] = "buffer" if path + name in saved else "unsaved buffer"
        for name, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                kinds[path + name] = "forgotten" if value.requires_grad else "constant"
    return kinds, count
    ### END SOLUTION

# %%
@check("u05-trainable-report")
def observe(parts):
    root = nn.Module()
    for path, how, shape in parts:
        *way, name = path.split(".")
        at = root
        for step in way:
            if step not in dict(at.named_children()):
                at.add_module(step, nn.Module())
            at = at.get_submodule(step)
        t = torch.ones(shape, device=device)
        if how.startswith("same as "):
            at.register_parameter(name, root.get_parameter(how[8:]))
        elif how in ("parameter", "no gradient", "absent"):
            at.register_parameter(name, None if how == "absent" else nn.Parameter(t, requires_grad=how == "parameter"))
        elif how in ("buffer", "not persistent"):
            at.register_buffer(name, t, persistent=how == "buffer")
        else:
            setattr(at, name, {"text": "a text", "list": [t]}.get(how, t.requires_grad_(how == "tensor with gradient")))
    kinds, count = trainable_report(root)
    return {"kinds": kinds, "count": count}

# %% [markdown]
# When it works, try it on the modules above: `trainable_report(layer)`, `trainable_report(made)` and
# `trainable_report(Recurrent(ways["buffer"]))`. And keep it. The most useful line of debugging output in a
# training script is the number of trained numbers.

# %% [markdown]
# ## 3. Moving weights and sharing them
#
# ### 3.1 Two layouts of one layer
#
# `nn.Linear(7, 5)` stores its weight as (5, 7), one row per *output*, and computes $x W^\top + b$. Yours stores
# (7, 5) and computes $x W + b$. Both are common; weights that you download come in either, and to load one into
# the other means to transpose.
#
# **Predict** the shape of the weight of a `nn.Linear(7, 5)`. Then `x`, (3, 7), is multiplied by the weights of two
# layers as they are stored, a `nn.Linear(7, 7)` and a `nn.Linear(7, 5)`. Which of the two products raises? Is the
# other one right?

# %%
print(tuple(nn.Linear(7, 5).weight.shape))
x, square = torch.ones(3, 7), nn.Linear(7, 7)
print(tuple((x @ square.weight).shape), "as the layer computes it:", torch.allclose(x @ square.weight + square.bias, square(x)))
with expect_error(RuntimeError):
    x @ nn.Linear(7, 5).weight

# %% [markdown]
# The wrong layout raises for a {shown (5, 7)} weight, and goes unnoticed for a (7, 7) one, whose product has the right
# shape and wrong numbers. Square layers are frequent
# in real networks (all four projections of an attention layer are), so a loader needs a test that compares
# *outputs*.
#
# There is a second trap, and it lies in `nn.Parameter` itself. `nn.Parameter(t)` does not copy: the Parameter
# is another view on the memory of `t`. **Predict** what `p` holds in the end.

# %%
t = torch.zeros(2, 3)
p = nn.Parameter(t.T)
t[0, 1] = 7.0
print(p.tolist(), "shares memory:", p.data_ptr() == t.data_ptr())

# %% [markdown]
# The {shown 7} arrived. Two layers that share memory *by accident* are trained together by accident: each optimizer
# step on one moves the other.
#
# Write the conversion. The new layer shall have the dtype and the device of the old one, its own memory, and
# the same outputs. It uses your `MyLinear`, so finish that first.
#
# {exercise u05-from-torch}

# %%
def from_torch(linear):
    """Make a MyLinear that computes the same as a nn.Linear.

    Args: linear: nn.Linear, with or without bias (bias=None); stays as it is.
    Returns: MyLinear with copies of its numbers, in its dtype and on its device; the bias is zeros if there was none.
    """
    ### BEGIN SOLUTION
    layer = MyLinear(linear.in_features, linear.out_features).to(linear.weight)    # dtype and device
    with torch.no_grad():
        layer.weight.copy_(linear.weight.T)
        if linear.bias is not None:
            layer.bias.copy_(linear.bias)
    return layer
    ### END SOLUTION

# %%
@check("u05-from-torch")
def observe(weight, bias, x, upstream):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    layer = from_torch(linear)
    before = linear.weight.detach().clone()
    out = layer(x).detach()
    with torch.no_grad():
        linear.weight.mul_(3.0)                    # the old layer is trained on, the new one is not
        if bias is not None:
            linear.bias.add_(1.0)
    grads = torch.autograd.grad((upstream * layer(x)).sum(), list(layer.parameters()))
    return {"kind": type(layer).__name__, "parameters": {name: list(p.shape) for name, p in layer.named_parameters()}, "out": out,
            "out_when_the_old_layer_changed": layer(x).detach(), "grads": list(grads), "old_weight_after": before}

# %% [markdown]
# ### 3.2 Sharing on purpose: weight tying
#
# A language model has a table of word vectors at its entrance, (V, D) for V words, and a layer at its exit that
# scores all V words: `nn.Linear(D, V)`, whose weight is (V, D) too. Both say something about the same words, so
# many models use **one** Parameter for both. With 50 000 words and 768 features that saves 38 million numbers,
# and rare words learn from both uses.
#
# To tie means: *two names, one object*. Unit 4 showed what follows, there for whole layers: the Parameter is
# listed once, its gradient is the sum over both uses, and the `state_dict` has it under both names. **Predict**
# the two counts and the three lists.

# %%
torch.manual_seed(seed)
tiny = nn.ModuleDict({"embed": nn.Embedding(6, 4), "head": nn.Linear(4, 6, bias=False)})
print("before:", sum(p.numel() for p in tiny.parameters()))
tiny["head"].weight = tiny["embed"].weight                 # a Parameter, so the assignment is allowed
print("after :", sum(p.numel() for p in tiny.parameters()), [name for name, _ in tiny.named_parameters()], list(tiny.state_dict()))
tiny["head"](tiny["embed"](torch.tensor([2]))).sum().backward()
print(tiny["embed"].weight.grad.abs().sum(dim=1) > 0)

# %% [markdown]
# {shown 48} before, {shown 24} after; one name in `named_parameters()`, two in the `state_dict`. The gradient is nonzero in
# every row: row 2 was looked up at the entrance, and all rows score at the exit.
#
# What is *not* tying: copying the numbers, after which both go their own ways from the first step on; and
# `b.data = a.data`, which shares the memory but leaves two Parameters. Each of them has a gradient of its own,
# so an optimizer with momentum keeps two memories of one weight, and a regularizer counts it twice.
#
# Write `tie` for any two parameters, given by their full names. `module.get_parameter("text.embed.weight")`
# finds one, and `module.get_submodule("text.embed")` the module that holds it; `get_submodule("")` is the
# module itself. Two different shapes cannot be tied: raise a `ValueError` that names both, and leave everything
# as it was.
#
# {exercise u05-tie}

# %%
def tie(module, source, target):
    """Let the name `target` refer to the Parameter that `source` names. The source's numbers stay, the target's are dropped.

    Args: module: nn.Module, changed. source, target: full names of two of its Parameters, such as "text.embed.weight".
    Raises: ValueError: if their shapes differ; the module is then unchanged.
    """
    ### BEGIN SOLUTION
    shared, old = module.get_parameter(source), module.get_parameter(target)
    if shared.shape != old.shape:
        raise ValueError(f"{source} has shape {tuple(shared.shape)}, {target} has {tuple(old.shape)}; they must agree")
    path, _, name = target.rpartition(".")
    setattr(module.get_submodule(path), name, shared)
    ### END SOLUTION

# %%
@check("u05-tie")
def observe(values, source, target, upstream):
    module = nn.Module()
    for path, t in values.items():
        *way, name = path.split(".")
        at = module
        for step in way:
            if step not in dict(at.named_children()):
                at.add_module(step, nn.Module())
            at = at.get_submodule(step)
        at.register_parameter(name, nn.Parameter(t))
    held = module.get_parameter(source)            # as an optimizer would hold it
    tie(module, source, target)
    parameters = list(module.parameters())
    a, b = module.get_parameter(source), module.get_parameter(target)
    grads = torch.autograd.grad((upstream * a).sum() + (b ** 3).sum(), parameters, allow_unused=True)
    seen = {"value": b.detach().clone(), "tensors": len(parameters), "saved": sorted(module.state_dict()),
            "grads": [g for g in grads if g is not None]}
    with torch.no_grad():
        held.add_(1.0)
    return {**seen, "source_after_a_step": a.detach(), "target_after_a_step": b.detach()}

# %% [markdown]
# ## 4. Where weights start
#
# ### 4.1 Not all equal
#
# Zeros look like a neutral start, and any constant looks like a fair one. Take a hidden layer of 4 units, all
# of whose weights are 0.1. **Predict** how the four rows of its gradient differ, and how its four rows of
# weights differ after 100 steps of training.

# %%
torch.manual_seed(seed)
x, y = torch.randn(64, 7), torch.randn(64, 1)
for start in ("constant", "random"):
    net = nn.Sequential(nn.Linear(7, 4), nn.Tanh(), nn.Linear(4, 1))
    if start == "constant":
        [nn.init.constant_(p, 0.1) for p in net.parameters()]
    for _ in range(100):
        grads = torch.autograd.grad(((net(x) - y) ** 2).mean(), list(net.parameters()))
        with torch.no_grad():
            [p.sub_(0.1 * g) for p, g in zip(net.parameters(), grads, strict=True)]
    w = net[0].weight.detach()
    print(f"{start:9} rank {torch.linalg.matrix_rank(w)}, the rows differ by up to {(w - w[0]).abs().max():.0e}")

# %% [markdown]
# The four rows of the gradient are identical, since the four units compute the same thing and are used in the
# same way. So the weights stay equal after every step: the matrix has {shown rank 1}, and the layer does what a single unit could do. Random numbers **break the symmetry**. That is all that
# randomness is for, and it is why a bias may start at zero.
#
# ### 4.2 How large
#
# Let a layer have $n$ inputs, and weights of mean 0 and variance $\sigma^2$. An output before the bend is a sum
# of $n$ products $x_j W_{jk}$. Their means are 0, and the variances of independent terms add up:
#
# $$\operatorname{Var}(h_k) = \sum_{j=1}^{n} E[x_j^2]\, \sigma^2 = n\, \sigma^2\, E[x^2] .$$
#
# So each layer multiplies the mean square of the numbers by $n \sigma^2$, and a relu, which drops the negative
# half, by another ½. After $L$ layers the factor is $(n \sigma^2 / 2)^L$. Unless it is 1, the numbers vanish or
# explode geometrically. Write the **gain** $g$ for $\sigma = g / \sqrt{n}$:
#
# | start | $\sigma$ | factor per layer with relu, $g^2 / 2$ |
# |---|---|---|
# | He, or Kaiming: `nn.init.kaiming_normal_` | $\sqrt{2/n}$ | 1 |
# | LeCun; Xavier or Glorot where both sides are $n$ | $\sqrt{1/n}$ | ½ |
# | `nn.Linear`, and your `MyLinear`: uniform in $\pm 1/\sqrt{n}$ | $\sqrt{1/(3n)}$ | 1/6 |
#
# (A uniform number in $\pm c$ has the variance $c^2/3$.) **Predict** from the table what is left of a mean
# square of 1 after 20 layers of `nn.Linear` and relu, without biases. Then look at the measured curves, first
# for relu, then for tanh.

# %%
from coursekit.viz.initialisation import variance_picture
from coursekit.viz.show import show, step_through

show(variance_picture("relu"))
show(variance_picture("tanh"))

# %% [markdown]
# $6^{-20} \approx {shown 3 \cdot 10^{-16}}$, and the picture agrees. On a logarithmic axis a geometric law is a
# straight line. Only the gain $\sqrt 2$ keeps a relu network level. tanh is more forgiving: it bends large
# numbers back, so every gain above 1 ends at a level of its own, but at a price. Where tanh is bent it is flat,
# and gradients on their way back are multiplied by a slope near 0.
#
# The same products return in the backward pass, with $W^\top$ in place of $W$. So a network whose activations
# vanish has gradients that vanish as well. Modern networks soften all this with normalisation layers and
# residual paths (unit 4), but no tool makes a careless scale free.
#
# `nn.init` holds the usual starts. Each function works **in place** on a Parameter and switches recording off
# by itself:

# %%
torch.manual_seed(seed)
layer = nn.Linear(400, 300)
print(f"as made {layer.weight.std().item() * 400 ** 0.5:.3f} / sqrt(n)")
nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
nn.init.zeros_(layer.bias)
print(f"kaiming {layer.weight.std().item() * 400 ** 0.5:.3f} / sqrt(n)", type(layer.weight).__name__)

# %% [markdown]
# ## 5. Logistic regression, by hand, as a module
#
# ### 5.1 A loss that survives
#
# A classifier with two classes computes one number per sample, $z = x \cdot w + b$, the **logit**. The
# probability of class 1 is $p = \sigma(z) = 1 / (1 + e^{-z})$. With the label $y$, 0 or 1, the loss of one
# sample is the negative logarithm of the probability that the true class received:
#
# $$\ell = -y \log p - (1 - y) \log(1 - p) .$$
#
# Written like that, in `float32`, it breaks. **Predict** the loss and the gradient in each place, for two
# confident and correct predictions, an undecided one, and two confident mistakes.

# %%
z = torch.tensor([200.0, -200.0, 0.0, 200.0, -200.0], requires_grad=True)
y = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
for name, low in [("naive", None), ("clamped", 1e-7)]:
    p = torch.sigmoid(z) if low is None else torch.sigmoid(z).clamp(low, 1 - low)
    loss = -(y * p.log() + (1 - y) * (1 - p).log())
    (grad,) = torch.autograd.grad(loss.sum(), z)
    print(name, [round(v, 3) for v in loss.tolist()], grad.tolist())
print("p is exactly 1 at", [v for v in range(12, 20) if torch.sigmoid(torch.tensor(float(v))) == 1])

# %% [markdown]
# In `float32`, $e^{-17}$ is lost beside 1: {shown $p$ is exactly 1 at 17}, and at every larger $z$. Far on the other
# side, where $e^{-z}$ exceeds every `float32`, $p$ is exactly 0. At such logits the naive form gives an infinite loss
# for a mistake, `{shown inf, inf}`, and `{shown nan, nan}` for *correct* predictions, from $0 \cdot \log 0$. One such
# sample makes the gradient of the whole batch `nan`, and after one step the model. The clamped form has finite losses,
# about {shown 16}, and zero gradients at the two mistakes: precisely the samples that there is most to learn from teach
# nothing.
#
# The remedy is to put the two formulas together and simplify before any number is computed. With
# $1 - \sigma(z) = \sigma(-z)$ and $-\log \sigma(z) = \log(1 + e^{-z})$,
#
# $$\ell = \log(1 + e^{z}) - y z .$$
#
# What remains is a logarithm of a sum of exponentials, $\log(e^0 + e^z)$, and PyTorch computes it without
# overflow: `torch.logaddexp(a, b)` is $\log(e^a + e^b)$. (Inside, it takes the larger of the two out of the
# sum.) Its gradient is simple and bounded: $\sigma(z) - y$.
#
# In many programs you find the form $\max(z, 0) - yz + \log(1 + e^{-|z|})$, with the same values. **Predict**
# its gradient at $z = 0$ for $y = 1$; the right one is $\sigma(0) - 1 = -0.5$.

# %%
z = torch.zeros(1, requires_grad=True)
common = torch.relu(z) - 1.0 * z + torch.log1p(torch.exp(-z.abs()))
print(torch.autograd.grad(common, z)[0].item())

# %% [markdown]
# {shown −1}, and not −0.5: the form has two kinks at 0 that cancel, and autograd has to choose a slope for each, 0
# for `relu` and 0 for `abs`. The values are right everywhere, the gradient is wrong at one point. A model whose
# weights start at zero has its *first* logits exactly there: in the first step, all samples of class 1 would pull
# twice as hard as they should, and those of class 0 not at all. (With `z.clamp(min=0)` for the maximum, the
# gradient depends on the version of PyTorch: 0 up to 2.13, and −1 in 2.15.)
#
# Write the loss, the mean over all entries. As in unit 1, refuse shapes that differ.
#
# {exercise u05-bce-with-logits}

# %%
def bce_with_logits(z, y):
    """The mean of -y log p - (1 - y) log(1 - p) with p = sigmoid(z), for logits of any size.

    Args: z: float, any shape. y: the same shape, between 0 and 1.
    Returns: 0-d tensor, differentiable by z with the gradient (sigmoid(z) - y) / number of entries.
    Raises: ValueError: if the shapes differ; its text names both.
    """
    ### BEGIN SOLUTION
    if z.shape != y.shape:
        raise ValueError(f"z has shape {tuple(z.shape)}, y has {tuple(y.shape)}; they must agree")
    return (torch.logaddexp(z, torch.zeros_like(z)) - y * z).mean()
    ### END SOLUTION

# %%
@check("u05-bce-with-logits")
def observe(z, y, upstream):
    z.requires_grad_()
    loss = bce_with_logits(z, y)
    (grad,) = torch.autograd.grad(upstream * loss, z)
    return {"loss": loss.detach(), "grad": grad, "z_after": z.detach()}

# %% [markdown]
# ### 5.2 Forward, backward, optimize
#
# Now the whole model, without autograd. The logits of N samples are $z = Xw + b$ with $w$ of shape $(D,)$ and a
# single number $b$. From $\bar z = (\sigma(z) - y) / N$ and unit 1's rules,
#
# $$\bar w = X^\top \bar z, \qquad \bar b = \sum_n \bar z_n .$$
#
# A model may have any methods beside `forward`. This one gets two:
#
# - `backward(x, y)` computes both gradients and **sets** `weight.grad` and `bias.grad` (in place of whatever
#   was there, so no zeroing is needed);
# - `optimize(lr)` moves both parameters one step against their gradients. They must remain the *same*
#   Parameters.
#
# Both happen outside of any recording. The check calls `backward` where autograd is switched off, and later
# once where it is on: what you store must be plain numbers in either case. `@torch.no_grad()` above a method
# does that.
#
# Weights that are all zero are a fine start here. There is one unit only, so there is no symmetry to break.
#
# {exercise u05-logistic-regression}

# %%
class LogisticRegression(nn.Module):
    """p(class 1) = sigmoid(x @ weight + bias), trained without autograd on the mean of the binary cross-entropy."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        """Args: x: (N, D) float. Returns: the logits, (N,)."""
        ### BEGIN SOLUTION
        return x @ self.weight + self.bias
        ### END SOLUTION

    def backward(self, x, y):
        """Set weight.grad and bias.grad. Args: x: (N, D). y: (N,), 0 or 1."""
        ### BEGIN SOLUTION
        with torch.no_grad():
            grad_z = (torch.sigmoid(self(x)) - y) / len(y)         # the same bounded formula for every size of z
            self.weight.grad = x.T @ grad_z
            self.bias.grad = grad_z.sum()
        ### END SOLUTION

    def optimize(self, lr):
        """Move both parameters by -lr times their gradient, in place. Args: lr: a Python number."""
        ### BEGIN SOLUTION
        with torch.no_grad():
            for p in self.parameters():
                p -= lr * p.grad
        ### END SOLUTION

# %%
@check("u05-logistic-regression")
def observe(x, y, weight, bias, lr):
    model = LogisticRegression(x.shape[1]).to(x.device)
    held = [model.weight, model.bias]              # as somebody outside would hold them
    with torch.no_grad():
        model.weight.copy_(weight)
        model.bias.copy_(bias)
        logits = model(x)
        model.backward(x, y)                       # recording is off: autograd cannot help
    model.backward(x, y)
    seen = {"logits": logits, "grad_weight": model.weight.grad.clone(), "grad_bias": model.bias.grad.clone()}
    model.optimize(lr)
    return {**seen, "weight_after_a_step": held[0].detach(), "bias_after_a_step": held[1].detach(),
            "weight_in_the_model": model.weight.detach(), "parameters": len(list(model.parameters()))}

# %% [markdown]
# The logits of this model define a line, $x \cdot w + b = 0$: the **decision boundary**, on which $p = ½$. The
# vector $w$ is perpendicular to it, and its length says how sharply $p$ rises across it: the distance between
# the lines $p = 0.1$ and $p = 0.9$ is $4.4 / |w|$. Training turns and shifts the line first, and then sharpens
# it. Step through it. **Predict** before: what do you see at step 0, when all weights are zero?

# %%
from coursekit.viz.boundary import boundary_frame, descend, two_clouds

points, labels = two_clouds(seed=seed)
path = descend(points, labels, lr=0.5, steps=400)
step_through(lambda k: boundary_frame(path, k), len(path.steps), strip=(0, 1, 4, len(path.steps) - 1))

# %% [markdown]
# Nothing at step 0: with $w = 0$ every point has the probability ½, and the loss is $\log 2 = {shown 0.693}$. A first
# loss far from that, for a model that starts undecided, means an error in the loss or in the labels.
#
# One step later {shown 71 of 80 points} are right, and at step 400 it is 71 again. At $w = 0$ the gradient points from
# one class's mean to the other's, so the first direction is a good one; the line turns by only 12 degrees after
# it. What training does with the other 399 steps is to make $w$ seven times as long: the loss falls from
# {shown 0.535} to {shown 0.288}, and the band between $p = 0.1$ and $p = 0.9$ shrinks from {shown 14.3} to {shown 2.1}.
# Accuracy does not see that, but without it the probabilities are worth little.
#
# When your class has passed its check, train it on the same points: `model = LogisticRegression(2)`, then 400
# times `model.backward(points, labels)` and `model.optimize(0.5)`. Compare `model.weight` with
# `path.weights[-1]`.
#
# ### 5.3 Bug hunt: the step that goes nowhere
#
# The same `optimize` for any list of parameters, as an optimizer has it. Everything runs, and the loss is
# 0.6931 at step 1, 0.6931 at step 2, and 0.6931 at step 1000. The gradients are right, and `lr` is not too
# small: with `lr = 1000` it is still 0.6931.
#
# {exercise u05-hunt-step}

# %%
def sgd_step(parameters, lr):
    """Move each parameter one step against its gradient, in place; one without gradient stays. Changes no gradient.

    Args: parameters: an iterable of nn.Parameter. lr: a Python number.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for p in parameters:
            if p.grad is None:
                continue
            p -= lr * p.grad
    ### RELEASE SHOWS
    # with torch.no_grad():
    #     for p in parameters:
    #         if p.grad is None:
    #             continue
    #         p = p - lr * p.grad
    ### END SOLUTION

# %%
@check("u05-hunt-step")
def observe(weight, bias, unused, grad_weight, grad_bias, lr):
    parameters = [nn.Parameter(t) for t in (weight.clone(), unused.clone(), bias.clone())]
    parameters[0].grad, parameters[2].grad = grad_weight, grad_bias
    sgd_step((p for p in parameters), lr)
    return {"weight": parameters[0].detach(), "unused": parameters[1].detach(), "bias": parameters[2].detach(),
            "grads_after": [parameters[0].grad, parameters[2].grad]}

# %% [markdown]
# ## 6. From NumPy to a fitted line, on any device
#
# Measurements usually arrive as NumPy arrays. The way from there to a fitted model has three places where it
# goes wrong, and none of them is in the model.
#
# **dtype.** NumPy's default is `float64`, parameters are `float32`, and a product of the two raises. Convert
# once, at the border: `array.astype(np.float32)`.
#
# **Shape.** `nn.Linear(1, 1)` wants (N, 1), and N measurements come as (N,). If only one of x and y is
# reshaped, the (N, 1)-against-(N,) trap of unit 1 is set.
#
# **Device.** The model and the data must be moved to the same place. The pattern that runs everywhere has the
# device in *one* variable, and nothing else in the program ever names one.
#
# **Predict** which of the three operations raises.

# %%
raw = np.linspace(-1, 2, 11)
data = torch.from_numpy(raw.astype(np.float32)).reshape(-1, 1)
line = nn.Linear(1, 1)
print(raw.dtype, data.dtype, tuple(line(data).shape))
with expect_error(RuntimeError):
    line(torch.from_numpy(raw).reshape(-1, 1))
place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
line, data = line.to(place), data.to(place)                # a module is moved in place, a tensor is copied
print(place.type, line(data).device.type)

# %% [markdown]
# `line.to(place)` alone would do: `Module.to` changes the module and also returns it. `data.to(place)` alone
# does nothing, since a tensor's `.to` returns the moved copy. And move a model *before* you make its optimizer.
# On common devices today's PyTorch keeps the Parameter objects and exchanges what is in them, but it does not
# promise that everywhere, and what an optimizer has gathered so far stays where it was.
#
# Now the whole of it. The values belong to a line, $y = wx + b$ (with some noise in one case), and the answer
# is the line with the smallest mean of squared errors. For $y = 2x + 1$ it must come out as $2 \pm 0.01$ and
# $1 \pm 0.01$. Take `nn.Linear(1, 1)`, `nn.functional.mse_loss` and `torch.optim.SGD`, whose `step()` is the
# function that you have just mended. All x lie between -1 and 2; for such data a learning rate of 0.1 to 0.2 is
# fine, and a few hundred steps suffice.
#
# {exercise u05-fit-line}

# %%
def fit_line(x, y, device):
    """Fit y = slope x + intercept by gradient descent on the mean of squared errors.

    Args: x, y: NumPy float32 arrays of N numbers each, with shape (N,) or (N, 1), not always the same; they stay as they are.
        device: where the model and the data shall be.
    Returns: (slope, intercept), two Python floats, each within 0.01 of the best line's.
    """
    ### BEGIN SOLUTION
    x = torch.from_numpy(x).reshape(-1, 1).to(device)
    y = torch.from_numpy(y).reshape(-1, 1).to(device)
    line = nn.Linear(1, 1).to(device)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.mse_loss(line(x), y).backward()
        optimizer.step()
    return line.weight.item(), line.bias.item()
    ### END SOLUTION

# %%
@check("u05-fit-line")
def observe(x, y, seed):
    torch.manual_seed(seed)
    slope, intercept = fit_line(x.cpu().numpy(), y.cpu().numpy(), x.device)
    return {"slope": slope, "intercept": intercept, "x_after": x, "y_after": y}

# %% [markdown]
# Passed? Then try it on a machine with a GPU, or here: `a = raw.astype(np.float32)`, then
# `fit_line(a, 2 * a + 1, place)`. Not a character of the function changes from one device to the other. And give
# it an x between 0 and 1000: the numbers become `nan`, since the loss's curvature grows with $x^2$ and the
# learning rate is far too large for it. Unit 7 comes back to that; until then, scale inputs to a size near 1.

# %% [markdown]
# ## Summary
#
# - A Parameter is a leaf tensor whose *type* makes `__setattr__` put it into `_parameters`.
#   `requires_grad=True` does not.
# - `nn.Parameter(...)` is the outermost call. What is computed from a Parameter is a tensor, and is lost to the
#   optimizer.
# - A buffer is saved and moved, and not trained. A plain tensor is neither saved nor moved.
# - `print(model)` shows modules. `named_parameters()` shows what is trained; lists of Parameters belong in
#   `nn.ParameterList`.
# - Write into a Parameter under `no_grad`. Do not replace it: whoever holds the old one does not notice.
#   `p = p - lr * g` replaces a *name*.
# - Tied weights are two names of one object: counted once, with the sum of both gradients.
# - Random starts break the symmetry between units. Their scale decides whether numbers survive depth:
#   $\sigma = \sqrt{2/n}$ for relu.
# - Combine sigmoid and logarithm before you compute: $\log(1 + e^z) - yz$, with the gradient $\sigma(z) - y$.
#
# The next unit feeds such models with real data, in batches.
#
# Next: [u06 Dataset and DataLoader](u06_data.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the reference pages of `torch.nn.parameter.Parameter`, `nn.Module.register_buffer`,
#   `nn.ParameterList` and `torch.nn.init`; the note "Modules", sections on module state and on initialisation;
#   and the page of `nn.BCEWithLogitsLoss`.
# - Xavier Glorot and Yoshua Bengio, "Understanding the difficulty of training deep feedforward neural networks"
#   (2010).
# - Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun, "Delving Deep into Rectifiers" (2015): the derivation of
#   section 4.2, with the factor ½ of the relu.
# - Ofir Press and Lior Wolf, "Using the Output Embedding to Improve Language Models" (2017): weight tying.
# - Stanford CS231n course notes, "Neural Networks Part 2: Setting up the Data and the Loss", the section on
#   weight initialisation.
# - Martin Mächler, "Accurately Computing log(1 − exp(−|a|))" (a note to the R package Rmpfr): more on
#   logarithms of exponentials.
