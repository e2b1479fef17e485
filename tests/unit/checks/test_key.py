"""A key is data: it survives the way through its file bit by bit, and a damaged file is said to be one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.checks import key as keys
from coursekit.checks.compare import Rules, same
from coursekit.checks.key import Case, ExerciseKey, KnownWrong
from coursekit.errors import CourseError

X = torch.arange(6.0).reshape(2, 3)


@pytest.fixture
def key(see: Callable[..., Any], fail: Callable[..., Any]) -> ExerciseKey:
    seen = see(grad=X, losses=[1.0, float("inf")], ok=True, names={"$odd": "é"})
    cases = (
        Case({"x": X, "lr": 0.1, "sizes": [1, 2]}, seen),
        Case({"x": X.T}, fail("ValueError", "shapes", "raise", 3, "f")),
    )
    wrong = (KnownWrong("zero", "All zero.", (see(grad=0 * X), seen), released=True, within=(1e-3, 0.0)),)
    return ExerciseKey(
        "u01-x", "f", ("a?", "b", "c"), cases, wrong, ("ok",), {"grad": 2.0}, {"grad": (1e-4, 1e-6)}, ("grad",)
    )


def test_round_trip(key: ExerciseKey) -> None:
    data = keys.dump("u01_x", [key])
    back = keys.parse(data)["u01-x"]
    assert keys.dump("u01_x", [back]) == data == keys.dump("u01_x", [key]), "the same key gives the same bytes"
    for name in ("id", "function", "hints", "guards", "weights", "tolerance", "strict_dtype"):
        assert getattr(back, name) == getattr(key, name)
    assert (back.wrong[0].name, back.wrong[0].hint, back.wrong[0].released) == ("zero", "All zero.", True)
    assert back.wrong[0].within == (1e-3, 0.0)
    assert back.cases[1].expected.failure == key.cases[1].expected.failure
    for mine, theirs in zip(back.cases, key.cases, strict=True):
        assert same(dict(mine.expected.values), dict(theirs.expected.values), Rules((0.0, 0.0), strict_dtype=True))


def test_a_key_says_what_it_was_made_with(key: ExerciseKey) -> None:
    import torch

    assert keys.maker(keys.dump("u01_x", [key], keys.machine()))["torch"] == torch.__version__
    assert list(keys.machine()) == ["Python", "torch", "processor"]
    assert keys.maker(keys.dump("u01_x", [key])) == keys.maker(b"damaged") == {}


@pytest.mark.parametrize("cut", [0, 4, 8, 40, -1])
def test_a_damaged_key_is_our_fault(key: ExerciseKey, cut: int) -> None:
    with pytest.raises(CourseError, match="An answer key cannot be read") as caught:
        keys.parse(keys.dump("u01_x", [key])[:cut])
    assert caught.value.remedy == "Install the course again, or run `coursekit build`."


def test_another_version(key: ExerciseKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "VERSION", keys.VERSION + 1)
    data = keys.dump("u01_x", [key])
    monkeypatch.undo()
    with pytest.raises(CourseError, match="it is not a key of this version"):
        keys.parse(data)


def test_visible_finds_by_id_and_names_the_nearest(
    key: ExerciseKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSEKIT_KEYS", str(tmp_path))
    (tmp_path / "u01_x.key").write_bytes(keys.dump("u01_x", [key]))
    assert keys.visible("u01-x").function == "f"
    assert list(keys.units()) == ["u01_x"]
    with pytest.raises(CourseError) as caught:
        keys.visible("u01-y")
    assert str(caught.value) == "There is no exercise `u01-y`.\nDid you mean `u01-x`?"
    with pytest.raises(CourseError) as caught:
        keys.visible("u07-y")
    assert caught.value.remedy == "Exercise ids look like u01-sse-grad."


def test_a_key_that_changes_on_disk_is_read_again(
    key: ExerciseKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setenv("COURSEKIT_KEYS", str(tmp_path))
    file = tmp_path / "u01_x.key"
    file.write_bytes(keys.dump("u01_x", [key]))
    os.utime(file, (1, 1))
    assert keys.visible("u01-x").hints[0] == "a?"
    file.write_bytes(keys.dump("u01_x", [replace(key, hints=("new?", "b", "c"))]))
    os.utime(file, (2, 2))
    assert keys.visible("u01-x").hints[0] == "new?"


def test_reading_a_key_never_unpickles() -> None:
    code = (
        "import sys, pickle, torch\n"
        "pickle.load = pickle.loads = torch.load = None\n"
        "from coursekit.checks import key\n"
        "key.parse(key.dump('u01_x', []))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
