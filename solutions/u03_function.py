# %% [markdown]
# # Custom autograd.Function
#
# Autograd differentiates what it has recorded, and it records operations whose backward pass somebody wrote.
# In this unit that somebody is you. You write operations of your own, forward and backward, and hand them to
# autograd, which then treats them like its own.
#
# At the end you will be able to
#
# - write a `torch.autograd.Function` with several inputs, options, and inputs that have no gradient;
# - decide what to save for the backward pass, and where;
# - say what a backward pass may never do to the tensor that it receives;
# - make an operation that can be differentiated twice;
# - test a backward pass with `gradcheck`, and name the mistakes that `gradcheck` lets through;
# - write a checker that catches those as well.
#
# You need the adjoints of unit 1 (matrix product, relu, copies and sums) and the graph of unit 2. Plan about
# two and a half hours. There are seven exercises and one bug hunt, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import warnings

import torch

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Write down your answers first, then run the cell.
#
# 1. `w` is a leaf that holds 2, and the loss is $w^2 + w$. You call `backward()` on a freshly computed loss twice,
#    without clearing `w.grad`. What does it hold?
# 2. $y_i = x_i^2$ for $x = (1, 2, 3)$. What does `y.backward(torch.tensor([1., 0., -1.]))` put into `x.grad`?
# 3. A generator with seed 0 draws three numbers, one after the other. It is set to seed 0 again and draws one
#    more. Is that one equal to the first, to the third, or to none?

# %%
w = torch.tensor(2.0, requires_grad=True)
for _ in range(2):
    (w ** 2 + w).backward()
print("1.", w.grad.item())
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
(x ** 2).backward(torch.tensor([1.0, 0.0, -1.0]))
print("2.", x.grad.tolist())
g = torch.Generator().manual_seed(0)
drawn = [torch.rand(1, generator=g).item() for _ in range(3)]
g.manual_seed(0)
print("3.", [torch.rand(1, generator=g).item() == number for number in drawn[:1] + drawn[2:]])

# %% [markdown]
# 1. {shown 10}: the derivative at 2 is 5, and gradients accumulate.
# 2. `{shown [2, 0, -6]}`: the vector is the upstream gradient of `y`, and backward multiplies it by the derivative
#    $2x$. Each `backward` that you write in this unit receives such a vector.
# 3. Equal to the first. A seed sets the generator back to its start, and that is why everyone who runs this
#    notebook sees the same numbers.

# %% [markdown]
# ## 1. One operation, two methods
#
# ### 1.1 The contract
#
# Autograd knows how to go backward through each of PyTorch's operations, so it can differentiate everything
# composed of them. There are four good reasons to add one of your own:
#
# - part of the computation happens outside PyTorch: in NumPy, in a simulator, in a GPU kernel of yours;
# - a whole formula has a shorter or more stable derivative than the chain through its parts;
# - you want to save less memory than the chain would;
# - you want a gradient that is *not* the derivative, as in section 4.
#
# An operation is a class with two static methods, and it is never instantiated:
#
# ```python
# class Name(torch.autograd.Function):
#     @staticmethod
#     def forward(ctx, *inputs): ...           # returns the output
#
#     @staticmethod
#     def backward(ctx, grad_output): ...      # returns one gradient for each input of forward
# ```
#
# `forward` computes. Recording is off inside it: whatever it does, autograd notes down only that *this
# operation* ran. `backward` receives $\bar y$, the upstream gradient of the output $y$, and returns the
# gradients of the inputs: $\bar x$, with $\langle \bar y, dy \rangle = \langle \bar x, dx \rangle$ as in
# unit 1. `ctx`, the context, is created for each call anew. It is the only way from one method to the other.
#
# You call `Name.apply(...)`, which runs `forward` and puts a node into the graph. **Predict** `x.grad`.

# %%
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 2

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors                   # always a tuple
        return grad_output * 2 * x

# %%
x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
y = Square.apply(x)
y.backward(torch.tensor([1.0, 10.0, 100.0]))
print(y.tolist(), y.grad_fn.name(), x.grad.tolist())

# %% [markdown]
# `{shown [2, -40, 600]}`: upstream times derivative, entry by entry. The node in the graph carries your class's
# name with `Backward` behind it, `{shown SquareBackward}`. Error messages name it in this way, or by the class's
# name alone: that depends on the message and on the version of PyTorch.
#
# The same call as a picture. Step through it: forward from left to right, then backward from right to left.

# %%
from coursekit.viz.function import Call, function_frame
from coursekit.viz.show import show, step_through

square = Call("Square", inputs=(("x", "1, -2, 3"),), saved="x", output=("y", "1, 4, 9"),
              upstream="1, 10, 100", gradients=("2, -40, 600",))
step_through(lambda k: function_frame(square, k), 4, strip=(1, 3))

