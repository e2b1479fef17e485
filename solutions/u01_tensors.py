# %% [markdown]
# # Tensors and manual backprop
#
# In this unit you train a neural network without any automatic help. You write its forward pass, derive its
# gradients with pen and paper, and turn them into code on raw tensors. Everything later in the course
# automates something that you do here by hand once.
#
# At the end you will be able to
#
# - say what shape, dtype, device and memory a tensor has, and predict which operations copy it;
# - apply the broadcasting rule forward and backward, and recognise the bug that it hides;
# - derive the backward pass of a layer with its shapes, and implement it;
# - write a training loop in which nothing happens that you did not write;
# - check a gradient with numbers instead of trusting a falling loss.
#
# You need Python functions and loops, NumPy arrays, matrix products, partial derivatives, and unit 0. Plan
# about three hours. There are eight exercises and two bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import numpy as np
import torch

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Prediction makes reading active. Write down your answers to these three questions first, then run the cell.
#
# 1. `b = a` for a NumPy array `a`, then `b += 10`. What does `a` hold?
# 2. A (64, 1000) array of ones times a (1000, 100) array of ones. What is the shape of the product, and what is
#    the value of each entry?
# 3. $f(t) = (3t - 1)^2$. What is $f'(1)$?

# %%
a = np.arange(3)
b = a
b += 10
product = np.ones((64, 1000)) @ np.ones((1000, 100))
print("1.", a)
print("2.", product.shape, product[0, 0])
print("3.", round(((3 * 1.001 - 1) ** 2 - (3 * 0.999 - 1) ** 2) / 0.002, 6))

# %% [markdown]
# 1. `{shown [10 11 12]}`: `b = a` copies no numbers, it gives the same array a second name. Section 1.4 shows the
#    same for tensors, where it is less visible.
# 2. {shown (64, 100)}, each entry {shown 1000}: the inner size is summed away, and it is the number of terms in every sum.
# 3. $2 \cdot (3 - 1) \cdot 3 = {shown 12}$: a factor 2 from the square, a factor 3 from inside. Both factors return
#    in this unit, and the first is forgotten more often than any other number in it. The cell did not
#    differentiate: it divided a small rise by a small run, which section 5 makes a tool of.
#
# ### How checks speak
#
# Each exercise is a cell with a function to fill in, and below it a check cell. The check cell contains a
# **probe**, a few lines that you can read: they call your function and name what is looked at. Running it
# gives one of three answers: *Passed*, *Not yet* with the mistake that your numbers show, or *Not started*.
# The answer itself is never printed. `hint("u01-sse-grad")` gives the next of three hints for that
# exercise, and `progress()` lists where you stand. When your notebook is graded, the same probes run on
# fresh inputs, so an answer that fits only the visible inputs earns nothing.

# %% [markdown]
# ## 1. Tensors
#
# ### 1.1 Shape
#
# A tensor is a block of numbers of one type, together with a **shape** that says how to index it. The
# number of indices is its dimension: 0 for a scalar, 1 for a vector, 2 for a matrix. From 3 on there is no
# special word, and the whole family is called tensors. An entry of the shape is the size of an **axis**.
#
# **Predict** the four shapes, and how many numbers each tensor holds. Then run the cell.

# %%
scalar = torch.tensor(3.0)
vector = torch.tensor([1.0, 2.0, 3.0])
matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
images = torch.zeros(8, 3, 28, 28)                 # 8 pictures, 3 colours, 28 rows, 28 columns
for name, t in [("scalar", scalar), ("vector", vector), ("matrix", matrix), ("images", images)]:
    print(f"{name}: dimension {t.dim()}, shape {tuple(t.shape)}, {t.numel()} numbers")

# %% [markdown]
# The scalar has the empty shape `()`. It still holds one number, as an empty product is 1. It is a tensor,
# not a Python float: `.item()` takes the number out. That works for exactly one element, whatever the
# shape, and it ends the tensor's life on its device: the number is plain Python from then on. Logging
# `loss.item()` rather than `loss` keeps a list of losses small.

# %%
print(scalar.item(), type(scalar.item()))
print(torch.tensor([[7.0]]).item())
with expect_error(RuntimeError):
    vector.item()

# %% [markdown]
# ### 1.2 dtype
#
# All numbers in a tensor have one type, its **dtype**. Python floats become `float32` and Python integers
# `int64`. `float32` has 24 binary digits, about 7 decimal ones: enough for learning, and half the memory
# traffic of `float64`. Its relative rounding error is about $6 \cdot 10^{-8}$ per operation, and this
# number will explain several tolerances later.
#
# **Predict** the four lines. The last one asks for the first whole number that `float32` cannot reach by
# adding 1.

