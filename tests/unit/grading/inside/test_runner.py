"""What a cell showed is kept as a notebook would keep it. One notebook is run once and looked at."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.run import collect

CELLS = {
    "order": "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\nprint(4)\n'value'",
    "figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('after')",
    "open figure": "plt.plot([1, 2]);",
    "semicolon": "5;",
    "rich": "class R:\n    def __repr__(self): return 'plain'\n    def _repr_html_(self): return '<p>'\nR()",
    "display": "from IPython.display import display, HTML, Image\ndisplay(1, R(), HTML('<b>x</b>'))",
    "handle": "shown = display('old', display_id=True)\nshown.update('new')",
    "clear": "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('stays')",
    "exception": "def divide(a):\n    return a / 0\ndivide(3)",
    "syntax": "def (",
    "await": "import asyncio\nawait asyncio.sleep(0.01)\n'waited'",
    "magic": "%%time\n7 * 6",
    "system": "!echo from a shell",
    "no such magic": "%nothing",
    "input": "input('name? ')",
    "bytes": "sys.stdout.buffer.write('été\\n'.encode())",
    "warning": "import warnings; warnings.warn('careful')",
    "history": "_",
    "threads": "import torch, os\nprint(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'], __name__)",
}
NAMES = list(CELLS)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return collect(list(CELLS.values()), [], submission="ab", unit="u00", isolation="none")


@pytest.fixture
def outputs(evidence: Evidence, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return evidence.cells[NAMES.index(request.param)].outputs


def shown(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("outputs", names, indirect=True)


def brief(outputs: list[dict[str, Any]]) -> list[str]:
    return [
        output.get("text") or output.get("data", output).get("text/plain") or output["ename"]
        for output in outputs
    ]


def test_only_the_failing_cells_failed(evidence: Evidence) -> None:
    failed = [name for name, cell in zip(NAMES, evidence.cells, strict=True) if cell.status != "ok"]
    assert failed == ["exception", "syntax", "no such magic", "input"]
    assert evidence.outcome == "graded"


@shown("order")
def test_streams_and_value_in_order(outputs: list[dict[str, Any]]) -> None:
    assert [(o["output_type"], o.get("name")) for o in outputs] == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("stream", "stdout"),
        ("execute_result", None),
    ]
    assert brief(outputs) == ["one\n", "two\n", "three\n4\n", "'value'"]
    assert outputs[3]["execution_count"] == 1


@shown("figure", "open figure")
def test_figures_are_png(outputs: list[dict[str, Any]]) -> None:
    image = outputs[0]["data"]["image/png"]
    assert base64.b64decode(image).startswith(b"\x89PNG")
    assert outputs[0]["output_type"] == "display_data"
    assert brief(outputs[1:]) in (["after\n"], [])


@shown("semicolon")
def test_a_semicolon_hides_the_value(outputs: list[dict[str, Any]]) -> None:
    assert outputs == []


@shown("rich")
def test_html_never_leaves(outputs: list[dict[str, Any]]) -> None:
    assert [output["data"] for output in outputs] == [{"text/plain": "plain"}]


@shown("display")
def test_display_of_several(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["1", "plain", "<IPython.core.display.HTML object>"]


@shown("handle")
def test_a_display_handle_updates(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["'new'"]


@shown("clear")
def test_clear_output(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["stays\n"]


@shown("exception")
def test_a_traceback_as_in_jupyter(outputs: list[dict[str, Any]]) -> None:
    [error] = outputs
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    trace = "\n".join(error["traceback"])
    assert "return" in trace
    assert "runner.py" not in trace


@shown("syntax", "no such magic", "input")
def test_other_errors_are_told(outputs: list[dict[str, Any]]) -> None:
    told = str(outputs)
    assert any(
        word in told for word in ("SyntaxError", "Line magic function `%nothing` not found", "EOFError")
    )


@shown("await")
def test_top_level_await(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["'waited'"]


@shown("magic")
def test_cell_magic(outputs: list[dict[str, Any]]) -> None:
    assert "Wall time" in outputs[0]["text"]
    assert brief(outputs[1:]) == ["42"]


@shown("system")
def test_shell_command(outputs: list[dict[str, Any]]) -> None:
    assert outputs[0]["text"].split() == ["from", "a", "shell"]


@shown("bytes")
def test_bytes_to_stdout(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["été\n", "6"]


@shown("warning")
def test_warnings_are_stderr(outputs: list[dict[str, Any]]) -> None:
    assert outputs[0]["name"] == "stderr"
    assert "careful" in outputs[0]["text"]


@shown("threads")
def test_one_thread_and_a_main_module(outputs: list[dict[str, Any]]) -> None:
    assert brief(outputs) == ["1 1 __main__\n"]
