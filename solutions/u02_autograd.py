# %% [markdown]
# # Autograd
#
# In unit 1 you derived a backward pass by hand. That work follows a fixed recipe: one local derivative per
# operation, multiplied and added along the way back. A machine can do it, and in this unit you open that
# machine, use it, get hurt by its sharp edges in safety, and build a small one of your own.
#
# At the end you will be able to
#
# - say what `requires_grad`, `grad_fn`, a leaf and `.grad` are, and read a graph that PyTorch recorded;
# - train a network with `backward`, and explain each line that the loop needs and why it needs it;
# - compute vector-Jacobian products, which is the one thing that `backward` ever computes;
# - order a graph and run the chain rule over it, with diamonds, reuse and repeated calls;
# - change gradients on their way with hooks, and predict what a snippet of autograd code gives.
#
# You need unit 1: the chain rule on matrices, and the two-layer network. Plan about three hours. There are
# eight exercises and two bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import math
import warnings
import weakref

import torch
from torch import nn

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Two questions on unit 1 and one on the notebook itself. Write your answers down, then run the cell.
#
# 1. `pred` has shape (4, 1), `y` has shape (4,). How many numbers does `(pred - y) ** 2` hold?
# 2. A layer computes `x @ w` with `x` (5, 4) and `w` (4, 3). The upstream gradient is all ones. The entries
#    of `x` are all 2. What is each entry of the gradient of `w`?
# 3. A generator is seeded once, then asked for two numbers, twice. Are the two pairs equal? And if it is
#    seeded again in between?

# %%
print("1.", ((torch.zeros(4, 1) - torch.zeros(4)) ** 2).numel())
print("2.", (torch.full((5, 4), 2.0).T @ torch.ones(5, 3))[0, 0].item())
g = torch.Generator().manual_seed(seed)
first, second = torch.randn(2, generator=g), torch.randn(2, generator=g)
again = torch.randn(2, generator=g.manual_seed(seed))
print("3.", torch.equal(first, second), torch.equal(first, again))

# %% [markdown]
# 1. {shown 16}: both sides are broadcast to (4, 4), the trap of unit 1.
# 2. {shown 10}: $\bar W = X^\top \bar P$ sums over the 5 samples, and each gives 2.
# 3. `{shown False}`, then `{shown True}`: a generator walks on with each call, and a seed puts it back to the start.

# %% [markdown]
# ## 1. A graph is recorded
#
# ### 1.1 What a tensor remembers
#
# A tensor with `requires_grad=True` asks PyTorch to watch it. From then on every operation does two things:
# it computes its result, and it writes down how to go back. The note is stored on the result, as its
# `grad_fn`: a node that knows which operation ran, which nodes its inputs came from, and the few tensors
# that the operation's derivative needs. The notes together are the **graph**.
#
# A tensor that you made yourself has no such note. It is a **leaf**: the walk back ends there, and there a
# gradient is kept.
#
# **Predict** the four lines before you run the cell: which of these are leaves, and which have a `grad_fn`?

# %%
x = torch.tensor(2.0, requires_grad=True)
y = torch.tensor(5.0)
product = x * y
total = product + x
for name, t in [("x", x), ("y", y), ("product", product), ("total", total)]:
    made_by = t.grad_fn and t.grad_fn.name()
    print(f"{name:8} leaf {t.is_leaf!s:6} requires_grad {t.requires_grad!s:6} grad_fn {made_by}")

# %% [markdown]
# `y` needs no gradient, and nothing about it was recorded; it counts as a leaf all the same, as nothing was
# computed to make it. `product` was made from `x`, so it is watched too: watching is inherited.
#
# The graph is made anew by each forward pass. There is no separate description of the network that must be
# kept in step with it: a Python `if` or loop decides what runs, and what ran is what was recorded.
#
# ### 1.2 The walk back
#
# `total.backward()` walks from `total` to the leaves. At each node it holds one quantity, the gradient of
# the final result with respect to this node's output: the **upstream** gradient of unit 1. It multiplies by
# the operation's **local derivative** for each input, and hands the products on. Where several paths meet,
# what arrives is added. At a leaf, the sum goes to `.grad`.
#
# For $f = xy + x$ at $x = 2$, $y = 5$ two paths lead to $x$: one through the product, with local derivative
# $y = 5$, one directly, with local derivative 1. So $f'(x) = 6$.
#
# The next picture steps through a slightly larger graph, $p = xy$, $q = p + x$, $r = pq$, at the same point.
# Each box is a number in the graph. Use the buttons *forward* and *back*, or read the strip below them.
# **Predict** first: with $p = 10$ and $q = 12$, what is the derivative of $r$ with respect to $p$? It
# reaches $r$ in two ways.

# %%
from coursekit.viz.show import step_through
from coursekit.viz.stepper import frame, trace_tensor

x = torch.tensor(2.0, requires_grad=True)
y = torch.tensor(5.0, requires_grad=True)
p = x * y
r = p * (p + x)
trace = trace_tensor(r, {"x": x, "y": y})
step_through(lambda k: frame(trace, k), trace.count, strip=[3, 5, 6, 7])

# %% [markdown]
# $r$ sends $q = 12$ to $p$ directly, and $p = 10$ to $q$, whose addition passes 10 on to $p$ and 10 to $x$.
# So $p$ collects $12 + 10 = {shown 22}$, and only then may it send anything on: to $x$ the amount $22 \cdot 5$, to
# $y$ the amount $22 \cdot 2 = {shown 44}$. In total $x$ gets $10 + 110 = {shown 120}$. A node must wait until everything has
# arrived. That needs an order, which you will compute in section 5.
#
# These are PyTorch's own records: the local derivatives were read off while it walked.
#
# ### 1.3 A first worked example
#
# Let $x$ be a (3, 3) matrix of ones, and $o$ the mean of $3 (x + 3)^2$:
#
# $$o = \frac{1}{9} \sum_{ij} 3 (x_{ij} + 3)^2, \qquad
# \frac{\partial o}{\partial x_{ij}} = \frac{1}{9} \cdot 3 \cdot 2\, (x_{ij} + 3) .$$
#
# **Predict** $o$ and the nine entries of the gradient, then run.

