# %% [markdown]
# # Bug clinic
#
# Six programs are brought in. Each is short, each was written by somebody who knew what they wanted, and each is ill. Some stop with a
# message. All of them, once the message is gone, return numbers that are wrong. The faults come from every unit of this course, and
# from code of 2016 to 2018 that blog posts, lecture slides and the models that read them still hand out.
#
# At the end you will be able to
#
# - go from a symptom to the line that causes it, by steps that do not depend on luck;
# - tell a repair from a patch that only silences the symptom;
# - recognise PyTorch code of an older time, and say what stands in its place today;
# - judge numbers by something that does not share the fault.
#
# You need all the units before this one. Plan about one hour. There are six bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import itertools
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Variable
from torch.utils.data import DataLoader, TensorDataset

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Write down your answers first, then run the cell.
#
# 1. A new classifier of four classes has learned nothing. Near which value is its cross-entropy?
# 2. A network of ten classes ends in a softmax, and `F.cross_entropy` follows. The network is right, and as sure as can be. Which loss?
# 3. A loader gives batches of 4, 4 and 1 samples. Their mean losses are 1, 1 and 4. What is the mean over all samples, and what is the mean
#    of the three means?

# %%
sure = F.one_hot(torch.tensor([3]), 10).float()            # what a softmax returns at best
print("1.", round(F.cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item(), 3))
print("2.", round(F.cross_entropy(sure, torch.tensor([3])).item(), 3))
print("3.", round((4 * 1 + 4 * 1 + 1 * 4) / 9, 3), (1 + 1 + 4) / 3)

# %% [markdown]
# 1. $\ln 4 = {shown 1.386}$: equal logits give each class a probability of a quarter (unit 8).
# 2. {shown 1.461}. The loss applies a softmax of its own, and takes probabilities between 0 and 1 for logits: the best it can see is a lead of 1, and
#    $\ln(e + 9) - 1 = 1.461$ is the floor (unit 8).
# 3. {shown 1.333} and {shown 2}. The small batch counts as much as a large one in a mean of means (unit 6).
#
# All three numbers have something in common: you can know them before the program runs. A symptom is a difference between what came out
# and what should have, so if you predict nothing, you see no symptoms.

# %% [markdown]
# ## 1. How to hunt
#
# Take a first patient together. A program measures an accuracy, and reports 1.667.

# %%
scores = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
labels = torch.tensor([[0], [1], [1]])
guesses = scores.argmax(dim=1)
hits = guesses == labels
print("accuracy", round((hits.sum() / len(labels)).item(), 3))

# %% [markdown]
# **Say what should come out.** Three samples, the larger score is at the label in each: 3 hits of 3, accuracy 1. Also: no accuracy is above
# 1, so the fault is certain before any line was read.
#
# **Make it small.** It is: three samples, two classes, numbers that you can multiply in your head. A fault that disappears in the small
# version tells you something as well: it lies in what you left out.
#
# **Follow one value.** Go through the program and write down, for each line, value and shape as they *should* be. Then print what they are.
# The first line at which the two differ is the patient's; everything behind it is a consequence.

# %%
for name, value in [("scores", scores), ("labels", labels), ("guesses", guesses), ("hits", hits)]:
    print(f"{name:8} shape {tuple(value.shape)}, sum {value.sum().item()}")

# %% [markdown]
# `hits` should be three entries and is a {shown (3, 3)} table: the trap of unit 1, section 1.6. The fault came in one line earlier: `labels` has a
# second axis, which `guesses` lacks.
#
# **Mend the cause.** `min(1.0, accuracy)` also removes the symptom. So does a division by 9. Test a repair on an input that the repair
# was not made for: with the patch by 9 the three samples give 0.556.
#
# **One change at a time**, and look at *all* numbers again after each. A message hides whatever would have gone wrong behind it, and
# that is why the programs below have up to three faults: when the first is mended, the second can be seen.
#
# The next cell defines a small helper for this unit. It runs a program and shows its result, or its warnings and its error as two lines
# of text.

