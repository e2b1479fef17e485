"""Warm runners: apart from one another and from the zygote, gone when they end, and as cold ones in all they answer."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coursekit.grading.collect import evidence
from coursekit.grading.collect import run as collecting
from coursekit.grading.collect.run import Probe, collect
from coursekit.grading.sandbox import trial, watchdog, zygote_client
from coursekit.grading.sandbox.client import Client, Gone
from coursekit.grading.sandbox.limits import Limits
from coursekit.grading.sandbox.watchdog import Watchdog

KIND, SEEN = "bubblewrap", ""
try:
    KIND, SEEN = trial.usable("bubblewrap")
except trial.CourseError as error:
    KIND, SEEN = "none", str(error)
pytestmark = pytest.mark.skipif(KIND != "bubblewrap", reason=f"no warm runners here: {SEEN}")
LIMITS = Limits(cell_seconds=5, probe_seconds=5, notebook_seconds=60)
PROBE = Probe("u00-double", "def observe(x):\n    return {'y': double(x)}", "observe", [{"x": 2.0}])
DOUBLE = "def double(x): return 2 * x"


@pytest.fixture
def two() -> Iterator[tuple[Client, Client]]:
    first, second = Client("bubblewrap", LIMITS), Client("bubblewrap", LIMITS)
    yield first, second
    first.close()
    second.close()


def said(client: Client, source: str) -> str:
    status, outputs = client.cell(source, 5)
    assert status == "ok", outputs
    return "".join(output.get("text", "") for output in outputs).strip()


def zygotes_own() -> int:
    """The process that forks: the only child of the outer sandbox's first."""
    outer = zygote_client.shared(LIMITS).pid
    assert outer is not None
    return Watchdog(outer, LIMITS).tree()[1]


# ---- apart

LEAVE = """
import os, socket, sys, builtins, torch
open(os.environ['HOME'] + '/mine', 'w').write('x'); open('/dev/shm/mine', 'w').write('x')
kept = socket.socket(socket.AF_UNIX); kept.bind('\\0mine'); kept.listen()
terminal = os.openpty()
server = socket.create_server(('127.0.0.1', 4444))
builtins.mine = torch.mine = sys.modules['mine'] = 1
"""
LOOK = """
import os, socket, sys, builtins, torch
home = os.environ['HOME']
print(os.listdir(home), os.listdir('/dev/shm'), os.listdir('/dev/pts'), hasattr(builtins, 'mine'), hasattr(torch, 'mine'), 'mine' in sys.modules)
for family, address in ((socket.AF_UNIX, '\\0mine'), (socket.AF_INET, ('127.0.0.1', 4444))):
    try: socket.socket(family).connect(address); print('reached')
    except OSError as error: print(type(error).__name__)
print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))
"""


def test_runners_side_by_side_and_one_after_another_see_nothing_of_each_other(two: tuple[Client, Client]) -> None:
    alone = "['.ipython'] [] ['ptmx'] False False False\nConnectionRefusedError\nConnectionRefusedError\n[1]"
    assert said(two[0], LEAVE) == ""
    assert said(two[1], LOOK) == alone
    two[0].close()
    later = Client("bubblewrap", LIMITS)
    try:
        assert said(later, LOOK) == alone
    finally:
        later.close()


def test_nothing_is_held_but_the_socket_and_no_capability(two: tuple[Client, Client]) -> None:
    look = "import os\nheld = [n for n in range(4096) if os.path.exists(f'/proc/self/fd/{n}')]\nprint(held)\nprint(open('/proc/self/status').read())"
    text = said(two[0], look)
    assert text.splitlines()[0] == "[0, 1, 2, 100]"
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], status["NSpid"].split()[-1]) == ("1", "2", "1")


def test_random_state_is_the_same_for_everybody_and_each_time() -> None:
    draw = "import random, numpy, torch\nprint(random.random(), numpy.random.rand(), torch.rand(1).item())"
    drawn = set()
    for kind in ("bubblewrap", "bubblewrap", "bubblewrap-cold"):
        client = Client(kind, LIMITS)
        drawn.add(said(client, draw))
        client.close()
    assert len(drawn) == 1


