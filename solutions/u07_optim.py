# %% [markdown]
# # Optimizers
#
# A gradient says which way is down. It does not say how far to go, whether to trust the last step more than the
# slope under your feet, or whether all weights should walk at the same pace. Those decisions are the optimizer.
# In this unit you write the four that nearly everybody uses, as real subclasses of `torch.optim.Optimizer`, and
# they must agree with PyTorch's own at every step.
#
# At the end you will be able to
#
# - name the four steps of a training loop, and recognise each omission by its numbers;
# - say what an optimizer holds: tensors, groups of options, and a state that survives a restart;
# - derive momentum, RMSprop, Adam and AdamW, and implement them step for step;
# - decide which parameters decay, and find the parameter that nobody trains;
# - schedule a learning rate with warm-up and cosine, and clip a gradient by its norm;
# - compare optimizers on surfaces where you can see what they do.
#
# You need the training loop of unit 2, the modules of unit 4 and the batches of unit 6. Plan about two and a half
# hours. There are eight exercises and two bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import copy
import math
import warnings

import torch
from torch import nn

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Two questions on unit 6 and one on unit 4. Write your answers down first, then run the cell.
#
# 1. Ten samples come in batches of 4, 4 and 2. The mean losses of the batches are 1, 1 and 4. What is the mean
#    loss of the ten samples?
# 2. A `DataLoader` over ten samples has `batch_size=4` and `drop_last=True`. How many updates do three epochs make?
# 3. A module keeps its two layers in a plain Python list. What happens when its `parameters()` are given to an
#    optimizer?

# %%
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 2), nn.Linear(2, 1)]

print("1.", sum(n * mean for n, mean in [(4, 1.0), (4, 1.0), (2, 4.0)]) / 10)
loader = torch.utils.data.DataLoader(list(range(10)), batch_size=4, drop_last=True)
print("2.", sum(1 for epoch in range(3) for batch in loader))
with expect_error(ValueError):
    torch.optim.SGD(Hidden().parameters(), lr=0.1)

# %% [markdown]
# 1. {shown 1.6}. The mean of the three means would be 2: the small batch would count twice as much per sample.
# 2. {shown 6}: two full batches in each epoch, and two samples are left out.
# 3. `{shown optimizer got an empty parameter list}`. A list registers nothing, so `parameters()` gives nothing. Be glad of
#    this error. If only one of several layers hides in a list, the optimizer takes what it sees and says nothing.

# %% [markdown]
# ## 1. Four steps
#
# ### 1.1 By hand
#
# This is gradient descent on two raw tensors, with everything visible. The data follow a straight plane,
# $y = X w_{\text{true}} + 0.5$, so the loss can reach 0.

# %%
g = torch.Generator(device).manual_seed(seed)
X = torch.randn(32, 3, generator=g, device=device)
y = X @ torch.tensor([2.0, -1.0, 0.5], device=device) + 0.5
w = torch.zeros(3, device=device, requires_grad=True)
b = torch.zeros((), device=device, requires_grad=True)

# %%
for _ in range(40):
    loss = ((X @ w + b - y) ** 2).mean()           # forward
    loss.backward()                                # backward: adds to w.grad and b.grad
    with torch.no_grad():
        for p in (w, b):
            p -= 0.2 * p.grad                      # step: in place, so that w stays w
            p.grad = None                          # zero: the next sum begins empty
print(f"loss {loss.item():.1e}   w {[round(v, 3) for v in w.tolist()]}   b {b.item():.3f}")

# %% [markdown]
# Four things happen in each round, and each has a name that you will meet in every training program:
#
# | step | in the loop above | what it does |
# |---|---|---|
# | zero | `p.grad = None` | forgets the old gradient |
# | forward | `loss = ...` | computes the loss and records its graph |
# | backward | `loss.backward()` | **adds** the gradient to `.grad` |
# | step | `p -= 0.2 * p.grad` | moves the weights, in place |
#
# Zero may stand first or last. It must not stand between backward and step.
#
# ### 1.2 What an optimizer is
#
# An optimizer takes over the two inner lines, zero and step. It is an object that holds three things:
#
# - the **tensors** to move. Not their names, not the model: the tensor objects themselves;
# - **groups** of them, `param_groups`. A group is a dict with its tensors under `"params"` and its options, such as
#   `"lr"`, beside them;
# - a **state**: what it remembers about each tensor between steps.
#
# The base class `torch.optim.Optimizer` looks after all of it. Here is gradient descent as a subclass, and it is complete:

# %%
class PlainSGD(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})       # the dict: default options of a group

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:             # never reached by backward: not moved
                    p -= group["lr"] * p.grad

# %% [markdown]
# The cell gives it two groups. The second has an option of its own; the first takes the default. **Predict** the two
# numbers after one step with a gradient of 1 everywhere.

# %%
first, second, unused = (torch.tensor(10.0, requires_grad=True) for _ in range(3))
optimizer = PlainSGD([{"params": [first, unused]}, {"params": [second], "lr": 3.0}], lr=1.0)
(first + second).backward()
optimizer.step()
print(first.item(), second.item(), unused.item(), "  gradient of the unused one:", unused.grad)
optimizer.zero_grad()
print("after zero_grad:", first.grad)
with expect_error(AttributeError):
    first.grad.zero_()

