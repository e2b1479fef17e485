"""The key of u08-make-loaders."""

import torch
from torch.utils.data import DataLoader, RandomSampler

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, blocks, draw, letters_of, names, shuffled

FLOATS = "a 0-d tensor normalises like the number in it"

loaders = Key(
    "u08-make-loaders",
    hints=(
        "Which of the table's rows speak of the training set only, and which of both?",
        "Write a small function that turns a report into the list of names to skip: of each group of duplicates all but the first. Then a "
        "first LetterDataset without "
        "normalisation gives the pixels for mean and std.",
        "A near-example for the statistics: `x = torch.stack([x for x, _ in data])`, `mean, std = x.mean().item(), x.std().item()`. And for "
        "the order: "
        "`DataLoader(data, 8, shuffle=True, generator=torch.Generator().manual_seed(seed))`.",
    ),
    cases=2,
    tolerance={
        name: EXACT for name in ("train_names", "valid_names", "valid_labels", "train_batch_sizes", "orders_that_agree")
    }
    | {
        "statistics": Tolerance(1e-3, 0, "std with N or N - 1 is the same here: N is over 6000 pixels"),
        "valid_statistics": Tolerance(1e-3, 0, "the same"),
        "train_sums": Tolerance(1e-3, 0.02, "sums of 784 normalised pixels; mean and std may be off by 1e-3"),
        "valid_pixels": Tolerance(1e-3, 1e-5, "mean and std may be off by 1e-3"),
    },
    weights={"train_names": 2, "valid_names": 2, "statistics": 2, "train_sums": 0.5},
    equivalent=dict.fromkeys(
        ("line 7: pixels.mean().item() -> pixels.mean()", "line 7: pixels.std().item() -> pixels.std()"), FLOATS
    ),
)


@loaders.inputs
def _(g, case):
    a, b, c = letters_of(g, 3)
    base = blocks(g, 20)
    mine = [(a, 0), (a, 1), (a, 1), (a, 2), (b, 3), (b, 4), (c, 4), (c, 5), (c, 6), (b, 7), (c, 17)]
    other = [(a, 8), (a, 9), (b, 10), (b, 10), (c, 11), (b, 12), (c, 12), (c, 6), (a, 7), (c, 13)]
    paths, other_paths = (
        [f"{letter}/{name}" for (letter, _), name in zip(some, names(g, len(some)), strict=True)]
        for some in (mine, other)
    )
    order, back = shuffled(g, list(range(len(mine)))), shuffled(g, list(range(len(other))))
    return {
        "paths": [paths[i] for i in order],
        "pictures": base[[mine[i][1] for i in order]],
        "raw": {f"{c}/x{draw(g, 10, 100)}.png": "no picture"},
        "other_paths": [other_paths[i] for i in back],
        "other_pictures": (base // 2 + 60)[[other[i][1] for i in back]].where(
            torch.tensor([other[i][1] in (6, 7) for i in back])[:, None, None].logical_not(),
            base[[other[i][1] for i in back]],
        ),
        "batch_size": 3 + case,
        "seed": draw(g, 0, 1000),
    }


def loading(
    train,
    valid,
    batch_size,
    seed,
    skips=lambda report: [*report.corrupt, *report.mislabelled, *(n for group in report.duplicates for n in group[1:])],
    cross=True,
    valid_skips=None,
    statistics=None,
    valid_statistics=None,
    cross_from="train",
    **options,
):
    """Right loaders, of which each part can be exchanged."""
    rejected, others = skips(scan(train)), (valid_skips or skips)(scan(valid))
    if cross and cross_from == "train":
        rejected = rejected + cross_split_duplicates(train, valid)
    if cross and cross_from == "valid":
        others = others + cross_split_duplicates(valid, train)

    def measured(root, skip):
        x = torch.stack([x for x, _ in LetterDataset(root, skip)])
        return x.mean().item(), x.std().item()

    here = (statistics or measured)(train, rejected)
    there = valid_statistics(valid, others) if valid_statistics else here
    settings = {"shuffle": True, "generator": torch.Generator().manual_seed(seed), **options}
    last = settings.pop("drop_valid", False)
    return (
        DataLoader(LetterDataset(train, rejected, *here), batch_size, **settings),
        DataLoader(LetterDataset(valid, others, *there), batch_size, drop_last=last),
    )


def measured_on(root, skip):
    x = torch.stack([x for x, _ in LetterDataset(root, skip)])
    return x.mean().item(), x.std().item()


def keeps(report, duplicates=True, mislabelled=True, first=1):
    return [
        *report.corrupt,
        *(report.mislabelled if mislabelled else []),
        *(n for group in report.duplicates if duplicates for n in group[first:]),
    ]


def wrong_loaders(name, hint, **parts):
    def answer(train, valid, batch_size, seed):
        return loading(train, valid, batch_size, seed, **parts)

    answer.__name__ = name
    loaders.wrong(hint)(answer)


