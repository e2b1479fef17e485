"""The timeline of a loader: what is recorded really happened in that order, and the picture says it in boxes and words."""

from __future__ import annotations

import multiprocessing

import pytest
from matplotlib.patches import Rectangle

from coursekit.data.workers import Slow
from coursekit.viz.loader_timeline import CHOOSE, COLLATE, LOAD, MAIN, STEP, WAIT, Event, Run, made_by, record, timeline
from coursekit.viz.show import png
from coursekit.viz.style import Picture

# Two workers, three batches of two: a run as it could be, with round numbers.
MADE = Run(
    (
        *(Event(CHOOSE, MAIN, n, 0.0, 0.0) for n in range(3)),
        Event(WAIT, MAIN, 0, 0.0, 0.3),
        Event(LOAD, 0, 0, 0.1, 0.15),
        Event(LOAD, 0, 0, 0.15, 0.2),
        Event(COLLATE, 0, 0, 0.2, 0.25),
        Event(LOAD, 1, 1, 0.1, 0.2),
        Event(LOAD, 1, 1, 0.2, 0.3),
        Event(COLLATE, 1, 1, 0.3, 0.35),
        Event(STEP, MAIN, 0, 0.3, 0.5),
        Event(LOAD, 0, 2, 0.3, 0.4),
        Event(LOAD, 0, 2, 0.4, 0.5),
        Event(COLLATE, 0, 2, 0.5, 0.55),
        Event(WAIT, MAIN, 1, 0.5, 0.5),
        Event(STEP, MAIN, 1, 0.5, 0.7),
        Event(WAIT, MAIN, 2, 0.7, 0.7),
        Event(STEP, MAIN, 2, 0.7, 0.9),
    ),
    ((3, 1), (0, 2), (4, 5)),
    workers=2,
)


def boxes(picture: Picture, what: str) -> list[Rectangle]:
    return [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle) and patch.get_gid() == what]


def rows(picture: Picture) -> list[str]:
    return [label.get_text() for label in picture.axes[0].get_yticklabels()]


def test_each_event_is_a_box_in_the_row_of_its_process() -> None:
    picture = timeline(MADE)
    assert rows(picture) == ["sampler", "worker 0", "worker 1", "main process"]
    assert [len(boxes(picture, what)) for what in (LOAD, COLLATE, WAIT, STEP)] == [6, 3, 3, 3]
    assert {round(box.get_y() + 0.36) for box in boxes(picture, LOAD)} == {1, 2}
    assert {round(box.get_y() + 0.36) for box in boxes(picture, STEP)} == {3}
    assert {box.get_hatch() for what in (LOAD, COLLATE, WAIT, STEP) for box in boxes(picture, what)} == {
        "",
        "//////",
        "....",
        "xx",
    }


def test_batches_are_told_apart_by_number_as_well_as_by_colour() -> None:
    picture = timeline(MADE)
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert sorted(texts) == ["0", "0", "0 1 2", "1", "1", "2", "2"]


def test_axes_title_legend_and_alt_text() -> None:
    picture = timeline(MADE)
    assert picture.axes[0].get_xlabel() == "seconds since the first choice"
    assert picture.axes[0].get_title() == "3 batches, 2 workers: 0.90 s"
    assert [text.get_text() for text in picture.legends[0].get_texts()] == [
        "load one sample",
        "collate",
        "main waits",
        "training step",
    ]
    assert picture.alt == (
        "Timeline of a DataLoader with 3 batches of up to 2 samples; 2 workers load beside the main process. It took 0.90 seconds, "
        "of which the main process waited 0.30; the first batch arrived after 0.30."
    )
    assert png(picture).startswith(b"\x89PNG")


def test_a_frame_ends_when_its_batch_arrives() -> None:
    picture = timeline(MADE, until=1)
    assert boxes(picture, STEP) == []
    assert max(
        box.get_x() + box.get_width() for what in (LOAD, COLLATE, WAIT) for box in boxes(picture, what)
    ) == pytest.approx(0.3)
    assert picture.alt.endswith("Shown until batch 0 arrives.")


def test_a_real_run_without_workers() -> None:
    run = record(Slow(5, 0.001), batch_size=2, num_workers=0, step_seconds=0.001)
    assert sorted(index for batch in run.batches for index in batch) == [0, 1, 2, 3, 4]
    assert (list(made_by(run)), run.waited) == ([MAIN] * 3, 0)
    assert rows(timeline(run)) == ["sampler", "main process"]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_real_run_with_workers(method: str) -> None:
    run = record(Slow(7, 0.001), batch_size=2, num_workers=2, step_seconds=0.001, seed=3, context=method)
    assert list(made_by(run)) == [0, 1, 0, 1]
    assert run.batches == record(Slow(7, 0.0), batch_size=2, num_workers=0, step_seconds=0.0, seed=3).batches
    for number, batch in enumerate(run.batches):
        of = {
            what: [event for event in run.events if event.batch == number and event.what == what]
            for what in (CHOOSE, LOAD, COLLATE, STEP)
        }
        assert [len(of[what]) for what in (CHOOSE, LOAD, COLLATE, STEP)] == [1, len(batch), 1, 1]
        assert of[CHOOSE][0].start <= of[LOAD][0].start <= of[LOAD][-1].end <= of[COLLATE][0].end <= of[STEP][0].start
