"""Evidence goes to disk whole or not at all, and comes back the same or with a clear error."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.checks import wire
from coursekit.checks.snapshot import Failure, Observed, Opaque, Seen
from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import CellRun, Evidence, load, pack, save, unpack

VALUES: dict[str, Any] = {
    "tensor": Seen(torch.arange(6.0).reshape(2, 3), requires_grad=True, shares="x"),
    "nested": {"a": [1, -0.5, "text", None, True, Opaque("set")], "$odd": math.inf},
}
FULL = Evidence(
    submission="ab" * 32,
    unit="u01_tensors",
    outcome="timed out",
    where="cell 2: timed out",
    cells=[
        CellRun("ok", [{"output_type": "stream", "name": "stdout", "text": "é\n"}], 0.5),
        CellRun("not run"),
    ],
    observed={
        "u01-a": [Observed(VALUES), Observed(failure=Failure("ValueError", "no", "x()", 3, "f"))],
        "u01-b": [Observed({"y": Seen(torch.ones(2, dtype=torch.int64))}), Observed(lost="crashed")],
    },
    isolation="bubblewrap",
    seconds=1.5,
    environment={"python": "3.11"},
    cpu_seconds=0.75,
    memory_bytes=3 << 20,
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "evidence.bin"
    save(FULL, path)
    back = load(path)
    assert pack(back) == pack(FULL) == path.read_bytes()
    seen = back.observed["u01-a"][0].values["tensor"]
    assert isinstance(seen, Seen)
    assert torch.equal(seen.data, VALUES["tensor"].data)
    assert (seen.requires_grad, seen.shares) == (True, "x")
    assert (back.cpu_seconds, back.memory_bytes) == (0.75, 3 << 20)
    assert back.observed["u01-a"][0].values["nested"] == VALUES["nested"]
    assert back.observed["u01-a"][1] == FULL.observed["u01-a"][1] and back.cells == FULL.cells
    assert os.listdir(path.parent) == ["evidence.bin"]


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -1])
def test_a_cut_file_is_damaged(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "e"
    path.write_bytes(pack(FULL)[:cut])
    with pytest.raises(CourseError, match="is damaged") as caught:
        load(path)
    assert caught.value.remedy == "Delete the file and grade that submission again."


def test_any_single_wrong_byte_is_either_harmless_or_damage(tmp_path: Path) -> None:
    data = pack(FULL)
    for place in range(0, len(data), 7):
        broken = bytearray(data)
        broken[place] ^= 0x5A
        try:
            unpack(bytes(broken))
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "key"}, "it is not evidence"),
        ({"version": 2}, "it has version 2, and this program reads version 1"),
        ({"cells": None}, "missing or of the wrong kind"),
        ({"cells": [{"status": "fine", "outputs": [], "seconds": 0}]}, "unknown status"),
        ({"observed": {"a": [3]}}, "not an object"),
        ({"observed": {"a": [{"values": {"y": {"$tensor": "77"}}}]}}, "was not sent"),
        ({"unit": 3}, "a text is missing"),
        ({"seconds": [1]}, "wrong kind"),
    ],
)
def test_a_wrong_form_is_damage(change: dict[str, Any], said: str) -> None:
    form, tensors = wire.unpack(pack(FULL))
    with pytest.raises(ValueError, match=said):
        unpack(wire.pack({**form, **change}, tensors))


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="could not be read: No such file"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "read-only"), (errno.EACCES, "may write")],
)
def test_a_disk_that_refuses_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    path = tmp_path / "e"
    path.write_bytes(b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CourseError, match=r"could not be written to .*: ") as caught:
        save(FULL, path)
    assert remedy in caught.value.remedy
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["e"]