# %%
print(torch.tensor([1, 2]).dtype, torch.tensor([1.0, 2]).dtype)
print((torch.tensor([1, 2]) / 2).dtype, (torch.tensor([1, 2]) // 2).dtype)
print((vector > 1.5).dtype)
print(torch.tensor(2.0 ** 24) + 1 == torch.tensor(2.0 ** 24))

# %% [markdown]
# True division makes floats, and comparison makes `bool`. `bool` counts as 0 and 1 in arithmetic, so a
# comparison is also a mask that you can multiply with. And $2^{24} + 1$ is not a `float32`: the sum rounds
# back to $2^{24}$.
#
# ### 1.3 Device, and why a GPU
#
# A tensor lives on a **device**: in the machine's memory (`cpu`) or in a graphics card's (`cuda`). The
# product of a (64, 1000) and a (1000, 100) matrix takes $64 \cdot 1000 \cdot 100 = 6.4$ million
# multiply-adds, and no output entry needs another one. A CPU core runs a few dozen such operations at a
# time; a GPU has thousands of simple units and a far wider path to its memory, so it computes many entries
# at once.
#
# That gain has a price. Each operation on a GPU must be launched, which takes some microseconds however
# small the tensors are, and copies between the two memories are slow. Small tensors are often faster on a
# CPU. And tensors on two devices do not mix: PyTorch raises an error instead of copying silently. The habit
# that follows: create each new tensor on the device of the tensors that it meets, as in
# `torch.zeros(3, device=x.device)`.

# %%
x = torch.ones(2, 3, device=device)
mask = torch.zeros(3, device=x.device)             # follows x wherever x lives
print(x.device, (x + mask).device, "CUDA here:", torch.cuda.is_available())
print(x.cpu().numpy().dtype)                       # NumPy reads CPU memory only

# %% [markdown]
# ### 1.4 NumPy both ways, and shared memory
#
# `torch.from_numpy(array)` and `tensor.numpy()` do not copy numbers: they wrap the same memory.
# `torch.tensor(array)` copies. NumPy's default float is `float64` and PyTorch's is `float32`, so what
# arrives from NumPy is often `double`.
#
# **Predict** all three printed lines. Which of `shared` and `copied` follows the change?

# %%
array = np.zeros(3)
shared = torch.from_numpy(array)
copied = torch.tensor(array)
array[0] = 5.0
shared[1] = 6.0
print("array ", array)
print("shared", shared)
print("copied", copied)

# %% [markdown]
# `array` and `shared` hold `{shown [5, 6, 0]}`, `copied` still holds zeros, and both tensors are `{shown float64}`. Sharing
# is useful for large data and a trap for everything else: whoever writes **in place** changes what others
# see. In PyTorch in-place methods end in an underscore (`t.add_(1)`, `t.clamp_(min=0)`), and `t += 1` and
# `t[0] = 5` are in place too. `t = t + 1` makes a new tensor. Checks in this course look whether your
# functions left their inputs alone.
#
# ### 1.5 Views and strides
#
# Memory has no rows. A tensor's numbers lie in one line, the **storage**, and the **strides** say how many
# places to walk for one step along each axis. Element $(i, j)$ of a matrix lies at place
# $i \cdot s_0 + j \cdot s_1$. A transpose only swaps sizes and strides; a column picks other ones; no
# number moves. Such a result is a **view** of the same storage.
#
# **Predict** the strides of a (3, 4) matrix, of its transpose, and of every second column of it.

# %%
m = torch.arange(12).view(3, 4)
for name, t in [("m", m), ("m.T", m.T), ("m[:, ::2]", m[:, ::2])]:
    same = t.data_ptr() == m.data_ptr()
    print(f"{name:10} shape {tuple(t.shape)}  strides {t.stride()}  same memory {same}")
m.T[0, 2] = 100                                    # writes through the view
print(m)

# %% [markdown]
# Strides {shown (4, 1)}, {shown (1, 4)} and {shown (4, 2)}, all on the same memory. The write to row 0, column 2 of the transpose
# landed in row 2, column 0 of `m`.
#
# `view` re-reads the same line of numbers under a new shape. That works only where the new shape can be
# walked with fixed strides. Reading the transpose row by row would have to jump back, so `view` refuses.
# `reshape` copies in that case, and gives a view otherwise: convenient, but then you do not know which of
# the two you have.

# %%
print(m.view(2, 6).shape, m.T.reshape(12)[:4])
with expect_error(RuntimeError):
    m.T.view(12)

# %% [markdown]
# ### 1.6 Broadcasting
#
# Operations such as `+` and `*` pair up elements. When shapes differ, PyTorch applies one rule: **write the
# shapes right-aligned, fill missing axes on the left with 1, and repeat each axis of size 1 to meet the
# other**. Two different sizes of which none is 1 are an error. Nothing is really copied: a repeated axis
# has stride 0.
#
# **Predict** the shape of a (5, 1, 4) tensor plus a (3, 1) tensor. Then go through the rule's three steps with
# the slider, or with the strip of pictures below it.

# %%
from coursekit.viz.broadcast import STEPS, grid
from coursekit.viz.show import show, step_through

step_through(lambda k: grid((5, 1, 4), (3, 1), step=k), STEPS)

# %% [markdown]
# Each column of the picture is one axis, counted from the right. A dashed box is an axis that was not there,
# a crossed one is repeated. These are the cases that you will meet:
#
# | left | right | right, filled up | result |
# |---|---|---|---|
# | (64, 10) | (10,) | (1, 10) | (64, 10): the same row for each sample |
# | (64, 10) | (64, 1) | (64, 1) | (64, 10): one number per sample |
# | (5, 1, 4) | (3, 1) | (1, 3, 1) | (5, 3, 4) |
# | (64, 10) | (64,) | (1, 64) | an error: 10 meets 64 |
#
# The last one is frequent: one number per sample, but without the second axis. Its sizes are meant to meet at
# the left, and they meet at the right.

# %%
show(grid((64, 10), (64,)))
with expect_error(RuntimeError):
    torch.zeros(64, 10) + torch.zeros(64)

# %% [markdown]
# **Predict** the last line of the next cell: a column of 4 predictions minus 4 targets.

# %%
print((torch.zeros(5, 1, 4) + torch.zeros(3, 1)).shape)
print(torch.zeros(1, 3).expand(1000, 3).stride())   # 1000 rows, one of them in memory
prediction = torch.zeros(4, 1)
target = torch.tensor([1.0, 2.0, 3.0, 4.0])
print((prediction - target).shape)

# %%
show(grid(prediction.shape, target.shape, names=("prediction", "target")))

# %% [markdown]
# The target is filled up to (1, 4), both axes are repeated, and the "difference" is a {shown (4, 4)} table of every
# prediction against every target. No error, no warning, and its mean is a perfectly ordinary number. This
# is the **(N, 1) against (N,) trap**. It has cost many people many days, and you will meet it twice below.

# %% [markdown]
# ## 2. A network by hand
#
# ### 2.1 Forward
#
# The network has two layers of weights and one bend between them, $\operatorname{relu}(t) = \max(t, 0)$.
# There are no biases yet. One row of $X$ is one sample.
#
# $$H = X W_1, \qquad R = \operatorname{relu}(H), \qquad P = R\, W_2$$
#
# | name | shape | in the large example below |
# |---|---|---|
# | input $X$ | $(N, D)$ | (64, 1000) |
# | first weights $W_1$ | $(D, M)$ | (1000, 100) |
# | hidden, before and after the bend $H, R$ | $(N, M)$ | (64, 100) |
# | second weights $W_2$ | $(M, K)$ | (100, 10) |
# | prediction $P$ | $(N, K)$ | (64, 10) |
#
# Without the bend, $X W_1 W_2$ would be one matrix product with the matrix $W_1 W_2$: two layers could do
# no more than one.
#
# The function returns $H$ and $R$ besides $P$, since the backward pass needs both. They must be two
# different tensors.
#
# {exercise u01-two-layer-forward}

# %%
def two_layer_forward(x, w1, w2):
    """Run the network relu(x w1) w2 and keep what its backward pass needs.

    Args: x: (N, D) float. w1: (D, M). w2: (M, K).
    Returns: (h, r, pred): h = x w1, (N, M); r = relu(h), (N, M), a tensor of its own; pred = r w2, (N, K).
    """
    ### BEGIN SOLUTION
    h = x @ w1
    r = h.clamp(min=0)                             # not clamp_: h keeps its negative entries
    return h, r, r @ w2
    ### END SOLUTION

# %%
@check("u01-two-layer-forward")
def observe(x, w1, w2):
    h, r, pred = two_layer_forward(x, w1, w2)
    return {"h": h, "r": r, "pred": pred}

# %% [markdown]
# ### 2.2 The error and its gradient
#
# The loss is the sum of squared errors over all samples and all outputs:
#
# $$L = \sum_{n=1}^{N} \sum_{k=1}^{K} (P_{nk} - Y_{nk})^2$$
#
# Its gradient with respect to $P$ answers, for each entry: if this one prediction rises by a little, how
# fast does $L$ rise? Only one term of the sum contains $P_{nk}$, and its derivative is that of a square. So
# every entry has the same short formula, and the gradient has the shape of $P$. A **mean** of squared
# errors would divide everything by $NK$: 640 in the large example, and one of the easiest factors to lose.
#
# Here the trap of section 1.6 waits. If `y` has another shape than `pred`, subtraction may broadcast and
# return a table nobody asked for. A function that can know better should refuse: compare the two shapes,
# and raise a `ValueError` whose text names both. The check tries several pairs of shapes that broadcast
# without complaint.
#
# {exercise u01-sse-grad}

# %%
def sse_grad(pred, y):
    """Give the gradient of sum((pred - y)**2) with respect to pred.

    Args: pred: any shape, float. y: the same shape.
    Returns: the gradient, shaped like pred.
    Raises: ValueError: if the shapes differ, also where they would broadcast; its text names both.
    """
    ### BEGIN SOLUTION
    if pred.shape != y.shape:
        raise ValueError(f"pred has shape {tuple(pred.shape)}, y has {tuple(y.shape)}; they must agree")
    return 2 * (pred - y)
    ### END SOLUTION

# %%
@check("u01-sse-grad")
def observe(pred, y):
    return {"grad_pred": sse_grad(pred, y), "pred_after": pred, "y_after": y}

# %% [markdown]
# ### 2.3 Backward: the idea
#
# Call the gradient of $L$ with respect to a tensor $A$ its **adjoint**, written $\bar A$. It always has the
# shape of $A$, because it holds one number for each entry of $A$. For two tensors of equal shape let
# $\langle A, B \rangle = \sum A_{ij} B_{ij}$. What a gradient *is* can then be said in one line: if $A$
# changes by a small $dA$, the loss changes by
#
# $$dL = \langle \bar A, dA \rangle .$$
#
# A backward pass walks from the loss to the inputs. At each operation it knows the adjoint of the output, the
# **upstream gradient**, and asks: which tensor, paired with the change of the *input*, gives the same $dL$?
#
# **Example: row sums.** Let $s_n = \sum_k A_{nk}$, so $s$ has shape $(N,)$, and let $\bar s$ be given. Then
#
# $$\langle \bar s, ds \rangle = \sum_n \bar s_n \sum_k dA_{nk} = \sum_{n,k} \bar s_n \, dA_{nk},
# \qquad \text{so} \quad \bar A_{nk} = \bar s_n .$$
#
# The forward pass adds up a row; the backward pass hands the row's upstream number to each of its entries.
# Adding and copying are adjoint to each other. Keep that sentence: section 3 is its mirror image. The next
# cell compares both sides in numbers.

# %%
g = torch.Generator(device).manual_seed(seed)
change = torch.randn(4, 3, generator=g, device=device)     # dA
upstream = torch.randn(4, generator=g, device=device)      # the adjoint of s
spread = upstream.unsqueeze(1).expand(4, 3)                # our claim for the adjoint of A
print((upstream * change.sum(dim=1)).sum())
print((spread * change).sum())

# %% [markdown]
# Both sides agree. Had we chosen an upstream of all ones, a backward pass that forgets the upstream would
# look right as well. **Test a backward pass with a random upstream**, never with a constant one.
#
# ### 2.4 Backward: the three operations of the network
#
# **Squared error.** $dL = \sum 2 (P_{nk} - Y_{nk})\, dP_{nk}$, so $\bar P = 2 (P - Y)$, of shape $(N, K)$.
# This is `sse_grad`.
#
# **Matrix product** $P = R\, W_2$. A change of $W_2$ gives $dP_{nk} = \sum_m R_{nm}\, dW_{2,mk}$. Insert it
# and collect what stands beside each $dW_{2,mk}$:
#
# $$\langle \bar P, dP \rangle = \sum_{n,k} \bar P_{nk} \sum_m R_{nm}\, dW_{2,mk}
# = \sum_{m,k} \Big( \sum_n R_{nm} \bar P_{nk} \Big) dW_{2,mk}
# \quad\Longrightarrow\quad \bar W_2 = R^\top \bar P .$$
#
# The shapes confirm it: $(M, N) \cdot (N, K) = (M, K)$. The sum runs over the samples, as each sample used
# the same weights. In the same way a change of $R$ gives $\bar R = \bar P\, W_2^\top$, with shapes
# $(N, K) \cdot (K, M) = (N, M)$. Shapes are a strong memory aid as long as all sizes differ. With square
# matrices a forgotten transpose passes in silence, which is why the checks here use sizes that all differ.
#
# **Bend** $R = \operatorname{relu}(H)$. Each entry depends on one entry: $dR_{nm} = dH_{nm}$ where
# $H_{nm} > 0$, and 0 where $H_{nm} < 0$. So
#
# $$\bar H_{nm} = \bar R_{nm} \cdot [H_{nm} > 0] .$$
#
# The bracket is 1 where its condition holds and 0 elsewhere. It asks about $H$, the value that went *into*
# the bend, not about the sign of the gradient that comes back. At $H_{nm} = 0$ there is no derivative; like
# PyTorch's `relu`, we take 0 there.
#
# **Chain rule.** The adjoints hand over to each other, and $X W_1 = H$ is a matrix product once more:
#
# $$P - Y \;\to\; \bar P \;\to\; \bar W_2, \bar R \;\to\; \bar H \;\to\; \bar W_1 = X^\top \bar H .$$
#
# **A worked example** with one sample, small enough for a piece of paper. $x = (1, 2)$, $y = (1)$,
#
# $$W_1 = \begin{pmatrix} 1 & 0 & 2 \\ 1 & -1 & 0 \end{pmatrix}, \qquad
# W_2 = \begin{pmatrix} 1 \\ 1 \\ -1 \end{pmatrix}.$$
#
# Before you read on, compute $H$, $R$, $P$, then $\bar P$, $\bar W_2$, $\bar R$, $\bar H$, $\bar W_1$.
#
# $H = (3, -2, 2)$, $R = (3, 0, 2)$, $P = 3 + 0 - 2 = 1$. The prediction is exact, the error is 0, and so is
# every gradient: a perfect example of a useless test. Take $y = (0)$ instead. Then $\bar P = 2$,
# $\bar W_2 = (6, 0, 4)^\top$, $\bar R = (2, 2, -2)$, $\bar H = (2, 0, -2)$ and
#
# $$\bar W_1 = \begin{pmatrix} 1 \\ 2 \end{pmatrix} (2, 0, -2)
# = \begin{pmatrix} 2 & 0 & -2 \\ 4 & 0 & -4 \end{pmatrix}.$$
#
# The middle hidden unit was off for this sample, so neither its incoming nor its outgoing weights learn
# from it. The last unit has a *negative* gradient and is on: it does learn.
#
# You may call your earlier functions in the next one. If its check points at something that they do, mend
# it there.
#
# {exercise u01-two-layer-backward}

# %%
def two_layer_backward(x, y, w1, w2):
    """Give the gradients of sum((relu(x w1) w2 - y)**2) with respect to w1 and w2; the inputs stay as they are.

    Args: x: (N, D) float. y: (N, K). w1: (D, M). w2: (M, K).
    Returns: (grad_w1, grad_w2), shaped like w1 and w2. The derivative of relu at 0 counts as 0.
    """
    ### BEGIN SOLUTION
    h, r, pred = two_layer_forward(x, w1, w2)
    grad_pred = sse_grad(pred, y)                  # (N, K)
    grad_w2 = r.T @ grad_pred                      # (M, N) (N, K): sums over the samples
    grad_r = grad_pred @ w2.T                      # (N, K) (K, M)
    grad_h = grad_r * (h > 0)                      # a unit that was off passes nothing on
    return x.T @ grad_h, grad_w2
    ### END SOLUTION

# %%
@check("u01-two-layer-backward")
def observe(x, y, w1, w2):
    grad_w1, grad_w2 = two_layer_backward(x, y, w1, w2)
    return {"grad_w1": grad_w1, "grad_w2": grad_w2,
            "x_after": x, "y_after": y, "w1_after": w1, "w2_after": w2}

# %% [markdown]
# ### 2.5 Downhill
#
# The gradient points to where the loss rises fastest, so a step against it lowers the loss, provided it is
# short:
#
# $$W_1 \leftarrow W_1 - \eta\, \bar W_1, \qquad W_2 \leftarrow W_2 - \eta\, \bar W_2 .$$
#
# $\eta$ is the learning rate, `lr` in code. Both gradients belong to the *same* point $(W_1, W_2)$. If
# $W_2$ is updated first and $\bar W_1$ computed afterwards, the step of $W_1$ follows a gradient of a network
# that no longer exists: in the large example below, a first gradient that is 29 % off.
#
# The function below keeps the loss of every step, computed *before* that step's update, so the first entry
# belongs to the weights that came in. It must leave the caller's weights alone; think of section 1.4 before
# you write `-=`.
#
# {exercise u01-manual-train}

# %%
def manual_train(x, y, w1, w2, lr, steps):
    """Train the two-layer network by gradient descent on the sum of squared errors.

    Args: x: (N, D) float. y: (N, K). w1: (D, M). w2: (M, K); both are starting points and stay as they are.
        lr: step length. steps: number of updates.
    Returns: list of `steps` Python floats, the loss before each update.
    """
    ### BEGIN SOLUTION
    losses = []
    for _ in range(steps):
        _, _, pred = two_layer_forward(x, w1, w2)
        losses.append(((pred - y) ** 2).sum().item())
        grad_w1, grad_w2 = two_layer_backward(x, y, w1, w2)
        w1 = w1 - lr * grad_w1                     # a new tensor: the caller's w1 stays
        w2 = w2 - lr * grad_w2
    return losses
    ### END SOLUTION

# %%
@check("u01-manual-train")
def observe(x, y, w1, w2, lr, steps):
    losses = manual_train(x, y, w1, w2, lr, steps)
    types = sorted({type(loss).__name__ for loss in losses})
    return {"losses": losses, "types_in_losses": types, "w1_after": w1, "w2_after": w2}

# %% [markdown]
# ### 2.6 The large example
#
# Now the network of the table in 2.1: 64 samples of 1000 random numbers, 100 hidden units, 10 random
# targets each. The weights are $1000 \cdot 100 + 100 \cdot 10 = 101\,000$ numbers.

# %%
g = torch.Generator(device).manual_seed(seed)
x = torch.randn(64, 1000, generator=g, device=device)
y = torch.randn(64, 10, generator=g, device=device)
w1 = torch.randn(1000, 100, generator=g, device=device)
w2 = torch.randn(100, 10, generator=g, device=device)

# %% [markdown]
# The next cell trains it for 500 steps with `lr` 1e-6. So that it runs before you have finished your own
# functions, it borrows the gradients from `torch.autograd.grad`, the machine that unit 2 opens. Everything
# else is the loop of section 2.5. Its argument `bend` will be useful in a moment. **Predict**: each entry
# of $H$ is a sum of 1000 products of random numbers, so its size is about 30, and each entry of $P$ sums
# about 50 of those with random signs. Is the first loss nearer to 600, 60 thousand, or 30 million?

# %%
def demo_losses(bend, lr, steps):
    a, b = w1.clone().requires_grad_(), w2.clone().requires_grad_()
    losses = []
    for _ in range(steps):
        loss = ((bend(x @ a) @ b - y) ** 2).sum()
        losses.append(loss.item())
        grad_a, grad_b = torch.autograd.grad(loss, (a, b))
        with torch.no_grad():
            a -= lr * grad_a
            b -= lr * grad_b
    return losses

# %%
losses = demo_losses(torch.relu, lr=1e-6, steps=500)
for step in (0, 1, 10, 100, 499):
    print(f"step {step:3}   loss {losses[step]:.3g}")
# When yours has passed, uncomment this: it ends at the same loss, up to rounding.
# print(f"by hand: {manual_train(x, y, w1, w2, 1e-6, 500)[-1]:.3g}")

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(6, 3.5))
axis.semilogy(losses)
axis.set_xlabel("step")
axis.set_ylabel("sum of squared errors (log scale)")
axis.set_title("Two-layer network, lr = 1e-6")
plt.close(figure)                                  # shown once, as the value of the cell
figure

# %% [markdown]
# **The picture in words** (seed 0 on a CPU): on a logarithmic scale the loss falls steeply from
# ${shown 2.9 \cdot 10^7}$ at step 0 to about ${shown 4 \cdot 10^2}$ at step 100, then along a nearly straight, flatter line to
# ${shown 3.0 \cdot 10^{-5}}$ at step 499: twelve orders of magnitude. A straight line on this scale means that each
# step removes a fixed share of what is left. The end is no success in any other sense: 101 000 weights have
# memorised 640 random targets.
#
# ### 2.7 A falling loss proves little
#
# Suppose somebody forgets the mask $[H > 0]$ in the backward pass. The forward pass is right, the gradient of
# $W_1$ is not. **Predict**: does the training diverge, get stuck, or end about as well?
#
# The next cell builds that mistake: a bend whose *value* is relu, and whose derivative counts as 1 everywhere
# (`detach` makes autograd treat its input as a constant).

# %%
def bend_without_mask(h):
    return h + (torch.relu(h) - h).detach()

def first_gradient(bend):
    a = w1.clone().requires_grad_()
    return torch.autograd.grad(((bend(x @ a) @ w2 - y) ** 2).sum(), a)[0]

right, wrong = first_gradient(torch.relu), first_gradient(bend_without_mask)
print(f"first gradient of w1 is off by {((wrong - right).norm() / right.norm()).item():.0%}")
last = demo_losses(bend_without_mask, 1e-6, 500)[-1]
print(f"last loss, right: {losses[-1]:.2g}   without mask: {last:.2g}")

# %% [markdown]
# The wrong gradient is off by {shown 92} % of its length, and the wrong training ends at ${shown 1.8 \cdot 10^{-5}}$,
# *below* the right one's ${shown 3 \cdot 10^{-5}}$. The wrong direction still has a positive inner product with
# the right one, the second layer's gradient is correct, and there are far more weights than targets. So the
# loss falls. Masking by the sign of the returning *gradient* hides in the same way: it is 79 % off, at a
# cosine of 0.70. **A falling loss is no evidence for a gradient.** Compare gradients with gradients: with a
# formula, with another implementation, or with the numerical differences of section 5. The checks here do.
#
# The learning rate is the other half of the story. **Predict** what ten times the step length does.

# %%
print([f"{loss:.1e}" for loss in demo_losses(torch.relu, lr=1e-5, steps=8)])

# %% [markdown]
# Each step overshoots the valley and lands higher on the other side, where the gradient is larger still.
# The loss is infinite at step 4 (the fifth entry), and then `nan`: `{shown inf, nan}`, since $\infty - \infty$ has no value.
# One `nan` in the weights spreads to everything that they touch and never leaves. When a training shows
# `nan`, look at the steps just before, and first at the step length.

# %% [markdown]
# ## 3. Broadcasting, backward
#
# ### 3.1 Bug hunt: the line that will not tilt
#
# A straight line is fitted to 50 points of $y = 2x + 1$ with $x$ between 0 and 1, by 2000 steps of gradient
# descent on the *mean* of squared errors. It should end at $w = 2$, $b = 1$ and a loss of 0. It ends at
#
# ```text
# w -0.000   b 2.000   loss 0.347
# ```
#
# for ever, at any learning rate that converges. (The minus sign is rounding.) Nothing raises, nothing is
# `nan`. The loss 0.347 is exactly the variance of $y$: the program has learnt to answer the average. `x`
# comes as a column, (N, 1), and `y` as a plain vector, (N,).
#
# The answer cell holds the program as it is; find the fault and mend it. Print a shape after each
# line before you change anything. The program stays one that takes `x` as (N, 1) and `y` as (N,).
#
# {exercise u01-hunt-line}

# %%
def line_loss_grads(x, y, w, b):
    """Give the mean squared error of the line w x + b, and its derivatives.

    Args: x: (N, 1) float. y: (N,). w, b: numbers.
    Returns: (loss, dloss/dw, dloss/db), three 0-d tensors; loss = mean over the N points of (w x + b - y)**2.
    """
    ### BEGIN SOLUTION
    x = x.squeeze(1)                               # (N, 1) -> (N,): now no pair of shapes broadcasts
    error = w * x + b - y
    loss = (error ** 2).mean()
    grad_w = 2 * (error * x).mean()
    grad_b = 2 * error.mean()
    return loss, grad_w, grad_b
    ### RELEASE SHOWS
    # error = w * x + b - y
    # loss = (error ** 2).mean()
    # grad_w = 2 * (error * x).mean()
    # grad_b = 2 * error.mean()
    # return loss, grad_w, grad_b
    ### END SOLUTION

# %%
@check("u01-hunt-line")
def observe(x, y, w, b):
    loss, grad_w, grad_b = line_loss_grads(x, y, w, b)
    return {"loss": loss, "grad_w": grad_w, "grad_b": grad_b, "x_after": x, "y_after": y}

# %% [markdown]
# The fit itself. Run it again after each change.

# %%
points = torch.linspace(0, 1, 50, device=device).unsqueeze(1)          # (50, 1)
values = 2 * points.squeeze(1) + 1                                     # (50,)
w, b = 0.0, 0.0
for _ in range(2000):
    loss, grad_w, grad_b = line_loss_grads(points, values, w, b)
    w, b = w - 0.3 * float(grad_w), b - 0.3 * float(grad_b)
print(f"w {w:.3f}   b {b:.3f}   loss {float(loss):.3f}")

# %% [markdown]
# Why 0 and 2? If every prediction is compared with every target, a prediction is pulled towards all targets
# alike, so the best answer for each $x$ is the mean of $y$: slope 0, intercept 2. The broken program
# minimised its loss correctly. It was the loss of another problem.
#
# ### 3.2 Copies forward, sums backward
#
# Now the useful side. Let $v$ of shape $(3,)$ be added to a $(5, 3)$ matrix: $C = A + v$. Broadcasting
# copies $v$ into each of 5 rows, so $dC_{nk}$ contains $dv_k$ for every $n$:
#
# $$\langle \bar C, dC \rangle = \sum_{n,k} \bar C_{nk}\, dv_k = \sum_k \Big( \sum_n \bar C_{nk} \Big) dv_k
# \quad\Longrightarrow\quad \bar v_k = \sum_n \bar C_{nk} .$$
#
# This is section 2.3 in the mirror: **what was copied in the forward pass is summed in the backward pass**.
# It holds for both ways in which broadcasting copies:
#
# 1. an axis that was missing on the left is summed away;
# 2. an axis that had size 1 is summed, and stays as an axis of size 1.
#
# For $g$ of shape (2, 3, 4) and a tensor that had shape (3, 1): axis 0 goes away, the last axis is summed
# and kept, and the result has shape (3, 1) again. A scalar of shape `()` was copied everywhere: all axes
# go.
#
# This small function is part of every automatic differentiation library, and its bugs are quiet ones. Write
# it for any number of axes, in any position.
#
# {exercise u01-unbroadcast}

# %%
def unbroadcast(g, shape):
    """Sum an upstream gradient back to the shape that was broadcast: the adjoint of t.expand(g.shape).

    Args: g: float, any shape to which `shape` broadcasts. shape: tuple of ints, possibly empty.
    Returns: a tensor of shape `shape`.
    """
    ### BEGIN SOLUTION
    while g.dim() > len(shape):
        g = g.sum(dim=0)                           # an axis that was missing on the left
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim=axis, keepdim=True)
    return g
    ### END SOLUTION

