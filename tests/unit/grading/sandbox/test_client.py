"""What comes back is measured and checked: forged frames harm only their own notebook."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coursekit.grading.collect.evidence import Evidence

DOUBLE = "def double(x): return 2 * x"
Run = Callable[..., Evidence]
FORGE = """
import json, os, socket, stat, struct, sys
def frame(message, blob=b""):
    text = json.dumps(message).encode()
    return struct.pack("<II", len(text), len(blob)) + text + blob
def sockets():
    for number in range(3, 512):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode): yield number
        except OSError: pass
def forge(data):
    for number in sockets():
        os.set_blocking(number, False)
        os.write(number, data)
        os.set_blocking(number, True)
assert list(sockets())
"""
FORGERIES = {
    "a frame": "frame({'op': 'cell', 'nonce': 'x', 'status': 'ok', 'outputs': []})",
    "a probe's frame": "frame({'op': 'probe', 'nonce': 'x', 'observed': {'values': {'y': 2.0}}})",
    "a huge header": "struct.pack('<II', 2 ** 32 - 1, 2 ** 32 - 1)",
    "half a header": "b'abc'",
    "no JSON": "struct.pack('<II', 3, 0) + b'abc'",
    "a list": "struct.pack('<II', 2, 0) + b'[]'",
    "deep JSON": "struct.pack('<II', 100000, 0) + b'[' * 100000",
    "bad tensors": "frame({}, b'\\xff' * 64)",
    "a flood": "b'x' * 150_000",
}


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(text, id=name, marks=() if name == "a frame" else pytest.mark.slow)
        for name, text in FORGERIES.items()
    ],
)
def test_forged_frames_harm_only_their_own_cell(run: Run, kind: str, forged: str) -> None:
    evidence = run(kind, [DOUBLE, FORGE, f"forge({forged})", "a = 1"])
    assert evidence.cells[2].status in ("crashed", "too large")
    assert evidence.cells[3].status == "ok"
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


def test_a_forged_answer_is_never_another_exercises(run: Run, kind: str) -> None:
    forging = (
        "def double(x):\n"
        "    forge(frame({'op': 'probe', 'nonce': 'x', 'observed': {'values': {'y': 'forged'}}}))\n"
        "    return 2 * x"
    )
    evidence = run(kind, [FORGE, forging, "def other(x): return 3 * x"], names=("double", "other"))
    assert evidence.observed["u00-double"][0].lost == "crashed"
    assert evidence.observed["u00-other"][0].values == {"y": 3.0}


@pytest.mark.slow
def test_a_frame_that_waits_for_the_question_is_no_answer(run: Run, kind: str) -> None:
    later = (
        "import threading, time\n"
        "def late():\n    time.sleep(0.3)\n    forge(frame({'op': 'cell', 'nonce': 'x', 'status': 'ok'}))\n"
        "threading.Thread(target=late, daemon=True).start()"
    )
    evidence = run(kind, [DOUBLE, FORGE, later, "time.sleep(0.6)", "a = 1"])
    assert [cell.status for cell in evidence.cells[2:4]] == ["ok", "crashed"]


@pytest.mark.slow
def test_a_closed_socket_and_a_patched_protocol_are_crashes(run: Run, kind: str) -> None:
    closed = run(kind, [DOUBLE, FORGE, "os.closerange(3, 512)", "a = 1"])
    assert [cell.status for cell in closed.cells] == ["ok", "ok", "crashed", "ok"]
    patch = (
        "import coursekit.grading.inside.runner as r\n"
        "r.encode_observed = lambda observed, beside: {'values': {'y': {'$tensor': 'nowhere'}}}"
    )
    assert run(kind, [DOUBLE, patch]).observed["u00-double"][0].lost == "crashed"
