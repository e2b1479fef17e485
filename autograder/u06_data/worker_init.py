"""The key of u06-worker-init."""

import numpy as np
import torch
from torch.utils.data import get_worker_info

from coursekit.course.authoring import Key

from ._shared import EXACT

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