# %%
x = torch.ones(3, 3, device=device, requires_grad=True)
y = x + 3
z = 3 * y * y
o = z.mean()
o.backward()
print("o =", o.item())
print(x.grad)

# %% [markdown]
# {shown $o = 48$}, and each entry is $\tfrac{24}{9} = {shown 2.6667}$. The factor $\tfrac{1}{9}$ belongs to the mean: for
# the *sum* each entry would be 24. Here is the walk, where "1 in 3×3" says that all nine entries are 1. The
# second `Mul` meets `y` again, so two ways lead back to the addition. One value is missing: PyTorch keeps an
# intermediate result only if some derivative needs it, and a mean needs nothing but the size.

# %%
x = torch.ones(3, 3, requires_grad=True)
y = x + 3
trace_o = trace_tensor((3 * y * y).mean(), {"x": x})
step_through(lambda k: frame(trace_o, k), trace_o.count, strip=[4, 6, 7, 9])

# %% [markdown]
# ### 1.4 Leaves, and how to stop the recording
#
# Only leaves keep a gradient. `y` and `z` had one for a moment, during the walk; it was handed on and
# dropped, as it would cost memory. `retain_grad()` asks for it in advance.
#
# Three tools stop the recording. `t.detach()` is the same numbers without the history: for the graph it is a
# constant. `with torch.no_grad():` records nothing inside the block. `t.item()` leaves the world of tensors
# altogether.
#
# **Predict** all four numbers. For $x = 3$, what are the derivatives of $x \cdot x$, of $x$ times a detached
# $x$, of $x$ times an $x^2$ that was computed without recording, and of $x \cdot x \cdot x$?

# %%
def slope(f):
    x = torch.tensor(3.0, requires_grad=True)
    f(x).backward()
    return x.grad.item()

def times_unrecorded(x):
    with torch.no_grad():
        square = x * x
    return x * square

print(slope(lambda x: x * x), slope(lambda x: x * x.detach()))
print(slope(times_unrecorded), slope(lambda x: x * x * x))

# %% [markdown]
# {shown 6, 3, 9} and {shown 27}. The last two functions have equal *values*; their derivatives differ by a factor 3, because
# one of them hides two of the three factors. `detach` does not raise, it tells autograd a different story.
#
# ## 2. Training with autograd
#
# ### 2.1 Gradients accumulate
#
# `backward` does not *set* `.grad`. It *adds* to it. **Predict** three lines: the derivative of $3x$ is 3.

# %%
x = torch.tensor(1.0, requires_grad=True)
for _ in range(3):
    (3 * x).backward()
    print(x.grad.item())

# %% [markdown]
# {shown 3, 6, 9}. The same rule that adds up paths within one walk adds up walks. It is easy to take for a defect,
# so here is what it is good for. A batch of 64 samples may need more memory than there is. The loss is a sum
# over samples, and so is its gradient; cut the batch into pieces, call `backward` for each, and `.grad`
# collects the whole gradient while only one piece's graph is in memory.
#
# **Predict**: is one of the two numbers larger, or are they equal?

# %%
g = torch.Generator(device).manual_seed(seed)
data = torch.randn(64, 5, generator=g, device=device)
target = torch.randn(64, generator=g, device=device)
w = torch.zeros(5, device=device, requires_grad=True)
((data @ w - target) ** 2).sum().backward()
whole = w.grad.norm().item()
w.grad = None                                      # start again from nothing
for xs, ys in zip(data.split(16), target.split(16), strict=True):
    ((xs @ w - ys) ** 2).sum().backward()
print(f"{whole:.4f} {w.grad.norm().item():.4f}")

# %% [markdown]
# They are equal. The price of the convenience: *you* say when a new sum begins. `w.grad = None` does it, and so
# does `w.grad.zero_()`. For many parameters at once there is `zero_grad()`, of a module or an optimizer.
# **Predict** the three lines: what does it leave behind?

# %%
layer = nn.Linear(2, 1)
layer(torch.ones(4, 2)).sum().backward()
print(layer.bias.grad)
layer.zero_grad()
print(layer.bias.grad)
layer(torch.ones(4, 2)).sum().backward()
layer.zero_grad(set_to_none=False)
print(layer.bias.grad)

# %% [markdown]
# 4 samples use the bias, so its gradient is {shown 4}. `zero_grad` sets it to `{shown None}`, which frees the memory too; on
# request it writes zeros. A loop that forgets it walks along the sum of all gradients so far.
#
# ### 2.2 Changing a weight
#
# The update is $w \leftarrow w - \eta \bar w$. Three ways to write it fail, each in a different way. The
# first changes the leaf in place while the graph still watches. **Predict** what happens.

# %%
w = torch.tensor(1.0, requires_grad=True)
(w * w).backward()
with expect_error(RuntimeError):
    w -= 0.1 * w.grad

# %% [markdown]
# An in-place change of a watched leaf would falsify what the graph remembers, so it is refused. The second
# way makes a new tensor instead. No error comes, for one step. **Predict** the three lines. (PyTorch also
# warns when `.grad` of a non-leaf is read; the cell keeps that quiet.)

# %%
w = w - 0.1 * w.grad
print("leaf:", w.is_leaf, "  made by:", w.grad_fn.name())
(w * w).backward()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print("grad:", w.grad)
    with expect_error(TypeError):
        w = w - 0.1 * w.grad

