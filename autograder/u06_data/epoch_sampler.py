"""The key of u06-epoch-sampler."""

import torch
from torch.utils.data import Sampler

from coursekit.course.authoring import Key, Tolerance

from ._shared import below

epochs = Key(
    "u06-epoch-sampler",
    hints=(
        "Which three numbers decide the order, and which of them change while the object lives?",
        "Make the generator inside `__iter__`, where the epoch is known: `torch.Generator().manual_seed(...)`. Hand it to `torch.randperm`, and "
        "give Python ints: "
        "`.tolist()`.",
        "A near-example that yields n noisy numbers, the same ones at each pass: `def __iter__(self): g = "
        "torch.Generator().manual_seed(self.seed); return "
        "iter(torch.rand(self.n, generator=g).tolist())`.",
    ),
    guards=("length", "type", "global_draw"),
    weights={"later": 2},
    tolerance={"global_draw": Tolerance(1e-6, 0, "the same draw from the same state")},
)


def order(n, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


@epochs.inputs
def _(g, case):
    n = [7, 9, 6][case]
    while True:
        seed, epoch = below(g, 1000)[0], [3, 2, 5][case]
        made = [order(n, seed), order(n, seed + epoch), order(n, epoch), list(range(n)), order(n, seed * epoch), order(n, seed - epoch)]
        if seed > 10 and len({tuple(one) for one in made}) == len(made):
            return {"n": n, "seed": seed, "epoch": epoch}


@epochs.oracle
def _(n, seed, epoch):
    torch.manual_seed(seed)
    first = torch.randperm(n).tolist()
    torch.manual_seed(seed + epoch)
    later = torch.randperm(n).tolist()
    torch.manual_seed(123)
    return {"length": n, "first": first, "again": first, "later": later, "type": "int", "back": first, "global_draw": torch.rand(2)}


class Epochs(Sampler):
    """A sound sampler whose parts can be exchanged one by one."""

    def __init__(self, n, seed):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.n

    def generator(self):
        return torch.Generator().manual_seed(self.seed + self.epoch)

    def __iter__(self):
        return iter(torch.randperm(self.n, generator=self.generator()).tolist())


@epochs.wrong("`{function}` gives the same order in every epoch: `set_epoch` has no effect on it.")
class ignores_the_epoch(Epochs):
    def generator(self):
        return torch.Generator().manual_seed(self.seed)


@epochs.wrong("`{function}` ignores its seed: the epoch alone decides, so every run of everybody has the same orders.")
class ignores_the_seed(Epochs):
    def generator(self):
        return torch.Generator().manual_seed(self.epoch)


@epochs.wrong("`{function}` draws with replacement: some samples come twice, and about 37 % never. An epoch is a permutation.")
class with_replacement(Epochs):
    def __iter__(self):
        return iter(torch.randint(self.n, (self.n,), generator=self.generator()).tolist())


@epochs.wrong("`{function}` makes its generator once, in `__init__`. A generator moves on with each draw, so the second pass over the same epoch "
              "differs from the first, "
              "and an epoch cannot be repeated. Make it where the order is made.")
class one_generator(Epochs):
    def __init__(self, n, seed):
        super().__init__(n, seed)
        self.kept = torch.Generator().manual_seed(seed)

    def generator(self):
        return self.kept


@epochs.wrong("The orders of `{function}` are right, but it sets PyTorch's global seed: after it, everybody else's random numbers are other "
              "ones. Use a generator of its own.")
class seeds_the_world(Epochs):
    def __iter__(self):
        torch.manual_seed(self.seed + self.epoch)
        return iter(torch.randperm(self.n).tolist())


@epochs.wrong("`{function}` draws from PyTorch's global generator, so its orders depend on whatever ran before.")
class draws_from_the_world(Epochs):
    def __iter__(self):
        return iter(torch.randperm(self.n).tolist())


@epochs.wrong("`{function}` does not shuffle: it yields 0, 1, 2, … in each epoch.")
class in_order(Epochs):
    def __iter__(self):
        return iter(range(self.n))


@epochs.wrong("`{function}` yields tensors. An index is a Python int; many datasets, a list among them, or a dict, behave differently with a "
              "tensor.")
class yields_tensors(Epochs):
    def __iter__(self):
        return iter(torch.randperm(self.n, generator=self.generator()))


@epochs.wrong("`{function}` can be iterated over only once: the second pass is empty. An iterator is used up; make a new one in each `__iter__`.")
class used_up(Epochs):
    def set_epoch(self, epoch):
        self.epoch = epoch
        self.kept = super().__iter__()

    def __iter__(self):
        if not hasattr(self, "kept"):
            self.kept = super().__iter__()
        return self.kept


@epochs.wrong("`{function}` leaves one sample out of each epoch. How many numbers does `randperm(n)` give, and up to which?")
class one_short(Epochs):
    def __iter__(self):
        return iter(order(self.n, self.seed + self.epoch)[:-1])


@epochs.wrong("The orders of `{function}` are right, but its `len` is not the number of indices that it yields. Progress bars and schedulers "
              "believe it.")
class wrong_length(Epochs):
    def __len__(self):
        return self.n - 1


@epochs.variant
class EpochsByYield(Sampler):
    def __init__(self, n, seed):
        self.n, self.seed = n, seed
        self.g = torch.Generator()
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.n

    def __iter__(self):
        self.g.manual_seed(self.epoch + self.seed)
        yield from map(int, torch.randperm(self.n, generator=self.g))


@epochs.variant
class EpochsByFork:
    def __init__(self, n, seed):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(range(self.n))

    def __iter__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + self.epoch)
            drawn = torch.randperm(self.n)
        return (int(index) for index in drawn.numpy())
