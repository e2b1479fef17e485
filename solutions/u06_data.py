# %% [markdown]
# # Dataset and DataLoader
#
# A model sees tensors of equal shape, many samples at a time, in a new order each epoch. Data is nothing like
# that: files, lines, pictures of many sizes, too much of it for memory. In this unit you build the way from one
# to the other, and you find out what each part of it may and may not do.
#
# At the end you will be able to
#
# - write datasets with random access and datasets that are streams, and read text lazily in any language;
# - say what belongs in `__getitem__`, in a transform, and in `collate_fn`;
# - split data so that validation measures what it claims to measure;
# - write samplers and batch samplers, and pad and bucket sequences;
# - use worker processes on every operating system, with random numbers that are both different and repeatable;
# - measure where the time of a loader goes.
#
# You need unit 1 and Python classes; the recall questions go back to units 3 and 5. Plan about three hours. There
# are eight exercises and two bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # False repeats the timings of section 6.4 over longer runs

# %% tags=["setup"]
import itertools
import pickle
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate, get_worker_info, random_split

from coursekit.checks import check, expect_error, hint, progress
from coursekit.data.workers import Noisy, pretend_worker

# %% [markdown]
# ## Before you start: three predictions
#
# Write down your answers first, then run the cell.
#
# 1. A module sets `self.w = nn.Parameter(torch.randn(3)) * 0.01`. How many parameters does it have?
# 2. `nn.Linear(7, 5)` maps 7 features to 5. What is the shape of its weight?
# 3. The backward of a custom square function returns $2x$ and ignores its upstream gradient. The loss is
#    $10 \cdot \operatorname{square}(x)$ at $x = 3$. What does `x.grad` hold, and what should it hold?

# %%
class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3)) * 0.01

class Square(torch.autograd.Function):
    forward = staticmethod(lambda ctx, x: (ctx.save_for_backward(x), x ** 2)[1])
    backward = staticmethod(lambda ctx, grad_output: 2 * ctx.saved_tensors[0])

x = torch.tensor(3.0, requires_grad=True)
(10 * Square.apply(x)).backward()
print("1.", len(list(Small().parameters())), " 2.", tuple(nn.Linear(7, 5).weight.shape), " 3.", x.grad.item())

# %% [markdown]
# 1. None. The product with 0.01 is an ordinary tensor, the result of an operation, and a module registers
#    Parameters only.
# 2. {shown (5, 7)}: it is stored transposed, one row per output.
# 3. {shown 6}, and it should be 60: backward has to multiply by what arrives from above.

# %% [markdown]
# ## 1. What a dataset is
#
# ### 1.1 Two methods
#
# A **map-style dataset** answers two questions: how many samples are there, and what is sample $i$? Any object with
# `__len__` and `__getitem__` will do; `torch.utils.data.Dataset` is hardly more than a name for that. Nothing in it
# says that the data lies in memory.
#
# The course ships 1797 handwritten digits, scanned at the end of the last century. Each is a picture of 8 × 8
# pixels. `Digits` gives sample $i$ as a pair: a `float32` tensor of shape (1, 8, 8), from 0 to 1, and an `int`.

# %%
from coursekit.data.digits import Digits
from coursekit.viz.samples import row
from coursekit.viz.show import show, step_through

digits = Digits()
image, label = digits[0]
print(len(digits), "samples;", tuple(image.shape), image.dtype, type(label).__name__)
labels = [digits[i][1] for i in range(6)]
show(row([digits[i][0] for i in range(6)], labels, f"Six handwritten digits of 8 by 8 pixels: {labels}"))

# %% [markdown]
# ### 1.2 Where a for loop ends
#
# `for sample in dataset` works although there is no `__iter__`: Python then asks for samples 0, 1, 2, … until
# `__getitem__` raises **`IndexError`**. It never looks at `__len__`. Lists and tensors raise by themselves. A
# dataset that computes its samples does not.
#
# **Predict** how many samples each of the two loops gets. `islice` stops them after 20.

# %%
class Squares(Dataset):
    def __init__(self, n, careful):
        self.n, self.careful = n, careful

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if self.careful and not 0 <= index < self.n:
            raise IndexError(f"sample {index} of {self.n}")
        return index ** 2

# %%
for careful in (True, False):
    got = list(itertools.islice(Squares(4, careful), 20))
    print("careful:", careful, " length:", len(Squares(4, careful)), " samples:", len(got), got[:6])

# %% [markdown]
# {shown 4}, and {shown 20}: the careless one would go on for ever. A `DataLoader` hides this, since its sampler asks for indices
# below `len` only. The loop that never ends appears on the day somebody computes a mean over the dataset.
#
# ### 1.3 A sample may be a dict, and batches are made by collating
#
# A sample can be anything: a tensor, a pair, or a dict with names. This dataset wraps texts and their classes.
#
# **Predict** what a batch of two such dicts looks like. A list of dicts, or a dict of lists?

# %%
class TextSamples(Dataset):
    def __init__(self, texts, classes):
        self.texts, self.classes = texts, classes

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        return {"Text": self.texts[index], "Class": self.classes[index]}

texts = ["비가 온다.", "It rains.", "왜?", "Why?", "네."]
samples = TextSamples(texts, [0, 1, 0, 1, 0])            # 0: Korean, 1: English

# %%
print(samples[1])
for batch_size in (2, 3):
    print("batch size", batch_size)
    for batch in DataLoader(samples, batch_size=batch_size):
        print("  ", batch)

# %% [markdown]
# A dict of lists. The loader collected as many samples as a batch needs, and handed the list to a function,
# `default_collate`. It walks into dicts and tuples, **stacks** tensors and numbers into one tensor, and leaves texts
# alone, since there is no tensor of texts. Five samples do not divide by two or three, so the last batch is
# smaller; section 7 shows what that does to an average.
#
# Batches are worth it because one product of a (64, 1000) matrix costs far less than 64 products of its rows, and
# because the mean of several gradients is less noisy than one.
#
# ### 1.4 The type of a label
#
# `default_collate` decides on a dtype as `torch.tensor` does, with one difference. **Predict** the four dtypes,
# and the two of batches that mix integers and floats.