# %%
@check("u01-unbroadcast")
def observe(g):
    a, b, c = g.shape
    return {
        "to_matrix": unbroadcast(g, (b, c)), "to_vector": unbroadcast(g, (c,)),
        "to_scalar": unbroadcast(g, ()), "one_inside": unbroadcast(g, (a, 1, c)), "one_at_both_ends": unbroadcast(g, (1, b, 1)),
        "missing_and_one": unbroadcast(g, (b, 1)), "g_after": g,
    }

# %% [markdown]
# ### 3.3 Bug hunt: the bias that grew
#
# A linear layer computes `x @ w + b` with `x` (5, 4), `w` (4, 3) and `b` (3,). After one training step the
# bias has shape (5, 3). Predictions for those 5 samples still work, and the loss still falls, since each
# sample now owns a bias. The program stops days later, at a batch of 4:
#
# ```text
# RuntimeError: The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 0
# ```
#
# The fault is in the backward pass, not in the line that raised. The loss is a *sum* over the samples, as
# in section 2.
#
# {exercise u01-hunt-bias}

# %%
def linear_backward(upstream, x, w):
    """Backward pass of x @ w + b.

    Args: upstream: (N, K) float, gradient of the loss with respect to the output. x: (N, D). w: (D, K).
    Returns: (grad_x, grad_w, grad_b), shaped like x (N, D), w (D, K) and b (K,).
    """
    ### BEGIN SOLUTION
    grad_x = upstream @ w.T
    grad_w = x.T @ upstream
    grad_b = upstream.sum(dim=0)                   # b was copied to N rows, so N gradients come back
    return grad_x, grad_w, grad_b
    ### RELEASE SHOWS
    # grad_x = upstream @ w.T
    # grad_w = x.T @ upstream
    # grad_b = upstream
    # return grad_x, grad_w, grad_b
    ### END SOLUTION

