"""The cell that looks for the course: where it stands, what a learner reads without the course, and what Colab runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from IPython.core.error import UsageError

from coursekit.build import door
from coursekit.course.address import ADDRESS, KEEPING_TORCH

PROGRAM = """
import sys
from IPython.core.interactiveshell import InteractiveShell
sys.modules["coursekit"] = None                      # as if it were not installed
shell = InteractiveShell()
result = shell.run_cell(sys.stdin.read())
print(type(result.error_in_exec).__name__)
"""


def opened(monkeypatch: pytest.MonkeyPatch, pip: Any = None, installed: bool = False) -> dict[str, Any]:
    """Run the cell in a notebook's names. pip: what stands for %pip."""
    if not installed:
        monkeypatch.setitem(sys.modules, "coursekit", None)
    shell = ModuleType("shell")
    shell.run_line_magic = pip  # type: ignore[attr-defined]
    names: dict[str, Any] = {"get_ipython": lambda: shell}
    exec(door.TEXT, names)
    return names


def in_colab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))


def test_it_stands_between_parameters_and_imports_in_every_notebook(repository: Path) -> None:
    built = sorted((repository / "notebooks").glob("*.ipynb"))
    assert len(built) == 10
    for path in built:
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]  # type: ignore[no-untyped-call]
        assert [code[0].metadata.get("tags"), code[2].metadata.get("tags")] == [["parameters"], ["setup"]], path.name
        assert (code[1].id, code[1].source, code[1].metadata) == ("is-the-course-here", door.TEXT, {}), path.name
        assert sum("is-the-course-here" in cell.id for cell in code) == 1, path.name


def test_it_is_small() -> None:
    assert len(door.TEXT.splitlines()) <= 12


def test_with_the_course_it_does_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    in_colab(monkeypatch)
    assert "command" not in opened(monkeypatch, installed=True)
    assert capsys.readouterr() == ("", "")


def test_without_the_course_a_learner_reads_two_lines(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=door.TEXT, capture_output=True, encoding="utf-8", cwd=tmp_path, check=True)
    assert done.stderr == (
        f"UsageError: The course is not installed in {sys.executable}.\n"
        f"Run this in a cell, then this cell again: %pip install {ADDRESS}\n"
    )
    assert done.stdout == "UsageError\n"


def test_kaggle_keeps_its_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    with pytest.raises(UsageError) as caught:
        opened(monkeypatch)
    assert str(caught.value).endswith(f": %pip install {ADDRESS} {KEEPING_TORCH}")


def test_colab_installs_it_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def pip(magic: str, line: str) -> None:
        ran.append((magic, line))
        monkeypatch.delitem(sys.modules, "coursekit")  # it can be found from here on

    in_colab(monkeypatch)
    opened(monkeypatch, pip)
    assert ran == [("pip", f"install {ADDRESS} {KEEPING_TORCH}")]


def test_colab_without_a_network_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    in_colab(monkeypatch)
    with pytest.raises(UsageError, match="The course is not installed in"):
        opened(monkeypatch, lambda *_: None)


def test_one_file_names_the_address(written: list[Path], repository: Path) -> None:
    """The notebooks, which are built, aside."""
    host = ADDRESS.split("/")[2]
    naming = [path.relative_to(repository).as_posix() for path in written if f"{host}/" in path.read_text("utf-8", "replace")]
    assert naming == ["src/coursekit/course/address.py"]


def test_only_colab_and_kaggle_leave_the_requirements_out(repository: Path) -> None:
    """`--no-deps` keeps their torch; of what the course needs they lack safetensors, and JupyterLab, which nothing there uses."""
    import tomllib

    needs = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {need.split(">")[0] for need in needs}
    assert names == {"torch", "numpy", "safetensors", "jinja2", "matplotlib", "pillow", "ipywidgets", "jupyterlab"}, "is the new one in Colab?"
    assert KEEPING_TORCH == "--no-deps -U safetensors"