# %%
for some in ([1, 2], [1.0, 2.0], [np.float32(1), np.float32(2)], [torch.tensor(1.0), torch.tensor(2.0)]):
    print(f"{type(some[0]).__name__:8}", default_collate(some).dtype)
print("mixed   ", default_collate([1, 2.5]).dtype, default_collate([2.5, 1]).dtype)
scores = torch.zeros(2, 3)
print("classes as int:", nn.functional.cross_entropy(scores, default_collate([1, 2])).item())
with expect_error(RuntimeError):
    nn.functional.cross_entropy(scores, default_collate([1.0, 2.0]).float())

# %% [markdown]
# Python floats become `{shown float64}`, twice the memory, and a loss computed with them is `float64` as well. In a
# mixed batch the first sample decides, `{shown torch.float32 torch.float64}`. Which dtype is
# right depends on the loss: a class is an **index**, so `cross_entropy` wants integers; a quantity is a **number**, so
# `mse_loss` and `binary_cross_entropy_with_logits` want the dtype of the prediction. Decide in the dataset, once.
#
# ### 1.5 Streams
#
# Not everything has an index: a log that grows, a compressed archive, a network connection. An **iterable dataset** has
# `__iter__` instead, and gives what comes next.
#
# | | map style | iterable |
# |---|---|---|
# | methods | `__len__`, `__getitem__` | `__iter__` |
# | order | a sampler's choice | its own; `shuffle=True` is an error |
# | with several workers | each gets other indices | **each gets the whole stream**, see section 6.3 |
# | length | known | often unknown |
# | fits | files in a folder, lines with offsets | logs, archives, generated data |

# %%
class Countdown(IterableDataset):
    def __iter__(self):
        return iter([5, 4, 3, 2, 1])

print(list(DataLoader(Countdown(), batch_size=2)))
with expect_error(ValueError):
    DataLoader(Countdown(), batch_size=2, shuffle=True)

# %% [markdown]
# ## 2. Text that stays on the disk
#
# ### 2.1 Bytes are not characters
#
# A text of ten gigabytes cannot be a list of strings. But a map-style dataset needs random access: line 7 000 000,
# now. The idea is old. Walk through the file **once** and keep only where each line begins; later, jump there and
# read one line. A file of a million lines then costs a million whole numbers.
#
# A place in a file is counted in **bytes**. In UTF-8 a character takes one to four: `a` one, `é` two, `가` three.
#
# **Predict** the two lengths of each text.

# %%
for text in ("Yes.", "été", "네.", "왜?"):
    print(repr(text), "characters:", len(text), " bytes:", len(text.encode("utf-8")), text.encode("utf-8"))
with expect_error(UnicodeDecodeError):
    text.encode("utf-8")[1:].decode("utf-8")       # from the second byte of 왜 on

# %% [markdown]
# `네.` has {shown 2} characters and {shown 4} bytes. Offsets that were counted in characters are right for English and wrong for every
# other language: the second Korean line already starts in the middle of a letter, and decoding it raises, or gives
# garbage. So: open the file in **binary** mode, count bytes, and decode a line only after it has been read.
#
# The course ships a file with 40 short lines, each Korean one followed by its English counterpart.

# %%
from coursekit.data.files import data_file

path = data_file("lines.txt")
content = path.read_bytes()
print(len(content), "bytes,", len(content.decode("utf-8")), "characters,", content.count(b"\n"), "lines")
starts = [0] + list(itertools.accumulate(len(line) for line in content.split(b"\n")[:-1]))
print("wrong by one newline per line:", starts[:5])

# %% [markdown]
# The last line is there on purpose: `split` takes the newlines away, so the sums of what is left fall behind by one byte
# per line. Whoever iterates over a file that is open in binary mode, `for line in file`, gets each line *with* its
# newline, and the lengths add up.
#
# ### 2.2 A lazy dataset
#
# Each sample will be the line as a tensor of character ids. `vocab` maps characters to ids from 2 on. Id 0 is kept
# for padding and id 1 for characters that the vocabulary does not know. An empty line is a sample with no ids, and it
# still has dtype `int64`. Negative indices count from the end, as in a list.
#
# Two more demands come from the worker processes of section 6. The dataset must **not keep the file open**: an open
# file cannot be sent to another process, and one that is inherited shares a single reading position among all
# workers. And it must not keep the text: that would be a copy of the data per worker. The check sends what your object
# holds through `pickle`, and changes the file after your `__init__` has run.
#
# {exercise u06-text-line-dataset}

# %%
class TextLineDataset(Dataset):
    """The lines of a UTF-8 file as character ids, each read from the disk when it is asked for.

    Args: path: of a file; each line ends in one newline, but the last may lack it. vocab: dict, character -> id.
    Sample: (T,) int64, one id per character of the line without its newline; 1 for a character that is not in vocab.
    Raises: IndexError: for an index below -len or from len on.
    """

    def __init__(self, path, vocab):
        ### BEGIN SOLUTION
        self.path, self.vocab = path, vocab
        self.starts = [0]
        with open(path, "rb") as file:
            for line in file:                      # a line with its newline, in bytes
                self.starts.append(self.starts[-1] + len(line))
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.starts) - 1                # the last start is the end of the file
        ### END SOLUTION

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        if not -len(self) <= index < len(self):
            raise IndexError(f"line {index} of {len(self)}")
        with open(self.path, "rb") as file:
            file.seek(self.starts[index % len(self)])
            text = file.readline().decode("utf-8").rstrip("\n")
        return torch.tensor([self.vocab.get(character, 1) for character in text], dtype=torch.int64)
        ### END SOLUTION