# %% [markdown]
# The name `w` now belongs to the *result of a subtraction*, and results keep no gradient: it went on to the
# old leaf, which nobody has a name for any more. So the second step multiplies by `None`.
#
# The third way puts the same line into `torch.no_grad()`. You will meet it in section 2.4. What works:
#
# ```python
# with torch.no_grad():      # do not record the update
#     w -= lr * w.grad       # change the leaf in place: it stays the same tensor, and a leaf
# w.grad = None              # and begin the next sum from nothing
# ```
#
# ### 2.3 The network of unit 1
#
# Now train $\operatorname{relu}(X W_1) W_2$ on the sum of squared errors once more, and let autograd find the
# gradients. Store the loss *before* each update, as Python floats, and leave the caller's tensors alone:
# their values, their `requires_grad`, their `.grad`. Your losses have to agree with those of the pass by hand
# to ten digits in `float64`.
#
# {exercise u02-autograd-train}

# %%
def autograd_train(x, y, w1, w2, lr, steps):
    """Train relu(x w1) w2 by gradient descent on the sum of squared errors, with autograd.

    Args: x: (N, D) float. y: (N, K). w1: (D, M). w2: (M, K); both are starting points and stay as they are.
        lr: step length. steps: number of updates.
    Returns: list of `steps` Python floats, the loss before each update.
    """
    ### BEGIN SOLUTION
    w1, w2 = (w.clone().requires_grad_() for w in (w1, w2))     # leaves of our own
    losses = []
    for _ in range(steps):
        loss = ((torch.relu(x @ w1) @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= lr * w.grad                   # in place: w stays a leaf
                w.grad = None
    return losses
    ### END SOLUTION

# %%
@check("u02-autograd-train")
def observe(x, y, w1, w2, lr, steps):
    losses = autograd_train(x, y, w1, w2, lr, steps)
    return {"losses": losses, "types_in_losses": sorted({type(loss).__name__ for loss in losses}),
            "w1_after": w1, "w2_after": w2, "grads_after": [w1.grad, w2.grad]}

# %% [markdown]
# When yours has passed, remove the `#` in front of the last line: on the large example of unit 1 (64 samples
# of 1000 numbers, 100 hidden units, 10 targets) it ends at the same $3.0 \cdot 10^{-5}$.

# %%
g = torch.Generator(device).manual_seed(seed)
shapes = [(64, 1000), (64, 10), (1000, 100), (100, 10)]
large = [torch.randn(*shape, generator=g, device=device) for shape in shapes]
# print(f"{autograd_train(*large, lr=1e-6, steps=500)[-1]:.2g}")

# %% [markdown]
# ### 2.4 Bug hunt: the weight that cannot learn twice
#
# This program fits a straight line's coefficients. It stops in the second round, and the message points to a
# line that is right:
#
# ```text
#     loss.backward()
# RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn
# ```
#
# Print `w.requires_grad` before and after the update. When the message is gone, look at the losses: they
# should fall in every round, and the check compares them all. A first repair often uncovers a second fault.
#
# {exercise u02-hunt-update}

# %%
def descend(x, y, w, lr, steps):
    """Fit y = x w by gradient descent on the mean of squared errors.

    Args: x: (N, D) float. y: (N,). w: (D,), the starting point; stays as it is. lr: step length. steps: int.
    Returns: (losses, w): the loss before each update as floats, and the final weights, (D,), a leaf.
    """
    ### BEGIN SOLUTION
    w = w.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad                       # the same leaf, changed
        w.grad = None                              # which therefore keeps its old gradient, unless told not to
    return losses, w.detach()
    ### RELEASE SHOWS
    # w = w.clone().requires_grad_()
    # losses = []
    # for _ in range(steps):
    #     loss = ((x @ w - y) ** 2).mean()
    #     losses.append(loss.item())
    #     loss.backward()
    #     with torch.no_grad():
    #         w = w - lr * w.grad
    # return losses, w.detach()
    ### END SOLUTION

# %%
@check("u02-hunt-update")
def observe(x, y, w, lr, steps):
    losses, last = descend(x, y, w, lr, steps)
    return {"losses": losses, "last_w": last, "last_w_is_leaf": last.is_leaf, "w_after": w}

# %% [markdown]
# ## 3. Vector-Jacobian products
#
# ### 3.1 What backward computes
#
# So far every walk began at one number. What about a result with several entries? **Predict**.

# %%
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
out = torch.stack([x[0] * x[1], x[1] * x[2]])
with expect_error(RuntimeError):
    out.backward()

# %% [markdown]
# `{shown grad can be implicitly created only for scalar outputs}`, says the error. A function from $\mathbb{R}^n$ to $\mathbb{R}^m$
# has no gradient. It has a **Jacobian** $J$, with a row for each output and a column for each input. Here
#
# $$J = \begin{pmatrix} x_1 & x_0 & 0 \\ 0 & x_2 & x_1 \end{pmatrix}
# = \begin{pmatrix} 2 & 1 & 0 \\ 0 & 3 & 2 \end{pmatrix} .$$
#
# Backward never builds it. If some loss $L$ is computed from `out`, and its upstream gradient is $v$, one
# number per output, then $dL = \langle v, J\, dx \rangle = \langle J^\top v, dx \rangle$. So the gradient
# that goes on is $J^\top v$, the **vector-Jacobian product**, a weighted sum of $J$'s rows.
# `out.backward(v)` starts the walk with this $v$, and for a single number $v = 1$ goes without saying.
#
# **Predict** `x.grad` for $v = (10, 1)$.

# %%
v = torch.tensor([10.0, 1.0])
out.backward(v)
print(x.grad)
rows = torch.autograd.functional.jacobian(lambda x: torch.stack([x[0] * x[1], x[1] * x[2]]), x.detach())
print(rows.T @ v)

# %% [markdown]
# $10 \cdot (2, 1, 0) + 1 \cdot (0, 3, 2) = {shown (20, 13, 2)}$. The whole Jacobian of a layer from 1000 to 100
# numbers on 64 samples would have $6400 \cdot 64\,000$ entries, 410 million, nearly all zero. One product
# $J^\top v$ costs about as much as the forward pass. That is why everything is built from it.
#
# `out.backward(v)` is the same as `(out * v).sum().backward()`. With $v$ all ones it is
# `out.sum().backward()`, which throws away the difference between outputs: a test with that $v$ cannot see
# whether upstream gradients are used at all.
#
# ### 3.2 Through a module
#
# `nn.Linear(D, K)` holds a `weight` of shape $(K, D)$ and a `bias` of shape $(K,)$, and computes
# $X W^\top + b$. For an upstream $v$ of shape $(N, K)$ the weight's gradient is $v^\top X$: unit 1's product,
# transposed because the weight is stored transposed. The bias was copied to $N$ rows, so its gradient is the
# sum of $v$'s rows. Your function shall give this for *any* module, by walking back from `model(x)` with $v$.
#
# Section 2.1 holds here too: gradients from an earlier call may still be in `.grad`, and they are not part of
# the answer. What you return should not change when somebody calls your function again. And a parameter that
# the output does not depend on has the gradient zero, where autograd may say `None`.
#
# {exercise u02-vjp}

# %%
def vjp(model, x, v):
    """Give the gradient of sum(v * model(x)) with respect to each parameter of the model.

    Args: model: an nn.Module. x: (N, D) float. v: shaped like model(x).
    Returns: dict from each parameter's name (as in model.named_parameters()) to a new tensor of its shape; it
        holds this call's gradient only, and zeros if the output does not depend on the parameter.
    """
    ### BEGIN SOLUTION
    model.zero_grad()                              # sets each .grad to None
    model(x).backward(v)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for name, p in model.named_parameters()}
    ### END SOLUTION

# %%
@check("u02-vjp")
def observe(state, x, v, x2, v2):
    sizes = [state["0.weight"].shape[::-1], state["2.weight"].shape[::-1]]
    model = nn.Sequential(nn.Linear(*sizes[0]), nn.Tanh(), nn.Linear(*sizes[1])).to(x.device)
    model.register_parameter("spare", nn.Parameter(state["spare"].clone()))
    model.load_state_dict(state)
    first = vjp(model, x, v)
    kept = {name: grad.clone() for name, grad in first.items()}
    model(x2).sum().backward()                     # adds to whatever lies in .grad
    second = vjp(model, x2, v2)
    return {"first_call": kept, "second_call": second, "first_call_seen_later": first, "x_after": x, "v_after": v}

# %% [markdown]
# ## 4. Reading a real graph
#
# ### 4.1 grad_fn.next_functions
#
# Each `grad_fn` has `next_functions`: one pair (node, number) for each input of the operation. The node is
# the input's own `grad_fn`. For an input that needs no gradient it is `None`. For a leaf it is a node named
# `AccumulateGrad`, whose `variable` is the leaf: the place where `.grad` is added to. The number says which
# of an operation's outputs was used; most have only one.
#
# **Predict**, for `(a * b + a).exp()`: how many nodes does the walk meet, and how often does it meet `a`?

# %%
a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
node = (a * b + a).exp().grad_fn
for depth in range(3):
    print("  " * depth, node.name(), "->", [n.name() for n, _ in node.next_functions])
    node = node.next_functions[0][0]
print(node.name(), node.variable is a)

# %% [markdown]
# Five nodes: `Exp`, `Add`, `Mul`, and one `AccumulateGrad` for each leaf. The one of `a` is the goal of two
# arrows. The picture below shows the same for a real network: a LeNet, made for digits of 32 × 32 pixels,
# with two convolutions and three linear layers, and the mean squared error of its 10 outputs.

# %% tags=["setup"]
def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),               # (N, 1, 32, 32) -> (N, 6, 14, 14)
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),              # -> (N, 16, 5, 5)
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))

