"""Honest and hostile notebooks, run for real. What one piece does costs only that piece."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from coursekit.checks.snapshot import Seen
from coursekit.grading.collect.run import Evidence, Probe, collect
from coursekit.grading.sandbox import trial
from coursekit.grading.sandbox.limits import MIB, Limits

HELD, SEEN, REMEDY = trial.try_bubblewrap()
here = pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}")
WARM, COLD = pytest.param("bubblewrap", marks=here), pytest.param("bubblewrap-cold", marks=here)
ALL = [WARM, COLD, "none"]
ALSO = [WARM, pytest.param("bubblewrap-cold", marks=[here, pytest.mark.slow]), pytest.param("none", marks=pytest.mark.slow)]
QUICK = Limits(
    cell_seconds=1.0, probe_seconds=1.0, notebook_seconds=60.0, grace_seconds=0.5, memory_bytes=1024 * MIB
)
DOUBLE = "def double(x):\n    return 2 * x"


def sandboxed(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in both sandboxes."""
    return pytest.mark.parametrize("kind", ALSO[:2])(test)


def probe_of(function: str, *cases: Any) -> Probe:
    return Probe(
        f"u00-{function}",
        f"def observe(x):\n    return {{'y': {function}(x)}}",
        "observe",
        [{"x": case} for case in cases or (1.0,)],
    )


def run(kind: str, cells: list[str], probes: list[Probe] | None = None, limits: Limits = QUICK) -> Evidence:
    return collect(
        cells,
        [probe_of("double")] if probes is None else probes,
        submission="ab",
        unit="u00",
        isolation=kind,
        limits=limits,
    )


def text(evidence: Evidence, cell: int = 0) -> str:
    return "".join(output.get("text", "") for output in evidence.cells[cell].outputs)


def statuses(evidence: Evidence) -> list[str]:
    return [cell.status for cell in evidence.cells]


@pytest.mark.parametrize("kind", ALL)
def test_honest_notebook(kind: str) -> None:
    inputs = [torch.arange(6.0).reshape(2, 3), torch.ones(3)]
    evidence = run(
        kind,
        ["import torch", DOUBLE, "", "double(torch.ones(2))"],
        [probe_of("double", *inputs), probe_of("missing")],
    )
    assert evidence.outcome == "graded" and evidence.where == "" and evidence.isolation == kind
    assert statuses(evidence) == ["ok"] * 4
    for given, seen in zip(inputs, evidence.observed["u00-double"], strict=True):
        assert isinstance(y := seen.values["y"], Seen)
        assert torch.equal(y.data, 2 * given)
    [lost] = evidence.observed["u00-missing"]
    assert lost.failure is not None and lost.failure.type_name == "NameError"
    assert evidence.environment["torch"].startswith(torch.__version__.split("+")[0])


@pytest.mark.parametrize("kind", ALL)
def test_evidence_tells_what_was_used_over_all_fresh_starts(kind: str) -> None:
    busy = "import time\nx = b'x' * (100 << 20)\nuntil = time.process_time() + 0.6\nwhile time.process_time() < until: pass"
    seen_and_ended = "import os, time\ntime.sleep(0.8)\nos._exit(3)"  # whoever looks every 0.1 s sees it before
    evidence = run(kind, [DOUBLE, busy, seen_and_ended, "pass"], limits=replace(QUICK, cell_seconds=30.0))
    assert evidence.where == "cell 3: crashed"
    assert 1.1 < evidence.cpu_seconds < 10
    assert 90 * MIB < evidence.memory_bytes < 400 * MIB
    idle = run(kind, ["pass"], [])
    assert idle.cpu_seconds < 0.5 and idle.memory_bytes < 90 * MIB


@sandboxed
def test_a_probe_leaves_no_name_and_sees_the_students_own(kind: str, tmp_path: Path) -> None:
    again = Probe("u00-again", "def observe(x):\n    return {'y': observe(x)}", "observe", [{"x": 3.0}])
    evidence = run(kind, [DOUBLE, "def observe(x):\n    return 'mine'"], [probe_of("double"), again, again])
    assert [seen.values for seen in (*evidence.observed["u00-double"], *evidence.observed["u00-again"])] == [
        {"y": 2.0},
        {"y": "mine"},
    ]


@sandboxed
def test_a_failure_names_the_students_line(kind: str) -> None:
    evidence = run(kind, ["def double(x):\n    z = x\n    return z.nothing"])
    failure = evidence.observed["u00-double"][0].failure
    assert failure is not None
    assert (failure.type_name, failure.line, failure.lineno, failure.function) == (
        "AttributeError",
        "return z.nothing",
        3,
        "double",
    )


@pytest.mark.parametrize("kind", ALSO)
def test_a_loop_among_good_cells_is_interrupted(kind: str) -> None:
    evidence = run(kind, ["a = 1", "print('before')\nwhile True: pass", "b = a + 1", DOUBLE])
    assert statuses(evidence) == ["ok", "timed out", "ok", "ok"]
    assert [output["output_type"] for output in evidence.cells[1].outputs] == ["stream", "error"]
    assert evidence.cells[1].outputs[1]["ename"] == "KeyboardInterrupt"
    assert (evidence.outcome, evidence.where) == ("timed out", "cell 2: timed out")
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


@pytest.mark.parametrize("kind", ALSO)
def test_a_loop_that_ignores_interrupts_is_killed_and_the_rest_goes_on(kind: str) -> None:
    stubborn = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass"
    began = time.monotonic()
    evidence = run(kind, ["a = 21", stubborn, "def double(x):\n    return a * 2 * x"])
    assert statuses(evidence) == ["ok", "timed out", "ok"]
    assert evidence.observed["u00-double"][0].values == {"y": 42.0}
    assert evidence.cells[1].seconds < 1.0 + 0.5 + 1.5
    assert "did not end in time" in text(evidence, 1)
    assert time.monotonic() - began < 20