# %%
@check("u06-text-line-dataset")
def observe(text, later, vocab, index):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_bytes(text.encode("utf-8"))
        data = TextLineDataset(path, vocab)
        all_lines = list(itertools.islice(data, 20))
        kept = pickle.loads(pickle.dumps(vars(data)))          # what another process would receive
        path.write_bytes(later.encode("utf-8"))
        data.__dict__.update(kept)
        return {"length": len(data), "sample": data[index], "all": all_lines, "all_after_file_changed": list(itertools.islice(data, 20))}

# %% [markdown]
# ## 3. Transforms
#
# ### 3.1 What belongs where
#
# | place | belongs there | examples | runs |
# |---|---|---|---|
# | `__init__` | what is needed for `len` and to find a sample | paths, offsets, labels | once |
# | `__getitem__` | index in, one raw sample out | read, decode, parse | per sample, in a worker |
# | transform | what may differ between training and validation, or is random | crop, flip, noise, normalise | per sample, in a worker |
# | `collate_fn` | what needs the other samples of the batch | pad, stack, mix | per batch, in a worker |
# | training loop | what concerns the device | `.to(device)` | per batch, in the main process |
#
# The test for a transform is: could somebody want this dataset without it? And the last row is a rule: CUDA does not
# survive a `fork`, so a dataset that makes CUDA tensors breaks as soon as there are workers.
#
# ### 3.2 Bug hunt: grey soup
#
# Cameras, image files and NumPy store pictures as (H, W, C), row by row, with the colours of one pixel side by side.
# PyTorch's layers want (C, H, W). The function below makes one from the other. The shapes are right, nothing
# raises, and a network trained on the result stops at a poor accuracy. This test picture has a digit in red, nothing
# in green, and half brightness in blue:

# %%
colour = torch.zeros(8, 8, 3, dtype=torch.uint8)
colour[..., 0] = (digits[0][0][0] * 255).to(torch.uint8)
colour[..., 2] = 128
print("mean of red, green, blue:", [round(m, 3) for m in (colour / 255).mean(dim=(0, 1)).tolist()])
show(row([colour.permute(2, 0, 1) / 255], ["as it was meant"], "A magenta zero on a blue ground."))

# %% [markdown]
# The broken function gives three channels whose means are all about alike. Every channel holds a bit of each colour. Which
# operation moves numbers, and which only reads the same line of numbers in other portions? Section 1.5 of unit 1 has
# the answer.
#
# {exercise u06-hunt-channels}

# %%
def to_chw(picture):
    """Turn a picture as files store it into one as layers want it.

    Args: picture: (H, W, C) uint8, 0 to 255.
    Returns: (C, H, W) float32, 0 to 1: entry [c, i, j] is picture[i, j, c] / 255.
    """
    ### BEGIN SOLUTION
    return picture.permute(2, 0, 1) / 255          # true division makes float32 of uint8
    ### RELEASE SHOWS
    # height, width, channels = picture.shape
    # return picture.view(channels, height, width) / 255
    ### END SOLUTION

# %%
@check("u06-hunt-channels")
def observe(picture):
    return {"chw": to_chw(picture), "picture_after": picture}

# %%
turned = to_chw(colour)
print("mean of red, green, blue:", [round(m, 3) for m in turned.mean(dim=(1, 2)).tolist()])
show(row([turned], ["what layers get"], "The picture after to_chw: a magenta zero on blue if it is right, else a patchwork of mixed colours."))

# %% [markdown]
# ### 3.3 Compose, Normalize, and whose statistics
#
# A transform is a function from sample to sample, and a chain of them is one again: apply the first, then the next.
#
# **Normalising** shifts and scales a channel to mean 0 and standard deviation 1, which keeps the activations of the
# first layer in the range that initialisation (unit 5) counts on. Mean and deviation are *learned numbers*: they
# are computed from data, and the model depends on them. So they come from the **training** pictures only, and the
# same numbers are used for validation and for every picture that the model will ever see. Three mistakes are common:
#
# - statistics of all data: the validation set has helped to choose them;
# - statistics of each picture: brightness, which may be the very thing to recognise, is gone;
# - training and validation normalised with different numbers: the model is asked about another world.
#
# A channel that is constant in the training data has deviation 0. Dividing by it gives `nan` or infinity; such a
# channel is only shifted. The deviation is that of the data themselves: divide by their number, not by one less.
#
# Random changes such as flips and noise, **augmentation**, are for training only. They come before normalising, while a
# pixel still means what it says. Fill in the three blanks.
#
# {exercise u06-transforms}

# %%
class Compose:
    """Several transforms as one: the first is applied first."""

    def __init__(self, steps):
        self.steps = list(steps)

    def __call__(self, sample):
        ### BEGIN SOLUTION
        for step in self.steps:
            sample = step(sample)
        return sample
        ### END SOLUTION


class Normalize:
    """Shift and scale each channel by the mean and standard deviation that it has in `images`, (N, C, H, W) float."""

    def __init__(self, images):
        ### BEGIN SOLUTION
        self.mean = images.mean(dim=(0, 2, 3)).view(-1, 1, 1)
        std = images.std(dim=(0, 2, 3), correction=0).view(-1, 1, 1)
        self.std = torch.where(std > 0, std, 1.0)  # a constant channel is only shifted
        ### END SOLUTION

    def __call__(self, image):
        """Args: image: (C, H, W). Returns: (image - mean) / deviation, new memory."""
        ### BEGIN SOLUTION
        return (image - self.mean) / self.std
        ### END SOLUTION


def make_transforms(train_images, augment):
    """Make the two transforms of a training run.

    Args: train_images: (N, C, H, W) float, the training part only. augment: a transform.
    Returns: (for training: augment, then normalise; for validation: normalise only), both with the training statistics.
    """
    ### BEGIN SOLUTION
    normalize = Normalize(train_images)
    return Compose([augment, normalize]), normalize
    ### END SOLUTION