# %%
torch.manual_seed(seed)
net = lenet().to(device)
digit = torch.randn(1, 1, 32, 32, device=device)
lenet_loss = nn.functional.mse_loss(net(digit), torch.zeros(1, 10, device=device))
step = lenet_loss.grad_fn
for _ in range(4):
    print(step.name(), [n and n.name().split("::")[-1] for n, _ in step.next_functions])
    step = next(n for n, _ in step.next_functions if n is not None and n.next_functions)

# %%
from coursekit.viz.graph import walk_frame, walk_length

names = dict(net.named_parameters())
count = walk_length(lenet_loss)
step_through(lambda k: walk_frame(lenet_loss, k, names), count + 1, strip=[count], label="node")

# %% [markdown]
# The check needs graphs of many shapes. A small helper makes them from plain data: a list of numbers, and
# steps such as `("*", 0, 1)`, which multiplies number 0 by number 1 and appends the result. It works on
# anything that has `+`, `*` and `tanh`, and you will use it again.

# %% tags=["setup"]
def build(leaves, steps):
    """Extend a list of numbers by (operation, i, j): "+" and "*" join numbers i and j, "tanh" takes number i."""
    numbers = list(leaves)
    for operation, i, j in steps:
        a, b = numbers[i], numbers[j]
        numbers.append(a + b if operation == "+" else a * b if operation == "*" else a.tanh())
    return numbers

# %%
x = torch.tensor(0.5, requires_grad=True)
numbers = build([x], [("*", 0, 0), ("+", 1, 0), ("tanh", 2, 2)])      # tanh(x² + x)
print([round(n.item(), 4) for n in numbers], numbers[-1].grad_fn.name())

# %% [markdown]
# The numbers in the picture are the order of a walk that always takes the first way on and comes back for the
# others: **depth first**. `Addmm` is a linear layer, a bias added to a matrix product; its ways lead to the
# bias, to the layer's input, and to its weight, through `T`, a transpose. Names differ a little between
# versions of PyTorch.
#
# Some nodes are marked as holding saved tensors. A matrix product keeps both factors, because each is the
# other's derivative. A relu keeps its *result*: it is zero exactly where the derivative is. `View`, `T` and
# an addition keep nothing, since sizes are enough to go back.
#
# Now write the walk. A node that can be reached in two ways is listed once, at the first visit.
#
# {exercise u02-walk-graph}

