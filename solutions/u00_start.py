# %% [markdown]
# # Start
#
# This course teaches PyTorch from the inside: you build the parts that a framework hides, and use the
# framework's own once you know what they do. This first unit is about the place where that happens, the
# notebook. It has more ways to mislead than a plain program, and all of them are easy to see once you know
# where to look.
#
# At the end you will be able to
#
# - run cells, and say what a cell's result depends on besides its text;
# - read an error from the right end;
# - choose a device, and write functions that follow the device and dtype of their inputs;
# - read what a check says, ask for hints, see your progress;
# - draw random numbers that you can draw again;
# - move code from a notebook to a `.py` file and back, and hand in.
#
# You need Python functions and loops, and have seen NumPy arrays. Plan about 45 minutes. There are two
# exercises, 10 points in all.
#
# ### What the course covers
#
# | unit | question | hours | points |
# |---|---|---|---|
# | u00 Start | How do I work here? | 0.75 | 10 |
# | [u01 Tensors and manual backprop](u01_tensors.ipynb) | What does a network compute, and how do I get its gradients by hand? | 3 | 50 |
# | [u02 Autograd](u02_autograd.ipynb) | How does PyTorch find these gradients by itself? | 3 | 50 |
# | [u03 Custom autograd.Function](u03_function.ipynb) | What if PyTorch does not know my operation, or its gradient should be another? | 2.5 | 50 |
# | [u04 nn.Module](u04_module.ipynb) | How does a model find its own parts? | 3 | 50 |
# | [u05 Parameter](u05_parameter.ipynb) | What makes a tensor a weight, and where should it start? | 2 | 40 |
# | [u06 Dataset and DataLoader](u06_data.ipynb) | How does data get from files into batches, unmixed and in time? | 3 | 50 |
# | [u07 Optimizers](u07_optim.ipynb) | What does `step()` do with a gradient? | 2.5 | 50 |
# | [u08 Letters A to J](u08_letters.ipynb) | All of it at once: from folders with defects to a model I can trust | 5 | 100 |
# | [u09 Bug clinic](u09_clinic.ipynb) | What is wrong with this program? | 1 | 50 |
#
# The order is the plan: derive by hand, then automate, then extend the automation; then the container before its
# contents, real batches before the optimizers that eat them, everything at once on data with real defects, and a
# clinic of bugs from all of it. About 26 hours, 500 points. Each unit needs those before it.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda", if you have an NVIDIA GPU
fast = True       # later units train longer without it; this one is quick anyway

# %% tags=["setup"]
import torch

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# Each unit opens with three small questions. Write down your answers first, then run the cell: you learn
# most where you were sure and wrong. To run a cell, click into it and press Shift+Enter. Run the three
# cells above first: every notebook here starts with its parameters, a look whether the course is installed, and its imports.
#
# 1. `step` is defined while `rate` is 0.1, and called when it is 0.5. What does it return?
# 2. `note` is called twice, each time with one word. What does the second call return?
# 3. Is `0.1 + 0.2 == 0.3`?

# %%
rate = 0.1
def step(w):
    return w - rate
rate = 0.5
print("1.", step(2.0))

def note(word, seen=[]):
    seen.append(word)
    return seen
note("first")
print("2.", note("second"))
print("3.", 0.1 + 0.2 == 0.3, abs(0.1 + 0.2 - 0.3))

# %% [markdown]
# 1. {shown 1.5}. A function looks a global name up when it is *called*. In a notebook names change all the time,
#    which is the subject of section 1.
# 2. `{shown ['first', 'second']}`. A default value is made once, when `def` runs, and all calls share it. In section
#    4 the same mistake is made with random numbers.
# 3. `{shown False}`; they differ by ${shown 5.6 \cdot 10^{-17}}$. Neither 0.1 nor 0.2 is a number that binary digits can
#    write. So results of floating-point arithmetic are compared with a tolerance, in your tests and in the
#    checks of this course.