# %%
def attempt(program, *inputs):
    """Run a program; show its warnings, and its result or its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome = program(*inputs)
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
    for warning in caught:
        print(f"{warning.category.__name__}: {str(warning.message)[:100]} ...")
    print(outcome)

# %% [markdown]
# ### 1.1 The rules of this clinic
#
# Each patient is a cell that you change, followed by its check and by a cell that shows the symptom. **At most three lines** need to change.
# You may change more: the check looks at behaviour only, on inputs of its own, and takes every repair that restores it. Docstrings are right;
# they say what the program should do. The symptom above each program was measured with the seed 0. `hint("u09-hunt-tutorial")` gives the
# next of three hints, as ever; try to do without.

# %% [markdown]
# ## 2. The tutorial of 2017
#
# Somebody copied a linear regression from an old blog post, and one name got a letter too few on the way. This is what happens in
# turn, each line after the one above is mended:
#
# ```text
# AttributeError: module 'torch' has no attribute 'optm'
# IndexError: invalid index of a 0-dim tensor. ...
# first 7.692   lowest 0.286   last 3.137
# first 7.692   lowest 0.000   last 0.000      healthy
# ```
#
# The third state is the dangerous one. No message is left, the loss falls, and it rises again.
#
# {exercise u09-hunt-tutorial}

# %%
def fit(x, y, w, lr, steps):
    """Fit y = x w by torch.optim.SGD on the mean of squared errors over all entries.

    Args: x: (N, D) float. y: (N, K). w: (D, K), the starting point; stays as it is. lr: step length. steps: int.
    Returns: (losses, w): list of `steps` floats, the loss before each update; the trained weights, (D, K), without graph.
    """
    ### BEGIN SOLUTION
    w = Variable(w.clone(), requires_grad=True)            # an old name for a tensor; it does no harm
    optimizer = torch.optim.SGD([w], lr=lr)
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, w.data
    ### RELEASE SHOWS
    # w = Variable(w.clone(), requires_grad=True)
    # optimizer = torch.optm.SGD([w], lr=lr)
    # losses = []
    # for _ in range(steps):
    #     loss = ((x @ w - y) ** 2).mean()
    #     loss.backward()
    #     optimizer.step()
    #     losses.append(loss.data[0])
    # return losses, w.data
    ### END SOLUTION

# %%
@check("u09-hunt-tutorial")
def observe(x, y, w, lr, steps):
    losses, last = fit(x, y, w, lr, steps)
    return {"losses": losses, "last_w": last, "losses_are": sorted({type(loss).__name__ for loss in losses}), "w_after": w}

# %%
def tutorial():
    g = torch.Generator().manual_seed(seed)
    x, w = torch.randn(32, 3, generator=g), torch.randn(3, 2, generator=g)
    losses, _ = fit(x, x @ w, torch.zeros(3, 2), 0.2, 60)
    return f"first {losses[0]:.3f}   lowest {min(losses):.3f}   last {losses[-1]:.3f}"

attempt(tutorial)

# %% [markdown]
# ## 3. The walk that stays in one place
#
# This program walks downhill by hand, with a learning rate of its own for each step, and records where it has been. In turn:
#
# ```text
# UnboundLocalError: cannot access local variable 'lr' where it is not associated with a value
# TypeError: 'Tensor' object is not callable
# visited 3.00, 1.34, 1.34, 1.34
# visited 3.00, 1.80, 1.40, 1.34              healthy
# ```
#
# Both messages come from one line. Python works out the left factor of a product before the right one, so the second had to wait. A value for
# `lr` silences the first; that it is the rate of *this* step is another matter.
#
# {exercise u09-hunt-descent}

# %%
def descend(f, start, rates):
    """Walk downhill from a point, with one learning rate for each step.

    Args: f: function from a (D,) tensor to a scalar tensor. start: (D,) float; stays as it is. rates: list of floats, used in order.
    Returns: list of len(rates) + 1 tensors (D,), without graph: the start, and the point after each step.
    """
    ### BEGIN SOLUTION
    x = start.clone().requires_grad_()
    path = [start.clone()]
    for rate in rates:
        f(x).backward()
        x.data -= rate * x.grad
        x.grad.data.zero_()
        path.append(x.data.clone())                        # .data is the same memory, which the next step overwrites
    return path
    ### RELEASE SHOWS
    # x = start.clone().requires_grad_()
    # path = [start.clone()]
    # for rate in rates:
    #     f(x).backward()
    #     x.data -= lr * x.grad()
    #     x.grad.data.zero_()
    #     path.append(x.data)
    #     lr = rate
    # return path
    ### END SOLUTION

# %%
@check("u09-hunt-descent")
def observe(a, c, start, rates):
    path = descend(lambda t: (a * (t - c) ** 2).sum() + torch.sin(t).sum(), start, rates)
    path[0].add_(1)                                         # what the caller does with the record must not reach the start
    return {"path": path, "start_after": start}

# %%
def walk():
    path = descend(lambda t: ((t - 1) ** 2).sum(), torch.tensor([3.0]), [0.3, 0.25, 0.07])
    return "visited " + ", ".join(f"{point.item():.2f}" for point in path)

attempt(walk)

# %% [markdown]
# ## 4. Gradients with a missing comma
#
# A network with one hidden layer and biases, $z = \operatorname{relu}(x W_1 + b_1) W_2 + b_2$, is trained on the binary cross-entropy
# of $\sigma(z)$ against 0 or 1: summed over the outputs, averaged over the samples. Its gradients were ported from a lecture in which
# each *column* was a sample. Here each row is one. The training loop that called it stopped with
#
# ```text
# KeyError: 'b1'
# ```
#
# In a dict display such as `{"w1": 1 "b1": 2}` Python notices a missing comma. Between two strings it does not: they are joined. When
# the message is gone, judge the four gradients by something that shares no line with them. The cell below the check compares each with
# autograd: how long it is in proportion (1 is right), and how well it points the same way (the cosine; 1 is right).
#
# ```text
# w1 8.40 0.85   b1 11.70 0.93   w2 8.00 1.00   b2 8.00 1.00      the comma mended
# w1 1.00 1.00   b1 1.00 1.00    w2 1.00 1.00   b2 1.00 1.00      healthy
# ```
#
# Read the table as a doctor would. `b2` and `w2` point the right way: which lines are acquitted by that? A factor that all four share
# must stand where all four begin. What else is wrong with two of them must stand behind the point where they part from the others.
#
# {exercise u09-hunt-gradients}

# %%
def gradients(x, y, w1, b1, w2, b2):
    """Give the gradients of the mean over samples of the summed binary cross-entropy of sigmoid(relu(x w1 + b1) w2 + b2).

    Args: x: (N, D) float. y: (N, K), zeros and ones. w1: (D, M). b1: (M,). w2: (M, K). b2: (K,).
    Returns: dict with the keys "w1", "b1", "w2" and "b2", each shaped like its parameter.
    """
    ### BEGIN SOLUTION
    h = x @ w1 + b1
    r = h.clamp(min=0)
    grad_z = 1 / x.shape[0] * (torch.sigmoid(r @ w2 + b2) - y)     # rows are samples
    grad_r = grad_z @ w2.T
    grad_h = grad_r * (h > 0)
    grads = [x.T @ grad_h, grad_h.sum(dim=0), r.T @ grad_z, grad_z.sum(dim=0)]
    names = ["w1", "b1", "w2", "b2"]
    return {name: grads[i] for i, name in enumerate(names)}
    ### RELEASE SHOWS
    # h = x @ w1 + b1
    # r = h.clamp(min=0)
    # grad_z = 1/(x.shape[1]) * (torch.sigmoid(r @ w2 + b2) - y)
    # grad_r = grad_z @ w2.T
    # grad_h = grad_r * (grad_r > 0)
    # grads = [x.T @ grad_h, grad_h.sum(dim=0), r.T @ grad_z, grad_z.sum(dim=0)]
    # names = ["w1", "b1" "w2", "b2"]
    # return {name: grads[i] for i, name in enumerate(names)}
    ### END SOLUTION

# %%
@check("u09-hunt-gradients")
def observe(x, y, w1, b1, w2, b2):
    found = gradients(x, y, w1, b1, w2, b2)
    return {name: found[name] for name in ("b1", "w1", "w2", "b2")} | {"how_many": len(found), "x_after": x}

# %%
def judged(n=32, d=4, m=6, k=2):
    g = torch.Generator().manual_seed(seed)
    p = {name: torch.randn(s, generator=g) for name, s in [("w1", (d, m)), ("b1", (m,)), ("w2", (m, k)), ("b2", (k,))]}
    x, y = torch.randn(n, d, generator=g), torch.randint(0, 2, (n, k), generator=g).float()
    found, leaves = gradients(x, y, **p), [t.clone().requires_grad_() for t in p.values()]
    z = (x @ leaves[0] + leaves[1]).relu() @ leaves[2] + leaves[3]
    true = torch.autograd.grad(F.binary_cross_entropy_with_logits(z, y, reduction="sum") / n, leaves)
    rows = [(name, found[name].flatten(), t.flatten()) for name, t in zip(p, true, strict=True)]
    return "   ".join(f"{name} {a.norm() / b.norm():.2f} {F.cosine_similarity(a, b, dim=0):.2f}" for name, a, b in rows)

attempt(judged)

# %% [markdown]
# ## 5. The tower that was copied
#
# A class was made by copying another one. Its constructor stops, with a message that names neither class:
#
# ```text
# TypeError: super(type, obj): obj must be an instance or subtype of type
# 330 parameters; two answers in eval mode differ by 0.360
# 3498 parameters; two answers in eval mode differ by 0.000      healthy
# ```
#
# The second line is what remains when the message is gone. You can compute the third without running anything: three hidden layers of
# $32 \cdot 32 + 32$ and a head of $32 \cdot 10 + 10$.
#
# {exercise u09-hunt-tower}

# %%
class Tower(nn.Module):
    """Hidden layers of equal width, each followed by a ReLU; then dropout, in training only, and a linear head.

    Args: width, depth, classes: ints. p: the share that dropout sets to zero.
    Attributes: hidden: its `depth` nn.Linear layers, in order. head: nn.Linear. All of them are trained.
    """
    ### BEGIN SOLUTION
    def __init__(self, width, depth, classes, p):
        super().__init__()
        self.p = p
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).relu()
        return self.head(F.dropout(x, self.p, self.training))      # as a function, dropout knows no mode of its own
    ### RELEASE SHOWS
    # def __init__(self, width, depth, classes, p):
    #     super(nn.Sequential, self).__init__()
    #     self.p = p
    #     self.hidden = [nn.Linear(width, width) for _ in range(depth)]
    #     self.head = nn.Linear(width, classes)
    #
    # def forward(self, x):
    #     for layer in self.hidden:
    #         x = layer(x).relu()
    #     return self.head(F.dropout(x, self.p))
    ### END SOLUTION

# %%
@check("u09-hunt-tower")
def observe(hidden, head, x, p, seed):
    torch.manual_seed(seed)
    model = Tower(hidden.shape[1], len(hidden), head.shape[0], p).to(x.device)
    with torch.no_grad():
        for layer, weight in zip(model.hidden, hidden, strict=True):
            layer.to(x.device).weight.copy_(weight)
            layer.bias.fill_(0.1)
        model.head.weight.copy_(head)
        model.head.bias.fill_(0.5)
    seen = []
    model.head.register_forward_pre_hook(lambda layer, given: seen.append(given[0].detach()))
    answer = model.eval()(x).detach()
    in_training = model.train()(x)
    on = seen[0] > 0.01
    return {"parameters": sorted(list(t.shape) for t in model.parameters()), "answer_in_eval": answer, "head_reads_in_eval": seen[0],
            "factors_in_training": sorted({round(q, 3) for q in (seen[1][on] / seen[0][on]).tolist()}),
            "zeros_in_training": int((in_training == 0).sum())}

# %%
def tower():
    torch.manual_seed(seed)
    model, x = Tower(32, 3, 10, 0.5).eval(), 10 * torch.ones(1, 32)
    count = sum(t.numel() for t in model.parameters())
    return f"{count} parameters; two answers in eval mode differ by {(model(x) - model(x)).abs().max():.3f}"

attempt(tower)

# %% [markdown]
# ## 6. Steps instead of epochs
#
# Large models are trained for a number of *steps*, not epochs. The loader ends after each epoch, and is to be started again, in a new
# order. In turn:
#
# ```text
# AttributeError: '_SingleProcessDataLoaderIter' object has no attribute 'next'
# StopIteration:
# 30 losses, first 1.238, last 0.723
# 30 losses, first 1.641, last 0.315      healthy
# ```
#
# `StopIteration` has no text, and inside a generator or a `for` loop of somebody else it can look like a normal end. The third state has all
# the patience of the fourth and does not get there: there are three classes. Which floor do you compute for three, in the way of question
# 2 above?
#
# {exercise u09-hunt-epochs}

# %%
def train(model, loader, lr, steps):
    """Train a classifier for a number of updates; when the loader is exhausted, it is started again, for a new order.

    Args: model: nn.Module from (B, D) to logits (B, K). loader: DataLoader of (x, y), y int64. lr: float, for torch.optim.SGD. steps: int.
    Returns: list of `steps` floats: the mean cross-entropy of each batch, before its update. The model is trained in place.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))      # asks the loader for a new iterator at each end
    losses = []
    for _ in range(steps):
        x, y = next(batches)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### RELEASE SHOWS
    # optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    # batches = iter(loader)
    # losses = []
    # for _ in range(steps):
    #     x, y = batches.next()
    #     loss = F.cross_entropy(F.softmax(model(x), dim=1), y)
    #     optimizer.zero_grad()
    #     loss.backward()
    #     optimizer.step()
    #     losses.append(loss.item())
    # return losses
    ### END SOLUTION