# %% [markdown]
# {shown 9} and {shown 7}, and the tensor without a gradient stays. `zero_grad` sets `.grad` to `{shown None}`; old code that calls
# `.grad.zero_()` then finds nothing to call it on. (`zero_grad(set_to_none=False)` fills with zeros instead. For plain
# SGD that is the same. With momentum or weight decay it is not: a zero is a gradient, and a tensor with a gradient
# of zero keeps moving.)
#
# `@torch.no_grad()` stands above `step` because a leaf that requires a gradient must not be changed in place while
# autograd is watching, and because the arithmetic of an update must not be recorded. A state that is computed with recording
# on grows a graph that reaches back to the first step.
#
# ### 1.3 What each omission does
#
# Leave out one of the four steps, or put zero in the wrong place. **Predict** for each of the five what the loss
# does: falls, stays, swings, or raises. Then look.

# %%
from coursekit.viz.omissions import omissions_picture
from coursekit.viz.show import show, step_through

show(omissions_picture())

# %% [markdown]
# - **No zero.** Each step goes along the *sum* of all gradients so far. The sum still points downhill when the valley's floor is passed, so
#   the weights swing through it and up the other side, for ever. No error. On a gentle slope this loop is even *faster*
#   than the right one, as a sum of equal gradients is a long one. Section 2 turns the idea into something useful.
# - **No forward** in the loop: the second backward finds a graph whose saved tensors are gone, and raises.
# - **No backward**: `.grad` is `None` everywhere, and an optimizer skips what has no gradient. A constant, no error.
# - **Zero too late**, between backward and step: the same constant, for the same reason.
# - **No step**: again the same constant.
#
# Three different faults, one symptom. The loss cannot tell them apart; the gradients and the weights can.
#
# ### 1.4 Bug hunt: reading logs
#
# A colleague sends you logs of loops that train one weight. Each log is a dict with lists, one entry for each round:
#
# | name | what it holds |
# |---|---|
# | `"loss"` | the loss of the round |
# | `"w"` | the model's weight before the first round, and after each round (one entry more) |
# | `"slope"` | the derivative of this round's loss by the weight, computed apart from the loop, with `torch.autograd.grad` |
# | `"after_backward"` | what `w.grad` held where backward should have run: a number or None |
# | `"at_step"` | what `w.grad` held where `optimizer.step()` should have run: a number or None |
#
# All loops use plain gradient descent. One is sound; the others have one fault each. What to answer:
#
# | answer | the loop |
# |---|---|
# | `"nothing"` | is sound (it may have started at the minimum or arrived there; at the minimum nothing moves) |
# | `"no zero_grad"` | never clears the gradient |
# | `"zero_grad too late"` | clears it between backward and step, to None or to 0.0 |
# | `"no backward"` | never calls backward |
# | `"no step"` | never calls step |
# | `"other tensor"` | does everything, but its optimizer holds a copy of the weight, not the weight |
#
# The answer cell holds your colleague's attempt, which judges by the loss. Replace it. Before you write code, fill in
# a table: what does each fault do to `after_backward`, to `at_step`, and to `w`? The last fault is the subtle one.
# Whose gradient does an optimizer's `zero_grad` clear?
#
# {exercise u07-hunt-find-bug}

# %%
def find_bug(log):
    """Name what is wrong with a training loop, from its log.

    Args: log: dict of lists: "loss", "slope", "after_backward", "at_step", with n >= 3 entries, and "w", with n + 1.
    Returns: one of the six answers in the table.
    """
    ### BEGIN SOLUTION
    moved = log["w"][0] != log["w"][-1]
    if log["after_backward"][-1] is None:
        return "no backward"
    if not math.isclose(log["after_backward"][-1], log["slope"][-1]):      # old gradients are in it
        return "no zero_grad" if moved else "other tensor"
    if log["slope"][-1] == 0:                                              # at rest, as it should be
        return "nothing"
    if not log["at_step"][-1]:                                             # None or 0.0
        return "zero_grad too late"
    return "nothing" if moved else "no step"
    ### RELEASE SHOWS
    # if log["loss"][-1] < log["loss"][0]:
    #     return "nothing"
    # return "no step"
    ### END SOLUTION

# %%
@check("u07-hunt-find-bug")
def observe(weights_move, weights_stay):
    return {"weights_move": [find_bug(log) for log in weights_move],
            "weights_stay": [find_bug(log) for log in weights_stay]}

# %% [markdown]
# ## 2. Momentum
#
# ### 2.1 A narrow valley
#
# Take the bowl $f(x, y) = \tfrac12 (x^2 + 25 y^2)$. Gradient descent multiplies $x$ by $1 - \eta$ and $y$ by $1 - 25\eta$ in each step. The
# steep direction allows no more than $\eta < 2/25 = 0.08$: beyond it $|1 - 25\eta| > 1$, and $y$ grows. At $\eta = 0.07$ the shallow direction
# shrinks by 7 % a step. The ratio of the largest to the smallest curvature, here 25, is the **condition number**. The larger
# it is, the more the steep direction holds the shallow one back.
#
# **Momentum** lets the weights roll. It keeps a velocity, a sum of gradients in which older ones fade:
#
# $$v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta\, v .$$
#
# Along the floor of the valley all gradients point the same way, and the sum grows to $g / (1 - \mu)$: ten times the step at
# $\mu = 0.9$. Across the valley they alternate in sign and cancel. The velocity is the loop without zero of section 1.3, with a memory
# that fades ($\mu = 1$ would be that loop itself).
#
# Step through the first race: each racer starts at the same point.

# %%
from coursekit.viz.race import BOWL, ROSENBROCK, race_frame, run_race

bowl = run_race(BOWL, ("SGD", "momentum", "Nesterov"))
step_through(lambda k: race_frame(BOWL, bowl, 5 * k), 9, strip=(1, 3, 8))