# %% [markdown]
# ## 1. Cells
#
# ### 1.1 A program that you run by hand
#
# Behind the notebook a Python process waits, the **kernel**. Running a cell sends its text there. The kernel
# keeps every name that a cell has defined until it is restarted. The number in brackets beside a cell counts
# the runs: the cell with `[7]` was the seventh to run, wherever it stands. `[*]` means that it is still
# running, or waits for its turn; the square in the toolbar interrupts it.
#
# | keys | effect |
# |---|---|
# | Shift+Enter | run the cell, go to the next |
# | Ctrl+Enter | run the cell, stay |
# | Enter, Esc | begin to write in the cell, leave it |
# | B, after Esc | a new cell below |
#
# What a cell shows is what it prints, and the value of its last line if that is an expression.
#
# **Predict** the output of the second cell when it runs for the first time, and for the third. Then run it
# three times.

# %%
steps = 10

# %%
steps = 2 * steps
steps

# %% [markdown]
# {shown 20}, 40, 80: the same text, three results. What a cell gives depends on its text *and* on everything that
# ran before it, in the order in which it ran. The page shows an order from top to bottom; your clicks made
# another one.
#
# The kernel also remembers what the page has lost. If you delete the cell `steps = 10`, `steps` lives on,
# and everything goes on working until tomorrow, in a new kernel. So there is one way to know that a notebook
# is right: **Kernel, Restart Kernel and Run All Cells**. Do it before you believe a result, and before you
# hand in. Grading does the same: it runs your notebook once, from top to bottom.
#
# ### 1.2 The cell that ran last wins
#
# A function is a name, too. Editing its cell changes nothing by itself; running the cell replaces the
# function. That explains a common puzzle: "I have mended it, and the check still complains". The cell with
# the mended function had not been run.
#
# **Predict** what `area` gives, then run the cell.

# %%
def area(r):
    return 3 * r ** 2
first = area
def area(r):
    return 3.14159 * r ** 2
print(first(1.0), area(1.0), first is area)

# %% [markdown]
# `def` a second time made a second function and moved the name to it. The first is still there for whoever
# holds it. This is why a check uses your function as it was when its cell last ran.
#
# ### 1.3 Errors
#
# A cell that raises an error stops there, and its traceback can be long. **Read it from the bottom.** The
# last line says what went wrong: the type of the error, and a message. Then go up until you meet a line of
# your own: that is where to look. What lies between was called by your line, and is seldom at fault.
#
# Here `mean_of_rows` divides by the length of an empty list. `expect_error` shows only the last line of an
# error and goes on; run the cell, then take the `with` line away (and the indentation below it), and run
# again to see the whole traceback.

# %%
def mean_of_rows(rows):
    return sum(rows) / len(rows)

def report(rows):
    return f"mean: {mean_of_rows(rows)}"

with expect_error(ZeroDivisionError):
    report([])

# %% [markdown]
# The traceback has three parts: the cell's line, `report`, `mean_of_rows`. The last one is where it
# happened, and the first one, `report([])`, is where it was caused. Reading upwards leads from the effect to
# the cause.
#
# | the last line begins with | look at |
# |---|---|
# | `NameError` | a cell that has not run since the restart, or a typing error |
# | `NotImplementedError` | an exercise that is still blank |
# | `IndentationError`, `SyntaxError` | the line shown, and the end of the one above it |
# | `TypeError` | the number and kind of a call's arguments |
# | `RuntimeError` from PyTorch | shapes, dtypes and devices; the message names them |
#
# PyTorch's messages are worth reading word by word: nearly always they hold both shapes.

# %%
with expect_error(RuntimeError):
    torch.ones(2, 3) @ torch.ones(2, 3)

# %% [markdown]
# ## 2. Tensors and their device
#
# A **tensor** is PyTorch's array. Three attributes say what kind it is: `shape`, the size of each axis;
# `dtype`, the type of its numbers; `device`, the memory that holds them. Unit u01 is about all three. For
# now, one rule: **tensors that meet must be on the same device**, and nothing is moved silently.
#
# `device` in the parameters cell says where this notebook works. If the next cell prints `True`, you may set
# it to `"cuda"` and run all again; nothing in the course needs a GPU.

