"""The key of u06: for each exercise its inputs, an oracle, wrong answers with hints, and correct variants.

Datasets and samplers are classes. Most wrong ones differ from a sound class in one method.
"""

import itertools

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "indices, ids and copies of numbers are either the same or not")
SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; means of up to 60 numbers, one difference and one quotient")
ON_CPU = "keys are made on the CPU, where the default device is that of the inputs; the CUDA run of the checks sees it"


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def below(g, n, count=1):
    return torch.randint(n, (count,), generator=g).tolist()


# ---- TextLineDataset -------------------------------------------------------------------------------------

text_lines = Key(
    "u06-text-line-dataset",
    hints=(
        "In which unit does `file.seek` count, and how many of it does one Korean letter take?",
        "In `__init__`, open the file in mode \"rb\", walk through its lines, and keep a running sum of their lengths. In `__getitem__`, check "
        "the index, open the file again, seek, read one line, decode, drop the newline, look up each character.",
        "A near-example that reads record i of a file of records of 100 bytes: `with open(path, \"rb\") as file: file.seek(100 * i); record = "
        "file.read(100).decode(\"utf-8\")`. And `[ages.get(name, -1) for name in names]` looks up with a default.",
    ),
    cases=4,
    weights={"all": 2, "all_after_file_changed": 2},
    tolerance=EXACT,
    equivalent={
        "line 11: file.readline().decode(\"utf-8\") -> file.readline().decode()": "bytes.decode uses UTF-8 by default on every system",
    },
)
WIDE, NARROW, OTHER = "가나다라마바사아", "abcdefgh", "éñ"


@text_lines.inputs
def _(g, case):
    def word(kinds):
        pick = {"w": WIDE, "n": NARROW, "o": OTHER, " ": " ", "?": "뷁"}
        return "".join(pick[kind][below(g, len(pick[kind]))[0]] for kind in kinds)

    kinds = [["wnw", "", "nn ", "owww?n"], ["ww?o", "n", "", " nwnn", "wo"], ["nw", "w"], ["w", "nn"]][case]
    end = "" if case == 1 else "\n"
    while True:
        text, later = ["\n".join(word(line) for line in kinds) + end for _ in range(2)]
        if all(a != b for a, b in zip(text.split("\n"), later.split("\n"), strict=True) if a.strip()):
            break
    known = sorted(set(WIDE + NARROW + OTHER + " "))
    ids = (torch.randperm(len(known), generator=g) + 2).tolist()
    index = [2, -5, 2, -3][case]                       # -5: the first line from the end; the last two are out of range
    return {"text": text, "later": later, "vocab": dict(zip(known, ids, strict=True)), "index": index}


@text_lines.oracle
def _(text, later, vocab, index):
    def ids(content):
        lines = content.split("\n")
        lines = lines[:-1] if content.endswith("\n") else lines
        return [torch.tensor([vocab.get(c, 1) for c in line], dtype=torch.int64) for line in lines]

    old, new = ids(text), ids(later)
    return {"length": len(old), "sample": new[index], "all": old, "all_after_file_changed": new}


class Lines(Dataset):
    """A sound dataset whose parts can be exchanged one by one."""

    def __init__(self, path, vocab):
        self.path, self.vocab = path, vocab
        self.starts = [0]
        with open(path, "rb") as file:
            for line in file:
                self.starts.append(self.starts[-1] + self.size(line))

    def size(self, line):
        return len(line)

    def __len__(self):
        return len(self.starts) - 1

    def place(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError("no such line")
        return index % len(self)

    def raw(self, start):
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.readline()

    def clean(self, line):
        return line.decode("utf-8").rstrip("\n")

    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text], dtype=torch.int64)

    def __getitem__(self, index):
        return self.ids(self.clean(self.raw(self.starts[self.place(index)])))


