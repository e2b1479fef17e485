"""Evidence is found where it can be, and collected again where it must be."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.collect import store as module
from coursekit.grading.collect.evidence import CellRun, Evidence
from coursekit.grading.collect.plan import Prepared
from coursekit.grading.collect.run import Probe
from coursekit.grading.collect.store import Store
from coursekit.grading.judge.grader import grader
from coursekit.grading.sandbox.limits import Limits

PREPARED = Prepared(("a = 1", "print(a)"), None, "ab")
Collected = Callable[..., list[dict[str, object]]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    probe = Probe("u00-double", "def observe(x): return {'y': double(x)}", "observe", [{"x": 1.0}, {"x": 2.0}])
    return Store(tmp_path / "evidence", "u00", [probe], Limits(), frozenset({"print(a)"}))


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Collected:
    """Let nothing really run. Returns: a function that sets how runs end, and gives the list of what was asked of them."""

    def ending(outcome: str = "graded", environment: dict[str, str] | None = None) -> list[dict[str, object]]:
        asked: list[dict[str, object]] = []

        def run(sources: list[str], probes: list[Probe], **rest: object) -> Evidence:
            asked.append({"sources": sources, "probes": probes, **rest})
            kind = str(rest["isolation"])
            used = module.versions() if environment is None else environment
            return Evidence(str(rest["submission"]), "u00", outcome, "", [CellRun("ok")], {}, kind, 0.1, used)

        monkeypatch.setattr(module, "collect", run)
        return asked

    return ending


def test_evidence_is_kept_and_reused(store: Store, collected: Collected) -> None:
    asked = collected()
    first = store.evidence(PREPARED, "none")
    assert store.evidence(PREPARED, "none") == first
    assert len(asked) == 1
    store.evidence(PREPARED, "bubblewrap")  # evidence collected without a sandbox is no evidence for a run with one
    store.evidence(PREPARED, "bubblewrap", reuse=False)
    assert len(asked) == 3


def test_a_warm_run_that_fell_back_to_cold_runners_counts(store: Store, collected: Collected) -> None:
    asked = collected()
    store.evidence(PREPARED, "bubblewrap-cold")
    store.evidence(PREPARED, "bubblewrap")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("outcome", "environment", "runs_again"),
    [("graded", None, False), ("timed out", None, True), ("crashed", None, True), ("graded", {"torch": "1.0"}, True)],
)
def test_what_did_not_run_to_its_end_or_ran_elsewhere_gets_another_try(
    store: Store, collected: Collected, outcome: str, environment: dict[str, str] | None, runs_again: bool
) -> None:
    asked = collected(outcome, environment)
    store.evidence(PREPARED, "none", retry=True)
    store.evidence(PREPARED, "none")
    assert len(asked) == 1
    store.evidence(PREPARED, "none", retry=True)
    assert len(asked) == (2 if runs_again else 1)


def test_what_need_not_run_is_passed_on(store: Store, collected: Collected) -> None:
    asked = collected()
    store.evidence(PREPARED, "none")
    assert (asked[0]["sources"], asked[0]["skip"], asked[0]["submission"]) == (["a = 1", "print(a)"], {1}, "ab")


def test_its_turn_is_over_before_the_disk_has_taken_the_evidence(
    store: Store, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one submission waits for the disk, the next can run."""
    collected()
    turn, free = threading.Semaphore(1), []
    run, save = module.collect, module.files.save
    monkeypatch.setattr(module, "collect", lambda *a, **k: free.append(turn.acquire(blocking=False)) or run(*a, **k))
    monkeypatch.setattr(module.files, "save", lambda *a: free.append(turn.acquire(blocking=False)) or save(*a))
    store.evidence(PREPARED, "none", turn=turn)
    assert free == [False, True]


def test_what_cannot_run_ends_in_its_outcome(store: Store, collected: Collected) -> None:
    asked = collected()
    evidence = store.evidence(replace(PREPARED, outcome="wrong unit: nothing of u00 is in it"), "none")
    assert (evidence.outcome, evidence.where, asked) == ("wrong unit", "nothing of u00 is in it", [])
    assert not store.path(PREPARED).exists()


def test_evidence_on_other_inputs_is_not_reused(store: Store, collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's generator may change while probe and seed stay."""
    asked = collected()
    store.evidence(PREPARED, "none")
    monkeypatch.setattr(store, "inputs", {"u00-double": "other"})
    store.evidence(PREPARED, "none")
    assert len(asked) == 2


def test_damaged_evidence_is_collected_again(store: Store, collected: Collected) -> None:
    collected()
    store.path(PREPARED).parent.mkdir(parents=True)
    store.path(PREPARED).write_bytes(b"cut sho")
    assert store.evidence(PREPARED, "none").inputs == store.inputs


def test_a_file_that_changed_since_it_was_read_is_read_again(store: Store, collected: Collected) -> None:
    asked = collected()
    first = store.evidence(PREPARED, "none")
    assert store.evidence(PREPARED, "none") is store.evidence(PREPARED, "none")
    store.path(PREPARED).write_bytes(b"cut short")
    assert store.evidence(PREPARED, "none") == first
    assert len(asked) == 2


def test_another_process_gets_the_same_store(tmp_path: Path) -> None:
    inputs = {"x": torch.arange(3.0), "shape": [2, 3], "nothing": None, "far": math.inf, "name": "ä"}
    probe = Probe("u00-f", "def observe(**x): ...", "observe", [inputs, {"x": torch.ones(1)}])
    store = Store(tmp_path, "u00", [probe], Limits(cell_seconds=7), frozenset({"a", "b"}))
    again = Store.unpack(store.pack())
    assert (again.folder, again.unit, again.limits, again.inputs) == (tmp_path, "u00", store.limits, store.inputs)
    assert again.shown == {"a", "b"}
    assert [probe.frames for probe in again.probes] == [probe.frames for probe in store.probes]
    assert again._order == store._order


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a wrong answer of u06 leaves a file open
@pytest.mark.parametrize("unit", [unit.name for unit in catalog.load(course().catalog).units])
def test_each_units_inputs_reach_another_process_unchanged(unit: str) -> None:
    store = grader(unit).store
    assert Store.unpack(store.pack()).inputs == store.inputs