# %%
x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], device=device)
print(tuple(x.shape), x.dtype, x.device, "   CUDA here:", torch.cuda.is_available())
print(x.to(torch.float64).dtype, x.dtype)          # .to returns a new tensor, and x stays what it was

# %% [markdown]
# There is a device for practice on every machine. On `meta` a tensor has a shape and a dtype and no numbers.
# It computes nothing, and it complains like a GPU does when a tensor from elsewhere comes along. A function
# that follows its input to `meta` follows it to a GPU as well, so the checks use `meta` to look at that.
#
# **Predict** which of the two additions raises an error.

# %%
far = torch.ones(2, 3, device="meta")
print(far.shape, far.dtype, (far + torch.zeros(2, 3, device=far.device)).device)
with expect_error(RuntimeError):
    far + torch.zeros(2, 3)

# %% [markdown]
# `torch.zeros(2, 3)` made its tensor on the CPU, where every tensor is made unless you say otherwise, in
# `float32`. A new tensor should **follow** the tensors that it will meet: `device=x.device`, `dtype=x.dtype`.
#
# The dtype is the more dangerous of the two, since mixed dtypes often raise nothing. `torch.cat` joins
# tensors along an axis that they have; all other axes must agree. It converts where dtypes differ.
#
# **Predict** shape and dtype of both results.

# %%
counts = torch.tensor([[1, 2], [3, 4], [5, 6]])
print(torch.cat([counts, counts], dim=0).shape, torch.cat([counts, counts], dim=1).shape)
print(torch.cat([counts, torch.zeros(3, 2)], dim=1).dtype)

# %% [markdown]
# {shown (6, 2)}, {shown (3, 4)}, and the whole numbers have become `{shown float32}`: a table of counts or class numbers is one no
# longer, and $2^{24} + 1$ cannot be told from $2^{24}$ in it.
#
# ## 3. How a check speaks
#
# Below each exercise stands its check. The function `observe` in it is the **probe**: it calls your function
# on a few inputs and gives what is looked at a name. You can read it, and it holds no answer.
#
# Here is the first exercise. A layer computes $x w + b$ for each sample, a row of $x$. If $x$ gets one more
# column, and that column holds ones, $b$ can be one more row of $w$: $x w + b$ becomes a single product. You
# write the function that appends the column. On the way, see all three replies of its check:
#
# 1. Run the check as it is. It says **Not started**, and why: `append_ones` is still the blank stub. You get
#    the same reply when you forgot to run the cell of your function after a restart.
# 2. Replace the line `raise NotImplementedError()` by `return x`, run that cell, then the check: **Not
#    yet**. The check recognises this mistake by its numbers, and says which one it is. It also lists what is
#    already right: the result is on the right device. Other mistakes get texts of their own, and none
#    contains the answer.
# 3. Now write your answer. When all is well the check says **Passed**, and reminds you that grading uses
#    fresh inputs. A function that knows the visible inputs by heart passes here and earns nothing there.
#
# {exercise u00-append-ones}

# %%
def append_ones(x):
    """Append a column of ones.

    Args: x: (N, D), any dtype, on any device; stays as it is.
    Returns: (N, D + 1), the columns of x and then the ones, with the dtype and on the device of x.
    """
    ### BEGIN SOLUTION
    ones = torch.ones(x.shape[0], 1, dtype=x.dtype, device=x.device)
    return torch.cat([x, ones], dim=1)
    ### END SOLUTION

# %%
@check("u00-append-ones")
def observe(x, place):
    if place:                                      # "meta": a device without numbers
        return {"device_followed": str(append_ones(x.to(place)).device)}
    return {"longer": append_ones(x), "x_after": x}

