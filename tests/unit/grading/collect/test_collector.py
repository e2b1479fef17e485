"""A process of its own that runs submissions: what it does is told, and its end or ours leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.grading.collect import collector as module
from coursekit.grading.collect import evidence
from coursekit.grading.collect.collector import Collector, Ended
from coursekit.grading.collect.plan import Planner
from coursekit.grading.collect.run import Probe
from coursekit.grading.collect.store import Store
from coursekit.grading.sandbox import cgroup, trial
from coursekit.grading.sandbox.limits import Limits

HELD, SEEN, REMEDY = trial.try_bubblewrap()
pytestmark = pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}")
PROBE = Probe("u00-double", "def observe(x):\n    return {'y': double(x)}", "observe", [{"x": 1.0}, {"x": 2.0}])
PLANNER = Planner("u00", ["double"], "basis", ["u00-double"], {}, {"u00-double": True})


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
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def below(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        found += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text("utf-8").split()]
    return found[1:]


def groups(pid: int) -> list[Path]:
    """The control groups that a process has made."""
    where = cgroup.place()
    return [] if where is None else list(where.folder.glob(f"coursekit-{pid}-*"))


class Class:
    """A folder of notebooks, run by a collector. Args: sources: student -> the only code cell."""

    def __init__(self, folder: Path, collector: Collector, store: Store, jobs: int, **sources: str) -> None:
        self.collector, self.students = collector, sources
        collector.begin(PLANNER, store, jobs, "bubblewrap", False)
        for student, source in sources.items():
            cell = {"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": "u00-double"}}}
            (folder / student).write_text(json.dumps({"cells": [cell] if source else []}), "utf-8")
            collector.run(student, folder / student)

    def told(self) -> dict[str, str | None]:
        return dict(self.collector.ended() for _ in self.students)


def double(times: int) -> str:
    return f"def double(x): return {times} * x"


SLOW = "double = 1\nimport time; time.sleep(60)"


def test_it_says_what_holds_and_collects_side_by_side(collector: Collector, store: Store, tmp_path: Path) -> None:
    assert collector.usable() == trial.usable("bubblewrap")
    made = Class(tmp_path, collector, store, 2, a=double(1), b=double(2), c=double(3), empty="")
    assert made.told() == dict.fromkeys(["a", "b", "c", "empty"])
    kept = [evidence.load(path) for path in store.folder.iterdir()]
    assert sorted(one.observed["u00-double"][0].values["y"] for one in kept) == [1.0, 2.0, 3.0]
    assert all(one.inputs == store.inputs for one in kept)


def test_a_sandbox_that_does_not_hold_is_refused_here_too(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_receive", lambda: ("refused", "bwrap is missing.", "Install it."))
    with pytest.raises(CourseError) as caught:
        collector.usable()
    assert (caught.value.problem, caught.value.remedy) == ("bwrap is missing.", "Install it.")


def test_why_there_is_no_evidence_is_told_and_the_others_go_on(collector: Collector, store: Store, tmp_path: Path) -> None:
    collector.usable()
    store.folder.write_text("a file where the folder should be", "utf-8")
    told = Class(tmp_path, collector, store, 2, a=double(1), b=double(2)).told()
    assert set(told) == {"a", "b"} and all("could not be written" in str(problem) for problem in told.values())


def test_an_error_of_ours_is_loud(collector: Collector, store: Store, tmp_path: Path) -> None:
    collector.usable()
    collector.begin(replace(PLANNER, checks={"u00-double": 3}), store, 1, "bubblewrap", False)  # type: ignore[dict-item]
    (tmp_path / "a").write_text('{"cells": [{"cell_type": "code", "source": "double = 1"}]}', "utf-8")
    collector.run("a", tmp_path / "a")
    with pytest.raises(RuntimeError, match="AttributeError"):
        collector.ended()


def test_its_death_is_told_and_takes_the_runners_along(collector: Collector, store: Store, tmp_path: Path) -> None:
    collector.usable()
    Class(tmp_path, collector, store, 1, good=double(1), slow=SLOW)
    assert collector.ended() == ("good", None)
    runners = below(collector.process.pid)
    assert runners
    os.kill(collector.process.pid, signal.SIGKILL)
    with pytest.raises(Ended):
        collector.ended()
    assert all(map(gone, runners))


def test_closing_ends_what_still_runs(store: Store, tmp_path: Path) -> None:
    made = Collector()
    made.usable()
    Class(tmp_path, made, store, 1, good=double(1), slow=SLOW)
    made.ended()
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
        "import time\nfrom coursekit.grading.collect.collector import Collector\n"
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
