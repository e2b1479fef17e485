"""`coursekit run` executes real notebooks in real kernels: passes, failures with artefacts, releases, a missing GPU."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
import torch

from coursekit.build.commands import build
from coursekit.errors import CourseError
from coursekit.proof.run import choose_device, main

TOML = """\
[[unit]]
name = "u01_tensors"
points = 4

[[unit.exercise]]
id = "u01-double"
points = 4
difficulty = 1
importance = 2
minutes = 5
why = "It is the first function."
"""

SOURCE = """\
# %% tags=["parameters"]
seed = 7
device = "nowhere"
fast = False

# %% tags=["setup"]
import torch
from coursekit.checks import check

# %% [markdown]
# # Tensors
# {exercise u01-double}

# %%
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %%
@check("u01-double")
def observe(x):
    return {"doubled": double(x)}

# %%
print(seed, device, fast)
"""

KEY = """\
import torch
from coursekit.course.authoring import Key

key = Key("u01-double", hints=("a?", "b", "c"))

@key.inputs
def _(g, case): return {"x": torch.randn(3 + case, generator=g)}

for i in range(6):
    def times(x, i=i): return x * (i + 3)
    times.__name__ = f"times_{i}"
    key.wrong(f"times {i}")(times)
key.variant(lambda x: x + x)
key.variant(lambda x: x.mul(2))
"""


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built course of one small unit."""
    for name, text in {
        "autograder/course.toml": TOML,
        "autograder/u01_tensors/double.py": KEY,
        "solutions/u01_tensors.py": SOURCE,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert build([]) == 0
    return tmp_path


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


def _everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_a_solution_passes_and_leaves_nothing_behind(mini: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")  # as if run from inside another tool
    monkeypatch.setenv("COURSEKIT_SANDBOX", "1")
    capfd.readouterr()
    before = _everything(mini)
    assert main(["u01"], device="cpu") == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "unit"
    assert lines[2].split()[0] == "u01_tensors"
    assert lines[2].split()[2:] == ["1/1", "ok"]
    assert err == ""
    assert _everything(mini) == before


def test_a_release_says_not_started(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([], device="cpu", release=True, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["units"][0]["states"] == {"u01-double": "Not started"}
    assert not (mini / "artefacts").exists()


def test_a_failing_cell_leaves_the_notebook_and_the_log(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edit(mini / "solutions/u01_tensors.py", "print(seed, device, fast)", 'raise ValueError(f"{seed} {device} {fast}")')
    assert main(["u01"], device="cpu") == 1
    out = capsys.readouterr().out
    assert "u01_tensors: In [7] raised ValueError: 0 cpu True.\n" in out  # what is asked to run is the second cell
    assert "The executed notebook and its log are kept in artefacts/u01_tensors/solution/.\n" in out
    kept = mini / "artefacts" / "u01_tensors" / "solution"
    assert {path.name for path in kept.iterdir()} == {"u01_tensors.ipynb", "log.txt"}
    log = (kept / "log.txt").read_text("utf-8")
    assert "ValueError: 0 cpu True" in log
    assert "\x1b" not in log
    nbformat.validate(nbformat.read(kept / "u01_tensors.ipynb", as_version=4))  # type: ignore[no-untyped-call]

    _edit(mini / "solutions/u01_tensors.py", "raise ValueError(", "print(")
    assert main(["u01"], device="cpu") == 0
    assert not (mini / "artefacts").exists()


def test_a_check_that_does_not_pass_is_a_failure(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edit(mini / "solutions/u01_tensors.py", "return 2 * x", "return 3 * x")
    assert main(["u01"], device="cpu", jobs=2) == 1
    out = capsys.readouterr().out
    assert "u01_tensors: every check should say Passed, but u01-double said Not yet." in out
    assert (mini / "artefacts" / "u01_tensors" / "solution" / "u01_tensors.ipynb").is_file()


def test_prose_that_quotes_what_a_cell_does_not_show_is_a_failure(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = mini / "solutions/u01_tensors.py"
    source.write_text(source.read_text("utf-8") + "\n# %% [markdown]\n# {shown 0, cpu} and {shown 7}\n", "utf-8")
    line = len(source.read_text("utf-8").splitlines())
    assert main(["u01"], device="cpu") == 1
    said = f"u01_tensors: the prose quotes what its cells do not show:\n  line {line} quotes `7`, but the cell shows `0 cpu True`.\n"
    assert said in capsys.readouterr().out

    _edit(source, "{shown 7}", "{shown True}")
    assert main(["u01"], device="cpu") == 0


def test_a_kernel_that_dies_is_a_failure(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edit(mini / "solutions/u01_tensors.py", "print(seed, device, fast)", "import os; os._exit(1)")
    assert main(["u01"], device="cpu") == 1
    assert "u01_tensors: it did not run to the end: DeadKernelError" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["data/keys/u01_tensors.key", "notebooks/u01_tensors.ipynb"])
def test_what_is_not_built_is_named(mini: Path, missing: str) -> None:
    (mini / missing).unlink()
    with pytest.raises(CourseError, match=r"Run `coursekit build u01`\."):
        main(["u01"], device="cpu", release=True)


def test_a_missing_gpu_is_a_clear_error(mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(CourseError) as caught:
        main(["u01"], device="cuda")
    assert caught.value.problem == f"`--device cuda` needs an NVIDIA GPU; torch {torch.__version__} finds none on this machine."
    assert caught.value.remedy == "Look at what `nvidia-smi` says, or run with --device cpu."


def test_a_torch_without_cuda_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(CourseError) as caught:
        choose_device("cuda")
    assert caught.value.problem == f"`--device cuda` needs a torch built with CUDA; torch {torch.__version__} is built without."
    assert caught.value.remedy == "Set the course up with `python3 course.py doctor --torch cuda`, or run with --device cpu."


@pytest.mark.parametrize(("has_gpu", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_if_there_is_one(has_gpu: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert choose_device("auto") == chosen


@pytest.mark.cuda
def test_a_solution_passes_on_a_gpu(mini: Path, cuda: str) -> None:
    assert main(["u01"], device=cuda) == 0