# %%
def walk_graph(loss):
    """List the names of all nodes that loss.backward() would walk, depth first from loss.grad_fn.

    Args: loss: a tensor, with or without a graph behind it.
    Returns: list of node.name(): a node first, then all that is behind its first next function, then behind
        its second, and so on. Each node once, at its first visit. Empty if there is no graph.
    """
    ### BEGIN SOLUTION
    names, seen, waiting = [], set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        names.append(node.name())
        waiting += [way for way, _ in reversed(node.next_functions)]     # the first one on top
    return names
    ### END SOLUTION

# %%
@check("u02-walk-graph")
def observe(values, steps, network):
    if network:
        loss = nn.functional.mse_loss(lenet()(torch.zeros(1, 1, 32, 32)), torch.ones(1, 10))
    else:
        loss = build([torch.tensor(v, requires_grad=bool(needs)) for v, needs in values], steps)[-1]
    names = walk_graph(loss)
    return {"names": [str(name).split("::")[-1].split("Backward")[0] for name in names]}

# %% [markdown]
# ### 4.2 Saved tensors, and what they forbid
#
# After a walk the saved tensors are set free, since they are most of the graph's memory. A second `backward`
# over the same graph then fails. **Predict** for which of these three it does: $x + 2$, $2x$, $x \cdot x$.

# %%
for name, f in [("x + 2", lambda x: x + 2), ("2 * x", lambda x: 2 * x), ("x * x", lambda x: x * x)]:
    x = torch.tensor(3.0, requires_grad=True)
    y = f(x)
    y.backward()
    try:
        y.backward()
        print(name, "works:", x.grad.item())
    except RuntimeError as error:
        print(name, "fails:", str(error)[:58])

# %% [markdown]
# An addition saves nothing, so it can be walked again, and `.grad` becomes 2. A product saves what its
# derivative needs, be it the plain number 2, and a second walk finds it gone. `retain_graph=True` in the
# first call keeps everything for another walk.
#
# Saved tensors forbid a second thing: changing them. Sigmoid saves its *result* $s$, since
# its derivative is $s (1 - s)$. What if somebody sets $s$ to zero before the walk? **Predict** both lines.

# %%
x = torch.tensor(0.5, requires_grad=True)
s = torch.sigmoid(x)
s.data.zero_()
s.backward()
print("through .data:", x.grad.item())
s = torch.sigmoid(x)
s.detach().zero_()
with expect_error(RuntimeError):
    s.backward()

# %% [markdown]
# The true derivative is 0.235. Through `.data` the answer is a silent {shown 0}. `detach()` shares the same memory,
# but it also shares a **version counter** that each in-place operation raises; backward compares it with
# the one at the time of saving, and refuses: `{shown is at version 1; expected version 0}`. Old code uses `.data` a great deal. Replace it by `detach()`
# or `no_grad()`, which tell you.

# %% [markdown]
# ### 4.3 Watching memory
#
# How would you notice that something stays alive? `torch.autograd.graph.saved_tensors_hooks` lets you
# replace each tensor that is saved by an object of your own. Put it into a box, remember the box by a
# **weak** reference, which keeps nothing alive, and count the boxes that are left.
#
# **Predict** the three counts: after a forward pass, after `backward`, and after a forward pass whose result
# nobody keeps.

# %% tags=["setup"]
class Saved:
    """A box around a saved tensor; `Saved.alive` knows the boxes that somebody still holds."""
    alive = weakref.WeakSet()

    def __init__(self, tensor):
        self.tensor = tensor.detach()
        Saved.alive.add(self)

def count_saved():
    return torch.autograd.graph.saved_tensors_hooks(Saved, lambda box: box.tensor)

# %%
x = torch.tensor(0.5, requires_grad=True)
with count_saved():
    y = (x * x).tanh()
    counts = [len(Saved.alive)]
    y.backward()
    counts.append(len(Saved.alive))
    (x * x).tanh()
    counts.append(len(Saved.alive))
print(counts)

# %% [markdown]
# {shown 3, 0, 0}: the product saves both factors, tanh its result; a walk frees them, and so does the end of the last
# name that reaches the graph. One caution: inside these hooks the version check of section 4.2 is off, and an in-place
# change of a saved tensor gives a wrong gradient in silence. Use them to look, not to train.

# %% [markdown]
# ### 4.4 Bug hunt: the average that grows
#
# A function averages the loss of a trained model over many batches. The number is right. With a few hundred
# batches the machine runs out of memory, and each batch alone is small:
#
# ```text
# batch   1   saved tensors alive    3
# batch  10   saved tensors alive   30
# batch 100   saved tensors alive  300
# ```
#
# A graph lives as long as somebody can reach it, and a tensor with a `grad_fn` reaches everything behind it.
# Which name in this loop reaches the graphs of all batches? The check counts what is alive whenever the next
# batch is asked for. Change as little as you can; the model should come out as it went in.
#
# {exercise u02-hunt-average}

# %%
def average_loss(model, batches):
    """Average the mean squared error of a model over batches. Memory must not grow with their number.

    Args: model: an nn.Module; it stays as it is. batches: an iterable of pairs x (N, D), y (N, K); one pass only.
    Returns: float, the mean over the batches of mean((model(x) - y)**2).
    """
    ### BEGIN SOLUTION
    total, count = 0.0, 0
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean()
        total += loss.item()                       # a number has no history
        count += 1
    return total / count
    ### RELEASE SHOWS
    # total, count = 0.0, 0
    # for x, y in batches:
    #     loss = ((model(x) - y) ** 2).mean()
    #     total += loss
    #     count += 1
    # return (total / count).item()
    ### END SOLUTION