# %% [markdown]
# Plain descent jumps across the floor and creeps along it: {shown 0.024} after 40 steps. Momentum has a shorter step of 0.04, half the bound, and is
# ten times lower by then, at {shown 0.0022}, though it swings past the minimum on the way. Nesterov, with the same two numbers, reaches {shown 0.00025}.
#
# ### 2.2 Where the learning rate stands
#
# Textbooks write momentum in two ways. In the classical form the velocity *contains* the learning rate:
#
# $$v \leftarrow \mu v - \eta\, g, \qquad w \leftarrow w + v .$$
#
# While $\eta$ stays the same, both forms walk the same path. **Predict** what happens when $\eta$ is cut to a tenth
# in the middle of a run: which form brakes at once?

# %%
for form in ("classical", "torch"):
    w, v, lr, path = 10.0, 0.0, 0.1, []
    for step in range(8):
        lr = 0.1 if step < 4 else 0.01
        if form == "classical":
            v = 0.9 * v - lr * w                   # f = w²/2, so the gradient is w
            w += v
        else:
            v = 0.9 * v + w
            w -= lr * v
        path.append(round(w, 2))
    print(f"{form:10}", path)

# %% [markdown]
# The torch form brakes at once ({shown 2.27, 2.01}): the whole velocity is multiplied by the new rate. The classical form keeps rolling on
# velocity that was collected at the old rate, to {shown −5.75} and further. Both are called momentum. **This course follows PyTorch.**
#
# ### 2.3 Nesterov
#
# The velocity will carry the weights on in any case. Nesterov's idea: do not ask for the slope where you stand, but where the velocity
# is about to take you. PyTorch uses an equivalent form that needs the gradient at the weights only (its weights are the ones looked ahead
# to). The velocity is updated as before, and the step goes along
#
# $$g + \mu v \quad \text{instead of} \quad v ,$$
#
# with the *new* $v$. Write both out in old quantities: $v_{\text{new}} = g + \mu v_{\text{old}}$, and the step is
# $(1 + \mu)\, g + \mu^2 v_{\text{old}}$. It listens more to the present gradient, less to history, and so it swings less.
#
# ### 2.4 Weight decay
#
# A penalty $\tfrac{\lambda}{2} \|w\|^2$ in the loss pulls every weight towards 0. Its gradient is $\lambda w$, so there is no need to
# write it into the loss: add it to the gradient before anything else, $g \leftarrow g + \lambda w$. That is PyTorch's `weight_decay` for SGD.
# The sum must be a *new* tensor: `.grad` belongs to the user, who may want to log it, clip it, or go on adding to it.
#
# ### 2.5 Your SGD
#
# The state of a parameter `p` is the dict `self.state[p]`, empty at first. What you put there, under names of your own,
# is saved by `optimizer.state_dict()` and comes back with `load_state_dict`. What you keep elsewhere is lost in a restart.
# Both hand over the tensors themselves: two optimizers that live side by side then share one velocity, unless the state is copied.
#
# The setup cell below holds the driver that all checks of this part use. It feeds gradients to two groups of parameters, some of them None,
# looks at the weights after **every** step, cuts the learning rates as a scheduler would, and lets a second optimizer take over in the middle from a
# saved state. Read it: everything in it happens in real training.

# %% tags=["setup"]
def drive(optimizer_class, values, grads, options, second=None):
    """Step through given gradients; a second optimizer takes over in the middle from a state_dict. The last tensor is a group of its own."""
    def begin(tensors):
        params = [t.detach().clone().requires_grad_() for t in tensors]
        return params, optimizer_class([{"params": params[:-1]}, {"params": params[-1:], **(second or {})}], **options)

    def walk(params, optimizer, rows):
        path = []
        for row in rows:
            for p, g in zip(params, row, strict=True):                     # the same .grad is written again, as backward does
                p.grad = None if g is None else g.clone() if p.grad is None else p.grad.copy_(g)
            optimizer.step()
            path.append(torch.cat([p.detach().flatten() for p in params]))
        return path

    half = len(grads) // 2
    params, optimizer = begin(values)
    path = walk(params, optimizer, grads[:half])
    saved = copy.deepcopy(optimizer.state_dict())
    heirs, heir = begin(params)
    heir.load_state_dict(saved)
    for group in optimizer.param_groups + heir.param_groups:
        group["lr"] *= 0.5
    path += walk(params, optimizer, grads[half:])
    library = [c.__name__ for c in optimizer_class.__mro__ if c.__module__.startswith("torch.optim")]
    remembered = [t for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    return {"path": torch.stack(path), "resumed": walk(heirs, heir, grads[half:])[-1],
            "built_on": library,
            "grads_after": [p.grad for p in params], "state_with_graph": sum(t.requires_grad for t in remembered)}

# %% [markdown]
# Your optimizer must give PyTorch's numbers. The order within a step: decay into the gradient, velocity, then the move. A velocity that does not exist yet counts as 0.
#
# {exercise u07-sgd}

# %%
class SGD(torch.optim.Optimizer):
    """Gradient descent with momentum, as torch.optim.SGD: g = grad + weight_decay p; v = momentum v + g; p = p - lr v.

    With nesterov, p = p - lr (g + momentum v). Options hold per group; a parameter without gradient is left alone.
    """

    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        """Move every parameter that has a gradient, in place; gradients stay as they are."""
        ### BEGIN SOLUTION
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad + group["weight_decay"] * p         # a new tensor
                state = self.state[p]
                v = group["momentum"] * state.get("velocity", 0.0) + g
                state["velocity"] = v
                p -= group["lr"] * (g + group["momentum"] * v if group["nesterov"] else v)
        ### END SOLUTION

# %%
@check("u07-sgd")
def observe(values, grads, lr, momentum, weight_decay):
    full = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": True}
    seen = drive(SGD, values, grads, full, second={"lr": 3 * lr, "nesterov": False})
    return {"plain": drive(SGD, values, grads, {"lr": lr})["path"],
            "with_momentum": drive(SGD, values, grads, {"lr": lr, "momentum": momentum})["path"],
            "with_nesterov": drive(SGD, values, grads, {"lr": lr, "momentum": momentum, "nesterov": True})["path"],
            "with_decay": drive(SGD, values, grads, {"lr": lr, "weight_decay": weight_decay})["path"],
            "two_groups": seen["path"], "resumed": seen["resumed"],
            "grads_after": seen["grads_after"], "state_with_graph": seen["state_with_graph"],
            "built_on": seen["built_on"]}

# %% [markdown]
# ## 3. A pace for each weight
#
# ### 3.1 RMSprop
#
# One learning rate for all weights is too long a step for some and too short for others. The rows of an embedding for rare words see a
# gradient once in a thousand steps; the bias of the last layer sees a large one each time. What if each weight's gradient is
# divided by its own usual size?
#
# Keep for each entry a running mean of its squared gradient, $s \leftarrow \alpha s + (1 - \alpha)\, g^2$, and walk
#
# $$w \leftarrow w - \eta\, \frac{g}{\sqrt{s} + \varepsilon} .$$
#
# $\sqrt{s}$ is the root of a mean of squares, hence the name. All operations are entry by entry. $\varepsilon$ stands *outside* the root, and
# keeps an entry that has never seen a gradient from dividing by 0. Multiply all gradients by 1000 and almost
# nothing changes: the step is about $\eta$ for each weight, whatever its gradient's size.
#
# One detail. $s$ starts at 0. After one step it is $(1 - \alpha) g^2$, so with $\alpha = 0.99$ the first step has the length
# $\eta / \sqrt{0.01} = 10\, \eta$. Remember it for the next section.
#
# {exercise u07-rmsprop}

# %%
class RMSprop(torch.optim.Optimizer):
    """As torch.optim.RMSprop: s = alpha s + (1 - alpha) grad**2; p = p - lr grad / (sqrt(s) + eps). s starts at 0."""

    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self):
        """Move every parameter that has a gradient, in place; gradients stay as they are."""
        ### BEGIN SOLUTION
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                s = group["alpha"] * state.get("square", 0.0) + (1 - group["alpha"]) * p.grad ** 2
                state["square"] = s
                p -= group["lr"] * p.grad / (s.sqrt() + group["eps"])
        ### END SOLUTION