# %% [markdown]
# If your code raises an error inside a check, you do not get a traceback but the line in question and the
# message. To see the traceback, call your function yourself in a cell below, on inputs that you choose.
#
# Most checks also look whether your function left its inputs alone (here, `x_after`). That earns nothing by
# itself, and a right result that spoils its input is not *Passed*.
#
# ### Hints and progress
#
# Each exercise has three hints: a question, a pointer, and a worked near-example. Each call gives the next,
# and after the third the first again. They cost nothing. Think for five minutes first; then do not be stuck
# for longer than ten.

# %%
hint("u00-append-ones")

# %% [markdown]
# `progress()` says how much of each unit has passed, and lists the exercises of those you are in; `progress("u04")`
# lists one unit's. It reads one small file beside your notebooks; nothing is sent anywhere.

# %%
progress()

# %% [markdown]
# ## 4. Random numbers that come back
#
# Networks start from random weights and see their data in random order. A result that cannot be produced a
# second time cannot be debugged, so random numbers come from a **generator**: a long, fixed sequence that
# looks random, with a **seed** that says where to start. Same seed, same sequence of draws, same numbers.
#
# PyTorch has one global generator. `torch.manual_seed` seeds it, and whoever does not say otherwise draws
# from it. **Predict** whether the two lines are equal.

# %%
torch.manual_seed(seed)
print("weights       ", torch.randn(3))

torch.manual_seed(seed)
noise = torch.rand(1)                              # somewhere in between, somebody draws one number
print("weights again ", torch.randn(3))

# %% [markdown]
# Same seed, other weights. All parts of a program that draw from the global generator share one sequence.
# One more draw anywhere, for a picture or while debugging, shifts everything after it. The reverse is worse:
# a function that calls `torch.manual_seed` by itself sets everybody else back to the same start, and numbers
# that should be independent are equal.
#
# So this course uses **one seeded generator per use**: one for the weights, one for the noise, one for the
# order of the data. A generator of your own is passed by name, and nobody else can move it.

# %%
g = torch.Generator().manual_seed(seed)
print("weights       ", torch.randn(3, generator=g))

g = torch.Generator().manual_seed(seed)
noise = torch.rand(1)                              # from the global generator: g does not notice
print("weights again ", torch.randn(3, generator=g))
print("the next three", torch.randn(3, generator=g))

# %% [markdown]
# The third line differs: a generator goes on where it stopped. That is what you want within one use, and not
# what you want from a function that should give the same numbers whenever it is called.
#
# Give different uses different seeds (`seed`, `seed + 1`, and so on). Two generators with equal seeds draw
# equal numbers, and noise that equals the weights is no noise.
#
# One more thing concerns GPUs. A generator belongs to a device, and a GPU's makes *other* numbers from the
# same seed than the CPU's. If a program should give the same numbers everywhere, it draws on the CPU and
# moves them: `.to(device)` returns the moved tensor.
#
# Write a function that does all of this. Its check seeds the global generator before the call and draws from
# it afterwards: that draw must come out as if you had never been there.
#
# {exercise u00-seeded-batch}

# %%
def seeded_batch(seed, shape, device):
    """Draw standard normal numbers that depend on the seed and the shape alone.

    Args: seed: int. shape: tuple of ints. device: where the result shall live.
    Returns: float32 tensor of that shape on that device, with the same numbers on every device. The global
        generator stays as it was.
    """
    ### BEGIN SOLUTION
    g = torch.Generator().manual_seed(seed)        # a new one in each call, on the CPU
    return torch.randn(shape, generator=g).to(device)
    ### END SOLUTION

# %%
@check("u00-seeded-batch")
def observe(seed, shape, place):
    if place:                                      # "meta" once more
        return {"device_followed": str(seeded_batch(seed, tuple(shape), place).device)}
    torch.manual_seed(7)
    numbers = seeded_batch(seed, tuple(shape), device)
    drawn_next = torch.rand(2)
    again = seeded_batch(seed, tuple(shape), device)
    return {"numbers": numbers, "same_seed_again": again, "next_global_draw": drawn_next}

