"""A course of one unit whose proof holds; each test spoils one thing in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit.course.paths import Course
from coursekit.proof.prove import prove
from coursekit.proof.report import Report

TOML = """\
[[unit]]
name = "u01_tensors"
points = 6

[[unit.exercise]]
id = "u01-sse-grad"
points = 4
difficulty = 1
importance = 2
minutes = 5
why = "It is the first gradient."

[[unit.exercise]]
id = "u01-hunt-mean"
kind = "hunt"
points = 2
difficulty = 1
importance = 2
minutes = 5
why = "Means are everywhere."
"""

SOURCE = '''\
# %% tags=["parameters"]
seed = 0
device = "cpu"
fast = True

# %% tags=["setup"]
import torch
from coursekit.checks import check

# %%
def sse_grad(pred, y):
    """The gradient of 2 times something."""
    ### BEGIN SOLUTION
    if pred.shape != y.shape:
        raise ValueError("shapes")
    return 2 * (pred - y)
    ### END SOLUTION

# %%
@check("u01-sse-grad")
def observe(pred, y):
    return {"grad": sse_grad(pred, y), "pred_after": pred}

# %%
def center(x):
    ### BEGIN SOLUTION
    mean = x.mean(dim=0)
    ### RELEASE SHOWS
    # mean = x.mean()
    ### END SOLUTION
    return x - mean

# %%
@check("u01-hunt-mean")
def observe(x):
    return {"centred": center(x)}
'''

SHARED = """\
HINTS = ("a?", "b", "c")
"""

SSE_GRAD = """\
import torch
from coursekit.course.authoring import Key, Tolerance

from ._shared import HINTS

sse = Key("u01-sse-grad", hints=HINTS, guards=("pred_after",))

@sse.inputs
def _(g, case):
    pred = torch.randn(5 + case % 2, 3, generator=g)
    return {"pred": pred, "y": torch.randn(len(pred), 1 if case == 2 else 3, generator=g)}

@sse.oracle
def _(pred, y):
    leaf = pred.clone().requires_grad_()
    (leaf - y).square().sum().backward()
    return {"grad": leaf.grad}

@sse.wrong("`{function}` drops the factor 2.")
def no_two(pred, y): return pred - y

@sse.wrong("sign")
def sign(pred, y): return 2 * (y - pred)

@sse.wrong("zero")
def zero(pred, y): return torch.zeros_like(pred)

@sse.wrong("broadcast")
def broadcast(pred, y): return 2 * (pred - y)

@sse.wrong("in place")
def in_place(pred, y):
    if pred.shape != y.shape: raise ValueError
    return pred.sub_(y).mul_(2)

@sse.wrong("mean")
def mean(pred, y): return 2 * (pred - y) / pred.numel()

@sse.variant
def in_steps(pred, y):
    assert pred.shape == y.shape
    return (pred - y).mul_(2)

@sse.variant
def summed(pred, y):
    assert pred.shape == y.shape
    return (pred - y) + (pred - y)
"""

HUNT_MEAN = """\
import torch
from coursekit.course.authoring import Key, Tolerance

from ._shared import HINTS

hunt = Key("u01-hunt-mean", hints=HINTS)

@hunt.inputs
def _(g, case): return {"x": torch.randn(4 + case, 3, generator=g)}

for i in range(6):
    def times(x, i=i): return x - x.mean(dim=0) * (i + 2)
    times.__name__ = f"times_{i}"
    hunt.wrong(f"times {i}")(times)
hunt.variant(lambda x: x - x.sum(0) / len(x))
hunt.variant(lambda x: x - x.mean(dim=0, keepdim=True))
"""


@dataclass
class Mini:
    """The course's folder, and ways to spoil it."""

    root: Path

    @property
    def source_path(self) -> Path:
        return self.root / "solutions" / "u01_tensors.py"

    @property
    def key_folder(self) -> Path:
        return self.root / "autograder" / "u01_tensors"

    def source(self, old: str, new: str) -> Mini:
        _replace(self.source_path, old, new)
        return self

    def key(self, old: str, new: str) -> Mini:
        """Change the key of u01-sse-grad."""
        _replace(self.key_folder / "sse_grad.py", old, new)
        return self

    def hunt(self, old: str, new: str) -> Mini:
        """Change the key of u01-hunt-mean."""
        _replace(self.key_folder / "hunt_mean.py", old, new)
        return self

    def prove(self, seeds: int = 2, jobs: int = 0) -> Report:
        return prove(Course(self.root), ["u01_tensors"], seeds, jobs)[0]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mini:
    for name, text in {
        "autograder/course.toml": TOML,
        "autograder/u01_tensors/_shared.py": SHARED,
        "autograder/u01_tensors/sse_grad.py": SSE_GRAD,
        "autograder/u01_tensors/hunt_mean.py": HUNT_MEAN,
        "solutions/u01_tensors.py": SOURCE,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return Mini(tmp_path)