# %%
@check("u02-hunt-average")
def observe(weight, xs, ys):
    model = nn.Sequential(nn.Linear(*weight.shape[::-1], bias=False), nn.Tanh()).to(weight.device)
    model.load_state_dict({"0.weight": weight})
    Saved.alive.clear()
    counts = []
    def batches():
        for pair in zip(xs, ys, strict=True):
            counts.append(len(Saved.alive))
            yield pair
    with count_saved():
        average = average_loss(model, batches())
    recording = torch.set_grad_enabled(True).prev
    return {"average": average, "growth": counts[-1] - counts[1], "alive_afterwards": len(Saved.alive),
            "weight_after": model[0].weight, "grad_after": model[0].weight.grad, "recording_after": recording}

# %% [markdown]
# ## 5. An engine of your own
#
# ### 5.1 Numbers that remember
#
# Here is the recording half of an engine, for single numbers. A `Node` holds its value, its `parents` (the
# numbers it was made from), and its `slopes`: the local derivative with respect to each parent. A leaf has no
# parents. Read it line by line: nothing else is needed.

# %% tags=["setup"]
class Node:
    def __init__(self, value, parents=(), slopes=(), label="leaf"):
        self.value, self.parents, self.slopes, self.label, self.grad = value, parents, slopes, label, 0.0

    def __add__(self, other):
        return Node(self.value + other.value, (self, other), (1.0, 1.0), "+")

    def __mul__(self, other):
        return Node(self.value * other.value, (self, other), (other.value, self.value), "*")

    def tanh(self):
        t = math.tanh(self.value)
        return Node(t, (self,), (1 - t * t,), "tanh")

# %% [markdown]
# `x * x` has the same parent twice, with slopes $x$ and $x$. That is fine: two arrows to one node, and what
# comes back adds up to $2x$.
#
# **Predict** the slopes in $x \cdot y + x$ at $x = 2$, $y = 5$, from the last node back.

# %%
x, y = Node(2.0, label="x"), Node(5.0, label="y")
f = x * y + x
print(f.value, f.label, f.slopes, [parent.label for parent in f.parents])
print(f.parents[0].value, f.parents[0].label, f.parents[0].slopes)

# %% [markdown]
# ### 5.2 An order for the walk
#
# A node may send its gradient on only after everything has arrived, so each node must come *after* all nodes
# that use it. Read backwards: list the nodes such that each stands behind its parents. This is a
# **topological order**; backward walks it from its end.
#
# Nearly right ideas fail at a **diamond**, where two ways of different lengths meet. In $p = xy$, $q = p +
# x$, $r = pq$ the node $p$ is a parent of $r$ and of $q$. By distance from the root, $p$ and $q$ are both
# one step away; if $p$ goes first, it sends on 12 instead of 22, and what $q$ sends later comes too late.
#
# Depth first gives the right order, if a node is listed *when it is left*: when all its parents have been
# listed already. Each node, once. Two further demands:
#
# - A loop over a sequence of 5000 steps makes a graph 5000 nodes deep. Python's recursion limit is 1000 calls,
#   so keep a stack of your own, as `walk_graph` did.
# - If a node is its own ancestor, there is no order. That cannot happen with `+` and `*`, but it happens to
#   graphs that somebody wired by hand; refuse it with a `ValueError` rather than run for ever. Take care: a
#   node that is met twice is a diamond; one that is met again *before it was left* is a cycle.
#
# {exercise u02-topo-order}

# %%
def topo_order(root):
    """List a node and all its ancestors, each once, parents before children; root comes last.

    Args: root: a Node. Only `parents` is read. Graphs may be deeper than Python's recursion limit.
    Returns: list of Nodes.
    Raises: ValueError: if a node is its own ancestor.
    """
    ### BEGIN SOLUTION
    order, opened, left, stack = [], set(), set(), [root]
    while stack:
        node = stack[-1]
        if node in opened:                         # everything above it on the stack is done
            stack.pop()
            if node not in left:
                left.add(node)
                order.append(node)
        else:
            opened.add(node)
            for parent in node.parents:
                if parent in opened and parent not in left:
                    raise ValueError("the graph has a cycle: a node is its own ancestor")
                stack.append(parent)
    return order
    ### END SOLUTION

# %%
@check("u02-topo-order")
def observe(values, parents, chain):
    nodes = [Node(value) for value in values]
    for node, places in zip(nodes, parents, strict=True):
        node.parents = tuple(nodes[place] for place in places)
    root = nodes[-1]
    for _ in range(chain):
        root = Node(root.value / 2, (root,))
    order, carried = topo_order(root), {}
    for node in order:                             # a parent that is not there yet counts as nothing
        carried[node] = node.value + sum(0.5 * carried.get(parent, 0.0) for parent in node.parents)
    return {"carried_to_root": carried.get(root, 0.0), "listed": len(order),
            "sum_of_values": sum(node.value for node in order), "last": order[-1].value}

# %% [markdown]
# ### 5.3 The walk
#
# Now the second half of the engine. Start with `upstream` at the root, go through the order from its end,
# and let each node send (its slope) · (what arrived) to each parent. As in PyTorch, a call **adds** to the
# `.grad` of leaves. A computed number's `.grad` is the gradient of *this* call only: PyTorch drops it, here
# it is kept so that you can look at it, and the next call replaces it.
#
# This difference matters. If computed numbers also added up over calls, the second call would send the first
# call's gradient a second time. **Predict** with $r = (x \cdot x) \cdot x$: what should two calls with
# upstream 1 leave in `x.grad` at $x = 2$?
#
# $2 \cdot 3x^2 = 24$. Several small engines that people write to learn this give 32.
#
# {exercise u02-backprop}

