"""The key of u00: a column that follows its tensor, and random numbers that follow from a seed alone.

In the last case of both the device is `meta`: it has no numbers, so only the place of the result is looked at.
"""

import numpy as np
import torch

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")

# ---- append_ones -----------------------------------------------------------------------------------------

ones = Key(
    "u00-append-ones",
    hints=(
        "How many ones do you need for x of shape (N, D), and which two numbers make the shape of a column of them?",
        "`torch.cat([left, right], dim=...)` joins tensors that have equally many axes. `torch.ones` takes a shape, and "
        "two more arguments by name: `dtype=` and `device=`. x knows both.",
        "A near-example, a row of zeros above x: `zeros = torch.zeros(1, x.shape[1], dtype=x.dtype, device=x.device)`, then "
        "`torch.cat([zeros, x], dim=0)`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"longer": 3},
    tolerance=EXACT,
    strict_dtype=("longer",),
)


@ones.inputs
def _(g, case):
    n, d = [(4, 3), (2, 5), (3, 2), (5, 4)][case]
    x = torch.randn(n, d, generator=g, dtype=torch.float64 if case == 1 else torch.float32)
    if case == 2:
        x = torch.randint(2, 10, (n, d), generator=g)
    return {"x": x, "place": "meta" if case == 3 else ""}


@ones.oracle
def _(x, place):
    return {"device_followed": place} if place else {"longer": torch.nn.functional.pad(x, (0, 1), value=1), "x_after": x}


def column(x, value=1):
    return torch.full((len(x), 1), value, dtype=x.dtype, device=x.device)


@ones.wrong("`{function}` returns x as it was. Nothing has been appended yet: its result should have one column more.")
def unchanged(x):
    return x


@ones.wrong("`{function}` puts the ones in front. The order of the list given to `torch.cat` is the order in the result.")
def in_front(x):
    return torch.cat([column(x), x], dim=1)


@ones.wrong("`{function}` adds a row, not a column: a sample that nobody measured. Along which axis should N stay as it is?")
def a_row(x):
    return torch.cat([x, torch.ones(1, x.shape[1], dtype=x.dtype, device=x.device)], dim=0)


@ones.wrong("`{function}` appends zeros. A column of zeros would switch off whatever weight it is multiplied with.")
def zeros(x):
    return torch.cat([x, column(x, 0)], dim=1)


@ones.wrong("The device of `{function}` is right, its dtype is not always: a column of float32 turns int64 into float32, without a word. "
            "`torch.ones` takes a dtype by name; whose should it be?")
def own_dtype(x):
    return torch.cat([x, torch.ones(len(x), 1, device=x.device)], dim=1)


@ones.wrong("The numbers and the dtype of `{function}` are right, but it fails where x lives elsewhere than on the CPU: the new column does "
            "not follow. `torch.ones` takes a device by name; whose should it be?")
def own_device(x):
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)


@ones.wrong("`{function}` makes its column with the defaults, float32 on the CPU. Whole numbers become float32, and on another device it "
            "fails. `torch.ones` takes a dtype and a device by name.")
def own_dtype_and_device(x):
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)


@ones.wrong("`{function}` converts x to float32 first, so float64 loses digits and whole numbers lose their type. Leave x as it is, and let "
            "the new column follow x.")
def everything_single(x):
    x = x.float()
    return torch.cat([x, column(x)], dim=1)


@ones.wrong("`{function}` goes through NumPy, which answers in float64 and lives on the CPU only: dtype and device of x are lost. Stay with "
            "tensors; `torch.cat` joins them.")
def through_numpy(x):
    return torch.from_numpy(np.column_stack([x.numpy(), np.ones(len(x))]))


@ones.wrong("`{function}` tries to join x of shape (N, D) with ones of shape (N,). `torch.cat` wants equally many axes; a column is (N, 1).")
def flat_ones(x):
    return torch.cat([x, torch.ones(len(x), dtype=x.dtype, device=x.device)], dim=1)


@ones.wrong("`{function}` appends as many columns as x has. `ones_like(x)` copies the whole shape of x; one column is enough.")
def too_many(x):
    return torch.cat([x, torch.ones_like(x)], dim=1)


@ones.wrong("`{function}` returns the column of ones alone. `torch.cat` returns a new tensor; is that the one that you return?")
def column_only(x):
    return column(x)


@ones.wrong("`{function}` overwrites the last column of x with ones: a feature is lost, the shape has not grown, and the caller's own tensor "
            "has changed.")
def overwrites(x):
    x[:, -1] = 1
    return x


@ones.wrong("`{function}` returns rows and columns swapped. A row is a sample: the result is (N, D + 1).")
def swapped(x):
    return torch.cat([x, column(x)], dim=1).T


@ones.variant
def by_new_ones(x):
    return torch.hstack((x, x.new_ones(x.size(0), 1)))


@ones.variant
def by_filling(x):
    longer = torch.empty(x.shape[0], x.shape[1] + 1, dtype=x.dtype, device=x.device)
    longer[:, :-1] = x
    longer[:, -1] = 1
    return longer


@ones.variant
def by_comparison(x):
    return torch.cat((x, (x[:, :1] == x[:, :1]).to(x.dtype)), 1)


