"""The letters A to J that the course ships: unpack the tree of pictures, and read one of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from coursekit.data.archive import unpack
from coursekit.data.files import data_file

ARCHIVE, TOP = "letters.tar.gz", "letters"
LETTERS = "ABCDEFGHIJ"  # label k is LETTERS[k]
SIDE = 28


def extract(folder: str | Path) -> Path:
    """Unpack the shipped letters once; later calls give the same tree, with what you changed in it.

    Args: folder: where the tree is to lie.
    Returns: folder/letters, holding train/A … train/J and valid/A … valid/J.
    Raises: CourseError: the shipped archive is damaged, the disk is full, or another folder of that name is there.
    """
    archive = data_file(ARCHIVE)
    return unpack(archive, Path(folder), TOP, hashlib.sha256(archive.read_bytes()).hexdigest())


def read_image(path: str | Path) -> Tensor:
    """Read one grey picture.

    Returns: (1, 28, 28) uint8, 0 (paper) to 255 (ink).
    Raises: ValueError: the file is empty, broken off, no picture, or not 28×28 grey.
    """
    try:
        with Image.open(path) as image:
            image.load()  # open reads the head only; what is broken off shows here
            if image.mode != "L" or image.size != (SIDE, SIDE):
                raise ValueError(f"{path}: a {image.mode} picture of {image.size[0]}×{image.size[1]}, not grey 28×28")
            return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, SIDE, SIDE)
    except (OSError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # no such file, no permission: nothing is wrong with a picture
        raise ValueError(f"{path}: not a readable picture ({error})") from error


def readable(folder: Path) -> tuple[list[Path], list[Path]]:
    """Part the pictures below a folder into those that can be read and those that cannot, each sorted."""
    good: list[Path] = []
    bad: list[Path] = []
    for path in sorted(folder.rglob("*.png")):
        try:
            read_image(path)
            good.append(path)
        except ValueError:
            bad.append(path)
    return good, bad
