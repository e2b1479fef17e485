"""The handwritten digits that the course ships, as tensors and as a Dataset."""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Dataset

from coursekit.data.files import data_file

FULL = 16  # a pixel counts the inked dots of a 4 x 4 block


def load_digits() -> tuple[Tensor, Tensor]:
    """Give images (1797, 8, 8) uint8, 0 to 16, and labels (1797,) uint8, 0 to 9. Raises: CourseError: if the file is damaged."""
    tensors = load_file(data_file("digits.safetensors"))
    return tensors["images"], tensors["labels"]


class Digits(Dataset[tuple[Tensor, int]]):
    """Sample i is (image, label): a (1, 8, 8) float32 tensor from 0 to 1, and an int."""

    def __init__(self) -> None:
        self.images, self.labels = load_digits()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index].to(torch.float32) / FULL  # a tensor raises IndexError by itself
        return image.unsqueeze(0), int(self.labels[index])
