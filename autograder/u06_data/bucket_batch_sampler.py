"""The key of u06-bucket-batch-sampler."""

import itertools

import torch
from torch.utils.data import Sampler

from coursekit.course.authoring import Key

from ._shared import below

bucket = Key(
    "u06-bucket-batch-sampler",
    hints=(
        "Seven samples in batches of three: how many batches, how large, with and without `drop_last`?",
        "`sorted(range(n), key=...)` gives indices in the order of their lengths. Cut that list with `range(0, n, batch_size)`. In `__iter__`, "
        "walk through a "
        "`torch.randperm` over the batches.",
        "A near-example with words: `order = sorted(range(len(words)), key=lambda i: words[i])`, then `pages = [order[k:k + 10] for k in "
        "range(0, len(order), 10)]`: "
        "page after page of indices, no word lost.",
    ),
    cases=4,
    guards=("count", "covered", "lengths_after"),
    weights={"first_epoch": 2},
)


def runs(lengths, batch_size, drop_last):
    indices = sorted(range(len(lengths)), key=lambda i: lengths[i])
    made = [indices[k:k + batch_size] for k in range(0, len(indices), batch_size)]
    return [one for one in made if len(one) == batch_size] if drop_last else made


@bucket.inputs
def _(g, case):
    n, batch_size, drop_last = [(8, 3, False), (10, 3, True), (9, 3, True), (11, 4, False)][case]
    while True:
        lengths = torch.randint(1, 9, (n,), generator=g).tolist()
        seed = below(g, 10000)[0]
        count = len(runs(lengths, batch_size, drop_last))
        gen = torch.Generator().manual_seed(seed)
        first, second = torch.randperm(count, generator=gen).tolist(), torch.randperm(count, generator=gen).tolist()
        by_length = sorted(range(n), key=lambda i: lengths[i])
        backward = sorted(range(n), key=lambda i: -lengths[i])
        ties = sorted(range(n), key=lambda i: (lengths[i], -i))
        shuffled = first != second and first != sorted(first) and second != sorted(second)
        cut = [sorted(sorted(one[k:k + batch_size]) for k in range(0, n, batch_size)) for one in (by_length, list(range(n)), backward)]
        if shuffled and cut[0] not in cut[1:] and by_length not in (backward, ties, list(range(n))):
            return {"lengths": lengths, "batch_size": batch_size, "drop_last": drop_last, "seed": seed}


@bucket.oracle
def _(lengths, batch_size, drop_last, seed):
    indices = torch.tensor(lengths).argsort(stable=True)
    made = [one.tolist() for one in indices.split(batch_size)]
    if drop_last:
        made = [one for one in made if len(one) == batch_size]
    g = torch.Generator().manual_seed(seed)
    passes = [[made[k] for k in torch.randperm(len(made), generator=g)] for _ in range(2)]
    covered = sorted(i for one in made for i in one)
    return {"first_epoch": passes[0], "second_epoch": passes[1], "covered": covered, "count": len(made), "lengths_after": lengths}


class Buckets(Sampler):
    """A sound batch sampler whose parts can be exchanged one by one."""

    def __init__(self, lengths, batch_size, drop_last, generator=None):
        self.batch_size, self.drop_last, self.generator = batch_size, drop_last, generator
        self.batches = self.cut(self.order(lengths))

    def order(self, lengths):
        return sorted(range(len(lengths)), key=lambda i: lengths[i])

    def cut(self, indices):
        made = [indices[k:k + self.batch_size] for k in range(0, len(indices), self.batch_size)]
        return [one for one in made if len(one) == self.batch_size] if self.drop_last else made

    def __len__(self):
        return len(self.batches)

    def numbers(self):
        return torch.randperm(len(self.batches), generator=self.generator).tolist()

    def __iter__(self):
        return iter([list(self.batches[k]) for k in self.numbers()])


@bucket.wrong("`{function}` cuts the samples into batches in the order in which they come, without sorting them by length. Lengths are mixed, "
              "and all that padding stays.")
class not_sorted(Buckets):
    def order(self, lengths):
        return list(range(len(lengths)))


@bucket.wrong("The batches of `{function}` hold lengths, not indices: it sorts the values. A sampler says *which* samples; sort the indices by "
              "their length.")
class sorts_values(Buckets):
    def order(self, lengths):
        return sorted(lengths)


@bucket.wrong("`{function}` sorts from long to short, so with `drop_last`, or with a remainder, other samples meet. The docstring goes from "
              "short to long.")