# %% [markdown]
# In old code you find `Square()(x)`, an instance that is called. It belonged to a form of this class that is
# gone, and now ends in an error whose text speaks of something else, static methods. (PyTorch warns as
# well; the cell keeps that quiet.)

# %%
with warnings.catch_warnings(), expect_error(RuntimeError):
    warnings.simplefilter("ignore")
    Square()(x)

# %% [markdown]
# ### 1.2 What save_for_backward does
#
# A plain attribute, `ctx.x = x`, would carry a tensor to `backward` too. For inputs and outputs use
# `ctx.save_for_backward`, for three reasons. It notes the tensor's **version**, a counter that each in-place
# operation raises, and refuses to go on if somebody has written into the tensor in the meantime. It lets go
# of the tensor once backward has run. And it knows the output from the inside, so that a saved output does
# not keep itself alive in a circle.
#
# Numbers, shapes and flags are not tensors and do go into attributes: `ctx.bound = 2.0`.
#
# The cell computes $t^2$ at $t = 3$, then adds 100 to `t` in place, then goes backward. The derivative that was
# asked for is $2 \cdot 3 = 6$. **Predict** what each of the two classes does.

# %%
class Careless(Square):
    @staticmethod
    def forward(ctx, x):
        ctx.saved = (x,)                           # an attribute
        return x ** 2

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * 2 * ctx.saved[0]

# %%
for kind in (Careless, Square):
    x = torch.tensor(3.0, requires_grad=True)
    t = x * 1
    y = kind.apply(t)
    t += 100
    if kind is Careless:
        y.backward()
        print("Careless:", x.grad.item())
    else:
        with expect_error(RuntimeError):
            y.backward()

# %% [markdown]
# {shown 206}, without a word: `Careless` read the tensor as it is now. `Square` raised, and the message names
# both versions, `{shown is at version 1; expected version 0}`. An error is the better outcome of the two by far.
#
# ### 1.3 Your relu
#
# $f(x) = \max(x, 0)$. The derivative is 1 where $x > 0$ and 0 where $x < 0$. At $x = 0$ there is none, and
# libraries differ: 0, 1 and ½ are all in use, and all are defensible (each is a slope of a line that
# touches the graph at 0 from below). This course declares **0**, like `torch.relu`. It matters more than it seems:
# after a relu or a dropout, many numbers are exactly 0.
#
# One rule is easy to break. **`grad_output` is not yours.** It may be the very tensor that other branches of
# the graph receive, so a backward pass must never write into it. Section 5 shows what happens otherwise.
# The check computes the gradient of $x + f(x)$ for that reason: there, both branches receive one tensor.
#
# {exercise u03-my-relu}

# %%
class MyReLU(torch.autograd.Function):
    """max(x, 0) for each entry; its derivative at 0 counts as 0. Use: MyReLU.apply(x), x of any shape."""

    @staticmethod
    def forward(ctx, x):
        """Args: x: float, any shape; stays as it is. Returns: max(x, 0), new memory."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(x)
        return x.clamp(min=0)
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: upstream, shaped like x; stays as it is. Returns: the gradient of x."""
        ### BEGIN SOLUTION
        (x,) = ctx.saved_tensors
        return grad_output * (x > 0)               # by the value that went in, not by the gradient's sign
        ### END SOLUTION

# %%
@check("u03-my-relu")
def observe(x, upstream):
    x.requires_grad_()
    out = MyReLU.apply(x)
    (grad,) = torch.autograd.grad((upstream * out).sum(), x)
    (grad_beside,) = torch.autograd.grad((upstream * (x + MyReLU.apply(x))).sum(), x)
    return {"out": out.detach(), "grad": grad, "grad_of_x_plus_f": grad_beside, "x_after": x.detach()}

# %% [markdown]
# ### 1.4 In the training loop
#
# The network of units 1 and 2, $\operatorname{relu}(X W_1)\, W_2$ with 101 000 weights, takes any bend. The
# loop below asks autograd for both gradients. It runs with `torch.relu`, so that it works before yours does.
# When your check has passed, exchange the name and run it again: the numbers must be the same.

# %%
def train(bend, steps=500, lr=1e-6):
    g = torch.Generator(device).manual_seed(seed)
    shapes = [(64, 1000), (64, 10), (1000, 100), (100, 10)]
    x, y, w1, w2 = (torch.randn(shape, generator=g, device=device) for shape in shapes)
    losses = []
    for _ in range(steps):
        w1, w2 = w1.detach().requires_grad_(), w2.detach().requires_grad_()
        loss = ((bend(x @ w1) @ w2 - y) ** 2).sum()
        losses.append(loss.item())
        grad_w1, grad_w2 = torch.autograd.grad(loss, (w1, w2))
        w1, w2 = w1 - lr * grad_w1, w2 - lr * grad_w2
    return losses

# %%
bend = torch.relu                                  # then: MyReLU.apply
losses = train(bend)
print(f"first {losses[0]:.3g}   after 100 steps {losses[100]:.3g}   last {losses[-1]:.2g}")