# %%
@check("u06-transforms")
def observe(train, image, shift):
    for_training, for_validation = make_transforms(train, lambda t: t.flip(-1) + shift)
    return {
        "training": for_training(image), "validation": for_validation(image), "normalized": Normalize(train)(image),
        "composed": Compose([lambda t: t + shift, lambda t: t * 2.0, lambda t: t - 1.0])(image),
        "composed_of_none": Compose([])(shift), "image_after": image, "train_after": train,
    }

# %% [markdown]
# ## 4. Splits that do not leak
#
# ### 4.1 What random_split shares
#
# `random_split` gives two `Subset`s. A subset is a list of indices and a reference to the **same** dataset. If the
# dataset owns a transform, both parts have it. **Predict** the last line: the transform is set on the training part.

# %%
class Numbers(Dataset):
    transform = None

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index if self.transform is None else self.transform(index)

train, val = random_split(Numbers(), [7, 3], generator=torch.Generator().manual_seed(seed))
train.dataset.transform = lambda sample: sample + 1000
print("training:", list(train), " validation:", list(val))

# %% [markdown]
# Validation is augmented too, and its accuracy is that of distorted pictures, different in each run. The cure is a
# subset that has a transform of its own, and leaves the dataset below alone.
#
# (Do not inherit from PyTorch's `Subset`. It fetches whole batches by a second method, `__getitems__`, and raises
# `NotImplementedError` if only one of the two is replaced.)
#
# A random transform has to run at every access. If it ran once, in `__init__`, each epoch would show the same
# distorted pictures, and nothing would have been gained.
#
# {exercise u06-transform-subset}

# %%
class TransformSubset(Dataset):
    """Some samples of a dataset of (input, label) pairs, with a transform for the inputs that only this part has.

    Args: dataset: map style. indices: list of ints, which samples of it. transform: applied to the input at every
        access; None: the input stays as it is.
    Sample: (transform(input), label) of sample indices[index]. Negative indices count from the end.
    Raises: IndexError: where a list as long as this part would.
    """

    def __init__(self, dataset, indices, transform=None):
        ### BEGIN SOLUTION
        self.dataset, self.indices, self.transform = dataset, list(indices), transform
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.indices)
        ### END SOLUTION

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        x, label = self.dataset[self.indices[index]]    # a list raises IndexError by itself
        return (x if self.transform is None else self.transform(x)), label
        ### END SOLUTION

# %%
@check("u06-transform-subset")
def observe(x, labels, train, val, index):
    class Base(Dataset):
        transform = None
        def __len__(self):
            return len(labels)
        def __getitem__(self, i):
            return (x[i] if self.transform is None else self.transform(x[i])), labels[i]
    counter = itertools.count(1)
    base = Base()
    for_training, for_validation = TransformSubset(base, train, lambda t: t + 100 * next(counter)), TransformSubset(base, val)
    return {
        "lengths": [len(for_training), len(for_validation)], "training": for_training[index], "again": for_training[index],
        "validation": list(itertools.islice(for_validation, 20)), "x_after": x,
    }

# %% [markdown]
# ### 4.2 Copies on both sides
#
# A split leaks when something about the validation samples can be learned from the training samples that will not be
# there for new data. The strongest leak is a copy. Here are 100 random points with **random** labels from 10 classes:
# there is nothing to learn, and an honest accuracy is about 10 %. Each point was augmented to 4 slightly noisy copies
# *before* the split. The classifier takes the label of the nearest training point.
#
# **Predict** both accuracies: of a random split of the 400 copies, and of a split of the 100 originals.

# %%
g = torch.Generator().manual_seed(seed)
originals, classes = torch.randn(100, 16, generator=g), torch.randint(10, (100,), generator=g)
copies = originals.repeat_interleave(4, dim=0) + 0.1 * torch.randn(400, 16, generator=g)
group = torch.arange(100).repeat_interleave(4)             # which original a copy comes from

def accuracy(is_val):
    nearest = torch.cdist(copies[is_val], copies[~is_val]).argmin(dim=1)
    return (classes[group[~is_val]][nearest] == classes[group[is_val]]).float().mean().item()

print("split of the copies:   ", accuracy(torch.randperm(400, generator=g) < 100))
print("split of the originals:", round(accuracy((torch.randperm(100, generator=g) < 25)[group]), 2))

# %% [markdown]
# {shown 1} against {shown 0.04}: a perfect score on noise, and an honest one, where 1 of 25 originals was right by luck. Real data has such groups without anyone making them: several scans of one
# patient, frames of one film, overlapping windows of one text, letters drawn in one font, the same question
# posted twice. The rules:
#
# 1. **Split first**, then augment, cut windows, and compute statistics.
# 2. Split by **group**, whatever new data will be new in: patient, film, text, font.
# 3. Look for duplicates across the parts (unit 8 does).
# 4. Choose with the validation part; report on a third part, the test part, that you look at once.

# %% [markdown]
# ## 5. From indices to batches
#
# ### 5.1 Four parts of a loader
#
# A `DataLoader` over a map-style dataset is a short loop:
#
# ```python
# for indices in batch_sampler:                     # a list of ints per batch
#     yield collate_fn([dataset[i] for i in indices])
# ```
#
# - A **sampler** yields single indices, in the order of the epoch. `shuffle=True` chooses `RandomSampler` for you,
#   `shuffle=False` chooses `SequentialSampler`.
# - A **batch sampler** yields lists of indices. By default it is a `BatchSampler` that cuts what the sampler yields into
#   runs of `batch_size`, and with `drop_last=True` leaves out a last run that is too short.
# - The **dataset** makes each index a sample, the **collate function** makes the list of samples a batch.
#
# You may replace the sampler **or** the batch sampler. Each replaces options, and the loader refuses both at once.

# %%
from torch.utils.data import BatchSampler, SequentialSampler