class long_to_short(Buckets):
    def order(self, lengths):
        return sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True)


@bucket.wrong("`{function}` puts the later of two equally long samples first. Python's `sorted` keeps their order if the key is the length "
              "alone.")
class ties_reversed(Buckets):
    def order(self, lengths):
        return sorted(range(len(lengths)), key=lambda i: (lengths[i], -i))


@bucket.wrong("`{function}` ignores `drop_last`: the batch that is not full is still there.")
class never_drops(Buckets):
    def cut(self, indices):
        return [indices[k:k + self.batch_size] for k in range(0, len(indices), self.batch_size)]


@bucket.wrong("`{function}` always drops the last batch that is not full. With `drop_last=False` its samples must be seen too; they are lost in "
              "silence.")
class always_drops(Buckets):
    def cut(self, indices):
        made = super().cut(indices)
        return [one for one in made if len(one) == self.batch_size]


@bucket.wrong("With `drop_last`, `{function}` takes the last batch away even if it is full. Look at its size first.")
class drops_full_batch(Buckets):
    def cut(self, indices):
        made = [indices[k:k + self.batch_size] for k in range(0, len(indices), self.batch_size)]
        return made[:-1] if self.drop_last else made


@bucket.wrong("`{function}` yields its batches from short to long in each epoch. Shuffle their order with the generator.")
class batches_in_order(Buckets):
    def numbers(self):
        return range(len(self.batches))


@bucket.wrong("`{function}` shuffles once, in `__init__`: each epoch has the same order of batches. Draw in `__iter__`.")
class shuffles_once(Buckets):
    def __init__(self, lengths, batch_size, drop_last, generator=None):
        super().__init__(lengths, batch_size, drop_last, generator)
        self.kept = super().numbers()

    def numbers(self):
        return self.kept


@bucket.wrong("`{function}` shuffles the samples after sorting them: the batches are as mixed as without sorting. Shuffle whole batches.")
class shuffles_samples(Buckets):
    def order(self, lengths):
        indices = super().order(lengths)
        return [indices[k] for k in torch.randperm(len(indices), generator=self.generator).tolist()]


@bucket.wrong("The batches of `{function}` are right, but its `len` is the number of samples. A batch sampler's length is its number of batches.")
class length_in_samples(Buckets):
    def __len__(self):
        return sum(map(len, self.batches))


@bucket.wrong("The batches of `{function}` are right, and its `len` is rounded the wrong way: with `drop_last` the remainder makes no batch, "
              "without it it does.")
class length_rounded(Buckets):
    def __init__(self, lengths, batch_size, drop_last, generator=None):
        super().__init__(lengths, batch_size, drop_last, generator)
        self.count = -(-len(lengths) // batch_size) if drop_last else len(lengths) // batch_size

    def __len__(self):
        return self.count


@bucket.wrong("`{function}` yields single indices. A batch sampler yields a *list* of indices for each batch.")
class yields_indices(Buckets):
    def __iter__(self):
        return itertools.chain.from_iterable(super().__iter__())


@bucket.wrong("`{function}` sorts the list of lengths that it was given, in place. It belongs to the caller, and afterwards no length stands "
              "beside its sample.")
class sorts_the_callers_list(Buckets):
    def order(self, lengths):
        indices = super().order(lengths)
        lengths.sort()
        return indices


@bucket.variant
class BucketsByArgsort(Sampler):
    def __init__(self, lengths, batch_size, drop_last, generator=None):
        self.generator = generator
        self.indices = torch.tensor(lengths).sort(stable=True).indices
        self.size = batch_size
        self.count = len(lengths) // batch_size + (0 if drop_last else len(lengths) % batch_size > 0)

    def __len__(self):
        return self.count

    def __iter__(self):
        for k in torch.randperm(self.count, generator=self.generator):
            yield self.indices[self.size * k:self.size * (k + 1)].tolist()


@bucket.variant
class BucketsByPairs:
    def __init__(self, lengths, batch_size, drop_last, generator=None):
        waiting, self.all, self.g = [], [], generator
        for _, index in sorted((length, index) for index, length in enumerate(lengths)):
            waiting.append(index)
            if len(waiting) == batch_size:
                self.all.append(tuple(waiting))
                waiting = []
        if waiting and not drop_last:
            self.all.append(tuple(waiting))

    def __len__(self):
        return len(self.all)

    def __iter__(self):
        return (list(self.all[int(k)]) for k in torch.randperm(len(self.all), generator=self.g))