# %% [markdown]
# ${shown 2.94 \cdot 10^7}$ at first, ${shown 3 \cdot 10^{-5}}$ at last (seed 0, CPU): the training of unit 1. As there, equal
# losses are only a sign of life. A `backward` without its mask ends even lower. What you know about your
# gradient you know from the check, not from this loop.

# %% [markdown]
# ## 2. What to save
#
# A backward pass may need the input, the output, something in between, or nothing. You choose, and the choice
# costs memory: whatever is saved stays alive until backward has run, for every layer of a network at once.
#
# For $y = e^x$ the derivative is $e^x$, which is $y$ itself. To save $x$ and compute the exponential
# again would be correct, and wasteful twice over: the work is done again, and $x$ is kept alive although
# nobody else may need it. The output is often saved by the next operation anyway. `sigmoid`, `tanh`, `sqrt`
# and `softmax` are built the same way in PyTorch:
#
# | operation | derivative by the input | by the output $y$ |
# |---|---|---|
# | exp | $e^x$ | $y$ |
# | sigmoid | $\sigma(x)(1 - \sigma(x))$ | $y (1 - y)$ |
# | tanh | $1 - \tanh^2 x$ | $1 - y^2$ |
# | sqrt | $1 / (2\sqrt{x})$ | $1 / (2y)$ |
#
# What an operation has saved can be looked at from outside, through the graph's node. **Predict** which of the
# two numbers the node of PyTorch's own `tanh` shows for $x = 1$: 1 or $\tanh 1 = 0.76$?

# %%
x = torch.tensor(1.0, requires_grad=True)
print(x.tanh().grad_fn._saved_result.item())       # PyTorch's own nodes name what they saved
print(Square.apply(x).grad_fn.saved_tensors)       # yours keep it in saved_tensors

# %% [markdown]
# Write $e^x$, and save the output. The check looks at what was saved, and it differentiates twice: a loss such
# as $\langle u, y \rangle + \langle v, \bar x \rangle$ contains the gradient $\bar x$ itself. Such **gradient
# penalties** are used in practice, and they need a `backward` that can be differentiated in turn. If yours
# is made of ordinary tensor operations on `grad_output` and on saved inputs or outputs, it is. Section 6 says more.
#
# {exercise u03-my-exp}