# %%
@check("u07-rmsprop")
def observe(values, grads, lr, alpha, eps):
    seen = drive(RMSprop, values, grads, {"lr": lr, "alpha": alpha, "eps": eps}, second={"lr": 2 * lr, "alpha": alpha ** 2, "eps": 2 * eps})
    return {"one_set_of_options": drive(RMSprop, values, grads, {"lr": lr, "alpha": alpha, "eps": eps})["path"],
            "two_groups": seen["path"], "resumed": seen["resumed"],
            "grads_after": seen["grads_after"], "state_with_graph": seen["state_with_graph"],
            "built_on": seen["built_on"]}

# %% [markdown]
# ### 3.2 Adam
#
# Adam has both ideas at once: a fading mean of the gradient, and a fading mean of its square.
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2 .$$
#
# Both start at 0, so early on both are too small. How much too small is known exactly. If every gradient were
# $g$, then after $t$ steps $m = (1 - \beta_1^t)\, g$. The **bias correction** divides that factor out:
#
# $$\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat s = \frac{s}{1 - \beta_2^t}, \qquad w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat s} + \varepsilon} .$$
#
# **Predict** the length of the very first step in units of $\eta$, with $\beta = (0.9, 0.999)$ and a gradient of 5: with the correction, and
# without it.

# %%
grad, (beta1, beta2) = 5.0, (0.9, 0.999)
m, s = (1 - beta1) * grad, (1 - beta2) * grad ** 2
print(f"corrected {m / (1 - beta1) / math.sqrt(s / (1 - beta2)):.3f}   not corrected {m / math.sqrt(s):.3f}")
p = torch.tensor(1.0, requires_grad=True)
p.grad = torch.tensor(grad)
torch.optim.Adam([p], lr=0.1).step()
print("torch moves by", round(1 - p.item(), 3))

# %% [markdown]
# {shown 1} and {shown 3.162}: $0.1 / \sqrt{0.001} = \sqrt{10}$. Without the correction the first steps, taken while nothing is known yet, are the longest of
# all. With it the first step is $\eta$ in each entry, whatever the gradient.
#
# $t$ counts the steps of *this parameter*. One that got its first gradient later, because it was frozen or its branch was not used, is younger
# than the others, and its correction must be younger as well. So $t$ belongs in the state beside $m$ and $s$.
#
# `weight_decay` in Adam is the same as in SGD: $g \leftarrow g + \lambda w$ before all else. Now you write `__init__` as well.
# `betas` is one option that holds a pair.
#
# {exercise u07-adam}