# ---- seeded_batch ----------------------------------------------------------------------------------------

batch = Key(
    "u00-seeded-batch",
    hints=(
        "Which generator do your numbers come from, and who else draws from it?",
        "Make a `torch.Generator()` inside the function, seed it, and hand it to `torch.randn` by name. Draw on the CPU, and move the "
        "result at the end.",
        "A near-example, a seeded shuffle: `g = torch.Generator().manual_seed(seed)`, `order = torch.randperm(10, generator=g)`, "
        "`return order.to(device)`.",
    ),
    cases=4,
    guards=("next_global_draw",),
    weights={"numbers": 3},
    tolerance={"numbers": Tolerance(1e-5, 0, "float32; log and cos of the same draws may round differently on another CPU"),
               "same_seed_again": Tolerance(1e-5, 0, "float32; log and cos of the same draws may round differently on another CPU"),
               "next_global_draw": EXACT},
    strict_dtype=("numbers",),
)


@batch.inputs
def _(g, case):
    shape = [[3, 2], [4], [2, 1, 5], [2, 3]][case]
    return {"seed": 4 * int(torch.randint(1, 5000, (), generator=g)) + case, "shape": shape, "place": "meta" if case == 3 else ""}


@batch.oracle
def _(seed, shape, place):
    if place:
        return {"device_followed": place}
    torch.manual_seed(seed)                             # the same algorithm in torch's own, global generator
    numbers = torch.empty(shape).normal_()
    torch.manual_seed(7)
    return {"numbers": numbers, "same_seed_again": numbers, "next_global_draw": torch.rand(2)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@batch.wrong("The numbers of `{function}` are right, but it seeds the global generator, from which every other part of the program draws, too. "
             "Each of them now starts again at this seed. Make a generator of your own.")
def seeds_the_world(seed, shape, device):
    torch.manual_seed(seed)
    return torch.randn(shape).to(device)


@batch.wrong("`{function}` draws from the global generator: its numbers depend on what was drawn before, not on the seed. A generator of your "
             "own is used only where `torch.randn` gets it by name, as `generator=`.")
def draws_from_the_world(seed, shape, device):
    return torch.randn(shape).to(device)


@batch.wrong("`{function}` gives the same numbers for every seed. A generator that nobody seeds starts at a fixed number of its own; "
             "`manual_seed` changes it.")
def never_seeded(seed, shape, device):
    return torch.randn(shape, generator=torch.Generator()).to(device)


@batch.wrong("`{function}` gives the same numbers for every seed: it always seeds with 0. Which of its arguments should stand there?")
def always_zero(seed, shape, device):
    return torch.randn(shape, generator=seeded(0)).to(device)


@batch.wrong("`{function}` is right the first time, and goes on from there the second time: its generator outlives the call. Make it, or "
             "seed it, in each call.")
def keeps_its_generator(seed, shape, device, kept=torch.Generator()):
    if kept.initial_seed() != seed:
        kept.manual_seed(seed)
    return torch.randn(shape, generator=kept).to(device)


@batch.wrong("The numbers of `{function}` are uniform between 0 and 1. Standard normal ones have both signs; one letter makes the difference.")
def uniform(seed, shape, device):
    return torch.rand(shape, generator=seeded(seed)).to(device)


@batch.wrong("`{function}` draws with NumPy, whose generators make other numbers from the same seed. `torch.randn` takes a `torch.Generator`.")
def numpy_numbers(seed, shape, device):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)).to(device)


@batch.wrong("`{function}` returns float64. Without a dtype, `torch.randn` draws float32; in float64 the same seed gives other numbers.")
def double(seed, shape, device):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(device)


@batch.wrong("The numbers of `{function}` are right, but they stay on the CPU. `.to(device)` returns a moved copy and does not "
             "change its tensor; is its result used?")
def stays_on_the_cpu(seed, shape, device):
    return torch.randn(shape, generator=seeded(seed))


@batch.wrong("`{function}` makes its generator on the device. Not every device has one, and where there is one it makes other numbers from "
             "the same seed. Draw on the CPU, and move the numbers at the end.")
def draws_on_the_device(seed, shape, device):
    return torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)


@batch.wrong("The shape of `{function}` is reversed. Give the shape to `torch.randn` in the order in which it comes.")
def reversed_shape(seed, shape, device):
    return torch.randn(tuple(shape)[::-1], generator=seeded(seed)).to(device)


@batch.wrong("`{function}` returns one flat row of numbers. `torch.randn` takes the whole shape, not only the number of elements.")
def flat(seed, shape, device):
    return torch.randn(torch.Size(shape).numel(), generator=seeded(seed)).to(device)


@batch.variant
def in_place(seed, shape, device):
    g = torch.Generator("cpu")
    g.manual_seed(seed)
    return torch.empty(shape, dtype=torch.float32).normal_(generator=g).to(device)


@batch.variant
def flat_then_shaped(seed, shape, device):
    numbers = torch.randn(torch.Size(shape).numel(), generator=seeded(seed))
    return numbers.reshape(shape).to(torch.device(device))


@batch.variant
def borrows_the_world(seed, shape, device):
    with torch.random.fork_rng(devices=[]):             # puts the global generator back
        torch.manual_seed(seed)
        return torch.randn(*shape).to(device)