# %%
class MyExp(torch.autograd.Function):
    """exp(x) for each entry, differentiable twice. Saves its output and nothing else. Use: MyExp.apply(x)."""

    @staticmethod
    def forward(ctx, x):
        """Args: x: float, any shape; stays as it is. Returns: exp(x)."""
        ### BEGIN SOLUTION
        y = x.exp()
        ctx.save_for_backward(y)
        return y
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: upstream, shaped like x; stays as it is. Returns: the gradient of x."""
        ### BEGIN SOLUTION
        (y,) = ctx.saved_tensors
        return grad_output * y
        ### END SOLUTION

# %%
@check("u03-my-exp")
def observe(x, upstream, v):
    x.requires_grad_()
    out = MyExp.apply(x)
    saved = [t.detach() for t in out.grad_fn.saved_tensors]
    (grad,) = torch.autograd.grad((upstream * out).sum(), x, create_graph=True)
    (with_penalty,) = torch.autograd.grad((upstream * out + v * grad).sum(), x)
    (grad_beside,) = torch.autograd.grad((upstream * (x + MyExp.apply(x))).sum(), x)
    return {"out": out.detach(), "grad": grad.detach(), "grad_of_loss_with_penalty": with_penalty,
            "grad_of_x_plus_f": grad_beside, "saved": saved, "x_after": x.detach()}

# %% [markdown]
# ## 3. Several inputs
#
# `backward` returns **one gradient for each input of `forward`, in the same order**, and `None` for an input
# that needs none. One too few is an error when backward runs, not before:

# %%
class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx.saved_tensors
        return grad_output * b                     # and the gradient of b?

# %%
a = torch.tensor(2.0, requires_grad=True)
y = Product.apply(a, 5.0 * a)
with expect_error(RuntimeError):
    y.backward()

# %% [markdown]
# `{shown expected 2, got 1}`, says the message: inputs, and gradients.
#
# Not every input wants a gradient. Data does not, frozen weights do not, and often neither does the input
# of the first layer. `ctx.needs_input_grad` is a tuple of booleans, one for each input, that says which gradients
# anybody could want. For a matrix product $C = A B$ each gradient is a matrix product of its own,
#
# $$\bar A = \bar C\, B^\top, \qquad \bar B = A^\top \bar C ,$$
#
# as expensive as the forward pass. To skip the one that nobody wants saves a third of the layer's work.
# A gradient that is returned although nobody wants it is dropped in silence. It costs time and memory, and
# no error tells you. The check calls your `backward` directly and looks at what it returns.
#
# One more kind of silence: for square matrices $B \bar C$ and $\bar C\, B^\top$ have the same shape. You have met
# that in unit 1, and the check uses both sorts of sizes.
#
# {exercise u03-my-matmul}

# %%
class MyMatmul(torch.autograd.Function):
    """The product of two matrices. Computes only the gradients that are needed. Use: MyMatmul.apply(a, b)."""

    @staticmethod
    def forward(ctx, a, b):
        """Args: a: (N, D) float. b: (D, K). Returns: a b, (N, K)."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(a, b)
        return a @ b
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: (N, K). Returns: (grad_a, grad_b), with None in the place of one that is not needed."""
        ### BEGIN SOLUTION
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        grad_a = grad_output @ b.T if need_a else None     # (N, K) (K, D)
        grad_b = a.T @ grad_output if need_b else None     # (D, N) (N, K)
        return grad_a, grad_b
        ### END SOLUTION

# %%
@check("u03-my-matmul")
def observe(a, b, upstream, needs):
    a.requires_grad_(needs[0])
    b.requires_grad_(needs[1])
    out = MyMatmul.apply(a, b)
    returned = out.grad_fn.apply(upstream)                 # what your backward returns, before autograd sorts it
    wanted = [t for t in (a, b) if t.requires_grad]
    grads = torch.autograd.grad((upstream * out).sum(), wanted)
    return {"out": out.detach(), "grads": list(grads), "upstream_after": upstream,
            "returned": ["None" if g is None else "computed" for g in returned[:2]]}

# %% [markdown]
# ## 4. Inputs that are not tensors, and inputs that are absent
#
# ### 4.1 A gradient that is not the derivative
#
# `forward` may take numbers, strings and flags beside tensors. They have no gradient, but they *are* inputs: backward
# returns `None` in their place. It is easily forgotten, and the message is the one
# that you saw in section 3.
#
# The next operation does nothing at all in the forward pass, and multiplies the gradient by $s$ on the way back:
#
# $$y = x, \qquad \bar x = s\, \bar y .$$
#
# For $s \ne 1$ no function has this derivative, and that is the point. With $s = -1$ it is the **gradient reversal** of
# domain-adversarial training: a classifier behind it learns to tell two data sources apart, while the network before it,
# which receives the reversed gradient, learns to make them look alike. With $0 < s < 1$ one part of a network learns
# more slowly than another. With $s = 0$ it is `detach`. A `gradcheck` of it must fail unless $s = 1$.
#
# The picture shows such a call with $s = -1$. Note the second arrow that leaves backward.

# %%
reversal = Call("ScaleGrad", inputs=(("x", "1, -2, 3"), ("s", "-1")), saved="s", output=("y", "1, -2, 3"),
                upstream="5, 7, 9", gradients=("-5, -7, -9", "None"))
show(function_frame(reversal, 3))

# %% [markdown]
# An operation's output should be a tensor of its own: return a view (`x.view_as(x)`) or a copy. (For a `forward` that
# returns `x` itself, autograd makes the view.)
#
# {exercise u03-scale-grad}

# %%
class ScaleGrad(torch.autograd.Function):
    """The identity, whose backward pass multiplies the gradient by s. Use: ScaleGrad.apply(x, s)."""

    @staticmethod
    def forward(ctx, x, s):
        """Args: x: float, any shape. s: a Python number. Returns: the numbers of x."""
        ### BEGIN SOLUTION
        ctx.s = s                                  # a number: an attribute
        return x.view_as(x)
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: upstream, shaped like x; stays as it is. Returns: one gradient for each input of forward."""
        ### BEGIN SOLUTION
        return grad_output * ctx.s, None
        ### END SOLUTION

# %%
@check("u03-scale-grad")
def observe(x, s, upstream):
    x.requires_grad_()
    out = ScaleGrad.apply(x, s)
    (grad,) = torch.autograd.grad((upstream * out).sum(), x)
    (grad_beside,) = torch.autograd.grad((upstream * (x + ScaleGrad.apply(x, s))).sum(), x)
    (grad_inside,) = torch.autograd.grad((upstream * ScaleGrad.apply(x ** 2, s) ** 2).sum(), x)
    return {"out": out.detach(), "grad": grad, "grad_of_x_plus_f": grad_beside,
            "grad_of_f_of_square_squared": grad_inside, "x_after": x.detach()}

# %% [markdown]
# ### 4.2 A layer with an optional bias
#
# Now a whole layer, $y = x W + b$, as one operation. Three things are new.
#
# **An input may be absent.** `LinearFn.apply(x, W)` runs `forward` with `b=None`. Since `apply` knows two
# inputs then, two gradients are enough. A trailing `None` too many is accepted, so the same three results do for both
# calls.
#
# **`x` may have any number of leading axes**: (N, D), or (B, T, D) for B texts of T words. The layer acts on the last
# one, and the leading axes are all samples: $\bar W$ and $\bar b$ sum over every one of them. Flatten them
# and you are back at a matrix product.
#
# **The bias was copied** to every sample, so its gradients add up. Here autograd has a surprise. **Predict**: this
# backward returns the gradient of `b`, of shape (3,), without summing, as (5, 3). Is that an error?