# %%
class Adam(torch.optim.Optimizer):
    """As torch.optim.Adam, with bias correction by the parameter's own step count t = 1, 2, …; eps outside the root.

    g = grad + weight_decay p; m, s = fading means of g and g**2 with betas; p = p - lr (m / (1 - beta1**t)) / (sqrt(s / (1 - beta2**t)) + eps).
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        ### BEGIN SOLUTION
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        ### END SOLUTION

    @torch.no_grad()
    def step(self):
        """Move every parameter that has a gradient, in place; gradients stay as they are."""
        ### BEGIN SOLUTION
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                g = p.grad + group["weight_decay"] * p
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
                s = state["s"] = beta2 * state.get("s", 0.0) + (1 - beta2) * g ** 2
                p -= group["lr"] * m / (1 - beta1 ** t) / ((s / (1 - beta2 ** t)).sqrt() + group["eps"])
        ### END SOLUTION

# %%
@check("u07-adam")
def observe(values, grads, lr, betas, eps, weight_decay):
    options = {"lr": lr, "betas": tuple(betas), "eps": eps}
    other = {"lr": 2 * lr, "betas": tuple(betas[::-1]), "eps": 3 * eps, "weight_decay": 0.0}
    seen = drive(Adam, values, grads, {**options, "weight_decay": weight_decay}, second=other)
    return {"no_decay": drive(Adam, values, grads, options)["path"], "two_groups": seen["path"], "resumed": seen["resumed"],
            "grads_after": seen["grads_after"], "state_with_graph": seen["state_with_graph"],
            "built_on": seen["built_on"]}

# %% [markdown]
# ### 3.3 AdamW
#
# Look at what Adam does with $\lambda w$. It is added to the gradient, and then divided by $\sqrt{\hat s}$ like everything else. Where gradients are
# large the decay is divided by a large number, and almost vanishes; where they are tiny it is blown up to a full step. The pull towards 0 no longer
# has the strength $\lambda$ that you asked for.
#
# AdamW **decouples** the two: the weight shrinks by its own factor, and the gradient stays pure.
#
# $$w \leftarrow (1 - \eta \lambda)\, w, \qquad \text{then Adam's step with } g \text{ alone} .$$
#
# **Predict** where a weight of 1 ends after 100 steps in which its gradient is 0, with $\eta = 0.01$ and $\lambda = 0.1$. For AdamW it is a power of one number.

# %%
for kind in (torch.optim.Adam, torch.optim.AdamW):
    p = torch.tensor(1.0, requires_grad=True)
    optimizer = kind([p], lr=0.01, weight_decay=0.1)
    for _ in range(100):
        p.grad = torch.tensor(0.0)
        optimizer.step()
    print(f"{kind.__name__:6} {p.item():.3f}")

# %% [markdown]
# AdamW: $0.999^{100} = {shown 0.905}$. {shown Adam: 0.224}. The decay was the only gradient there was, so dividing by its own size made a full step of $\eta$ out of it, at first.
# The same $\lambda$ means different things in the two.
#
# Note the order: decay first, then Adam's step, and the step is not decayed.
#
# {exercise u07-adamw}

# %%
class AdamW(torch.optim.Optimizer):
    """As torch.optim.AdamW: p = (1 - lr weight_decay) p, then Adam's step with the pure gradient."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        ### BEGIN SOLUTION
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        ### END SOLUTION

    @torch.no_grad()
    def step(self):
        """Move every parameter that has a gradient, in place; gradients stay as they are."""
        ### BEGIN SOLUTION
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue                                   # it does not decay either
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * p.grad
                s = state["s"] = beta2 * state.get("s", 0.0) + (1 - beta2) * p.grad ** 2
                p *= 1 - group["lr"] * group["weight_decay"]
                p -= group["lr"] * m / (1 - beta1 ** t) / ((s / (1 - beta2 ** t)).sqrt() + group["eps"])
        ### END SOLUTION

# %%
@check("u07-adamw")
def observe(values, grads, lr, betas, eps, weight_decay):
    options = {"lr": lr, "betas": tuple(betas), "eps": eps}
    other = {"lr": 2 * lr, "betas": tuple(betas[::-1]), "eps": 3 * eps, "weight_decay": weight_decay / 2}
    seen = drive(AdamW, values, grads, {**options, "weight_decay": weight_decay}, second=other)
    return {"no_decay": drive(AdamW, values, grads, {**options, "weight_decay": 0.0})["path"],
            "default_decay": drive(AdamW, values, grads, {**options, "lr": 10 * lr})["path"], "two_groups": seen["path"],
            "resumed": seen["resumed"], "grads_after": seen["grads_after"], "state_with_graph": seen["state_with_graph"],
            "built_on": seen["built_on"]}

# %% [markdown]
# ## 4. Which parameters
#
# ### 4.1 Not everything should decay
#
# Decay keeps weight matrices small, so that no single input decides too much. A bias does nothing of that kind: it shifts, and pulling it
# towards 0 only makes the shift wrong. A normalisation layer's scale is meant to be near 1, and decay pulls it to 0 with the
# following layer growing to make up for it. So the usual recipe is two groups: decay for weights, none for **biases and the parameters of
# normalisation layers**.
#
# Three habits lead astray here. Names: a batch norm may be called `bn`, or `4`, and a linear layer may be called `normal`. What a
# layer *is*, its class tells. Shapes: most norms have vectors, but `nn.LayerNorm((2, 3))` has a matrix. And sharing: tied
# layers hold one tensor under two names, and an optimizer refuses a tensor that it is given twice in two groups.

# %%
tied = nn.Linear(3, 3, bias=False)
with expect_error(ValueError):
    torch.optim.SGD([{"params": [tied.weight]}, {"params": [tied.weight], "weight_decay": 0.1}], lr=0.1)
for name, module in nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).named_modules():
    own = [n for n, _ in module.named_parameters(recurse=False)]
    print(repr(name), type(module).__name__, own)

# %% [markdown]
# {exercise u07-param-groups}

# %%
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

def param_groups(model, weight_decay):
    """Sort a model's parameters into two groups for an optimizer, each parameter once.

    Args: model: nn.Module. weight_decay: for all parameters but biases (own name "bias") and those of layers in NORMS.
    Returns: list of two dicts with keys "params" (a list) and "weight_decay": first the decaying group, then the one with 0.0.
    """
    ### BEGIN SOLUTION
    decay, rest = {}, {}                           # a dict keeps order and drops doubles
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            group = rest if name == "bias" or isinstance(module, NORMS) else decay
            group[p] = None
    return [{"params": list(decay), "weight_decay": weight_decay}, {"params": list(rest), "weight_decay": 0.0}]
    ### END SOLUTION

