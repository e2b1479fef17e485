"""The key of u06-hunt-stream: the stream that lost its half."""

import itertools

import torch
from torch.utils.data import IterableDataset, get_worker_info

from coursekit.course.authoring import Key

from ._shared import EXACT

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