print(list(SequentialSampler(range(7))))
print(list(BatchSampler(SequentialSampler(range(7)), batch_size=3, drop_last=False)))
with expect_error(ValueError):
    DataLoader(digits, shuffle=True, sampler=SequentialSampler(digits))
with expect_error(ValueError):
    DataLoader(digits, batch_size=3, batch_sampler=BatchSampler(SequentialSampler(digits), 3, False))

# %% [markdown]
# ### 5.2 An epoch is a permutation
#
# An epoch should show each sample once. Drawing indices at random does not: of $n$ draws from $n$ samples, one sample is
# missed by all with probability $(1 - 1/n)^n \approx e^{-1} = 0.37$.
#
# **Predict** the two fractions of the 1797 digits that one epoch shows.

# %%
n, g = len(digits), torch.Generator().manual_seed(seed)
with_replacement = torch.randint(n, (n,), generator=g)
permuted = torch.randperm(n, generator=g)
print(round(len(with_replacement.unique()) / n, 3), round(len(permuted.unique()) / n, 3))

# %% [markdown]
# {shown 0.627} and {shown 1}. (Drawing with replacement has its use, too: `WeightedRandomSampler` shows rare classes more often. Then it
# is a choice.)
#
# The next sampler has three properties that the built-in one lacks. The order depends on `seed` and the **epoch** and
# on nothing else, so a run that stopped in epoch 7 can be continued there. Iterating twice within an epoch gives the
# same order twice. And it leaves PyTorch's global random numbers alone, so that adding it changes nothing else in a
# program. (The sampler for training on several GPUs has the same `set_epoch`.)
#
# {exercise u06-epoch-sampler}

# %%
class EpochSampler(Sampler):
    """A new permutation of 0 … n-1 in each epoch, repeatable.

    Args: n: number of samples. seed: int.
    Iterating yields ints: torch.randperm(n) from a generator of its own, seeded with seed + epoch. The epoch is 0 until
    set_epoch(epoch) is called. It may be iterated over any number of times.
    """

    def __init__(self, n, seed):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        ### BEGIN SOLUTION
        return self.n
        ### END SOLUTION

    def __iter__(self):
        ### BEGIN SOLUTION
        g = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(torch.randperm(self.n, generator=g).tolist())
        ### END SOLUTION

# %%
@check("u06-epoch-sampler")
def observe(n, seed, epoch):
    torch.manual_seed(123)
    sampler = EpochSampler(n, seed)
    first, again = list(itertools.islice(sampler, 50)), list(itertools.islice(sampler, 50))
    sampler.set_epoch(epoch)
    later = list(itertools.islice(sampler, 50))
    sampler.set_epoch(0)
    return {"length": len(sampler), "first": first, "again": again, "later": later, "type": type(first[0]).__name__,
            "back": list(itertools.islice(sampler, 50)), "global_draw": torch.rand(2)}

# %% [markdown]
# ### 5.3 Ragged samples: padding
#
# The lines of section 2 have 2 to 77 characters. **Predict** what the default collate function does with two of them.

# %%
vocab = {character: number for number, character in enumerate(sorted(set(content.decode("utf-8")) - {"\n"}), 2)}
lines = [torch.tensor([vocab[c] for c in line]) for line in content.decode("utf-8").splitlines()]
print(len(vocab), "characters in the vocabulary;", [len(line) for line in lines[:6]])
with expect_error(RuntimeError):
    next(iter(DataLoader(lines, batch_size=2)))

# %% [markdown]
# Stacking needs equal shapes. So the collate function fills each line up with id 0 to the longest line **of its
# batch**, and says how long each one really is. Whoever uses the batch needs the true lengths: a mean over time
# divides by them, and a loss leaves the filling out. They cannot be found again later by counting zeros, unless 0 can
# never be a real id. In the check it can.
#
# {exercise u06-pad-collate}

# %%
def pad_collate(batch):
    """Make one tensor of sequences of different lengths.

    Args: batch: list of (T_i,) int64 tensors, T_i >= 0.
    Returns: (x, lengths): x (B, max T_i) int64, row i begins with batch[i] and is filled up with 0; lengths (B,)
        int64, the T_i. Both on the device of the samples.
    """
    ### BEGIN SOLUTION
    lengths = torch.tensor([len(ids) for ids in batch], device=batch[0].device)
    x = batch[0].new_zeros(len(batch), int(lengths.max()))
    for place, ids in enumerate(batch):
        x[place, :len(ids)] = ids
    return x, lengths
    ### END SOLUTION

# %%
@check("u06-pad-collate")
def observe(batch):
    x, lengths = pad_collate(batch)
    return {"x": x, "lengths": lengths, "batch_after": batch}

# %% [markdown]
# ### 5.4 Bucketing
#
# One line of 77 characters makes a batch of eight lines 77 wide. Here are three ways to make batches of eight from the 40
# lines: as they stand in the file, shuffled, and sorted by length.

# %%
from coursekit.viz.padding import padding

lengths = [len(line) for line in lines]
orders = {"in file order": range(40), "shuffled": torch.randperm(40, generator=torch.Generator().manual_seed(seed)).tolist(),
          "sorted by length": sorted(range(40), key=lambda i: lengths[i])}
show(padding({name: [[lengths[i] for i in order[k:k + 8]] for k in range(0, 40, 8)] for name, order in orders.items()}))

# %% [markdown]
# Padding is {shown 57 %} of everything in file order, {shown 55 %} shuffled, and {shown 21 %} sorted: the same 1151 characters in
# {shown 2664 places}, or in {shown 1464}. A model computes on padding as on anything else, so that is time.
#
# Sorted batches have two prices. The order of the epoch is no longer random: short lines first, long ones last. So the
# *order of the batches* is shuffled; who shares a batch with whom stays fixed. And with `drop_last` the remainder is
# always made of the longest lines, which the model then never sees. Real pipelines sort within large random
# groups to soften both. Here, learn the plain form first. Above all the batches must **cover** the samples exactly: each
# index once, none lost, and `len` must tell the truth, since schedulers and progress bars believe it.
#
# {exercise u06-bucket-batch-sampler}