# %%
class AddBias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, grad_output            # the second should have been summed to (3,)

b = torch.zeros(3, requires_grad=True)
AddBias.apply(torch.zeros(5, 3), b).sum().backward()
print(tuple(b.grad.shape), b.grad.tolist())

# %% [markdown]
# Shape {shown (3,)}, each entry {shown 5}: autograd compares shapes, sees that (3,) broadcasts to (5, 3), and sums for you, with the
# `unbroadcast` of unit 1. A *mean*, though, or a sum over one axis of two, has the right shape or a fitting one too,
# and nobody corrects that. Sum it yourself: code that says what it means can be read, and tested alone.
#
# {exercise u03-linear-fn}

# %%
class LinearFn(torch.autograd.Function):
    """The layer x w + b, or x w. Use: LinearFn.apply(x, w, b) or LinearFn.apply(x, w). Differentiable twice."""

    @staticmethod
    def forward(ctx, x, w, b=None):
        """Args: x: (..., D) float. w: (D, K). b: (K,) or None. Returns: (..., K)."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(x, w)
        ctx.has_bias = b is not None
        return x @ w + b if ctx.has_bias else x @ w
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: (..., K). Returns: (grad_x, grad_w, grad_b); grad_b is None if there was no b."""
        ### BEGIN SOLUTION
        x, w = ctx.saved_tensors
        rows = grad_output.reshape(-1, w.shape[1])         # every leading axis counts samples
        grad_w = x.reshape(-1, w.shape[0]).T @ rows
        grad_b = rows.sum(dim=0) if ctx.has_bias else None
        return grad_output @ w.T, grad_w, grad_b
        ### END SOLUTION

# %%
@check("u03-linear-fn")
def observe(x, w, b, upstream, v):
    given = {name: t.requires_grad_() for name, t in (("x", x), ("w", w), ("b", b)) if t is not None}
    out = LinearFn.apply(*given.values())
    grads = torch.autograd.grad((upstream * out).sum(), list(given.values()), create_graph=True)
    (with_penalty,) = torch.autograd.grad((upstream * out).sum() + (v * grads[0]).sum(), w)
    seen = {f"grad_{name}": grad.detach() for name, grad in zip(given, grads, strict=True)}
    return {"out": out.detach(), **seen, "grad_w_of_loss_with_penalty": with_penalty, "upstream_after": upstream}

# %% [markdown]
# ## 5. A judge, and what it does not see
#
# ### 5.1 gradcheck
#
# `torch.autograd.gradcheck(f, inputs)` does what you did with `numeric_grad` in unit 1. It moves each input entry by
# $\pm h$ with $h = 10^{-6}$, takes the central difference of each output entry, and compares this table, the
# **Jacobian**, with the one that backward gives, called once for each output entry. Two numbers count as equal if
# they differ by at most `atol + rtol * size`, where `atol` is $10^{-5}$ and `rtol` is $10^{-3}$.
#
# The picture shows why $h = 10^{-6}$ is a good choice in one number format and a bad one in the other. **Predict** before
# you run it: on which side of the best step does the error fall as $h$ falls, and on which does it rise?

# %%
from coursekit.viz.gradcheck import residual_picture

show(residual_picture())

# %% [markdown]
# Read it from the right. Both curves fall along $h^2 / 6$, the **truncation** error of Taylor's theorem: a tenth of the
# step, a hundredth of the error. Then **rounding** takes over: $f(x + h)$ and $f(x - h)$ agree in more and more digits, and
# the error rises like $\varepsilon / h$, where $\varepsilon$ is the number format's rounding error. The best step lies where the two
# branches meet, near $\varepsilon^{1/3}$: some $10^{-6}$ in `float64`, and some $10^{-3}$ in `float32`.
#
# At `gradcheck`'s step of $10^{-6}$, `float64` is right to 10 digits. `float32` is off by several percent, and a correct
# backward pass is reported as wrong: a **false alarm**. PyTorch warns of it, and the warning is easily overlooked.

# %%
x = torch.tensor([1.0, -1.0, 2.0])
for dtype in (torch.float64, torch.float32):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = torch.autograd.gradcheck(torch.exp, x.to(dtype).requires_grad_(), raise_exception=False)
    print(dtype, right)

# %% [markdown]
# Turn every floating-point input into `float64` before you check. This, and keeping away from points where the function has a
# bend, are the two conditions for a fair test.
#
# ### 5.2 Three wrong functions that pass
#
# `gradcheck` is a necessary test. It is not sufficient. All three functions below are wrong, and all three pass.
# **Predict**, for each of them, who would notice.

