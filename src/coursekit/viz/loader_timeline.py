"""What a DataLoader does when: sampler, samples, collate, waiting and training, recorded from a real run and drawn on one time axis."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, default_collate, get_worker_info

from coursekit.viz.style import BLACK, GREY, MARKS, PALE, Picture

MAIN = -1
CHOOSE, LOAD, COLLATE, WAIT, STEP = "choose", "load", "collate", "wait", "step"
_WORDS = {LOAD: "load one sample", COLLATE: "collate", WAIT: "main waits", STEP: "training step"}
_HATCH = {LOAD: "", COLLATE: "//////", WAIT: "....", STEP: "xx"}


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args: what: choose, load, collate, wait or step. who: number of the worker, or -1 for the main process.
    batch: number of the batch, in the order in which the sampler chose them. start, end: seconds.
    """

    what: str
    who: int
    batch: int
    start: float
    end: float


@dataclass(frozen=True)
class Run:
    """One recorded epoch. Args: batches: the indices of each batch. workers: how many; 0: the main process did all."""

    events: tuple[Event, ...]
    batches: tuple[tuple[int, ...], ...]
    workers: int

    @property
    def seconds(self) -> float:
        """From the first choice to the end of the last training step."""
        return max(event.end for event in self.events)

    @property
    def waited(self) -> float:
        """How long the training loop stood still."""
        return sum(event.end - event.start for event in self.events if event.what == WAIT)


class _Timed(Dataset[tuple[Any, int, float, float]]):
    """A dataset whose samples say who made them, and when. It stands in a module, so every start method can send it to a worker."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[Any, int, float, float]:
        start = time.perf_counter()
        sample = self.dataset[index]
        info = get_worker_info()
        return sample, MAIN if info is None else info.id, start, time.perf_counter()


def _timed_collate(items: list[tuple[Any, int, float, float]]) -> tuple[Any, int, list[tuple[str, float, float]]]:
    start = time.perf_counter()
    batch = default_collate([sample for sample, *_ in items])
    log = [(LOAD, begun, ended) for _, _, begun, ended in items]
    return batch, items[0][1], [*log, (COLLATE, start, time.perf_counter())]


class _Chosen(Sampler[list[int]]):
    """A batch sampler that notes when each batch was asked for."""

    def __init__(self, inner: Sampler[list[int]]) -> None:
        self.inner = inner
        self.times: list[float] = []
        self.batches: list[tuple[int, ...]] = []

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.inner:
            self.times.append(time.perf_counter())
            self.batches.append(tuple(batch))
            yield batch


def record(
    dataset: Any,
    batch_size: int,
    num_workers: int,
    step_seconds: float,
    seed: int = 0,
    prefetch_factor: int = 2,
    context: str | None = None,
) -> Run:
    """Run one shuffled epoch with a DataLoader, and note what happened when.

    Args: dataset: map-style; for workers that are started afresh, its class must stand in a module. step_seconds: how long the
    main process is busy with each batch. context: start method of the workers, such as "spawn"; None: the system's own.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = _Chosen(BatchSampler(RandomSampler(dataset, generator=generator), batch_size, drop_last=False))
    loader = DataLoader(
        _Timed(dataset),
        batch_sampler=chosen,
        num_workers=num_workers,
        collate_fn=_timed_collate,
        prefetch_factor=prefetch_factor if num_workers else None,
        multiprocessing_context=context if num_workers else None,
    )
    events: list[Event] = []
    asked = time.perf_counter()
    for number, (_, who, log) in enumerate(loader):
        came = time.perf_counter()
        if num_workers:
            events.append(Event(WAIT, MAIN, number, asked, came))
        events += [Event(what, who, number, start, end) for what, start, end in log]
        time.sleep(step_seconds)
        asked = time.perf_counter()
        events.append(Event(STEP, MAIN, number, came, asked))
    events += [Event(CHOOSE, MAIN, number, when, when) for number, when in enumerate(chosen.times)]
    zero = chosen.times[0]
    moved = (Event(e.what, e.who, e.batch, max(e.start - zero, 0.0), max(e.end - zero, 0.0)) for e in events)
    return Run(tuple(sorted(moved, key=lambda e: (e.start, e.end))), tuple(chosen.batches), num_workers)