# %%
class BucketBatchSampler(Sampler):
    """Batches of samples of similar length, each sample in one batch.

    Args: lengths: list of ints, one per sample. batch_size: int. drop_last: leave out the batch that is not full.
        generator: a torch.Generator that shuffles the batches.
    The indices, sorted by length from short to long (the lower index first if two are equally long), are cut into runs of
    batch_size. Each iteration draws one torch.randperm(number of batches, generator=generator), and yields the runs in
    that order, each as a list of ints. len() is the number of batches.
    """

    def __init__(self, lengths, batch_size, drop_last, generator=None):
        ### BEGIN SOLUTION
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])       # sorted() keeps ties in order
        self.batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
        if drop_last and len(self.batches[-1]) < batch_size:
            self.batches.pop()
        self.generator = generator
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.batches)
        ### END SOLUTION

    def __iter__(self):
        ### BEGIN SOLUTION
        for number in torch.randperm(len(self.batches), generator=self.generator):
            yield list(self.batches[number])
        ### END SOLUTION

# %%
@check("u06-bucket-batch-sampler")
def observe(lengths, batch_size, drop_last, seed):
    sampler = BucketBatchSampler(lengths, batch_size, drop_last, torch.Generator().manual_seed(seed))
    first, second = list(itertools.islice(sampler, 20)), list(itertools.islice(sampler, 20))
    covered = sorted(int(index) for batch in first for index in batch)
    return {"first_epoch": first, "second_epoch": second, "covered": covered, "count": len(sampler), "lengths_after": lengths}

# %% [markdown]
# With the pieces together, a loader over the lines is
# `DataLoader(lines, batch_sampler=BucketBatchSampler(lengths, 8, False), collate_fn=pad_collate)`. Try it.
#
# ## 6. Worker processes
#
# ### 6.1 What happens when
#
# With `num_workers=0` the main process loads a batch, trains on it, loads the next. With `num_workers=2` two further
# **processes** load while the main one trains. The next cell records a real run of both: a sample takes 12 ms to read,
# a training step 30 ms. **Predict** how much shorter the second run is, then look.

# %%
from coursekit.data.workers import Slow
from coursekit.viz.loader_timeline import record, timeline

alone = record(Slow(18, 0.012), batch_size=3, num_workers=0, step_seconds=0.03, seed=seed)
show(timeline(alone))

# %%
helped = record(Slow(18, 0.012), batch_size=3, num_workers=2, step_seconds=0.03, seed=seed)
step_through(lambda k: timeline(helped, k + 1 if k + 1 < len(helped.batches) else None), len(helped.batches), strip=(0, 5), label="batch")

# %% [markdown]
# Read the second picture from the top. The sampler lives in the main process, and it chose four batches at once: each
# worker is given `prefetch_factor` batches, 2 by default, ahead of need. Batch 0 goes to worker 0, batch 1 to worker 1, in
# turn. A worker loads the samples of its batch one after the other and collates them; the finished batch
# crosses to the main process through shared memory. Only then is the next batch chosen for that worker. The main process
# waits at the start, where workers must first come to life, and hardly ever after.
#
# How long that start takes depends on the system. Under Linux a worker is a copy of the main process and is there in
# milliseconds. Under Windows and macOS it is a new Python that imports PyTorch first: the second run then takes about
# 2.5 s instead of 0.25 s, and is longer than the first. The batches are the same. Section 6.5 says more.
#
# Two rules of thumb follow. If the main process waits between steps, loading is the bottleneck: more workers, or less
# work per sample. If it never waits, more workers only cost memory. And batches arrive **in the sampler's order**,
# whichever worker is faster, so a seeded loader gives the same batches with 0, 1 or 8 workers.
#
# ### 6.2 Copies of everything, random generators included
#
# Each worker has a *copy* of the dataset. Changing an attribute in the main process after the workers started changes
# nothing in them, and counting samples in an attribute of the dataset counts in the wrong process. The copy contains
# random generators. `Noisy` draws each sample from a NumPy generator that the dataset owns.
#
# **Predict** whether the two workers draw different numbers, and the two epochs.

# %%
for epoch in range(2):
    print("epoch", epoch, [batch.tolist() for batch in DataLoader(Noisy(8), batch_size=2, num_workers=2)])

# %% [markdown]
# Neither. Both workers start from the same copied state, so batches 0 and 1 are equal, and so are 2 and 3. The copy in
# the main process never moved, so epoch 1 repeats epoch 0. With augmentation drawn in that way, each "random" crop
# exists once per worker and returns in every epoch. A survey of public repositories in 2021 found this fault, then with
# NumPy's global generator, in more than nine of ten that could have it.
#
# PyTorch does what it can. When an epoch begins, the loader draws a `base_seed` from the main process's generator, and
# worker $k$ seeds the global generators of `random` and `torch` with `base_seed + k`, and NumPy's with a number made from both. It cannot know of a
# generator that is yours. For that there is `worker_init_fn`: it runs in each worker at its start, and
# `get_worker_info()` tells there which worker it is, its `seed`, and its copy of the `dataset`.
#
# The check does not start processes. It uses `pretend_worker(k, n, base_seed, dataset)`, within which
# `get_worker_info()` answers as it would in worker $k$ of $n$.
#
# {exercise u06-worker-init}

# %%
def worker_init(worker_id):
    """Give this worker's copy of the dataset, its attribute `rng`, a new NumPy generator seeded with the worker's own seed.

    Args: worker_id: 0 … number of workers - 1. Runs inside a worker.
    """
    ### BEGIN SOLUTION
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed)        # base_seed + worker_id: new in each worker and epoch
    ### END SOLUTION