@text_lines.wrong("`{function}` adds up lengths in characters, and `seek` counts bytes: a Korean letter has three. The first line is right, and "
                  "then the "
                  "places fall behind. Take the length of the line before it is decoded.")
class counts_characters(Lines):
    def size(self, line):
        return len(line.decode("utf-8"))


@text_lines.wrong("`{function}` forgets the newline in each line's length, so each line begins one byte too early, with the newline of the one "
                  "before. "
                  "Measure the line as it stands in the file.")
class forgets_newlines(Lines):
    def size(self, line):
        return len(line.rstrip(b"\n"))


@text_lines.wrong("`{function}` reads the right lines, and reads them too early: after the file has changed it still gives the old text. It "
                  "keeps the data in "
                  "memory. Keep places only, and read in `__getitem__`.")
class keeps_the_text(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        with open(path, "rb") as file:
            self.content = file.read()

    def raw(self, start):
        return self.content[start:].split(b"\n")[0]


@text_lines.wrong("`{function}` keeps its file open, and an open file cannot be sent to a worker process. Open it in `__getitem__`, and close it "
                  "again: a `with` block does.")
class keeps_the_file_open(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        self.file = open(path, "rb")

    def raw(self, start):
        self.file.seek(start)
        return self.file.readline()


@text_lines.wrong("A loop over `{function}` gives one sample too many, an empty one: index len does not raise. The place after the last line is "
                  "the end of "
                  "the file, and there is nothing to read. Compare the index with the length first.")
class one_line_too_many(Lines):
    def place(self, index):
        return index if index >= 0 else index % len(self)


@text_lines.wrong("`for line in dataset` never ends with `{function}`: every index is taken modulo the length, so none is out of range. Raise "
                  "`IndexError` "
                  "before you wrap negative ones.")
class never_ends(Lines):
    def place(self, index):
        return index % len(self)


@text_lines.wrong("`{function}` refuses negative indices that a list would take: -1 is the last line.")
class no_negative(Lines):
    def place(self, index):
        if not 0 <= index < len(self):
            raise IndexError("no such line")
        return index


@text_lines.wrong("Samples of `{function}` end in one id too many: the newline is still part of the line.")
class keeps_newlines(Lines):
    def clean(self, line):
        return line.decode("utf-8")


@text_lines.wrong("`{function}` takes spaces away at the ends of lines. They are characters of the text; only the newline is not. What does "
                  "`strip` take if you do "
                  "not tell it?")
class strips_spaces(Lines):
    def clean(self, line):
        return line.decode("utf-8").strip()


@text_lines.wrong("`{function}` leaves out characters that the vocabulary does not know. They have an id too: 1.")
class skips_unknown(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab[c] for c in text if c in self.vocab], dtype=torch.int64)


@text_lines.wrong("`{function}` raises at a character that the vocabulary does not know. Real text always has some; look them up with a default, "
                  "id 1.")
class unknown_raises(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab[c] for c in text], dtype=torch.int64)


@text_lines.wrong("`{function}` gives characters that are unknown the id 0, which is kept for padding. The docstring names another.")
class unknown_is_padding(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 0) for c in text], dtype=torch.int64)


@text_lines.wrong("The ids of `{function}` are right where there are any, but an empty line gives `float32`: `torch.tensor([])` has no numbers "
                  "to tell the dtype "
                  "from. Say it.")
class empty_is_float(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text])


@text_lines.wrong("The ids of `{function}` are floats. An id is an index: an embedding accepts whole numbers only.")
class float_ids(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(c, 1) for c in text], dtype=torch.float32)


@text_lines.wrong("`{function}` drops empty lines, so later lines have the wrong number. An empty line is a sample of length 0.")
class drops_empty_lines(Lines):
    def __init__(self, path, vocab):
        super().__init__(path, vocab)
        self.starts = [a for a, b in itertools.pairwise(self.starts) if b - a > 1] + self.starts[-1:]


