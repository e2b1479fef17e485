"""Small datasets that show how worker processes behave, and a stand-in for a worker.

They stand in a module, not in a notebook cell: a worker that is started afresh imports its dataset by name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from torch.utils.data._utils import worker as _worker


class WhoAmI(Dataset[int]):
    """Sample i is the number of the worker that made it, or -1 in the main process."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        info = get_worker_info()
        return -1 if info is None else info.id


class Slow(Dataset[Tensor]):
    """Sample i takes `seconds` and is a tensor of `size` numbers i. It waits as for a disk: it uses no processor."""

    def __init__(self, n: int, seconds: float, size: int = 4) -> None:
        self.n, self.seconds, self.size = n, seconds, size

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(self.seconds)
        return torch.full((self.size,), float(index))


class Noisy(Dataset[int]):
    """Sample i is a whole number below 1000, drawn from a NumPy generator that the dataset owns."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self.n, self.rng = n, np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return int(self.rng.integers(1000))


class Counting(IterableDataset[int]):
    """A stream of 0, 1, … n - 1 that does not ask which worker it is in."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n))


def start_worker_afresh(worker_id: int) -> None:
    """A worker_init_fn that gives the dataset's own generator the worker's seed."""
    info = get_worker_info()
    assert info is not None
    info.dataset.rng = np.random.default_rng(info.seed)  # type: ignore[attr-defined]


@contextlib.contextmanager
def pretend_worker(number: int, count: int, base_seed: int = 0, dataset: Any = None) -> Iterator[None]:
    """Let get_worker_info() answer as in worker `number` of `count`, without a process.

    Args: base_seed: what the loader would draw for the epoch; the worker's seed is base_seed + number.
    dataset: what info.dataset is.
    """
    before, seed = _worker._worker_info, base_seed + number
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # as a real worker does before anything else
        _worker._worker_info = _worker.WorkerInfo(id=number, num_workers=count, seed=seed, dataset=dataset)
        try:
            yield
        finally:
            _worker._worker_info = before