# %%
@check("u01-hunt-bias")
def observe(upstream, x, w):
    grad_x, grad_w, grad_b = linear_backward(upstream, x, w)
    return {"grad_x": grad_x, "grad_w": grad_w, "grad_b": grad_b, "upstream_after": upstream}

# %%
b = torch.zeros(3, device=device)
grad_x, grad_w, grad_b = linear_backward(torch.ones(5, 3, device=device), torch.ones(5, 4, device=device),
                                         torch.ones(4, 3, device=device))
print("before one step:", tuple(b.shape), "  after it:", tuple((b - 0.1 * grad_b).shape))

# %% [markdown]
# `b -= 0.1 * grad_b` would have raised at once, because an in-place operation cannot grow its target.
# `b = b - ...` broadcasts. This is a rare point in favour of working in place, and a good reason to compare
# a gradient's shape with its tensor's.

# %% [markdown]
# ## 4. Picking numbers by index: gather
#
# ### 4.1 From first principles
#
# Slicing picks the same columns from each row. `gather` lets each row pick its own. For a matrix and `dim=1`:
#
# $$\text{out}_{ij} = t_{i,\; \text{index}_{ij}}$$
#
# Read it slowly: the output has the shape of the **index**; every coordinate is kept, except the one along
# `dim`, which the index replaces. With three axes and `dim=2` it is
# $\text{out}_{bij} = t_{b,\, i,\, \text{index}_{bij}}$. The index holds `int64`, has as many axes as `t`,
# and **never broadcasts**: an axis of size 1 is not repeated, it only yields one entry. Where a size-1
# index should serve for all, `expand` it yourself.
#
# **Predict** both results before you run: one score per row, then what an index with a single row gives.

