"""The key of u06-pad-collate."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT

ON_CPU = "keys are made on the CPU, where the default device is that of the inputs; the CUDA run of the checks sees it"

pad = Key(
    "u06-pad-collate",
    hints=(
        "Lines of 2, 5 and 3 ids: what is the shape of x, and how many zeros are filled in?",
        "Take the lengths first; their maximum is the width. Begin with zeros of the ids' dtype and device (`batch[0].new_zeros(...)`), and "
        "write each sample into the "
        "beginning of its row.",
        "A near-example that aligns samples to the right: `x = batch[0].new_zeros(len(batch), width)`, then `x[i, width - len(ids):] = ids` for "
        "each i.",
    ),
    guards=("batch_after",),
    weights={"x": 2},
    tolerance=EXACT,
    strict_dtype=("x", "lengths"),
    equivalent={"line 1: …s) for ids in batch], device=batch[0].device) -> torch.tensor([len(ids) for ids in batch])": ON_CPU},
)


@pad.inputs
def _(g, case):
    sizes = [[2, 5, 0, 3], [4], [1, 3, 6]][case]
    batch = [torch.randint(2, 90, (size,), generator=g) for size in sizes]
    if case != 1:
        batch[1][0] = batch[1][-1] = 0                 # a 0 that is no filling
    return {"batch": batch}


@pad.oracle
def _(batch):
    x = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
    return {"x": x, "lengths": torch.tensor([ids.numel() for ids in batch]), "batch_after": batch}


def padded(batch, width=None):
    """A sound x, as wide as wanted."""
    width = max(len(ids) for ids in batch) if width is None else width
    return torch.stack([torch.cat([ids[:width], ids.new_zeros(max(width - len(ids), 0))]) for ids in batch])


def sizes(batch):
    return torch.tensor([len(ids) for ids in batch])


@pad.wrong("`{function}` stacks samples of different lengths, which `torch.stack` refuses. Fill the shorter ones up first.")
def ragged_stack(batch):
    return torch.stack(batch), sizes(batch)


@pad.wrong("`{function}` fills up on the left. The docstring puts the sample at the beginning of its row.")
def fills_left(batch):
    return torch.stack([torch.cat([ids.new_zeros(max(map(len, batch)) - len(ids)), ids]) for ids in batch]), sizes(batch)


@pad.wrong("`{function}` cuts all samples to the shortest. No data may be lost: fill up to the longest.")
def cuts_to_shortest(batch):
    return padded(batch, min(len(ids) for ids in batch)), sizes(batch)


@pad.wrong("`{function}` pads every batch to one fixed width. The longest sample *of this batch* decides.")
def fixed_width(batch):
    return padded(batch, 9), sizes(batch)


@pad.wrong("`{function}` returns x transposed, one column per sample: `pad_sequence` does that unless it is told `batch_first=True`.")
def time_first(batch):
    return padded(batch).T, sizes(batch)


@pad.wrong("x is right, but all lengths of `{function}` are the width of the padded batch. The true length of each sample is asked for, and "
           "after padding nobody knows it "
           "any more.")
def padded_lengths(batch):
    x = padded(batch)
    return x, torch.full((len(batch),), x.shape[1])


@pad.wrong("`{function}` counts ids that are not 0 to find the lengths. A 0 may be a real id, too; take the lengths before padding.")
def counts_nonzero(batch):
    x = padded(batch)
    return x, (x != 0).sum(dim=1)


@pad.wrong("`{function}` sorts its samples by length. Rows must stay in the order of the batch, or the labels that belong to them are lost.")
def sorts_the_batch(batch):
    batch = sorted(batch, key=len, reverse=True)
    return padded(batch), sizes(batch)


@pad.wrong("x of `{function}` is `float32`: that is what `torch.zeros` makes. Ids are indices, and an embedding refuses floats.")
def float_x(batch):
    return padded(batch).float(), sizes(batch)


@pad.wrong("`{function}` fills up with -1. The filling is id 0; an embedding has no row -1.")
def fills_with_minus_one(batch):
    lengths = sizes(batch)
    x = padded(batch)
    return torch.where(torch.arange(x.shape[1]) < lengths[:, None], x, -1), lengths


@pad.wrong("`{function}` returns the lengths as a list. Code on a GPU compares them with tensors: make them one.")
def lengths_as_list(batch):
    return padded(batch), [len(ids) for ids in batch]


@pad.wrong("`{function}` adds one place too many: its width is not that of the longest sample.")
def one_too_wide(batch):
    return padded(batch, max(map(len, batch)) + 1), sizes(batch)


@pad.variant
def pad_by_torch(batch):
    lengths = torch.as_tensor([ids.shape[0] for ids in batch], dtype=torch.int64, device=batch[0].device)
    return torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=0), lengths


@pad.variant
def pad_by_lists(batch):
    width = max(ids.numel() for ids in batch)
    rows = [ids.tolist() + [0] * (width - ids.numel()) for ids in batch]
    device = batch[0].device
    x = torch.tensor(rows, dtype=torch.int64, device=device).view(len(batch), width)
    return x, torch.tensor([ids.numel() for ids in batch], device=device)


@pad.variant
def pad_by_functional(batch):
    lengths = torch.stack([torch.ones_like(ids).sum() for ids in batch])
    width = int(lengths.max())
    return torch.stack([torch.nn.functional.pad(ids, (0, width - len(ids))) for ids in batch]), lengths
