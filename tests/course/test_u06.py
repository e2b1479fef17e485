"""Facts that u06 tells: its numbers come out, the curriculum's mistakes are among its wrong answers, and its parts work in a real loader."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from coursekit.build.compile import Compiler
from coursekit.build.source import Cell, UnitSource
from coursekit.data.digits import Digits
from coursekit.data.files import data_file
from coursekit.data.workers import Noisy
from coursekit.viz.padding import waste

UNIT = "u06_data"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return data_file("lines.txt").read_text("utf-8").splitlines()


def demos(unit: tuple[UnitSource, Compiler]) -> list[Cell]:
    return [cell for cell in unit[0].cells if cell.role == "demo"]


def demo(unit: tuple[UnitSource, Compiler], *markers: str) -> dict[str, Any]:
    """Run the demonstration cells that contain the markers, one after the other, and give their names."""
    names = dict(unit[1].names)
    for marker in markers:
        exec(next(cell.text for cell in demos(unit) if marker in cell.text), names)
    return names


def test_demonstrations_are_short(unit: tuple[UnitSource, Compiler]) -> None:
    assert [cell.line for cell in demos(unit) if len(cell.text.splitlines()) > 12] == []


def test_the_curriculums_mistakes_are_there(unit: tuple[UnitSource, Compiler]) -> None:
    names = {wrong.name for key in unit[1].keys.values() for wrong in key.wrong_answers}
    assert {"never_ends", "one_line_too_many", "counts_characters", "ragged_stack", "float_x", "float_ids", "with_replacement", "mean_of_means",
            "sets_the_shared_transform", "validation_augmented", "by_constant", "not_stored", "whole_stream"} <= names  # fmt: skip


def test_the_hunts_show_their_symptoms(unit: tuple[UnitSource, Compiler]) -> None:
    source, compiler = unit
    broken = compiler.redefined(
        source.exercises["u06-hunt-channels"], source.exercises["u06-hunt-channels"].broken or ""
    )
    names = demo(unit, "digits = Digits()", "colour = torch.zeros(8, 8, 3")
    fixed, soup = compiler.names["to_chw"](names["colour"]), broken(names["colour"])
    assert fixed.shape == soup.shape
    assert fixed.mean(dim=(1, 2))[1:].tolist() == pytest.approx([0, 128 / 255])
    assert soup.mean(dim=(1, 2)).std() < 0.1 < fixed.mean(dim=(1, 2)).std()


def test_a_loop_without_index_error_does_not_end(
    unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]
) -> None:
    demo(unit, "class Squares", "for careful in")
    assert capsys.readouterr().out.splitlines() == [
        "careful: True  length: 4  samples: 4 [0, 1, 4, 9]", "careful: False  length: 4  samples: 20 [0, 1, 4, 9, 16, 25]"]  # fmt: skip


def test_dict_samples_in_batches_of_two_and_three(unit: tuple[UnitSource, Compiler]) -> None:
    samples = demo(unit, "class TextSamples")["samples"]
    for size, sizes in ((2, [2, 2, 1]), (3, [3, 2])):
        batches = list(DataLoader(samples, batch_size=size))
        assert [len(batch["Text"]) for batch in batches] == sizes
        assert batches[0]["Class"].tolist() == [0, 1, 0][:size] and isinstance(batches[0]["Text"][0], str)


def test_copies_on_both_sides_of_a_split(unit: tuple[UnitSource, Compiler], capsys: pytest.CaptureFixture[str]) -> None:
    demo(unit, "originals, classes")
    leaking, honest = (float(line.split(":")[1]) for line in capsys.readouterr().out.splitlines())
    assert leaking > 0.99 and honest < 0.2


def test_shuffle_and_a_sampler_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="mutually exclusive"):
        DataLoader(Digits(), shuffle=True, sampler=SequentialSampler(range(3)))


def test_drawing_with_replacement_shows_63_percent() -> None:
    n = len(Digits())
    shown = len(torch.randint(n, (n,), generator=torch.Generator().manual_seed(0)).unique()) / n
    assert round(shown, 3) == 0.627
    assert (1 - 1 / n) ** n == pytest.approx(0.37, abs=0.005)


def test_padding_of_the_shipped_lines(lines: list[str]) -> None:
    lengths = [len(line) for line in lines]
    assert (len(lengths), sum(lengths), min(lengths), max(lengths)) == (40, 1151, 2, 77)
    for order, padded, total in ((range(40), 1513, 2664), (sorted(range(40), key=lengths.__getitem__), 313, 1464)):
        assert waste([[lengths[i] for i in list(order)[k : k + 8]] for k in range(0, 40, 8)]) == (padded, total)


def test_the_parts_work_together_on_the_shipped_lines(unit: tuple[UnitSource, Compiler], lines: list[str]) -> None:
    names = unit[1].names
    vocab = {character: number for number, character in enumerate(sorted(set("".join(lines))), 2)}
    dataset = names["TextLineDataset"](data_file("lines.txt"), vocab)
    lengths = [len(line) for line in lines]
    assert [len(ids) for ids in dataset] == lengths
    sampler = names["BucketBatchSampler"](lengths, 8, False, torch.Generator().manual_seed(0))
    batches = list(DataLoader(dataset, batch_sampler=sampler, collate_fn=names["pad_collate"]))
    back = {i: c for c, i in vocab.items()}
    texts = {"".join(back[int(i)] for i in row[:n]) for x, sizes in batches for row, n in zip(x, sizes, strict=True)}
    assert len(batches) == len(sampler) == 5 and texts == set(lines)


def test_worker_init_in_real_workers(unit: tuple[UnitSource, Compiler]) -> None:
    def epochs() -> list[list[int]]:
        g = torch.Generator().manual_seed(0)
        options: dict[str, Any] = {
            "worker_init_fn": unit[1].names["worker_init"],
            "generator": g,
            "multiprocessing_context": "fork",
        }
        return [
            [int(n) for batch in DataLoader(Noisy(8), 2, num_workers=2, **options) for n in batch] for _ in range(2)
        ]

    first = epochs()
    assert len(set(first[0] + first[1])) > 12 and first == epochs()


def test_a_shared_stream_in_real_workers(unit: tuple[UnitSource, Compiler]) -> None:
    source, compiler = unit
    broken = compiler.redefined(source.exercises["u06-hunt-stream"], source.exercises["u06-hunt-stream"].broken or "")
    for kind, wanted in ((compiler.names["SharedStream"], list(range(10))), (broken, sorted([0, 2, 4, 6, 8] * 2))):
        loader = DataLoader(kind(list(range(10))), batch_size=None, num_workers=2, multiprocessing_context="fork")
        assert sorted(int(n) for n in loader) == wanted


def test_the_mean_of_17_samples(unit: tuple[UnitSource, Compiler]) -> None:
    assert round((1 + 1 + 5) / 3, 2) == 2.33
    assert round(unit[1].names["weighted_mean"]([1.0, 1.0, 5.0], [8, 8, 1]), 2) == 1.24