# %%
class Cubic(torch.autograd.Function):
    """a x**3, with a backward pass to choose."""
    @staticmethod
    def forward(ctx, x, a, pull):
        ctx.save_for_backward(x)
        ctx.pull = lambda up, x: pull(up, 3 * a * x ** 2)
        return a * x ** 3

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.pull(grad_output, ctx.saved_tensors[0]), None, None

# %%
x = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
cases = {"small numbers": (1e-6, lambda up, slope: up * slope / 3),
         "positive upstream only": (1.0, lambda up, slope: up.clamp(min=0) * slope),
         "writes into its upstream": (1.0, lambda up, slope: up.mul_(slope))}
for name, (a, pull) in cases.items():
    print(f"{name:25}", torch.autograd.gradcheck(lambda t, a=a, pull=pull: Cubic.apply(t, a, pull), x))

# %% [markdown]
# **Small numbers.** The factor 3 is missing, but all derivatives are near $10^{-6}$, and so is their error: below `atol`. Whoever
# checks small numbers must lower `atol`. An absolute tolerance that is larger than the values compares nothing.
#
# **Positive upstream only.** Backward is *linear* in its upstream: $\bar x$ for $-\bar y$ must be $-\bar x$. `gradcheck` only ever asks with
# upstreams that hold a single 1 and zeros, none of them negative. An upstream of both signs finds this one. You can give
# `gradcheck` that: check $v \cdot f(x)$, entry by entry, with a random fixed $v$ instead of $f(x)$, and the upstreams of $f$ are entries of $v$.
# A few random numbers may all be positive by chance, so ask with $-v$ as well.
#
# **Writes into its upstream.** The numbers that it returns are right. The damage is done elsewhere, and the hunt is for that.
#
# ### 5.3 Bug hunt: the residual that vanished
#
# A network uses `Clip`, which limits each entry to $[-c, c]$. Its author checked it with `gradcheck`: True. Then it was put
# into a residual block, $y = x + \operatorname{clip}(x)$. With $c = 1$, $x = (0.5, 3, -0.5)$ and an upstream of $(5, 7, 9)$ the gradient of $x$ should
# be $(10, 7, 18)$: the second entry is clipped, so nothing comes back through the clip, but 7 comes back through the residual
# path. The program gives
#
# ```text
# [10.0, 0.0, 18.0]
# ```
#
# and for a plain `clip(x).sum()` all gradients are 0. Find the fault. It takes one line.
#
# {exercise u03-hunt-residual}

# %%
class Clip(torch.autograd.Function):
    """Limit each entry to [-bound, bound]; where |x| > bound the derivative is 0, elsewhere 1. Use: Clip.apply(x, bound)."""

    @staticmethod
    def forward(ctx, x, bound):
        """Args: x: float, any shape. bound: a number above 0. Returns: shaped like x."""
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(-bound, bound)

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: upstream, shaped like x. Returns: the gradient of x, and None for bound."""
        ### BEGIN SOLUTION
        (x,) = ctx.saved_tensors
        grad = grad_output.masked_fill(x.abs() > ctx.bound, 0)     # a new tensor: grad_output belongs to others too
        return grad, None
        ### RELEASE SHOWS
        # (x,) = ctx.saved_tensors
        # grad = grad_output
        # grad[x.abs() > ctx.bound] = 0
        # return grad, None
        ### END SOLUTION

# %%
@check("u03-hunt-residual")
def observe(x, bound, upstream):
    x.requires_grad_()
    out = Clip.apply(x, bound)
    (grad,) = torch.autograd.grad(out, x, upstream)
    (grad_beside,) = torch.autograd.grad((upstream * (x + Clip.apply(x, bound))).sum(), x)
    return {"out": out.detach(), "grad": grad, "grad_of_x_plus_f": grad_beside, "upstream_after": upstream}

# %%
x = torch.tensor([0.5, 3.0, -0.5], requires_grad=True)
(x + Clip.apply(x, 1.0)).backward(torch.tensor([5.0, 7.0, 9.0]))
print(x.grad.tolist())

# %% [markdown]
# Why did it happen? Adding hands *one and the same* upstream tensor to both of its branches: nothing needs to be copied, as
# long as everybody only reads. `Clip` set an entry of it to 0, and the residual path received the 0. After `.sum()` it is stranger
# still: all entries of the upstream are one number in memory, seen with stride 0. Writing one entry writes them all.
#
# `gradcheck` sees neither: it looks at what backward returns, and hands it a tensor that nobody else uses.

# %% [markdown]
# ## 6. Twice
#
# A gradient is a tensor that was computed from tensors. With `create_graph=True` autograd records that computation too,
# and the gradient can be differentiated again. Your `backward` then runs with recording **on**. Whatever it does with
# differentiable operations is recorded, and for what it does with saved tensors there is a rule: **saved inputs and saved outputs
# are known to the graph; a tensor that you computed inside `forward` is not.** Recording was off there, so autograd takes such
# an intermediate for a constant.
#
# **Predict** the second derivative of $x^4$ at 2 by each of the two classes. $f' = 4x^3 = 32$, $f'' = 12 x^2 = 48$.

# %%
class Fourth(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, keep_cube):
        ctx.keep_cube = keep_cube
        ctx.save_for_backward(x ** 3 if keep_cube else x)
        return x ** 4

    @staticmethod
    def backward(ctx, grad_output):
        (kept,) = ctx.saved_tensors
        return grad_output * 4 * (kept if ctx.keep_cube else kept ** 3), None

# %%
x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
for keep_cube in (False, True):
    (first,) = torch.autograd.grad(Fourth.apply(x, keep_cube), x, create_graph=True)
    (second,) = torch.autograd.grad(first + x, x)          # + x, so that there is a path in any case
    checks = [test(lambda t, keep=keep_cube: Fourth.apply(t, keep), x, raise_exception=False)
              for test in (torch.autograd.gradcheck, torch.autograd.gradgradcheck)]
    print(f"keeps the cube: {keep_cube!s:5}   {first.item()}   {second.item() - 1}   {checks}")

# %% [markdown]
# Both first derivatives are {shown 32}. The second is {shown 48} and {shown 0}, and 0 comes without an error wherever another path leads to $x$, as it
# does in every penalty. `gradcheck` says `True` twice. `gradgradcheck`, which applies the same test to the *backward* function, says
# `False` to the second class: `{shown [True, False]}`.
#
# If an intermediate is too costly to compute again, `forward` may return it as a second output, which makes it known to the graph.
#
# {exercise u03-cube}

# %%
class Cube(torch.autograd.Function):
    """x**3 for each entry, differentiable as often as one likes. Use: Cube.apply(x)."""

    @staticmethod
    def forward(ctx, x):
        """Args: x: float, any shape; stays as it is. Returns: x**3."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(x)
        return x ** 3
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        """Args: grad_output: upstream, shaped like x; stays as it is. Returns: the gradient of x."""
        ### BEGIN SOLUTION
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x ** 2            # recorded in turn, because x is an input
        ### END SOLUTION