# %%
@check("u07-param-groups")
def observe(layers, tie, weight_decay):
    kinds = {"linear": lambda: nn.Linear(3, 3), "batch": lambda: nn.BatchNorm1d(3), "layer": lambda: nn.LayerNorm((2, 3)), "group": lambda: nn.GroupNorm(1, 3),
             "conv": lambda: nn.Conv1d(2, 3, 1), "embedding": lambda: nn.Embedding(4, 3), "relu": nn.ReLU,
             "block": lambda: nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))}
    model = nn.ModuleDict({name: kinds[kind]() for name, kind in layers.items()})
    model.scale = nn.Parameter(torch.ones(3))              # a vector of the model's own: neither bias nor norm
    if tie:
        model[tie[1]].weight = model[tie[0]].weight
    groups = param_groups(model, weight_decay)
    names = {id(p): name for name, p in model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")                     # a tensor twice in one group is only a warning; in two groups it is an error
        held = torch.optim.AdamW(groups, lr=0.1).param_groups
    return {"decaying": sorted(names.get(id(p), "unknown") for p in held[0]["params"]),
            "not_decaying": sorted(names.get(id(p), "unknown") for p in held[1]["params"]),
            "weight_decays": [group["weight_decay"] for group in held]}

# %% [markdown]
# ### 4.2 An optimizer holds tensors
#
# An optimizer never looks at your model again. It got tensors, and it keeps them. Three ways to lose the connection follow.
#
# **An exhausted generator.** `model.parameters()` is a generator: it can be walked through once. **Predict** the two numbers.

# %%
model = nn.Linear(3, 2)
params = model.parameters()
print(sum(p.numel() for p in params), sum(p.numel() for p in params))
with expect_error(ValueError):
    torch.optim.SGD(params, lr=0.1)

# %% [markdown]
# {shown 8} and {shown 0}. Here the optimizer noticed. A function of yours that walks through `params` twice may not.
#
# **A tensor that was moved.** `model.to(...)` changes the data *inside* each parameter, and the parameter objects stay, so an optimizer
# made before keeps working, unless it has a state already: that stays behind on the old device. `tensor.to(...)` is another matter: it returns a
# **new** tensor. The cell uses a dtype; a move to a GPU behaves the same.

# %%
model, raw = nn.Linear(3, 2), torch.ones(3, requires_grad=True)
before, held = model.weight, torch.optim.SGD([raw], lr=0.1).param_groups[0]["params"][0]
model.to(torch.float64)
raw = raw.to(torch.float64)
print("module:", model.weight is before, "  raw tensor:", raw is held, "  is it a leaf:", raw.is_leaf)

# %% [markdown]
# The safe order, always: build the model, move it, load its weights, change its layers, and **then** make the optimizer.
#
# **A parameter that was replaced.** That is the bug hunt.
#
# ### 4.3 Bug hunt: the head that does not learn
#
# A network was trained for one task. For another, it gets a new last layer, its head, and all of it is trained further. The loss falls, a
# little:
#
# ```text
# first loss 7.462   last loss 3.612     with the fault
# first loss 7.462   last loss 0.096     without
# ```
#
# Nothing raises. All gradients of the head are right, and not zero. Yet after training its weights hold the very numbers that they had at
# the start. Find the fault; no line needs to be added.
#
# {exercise u07-hunt-head}

# %%
def fine_tune(model, head, x, y, lr, steps):
    """Replace a network's last layer, and train all of it on the mean squared error with torch.optim.SGD.

    Args: model: nn.Sequential; its last layer is replaced by `head`, an nn.Linear. x: (N, D). y: (N, K). lr, steps: numbers.
    Returns: list of `steps` floats, the loss before each update. The model is trained in place.
    """
    ### BEGIN SOLUTION
    model[-1] = head
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)     # after the last change of the model
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### RELEASE SHOWS
    # optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    # model[-1] = head
    # losses = []
    # for _ in range(steps):
    #     optimizer.zero_grad()
    #     loss = ((model(x) - y) ** 2).mean()
    #     loss.backward()
    #     optimizer.step()
    #     losses.append(loss.item())
    # return losses
    ### END SOLUTION

# %%
@check("u07-hunt-head")
def observe(body_weight, head_weight, x, y, lr, steps):
    body = nn.Linear(body_weight.shape[1], body_weight.shape[0], bias=False)
    old, head = (nn.Linear(head_weight.shape[1], head_weight.shape[0], bias=False) for _ in range(2))
    body.weight, head.weight, old.weight = (nn.Parameter(w.clone()) for w in (body_weight, head_weight, -head_weight))
    model = nn.Sequential(body, nn.Tanh(), old)
    losses = fine_tune(model, head, x, y, lr, steps)
    return {"losses": losses, "body_weight": body.weight.detach(), "head_weight": head.weight.detach(),
            "the_model_has_the_head": int(model[-1] is head)}

# %%
g = torch.Generator().manual_seed(seed)
x = torch.randn(16, 3, generator=g)
body, head = nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)
for layer in (body, head):
    layer.weight.data = 0.5 * torch.randn(layer.weight.shape, generator=g)
y = torch.tanh(x @ torch.randn(3, 4, generator=g)) @ torch.randn(4, 2, generator=g)
start = head.weight.detach().clone()
losses = fine_tune(nn.Sequential(body, nn.Tanh(), nn.Linear(4, 2)), head, x, y, lr=0.1, steps=300)
print(f"first loss {losses[0]:.3f}   last loss {losses[-1]:.3f}   head moved: {not torch.equal(start, head.weight)}")