# %%
scores = torch.tensor([[10, 11, 12], [20, 21, 22], [30, 31, 32]])
classes = torch.tensor([2, 0, 1])
print(scores.gather(1, classes.unsqueeze(1)).squeeze(1))       # row i picks column classes[i]
print(scores.gather(1, classes.unsqueeze(0)))                  # the index has one row, so has the output

# %% [markdown]
# The first line, `{shown [12, 20, 31]}`, is how a classifier's score for the true class is looked up. The second,
# `{shown [[12, 10, 11]]}`, picked three columns of row 0 only, without a word of warning.
#
# Now use it for a batch of square matrices $t$ of shape $(B, n, n)$: return the $B$ diagonals as $(B, n)$.
# PyTorch has `torch.diagonal` for that; do it with `gather`, and without a loop. `torch.diagonal` also
# gives something else, a view on `t`. Yours shall be memory of its own, and the check looks at that: it
# clears a matrix after your function has returned.
#
# {exercise u01-batch-diagonals}

# %%
def batch_diagonals(t):
    """Pick the main diagonal of each matrix in a batch, with torch.gather.

    Args: t: (B, n, n).
    Returns: (B, n), new memory: entry [b, i] is t[b, i, i].
    """
    ### BEGIN SOLUTION
    batch, n, _ = t.shape
    column = torch.arange(n, device=t.device).view(1, n, 1)    # row i picks column i
    return t.gather(2, column.expand(batch, n, 1)).squeeze(2)
    ### END SOLUTION