# %%
@check("u06-worker-init")
def observe(base_seeds, workers):
    draws = []
    for base_seed in base_seeds:                               # one for each epoch
        for worker in range(workers):
            dataset = Noisy(9)
            with pretend_worker(worker, workers, base_seed, dataset):
                worker_init(worker)
            draws.append([dataset[0], dataset[1], dataset[2]])
    return {"draws": draws}

# %% [markdown]
# With it, real workers and two epochs give eight different draws. The numbers are repeatable, because `base_seed` comes
# from the main process's generator: with the same `torch.manual_seed`, or with a `generator=` of the loader's own, they
# come back. The cell takes `start_worker_afresh`, which is a `worker_init` that stands in a module. Yours stands in a
# notebook cell: the check calls it on any system, but a loader can send it to its workers under Linux up to Python 3.13
# only; section 6.5 says why.

# %%
from coursekit.data.workers import start_worker_afresh

for attempt in range(2):
    g = torch.Generator().manual_seed(seed)
    for epoch in range(2):
        loader = DataLoader(Noisy(8), batch_size=2, num_workers=2, worker_init_fn=start_worker_afresh, generator=g)
        print("attempt", attempt, "epoch", epoch, [batch.tolist() for batch in loader])

# %% [markdown]
# With `persistent_workers=True` the workers live through all epochs. `worker_init_fn` then runs once, and each copied
# generator goes on from where it was: different in each epoch as well, and still repeatable.
#
# ### 6.3 Bug hunt: half of the stream
#
# A map-style dataset is shared out by the sampler: each worker is told its indices. A stream has no sampler. **Predict**
# what two workers make of the numbers 0 to 5 if nobody shares them out.

# %%
from coursekit.data.workers import Counting

print([batch.tolist() for batch in DataLoader(Counting(6), batch_size=3, num_workers=2)])

# %% [markdown]
# Each number comes twice. The stream has to look at `get_worker_info()` and give its part only. The class below tries, and
# the length of its epoch is right. Of ten items, five come twice and the others never:
#
# ```text
# worker 0 of 2: 0 2 4 6 8
# worker 1 of 2: 0 2 4 6 8
# ```
#
# {exercise u06-hunt-stream}