@text_lines.wrong("`{function}` looks up bytes, not characters: a Korean letter gives three ids. Decode the line before you walk through it.")
class looks_up_bytes(Lines):
    def ids(self, text):
        return torch.tensor([self.vocab.get(chr(byte), 1) for byte in text.encode("utf-8")], dtype=torch.int64)


@text_lines.wrong("`{function}` leaves out the last line. Your list of starts may hold one entry more than there are lines, or exactly one each; "
                  "which of the two does "
                  "`__len__` assume?")
class misses_the_last(Lines):
    def __len__(self):
        return len(self.starts) - 2


@text_lines.variant
class PlacesAndSizes(Dataset):
    def __init__(self, path, vocab):
        self.path, self.vocab, self.places = str(path), vocab, []
        with open(path, "rb") as file:
            while True:
                start = file.tell()
                line = file.readline()
                if not line:
                    break
                self.places.append((start, len(line)))

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        start, size = self.places[index]
        with open(self.path, "rb") as file:
            file.seek(start)
            line = file.read(size)
        text = (line[:-1] if line.endswith(b"\n") else line).decode()
        return torch.tensor([self.vocab[c] if c in self.vocab else 1 for c in text]).long()


@text_lines.variant
class OffsetsInATensor(Dataset):
    def __init__(self, path, vocab):
        content = path.read_bytes()
        cuts = [place + 1 for place, byte in enumerate(content) if byte == 10]
        if not content.endswith(b"\n"):
            cuts.append(len(content) + 1)
        self.cuts = torch.tensor([0, *cuts])
        self.path, self.vocab = path, vocab

    def __len__(self):
        return self.cuts.numel() - 1

    def __getitem__(self, index):
        if index < 0:
            index += len(self)
        if index < 0 or index >= len(self):
            raise IndexError(index)
        with self.path.open("rb") as file:
            file.seek(int(self.cuts[index]))
            text = str(file.read(int(self.cuts[index + 1] - self.cuts[index]) - 1), encoding="utf-8")
        return torch.LongTensor([self.vocab.get(c, 1) for c in text])


# ---- the picture whose colours mixed ---------------------------------------------------------------------

channels = Key(
    "u06-hunt-channels",
    hints=(
        "In memory, which number follows the red of the first pixel: the red of the second, or the green of the first?",
        "`view` keeps the line of numbers and cuts it into other portions. What is needed is that axis 2 becomes axis 0; look at `permute`.",
        "A near-example: a batch of sequences (B, T, D) becomes (T, B, D) by `x.permute(1, 0, 2)`. `x.view(T, B, D)` has that shape too, and "
        "mixes the "
        "sequences.",
    ),
    guards=("picture_after",),
    tolerance={"chw": Tolerance(1e-6, 0, "one float32 quotient"), "picture_after": EXACT},
    strict_dtype=("chw",),
)


@channels.inputs
def _(g, case):
    size = [(2, 5, 3), (4, 3, 2), (3, 4, 4)][case]
    return {"picture": torch.randint(3, 256, size, generator=g).to(torch.uint8)}


@channels.oracle
def _(picture):
    planes = [picture[:, :, c].double() / 255 for c in range(picture.shape[2])]
    return {"chw": torch.stack(planes), "picture_after": picture}


@channels.wrong("`{function}` exchanges rows and columns: the picture lies on its side. Only the colours change their place; H stays before W.")
def on_its_side(picture):
    return picture.permute(2, 1, 0).float() / 255


@channels.wrong("The channels of `{function}` are right and go up to 255. The docstring asks for 0 to 1.")
def not_scaled(picture):
    return picture.permute(2, 0, 1).float()


@channels.wrong("`{function}` divides by 256, but the brightest pixel is 255 and should become 1.")
def by_256(picture):
    return picture.permute(2, 0, 1).float() / 256


