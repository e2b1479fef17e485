"""Bad source is refused with its file, its line and what to do; good source is read as it stands."""

from __future__ import annotations

from typing import Any

import pytest

from coursekit.build.regions import broken_text
from coursekit.build.source import read
from coursekit.errors import CourseError

BEGIN, SHOWS, END = "### BEGIN SOLUTION", "### RELEASE SHOWS", "### END SOLUTION"
CHECK = '@check("u01-sse-grad")\n'


def test_roles(mini: Any) -> None:
    source = read(mini.source)
    assert [cell.role for cell in source.cells] == [
        "prose",
        "parameters",
        "setup",
        "demo",
        "prose",
        "answer",
        "check",
        "prose",
        "answer",
        "check",
    ]
    lines = mini.source.read_text("utf-8").splitlines()
    for cell in source.cells:
        assert cell.text.splitlines()[0] in lines[cell.line - 1], "each cell knows its line"
    one, two = source.exercises.values()
    assert (one.id, one.function, one.broken, one.probe_name) == ("u01-sse-grad", "sse_grad", None, "observe")
    assert one.parameters == ("pred", "y")
    assert one.probe.startswith("def observe(pred, y):")
    assert two.broken == (
        "def center(x):\n    mean = x.mean()\n    if fast:\n        mean = mean + 0\n    return x - mean"
    )


def test_broken_text_keeps_a_comment_of_the_release() -> None:
    shown = f"{BEGIN}\ny = 1\n{SHOWS}\n# y = 2\n# # mind the sign\n#\n{END}\nz = y"
    assert broken_text(shown) == "y = 2\n# mind the sign\n\nz = y"
    assert broken_text("y = 1") is None


@pytest.mark.parametrize(
    ("old", "new", "line", "problem", "remedy"),
    [
        (
            f"    return 2 * (pred - y)\n    {END}\n",
            "    return 2 * (pred - y)\n",
            27,
            f"the solution that begins here has no `{END}`.",
            f"Add `{END}` after its last line.",
        ),
        (
            '        raise ValueError("these shapes differ")\n',
            f"        {BEGIN}\n",
            29,
            f"a second `{BEGIN}` before the first one ended.",
            f"End the region with `{END}`.",
        ),
        (
            f'    """Gradient."""\n    {BEGIN}\n',
            '    """Gradient."""\n',
            30,
            f"`{END}` has no `{BEGIN}`.",
            f"Begin the region with `{BEGIN}`.",
        ),
        (
            "x = torch.ones(3)\n",
            f"{SHOWS}\n",
            15,
            f"`{SHOWS}` stands outside a solution.",
            f"Put it once between `{BEGIN}` and `{END}`.",
        ),
        (
            "    # if fast:\n",
            f"    {SHOWS}\n",
            48,
            f"`{SHOWS}` stands twice in one solution.",
            f"Put it once between `{BEGIN}` and `{END}`.",
        ),
        (
            "    # mean = x.mean()\n",
            "    mean = x.mean()\n",
            47,
            f"a line after `{SHOWS}` is not commented.",
            "Put `# ` before each line that the release shows.",
        ),
        (
            "import torch\n",
            f"{BEGIN}\nimport torch\n{END}\n",
            11,
            f"`{BEGIN}` stands in the setup cell.",
            "Put solutions into code cells of their own.",
        ),
        (
            "# text\n",
            f"# {BEGIN}\n",
            3,
            f"`{BEGIN}` stands in a prose cell.",
            "Put solutions into code cells of their own.",
        ),
        (
            'u01-hunt-mean")\n',
            'u01-sse-grad")\n',
            54,
            "`u01-sse-grad` is checked twice.",
            "Give each exercise an id of its own.",
        ),
        (
            f"# %%\n{CHECK}",
            f"#\n{CHECK}",
            34,
            "a check stands in the cell of its solution.",
            "Put it into a cell of its own, right after.",
        ),
        (
            CHECK,
            "",
            25,
            "this solution has no check before the next solution.",
            "Put a check cell right after each solution cell.",
        ),
        ('@check("u01-hunt-mean")\n', "", 42, "this solution has no check.", "Put a check cell right after it."),
        (
            "x = torch.ones(3)\n",
            f"{CHECK}def observe(x):\n    return x\n",
            15,
            "the check of `u01-sse-grad` has no solution before it.",
            f"Put a cell with `{BEGIN}` … `{END}` before it.",
        ),
        (
            "    return x - mean\n",
            "    return x - mean\nx = (\n",
            52,
            "this is not valid Python: '(' was never closed.",
            "Mend the line.",
        ),
        (
            "# %% [markdown]\n# # Tensors",
            "# # Tensors",
            1,
            "text stands before the first cell marker.",
            "Begin the file with `# %%` or `# %% [markdown]`.",
        ),
        (
            "# %% [markdown]\n# ## One\n",
            "#%%\n# ## One\n",
            20,
            "the cell markers cannot be told apart.",
            "Write each as `# %%` at the start of a line, and none inside a string.",
        ),
        (
            "# ## One\n",
            "# {exercise u01-other}\n",
            21,
            "one prose cell announces two exercises.",
            "Give each {exercise …} line a cell of its own.",
        ),
        (
            '{"centred": center(x)}',
            '{"centred": x}',
            42,
            "the check after this solution calls nothing that the solution defines.",
            "Call the student's function in the probe.",
        ),
        (
            "def observe(x):\n",
            "def extra():\n    pass\n\ndef observe(x):\n",
            54,
            "the check of `u01-hunt-mean` must be one decorated function.",
            'Write `@check("u01-hunt-mean")` and one `def observe(...)` below it.',
        ),
    ],
)
def test_refused(mini: Any, old: str, new: str, line: int, problem: str, remedy: str) -> None:
    mini.change(mini.source, old, new)
    with pytest.raises(CourseError) as caught:
        read(mini.source)
    assert str(caught.value) == f"u01_tensors.py:{line}: {problem}\n{remedy}"


def test_two_solutions_for_one_check(mini: Any) -> None:
    mini.change(
        mini.source, f"# %%\n{CHECK}", f"# %%\ndef other():\n    {BEGIN}\n    return 1\n    {END}\n\n# %%\n{CHECK}"
    )
    with pytest.raises(CourseError, match=r"^u01_tensors.py:25: this solution has no check before the next solution."):
        read(mini.source)


def test_other_bytes_than_utf8(mini: Any) -> None:
    mini.source.write_bytes(b"# %%\nx = '\xff'\n")
    with pytest.raises(CourseError) as caught:
        read(mini.source)
    assert str(caught.value) == "u01_tensors.py is not UTF-8: invalid start byte at byte 10.\nSave it as UTF-8."


def test_a_marker_in_a_string_and_blank_lines_at_the_top(mini: Any) -> None:
    mini.source.write_text("\n\n" + mini.source.read_text("utf-8"), "utf-8")
    assert read(mini.source).cells[0].line == 4
    mini.change(mini.source, "x = torch.ones(3)\n", "x = '''\n# %%\n'''\n")
    with pytest.raises(CourseError, match="the cell markers cannot be told apart"):
        read(mini.source)