# %%
class SharedStream(IterableDataset):
    """A stream over a list that is shared out: worker k of n gives items k, k + n, k + 2n, …; the main process gives all."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        ### BEGIN SOLUTION
        info = get_worker_info()
        if info is None:
            return iter(self.items)
        return itertools.islice(self.items, info.id, None, info.num_workers)
        ### RELEASE SHOWS
        # info = get_worker_info()
        # if info is None:
        #     return iter(self.items)
        # return itertools.islice(self.items, 0, None, info.num_workers)
        ### END SOLUTION

# %%
@check("u06-hunt-stream")
def observe(items, workers):
    stream = SharedStream(items)
    alone, shares = list(itertools.islice(stream, 50)), []
    for worker in range(workers):
        with pretend_worker(worker, workers):
            shares.append(list(itertools.islice(stream, 50)))
    return {"alone": alone, "shares": shares, "together": sorted(item for share in shares for item in share), "items_after": items}

# %% [markdown]
# ### 6.4 Measuring
#
# How many workers? Nobody knows before measuring. The next cell times an epoch of 24 samples that take 10 ms each, in
# batches of 4, with a training step of 40 ms. **Predict** the shortest possible time, and which setting comes near it.

# %%
import time

def epoch_seconds(num_workers, samples=24 if fast else 240):
    loader = DataLoader(Slow(samples, 0.010), batch_size=4, num_workers=num_workers)
    began = time.perf_counter()
    for _ in loader:
        time.sleep(0.040)                              # a training step
    return time.perf_counter() - began

for num_workers in (0, 1, 2):
    print(num_workers, "workers:", round(epoch_seconds(num_workers), 2), "s")

# %% [markdown]
# Reading takes $24 \cdot 10$ ms and training $6 \cdot 40$ ms. One after the other that is 0.48 s. Side by side it cannot be less than
# 0.24 s plus the wait for the first batch. Measured on two cores under Linux: 0.49 s without workers, 0.32 s with one, 0.32 s with two.
# Here one worker keeps up with training, and a second brings nothing but another process to start. With workers started
# as under Windows and macOS, the same machine took 1.5 s with one and 2.9 s with two: in an epoch of half a second the
# start is all that counts. Your numbers will differ; the way to find out is the same.
#
# **Prefetch.** Each worker works up to `prefetch_factor` batches ahead. More ahead evens out samples of very different
# cost, and takes memory: workers × factor batches lie ready.
#
# **Pinned memory.** A copy to a GPU can run beside computation only if its source is *pinned*, memory that the system
# promises not to move. `pin_memory=True` lets a thread of the main process copy each finished batch into such
# memory, and `batch.to("cuda", non_blocking=True)` then returns at once. Without a GPU there is nothing to pin for. The cell
# measures both kinds of copy where there is one.

# %%
def copy_seconds(pinned, megabytes=64, times=10):
    block = torch.zeros(megabytes << 18, pin_memory=pinned)        # float32: 4 bytes each
    block.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        block.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / times

for pinned in (False, True) if torch.cuda.is_available() else ():
    print("pinned" if pinned else "plain ", round(0.064 / copy_seconds(pinned), 1), "GB/s")

# %%
print("A GPU is here:", torch.cuda.is_available())
batches = DataLoader(digits, batch_size=256, pin_memory=torch.cuda.is_available())
x, y = next(iter(batches))
print(tuple(x.shape), x.dtype, y.dtype, "pinned:", x.is_pinned())

# %% [markdown]
# ### 6.5 Windows, macOS, and notebooks
#
# How a worker comes to life differs between systems, and the difference explains most error messages about workers.
# `DataLoader` takes the system's own way unless you name another (`multiprocessing_context="spawn"`). Until the first batch
# of two workers was there, it took on two cores:
#
# | start method | used by | the worker | first batch |
# |---|---|---|---|
# | `fork` | Linux, up to Python 3.13 | is a copy of the main process | 0.05 s |
# | `spawn` | Windows, macOS | is a new Python; receives dataset and functions by `pickle`, and imports PyTorch | 2.1 s |
# | `forkserver` | Linux, from Python 3.14 on | is a copy of a clean, early Python; receives and imports the same | 1.9 s |
#
# Pickle does not send code. Of a class it sends the **name**, and the new process imports it. **Predict** what is in the
# bytes of a pickled `TextSamples`: its methods, or a place where to find them?

# %%
sent = pickle.dumps(samples)
print(sent[:60])
print("name of the module:", TextSamples.__module__, " code sent:", b"__getitem__" in sent)

# %% [markdown]
# The module is `__main__`, which here is the notebook. A new worker has a `__main__` of its own, without your class:
#
# ```text
# AttributeError: Can't get attribute 'TextSamples' on <module '__main__' (built-in)>
# RuntimeError: DataLoader worker (pid(s) 2931) exited unexpectedly
# ```
#
# What to do, on any system:
#
# 1. **Put datasets, collate functions and `worker_init_fn` into a `.py` file** beside the notebook, and import them.
#    Lambdas and functions inside functions cannot be pickled at all.
# 2. While you develop in a notebook, use `num_workers=0`.
# 3. In a script, everything that starts a loader belongs below `if __name__ == "__main__":`. A new worker imports the
#    script, and without that line would start workers itself; Python stops it with *An attempt has been made to start a
#    new process before the current process has finished its bootstrapping phase*.
# 4. Open files, locks and connections belong in `__getitem__` or `worker_init_fn`, not in `__init__`.
#
# The next cell writes a small module, imports it, and starts a worker by `spawn`, as Windows and macOS do.

# %%
import sys

written = Path("my_dataset.py").write_text('''
from torch.utils.data import Dataset

class Doubled(Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        return 2 * index
''', encoding="utf-8")

# %%
sys.path.insert(0, str(Path.cwd()))                     # in a notebook's folder this is so already
from my_dataset import Doubled

began = time.perf_counter()
loader = DataLoader(Doubled(), batch_size=3, num_workers=1, multiprocessing_context="spawn")
print([batch.tolist() for batch in loader], "after", round(time.perf_counter() - began, 1), "s")

# %% [markdown]
# A second or two for one worker, nearly all of it spent on starting Python and importing PyTorch. Over an epoch of minutes
# that is nothing; in a loop over tiny epochs, set `persistent_workers=True`.
#
# ## 7. Adding up over batches
#
# A loss function returns the **mean** over its batch. The mean over an epoch is not the mean of those numbers, unless all
# batches are equally large. Three batches of 8, 8 and 1 samples have mean losses 1, 1 and 5. **Predict** which is the mean over
# the 17 samples: 2.33, or 1.24?

# %%
losses, sizes = [1.0, 1.0, 5.0], [8, 8, 1]
print("mean of the means:", round(sum(losses) / len(losses), 2))
print("all samples:      ", round((8 * 1.0 + 8 * 1.0 + 1 * 5.0) / 17, 2))

# %% [markdown]
# {shown 1.24}. In the other number the single sample of the last batch counts eight times. Worse, it changes with the batch size, so
# that two evaluations of one model disagree.
#
# `zip` stops at the shorter of two lists without a word. A function that adds up two lists in step should refuse lists of
# different lengths, and it should refuse to average nothing.
#
# {exercise u06-weighted-mean}

# %%
def weighted_mean(losses, sizes):
    """Give the mean over all samples from the means over batches.

    Args: losses: list of floats, mean loss per batch. sizes: list of ints, samples per batch.
    Returns: a float.
    Raises: ValueError: if the lists differ in length, or there are no samples.
    """
    ### BEGIN SOLUTION
    if sum(sizes) == 0:
        raise ValueError("there are no samples to average")
    return sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
    ### END SOLUTION

# %%
@check("u06-weighted-mean")
def observe(losses, sizes):
    mean = weighted_mean(losses, sizes)
    return {"mean": mean, "type": type(mean).__name__}

# %% [markdown]
# ## Summary
#
# - A map-style dataset has `__len__` and `__getitem__`, and raises `IndexError` past its end. A stream has `__iter__`, and
#   shares itself out among workers.
# - A lazy dataset keeps places, in bytes, and neither the data nor an open file.
# - Random or part-specific changes are transforms; what needs the whole batch is collating; devices are the loop's affair.
# - `permute` moves axes. `view` only reads the same numbers in other portions.
# - Statistics come from the training part. Split first, by group; then augment.
# - An epoch is a permutation. A sampler yields indices, a batch sampler lists of them; each index once.
# - Pad to the longest of the batch, keep the true lengths, and put similar lengths together.
# - Workers copy the dataset with its random generators. Give each its own seed, and put classes into modules.
# - Weigh batch means by batch sizes.
#
# In the next unit these batches feed the optimizers that you write.
#
# Next: [u07 Optimizers](u07_optim.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the page `torch.utils.data`, above all "Loading Batched and Non-Batched Data", "Multi-process
#   data loading" with its "Platform-specific behaviors", and "Memory Pinning"; the note "Reproducibility".
# - Python documentation: "Contexts and start methods" of `multiprocessing`, and "What can be pickled and unpickled?".
# - Joel Spolsky, "The Absolute Minimum Every Software Developer Absolutely, Positively Must Know About Unicode and Character
#   Sets"; and the Python "Unicode HOWTO".
# - Tanel Pärnamaa, "Using PyTorch + NumPy? You're making a mistake": the survey of section 6.2.
# - S. Kapoor and A. Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science".
# - E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998: the digits,
#   under CC BY 4.0.