# %% [markdown]
# ## 5. How far
#
# ### 5.1 Warm-up and cosine
#
# The best learning rate is not the same all the way. At the start, the weights are random, gradients are large and point to nowhere in
# particular, and Adam's averages rest on a handful of samples: take short steps. Near the end, noise from small batches
# keeps the weights jittering around the minimum: take short steps again. The common schedule has a **warm-up**, a straight line up, and
# then half a **cosine** down:
#
# $$\text{factor}(t) = \begin{cases} \dfrac{t + 1}{W + 1} & t < W \\[2mm]
# f + (1 - f) \cdot \tfrac12 \Big( 1 + \cos \pi \dfrac{t - W}{T - W} \Big) & W \le t < T \\[2mm] f & t \ge T \end{cases}$$
#
# $t$ counts updates from 0, $W$ is the length of the warm-up, $T$ the whole length, $f$ the floor. The factor multiplies the base learning rate of each group;
# `torch.optim.lr_scheduler.LambdaLR` takes such a function. The $+1$ is no decoration: with $t / W$ the first update would have a rate of 0, and one batch would be wasted.
#
# **Predict** for $W = 3$, $T = 11$, $f = 0$: the factors at $t = 0$, 3, 7 and 11. Your function should give 0.25, 1, 0.5 and 0.
#
# {exercise u07-warmup-cosine}

# %%
def warmup_cosine(t, warmup, total, floor=0.0):
    """Give the factor on the learning rate at update t: a line up to 1, then half a cosine down to the floor.

    Args: t: int, updates done so far. warmup, total: ints, 0 <= warmup <= total. floor: float between 0 and 1.
    Returns: float: (t + 1) / (warmup + 1) while t < warmup, the floor from t = total on, the cosine between.
    """
    ### BEGIN SOLUTION
    if t < warmup:
        return (t + 1) / (warmup + 1)
    if t >= total:
        return floor
    done = (t - warmup) / (total - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2
    ### END SOLUTION

# %%
@check("u07-warmup-cosine")
def observe(warmup, total, floor, lr):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: warmup_cosine(t, warmup, total, floor))
    rates = []
    for _ in range(3):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return {"warm_up": [warmup_cosine(t, warmup, total, floor) for t in range(warmup)],
            "cosine": [warmup_cosine(t, warmup, total, floor) for t in range(warmup, total)],
            "after_the_end": [warmup_cosine(t, warmup, total, floor) for t in (total, total + 3)],
            "without_floor": [warmup_cosine(t, warmup, total) for t in range(0, total, 2)], "first_rates": rates}

# %% [markdown]
# In a loop the scheduler steps **after** the optimizer, once per update (or once per epoch, if its numbers mean epochs; mixing the
# two up stretches a warm-up of 100 updates to 100 epochs).
#
# ### 5.2 Clipping
#
# Now and then a batch has a gradient a hundred times its usual size: a mislabelled sample, a cliff in the loss, a long sequence. One such step can throw away an hour.
# **Clipping by norm** takes all gradients as one long vector $G$ and shortens it to at most $c$:
#
# $$\|G\| = \sqrt{\sum_p \sum_i g_{p,i}^2}, \qquad g_p \leftarrow g_p \cdot \frac{c}{\|G\|} \quad \text{if } \|G\| > c .$$
#
# All parameters share one factor, so the direction stays. To limit each entry, or each tensor by itself, changes the direction: the step no longer goes
# where the loss falls fastest.
#
# The function changes the gradients **in place**, between backward and step, and returns the norm from *before*: the number to
# log, since a norm that is clipped all the time or rises slowly is an early warning. `params` may be a generator, such as `model.parameters()`. Some
# gradients may be None.
#
# {exercise u07-clip-by-norm}

# %%
def clip_by_norm(params, max_norm):
    """Shorten all gradients together to at most max_norm, in place, with one factor.

    Args: params: iterable of tensors, possibly a generator; those without gradient are passed over. max_norm: float above 0.
    Returns: the common norm before clipping, a number or 0-d tensor; 0 if nothing has a gradient.
    """
    ### BEGIN SOLUTION
    grads = [p.grad for p in params if p.grad is not None]     # a list: it is walked through twice
    norm = sum((g ** 2).sum() for g in grads) ** 0.5
    if norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm
    ### END SOLUTION

# %%
@check("u07-clip-by-norm")
def observe(values, grads, max_norm):
    params = [v.requires_grad_() for v in values]
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else g.clone()
    before = [p.grad for p in params]
    norm = clip_by_norm((p for p in params), max_norm)
    return {"norm": float(norm), "grads": [None if p.grad is None else p.grad.clone() for p in params],
            "in_the_same_memory": before, "values_after": [p.detach() for p in params]}

# %% [markdown]
# ## 6. The race
#
# You have four optimizers and eyes. Let them run on two surfaces: the bowl of section 2.1, and the valley of Rosenbrock,
#
# $$f(x, y) = (1 - x)^2 + 100\, (y - x^2)^2 ,$$
#
# whose floor follows the parabola $y = x^2$. It is easy to fall into the valley and tedious to walk along it to the minimum at (1, 1): the floor is
# flat and bent, the walls are steep.
#
# Write the race. Each racer gets a start of its own; `makers` holds functions that make an optimizer for a list of tensors, for instance
# `lambda params: torch.optim.Adam(params, lr=0.1)`. Two things from unit 1 wait here. A position that you keep must be a *copy*, since the
# optimizer will go on writing into the tensor. And the caller's `x0` is not yours.
#
# {exercise u07-race}