@channels.wrong("`{function}` divides whole numbers and keeps the whole part: nearly everything becomes 0. Use `/`, which makes floats.")
def whole_part(picture):
    return (picture.permute(2, 0, 1) // 255).float()


@channels.wrong("`{function}` turns the order of the colours around: blue comes first. Keep the order of the last axis.")
def colours_reversed(picture):
    return picture.permute(2, 0, 1).flip(0).float() / 255


@channels.wrong("`{function}` still gives (H, W, C). Layers expect the channels first.")
def channels_last(picture):
    return picture.float() / 255


@channels.wrong("`{function}` adds an axis for the batch. A dataset gives single samples; collating adds that axis later.")
def with_batch_axis(picture):
    return picture.permute(2, 0, 1).float().unsqueeze(0) / 255


@channels.wrong("The numbers of `{function}` are right, but its dtype is `float64`; the docstring says `float32`.")
def in_double(picture):
    return picture.permute(2, 0, 1).double() / 255


@channels.variant
def chw_by_stack(picture):
    return torch.stack([picture[..., c] for c in range(picture.shape[-1])]).float().div(255)


@channels.variant
def chw_by_movedim(picture):
    return torch.movedim(picture, -1, 0).contiguous() * torch.tensor(1 / 255, device=picture.device)


@channels.variant
def chw_by_transposes(picture):
    return (picture.transpose(1, 2).transpose(0, 1) / 255).to(torch.float32)


# ---- transforms ------------------------------------------------------------------------------------------

transforms = Key(
    "u06-transforms",
    hints=(
        "One number per channel: over which axes of (N, C, H, W) do you average?",
        "`mean` and `std` take a tuple of axes. Shape the results (C, 1, 1), so that they meet an image (C, H, W) as unit 1 taught. Where the "
        "deviation is 0, "
        "divide by 1. `std(..., correction=0)` divides by the number of entries.",
        "A near-example, tables (N, D) scaled by their largest absolute value per column: `top = rows.abs().amax(dim=0)`, `self.top = "
        "torch.where(top > 0, top, 1.0)`, then `return row / self.top`. And `for f in [f1, f2]: x = f(x)` applies f1 first.",
    ),
    guards=("image_after", "train_after", "composed_of_none"),
    weights={"training": 2, "validation": 2},
    tolerance={"training": SINGLE, "validation": SINGLE, "normalized": SINGLE, "composed": SINGLE, "composed_of_none": EXACT,
               "image_after": EXACT, "train_after": EXACT},
)


@transforms.inputs
def _(g, case):
    n, c, h, w = [(5, 2, 2, 3), (3, 3, 4, 2), (4, 1, 2, 5)][case]
    spread = torch.tensor([0.3, 2.5, 1.7])[:c].view(1, c, 1, 1)
    train = normal(g, n, c, h, w) * spread + torch.tensor([2.0, -1.0, 0.5])[:c].view(1, c, 1, 1)
    if case == 1:
        train[:, 2] = 3.0                               # constant in training; exact in float32
    return {"train": train, "image": normal(g, c, h, w) + 1.5, "shift": normal(g, 1, 1, 1).abs()[0] + 0.5}


def scale(train, image, axes=(0, 2, 3), correction=0, guard=True):
    """Normalise with the faults open."""
    mean, std = train.mean(dim=axes, keepdim=True)[0], train.std(dim=axes, keepdim=True, correction=correction)[0]
    return (image - mean) / (torch.where(std > 0, std, 1.0) if guard else std)


def pair(first, second):
    return first, second


@transforms.oracle
def _(train, image, shift):
    def normal_form(t):
        out = []
        for c in range(train.shape[1]):
            values = train[:, c].double().flatten()
            m = values.sum() / values.numel()
            s = ((values - m) ** 2).sum().div(values.numel()).sqrt()
            out.append((t[c].double() - m) / (s if s > 0 else 1.0))
        return torch.stack(out)

    return {"training": normal_form(image.flip(-1) + shift), "validation": normal_form(image), "normalized": normal_form(image),
            "composed": (image.double() + shift) * 2 - 1, "composed_of_none": shift, "image_after": image, "train_after": train}


@transforms.wrong("The validation transform of `{function}` augments as well. Validation looks at pictures as they are; which of the two chains "
                  "should hold `augment`?")
def validation_augmented(train_images, augment):
    both = lambda t: scale(train_images, augment(t))  # noqa: E731
    return both, both


@transforms.wrong("The training transform of `{function}` does not augment.")
def training_not_augmented(train_images, augment):
    both = lambda t: scale(train_images, t)  # noqa: E731
    return both, both


@transforms.wrong("`{function}` normalises first and augments afterwards, when a pixel no longer means brightness. The first step of a chain is "
                  "applied first.")
def augments_last(train_images, augment):
    return lambda t: augment(scale(train_images, t)), lambda t: scale(train_images, t)


@transforms.wrong("`{function}` returns the two transforms in the other order: the first one is for training.")
def pair_swapped(train_images, augment):
    return lambda t: scale(train_images, t), lambda t: scale(train_images, augment(t))


@transforms.wrong("`{function}` normalises each picture by its own mean and deviation. That removes its brightness, and training statistics are "
                  "not used at all.")
def own_statistics(train_images, augment):
    own = lambda t: scale(t.unsqueeze(0), t)  # noqa: E731
    return lambda t: own(augment(t)), own


@transforms.wrong("The training side of `{function}` is right, but validation pictures are normalised by their own statistics. Both sides use "
                  "the numbers of the "
                  "training part.")
def validation_by_its_own(train_images, augment):
    return lambda t: scale(train_images, augment(t)), lambda t: scale(t.unsqueeze(0), t)


@transforms.wrong("Only the training side of `{function}` is normalised. The model would be asked about another world than the one it learned "
                  "in.")
def validation_not_normalised(train_images, augment):
    return lambda t: scale(train_images, augment(t)), lambda t: t.clone()


@transforms.wrong("`{function}` uses one mean and one deviation for all channels together. Each channel has its own: which axes does your mean "
                  "leave over?")
def one_for_all_channels(train_images, augment):
    def norm(t):
        std = train_images.std(correction=0)
        return (t - train_images.mean()) / std
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` has statistics for each single pixel. Average over the axes of height and width too.")
def one_per_pixel(train_images, augment):
    norm = lambda t: scale(train_images, t, axes=(0,))  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("The deviation of `{function}` is divided by one less than the number of entries; PyTorch's default corrects for a sample of a "
                  "larger whole. "
                  "Here the deviation of the data themselves is asked for: look at `correction`.")
def corrected_deviation(train_images, augment):
    norm = lambda t: scale(train_images, t, correction=1)  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides a constant channel by its deviation 0: the result is not finite. Such a channel is only shifted.")
def divides_by_zero(train_images, augment):
    norm = lambda t: scale(train_images, t, guard=False)  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides by the variance. Its square root brings a channel to deviation 1.")
def by_variance(train_images, augment):
    def norm(t):
        std = train_images.std(dim=(0, 2, 3), correction=0).view(-1, 1, 1)
        return (t - train_images.mean(dim=(0, 2, 3)).view(-1, 1, 1)) / torch.where(std > 0, std ** 2, 1.0)
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides before it subtracts the mean. The mean belongs to unscaled pixels: bracket the difference.")
def divides_first(train_images, augment):
    def norm(t):
        std = train_images.std(dim=(0, 2, 3), correction=0).view(-1, 1, 1)
        return t / torch.where(std > 0, std, 1.0) - train_images.mean(dim=(0, 2, 3)).view(-1, 1, 1)
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` writes into the picture that it is given. The dataset may keep that tensor for the next epoch: make a new one.")
def normalises_in_place(train_images, augment):
    def norm(t):
        return t.copy_(scale(train_images, t))
    return lambda t: scale(train_images, augment(t)), norm


@transforms.variant
def transforms_by_functions(train_images, augment):
    flat = train_images.transpose(0, 1).flatten(1)
    mean = flat.mean(dim=1)[:, None, None]
    std = flat.var(dim=1, unbiased=False).sqrt()[:, None, None]
    std[std == 0] = 1.0

    def norm(t):
        return t.sub(mean).div(std)
    return lambda t: norm(augment(t)), norm


@transforms.variant
def transforms_by_batch_norm(train_images, augment):
    means = [float(train_images[:, c].double().mean()) for c in range(train_images.shape[1])]
    stds = [float(train_images[:, c].double().std(correction=0)) or 1.0 for c in range(train_images.shape[1])]

    def norm(t):
        return torch.stack([(plane - m) / s for plane, m, s in zip(t, means, stds, strict=True)])
    return lambda t: norm(augment(t)), norm


# ---- TransformSubset -------------------------------------------------------------------------------------

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


# ---- EpochSampler ----------------------------------------------------------------------------------------

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


# ---- pad_collate -----------------------------------------------------------------------------------------

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


# ---- BucketBatchSampler ----------------------------------------------------------------------------------

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


# ---- worker_init -----------------------------------------------------------------------------------------

init = Key(
    "u06-worker-init",
    hints=(
        "Which number is different in each worker *and* in each epoch: the worker's id, or its seed?",
        "`info = get_worker_info()` has `info.seed` and `info.dataset`, this worker's own copy. Put a new generator on the copy.",
        "A near-example that gives each worker a log file of its own: `info = get_worker_info()`, then `info.dataset.log = "
        "open(f\"log{info.id}.txt\", \"w\")`.",
    ),
    cases=3,
    tolerance=EXACT,
)


@init.inputs
def _(g, case):
    seeds = torch.randint(1000, 2 ** 40, (2 + (case == 1),), generator=g).tolist()
    return {"base_seeds": seeds, "workers": [3, 2, 1][case] + (case == 2)}


@init.oracle
def _(base_seeds, workers):
    draws = []
    for base in base_seeds:
        for worker in range(workers):
            generator = np.random.Generator(np.random.PCG64(base + worker))
            draws.append([int(generator.integers(1000)) for _ in range(3)])
    return {"draws": draws}


@init.wrong("`{function}` seeds with the worker's id alone: the workers differ, but each epoch repeats the one before. The worker's seed changes "
            "with both.")
def by_id(worker_id):
    get_worker_info().dataset.rng = np.random.default_rng(worker_id)


@init.wrong("`{function}` takes the id away from the seed, or uses the seed of the loader: all workers of an epoch draw the same numbers.")
def by_base_seed(worker_id):
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed - info.id)