# %%
@check("u09-hunt-epochs")
def observe(x, y, w, orders, lr, batch_size, steps):
    class InTheseOrders:
        def __init__(self):
            self.left = iter(orders)

        def __iter__(self):
            yield from next(self.left)

        def __len__(self):
            return len(x)

    model = nn.Linear(w.shape[1], w.shape[0], bias=False)
    model.weight = nn.Parameter(w.clone())
    losses = train(model, DataLoader(TensorDataset(x, y), batch_size, sampler=InTheseOrders()), lr, steps)
    return {"losses": losses, "weight": model.weight.detach()}

# %%
def steps():
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (24,), generator=g)
    x = torch.randn(24, 5, generator=g) + 2 * F.one_hot(y, 5)
    torch.manual_seed(seed)
    losses = train(nn.Linear(5, 3), DataLoader(TensorDataset(x, y), 8, shuffle=True, generator=g), 0.5, 30)
    return f"{len(losses)} losses, first {losses[0]:.3f}, last {losses[-1]:.3f}"

attempt(steps)

# %% [markdown]
# ## 7. The hook that reports something else
#
# When the gradients of a deep network vanish, one wants to see what arrives at each layer. This function hangs a hook on each linear
# layer and collects. Nothing raises. There is a warning, and the answer has one entry where three are due:
#
# ```text
# FutureWarning: Using a non-full backward hook ...
# {'4': (6,)}
# {'0': (6,), '2': (5,), '4': (2,)}               one fault mended
# {'0': 'nothing', '2': (8, 6), '4': (8, 5)}      two
# {'0': (8, 4), '2': (8, 6), '4': (8, 5)}         healthy
# ```
#
# The batch has 8 samples, and the layers are 4 → 6, 6 → 5 and 5 → 2. The shapes tell what was collected before the last repair but one: whose
# gradient has the shape (6,)?
#
# {exercise u09-hunt-hooks}