# %%
def race(fn, makers, x0, steps):
    """Let several optimizers walk down the same function from the same point.

    Args: fn: takes a tensor shaped like x0, returns a 0-d tensor. makers: dict name -> function from a list of tensors to an optimizer.
        x0: (D,) float, stays as it is. steps: int.
    Returns: dict name -> (steps + 1, D), the positions, x0 first; plain tensors without graph.
    """
    ### BEGIN SOLUTION
    paths = {}
    for name, make in makers.items():
        x = x0.clone().requires_grad_()            # a start of its own
        optimizer = make([x])
        path = [x.detach().clone()]
        for _ in range(steps):
            optimizer.zero_grad()
            fn(x).backward()
            optimizer.step()
            path.append(x.detach().clone())        # a copy: x goes on changing
        paths[name] = torch.stack(path)
    return paths
    ### END SOLUTION

# %%
@check("u07-race")
def observe(x0, curvature, lr, steps):
    makers = {"plain": lambda params: torch.optim.SGD(params, lr=lr), "rolling": lambda params: torch.optim.SGD(params, lr=lr, momentum=0.7),
              "adam": lambda params: torch.optim.Adam(params, lr=10 * lr)}
    bowl = race(lambda x: (curvature * x ** 2).sum() / 2, makers, x0, steps)
    valley = race(lambda x: (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2, makers, x0[:2].clone(), steps)
    return {"bowl": bowl, "valley": valley, "x0_after": x0}

# %% [markdown]
# The race on Rosenbrock's valley, with PyTorch's own optimizers, so that it runs before yours do. **Predict** the order at step 300 before you move the slider.

# %%
valley = run_race(ROSENBROCK, ("SGD", "Nesterov", "RMSprop", "Adam"))
step_through(lambda k: race_frame(ROSENBROCK, valley, 30 * k), 11, strip=(1, 4, 10))

# %% [markdown]
# At step 300 the values are {shown 0.011} for Nesterov, {shown 0.25} for Adam, {shown 3.9} for RMSprop and {shown 5} for plain descent. RMSprop begins with a jump up the
# wall, from $f = 12.5$ to 31: its first step is $10\,\eta$ long. And it remembers for about a hundred steps ($\alpha = 0.99$) how steep the wall
# was, so it walks the flat floor with short steps. Adam's bias correction spares it the jump.
#
# When your four classes and your `race` have passed, let them run here. The commented lines draw the same picture from your own work.

# %%
makers = {"SGD": lambda p: torch.optim.SGD(p, lr=0.001), "Adam": lambda p: torch.optim.Adam(p, lr=0.1)}
# makers = {"SGD": lambda p: SGD(p, lr=0.001), "Adam": lambda p: Adam(p, lr=0.1)}
# mine = race(ROSENBROCK.function, makers, torch.tensor([-1.5, 2.0]), 300)
# show(race_frame(ROSENBROCK, mine, 300))
for name, make in makers.items():
    x = torch.tensor([-1.5, 2.0], requires_grad=True)
    optimizer = make([x])
    for _ in range(300):
        optimizer.zero_grad()
        ROSENBROCK.function(x).backward()
        optimizer.step()
    print(f"{name:5} ends at ({x[0].item():.2f}, {x[1].item():.2f}), f = {ROSENBROCK.function(x).item():.3f}")

# %% [markdown]
# Do not read a ranking of optimizers from two pictures. On the bowl, plain gradient descent at a good rate does well; in the valley the same method
# hardly moves, because the walls allow no longer step. What the pictures show is the *character* of each: momentum rolls and overshoots, RMSprop and Adam take steps of about the same length on
# steep and on flat ground, Nesterov corrects itself earlier. On a real network, the learning rate matters more than the name.
#
# ## Summary
#
# - A round has four steps: zero, forward, backward, step. Without zero the loss swings; without backward, without step, and with zero
#   between the two, it is constant. Only gradients and weights tell these apart.
# - An optimizer holds tensors, groups of options and a state. It skips what has no gradient, does not touch gradients, records no graph, and its
#   state survives in a `state_dict`.
# - Momentum sums gradients with a fading memory; PyTorch multiplies the velocity by the learning rate at the end. Nesterov steps along $g + \mu v$.
# - RMSprop divides each entry by the root of its mean square. Adam adds momentum and corrects both means for having started at 0, by the parameter's own count.
# - L2 in Adam is rescaled with the gradient; AdamW decays by $1 - \eta\lambda$, apart from it.
# - Biases and norms do not decay. Sort by module class; give each tensor once; make the optimizer last.
# - Warm up, then cosine; clip all gradients by one factor, and log the norm.
#
# In the next unit all of it meets: real files with real defects, and a network from raw folders to a trained model.
#
# Next: [u08 Letters A to J](u08_letters.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the pages of `torch.optim`, of `torch.optim.SGD` (see its note on momentum), `AdamW` and `torch.nn.utils.clip_grad_norm_`.
# - Gabriel Goh, "Why Momentum Really Works": the narrow valley, with pictures to play with.
# - Ilya Sutskever, James Martens, George Dahl, Geoffrey Hinton, "On the importance of initialization and momentum in deep learning": Nesterov's
#   momentum as it is used today.
# - Diederik Kingma, Jimmy Ba, "Adam: A Method for Stochastic Optimization": the bias correction is derived in section 3.
# - Ilya Loshchilov, Frank Hutter, "Decoupled Weight Decay Regularization" (AdamW), and "SGDR" for the cosine.
# - Razvan Pascanu, Tomas Mikolov, Yoshua Bengio, "On the difficulty of training recurrent neural networks": cliffs, and why to clip by norm.
# - Robin Schmidt, Frank Schneider, Philipp Hennig, "Descending through a Crowded Valley": how little the name of the optimizer decides.
