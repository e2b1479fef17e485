"""The shipped digits, as tensors and as a dataset."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from coursekit.data.digits import Digits, load_digits


def test_what_is_in_the_file() -> None:
    images, labels = load_digits()
    assert (images.shape, images.dtype, int(images.max())) == ((1797, 8, 8), torch.uint8, 16)
    assert torch.bincount(labels.long()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_samples_are_pairs() -> None:
    digits = Digits()
    image, label = digits[0]
    assert (image.shape, image.dtype, type(label), label) == ((1, 8, 8), torch.float32, int, 0)
    assert image.min() >= 0 and image.max() <= 1
    assert digits[-1][1] == int(digits.labels[-1])


def test_an_index_past_the_end_raises() -> None:
    with pytest.raises(IndexError):
        Digits()[1797]


def test_a_worker_that_is_started_afresh_can_load_it() -> None:
    loader = DataLoader(Digits(), batch_size=900, num_workers=1, multiprocessing_context="spawn")
    assert [(tuple(x.shape), y.dtype) for x, y in loader] == [
        ((900, 1, 8, 8), torch.int64),
        ((897, 1, 8, 8), torch.int64),
    ]
