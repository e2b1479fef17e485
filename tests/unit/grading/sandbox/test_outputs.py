"""What passes from an untrusted runner into feedback: text and pixels only."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from coursekit.grading.sandbox.outputs import clean

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


def test_good_outputs_pass_unchanged() -> None:
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "a\x1b[31m"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mline"]},
        {"output_type": "display_data", "data": {"text/plain": "x", "image/png": PNG}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": "x"}, "metadata": {}, "execution_count": 3},
    ]
    assert clean(outputs, 1000) == outputs


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<script>"},
        {"application/javascript": "alert()"},
        {"image/svg+xml": "<svg/>"},
        {"image/png": "not base64!"},
        {"image/png": base64.b64encode(b"<svg onload=x>").decode()},
        {"image/png": 'iVBORw0KGgo="><script>'},
        {"text/plain": ["a"]},
        {},
        None,
        [],
    ],
)
def test_everything_else_is_left_out(data: Any) -> None:
    assert clean([{"output_type": "display_data", "data": data, "metadata": {"x": 1}}], 1000) == []


@pytest.mark.parametrize(
    "junk", [None, 3, "text", {}, [None], [[]], [{}], [{"output_type": "stream", "name": "x", "text": ""}]]
)
def test_junk_gives_nothing(junk: Any) -> None:
    assert clean(junk, 1000) == []


def test_wrong_types_inside_are_made_plain() -> None:
    made = clean([{"output_type": "error", "ename": 1, "evalue": None, "traceback": [1, "a"]}], 1000)
    assert made == [{"output_type": "error", "ename": "", "evalue": "", "traceback": ["", "a"]}]
    [result] = clean(
        [{"output_type": "execute_result", "data": {"text/plain": "1"}, "execution_count": "9"}], 1000
    )
    assert result["execution_count"] is None and result["metadata"] == {}


def test_size_is_bounded() -> None:
    flood = [{"output_type": "stream", "name": "stdout", "text": "x" * 600}] * 3
    texts = [output["text"] for output in clean(flood, 1000)]
    assert texts[0] == "x" * 600
    assert len(texts[1]) < 400
    assert texts[2] == "\n[the rest of this output is left out]\n"
