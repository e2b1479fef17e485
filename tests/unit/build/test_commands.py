"""`coursekit build`: the same source gives the same bytes, and `--check` notices whatever is out of step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coursekit.build import commands
from coursekit.build.commands import build
from coursekit.checks import key as keys
from coursekit.errors import CourseError


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_two_builds_are_equal_byte_by_byte(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert build([]) == 0
    first = files(mini.root)
    assert capsys.readouterr().out == (
        "u01_tensors: notebooks/u01_tensors.ipynb, data/keys/u01_tensors.key, "
        "autograder/source/u01_tensors/u01_tensors.ipynb\n"
    )
    mini.notebook.unlink()
    mini.built_key.unlink()
    assert build(["u01"]) == 0
    assert files(mini.root) == first
    assert build([]) == 0
    assert capsys.readouterr().out.endswith("u01_tensors: nothing changed\n")
    assert build([], check=True) == 0
    assert capsys.readouterr().out == "1 unit(s) complete and in sync.\n"


def test_check_writes_nothing(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(mini.root)
    assert build([], check=True) == 1
    assert files(mini.root) == before
    assert capsys.readouterr().err == (
        "out of sync: notebooks/u01_tensors.ipynb\n"
        "out of sync: data/keys/u01_tensors.key\n"
        "Run `coursekit build`, and commit what it writes.\n"
    )


@pytest.mark.parametrize(
    "spoil", ["edited notebook", "stale key", "orphan notebook", "orphan key", "newer source", "newer toml"]
)
def test_check_notices(mini: Any, capsys: pytest.CaptureFixture[str], spoil: str) -> None:
    build([])
    capsys.readouterr()
    notebook, key = "notebooks/u01_tensors.ipynb", "data/keys/u01_tensors.key"
    named = {
        "edited notebook": [notebook],
        "stale key": [key],
        "orphan notebook": ["notebooks/u07_gone.ipynb"],
        "orphan key": ["data/keys/u07_gone.key"],
        "newer source": [notebook],
        "newer toml": [notebook],
    }[spoil]
    if spoil == "edited notebook":
        mini.change(mini.notebook, "# Tensors\\n", "# Sensors\\n")
    elif spoil == "stale key":
        mini.change(mini.key, '"zero"', '"another hint"')
    elif spoil == "orphan notebook":
        (mini.notebook.parent / "u07_gone.ipynb").write_text("{}", "utf-8")
    elif spoil == "orphan key":
        (mini.built_key.parent / "u07_gone.key").write_bytes(b"")
    elif spoil == "newer source":
        mini.change(mini.source, "# text", "# other text")
    else:
        mini.change(mini.toml, "Means are everywhere.", "Centring is everywhere.")
    assert build([], check=True) == 1
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("out of sync")] == [
        f"out of sync: {name}" for name in named
    ]


def test_an_orphan_is_removed_not_built(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    build([])
    (mini.notebook.parent / "u07_gone.ipynb").write_text("{}")
    assert build([], check=True) == 1
    assert capsys.readouterr().err == (
        "out of sync: notebooks/u07_gone.ipynb\nRemove what no unit builds, or list its unit in course.toml.\n"
    )


def test_an_orphan_is_nobodys_business_when_one_unit_is_checked(mini: Any) -> None:
    build([])
    (mini.notebook.parent / "u07_gone.ipynb").write_text("{}", "utf-8")
    assert build(["u01"], check=True) == 0


def test_an_unknown_unit(mini: Any) -> None:
    with pytest.raises(CourseError) as caught:
        build(["u07"])
    assert str(caught.value) == "There is no unit `u07`.\nUnits in this course: u01_tensors."


def test_a_missing_source(mini: Any) -> None:
    mini.source.unlink()
    with pytest.raises(CourseError, match=r"^u01_tensors.py cannot be read: No such file"):
        build([])


def test_a_full_disk_leaves_the_old_file(mini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build([])
    old = mini.notebook.read_bytes()
    mini.change(mini.source, "# text", "# other text")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(commands.Path, "write_bytes", full)
    with pytest.raises(CourseError, match=r"u01_tensors.ipynb cannot be written: No space left on device"):
        build([])
    monkeypatch.undo()
    assert mini.notebook.read_bytes() == old
    assert not list(mini.root.rglob("*.draft"))


SECRETS = ["raise ValueError", "these shapes differ", "2 * (pred - y)", "pred - y", "mean_of_columns", "x.mean(dim=0)"]


def test_nothing_that_students_get_holds_a_solution(mini: Any) -> None:
    build([])
    release = "".join("".join(cell["source"]) for cell in json.loads(mini.notebook.read_text("utf-8"))["cells"])
    key = keys.frame(mini.built_key.read_bytes())
    assert b"drops the factor 2" in key
    for secret in SECRETS:
        assert secret not in release
        assert secret.encode() not in key
    solution = (mini.root / "autograder/source/u01_tensors/u01_tensors.ipynb").read_text("utf-8")
    assert all(secret in solution for secret in SECRETS)