wrong_loaders(
    "loaders_leak",
    "`{function}` keeps training pictures that also stand in the validation set. Which exercise finds them?",
    cross=False,
)
wrong_loaders(
    "loaders_cut_valid",
    "`{function}` takes the pictures that stand in both sets out of validation. They leave the training set; the validation set stays "
    "comparable.",
    cross_from="valid",
)
wrong_loaders(
    "loaders_keep_repeats",
    "`{function}` keeps all copies of a duplicated picture. Keep the first of each group.",
    skips=lambda r: keeps(r, duplicates=False),
)
wrong_loaders(
    "loaders_drop_whole_groups",
    "`{function}` drops all copies of a duplicated picture, and with them the picture. Keep the first of each group.",
    skips=lambda r: keeps(r, first=0),
)
wrong_loaders(
    "loaders_keep_conflicts",
    "`{function}` keeps pictures that stand under two letters. The scan calls them mislabelled.",
    skips=lambda r: keeps(r, mislabelled=False),
)
wrong_loaders(
    "loaders_trust_valid",
    "`{function}` cleans the training set only; validation keeps its repeated and mislabelled pictures.",
    valid_skips=lambda r: r.corrupt,
)
wrong_loaders(
    "loaders_two_normalisations",
    "`{function}` normalises validation with statistics of its own. The network then sees another input than the one that it was "
    "trained on; hand over those of the training set.",
    valid_statistics=measured_on,
)
wrong_loaders(
    "loaders_no_normalisation",
    "`{function}` leaves the pictures between 0 and 1. Compute mean and std, and give them to both datasets.",
    statistics=lambda root, skip: (0.0, 1.0),
)
wrong_loaders(
    "loaders_statistics_before_cleaning",
    "mean and std of `{function}` were taken before the bad pictures were dropped. Take them of what is kept.",
    statistics=lambda root, skip: measured_on(root, scan(root).corrupt),
)
wrong_loaders(
    "loaders_no_shuffle",
    "The training loader of `{function}` does not shuffle: each epoch has the same batches, and each batch a few letters only.",
    shuffle=False,
)
wrong_loaders(
    "loaders_drop_last",
    "`{function}` drops the last, smaller batch of training. With few pictures that is a good part of them.",
    drop_last=True,
)
wrong_loaders(
    "loaders_valid_drop_last",
    "`{function}` drops the last, smaller batch of validation: some pictures are never measured.",
    drop_valid=True,
)


@loaders.wrong(
    "mean and std of `{function}` include the validation pictures: a small leak, and no longer the statistics of what the network is trained on."
)
def loaders_statistics_of_both(train, valid, batch_size, seed):
    def both(root, skip):
        x = torch.stack(
            [x for x, _ in LetterDataset(root, skip)] + [x for x, _ in LetterDataset(valid, keeps(scan(valid)))]
        )
        return x.mean().item(), x.std().item()

    return loading(train, valid, batch_size, seed, statistics=both)


@loaders.wrong(
    "`{function}` shuffles by the global random state: the given seed decides nothing, and nobody can get the same batches again. Give the "
    "loader a generator."
)
def loaders_global_random(train, valid, batch_size, seed):
    torch.manual_seed(torch.initial_seed() + 1000)
    return loading(train, valid, batch_size, seed, generator=None)


@loaders.wrong("The generator of `{function}` always starts from the same number: another seed gives the same order.")
def loaders_fixed_seed(train, valid, batch_size, seed):
    return loading(train, valid, batch_size, 0)


@loaders.wrong("`{function}` returns the validation loader first.")
def loaders_swapped(train, valid, batch_size, seed):
    return loading(train, valid, batch_size, seed)[::-1]


@loaders.wrong(
    "`{function}` shuffles validation. It is harmless for the accuracy, and it takes away the order by which a mistake is found again."
)
def loaders_shuffle_valid(train, valid, batch_size, seed):
    first, second = loading(train, valid, batch_size, seed)
    return first, DataLoader(second.dataset, batch_size, sampler=[*reversed(range(len(second.dataset)))])


@loaders.variant
def loaders_by_sampler(train, valid, batch_size, seed):
    first, second = loading(train, valid, batch_size, seed)
    g = torch.Generator().manual_seed(seed)
    return DataLoader(first.dataset, batch_size, sampler=RandomSampler(first.dataset, generator=g), generator=g), second


@loaders.variant
def loaders_from_counts(train, valid, batch_size, seed):
    drop, g = {}, torch.Generator()
    for root in (train, valid):
        report = scan(root)
        drop[root] = {*report.corrupt, *report.mislabelled}.union(*(group[1:] for group in report.duplicates))
    drop[train] |= {*cross_split_duplicates(train, valid)}
    total, squares, count = 0.0, 0.0, 0
    for x, _ in LetterDataset(train, drop[train]):
        total, squares, count = (
            total + x.double().sum().item(),
            squares + x.double().square().sum().item(),
            count + x.numel(),
        )
    mean = total / count
    std = (squares / count - mean**2) ** 0.5
    data = [LetterDataset(root, drop[root], mean=mean, std=std) for root in (train, valid)]
    g.manual_seed(seed)
    return DataLoader(data[0], batch_size=batch_size, shuffle=True, generator=g), DataLoader(
        data[1], batch_size=batch_size, shuffle=False
    )