# %%
def input_gradients(model, x, upstream):
    """Give the gradient that arrives at the input of each linear layer.

    Args: model: nn.Sequential of nn.Linear layers and activations. x: (N, D) float. upstream: (N, K), the gradient of the model's output.
    Returns: dict from a layer's name, such as "0", to a tensor shaped like that layer's input. No hook stays on the model.
    """
    ### BEGIN SOLUTION
    found, handles = {}, []
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            def note(layer, grad_input, grad_output, name=name):       # the default is bound now, for this turn of the loop
                found[name] = grad_input[0]
            handles.append(layer.register_full_backward_hook(note))
    model(x.clone().requires_grad_()).backward(upstream)               # or nobody asks for the first layer's
    for handle in handles:
        handle.remove()
    return found
    ### RELEASE SHOWS
    # found, handles = {}, []
    # for name, layer in model.named_children():
    #     if isinstance(layer, nn.Linear):
    #         def note(layer, grad_input, grad_output):
    #             found[name] = grad_input[0]
    #         handles.append(layer.register_backward_hook(note))
    # model(x).backward(upstream)
    # for handle in handles:
    #     handle.remove()
    # return found
    ### END SOLUTION

# %%
@check("u09-hunt-hooks")
def observe(weights, biases, x, upstream, later):
    layers = []
    for weight, bias in zip(weights, biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias.numel() > 0)
        linear.weight = nn.Parameter(weight.clone())
        if bias.numel() > 0:                               # some layers have none
            linear.bias = nn.Parameter(bias.clone())
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = input_gradients(model, x, upstream)
    model(later.requires_grad_()).sum().backward()         # a hook that was left behind would write again
    return {"names": sorted(found), "gradients": found, "x_after": x, "upstream_after": upstream}

