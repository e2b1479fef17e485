"""Which cells are left out when grading, and that leaving them out changes no observation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from coursekit.build import door
from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.collect.demonstrations import demonstrations, skippable
from coursekit.grading.collect.evidence import Evidence, pack
from coursekit.grading.collect.intake import parse
from coursekit.grading.collect.run import collect
from coursekit.grading.demo import ClassMaker
from coursekit.grading.judge.grader import grader
from coursekit.grading.sandbox import trial

SETUP = "import torch\nx = torch.ones(3)"
SHOW = "big = x * 2\nfor step in range(3):\n    print(step, big)"
ANSWER = "def double(t):\n    step = 2\n    return step * t"
PROBE = "def observe(t):\n    return {'y': double(t)}"


def left_out(*sources: str, shown: tuple[str, ...] = (SHOW,), probe: str = PROBE) -> list[int]:
    return sorted(skippable(sources, frozenset(shown), [probe]))


def test_a_demonstration_that_nobody_reads_is_left_out_and_local_names_do_not_count() -> None:
    assert left_out(SETUP, SHOW, ANSWER) == [1]


@pytest.mark.parametrize(
    "reads",
    ["print(big)", "def helper():\n    return big", "class A:\n    b = big", "z = [big for _ in range(2)]", "f = lambda: step", "del big"],
)
def test_it_runs_if_anything_that_runs_reads_its_names(reads: str) -> None:
    assert left_out(SETUP, SHOW, ANSWER, reads) == []
    assert left_out(SETUP, SHOW, ANSWER, probe=f"{PROBE}\n{reads}") == []


@pytest.mark.parametrize(
    "reaches",
    ["globals()['b' + 'ig']", "eval('b' 'ig')", "print(_)", "Out[2]", "%who", "!ls", "import inspect", "get_ipython().user_ns", "def ("],
)
def test_a_student_who_may_reach_any_name_gets_everything_run(reaches: str) -> None:
    assert left_out(SETUP, SHOW, ANSWER, reaches) == []


def test_an_edited_demonstration_is_the_students_own() -> None:
    assert left_out(SETUP, SHOW + "\nprint(1)", ANSWER) == []


def test_what_a_kept_demonstration_reads_is_kept_too() -> None:
    second, third = "c = big + 1", "d = 5"
    shown = (SHOW, second, third)
    assert left_out(SETUP, SHOW, second, third, ANSWER, shown=shown) == [1, 2, 3]
    assert left_out(SETUP, SHOW, second, third, ANSWER, "print(c)", shown=shown) == [3]


@pytest.mark.parametrize(
    "changes",
    ["x.add_(1)", "x[0] = 5", "x.data = big", "x += 1", "torch.manual_seed(3)", "torch.set_default_dtype(torch.float64)", "global x\nx = 3",
     "from math import *", "torch.add(x, 1).t_ = 3\nx.grad = None"],
)
def test_a_demonstration_that_changes_what_it_did_not_make_runs(changes: str) -> None:
    assert left_out(SETUP, changes, ANSWER, "print(x)", shown=(changes,)) == []


@pytest.mark.parametrize(
    "harmless", ["a = torch.ones(2)\na.add_(1)", "g = torch.Generator().manual_seed(3)", "torch.zeros(3).scatter_add_(0, x.long(), x)"]
)
def test_what_a_demonstration_made_itself_it_may_change(harmless: str) -> None:
    assert left_out(SETUP, harmless, ANSWER, shown=(harmless,)) == [1]


def test_setup_and_answers_are_no_demonstrations() -> None:
    release = grader("u01").release
    shown = demonstrations(release)
    assert shown
    for cell in release.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") or {"setup", "parameters"} & set(cell.metadata.get("tags", ())):
            assert cell.source not in shown


def test_checks_are_left_out_unless_somebody_reads_what_they_define() -> None:
    judge = grader("u01")
    maker = ClassMaker(course(), judge.unit)
    checks = {cell.source for cell in judge.release.cells if cell.metadata.get("nbgrader", {}).get("grade")}
    plain = maker.filled(maker.right)
    prepared = judge.planner.prepare(parse(json.dumps(plain).encode()))
    left = {prepared.sources[place] for place in judge.store.skip(prepared)}
    assert len(checks) == len(judge.keys) and checks <= left
    own = {"cell_type": "code", "id": "own", "metadata": {}, "source": "print(observe)", "outputs": [], "execution_count": None}
    prepared = judge.planner.prepare(parse(json.dumps({**plain, "cells": [*plain["cells"], own]}).encode()))
    assert not checks & {prepared.sources[place] for place in judge.store.skip(prepared)}


def test_the_look_for_the_course_is_left_out_though_it_imports_the_importer() -> None:
    judge = grader("u01")
    maker = ClassMaker(course(), judge.unit)
    prepared = judge.planner.prepare(parse(json.dumps(maker.filled(maker.right)).encode()))
    assert prepared.sources.index(door.TEXT) in judge.store.skip(prepared)


def bare(evidence: Evidence) -> bytes:
    return pack(replace(evidence, cells=[], seconds=0.0, cpu_seconds=0.0, memory_bytes=0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a wrong answer of u06 leaves a file open
@pytest.mark.skipif(not trial.try_bubblewrap()[0], reason="no sandbox here")
@pytest.mark.parametrize("unit", [unit.name for unit in catalog.load(course().catalog).units])
def test_observations_are_the_same_to_the_byte_with_and_without(unit: str) -> None:
    judge = grader(unit)
    maker = ClassMaker(course(), judge.unit, seed=7)
    for choose in (maker.right, *[maker.mixed] * 5):
        prepared = judge.planner.prepare(parse(json.dumps(maker.filled(choose)).encode()))
        with_, without = (
            collect(list(prepared.sources), judge.probes, submission="ab", unit=unit, limits=judge.limits, skip=left)
            for left in (frozenset[int](), judge.store.skip(prepared))
        )
        assert with_.outcome == without.outcome == "graded"
        assert bare(with_) == bare(without)
        assert judge.judge(with_) == judge.judge(without)
