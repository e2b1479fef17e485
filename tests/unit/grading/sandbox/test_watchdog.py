"""The watchdog counts a whole tree of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.grading.sandbox import watchdog as module
from coursekit.grading.sandbox.limits import MIB, Limits
from coursekit.grading.sandbox.watchdog import Watchdog

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """A process whose child, in a session of its own, does what it is told."""
    inner = "import sys\nexec(sys.stdin.readline())\nprint('done', flush=True)\nsys.stdin.readline()"
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 10
        while len(Watchdog(process.pid, Limits()).tree()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
        process.kill()


def tell(tree: subprocess.Popen[str], program: str) -> None:
    assert tree.stdin is not None and tree.stdout is not None
    print(program, file=tree.stdin, flush=True)
    assert tree.stdout.readline() == "done\n"


def looked(dog: Watchdog) -> str | None:
    time.sleep(dog.due())
    return dog.look()


def test_memory_of_a_grandchild_counts(tree: subprocess.Popen[str]) -> None:
    dog = Watchdog(tree.pid, Limits(memory_bytes=64 * MIB))
    assert len(dog.tree()) == 2
    assert looked(dog) is None
    tell(tree, "x = b'x' * (100 << 20)")
    assert looked(dog) == "out of memory"


def test_pages_that_forks_share_count_once(tree: subprocess.Popen[str]) -> None:
    dog = Watchdog(tree.pid, Limits(memory_bytes=110 * MIB))
    tell(tree, "import os, time; x = b'x' * (64 << 20); [os.fork() or time.sleep(60) for _ in range(4)]")
    assert sum(map(module._resident, dog.tree())) > 250 * MIB
    assert looked(dog) is None
    for pid in dog.tree()[2:]:
        os.kill(pid, 9)


def test_processor_time_of_the_tree_counts(tree: subprocess.Popen[str]) -> None:
    dog = Watchdog(tree.pid, Limits(cpu_seconds=1))
    assert looked(dog) is None
    tell(tree, "import time; [None for _ in iter(lambda: time.process_time() < 1.2, False)]")
    assert looked(dog) == "out of CPU time"


def test_what_the_tree_used_is_told_beyond_what_it_had(tree: subprocess.Popen[str]) -> None:
    dog = Watchdog(tree.pid, Limits())
    dog.measure()
    assert dog.used[0] <= 0.1 and dog.used[1] < 8 * MIB
    tell(tree, "import time; x = b'x' * (100 << 20); del x; [None for _ in iter(lambda: time.process_time() < 0.5, False)]")
    dog.measure()
    assert 0.3 <= dog.used[0] < 3
    assert 90 * MIB < dog.used[1] < 120 * MIB  # the peak: the memory itself is given back
    used = dog.used
    tree.kill()
    tree.wait()
    dog.measure()
    assert dog.used == used


def test_it_looks_only_when_it_is_time(tree: subprocess.Popen[str]) -> None:
    dog = Watchdog(tree.pid, Limits(memory_bytes=-(1 << 40)))
    assert 0 < dog.due() <= module.EVERY
    assert dog.look() is None
    assert looked(dog) == "out of memory"


def test_without_a_process_or_proc_nothing_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(Watchdog(None, Limits(memory_bytes=-1))) is None
    monkeypatch.setattr(module, "PROC", tmp_path)
    assert looked(Watchdog(os.getpid(), Limits(memory_bytes=-1))) is None
