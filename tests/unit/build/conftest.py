"""A course of one unit, with one exercise and one bug hunt, written into a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

TOML = """\
[course]
title = "Mini"

[[unit]]
name = "u01_tensors"
title = "Tensors"
hours = 1
points = 6

[[unit.exercise]]
id = "u01-sse-grad"
kind = "exercise"
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
# %% [markdown]
# # Tensors
# text

# %% tags=["parameters"]
seed = 0
device = "cpu"
fast = True

# %% tags=["setup"]
import torch
from coursekit.checks import check, hint, progress, expect_error

# %%
x = torch.ones(3)
%time y = x + x
total = (7
    % 4)

# %% [markdown]
# ## One
# {exercise u01-sse-grad}

# %%
def sse_grad(pred, y):
    """Gradient."""
    ### BEGIN SOLUTION
    if pred.shape != y.shape:
        raise ValueError("these shapes differ")
    return 2 * (pred - y)
    ### END SOLUTION

# %%
@check("u01-sse-grad")
def observe(pred, y):
    return {"grad": sse_grad(pred, y), "pred_after": pred}

# %% [markdown]
# {exercise u01-hunt-mean}

# %%
def center(x):
    ### BEGIN SOLUTION
    mean_of_columns = x.mean(dim=0)
    mean = mean_of_columns
    ### RELEASE SHOWS
    # mean = x.mean()
    # if fast:
    #     mean = mean + 0
    ### END SOLUTION
    return x - mean

# %%
@check("u01-hunt-mean")
def observe(x):
    return {"centred": center(x)}
'''

SSE_GRAD = """\
import torch
from coursekit.course.authoring import Key

sse = Key("u01-sse-grad", hints=("a?", "b", "c"), guards=("pred_after",))


@sse.inputs
def _(g, case):
    n = (5, 4)[case % 2]
    return {"pred": torch.randn(n, 3, generator=g), "y": torch.randn(n, 1 if case == 2 else 3, generator=g)}


def fit(pred, y):
    if pred.shape != y.shape:
        raise ValueError("shapes")


@sse.wrong("`{function}` drops the factor 2.")
def no_two(pred, y):
    fit(pred, y)
    return pred - y


@sse.wrong("sign")
def sign(pred, y):
    return -sse_grad(pred, y)


@sse.wrong("zero")
def zero(pred, y):
    return torch.zeros_like(pred)


@sse.wrong("broadcast")
def broadcast(pred, y):
    return 2 * (pred - y)


@sse.wrong("in place")
def in_place(pred, y):
    fit(pred, y)
    return pred.sub_(y).mul_(2)


@sse.wrong("mean")
def mean(pred, y):
    fit(pred, y)
    return 2 * (pred - y) / pred.numel()


@sse.variant
def v1(pred, y):
    fit(pred, y)
    return (pred - y).mul_(2)


@sse.variant
def v2(pred, y):
    fit(pred, y)
    return (pred - y) + (pred - y)
"""

HUNT_MEAN = """\
import torch
from coursekit.course.authoring import Key

hunt = Key("u01-hunt-mean", hints=("a?", "b", "c"))


@hunt.inputs
def _(g, case):
    return {"x": torch.randn(4 + case, 3, generator=g)}


for i in range(6):
    def f(x, i=i):
        return x - x.mean(dim=0) * (i + 2)
    f.__name__ = f"times_{i}"
    hunt.wrong(f"times {i}")(f)
hunt.variant(lambda x: x - x.sum(0) / len(x))
hunt.variant(lambda x: x - x.mean(dim=0, keepdim=True))
"""


@dataclass
class Mini:
    """The course's folder, and its files to spoil."""

    root: Path

    @property
    def toml(self) -> Path:
        return self.root / "autograder" / "course.toml"

    @property
    def source(self) -> Path:
        return self.root / "solutions" / "u01_tensors.py"

    @property
    def key(self) -> Path:
        """The key of u01-sse-grad."""
        return self.root / "autograder" / "u01_tensors" / "sse_grad.py"

    @property
    def hunt(self) -> Path:
        """The key of u01-hunt-mean."""
        return self.root / "autograder" / "u01_tensors" / "hunt_mean.py"

    @property
    def notebook(self) -> Path:
        return self.root / "notebooks" / "u01_tensors.ipynb"

    @property
    def built_key(self) -> Path:
        return self.root / "data" / "keys" / "u01_tensors.key"

    def change(self, path: Path, old: str, new: str) -> None:
        """Replace a text that stands exactly once."""
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mini:
    made = Mini(tmp_path / "mini")
    for path, text in ((made.toml, TOML), (made.source, SOURCE), (made.key, SSE_GRAD), (made.hunt, HUNT_MEAN)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.chdir(made.root)
    return made