# %%
def report():
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    found = input_gradients(model, torch.randn(8, 4), torch.randn(8, 2))
    return {name: "nothing" if found[name] is None else tuple(found[name].shape) for name in sorted(found)}

attempt(report)

# %% [markdown]
# ## 8. Discharge letters
#
# Read these when all six are mended. For each, write down first, in one sentence, why the fault gave *this* symptom.
#
# - **The tutorial.** Without `zero_grad` each step is made of the sum of all gradients so far. That is a velocity that never fades (unit 7):
#   the loss swings through its minimum, down to 0.286 and up again. In the first two losses nothing is to be seen.
# - **The walk.** `x.data` is the memory of x under a second name, so three entries of the list were one memory, and showed its last value. The
#   start was a copy and stayed 3.00.
# - **The gradients.** There were 32 samples of 4 features, and 32 / 4 = 8 is the ratio that all four shared. Only w1 and b1 lie behind the
#   bend. Their mask asked for the sign of what came back, where it should have asked for the sign of what had gone in.
# - **The tower.** $32 \cdot 10 + 10 = 330$ is the head alone: a list is no module, so nothing in it is registered. And the third argument of
#   `F.dropout` is `training=True` unless you say otherwise. In training all that was right, so no training would have shown it.
# - **The steps.** The floor for three classes is $\ln(e + 2) - 1 = 0.551$, and 0.723 was on its way there. Whoever wrote `next(iter(loader))`
#   got rid of both messages, and of all batches but the first of each new order.
# - **The hook.** A closure reads `name` when it runs. By then the loop is over, so all wrote under '4', and layer 0 wrote last, because a
#   backward pass ends there. The old hook reports on the last operation of a layer, which adds a bias to a product; its first
#   input is the bias. And no gradient reaches an input that wants none.

