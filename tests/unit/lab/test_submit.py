"""`coursekit submit`: what is answered, blank or not gradable, and a file that replaces nothing silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.lab import submit
from coursekit.lab.submit import main

STUB = "def {name}(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
HUNT = "def center(x):\n    return x - x.mean()"


def cell(text: str, name: str = "", graded: bool = False) -> dict[str, Any]:
    marks = {"nbgrader": {"grade_id": name, "grade": graded, "solution": not graded}} if name else {}
    return {"cell_type": "code", "source": text.splitlines(keepends=True), "metadata": marks, "outputs": []}


def check(name: str) -> dict[str, Any]:
    return cell(f'@check("{name}")\ndef observe(x):\n    return {{}}', name, True)


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)})


def released() -> list[dict[str, Any]]:
    return [
        {"cell_type": "markdown", "source": "# Tensors", "metadata": {}},
        cell("import torch"),
        cell(STUB.format(name="double"), "u01-double-answer"),
        check("u01-double"),
        cell(HUNT, "u01-hunt-it-answer"),
        check("u01-hunt-it"),
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's working folder, with the release installed elsewhere."""
    course = tmp_path / "course"
    course.mkdir()
    (course / "u01_tensors.ipynb").write_text(notebook(*released()), "utf-8")
    (course / "u02_autograd.ipynb").write_text(
        notebook(cell(STUB.format(name="vjp"), "u02-vjp-answer"), check("u02-vjp")), "utf-8"
    )
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.setattr(submit, "notebooks_folder", lambda: course)
    monkeypatch.setattr(submit, "repository", lambda: None)
    monkeypatch.setattr(submit, "_exchange", lambda: "")
    monkeypatch.delenv("COURSEKIT_RESULTS", raising=False)
    monkeypatch.chdir(mine)
    return mine


@pytest.fixture
def mine(folder: Path) -> Callable[..., Path]:
    """Write the student's notebook: the release with some cells replaced, by place; None takes a cell away."""

    def write(
        changes: dict[int, dict[str, Any] | None] | None = None, more: list[dict[str, Any]] | None = None
    ) -> Path:
        cells = [(changes or {}).get(place, item) for place, item in enumerate(released())]
        path = folder / "u01_tensors.ipynb"
        path.write_text(notebook(*[item for item in cells if item is not None], *(more or [])), "utf-8")
        return path

    return write


ANSWER = cell("def double(x):\n    return 2 * x", "u01-double-answer")
FIXED = cell(HUNT.replace("mean()", "mean(dim=0)"), "u01-hunt-it-answer")


def test_all_answered(mine: Callable[..., Path], capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    path = mine({2: ANSWER, 4: FIXED})
    (folder / ".coursekit").mkdir()
    (folder / ".coursekit" / "results.json").write_text('{"u01-double": "Passed", "u01-hunt-it": 3}', "utf-8")
    assert main("u01") == 0
    assert capsys.readouterr() == (
        "u01_tensors.ipynb\n"
        "  ✔ answered     u01-double; your last check said: Passed\n"
        "  ✔ answered     u01-hunt-it\n"
        "2 of 2 exercises hold an answer.\n"
        f"Hand in this file: {Path('handin') / 'u01_tensors.ipynb'}\n",
        "",
    )
    assert (folder / "handin" / "u01_tensors.ipynb").read_bytes() == path.read_bytes()


def test_blanks_can_be_handed_in_and_are_said(mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine(
        {
            2: cell(
                "def double(x):\n    '''Mine.'''\n    # YOUR CODE HERE\n    raise NotImplementedError()\n",
                "u01-double-answer",
            )
        }
    )
    assert main("u01_tensors") == 0
    assert capsys.readouterr().out == (
        "u01_tensors.ipynb\n"
        "  ○ not started  u01-double\n"
        "  ○ not started  u01-hunt-it\n"
        "0 of 2 exercises hold an answer. You can hand in now and again later.\n"
        f"Hand in this file: {Path('handin') / 'u01_tensors.ipynb'}\n"
    )


def test_missing_answers_and_harmless_oddities(mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine(
        {2: None, 3: None, 5: cell('@check("u01-hunt-it")\ndef observe(x):\n    return {"y": 1}', "u01-hunt-it", True)}
    )
    assert main("u01") == 0
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "  ✘ missing      u01-double",
        "  ○ not started  u01-hunt-it",
        "  note: the check of u01-double was deleted. That is harmless: grading brings its own.",
        "  note: the check of u01-hunt-it was edited. That is harmless: grading brings its own.",
    ]


def test_a_check_twice_and_an_answer_that_lost_its_mark(
    mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine({2: None}, [cell("def double(x):\n    return x + x"), check("u01-double")])
    assert main("u01") == 0
    said = capsys.readouterr().out
    assert "  ✔ answered     u01-double\n" in said
    assert "  note: the check of u01-double is there 2 times. That is harmless: grading brings its own.\n" in said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            b"",
            "The file is not a notebook: its JSON is damaged.\nSave the notebook in JupyterLab again, "
            "then submit again.\n",
        ),
        (
            b"\xff\xfe{",
            "The file is not a notebook: its JSON is damaged.\nSave the notebook in JupyterLab again, "
            "then submit again.\n",
        ),
        (
            b"[" * 100_000,
            "The file is not a notebook: its JSON is damaged.\nSave the notebook in JupyterLab again, "
            "then submit again.\n",
        ),
        (
            b"[]",
            "The file is not a notebook: it holds no list of cells.\nSave the notebook in JupyterLab "
            "again, then submit again.\n",
        ),
        (
            b'{"cells": [3, {"cell_type": "code", "metadata": 7, "source": 8}]}',
            "None of its cells belongs to this unit.\nIs it the notebook of another unit? Give the right "
            "one with --notebook FILE.\n",
        ),
    ],
)
def test_not_gradable(folder: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str) -> None:
    (folder / "u01_tensors.ipynb").write_bytes(data)
    assert main("u01") == 1
    assert capsys.readouterr() == ("", f"u01_tensors.ipynb: not gradable. {said}")
    assert not (folder / "handin").exists()


