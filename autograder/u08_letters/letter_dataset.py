"""The key of u08-letter-dataset."""

import os
from pathlib import Path

import torch
from torch.utils.data import Dataset

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, SINGLE, blocks, decode, draw, letters_of, names, shuffled

dataset = Key(
    "u08-letter-dataset",
    hints=(
        "If every picture of one letter is left out, which number should the next letter have?",
        "Collect in __init__: the sorted names of the folders, and the sorted names of the files without those in skip. __getitem__ reads one "
        "file. Dividing a uint8 "
        "tensor by 255 gives float32; an index of None adds an axis.",
        "A near-example for texts: `self.classes = sorted(p.name for p in self.root.iterdir() if p.is_dir())`; "
        '`text = (self.root / self.names[index]).read_text()`; `return len(text) / 100, self.classes.index(self.names[index].split("/")[0])`.',
    ),
    cases=2,
    tolerance={
        "classes": EXACT,
        "names": EXACT,
        "labels": EXACT,
        "given": EXACT,
        "batch": SINGLE,
        "without_normalisation": Tolerance(2e-5, 1e-5, "a float32 mean over 784 numbers below 10, which may be zero up to rounding"),
    },
    weights={"batch": 2, "labels": 2, "given": 0.5},
)


@dataset.inputs
def _(g, case):
    a, b, c, d = letters_of(g, 4)
    of = [(a, 3), (b, 1 + case), (c, 2), (d, 3)]
    where = shuffled(g, [letter for letter, count in of for _ in range(count)])
    paths = [f"{letter}/{name}" for letter, name in zip(where, names(g, len(where)), strict=True)]
    gone = [path for path in paths if path[0] == b] + [next(path for path in paths if path[0] == d)]
    raw = {f"{c}/x{draw(g, 10, 100)}.png": "no picture", "notes.txt": "who made this", f"{a}/notes.txt": "and this"}
    return {
        "paths": paths,
        "pictures": blocks(g, len(paths)),
        "raw": raw,
        "folders": [],
        "skip": [*gone, *(name for name in raw if name[0] == c)],
        "mean": 0.3 + 0.3 * torch.rand(1, generator=g).item(),
        "std": 0.2 + 0.3 * torch.rand(1, generator=g).item(),
        "index": draw(g, 0, 3),
    }


class Letters(Dataset):
    """A right dataset in parts, for wrong ones to exchange."""

    def __init__(self, root, skip=(), mean=0.0, std=1.0):
        self.root, self.mean, self.std = Path(root), mean, std
        self.classes = self.find_classes()
        self.names = [
            path.relative_to(root).as_posix()
            for path in sorted(self.root.glob("*/*.png"))
            if path.relative_to(root).as_posix() not in skip
        ]
        self.finish(skip)

    def find_classes(self):
        return sorted(path.name for path in self.root.iterdir() if path.is_dir())

    def finish(self, skip):
        pass

    def __len__(self):
        return len(self.names)

    def label(self, name):
        return self.classes.index(name[0])

    def picture(self, pixels):
        return (pixels[None].float() / 255 - self.mean) / self.std

    def __getitem__(self, index):
        return self.picture(torch.from_numpy(decode(self.root / self.names[index]))), self.label(self.names[index])


@dataset.wrong(
    "`{function}` numbers the letters in the order in which the system lists the folders: on another machine the same letter gets another "
    "label. Sort them."
)
class unsorted_classes(Letters):
    def find_classes(self):
        return [path.name for path in self.root.iterdir() if path.is_dir()]


@dataset.wrong(
    "classes of `{function}` holds only letters of which a picture is left. If a letter is missing in one split, all labels behind it shift; "
    "take the folders."
)
class classes_from_names(Letters):
    def finish(self, skip):
        self.classes = sorted({name[0] for name in self.names})


@dataset.wrong(
    "names of `{function}` stand in the order in which the system lists files. Sort them, or sample 5 is another picture on another machine."
)
class unsorted_names(Letters):
    def finish(self, skip):
        self.names = [path.relative_to(self.root).as_posix() for path in self.root.glob("*/*.png")]
        self.names = [name for name in self.names if name not in skip]


@dataset.wrong(
    "The labels of `{function}` are letters' numbers in the alphabet, or in the code table. A label is the place in classes."
)
class ordinal_labels(Letters):
    def label(self, name):
        return ord(name[0]) - ord("A")


@dataset.wrong("`{function}` ignores skip: the files that were found to be bad are still there.")
class ignores_skip(Letters):
    def finish(self, skip):
        self.names = [path.relative_to(self.root).as_posix() for path in sorted(self.root.glob("*/*.png"))]


@dataset.wrong("`{function}` does not normalise: subtract mean, then divide by std.")
class no_normalisation(Letters):
    def picture(self, pixels):
        return pixels[None].float() / 255


@dataset.wrong(
    "`{function}` multiplies by std, or takes the mean off after the division. The formula is (x / 255 - mean) / std."
)
class divides_first(Letters):
    def picture(self, pixels):
        return pixels[None].float() / 255 / self.std - self.mean


@dataset.wrong(
    "The pictures of `{function}` go from 0 to 255 before the normalisation. mean and std belong to the scale from 0 to 1."
)
class not_scaled(Letters):
    def picture(self, pixels):
        return (pixels[None].float() - self.mean) / self.std


@dataset.wrong(
    "`{function}` normalises each picture by its own mean and std. Then a faint picture and a strong one look alike, and the given numbers "
    "are not used."
)
class by_its_own_statistics(Letters):
    def picture(self, pixels):
        x = pixels[None].float() / 255
        return (x - x.mean()) / x.std()


@dataset.wrong(
    "The samples of `{function}` have no channel axis: a batch would be (B, 28, 28), and a convolution takes (B, 1, 28, 28)."
)
class no_channel(Letters):
    def picture(self, pixels):
        return super().picture(pixels)[0]


@dataset.wrong(
    "`{function}` gives rows for columns: its pictures lie on their side. Which axis of an array from PIL is the height?"
)
class transposed(Letters):
    def picture(self, pixels):
        return super().picture(pixels.T)


@dataset.wrong(
    "`{function}` inverts its pictures. White on black or black on white does not matter to the network, but it must be what the file says."
)
class inverted(Letters):
    def picture(self, pixels):
        return super().picture(255 - pixels)


@dataset.variant
class reads_at_once(Letters):
    def finish(self, skip):
        self.x = torch.stack([torch.from_numpy(decode(self.root / name)) for name in self.names])

    def __getitem__(self, index):
        return ((self.x[index].float() / 255 - self.mean) / self.std).unsqueeze(0), self.label(self.names[index])


@dataset.variant
class by_walking(torch.utils.data.Dataset):
    def __init__(self, root, skip=(), mean=0.0, std=1.0):
        self.root, self.mean, self.std = str(root), mean, std
        self.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        self.samples = [
            (letter, file)
            for letter in self.classes
            for file in sorted(os.listdir(f"{root}/{letter}"))
            if file[-4:] == ".png"
        ]
        self.samples = [(letter, file) for letter, file in self.samples if f"{letter}/{file}" not in set(skip)]
        self.names = ["/".join(sample) for sample in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        letter, file = self.samples[index]
        x = torch.tensor(decode(f"{self.root}/{letter}/{file}"), dtype=torch.float32).view(1, 28, 28)
        return x.div(255).sub(self.mean).div(self.std), self.classes.index(letter)