@init.wrong("`{function}` gives every worker in every epoch the same fixed seed. That is where the trouble began.")
def by_constant(worker_id):
    get_worker_info().dataset.rng = np.random.default_rng(42)


@init.wrong("`{function}` adds the id to a seed that contains it already, so worker k gets the seed of worker 2k. `info.seed` is the worker's "
            "own; use it as it is.")
def adds_the_id_twice(worker_id):
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed + worker_id)


@init.wrong("`{function}` leaves `info.dataset.rng` as it was copied. Seeding NumPy's global generator, or a new one that is put nowhere, does "
            "not reach the one from which samples are drawn.")
def not_stored(worker_id):
    rng = np.random.default_rng(get_worker_info().seed)
    del rng


@init.wrong("`{function}` keeps 32 bits or fewer of the seed, so different epochs can meet again. NumPy takes whole numbers of any size.")
def cut_seed(worker_id):
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed % 1000)


@init.wrong("`{function}` puts a generator of the `random` module, or of PyTorch, into `rng`. The dataset calls `rng.integers`, which only "
            "NumPy's has.")
def other_kind(worker_id):
    get_worker_info().dataset.rng = torch.Generator().manual_seed(1)


@init.variant
def init_by_torch_seed(worker_id):
    dataset = get_worker_info().dataset
    dataset.rng = np.random.default_rng(torch.initial_seed())


