"""Datasets that show how workers behave do so under each way of starting them; a pretended worker answers as a real one."""

from __future__ import annotations

import multiprocessing

import pytest
import torch
from torch.utils.data import DataLoader, get_worker_info

from coursekit.data.workers import Counting, Noisy, Slow, WhoAmI, pretend_worker, start_worker_afresh

METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_of_the_dataset_repeats_in_all_workers_until_it_is_seeded(method: str) -> None:
    def epochs(init: object) -> list[list[int]]:
        g = torch.Generator().manual_seed(0)
        loader = DataLoader(
            Noisy(8), 2, num_workers=2, multiprocessing_context=method, worker_init_fn=init, generator=g
        )  # type: ignore[arg-type]
        return [[int(n) for batch in loader for n in batch] for _ in range(2)]

    copied = epochs(None)
    assert copied[0] == copied[1] and copied[0][:2] == copied[0][2:4]
    fresh = epochs(start_worker_afresh)
    assert fresh[0] != fresh[1] and fresh[0][:2] != fresh[0][2:4]
    assert fresh == epochs(start_worker_afresh)


def test_a_stream_that_does_not_ask_comes_once_per_worker() -> None:
    assert [n for batch in DataLoader(Counting(6), 3, num_workers=2) for n in batch.tolist()] == [
        0,
        1,
        2,
        0,
        1,
        2,
        3,
        4,
        5,
        3,
        4,
        5,
    ]


def test_who_made_a_sample() -> None:
    assert [n for batch in DataLoader(WhoAmI(8), 2, num_workers=2) for n in batch.tolist()] == [0, 0, 1, 1, 0, 0, 1, 1]
    assert WhoAmI(3)[0] == -1


def test_slow_samples_say_their_number() -> None:
    assert Slow(3, 0.0, size=2)[2].tolist() == [2, 2]
    assert (len(Slow(3, 0.0)), len(WhoAmI(3)), len(Noisy(3))) == (3, 3, 3)


def test_a_pretended_worker_answers_as_a_real_one_and_leaves_no_trace() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    dataset = Noisy(3)
    with pretend_worker(2, 4, base_seed=100, dataset=dataset):
        info = get_worker_info()
        assert info is not None
        assert (info.id, info.num_workers, info.seed, info.dataset, torch.initial_seed()) == (2, 4, 102, dataset, 102)
    assert get_worker_info() is None
    assert torch.equal(before, torch.get_rng_state())


def test_a_pretended_worker_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), pretend_worker(0, 1):
        raise KeyError
    assert get_worker_info() is None