# %%
@check("u03-cube")
def observe(x, upstream, v):
    x.requires_grad_()
    upstream.requires_grad_()
    out = Cube.apply(x)
    (grad,) = torch.autograd.grad((upstream * out).sum(), x, create_graph=True)
    penalty, for_upstream = torch.autograd.grad((upstream * out + v * grad).sum(), (x, upstream))
    return {"out": out.detach(), "grad": grad.detach(), "grad_of_loss_with_penalty": penalty,
            "the_same_for_upstream": for_upstream, "x_after": x.detach()}

# %% [markdown]
# ## 7. Your own judge
#
# You now know more ways to be wrong than `gradcheck` does. Put them into a function of your own:
# `audit_function(fn, *inputs)` returns a list of findings, texts in your own words, and an **empty list** if it has none. `fn` is
# called like any function, and is usually some `Name.apply`. Among the inputs there may be numbers, which have no gradient.
#
# The check lets your auditor look at pairs of functions, a sound one and a wrong one in random order, and sees which of the two it
# finds something about. A kind of mistake counts as caught if the wrong one is reported **and** the sound one is not: whoever
# reports everything catches nothing. These are the kinds:
#
# | kind | what backward does |
# |---|---|
# | drops_upstream | returns the derivative alone |
# | mixes_upstream | gives each entry the upstream of another |
# | small_numbers | loses a factor, in numbers near $10^{-7}$ |
# | sign_mask | passes only positive upstreams on; tried with a single number |
# | writes_upstream | returns the right gradient, and changes `grad_output` |
# | keeps_square | first derivative right, second wrong, as in section 6 |
# | transposed | for square matrices $a b$, takes $b$ for $b^\top$ |
# | too_few | returns one gradient too few, which raises |
#
# The second derivative may be wrong in small numbers as well. Three more conditions make the auditor fit for use. It must not raise when `fn` does: an error *is* a finding. It must give no false alarm when
# the inputs are `float32`. And it leaves the inputs as they were, `requires_grad` included.
#
# You may use `gradcheck` and `gradgradcheck` (`raise_exception=False` makes them return False), with tolerances of your own. Work on
# `float64` copies.
#
# {exercise u03-audit-function}