# %%
@check("u01-batch-diagonals")
def observe(t):
    later = t.clone()
    kept = batch_diagonals(later)
    later.zero_()
    return {"diagonals": batch_diagonals(t), "kept_when_t_is_cleared": kept, "t_after": t}

# %% [markdown]
# ### 4.2 The adjoint of picking
#
# `gather` copies some entries of $t$ into the output. So its backward pass must *add*: each upstream number
# goes back to the place that it was picked from, and places that nobody picked get 0. In one line, the
# **adjoint identity**, for all $t$ and $g$ of fitting shapes:
#
# $$\langle \operatorname{gather}(t),\, g \rangle = \langle t,\, \operatorname{backward}(g) \rangle .$$
#
# One detail decides between right and wrong. If the same place was picked twice, two upstream numbers
# return to it, and both count. `scatter_add_` adds them. Assignment by index, `scatter_`, and even
# `grad[index] += g` keep only one of them.
#
# **Predict** the two lines.

# %%
place = torch.tensor([0, 2, 2])                    # place 2 was picked twice
arriving = torch.tensor([10.0, 20.0, 30.0])
added = torch.zeros(4).scatter_add_(0, place, arriving)
indexed = torch.zeros(4)
indexed[place] += arriving
print(added)
print(indexed)

# %% [markdown]
# `{shown [10, 0, 50, 0]}` is right; `{shown [10, 0, 30, 0]}` lost 20. The indexed `+=` reads all three old values first,
# adds, and then writes back, so the later write wins.
#
# In the exercise the forward pass may walk a diagonal more than once. From each $(n, n)$ matrix it took $m$
# numbers, $\text{out}_{bi} = t_{b,\, i \bmod n,\, i \bmod n}$ for $i = 0, \dots, m - 1$. For $m = n$ that
# is `batch_diagonals`; for $m > n$ it starts again at the top; for $m < n$ it stops early. This is why `n`
# is an argument: `g` alone does not tell it.
#
# One way to begin: seen as a row of $n^2$ numbers, where does the matrix hold entry $(j, j)$? Strides from
# section 1.5 answer that.
#
# {exercise u01-batch-diagonals-backward}