ENDS = {
    "exit": "import os; os._exit(0)",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
}


@sandboxed
@pytest.mark.parametrize(
    "end",
    [ENDS["exit"], *(pytest.param(ENDS[name], marks=pytest.mark.slow) for name in ("segfault", "abort"))],
)
def test_a_cell_that_ends_the_process(kind: str, end: str) -> None:
    evidence = run(kind, [DOUBLE, end, "c = 3"])
    assert statuses(evidence) == ["ok", "crashed", "ok"]
    assert (evidence.outcome, evidence.where) == ("crashed", "cell 2: crashed")
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


@sandboxed
def test_signals_from_inside_end_nothing(kind: str) -> None:
    kill = "import os, signal\nfor name in ('SIGKILL', 'SIGTERM', 'SIGHUP'):\n    os.kill(os.getpid(), getattr(signal, name))\n    os.kill(1, 9)"
    assert statuses(run(kind, [DOUBLE, kill, "c = 3"])) == ["ok"] * 3


@sandboxed
def test_exits_and_forks_that_python_handles_end_nothing(kind: str) -> None:
    fork = "import os\nif os.fork() == 0:\n    raise ValueError"
    assert statuses(run(kind, [DOUBLE, "exit", "quit()", "raise SystemExit", fork, "a = 1"])) == [
        "ok",
        "ok",
        "ok",
        "error",
        "ok",
        "ok",
    ]


@sandboxed
def test_a_function_that_ends_or_blocks_the_process_costs_its_own_exercise(kind: str) -> None:
    cells = [
        DOUBLE,
        "import os, time\ndef leave(x): os._exit(1)",
        "def sleep(x):\n    while True:\n        try: time.sleep(9)\n        except BaseException: pass",
        "def nap(x): time.sleep(9)",
    ]
    evidence = run(
        kind,
        cells,
        [probe_of("leave", 1.0, 2.0), probe_of("nap"), probe_of("sleep", 1.0, 2.0), probe_of("double", 5.0)],
    )
    assert [seen.lost for seen in evidence.observed["u00-leave"]] == ["crashed", "crashed"]
    assert [seen.lost for seen in evidence.observed["u00-nap"]] == ["timed out"]
    assert [seen.lost for seen in evidence.observed["u00-sleep"]] == ["timed out", "timed out"]
    assert evidence.observed["u00-double"][0].values == {"y": 10.0}
    assert (
        evidence.where
        == "u00-leave, case 1: crashed; u00-nap, case 1: timed out; u00-sleep, case 1: timed out"
    )


@pytest.mark.slow
@sandboxed
def test_restarts_are_bounded(kind: str) -> None:
    limits = Limits(cell_seconds=1, probe_seconds=1, restarts=1)
    evidence = run(
        kind,
        [DOUBLE, "import os\nos._exit(1)", "os = __import__('os')\nos._exit(1)", "a = 1"], limits=limits
    )
    assert statuses(evidence) == ["ok", "crashed", "crashed", "not run"]
    assert evidence.observed["u00-double"][0].lost == "crashed"
    assert "stopped after 1 fresh starts" in evidence.where


@pytest.mark.slow
@sandboxed
def test_the_notebooks_time_is_bounded_and_everybody_gets_a_turn(kind: str) -> None:
    limits = Limits(cell_seconds=60, probe_seconds=60, notebook_seconds=2)
    began = time.monotonic()
    evidence = run(kind, ["while True: pass", "while True: pass", DOUBLE], limits=limits)
    assert statuses(evidence) == ["timed out", "timed out", "ok"]
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}
    assert time.monotonic() - began < 12


@sandboxed
def test_a_flood_of_text_is_bounded(kind: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    evidence = run(kind, [DOUBLE, "for _ in range(1000): print('x' * 1_000_000)"], limits=Limits(cell_seconds=30))
    assert statuses(evidence) == ["ok", "ok"]
    assert len(text(evidence, 1)) < 1.1 * MIB
    assert "output was cut at 1048576 bytes" in text(evidence, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


@sandboxed
def test_memory_is_bounded_and_torch_works(kind: str) -> None:
    cells = [
        DOUBLE,
        "import torch\nx = torch.ones(100, 1000, 1000, dtype=torch.uint8).sum()",
        "y = torch.ones(20 << 30, dtype=torch.uint8)",
        "z = []\nwhile True: z.append(bytearray(1 << 26))",
        "import mmap\nm = mmap.mmap(-1, 20 << 30)",
        "del z\nlayer = torch.nn.Linear(100, 100)\nlayer(torch.ones(5, 100)).sum().backward()",
    ]
    evidence = run(kind, cells, limits=Limits(cell_seconds=10, memory_bytes=1024 * MIB))
    assert statuses(evidence) == ["ok", "ok", "error", "error", "error", "ok"]
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


@pytest.mark.slow
@sandboxed
def test_an_observation_that_is_too_large(kind: str) -> None:
    limits = Limits(observation_bytes=1 * MIB)
    evidence = run(
        kind,
        [
            DOUBLE,
            "import torch\ndef big(x): return torch.zeros(MIB)\nMIB = 1 << 20",
            "def long(x): return 9 ** 9999",
        ],
        [probe_of("big", 1.0, 2.0), probe_of("long"), probe_of("double")],
        limits=limits,
    )
    assert [seen.lost for seen in evidence.observed["u00-big"]] == ["too large", "too large"]
    assert evidence.observed["u00-long"][0].lost is None
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}
