"""Control groups, for real where this machine has them, and nothing claimed where it has not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.grading.sandbox import cgroup
from coursekit.grading.sandbox.cgroup import Group, Place
from coursekit.grading.sandbox.client import Client, Gone
from coursekit.grading.sandbox.limits import MIB, Limits
from coursekit.grading.sandbox.trial import describe, try_bubblewrap

here = pytest.mark.skipif(cgroup.place() is None, reason="no control groups can be made on this machine")
GREEDY = f"held = bytearray({300 * MIB}); print('alive')"
WAITING = f"import sys; sys.stdin.read(1); {GREEDY}"


@here
def test_the_kernel_stops_what_passes_the_bound_at_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    group = Group(100 * MIB)
    group.take([process.pid])
    group.take([process.pid])  # is in it already
    said, _ = process.communicate(b"x")
    assert (process.returncode, said) == (-9, b"")
    assert group.killed()
    folder = group._folder
    assert folder is not None
    group.close()
    assert not folder.exists()


@here
def test_below_the_bound_nothing_happens() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    group = Group(1000 * MIB)
    group.take([process.pid])
    assert process.communicate(b"x")[0] == b"alive\n"
    assert not group.killed()
    group.close()


@here
@pytest.mark.parametrize("kind", ["bubblewrap", "bubblewrap-cold"])
def test_children_that_share_the_memory_out_are_out_of_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of it is too large, and the watchdog does not get to look: the group alone stops it."""
    holds, seen, _ = try_bubblewrap()
    if not holds:
        pytest.skip(f"no sandbox on this machine: {seen}")
    monkeypatch.setattr("coursekit.grading.sandbox.watchdog.EVERY", 1000.0)
    source = (
        "import os, time\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(200 << 20)\n"
        "        time.sleep(20)\n"
        "os.wait()\n"
        "os._exit(0)"
    )
    client = Client(kind, Limits(memory_bytes=500 * MIB, cell_seconds=15))
    with pytest.raises(Gone) as caught:
        client.cell(source, 15.0)
    assert caught.value.kind == "out of memory"


def test_where_no_group_can_be_made_nothing_is_bound_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "place", lambda: None)
    group = Group(1)
    group.take([1])
    assert not group.killed()
    group.close()


def test_a_place_that_refuses_the_bound_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Place(tmp_path / "nowhere", "memory.max", "memory.events")
    monkeypatch.setattr(cgroup, "_candidates", lambda: [missing])
    assert cgroup.place.__wrapped__() is None


def test_a_grading_run_says_which_memory_bound_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "place", lambda: None)
    assert "memory of all processes: watched" in describe("bubblewrap")
    monkeypatch.setattr(cgroup, "place", lambda: Place(Path("/x"), "memory.max", "memory.events"))
    assert "memory of all processes: watched, and bound by a control group (version 2)" in describe("bubblewrap")