# %% [markdown]
# ## 9. A museum of old code
#
# You will go on meeting these lines. Some stop, with messages that are easy once you know them:

# %%
x = torch.ones(2, requires_grad=True)
x.sum().backward()
with expect_error(TypeError):
    x.grad()
with expect_error(IndexError):
    x.sum().data[0]
with expect_error(AttributeError):
    iter(DataLoader([1, 2])).next()
with expect_error(SyntaxError):
    eval('{"w1": 1 "b1": 2}')

# %% [markdown]
# The others run, and those cost more.
#
# | old | what happens today | today's form |
# |---|---|---|
# | `Variable(t)` | a tensor on the same memory as `t`, cut off from its graph | `t`, or `t.clone()` |
# | `Variable(t, volatile=True)` | a warning; weights record their graph all the same | `with torch.no_grad():` |
# | `loss.data[0]` | IndexError | `loss.item()` |
# | `w.data -= lr * w.grad.data` | works; autograd sees none of it, mistakes included | `with torch.no_grad(): w -= lr * w.grad` |
# | `iter(loader).next()` | AttributeError; and in a loop, the first batch of a new epoch each time | `for x, y in loader:` |
# | `super(Name, self).__init__()` | works until the class is copied or renamed | `super().__init__()` |
# | `F.dropout(x, p)` | drops in eval mode, too | `nn.Dropout(p)` |
# | `register_backward_hook` | gradients of the last operation's inputs, in that operation's order | `register_full_backward_hook` |
#
# **Predict** for the next cell: what is `x.grad` after a penalty on the slope $3x^2$ of $x^3$ at $x = 2$? The penalty is the
# slope's square, $9x^4$.

