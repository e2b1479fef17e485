"""A process of its own that runs submissions: what it does is told, and its end or ours leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coursekit.checks.snapshot import Observed
from coursekit.errors import CourseError
from coursekit.grading import cgroup, evidence, isolation
from coursekit.grading import collector as module
from coursekit.grading.collect import Probe
from coursekit.grading.collector import Collector, Ended
from coursekit.grading.limits import Limits
from coursekit.grading.store import Prepared, Store

HELD, SEEN, REMEDY = isolation.try_bubblewrap()
pytestmark = pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}")
PROBE = Probe("u00-double", "def observe(x):\n    return {'y': double(x)}", "observe", [{"x": 1.0}, {"x": 2.0}])
GOOD = [Prepared((f"def double(x): return {n} * x",), None, str(n), frozenset()) for n in range(6)]
SLOW = Prepared(("import time; time.sleep(60)",), None, "slow", frozenset())


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()
    made.process.wait(30)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "evidence", "u00", [PROBE], Limits(cell_seconds=60))


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def below(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        found += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split()]
    return found[1:]


def groups(pid: int) -> list[Path]:
    """The control groups that a process has made."""
    where = cgroup.place()
    return [] if where is None else list(where.folder.glob(f"coursekit-{pid}-*"))


def test_it_says_what_holds_and_collects_side_by_side(collector: Collector, store: Store) -> None:
    assert collector.usable() == isolation.usable("bubblewrap")
    unreadable = Prepared((), "empty: the file has no content", "none", frozenset())
    told = dict(collector.collect(store, [*GOOD[:3], unreadable], 2, "bubblewrap", False))
    assert told == dict.fromkeys(["0", "1", "2", "none"])
    for item in GOOD[:3]:
        kept = evidence.load(store.path(item))
        assert kept.observed["u00-double"] == [Observed({"y": int(item.digest) * x}) for x in (1.0, 2.0)]
        assert kept.inputs == store.inputs


def test_it_does_not_run_far_ahead_of_the_recording(collector: Collector, store: Store) -> None:
    collector.usable()
    told = collector.collect(store, GOOD, 1, "bubblewrap", False)
    assert next(told)[1] is None
    until = time.monotonic() + 20
    while (run := len(list(store.folder.glob("*.evidence")))) < 1 + module.AHEAD and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    assert run == len(list(store.folder.glob("*.evidence"))) == 1 + module.AHEAD < len(GOOD)
    assert len(list(told)) == len(GOOD) - 1


def test_a_sandbox_that_does_not_hold_is_refused_here_too(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_receive", lambda: ("refused", "bwrap is missing.", "Install it."))
    with pytest.raises(CourseError) as caught:
        collector.usable()
    assert (caught.value.problem, caught.value.remedy) == ("bwrap is missing.", "Install it.")


def test_why_there_is_no_evidence_is_told_and_the_others_go_on(collector: Collector, store: Store) -> None:
    collector.usable()
    store.folder.write_text("a file where the folder should be")
    told = dict(collector.collect(store, GOOD[:2], 2, "bubblewrap", False))
    assert set(told) == {"0", "1"} and all("could not be written" in str(problem) for problem in told.values())


def test_an_error_of_ours_is_loud(collector: Collector, store: Store) -> None:
    collector.usable()
    with pytest.raises(RuntimeError, match="AttributeError"):
        list(collector.collect(store, [replace(GOOD[0], sources=(None,))], 1, "bubblewrap", False))  # type: ignore[arg-type]


def test_its_death_is_told_and_takes_the_runners_along(collector: Collector, store: Store) -> None:
    collector.usable()
    told = collector.collect(store, [GOOD[0], SLOW], 1, "bubblewrap", False)
    assert next(told) == ("0", None)
    runners = below(collector.process.pid)
    assert runners
    os.kill(collector.process.pid, signal.SIGKILL)
    with pytest.raises(Ended):
        next(told)
    assert all(map(gone, runners))


def test_closing_ends_what_still_runs(store: Store) -> None:
    made = Collector()
    made.usable()
    told = made.collect(store, [GOOD[0], SLOW], 1, "bubblewrap", False)
    next(told)
    until = time.monotonic() + 20
    while cgroup.place() is not None and not groups(made.process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    runners = below(made.process.pid)
    assert groups(made.process.pid) or cgroup.place() is None
    made.close()
    assert made.process.wait(20) == 0
    assert all(map(gone, runners))
    assert not groups(made.process.pid)


def test_it_ends_with_the_process_that_started_it() -> None:
    program = (
        "import time\nfrom coursekit.grading.collector import Collector\n"
        "made = Collector()\nprint(made.process.pid, flush=True)\nmade.usable()\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert gone(pid)


def test_one_that_was_started_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Collector", object)
    module.start("u01")
    assert module.take() is not None
    assert module.take() is None


def test_none_is_started_for_a_unit_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Collector", object)
    with pytest.raises(CourseError, match="u77"):
        module.start("u77")
    assert module.take() is None
