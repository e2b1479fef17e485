"""What the keys of u08 share.

Pictures in the inputs are 4 × 4 squares of 7 × 7 equal pixels: 28 × 28 as the course's letters are, and small in the key file.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "names, counts, labels and copies are the same or not")
SINGLE = Tolerance(2e-5, 1e-6, "float32, eps 1.2e-7; a few products in a row, sums of up to 784 terms")
LETTERS = "ABCDEFGHIJ"
ON_CPU = "keys are made on the CPU, where batches are already; the CUDA run of the checks sees it"
NUMBERS = "without a graph, a 0-d tensor is as good as the number in it"


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


def draw(g, low, high):
    return int(torch.randint(low, high, (1,), generator=g))


def shuffled(g, items):
    return [items[i] for i in torch.randperm(len(items), generator=g).tolist()]


def blocks(g, n):
    """n pictures of 4 × 4 squares; no two are equal."""
    small = torch.randint(0, 256, (n, 4, 4), generator=g, dtype=torch.uint8)
    return small.repeat_interleave(7, 1).repeat_interleave(7, 2)


def names(g, n, tag=""):
    return [f"{tag}{LETTERS[draw(g, 0, 10)]}{i}{draw(g, 100, 1000)}.png" for i in shuffled(g, list(range(n)))]


def png(pixels, cut=None):
    """A PNG's bytes as Latin-1 text, which is how the probe takes them. cut: keep only that share."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    return data[: int(len(data) * cut)].decode("latin-1") if cut else data.decode("latin-1")


def letters_of(g, n):
    """n different letters, in alphabetical order."""
    return sorted(shuffled(g, list(LETTERS))[:n])


def swapped(picture):
    """Another picture with the same pixels in other places: equal sum, equal histogram, equal border."""
    other = picture.clone()
    other[7:14], other[14:21] = picture[14:21], picture[7:14]
    return other


def decode(path, decodes=True, sized=True):
    """read_pixels, with parts left out."""
    with Image.open(path) as image:
        if sized and (image.size != (28, 28) or image.mode != "L"):
            raise ValueError("size")
        try:
            return np.array(image)
        except Exception:
            if decodes:
                raise
            return np.frombuffer(Path(path).read_bytes(), np.uint8)