# %%
def backprop(root, upstream):
    """Walk back from root and put gradients into .grad.

    Args: root: a Node. upstream: float, the gradient of some final result with respect to root.
    Returns: nothing. Leaves (nodes without parents) have this call's gradient added to .grad; each other
        node that root depends on, and root itself, has .grad set to this call's gradient.
    """
    ### BEGIN SOLUTION
    order = topo_order(root)
    arrived = dict.fromkeys(order, 0.0)            # of this call alone
    arrived[root] = upstream
    for node in reversed(order):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            arrived[parent] += slope * arrived[node]
    for node in order:
        node.grad = arrived[node] if node.parents else node.grad + arrived[node]
    ### END SOLUTION

# %%
@check("u02-backprop")
def observe(values, steps, upstream, upstream2):
    numbers = build([Node(value) for value in values], steps)
    count, seen = len(values), []
    for weight in (upstream, upstream2):
        backprop(numbers[-1], weight)
        seen.append([node.grad for node in numbers])
    return {"leaves": seen[0][:count], "computed": seen[0][count:], "leaves_after_second_call": seen[1][:count],
            "computed_after_second_call": seen[1][count:], "values_after": [node.value for node in numbers]}

# %% [markdown]
# The same stepper as in section 1 reads your engine's nodes. This graph starts with a gradient in `x.grad`,
# left from an earlier call: watch what happens to it, and to the computed numbers. **Predict** the final
# `x.grad` before you step: $f = (xy + x) \cdot \tanh(y)$ with $x = 2$, $y = 0.5$, upstream 2.

# %%
from coursekit.viz.stepper import trace_nodes

x, y = Node(2.0, label="x"), Node(0.5, label="y")
x.grad = 10.0
f = (x * y + x) * y.tanh()
trace_f = trace_nodes(f, upstream=2.0)
step_through(lambda k: frame(trace_f, k), trace_f.count, strip=[5, 6, 7, 9])

# %% [markdown]
# When yours has passed, `backprop(f, 2.0)` and then `x.grad` give the picture's last number. And as `build`
# takes tensors as well as nodes, you can check your engine against PyTorch on any graph that you like.
#
# ## 6. Hooks
#
# ### 6.1 A gradient on its way
#
# A **hook** is a function that autograd calls when a gradient passes. `t.register_hook(f)` calls `f` with
# the gradient that arrived at `t`; what `f` returns goes on in its place, and `None` means unchanged. It is
# used to look at gradients, to scale or reverse them, and to clip them. `register_hook` returns a
# **handle**, and `handle.remove()` ends it.
#
# **Predict** the three lines. In which tensors' gradients does the hook show?

# %%
a = torch.tensor(3.0, requires_grad=True)
b = torch.tensor(4.0, requires_grad=True)
t = a * a
handle = t.register_hook(lambda grad: 10 * grad)
(t * b).backward()
print("a:", a.grad.item(), "  b:", b.grad.item())
handle.remove()
a.grad = None
(a * a * b).backward()
print("a without hook:", a.grad.item())

# %% [markdown]
# $\partial (a^2 b) / \partial a = 2ab = {shown 24}$. With the hook, `a`, which lies behind `t`, gets ten times
# that; `b` gets $a^2 = {shown 9}$ as always. The value of the product never changed.
#
# One warning. The tensor that a hook receives is not the hook's own: an addition hands the *same* tensor to
# both of its inputs. A hook that changes it in place (`grad.mul_(10)`) also changes what others get, or the
# $v$ of `backward(v)`, depending on who comes first. **A hook returns a new tensor.**
#
# {exercise u02-scale-grad}

# %%
def scale_grad(t, s):
    """Multiply every gradient that arrives at t by s, from now on until the handle is removed.

    Args: t: a tensor that requires grad, leaf or not; its values stay. s: float.
    Returns: the handle, with a method remove().
    """
    ### BEGIN SOLUTION
    return t.register_hook(lambda grad: grad * s)
    ### END SOLUTION

# %%
@check("u02-scale-grad")
def observe(a, b, v, s):
    x, u, leaf = (value.clone().requires_grad_() for value in (a, b, a))
    side = u * a
    t = x * b
    handle, leaf_handle = scale_grad(t, s), scale_grad(leaf, s)
    out = t + side
    found = {"forward": out.detach().clone()}
    out.backward(v, retain_graph=True)
    found |= {"grad_behind_t": x.grad.clone(), "grad_beside_t": u.grad.clone()}
    out.backward(v, retain_graph=True)
    (leaf * b).backward(v)
    (leaf * b).backward(v)
    found |= {"after_two_calls": x.grad.clone(), "of_a_leaf_after_two_calls": leaf.grad.clone()}
    handle.remove()
    leaf_handle.remove()
    x.grad = leaf.grad = None
    (out + leaf * b).backward(v)
    return found | {"removed": x.grad, "removed_from_leaf": leaf.grad, "v_after": v}

# %% [markdown]
# ### 6.2 Before or after the sum
#
# Some trainings clip gradients: every entry of every parameter's `.grad` has to lie between $-c$ and $c$. A
# hook on each parameter seems to do it. **Predict** the number: the gradient of $5p$ is 5, it is clipped to
# 1, and `backward` runs twice.

# %%
p = torch.tensor(1.0, requires_grad=True)
p.register_hook(lambda grad: grad.clamp(-1, 1))
for _ in range(2):
    (5 * p).backward()
print(p.grad.item())

# %% [markdown]
# {shown 2}: each of the two gradients was clipped, then they were added. `register_hook` runs *before* the sum of
# section 2.1. Module hooks (`register_full_backward_hook`) see the gradients of a layer's inputs and
# outputs, even earlier. For a leaf there is a later moment: `p.register_post_accumulate_grad_hook(f)` calls
# `f(p)` once the new gradient has been added. `f` reads and changes `p.grad`, and returns nothing: where
# `register_hook` takes a new gradient, this kind raises for anything but `None`. So a lambda, which returns
# whatever its expression gives, is seldom right here; write a function.
#
# Use it to keep all gradients of a module within bounds, however often `backward` runs. Parameters that
# need no gradient are left alone (a hook on one of them is an error).
#
# {exercise u02-clip-module-grads}