@init.variant
def init_by_bit_generator(worker_id):
    info = get_worker_info()
    assert info.id == worker_id
    setattr(info.dataset, "rng", np.random.Generator(np.random.PCG64(np.random.SeedSequence(info.seed))))


# ---- the stream that lost its half -----------------------------------------------------------------------

stream = Key(
    "u06-hunt-stream",
    hints=(
        "Two workers start at the same place and take every second item. Which item should worker 1 start with?",
        "`itertools.islice(items, start, stop, step)`: the step is right. Look at the start, and at what `info` knows.",
        "A near-example: dealing 52 cards to 4 players, player p gets `itertools.islice(cards, p, None, 4)`.",
    ),
    guards=("alone", "items_after"),
    tolerance=EXACT,
)


@stream.inputs
def _(g, case):
    n, workers = [(10, 2), (11, 3), (13, 4)][case]
    return {"items": (torch.randperm(90, generator=g)[:n] + 10).tolist(), "workers": workers}


@stream.oracle
def _(items, workers):
    return {"alone": items, "shares": [items[k::workers] for k in range(workers)], "together": sorted(items), "items_after": items}


class Shared(IterableDataset):
    def __init__(self, items):
        self.items = items

    def share(self, worker, workers):
        return itertools.islice(self.items, worker, None, workers)

    def __iter__(self):
        info = get_worker_info()
        return iter(self.items) if info is None else iter(self.share(info.id, info.num_workers))