# %%
def batch_diagonals_backward(g, n):
    """Backward pass of walking m steps down each diagonal: out[b, i] = t[b, i % n, i % n] for i = 0 .. m-1.

    Args: g: (B, m) float, upstream; m may be below, equal to or above n. n: size of the matrices.
    Returns: (B, n, n), the gradient with respect to t.
    """
    ### BEGIN SOLUTION
    batch, steps = g.shape
    place = torch.arange(steps, device=g.device) % n * (n + 1)     # (j, j) lies at j n + j
    grad = g.new_zeros(batch, n * n)
    grad.scatter_add_(1, place.expand(batch, steps), g)
    return grad.view(batch, n, n)
    ### END SOLUTION

# %%
@check("u01-batch-diagonals-backward")
def observe(g, n):
    return {"grad_t": batch_diagonals_backward(g, n), "g_after": g}

# %% [markdown]
# ## 5. A judge for gradients
#
# ### 5.1 Central differences
#
# You can compute a derivative without knowing a formula: move one input a little, and see how the output
# moves. Taylor's theorem says how good that is. For one variable,
#
# $$f(x \pm h) = f(x) \pm h f'(x) + \tfrac{h^2}{2} f''(x) \pm \tfrac{h^3}{6} f'''(x) + \dots$$
#
# The one-sided quotient $(f(x + h) - f(x)) / h$ is off by about $\tfrac{h}{2} f''(x)$. In the **central**
# one the even terms cancel:
#
# $$\frac{f(x + h) - f(x - h)}{2h} = f'(x) + \tfrac{h^2}{6} f'''(x) + \dots$$
#
# Its error is $O(h^2)$: a tenth of the step, a hundredth of the error. For a cubic $f(x) = a x^3$ there is
# no further term, and the quotient is *exactly* $3 a x^2 + a h^2$. That is what the check compares with, so
# neither a one-sided quotient nor a fixed `h` passes.
#
# Smaller is not better without end: $f(x + h)$ and $f(x - h)$ agree in more and more digits, and their
# difference keeps only the rounding errors, divided by a small $h$. **Predict** where each column of the
# next table is best: for `float64` and for `float32`, with $f = \exp$ at $x = 1$.