# %% [markdown]
# ## 5. From notebook to file and back
#
# A notebook is good for trying, showing and explaining. Code that is used twice belongs in a file: it can be
# imported, tested, compared line by line with yesterday's, and no cell can be forgotten. The first line of
# the next cell, a **magic** of the notebook, writes the rest into a file instead of running it.

# %%
# %%writefile u00_tools.py
"""Functions that have outgrown their notebook."""


def double(t):
    return 2 * t

# %% [markdown]
# The file lies beside the notebook, and can be imported as any module. A module is read **once** per kernel:
# a second `import` finds it already there and does nothing. So changing the file changes nothing, until
# `importlib.reload` reads it again.
#
# **Predict** the three lines. The cell edits the file as you would in an editor.

# %%
import importlib
from pathlib import Path
import u00_tools

print("imported:     ", u00_tools.double(torch.arange(3)))
file = Path("u00_tools.py")
file.write_text(file.read_text("utf-8").replace("2 * t", "t + t + 100"), "utf-8")
import u00_tools
print("imported again", u00_tools.double(torch.arange(3)))
importlib.reload(u00_tools)
print("reloaded:     ", u00_tools.double(torch.arange(3)))

# %% [markdown]
# Only the last line shows the change. Names that you took with `from u00_tools import double` would not even
# follow `reload`; import them again after it. If in doubt, restart the kernel: it is the reload that never
# forgets anything.
#
# The whole notebook becomes a script with one command in a terminal (File, New, Terminal):
#
# ```text
# jupyter nbconvert --to python u00_start.ipynb
# ```
#
# That writes `u00_start.py`, the text cells as comments. Magics are translated into calls of
# `get_ipython()`, so run such a file with `ipython u00_start.py`; without magics, `python` does as well. The
# checks work there, too, and print their replies. In the other direction, a cell with
# `%load u00_tools.py` is replaced by the file's text when you run it.
#
# ## 6. Handing in
#
# 1. Kernel, Restart Kernel and Run All Cells. If something fails now that worked before, section 1.1 says
#    why.
# 2. Save (Ctrl+S). What is handed in is the file, not what you see.
# 3. In a terminal, in the course's folder: `python3 course.py submit u00`
#
# The command lists each exercise as answered, not started or missing, and writes the file to hand in into
# the folder `handin`. You may hand in with blanks, and again later. What counts is your functions: they are
# called on fresh inputs, after your notebook has run from top to bottom. A cell that raises an error does
# not spoil the others, and a check that you edited or deleted changes nothing. Cells that you added are
# welcome.

# %% [markdown]
# ## Summary
#
# - A cell's result depends on everything that ran before it. Restart and run all before you believe it.
# - Read a traceback from its last line upwards, to the first line that is yours.
# - A new tensor follows the dtype and the device of those it meets: `dtype=x.dtype, device=x.device`.
# - A check says *Not started*, *Not yet* with the mistake, or *Passed*. Grading uses fresh inputs.
# - One seeded generator per use. Draw on the CPU what should be the same everywhere.
# - Code that is used twice goes into a file; `importlib.reload` reads it again.
#
# In u01 you write a network and its gradients, with nothing but tensors.
#
# Next: [u01 Tensors and manual backprop](u01_tensors.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - JupyterLab documentation, "Notebooks" and "The JupyterLab Interface": cells, kernels, keyboard shortcuts.
# - PyTorch documentation: the notes "Reproducibility" and "CUDA semantics", and the pages "Tensor Attributes",
#   "Meta device" and `torch.Generator`.
# - The Python Tutorial, chapters "Errors and Exceptions" and "Modules"; the Python FAQ, "Why are default
#   values shared between objects?"
# - Melissa E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
#   Number Generation": its first half says what makes a generator good.
# - Joel Grus, "I Don't Like Notebooks": a talk about all that hidden state, worth hearing before you rely on
#   them.