def test_warm_and_cold_evidence_is_the_same_to_the_byte() -> None:
    cells = ["import torch", "def double(x): return torch.rand(3) * x", "double(1)", "1 / 0", "print(hash('a'), {3, 'b', 'a'})"]
    packed = set()
    for kind in ("bubblewrap", "bubblewrap-cold"):
        found = collect(cells, [PROBE], submission="ab", unit="u00", isolation=kind, limits=LIMITS)
        same = replace(found, isolation="", seconds=0.0, cpu_seconds=0.0, memory_bytes=0, cells=[replace(cell, seconds=0.0) for cell in found.cells])
        packed.add(evidence.pack(same))
    assert len(packed) == 1


# ---- the zygote itself
def test_it_has_one_thread_and_cannot_be_looked_into() -> None:
    own = zygotes_own()
    assert len(os.listdir(f"/proc/{own}/task")) == 1
    assert os.stat(f"/proc/{own}/mem").st_uid == 0 != os.stat(f"/proc/{own}").st_uid or os.getuid() != 0


def test_a_dead_zygote_is_replaced_and_the_submission_run_again() -> None:
    own = zygotes_own()
    threading.Timer(1.0, os.kill, (own, signal.SIGKILL)).start()
    found = collect([DOUBLE, "import time; time.sleep(2)"], [PROBE], submission="ab", unit="u00", limits=LIMITS)
    assert (found.outcome, [cell.status for cell in found.cells]) == ("graded", ["ok", "ok"])
    assert found.observed["u00-double"][0].values == {"y": 4.0}
    assert zygotes_own() != own


def test_a_zygote_that_dies_between_submissions_is_replaced() -> None:
    os.kill(zygotes_own(), signal.SIGKILL)
    assert collect([DOUBLE], [PROBE], submission="ab", unit="u00", limits=LIMITS).outcome == "graded"


def test_a_killed_runner_is_a_crash_and_not_a_dead_zygote(two: tuple[Client, Client]) -> None:
    own = zygotes_own()
    with pytest.raises(Gone) as caught:
        two[0].cell("import os; os.abort()", 5)
    assert caught.value.kind == "crashed"
    assert said(two[1], "print('alive')") == "alive"
    assert zygotes_own() == own


def test_after_too_many_deaths_the_submission_runs_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []

    class Unlucky(Client):
        def __init__(self, kind: str, limits: Limits) -> None:
            kinds.append(kind)
            if kind == "bubblewrap":
                raise zygote_client.Lost
            super().__init__(kind, limits)

    monkeypatch.setattr(collecting, "Client", Unlucky)
    found = collect([DOUBLE], [PROBE], submission="ab", unit="u00", limits=LIMITS)
    assert kinds == ["bubblewrap", "bubblewrap", "bubblewrap-cold"]
    assert (found.outcome, found.isolation) == ("graded", "bubblewrap-cold")


def test_a_fork_of_the_grader_gets_a_zygote_of_its_own() -> None:
    ours = zygote_client.shared(LIMITS)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            other = zygote_client.shared(LIMITS)
            os.write(writing, str(other.pid).encode())
            zygote_client.close()
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as answer:
        pid = int(answer.read() or 0)
    assert os.waitpid(child, 0)[1] == 0
    assert pid not in (0, ours.pid)
    assert ours.alive() and zygote_client.shared(LIMITS) is ours


def test_a_request_that_fails_inside_is_said() -> None:
    ours = zygote_client.shared(LIMITS)
    left, right = socket.socketpair()
    with left, right:
        sandbox = ours.fork(right, {})
        right.close()
        left.settimeout(5)
        assert left.recv(1) == b""
        assert "KeyError: 'file_bytes'" in sandbox.said()
        sandbox.stop()


def test_many_at_once() -> None:
    results: list[Any] = []

    def one(number: int) -> None:
        found = collect([f"def double(x): return {number} * x"], [PROBE], submission="ab", unit="u00", limits=LIMITS)
        results.append((number, found.observed["u00-double"][0].values["y"]))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(number, 2.0 * number) for number in range(8)]


def living() -> int:
    """Processes in the outer sandbox; a dead one has no memory, and its first process may take a moment to collect it."""
    outer = zygote_client.shared(LIMITS).pid
    return sum(watchdog._resident(pid) > 0 for pid in Watchdog(outer, LIMITS).tree())


def test_no_mount_and_no_process_stays_behind() -> None:
    mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    before = living()
    client = Client("bubblewrap", LIMITS)
    said(client, "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)")
    assert living() == before + 2
    client.close()
    assert living() == before
    assert Path("/proc/mounts").read_text(encoding="utf-8") == mounts