# %%
x = torch.tensor(2.0, requires_grad=True)
(slope,) = torch.autograd.grad(x ** 3, x, create_graph=True)
with expect_error(RuntimeError):
    (slope.data ** 2).backward()
(x + slope.data ** 2).backward()                           # as one term of a loss, it is silent
print("with .data:", x.grad.item() - 1)
x.grad = None
(x + slope ** 2).backward()
print("without:   ", x.grad.item() - 1)

# %% [markdown]
# $36 x^3 = {shown 288}$, and {shown 0} with `.data`. Alone, the cut graph raises; as a part of a larger loss it is a constant that trains nothing. That
# is the pattern of this whole unit: the fault is the same, and only its surroundings decide whether you are told.

# %% [markdown]
# ## Summary: a checklist
#
# Before you run
#
# - Write down what should come out: a shape, a first loss ($\ln K$), a number of parameters, a case that you can do by hand.
# - Fix the seed, and make the program small enough to be run again within seconds.
#
# When it stops
#
# - Read the last line of the message first, then go up to the last line that is yours.
# - Believe the message about *what*; be careful with *where*. The line that raises is often the first that could notice.
# - After the repair, start again from the top of this list: what was hidden behind the message is unexamined.
#
# When it runs and is wrong
#
# - Value, shape, dtype, `requires_grad`, `grad_fn`, device: print them line by line, and find the first that differs from your prediction.
# - Does every parameter have a gradient, does every parameter move, and does the optimizer hold all of them? Three short loops answer this.
# - Compare with something that shares no line with the suspect: autograd, a finite difference, the same in float64, a loop over single
#   samples.
# - A ratio of exactly 2, $N$ or $N / D$ is a factor that was lost or doubled. A cosine below 1 is a wrong term. A result that changes
#   from call to call is a mode or a generator. A constant loss is a cut graph or a step that goes nowhere. A loss with a floor has a
#   softmax too many.
# - Can it learn one batch by heart? If it cannot, the fault is in the program, and more data or more time will not help.
# - Halve: give the second half of the program values that you know to be right.
#
# When you have mended it
#
# - Say in one sentence why the fault gave *this* symptom. If you cannot, you have found a coincidence.
# - Try an input that the repair was not made for: another size, an uneven last batch, the other mode, a second call.
# - Keep the small case as a test. It cost you an hour; let it earn.
#
# ### What next
#
# This was the last unit. You have derived a backward pass, built the machine that derives it for you, extended it, and put modules,
# data, optimizers and a whole project on top. Every part of PyTorch that this course has used is now a part that you could replace.
# Good ways on from here: train something that *you* want to know about, and keep a log of each fault with its symptom; read the source
# of `torch/optim/adamw.py` and `torch/nn/modules/module.py`, which you can now follow; write a small language model from an empty file,
# with your own attention, training loop and sampler. And teach somebody: a fault that you can explain is one that you will not make
# again soon.

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - David J. Agans, "Debugging: The 9 Indispensable Rules for Finding Even the Most Elusive Software and Hardware Problems".
# - Andreas Zeller, "Why Programs Fail": shrinking an input and halving a program, as methods that a machine can follow.
# - Andrej Karpathy, "A Recipe for Training Neural Networks".
# - PyTorch documentation: the release notes of 0.4, with the guide that moves code away from Variable; "Modules", the section on hooks;
#   the FAQ; "Performance Tuning Guide".
# - For what comes after this course: Stanford CS336, "Language Modeling from Scratch"; Andrej Karpathy, "Neural Networks: Zero to
#   Hero"; Simon Prince, "Understanding Deep Learning"; Sasha Rush, "Tensor Puzzles"; Horace He, "Making Deep Learning Go Brrrr From
#   First Principles".