# %%
def clip_module_grads(m, c):
    """Keep each entry of each parameter's .grad in [-c, c] after every backward, until the handles are removed.

    Args: m: an nn.Module, possibly nested; parameters with requires_grad=False are left alone. c: float, above 0.
    Returns: list of handles, each with a method remove(); removing all of them ends the clipping.
    """
    ### BEGIN SOLUTION
    def clip(p):
        p.grad = p.grad.clamp(-c, c)

    return [p.register_post_accumulate_grad_hook(clip) for p in m.parameters() if p.requires_grad]
    ### END SOLUTION

# %%
@check("u02-clip-module-grads")
def observe(state, x, v, c):
    inner = nn.Sequential(nn.Linear(*state["0.0.weight"].shape[::-1]), nn.Tanh())
    model = nn.Sequential(inner, nn.Linear(*state["1.weight"].shape[::-1])).to(x.device)
    model.load_state_dict(state)
    inner[0].bias.requires_grad_(False)
    handles, seen = clip_module_grads(model, c), []
    for call in range(3):
        if call == 2:
            model.zero_grad()
            for handle in handles:
                handle.remove()
        model(x).backward(v)
        seen.append({name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad})
    return {"first_call": seen[0], "second_call": seen[1], "after_removal": seen[2],
            "needs_grad_after": [p.requires_grad for p in model.parameters()]}

# %% [markdown]
# ## 7. Predict
#
# The last exercise collects the unit. Ten snippets follow. In each, `x = torch.tensor(a,
# requires_grad=True)` has just run, and `a` is a positive number. What is `x.grad` at the end, as a formula
# in `a`? Answer with a number, with `None` if there is no gradient, or with the name of the error if one is
# raised, such as `"TypeError"`.
#
# ```python
# # A
# for _ in range(3):
#     (x * x).backward()
#
# # B
# with torch.no_grad():
#     k = x * x
# (k * x).backward()
#
# # C
# x += 1
# (x * x).backward()
#
# # D
# y = x + x
# y.backward()
# y.backward()
#
# # E
# y = x * x
# y.backward()
# y.backward()
#
# # F
# s = torch.sigmoid(x)
# s.data.zero_()
# s.backward()
#
# # G
# s = torch.sigmoid(x)
# s.detach().zero_()
# s.backward()
#
# # H
# torch.stack([x, x * x]).backward(torch.tensor([5.0, a]))
#
# # I
# x.register_hook(lambda grad: 10 * grad)
# y = x * x.detach()
# y.backward(retain_graph=True)
# y.backward()
#
# # J
# k = x.detach().clone().requires_grad_()
# (k * k).backward()
# ```
#
# Decide first, run afterwards. A formula that you have derived is worth more than one that you have fitted.
#
# {exercise u02-predict-grads}

# %%
def predict_grads(snippet, a):
    """Predict x.grad after one of the snippets A to J.

    Args: snippet: str, one capital letter. a: float, above 0, the value of x at the start.
    Returns: float, or None if x.grad is None, or the name of the exception's class as a str.
    """
    ### BEGIN SOLUTION
    return {
        "A": 3 * 2 * a,                            # three walks add up
        "B": a * a,                                # k is a constant
        "C": "RuntimeError",                       # in place on a leaf that is watched
        "D": 2 * 2.0,                              # nothing was saved, so a second walk is allowed
        "E": "RuntimeError",                       # x was saved, and is set free
        "F": 0.0,                                  # s (1 - s) with s overwritten, in silence
        "G": "RuntimeError",                       # the same, noticed by the version counter
        "H": 5 + 2 * a * a,                        # 5 · 1 + a · 2a
        "I": 2 * 10 * a,                           # each walk brings a, ten times
        "J": None,                                 # k is a leaf of its own
    }[snippet]
    ### END SOLUTION

# %%
@check("u02-predict-grads")
def observe(a):
    return {snippet: predict_grads(snippet, a) for snippet in "ABCDEFGHIJ"}

# %% [markdown]
# ## Summary
#
# - A forward pass on watched tensors records a graph: each result's `grad_fn` knows its operation, its inputs'
#   nodes and the saved tensors. Leaves end the walk and keep `.grad`.
# - `backward` multiplies by local derivatives and adds where paths meet. It adds to `.grad`; you decide when a new
#   sum begins.
# - An update is made in place, on the leaf, under `no_grad`. `w = w - ...` gives the name to a non-leaf.
# - `out.backward(v)` gives $J^\top v$, and that is all that is ever computed.
# - Saved tensors are freed after a walk, guarded by a version counter, and kept alive by every tensor that reaches
#   them: add up `loss.item()`, not `loss`.
# - An engine needs an order in which each node comes after everything that uses it, and a sum per node and call.
# - A hook on a tensor runs before the sum into `.grad`, a post-accumulate hook after it. Hooks return new tensors.
#
# In the next unit you teach this machine operations of your own.
#
# Next: [u03 Custom autograd.Function](u03_function.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the notes "Autograd mechanics" and "Extending PyTorch", and the tutorials "A Gentle Introduction
#   to torch.autograd" and "Understanding requires_grad, retain_grad, Leaf, and Non-leaf Tensors".
# - PyTorch blog: "Overview of PyTorch Autograd Engine" and "How Computational Graphs are Constructed in PyTorch".
# - Andrej Karpathy, "micrograd": an engine of a hundred lines. Compare its second `backward` with yours.
# - Dougal Maclaurin, David Duvenaud, Ryan Adams, "Autograd: Effortless Gradients in Numpy".
# - Adam Paszke and others, "Automatic differentiation in PyTorch".
# - A. Griewank and A. Walther, "Evaluating Derivatives": the chapters on the reverse mode.