# %%
def audit_function(fn, *inputs):
    """Look for mistakes in a function's backward pass.

    Args: fn: takes the inputs, returns one float tensor. inputs: float32 or float64 tensors, and plain numbers; all stay
        as they are, with their requires_grad.
    Returns: list of findings, one text each; empty if the first and second derivatives agree with central differences for
        upstreams of both signs, at any scale, backward does not write into its upstream, and nothing raises.
    """
    ### BEGIN SOLUTION
    given = [t.detach().double().clone().requires_grad_() if torch.is_tensor(t) else t for t in inputs]
    found = []
    try:
        out = fn(*given)
        v = torch.randn_like(out)                  # no two entries alike
        kept = v.clone()
        torch.autograd.grad(out, [t for t in given if torch.is_tensor(t)], v)
        if not torch.equal(v, kept):
            found.append("backward writes into its upstream gradient")
        for up in (kept, -kept):                   # both signs, whatever was drawn
            def weighted(*args, up=up):            # the upstream of fn is an entry of up, not a single 1
                return up * fn(*args)
            torch.autograd.gradcheck(weighted, given, atol=1e-14)      # 1e-5 would hide errors of small numbers
        torch.autograd.gradgradcheck(weighted, given, atol=1e-14)
    except Exception as error:                     # a failed gradcheck raises, too
        found.append(f"{type(error).__name__}: {error}")
    return found
    ### END SOLUTION

# %%
@check("u03-audit-function")
def observe(x, a, b, kinds, scales, wrong_first):
    class Specimen(torch.autograd.Function):               # the cube s x**3, or the product a b; kind: its mistake
        @staticmethod
        def forward(ctx, kind, s, *given):
            ctx.kind, ctx.s = kind, s
            ctx.square = given[0] ** 2                     # an intermediate: no part of the graph
            ctx.save_for_backward(*given)
            return s * given[0] ** 3 if len(given) == 1 else given[0] @ given[1]

        @staticmethod
        def backward(ctx, up):
            kind, given = ctx.kind, ctx.saved_tensors
            if len(given) == 2:
                return None, None, up @ (given[1] if kind == "transposed" else given[1].T), given[0].T @ up
            slope = 3 * ctx.s * (ctx.square if kind == "keeps_square" else given[0] ** 2)
            up = {"drops_upstream": torch.ones_like, "mixes_upstream": lambda t: t.flip(-1), "sign_mask": torch.relu,
                  "small_numbers": lambda t: t / 3}.get(kind, lambda t: t)(up)
            grad = up.mul_(slope) if kind == "writes_upstream" else up * slope
            return (None, grad) if kind == "too_few" else (None, None, grad)

    flags = {}
    for kind, scale, first in zip(kinds, scales, wrong_first, strict=True):
        inputs = {"transposed": (1.0, a, b), "sign_mask": (scale, x.flatten()[:1])}.get(kind, (scale, x))
        pair = (kind, "sound") if first else ("sound", kind)
        flags[kind] = []
        for who in pair:
            findings = audit_function(lambda *given, who=who: Specimen.apply(who, *given), *inputs)
            flags[kind].append(len(findings) > 0)
    return {**flags, "inputs_after": [x, a, b]}

# %% [markdown]
# Try your auditor on your own work: `audit_function(MyReLU.apply, torch.randn(3, 4))` should give `[]`. What should it say about
# `ScaleGrad` with $s = 2$, and is it right? (It reports a gradient that differs from central differences. That gradient differs on
# purpose. A judge knows numbers, not intentions.)

# %% [markdown]
# ## Summary
#
# - A Function is two static methods: `forward(ctx, *inputs)`, and `backward(ctx, upstream)` with one gradient for each input. `None` stands for
#   inputs that are no tensors or need no gradient. It is called through `apply`.
# - Tensors travel in `save_for_backward`, which notices in-place changes; everything else in attributes of `ctx`. Save the output where
#   the derivative can be written with it.
# - The upstream belongs to others. Never write into it: $x + f(x)$ and `.sum()` show why.
# - Backward is linear in its upstream. At a bend the derivative is a convention; ours for relu at 0 is 0.
# - Intermediates of `forward` are constants to the second derivative. Save inputs or outputs.
# - `gradcheck` needs `float64`, an `atol` below the values, and points away from bends. It sees neither in-place writes nor what happens to
#   negative upstreams; a random upstream, a comparison of the upstream before and after, and `gradgradcheck` do.
#
# In the next unit operations get a home for their weights: `nn.Module`.
#
# Next: [u04 nn.Module](u04_module.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the notes "Extending PyTorch" and "Autograd mechanics", the tutorial "Double Backward with Custom Functions", and
#   the reference page of `torch.autograd.gradcheck`.
# - Yaroslav Ganin and others, "Domain-Adversarial Training of Neural Networks": the gradient reversal of section 4.1.
# - Yoshua Bengio, Nicholas Léonard, Aaron Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
#   Computation": gradients that are not derivatives, on purpose.
# - Ishaan Gulrajani and others, "Improved Training of Wasserstein GANs": a gradient penalty, and why the second derivative is needed.
# - David Bertoin and others, "Numerical influence of ReLU'(0) on backpropagation": how much the convention at 0 can matter.
# - Nicholas Higham, "Accuracy and Stability of Numerical Algorithms", the chapter on principles: truncation against rounding.
