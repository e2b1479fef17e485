"""Unit u00: what its text says comes out, its three replies are the quoted ones, and the proof of its checks."""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.build import quotes
from coursekit.build.key_folder import key_files
from coursekit.build.source import UnitSource, read
from coursekit.checks.notebook import examine
from coursekit.checks.render import text
from coursekit.course.catalog import load
from coursekit.course.paths import Course
from coursekit.proof.prove import prove
from coursekit.proof.report import text as table


@pytest.fixture(scope="module")
def source(repository: Path) -> UnitSource:
    return read(repository / "solutions" / "u00_start.py")


@pytest.fixture
def place(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to run in, with the course's keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEKIT_KEYS", str(repository / "data" / "keys"))
    monkeypatch.setenv("COURSEKIT_RESULTS", str(tmp_path / "results.json"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "u00_tools", raising=False)
    return tmp_path


def run(source: UnitSource, *parts: str) -> str:
    """Run the parameters, the imports, and the cells that hold one of the parts. Returns: what they printed."""
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in source.cells:
            if cell.role in ("parameters", "setup") or any(part in cell.text for part in parts if cell.is_code):
                exec(cell.text, names)
    return printed.getvalue()


def prose(source: UnitSource) -> str:
    return re.sub(r"\s+", " ", quotes.plain(" ".join(cell.text for cell in source.cells if cell.role == "prose")))


def verdict(source: UnitSource, exercise: str, answer: str) -> str:
    """What the check says about an answer, as the student reads it."""
    found = source.exercises[exercise]
    names: dict[str, Any] = {"torch": torch, "device": "cpu"}
    for number, cell in enumerate((answer, found.probe)):  # as IPython does, so that their lines are known
        file = f"<ipython-input-{number}-u00>"
        linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
        exec(compile(cell, file, "exec"), names)
    return text(examine(exercise, names[found.probe_name]))


def test_the_predictions_come_out_as_told(source: UnitSource, place: Path) -> None:
    said = run(source, "def note(")
    assert said.splitlines() == ["1. 1.5", "2. ['first', 'second']", "3. False 5.551115123125783e-17"]
    for told in ("1. 1.5.", "`['first', 'second']`", r"$5.6 \cdot 10^{-17}$"):
        assert told in prose(source)


def test_a_cell_depends_on_what_ran_before(source: UnitSource, place: Path) -> None:
    [first, again] = [cell.text for cell in source.cells if cell.is_code and cell.text.startswith("steps =")]
    names: dict[str, Any] = {}
    exec(first, names)
    seen = []
    for _ in range(3):
        exec(again.removesuffix("\nsteps"), names)
        seen.append(names["steps"])
    assert seen == [20, 40, 80]
    assert "20, 40, 80" in prose(source)


def test_errors_name_what_the_text_says(source: UnitSource, place: Path) -> None:
    assert run(source, "def mean_of_rows") == "ZeroDivisionError: division by zero\n"
    assert "(2x3 and 2x3)" in run(source, "torch.ones(2, 3) @")
    assert "meta" in run(source, "far + torch.zeros").splitlines()[-1]


def test_cat_converts_without_a_word(source: UnitSource, place: Path) -> None:
    said = run(source, "counts = torch.tensor")
    assert said.splitlines() == ["torch.Size([6, 2]) torch.Size([3, 4])", "torch.float32"]
    assert torch.tensor(2**24 + 1).float() == torch.tensor(2**24).float()


def test_seeds_do_what_the_text_says(source: UnitSource, place: Path) -> None:
    shared = run(source, "torch.manual_seed(seed)\nprint").splitlines()
    own = run(source, "the next three").splitlines()
    assert shared[0][14:] != shared[1][14:]
    assert own[0][14:] == own[1][14:] == shared[0][14:]
    assert own[2][14:] != own[0][14:]


def test_a_module_changes_only_when_it_is_reloaded(source: UnitSource, place: Path) -> None:
    [cell] = [cell.text for cell in source.cells if cell.text.startswith("%%writefile u00_tools.py")]
    (place / "u00_tools.py").write_text(cell.split("\n", 1)[1], "utf-8")
    said = run(source, "importlib.reload")
    assert [line.split("tensor")[1] for line in said.splitlines()] == ["([0, 2, 4])", "([0, 2, 4])", "([100, 102, 104])"]


def test_the_three_replies_of_section_3(source: UnitSource, place: Path) -> None:
    stub = "def append_ones(x):\n    raise NotImplementedError()"
    assert verdict(source, "u00-append-ones", stub).startswith("○ Not started: u00-append-ones\n  `append_ones` is still the blank stub.")
    assert "`append_ones` is still the blank stub" in prose(source)
    not_yet = verdict(source, "u00-append-ones", "def append_ones(x):\n    return x").splitlines()
    assert not_yet == ["✘ Not yet: u00-append-ones",
                       "  `append_ones` returns x as it was. Nothing has been appended yet: its result should have one column more.",
                       "  Already right: `device_followed`.", '  For a hint, run `hint("u00-append-ones")`.']
    assert verdict(source, "u00-append-ones", source.exercises["u00-append-ones"].answer.text).startswith("✔ Passed: u00-append-ones")


def test_a_generator_on_the_device_is_refused_as_a_habit(source: UnitSource, place: Path) -> None:
    answer = "def seeded_batch(seed, shape, device):\n    g = torch.Generator(device).manual_seed(seed)\n"
    said = verdict(source, "u00-seeded-batch", answer + "    return torch.randn(shape, generator=g, device=device)")
    assert "`seeded_batch` makes its generator on the device." in said
    assert "Already right: `numbers`, `same_seed_again`." in said


def test_a_generator_made_outside_the_function_shows_in_the_second_call(source: UnitSource, place: Path) -> None:
    """Its numbers depend on how often the check ran, so no known mistake fits; the general reply still names the place."""
    answer = "g = torch.Generator()\ndef seeded_batch(seed, shape, device):\n    return torch.randn(shape, generator=g).to(device)"
    assert "`same_seed_again` has the right form but wrong values." in verdict(source, "u00-seeded-batch", answer)


def test_the_mistakes_that_matter_are_known(repository: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in key_files(repository / "autograder" / "u00_start"))
    names = re.findall(r"^@\w+\.wrong\((?:.|\n)*?^def (\w+)", text, re.MULTILINE)
    assert {"own_device", "own_dtype", "overwrites", "swapped", "seeds_the_world", "always_zero", "keeps_its_generator", "uniform", "double",
            "reversed_shape", "numpy_numbers"} <= set(names)


def test_only_units_that_exist_are_named(source: UnitSource, repository: Path) -> None:
    units = {unit.short for unit in load(repository / "autograder" / "course.toml").units}
    assert set(re.findall(r"\bu\d\d\b", prose(source))) <= units


def test_cells_are_short(source: UnitSource) -> None:
    assert [cell.line for cell in source.cells if cell.role == "demo" and len(cell.text.splitlines()) > 12] == []


def test_u00_is_proved(repository: Path) -> None:
    [report] = prove(Course(repository), ["u00_start"], 20)
    assert report.fine, table(report)


@pytest.mark.slow
def test_u00_is_proved_on_200_seeds(repository: Path) -> None:
    [report] = prove(Course(repository), ["u00_start"], 200)
    assert report.fine, table(report)