@stream.wrong("`{function}` gives every worker the whole stream: each item comes once per worker. Start at the worker's id, and step by the "
              "number of workers.")
class whole_stream(Shared):
    def share(self, worker, workers):
        return self.items


@stream.wrong("`{function}` starts at the worker's id and then takes everything. The step is the number of workers.")
class no_step(Shared):
    def share(self, worker, workers):
        return self.items[worker:]


@stream.wrong("`{function}` begins one item too late, so the first item is never seen. Worker 0 starts at item 0.")
class starts_late(Shared):
    def share(self, worker, workers):
        return self.items[worker + 1::workers]


@stream.wrong("`{function}` uses the number of workers as the start and the id as the step; the two have changed places.")
class start_and_step_swapped(Shared):
    def share(self, worker, workers):
        return self.items[workers::worker + 1]


@stream.wrong("`{function}` cuts the stream into blocks whose size is rounded down: the remainder at the end belongs to nobody. Besides, the "
              "docstring deals items out in turn.")
class blocks_lose_the_rest(Shared):
    def share(self, worker, workers):
        size = len(self.items) // workers
        return self.items[worker * size:(worker + 1) * size]


@stream.wrong("Nothing is lost with `{function}`, but each worker has a block of neighbours. The docstring deals items out in turn: k, k + n, k "
              "+ 2n, …")
class blocks(Shared):
    def share(self, worker, workers):
        size = -(-len(self.items) // workers)
        return self.items[worker * size:(worker + 1) * size]


@stream.wrong("Only worker 0 of `{function}` gives anything; it does the work of all. Each worker should have its part.")
class only_the_first(Shared):
    def share(self, worker, workers):
        return self.items if worker == 0 else []


@stream.variant
class DealtByRemainder(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        for number, item in enumerate(self.items):
            if number % workers == worker:
                yield item


@stream.variant
class DealtBySlices(IterableDataset):
    def __init__(self, items):
        self.items = list(items)

    def __iter__(self):
        info = get_worker_info()
        return iter(self.items if info is None else self.items[info.id::info.num_workers])


# ---- weighted_mean ---------------------------------------------------------------------------------------

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
