"""The key of u06-transform-subset."""

import torch
from torch.utils.data import Dataset

from coursekit.course.authoring import Key

from ._shared import EXACT

subset = Key(
    "u06-transform-subset",
    hints=(
        "Sample 0 of this part: which number does it have in the dataset below?",
        "Keep the three arguments. `__getitem__` looks its index up in the list of indices, asks the dataset, takes the pair apart, and "
        "transforms the first half.",
        "A near-example, a dataset that sees another one backwards: `def __getitem__(self, i): x, label = self.below[len(self.below) - 1 - i]; "
        "return x, label`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"training": 2, "validation": 2},
    tolerance=EXACT,
)


@subset.inputs
def _(g, case):
    n, d = 7, 3
    while True:
        order = torch.randperm(n, generator=g).tolist()
        if order[0] != 0 and order[3] != 6 and order[4:] != [0, 1, 2]:     # else an answer that ignores indices is right somewhere
            break
    labels = (torch.randperm(90, generator=g)[:n] + 10).tolist()
    x = torch.randint(-50, 50, (n, d), generator=g).float()
    return {"x": x, "labels": labels, "train": order[:4], "val": order[4:], "index": [0, -1, 4, -5][case]}


@subset.oracle
def _(x, labels, train, val, index):
    i = train[index]
    return {"lengths": [4, 3], "training": [x[i] + 100, labels[i]], "again": [x[i] + 200, labels[i]],
            "validation": [[x[j], labels[j]] for j in val], "x_after": x}


class Part(Dataset):
    """A sound part whose methods can be exchanged one by one."""

    def __init__(self, dataset, indices, transform=None):
        self.dataset, self.indices, self.transform = dataset, list(indices), transform

    def __len__(self):
        return len(self.indices)

    def apply(self, x):
        return x if self.transform is None else self.transform(x)

    def __getitem__(self, index):
        x, label = self.dataset[self.indices[index]]
        return self.apply(x), label


@subset.wrong("`{function}` hands its transform on to the dataset below, which both parts share: the validation samples are changed too. Keep it "
              "in this object.")
class sets_the_shared_transform(Part):
    def __init__(self, dataset, indices, transform=None):
        super().__init__(dataset, indices)
        if transform is not None:
            dataset.transform = transform


@subset.wrong("Sample i of `{function}` is sample i of the whole dataset. It should be sample `indices[i]`.")
class ignores_indices(Part):
    def __getitem__(self, index):
        self.indices[index]
        x, label = self.dataset[index]
        return self.apply(x), label


@subset.wrong("`{function}` says the length of something else: this part has as many samples as `indices`.")
class length_of_everything(Part):
    def __len__(self):
        return len(self.dataset)


@subset.wrong("The input and label of `{function}` are those of the dataset, and the transform is never applied.")
class never_transforms(Part):
    def apply(self, x):
        return x


@subset.wrong("`{function}` applies the transform to the label as well. Only the input is transformed.")
class transforms_the_label(Part):
    def __getitem__(self, index):
        x, label = self.dataset[self.indices[index]]
        return (x, label) if self.transform is None else (self.transform(x), self.transform(label))


@subset.wrong("`{function}` calls the transform without asking whether there is one. `None` means: leave the input alone.")
class calls_none(Part):
    def apply(self, x):
        return self.transform(x)


@subset.wrong("`{function}` transforms each sample once, in advance, and gives the same result at every access. A random transform has to draw "
              "anew each time.")
class transforms_once(Part):
    def __init__(self, dataset, indices, transform=None):
        super().__init__(dataset, indices, transform)
        self.samples = [Part.__getitem__(self, i) for i in range(len(self.indices))]

    def __getitem__(self, index):
        return self.samples[index]


@subset.wrong("`{function}` remembers what it transformed: the second access gives the first result again. A random transform has to draw anew "
              "each time.")
class caches(Part):
    def __getitem__(self, index):
        self.seen = getattr(self, "seen", {})
        if index not in self.seen:
            self.seen[index] = super().__getitem__(index)
        return self.seen[index]


@subset.wrong("`{function}` never raises `IndexError`: an index past the end wraps around, so a loop over it does not end. The list of indices "
              "raises by itself; "
              "let it.")
class wraps_around(Part):
    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


@subset.wrong("`{function}` gives the input alone. A sample is a pair: the label comes with it.")
class drops_the_label(Part):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


@subset.wrong("`{function}` returns label and input in the other order.")
class label_first(Part):
    def __getitem__(self, index):
        return super().__getitem__(index)[::-1]


@subset.variant
class SubsetOfTorch(torch.utils.data.Subset):
    def __init__(self, dataset, indices, transform=None):
        super().__init__(dataset, indices)
        self.change = transform or (lambda x: x)

    def __getitem__(self, index):
        x, label = super().__getitem__(index)
        return self.change(x), label

    def __getitems__(self, indices):
        return [self[index] for index in indices]


@subset.variant
class PartByTensor:
    def __init__(self, dataset, indices, transform=None):
        self.places = torch.tensor(indices)
        self.below, self.change = dataset, transform

    def __len__(self):
        return self.places.numel()

    def __getitem__(self, index):
        sample = self.below[int(self.places[index])]
        if self.change is None:
            return sample
        return (self.change(sample[0]), *sample[1:])