def test_another_units_notebook(folder: Path, mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = mine({2: ANSWER})
    assert main("u02", path) == 1
    assert "None of its cells belongs to this unit." in capsys.readouterr().err


def test_where_the_notebook_is_looked_for(folder: Path, mine: Callable[..., Path]) -> None:
    path = mine({2: ANSWER})
    (folder / "my-course").mkdir()
    path.rename(folder / "my-course" / path.name)
    assert main("u01") == 0
    (folder / "my-course" / path.name).unlink()
    with pytest.raises(submit.CourseError) as caught:
        main("u01")
    assert str(caught.value) == (
        "There is no u01_tensors.ipynb here or in my-course.\n"
        "Say where your notebook is: coursekit submit u01 --notebook FILE"
    )
    assert main("u01", str(folder / "gone.ipynb")) == 1
    with pytest.raises(submit.CourseError) as caught:
        main("u07")
    assert str(caught.value) == "There is no unit `u07`.\nUnits in this course: u01_tensors, u02_autograd."


def test_an_earlier_hand_in_is_kept(
    folder: Path, mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mine()
    main("u01")
    main("u01")
    assert [path.name for path in (folder / "handin").iterdir()] == ["u01_tensors.ipynb"], "the same again is no other"
    old = (folder / "handin" / "u01_tensors.ipynb").read_bytes()
    for change in ({2: ANSWER}, {2: ANSWER, 4: FIXED}):
        os.utime(folder / "handin" / "u01_tensors.ipynb", (0, 0))
        mine(change)
        capsys.readouterr()
        main("u01")
        assert "Your earlier hand-in is kept as handin" in capsys.readouterr().out.replace(os.sep, "/")
    names = sorted(path.name for path in (folder / "handin").iterdir())
    assert len(names) == 3, "two in one second are both kept"
    assert any((folder / "handin" / name).read_bytes() == old for name in names)


def test_out_is_a_folder_or_a_file(folder: Path, mine: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = mine({2: ANSWER})
    assert main("u01", None, "elsewhere/deep") == 0
    assert main("u01", None, folder / "ann.ipynb") == 0
    assert main("u01", path, ".") == 0, "the notebook itself is never moved or cut"
    assert (
        (folder / "elsewhere" / "deep" / "u01_tensors.ipynb").read_bytes()
        == (folder / "ann.ipynb").read_bytes()
        == path.read_bytes()
    )
    (folder / "file").write_text("", "utf-8")
    with pytest.raises(submit.CourseError, match=r"cannot be written"):
        main("u01", None, "file/inside")


def test_an_exchange_is_mentioned(
    mine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine({2: ANSWER})
    monkeypatch.setattr(submit, "_exchange", lambda: "EXCHANGE")
    main("u01")
    assert capsys.readouterr().out.endswith(
        "This machine has an nbgrader exchange (EXCHANGE): if you fetched the assignment there, "
        "`nbgrader submit u01_tensors` hands it in.\n"
    )


def test_the_exchange_is_the_configured_one(tmp_path: Path) -> None:
    (tmp_path / "exchange").mkdir()
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.Exchange.root = 'exchange'\n", "utf-8")
    code = "from coursekit.lab.submit import _exchange; print(_exchange())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip().endswith("exchange")
    assert done.stderr == ""
    (tmp_path / "exchange").rmdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "\n"


def test_a_students_install_is_enough() -> None:
    """No torch, no nbgrader, no notebook library is needed to hand in."""
    code = (
        "import sys\n"
        "for name in ('torch', 'nbgrader', 'nbformat', 'jupytext'): sys.modules[name] = None\n"
        "from coursekit.lab.submit import _exchange\n"
        "print(repr(_exchange()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "''\n"
