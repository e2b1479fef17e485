"""What keeps a unit from being built: each complaint names its place and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.build.commands import build
from coursekit.errors import CourseError

SSE, HUNT = "autograder/u01_tensors/sse_grad.py:4", "autograder/u01_tensors/hunt_mean.py:4"


def refusal(check: bool = True) -> str:
    with pytest.raises(CourseError) as caught:
        build([], check=check)
    return str(caught.value)


def complaints() -> list[str]:
    first, *lines, last = refusal().splitlines()
    assert first == "`u01_tensors` is not ready to build:"
    assert last == "Mend these, then build again."
    return [line.strip() for line in lines]


OUTLINE = [
    (
        "source",
        '@check("u01-hunt-mean")',
        '@check("u01-hunt-median")',
        [
            "u01_tensors.py:54: `u01-hunt-median` is not in course.toml. List it under `u01_tensors`.",
            "course.toml: `u01-hunt-mean` has no solution and check in u01_tensors.py. Write them, or take it out.",
            "u01_tensors.py:42: `u01-hunt-median` needs one line {exercise u01-hunt-median} in the prose "
            "before it; it has 0.",
            "u01_tensors.py:39: this prose announces `u01-hunt-mean`, which has no check. "
            "Write its solution and check, or take the line out.",
        ],
    ),
    (
        "source",
        "# {exercise u01-hunt-mean}\n",
        "# no card\n",
        [
            "u01_tensors.py:42: `u01-hunt-mean` needs one line {exercise u01-hunt-mean} in the prose "
            "before it; it has 0.",
        ],
    ),
    (
        "source",
        "# text\n",
        "# Next: [u02](u02_autograd.ipynb), and [this one](u01_tensors.ipynb#top).\n",
        ["u01_tensors.py:2: this prose links to u02_autograd.ipynb, which is no notebook of this course. Units are: u01_tensors."],
    ),
    (
        "source",
        "# text\n",
        "# {exercise u01-hunt-mean}\n",
        [
            "u01_tensors.py:42: `u01-hunt-mean` needs one line {exercise u01-hunt-mean} in the prose "
            "before it; it has 2.",
        ],
    ),
    (
        "source",
        '# %% tags=["parameters"]\n',
        "# %%\n",
        [
            'u01_tensors.py:6: the first code cell must be the parameters. Begin it with `# %% tags=["parameters"]`.',
        ],
    ),
    (
        "source",
        "    ### RELEASE SHOWS\n    # mean = x.mean()\n    # if fast:\n    #     mean = mean + 0\n",
        "",
        [
            "u01_tensors.py:42: `u01-hunt-mean` is listed as hunt but shows no broken code; add `### RELEASE SHOWS`.",
        ],
    ),
    (
        "source",
        "    return 2 * (pred - y)\n",
        "    return 2 * (pred - y)\n    ### RELEASE SHOWS\n    # return 1\n",
        [
            "u01_tensors.py:25: `u01-sse-grad` is listed as exercise but shows broken code; call it a "
            "hunt in course.toml.",
        ],
    ),
]

KEY = [
    (
        "key",
        'hints=("a?", "b", "c"), guards',
        'hints=("a?", " ", "c"), guards',
        [f"{SSE}: `u01-sse-grad` has 2 hints; it needs 3."],
    ),
    ("key", '@sse.wrong("zero")\n', "", [f"{SSE}: `u01-sse-grad` has 5 wrong answers; it needs 6."]),
    ("key", "@sse.variant\ndef v1", "def v1", [f"{SSE}: `u01-sse-grad` has 1 correct variants; it needs 2."]),
    (
        "key",
        '@sse.wrong("zero")',
        '@sse.wrong("")',
        [f"{SSE}: `u01-sse-grad`: the wrong answer zero has no hint. Write one."],
    ),
    ("key", "def zero(", "def sign(", [f"{SSE}: `u01-sse-grad` has two wrong answers called sign. Rename one."]),
    (
        "hunt",
        'hunt = Key("u01-hunt-mean"',
        'hunt = Key("u01-hunt-mode"',
        [
            f"{HUNT}: the key `u01-hunt-mode` has no check in u01_tensors.py. Write its check, or take the key out.",
            'u01_tensors.py:54: `u01-hunt-mean` has no key. Add Key("u01-hunt-mean", …) to '
            "autograder/u01_tensors/hunt_mean.py.",
        ],
    ),
    ("key", 'guards=("pred_after",)', "cases=0", [f"{SSE}: `u01-sse-grad` has 0 cases. Try at least one."]),
    (
        "key",
        'guards=("pred_after",)',
        'weights={"grad": -1}',
        [f"{SSE}: `u01-sse-grad` has a weight below zero. Weights share the credit out."],
    ),
    (
        "key",
        'guards=("pred_after",)',
        'guards=("pred_afer",)',
        [f"{SSE}: `u01-sse-grad`: guards names `pred_afer`, which its check does not return (grad, pred_after)."],
    ),
    (
        "key",
        'guards=("pred_after",)',
        'guards=("pred_after", "grad")',
        [f"{SSE}: `u01-sse-grad`: no observation earns credit. Leave one out of guards, with a weight above zero."],
    ),
    (
        "source",
        '"pred_after": pred}',
        '"pred_after": pred, "ours": object()}',
        [
            f"{SSE}: `u01-sse-grad`: its check returns an object as `ours`. Return tensors, numbers, "
            "texts, lists or dicts."
        ],
    ),
    (
        "key",
        "    return -sse_grad(pred, y)",
        "    return sse_grad(pred, y)",
        [
            f"{SSE}: `u01-sse-grad`: the wrong answer sign passes on the visible inputs. Choose inputs "
            "that show its mistake."
        ],
    ),
    (
        "key",
        "    return -sse_grad(pred, y)",
        "    fit(pred, y)\n    return pred - y",
        [
            f"{SSE}: `u01-sse-grad`: the wrong answer sign gets another hint: no_two. Choose inputs that "
            "tell them apart."
        ],
    ),
    (
        "source",
        "    # mean = x.mean()\n",
        "    # mean = x.mean(dim=0)\n",
        ["u01_tensors.py:42: the broken code of `u01-hunt-mean` passes its check. Choose inputs that show the bug."],
    ),
    (
        "hunt",
        "x.mean(dim=0) * (i + 2)",
        "x.mean() * (1 if i == 0 else i + 2)",
        [
            f"{HUNT}: `u01-hunt-mean`: the wrong answer times_0 gets another hint: none (as-released). "
            "Choose inputs that tell them apart."
        ],
    ),
]


@pytest.mark.parametrize(("which", "old", "new", "said"), OUTLINE + KEY)
def test_complaints(mini: Any, which: str, old: str, new: str, said: list[str]) -> None:
    mini.change(getattr(mini, which), old, new)
    assert complaints() == said


def test_the_order_of_exercises(mini: Any) -> None:
    text = mini.toml.read_text("utf-8")
    head, one, two = text.split("[[unit.exercise]]")
    mini.toml.write_text("[[unit.exercise]]".join([head, two + "\n", one]), "utf-8")
    assert complaints() == [
        "course.toml: the order of exercises differs from u01_tensors.py. Use the notebook's order."
    ]


@pytest.mark.parametrize(
    ("which", "old", "new", "said"),
    [
        (
            "hunt",
            "hunt = Key(",
            "hunt = Kye(",
            "autograder/u01_tensors/hunt_mean.py:4: the key file cannot be imported: NameError: name 'Kye' is not "
            "defined\nMend the line.",
        ),
        (
            "hunt",
            "hunt = Key(",
            "hunt = = Key(",
            "autograder/u01_tensors/hunt_mean.py:4: the key file cannot be imported: SyntaxError: invalid "
            "syntax\nMend the line.",
        ),
        (
            "hunt",
            'Key("u01-hunt-mean"',
            'Key("u01-sse-grad"',
            "There are two keys for `u01-sse-grad`, in hunt_mean.py and in sse_grad.py.\nKeep one of them.",
        ),
        (
            "hunt",
            "@hunt.inputs\n",
            "",
            f"{HUNT}: the key of `u01-hunt-mean` generates no inputs.\nRegister a generator with @key.inputs.",
        ),
        (
            "hunt",
            "torch.randn(4 + case, 3",
            "torch.rend(4 + case, 3",
            f"{HUNT}: the inputs of `u01-hunt-mean`, case 0, cannot be generated: AttributeError: module "
            "'torch' has no attribute 'rend'\nMend the generator.",
        ),
        (
            "hunt",
            '{"x": torch',
            '{"z": torch',
            f"{HUNT}: the inputs of `u01-hunt-mean`, case 0, are z; its check takes x.\nGive one input "
            "for each parameter of the check.",
        ),
        (
            "hunt",
            '{"x": torch.randn(4 + case, 3, generator=g)}',
            '{"x": torch.nn.ReLU()}',
            f"{HUNT}: the input x of `u01-hunt-mean` is not plain data.\nInputs are tensors, numbers, "
            "texts, lists and dicts; build the rest in the check.",
        ),
        (
            "source",
            "import torch\n",
            "import torhc\n",
            "u01_tensors.py:11: this cell fails: ModuleNotFoundError: No module named 'torhc'\nMend the cell",
        ),
        (
            "source",
            "    return 2 * (pred - y)\n",
            "    return two * (pred - y)\n",
            "u01_tensors.py:25: the reference of `u01-sse-grad` fails on every case: NameError: name "
            "'two' is not defined\nMend",
        ),
    ],
)
def test_what_cannot_be_run(mini: Any, which: str, old: str, new: str, said: str) -> None:
    mini.change(getattr(mini, which), old, new)
    assert refusal().startswith(said)


def test_a_key_that_an_author_would_not_find(mini: Any) -> None:
    mini.hunt.rename(mini.hunt.with_name("means.py"))
    assert complaints() == [
        "autograder/u01_tensors/means.py:4: the key `u01-hunt-mean` stands in another file than its own. Move it to hunt_mean.py."
    ]


def test_an_exercise_without_a_file(mini: Any) -> None:
    mini.hunt.unlink()
    assert complaints() == [
        'u01_tensors.py:54: `u01-hunt-mean` has no key. Add Key("u01-hunt-mean", …) to autograder/u01_tensors/hunt_mean.py.'
    ]


def test_a_reference_that_is_not_repeatable_does_not_pass(mini: Any) -> None:
    mini.change(
        mini.source, "    return 2 * (pred - y)\n", "    return 2 * (pred - y) if y.numel() > 12 else missing\n"
    )
    assert complaints()[0] == (
        f"{SSE}: `u01-sse-grad`: the reference does not pass its own check. Mend the solution or the tolerance."
    )
