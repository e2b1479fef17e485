"""The key of u06-weighted-mean."""

import numpy as np
import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import below

average = Key(
    "u06-weighted-mean",
    hints=(
        "A batch of 8 samples has mean loss 1. What is the sum of its losses?",
        "Turn each mean back into a sum, add the sums, and divide by the number of all samples. Before that, compare the lengths of the two "
        "lists.",
        "A near-example: a train that goes 2 h at 100 km/h and 1 h at 40 km/h has the mean speed (2 · 100 + 1 · 40) / (2 + 1) = 80 km/h, and not "
        "70.",
    ),
    cases=6,
    guards=("type",),
    weights={"mean": 3},
    tolerance=Tolerance(1e-9, 0, "float64, sums of up to 5 terms"),
    equivalent={
        "line 2: raise ValueError(\"there are no samples to average\") -> pass": "the division by 0 raises, and any exception is a refusal",
        "line 3: zip(losses, sizes, strict=True) -> zip(sizes, losses, strict=True)": "a product has no order",
    },
)


@average.inputs
def _(g, case):
    count = [3, 5, 2, 4, 0, 1][case]
    losses = [round(value, 3) for value in (torch.rand(count, generator=g, dtype=torch.float64) * 4 + 0.5 + torch.arange(count)).tolist()]
    sizes = [8] * (count - 1) + [1 + below(g, 5)[0]]
    if case == 1:
        sizes = (torch.randperm(9, generator=g)[:count] + 1).tolist()
    return {"losses": losses, "sizes": [sizes, sizes, [9, 2, 4], sizes[:3], [], [1]][case]}


@average.oracle
def _(losses, sizes):
    every = [loss for loss, size in zip(losses, sizes, strict=True) for _ in range(size)]
    return {"mean": math_mean(every), "type": "float"}


def math_mean(numbers):
    return float(np.mean(np.array(numbers, dtype=np.float64)))


def refuse(losses, sizes):
    if len(losses) != len(sizes) or not sizes:
        raise ValueError("these lists do not fit")


@average.wrong("`{function}` is the mean of the batch means: a batch of one sample counts as much as one of eight. Weigh each mean by its size.")
def mean_of_means(losses, sizes):
    refuse(losses, sizes)
    return sum(losses) / len(losses)


@average.wrong("`{function}` gives the sum of all losses. Divide it by the number of samples.")
def sum_of_losses(losses, sizes):
    refuse(losses, sizes)
    return sum(a * b for a, b in zip(losses, sizes, strict=True))


@average.wrong("`{function}` divides the sum over samples by the number of batches.")
def by_batches(losses, sizes):
    refuse(losses, sizes)
    return sum(a * b for a, b in zip(losses, sizes, strict=True)) / len(losses)


@average.wrong("`{function}` adds up the batch means and divides by the number of samples. Each mean stands for as many samples as its batch "
               "had.")
def means_by_samples(losses, sizes):
    refuse(losses, sizes)
    return sum(losses) / sum(sizes)


@average.wrong("`{function}` leaves the last batch out. A small batch counts little, but it counts.")
def drops_the_last(losses, sizes):
    refuse(losses, sizes)
    return sum(a * b for a, b in zip(losses[:-1], sizes[:-1], strict=True)) / sum(sizes[:-1])


@average.wrong("`{function}` takes all batches to be as large as the first one.")
def size_of_the_first(losses, sizes):
    refuse(losses, sizes)
    return sum(a * b for a, b in zip(losses, sizes, strict=True)) / (sizes[0] * len(sizes))


@average.wrong("`{function}` accepts lists of different lengths: `zip` stops at the shorter one, and the rest is lost in silence. Compare the "
               "lengths first.")
def zip_stops_early(losses, sizes):
    if not sizes:
        raise ValueError("nothing to average")
    return sum(a * b for a, b in zip(losses, sizes, strict=False)) / sum(sizes)


@average.wrong("`{function}` answers 0 for no samples at all. There is no mean of nothing: raise.")
def nothing_is_zero(losses, sizes):
    if len(losses) != len(sizes):
        raise ValueError("these lists do not fit")
    return sum(a * b for a, b in zip(losses, sizes, strict=True)) / max(sum(sizes), 1)


@average.wrong("The number of `{function}` is right, but it is a tensor. The docstring asks for a Python float.")
def as_tensor(losses, sizes):
    refuse(losses, sizes)
    return torch.tensor(sum(a * b for a, b in zip(losses, sizes, strict=True)) / sum(sizes), dtype=torch.float64)


@average.variant
def weighted_by_numpy(losses, sizes):
    refuse(losses, sizes)
    return float(np.average(losses, weights=sizes))


@average.variant
def weighted_running(losses, sizes):
    if len(losses) != len(sizes):
        raise ValueError("one size for each loss")
    mean, seen = 0.0, 0
    for loss, size in zip(losses, sizes, strict=True):
        seen += size
        mean += (loss - mean) * size / seen
    if seen == 0:
        raise ValueError("no samples")
    return mean
