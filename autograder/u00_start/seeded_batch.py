"""The key of u00-seeded-batch."""

import numpy as np
import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT

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