def timeline(run: Run, until: int | None = None) -> Picture:
    """Draw a run.

    Args: until: show what happened up to the arrival of this many batches; None: everything.
    Returns: the picture. Colour and number name the batch, the filling says what is done.
    """
    end = run.seconds if until is None else next(e.start for e in run.events if e.what == STEP and e.batch == until - 1)
    shown = [event for event in run.events if event.start < end or event.what == CHOOSE and event.start <= end]
    rows = ["sampler", *(f"worker {number}" for number in range(run.workers)), "main process"]
    picture = Picture(_alt(run, until), (8.6, 1.7 + 0.55 * len(rows)))
    title = f"{len(run.batches)} batches, {run.workers} workers: {run.seconds:.2f} s"
    axes = picture.axes_with(
        title if until is None else f"{title}; until batch {until - 1} arrives", "seconds since the first choice"
    )
    for event in shown:
        row = 0 if event.what == CHOOSE else len(rows) - 1 if event.who == MAIN else 1 + event.who
        _draw(axes, event, row, min(event.end, end))
    _number(axes, run, [event for event in shown if event.end <= end], len(rows))
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-0.02 * run.seconds, run.seconds * 1.02)
    handles = [
        Patch(facecolor=PALE, edgecolor=BLACK, hatch=_HATCH[what], label=word)
        for what, word in _WORDS.items()
        if any(event.what == what for event in run.events)
    ]
    picture.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return picture


def _draw(axes: Axes, event: Event, row: int, end: float) -> None:
    colour = MARKS[event.batch % len(MARKS)].colour
    if event.what == CHOOSE:
        axes.plot([event.start], [row + 0.2], color=colour, marker="|", markersize=9, markeredgewidth=2, gid=CHOOSE)
        return
    waits = event.what == WAIT
    box = Rectangle(
        (event.start, row - 0.36),
        end - event.start,
        0.72,
        facecolor="white" if waits else colour,
        edgecolor=GREY if waits else BLACK,
        linewidth=0.8,
        hatch=_HATCH[event.what],
        gid=event.what,
    )
    axes.add_patch(box)


def _number(axes: Axes, run: Run, shown: Sequence[Event], rows: int) -> None:
    """Write the number of its batch at each group of choices, at each batch of samples and at each step."""
    plain = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    for event in shown:
        if event.what == STEP:
            axes.text(
                (event.start + event.end) / 2,
                rows - 1,
                str(event.batch),
                ha="center",
                va="center",
                fontsize=9,
                bbox=plain,
            )
        elif event.what == COLLATE and event.who != MAIN:
            start = min(e.start for e in shown if e.what == LOAD and e.batch == event.batch)
            axes.text(
                (start + event.end) / 2,
                1 + event.who,
                str(event.batch),
                ha="center",
                va="center",
                fontsize=9,
                bbox=plain,
            )
    groups: list[list[Event]] = []
    for event in (e for e in shown if e.what == CHOOSE):
        if groups and event.start - groups[-1][0].start < 0.06 * run.seconds:
            groups[-1].append(event)
        else:
            groups.append([event])
    for group in groups:
        text = " ".join(str(event.batch) for event in group)
        axes.text(group[0].start, -0.2, text, ha="left", va="center", fontsize=9, gid=CHOOSE)


def _alt(run: Run, until: int | None) -> str:
    who = (
        "the main process does everything" if not run.workers else f"{run.workers} workers load beside the main process"
    )
    part = "" if until is None else f" Shown until batch {until - 1} arrives."
    first = next(event for event in run.events if event.what == STEP)
    return (
        f"Timeline of a DataLoader with {len(run.batches)} batches of up to {max(map(len, run.batches))} samples; {who}. It took "
        f"{run.seconds:.2f} seconds, of which the main process waited {run.waited:.2f}; the first batch arrived after {first.start:.2f}.{part}"
    )


def made_by(run: Run) -> Sequence[int]:
    """Which worker made each batch."""
    return [
        next(event.who for event in run.events if event.what == COLLATE and event.batch == number)
        for number in range(len(run.batches))
    ]