# %%
print("h         error in float64   error in float32")
for exponent in range(1, 11):
    h = 10.0 ** -exponent
    errors = []
    for dtype in (torch.float64, torch.float32):
        x0 = torch.tensor(1.0, dtype=dtype)
        slope = ((x0 + h).exp() - (x0 - h).exp()) / (2 * h)
        errors.append(abs(slope.item() - np.e))
    print(f"1e-{exponent:02}     {errors[0]:.1e}            {errors[1]:.1e}")

# %% [markdown]
# In `float64` the error falls by 100 per row down to about $10^{-10}$ at $h = 10^{-5}$, and from
# $h = 10^{-8}$ on it rises again. In `float32` the best is about $4 \cdot 10^{-5}$, at $h = 10^{-2}$, and
# from $h = 10^{-8}$ on the answer is 0: both points round to the same number. A numerical gradient in
# `float32` cannot tell a right formula from a slightly wrong one. **Check gradients in `float64`.**
#
# ### 5.2 All entries of a tensor
#
# For a tensor, each entry is moved by itself while the others stay, which takes two calls of `f` per entry.
# That is far too slow for training (202 000 forward passes for one step of section 2.6) and just right for
# testing small cases.
#
# Two traps are in it. Numbers that you add to a `float32` tensor in place are rounded to `float32`. And if
# you move an entry of the caller's own `x`, you must put it back, also before you go on to the next entry.
#
# {exercise u01-numeric-grad}

# %%
def numeric_grad(f, x, h):
    """Estimate the gradient of f at x by central differences with step h, in float64.

    Args: f: takes a tensor shaped like x, returns a 0-d tensor. x: float32 or float64, any shape; stays as
        it is. h: step, above 0.
    Returns: float64 tensor shaped like x: (f(x + h e) - f(x - h e)) / 2h for each unit direction e.
    """
    ### BEGIN SOLUTION
    slopes = []
    for direction in torch.eye(x.numel(), dtype=torch.float64, device=x.device):
        step = h * direction.view(x.shape)         # float64, so x + step is float64 too; x is not written
        slopes.append((f(x + step) - f(x - step)) / (2 * h))
    return torch.stack(slopes).view(x.shape)
    ### END SOLUTION

# %%
@check("u01-numeric-grad")
def observe(x, a, b, h):
    def f(t):                                      # a cubic with a cross term
        return (a * t ** 3).sum() + (b * t).sum() ** 2
    return {"gradient": numeric_grad(f, x, h), "x_after": x}

# %% [markdown]
# You now hold both sides of a real gradient test. For small `x`, `y`, `w1`, `w2` in `float64`,
# `numeric_grad(lambda w: ((two_layer_forward(x, w, w2)[2] - y) ** 2).sum(), w1, 1e-6)` should agree with
# `two_layer_backward(x, y, w1, w2)[0]` in eight digits or so, unless an entry of $H$ lies within reach of
# the bend. Try it, and then take the mask out of your backward pass for a moment: this judge sees at once
# what 500 steps of training did not.

# %% [markdown]
# ## Summary
#
# - A tensor is a line of numbers with a shape, strides, a dtype and a device. Views share memory; in-place
#   operations write through them.
# - Broadcasting right-aligns shapes and copies along missing axes and axes of size 1. (N, 1) against (N,)
#   becomes (N, N) without a word.
# - An adjoint has the shape of its tensor. It is found by writing
#   $dL = \langle \text{upstream}, d\,\text{output} \rangle$ and collecting what stands beside each input's
#   change.
# - Matrix product: transpose the other factor. Relu: mask by the value that went in. Copy: sum. Sum: copy.
#   Gather: scatter and add.
# - Both weights step along gradients of the same point; `lr` ten times too long ended in `nan`.
# - A falling loss is no evidence for a gradient. Central differences in `float64`, with error $O(h^2)$, are.
#
# In the next unit a machine builds these backward passes from the forward pass. You will know what it does.
#
# Next: [u02 Autograd](u02_autograd.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the notes "Broadcasting semantics" and "Tensor Views", and the reference pages of
#   `torch.gather` and `torch.Tensor.scatter_add_`. The tutorial "Learning PyTorch with Examples" by Justin
#   Johnson trains the same kind of network step by step.
# - NumPy user guide, the page "Broadcasting".
# - Edward Z. Yang, "PyTorch internals": storage, strides and views, drawn.
# - Stanford CS231n course notes, "Backpropagation, Intuitions"; and Erik Learned-Miller, "Vector, Matrix,
#   and Tensor Derivatives".
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, "Automatic Differentiation in Machine
#   Learning: a Survey".
# - A. Griewank and A. Walther, "Evaluating Derivatives": the book on adjoints.
# - David Goldberg, "What Every Computer Scientist Should Know About Floating-Point Arithmetic".
