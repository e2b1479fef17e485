"""The grader prepares, keeps evidence by content, and judges on the trusted side only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coursekit.build.compile import Compiler
from coursekit.build.source import read
from coursekit.checks.snapshot import Observed
from coursekit.checks.verdict import State
from coursekit.course.catalog import Catalog, load
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.intake import parse
from coursekit.grading.demo import ClassMaker
from coursekit.grading.judge import grader as module
from coursekit.grading.judge.grader import Grader, grader, grading_seed, limits
from coursekit.grading.judge.policy import mentions


@pytest.fixture(scope="module")
def u01() -> Grader:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", "a test's seed")
        return grader("u01")


@pytest.fixture(scope="module")
def maker(u01: Grader) -> ClassMaker:
    return ClassMaker(u01.where, u01.unit)


def expected(u01: Grader) -> Evidence:
    """Evidence as a perfect submission would give it."""
    observed = {name: [case.expected for case in key.cases] for name, key in u01.keys.items()}
    return Evidence("0" * 64, u01.unit.name, "graded", "", [], observed, "none", 0.0, {})


def test_a_perfect_submission_gets_all_points(u01: Grader) -> None:
    verdicts = u01.judge(expected(u01))
    assert {verdict.state for verdict in verdicts.values()} == {State.PASSED}
    assert list(verdicts) == [exercise.id for exercise in u01.unit.exercises]


def test_each_wrong_answer_is_named_on_secret_inputs_too(u01: Grader) -> None:
    for name, key in u01.keys.items():
        for wrong in key.wrong:
            evidence = expected(u01)
            evidence.observed[name] = list(wrong.observed)
            verdict = u01.judge(evidence)[name]
            assert verdict.credit < 1, (name, wrong.name)
            assert verdict.state is (State.NOT_STARTED if wrong.released else State.NOT_YET), (name, wrong.name)


def test_what_was_not_run_earns_nothing_and_says_why(u01: Grader) -> None:
    prepared = u01.planner.prepare(parse(b""))
    assert prepared.outcome == "empty: the file has no content"
    evidence = u01.store.evidence(prepared, "none")
    verdict = next(iter(u01.judge(evidence).values()))
    assert (evidence.outcome, verdict.state, verdict.credit) == ("empty", State.NOT_STARTED, 0.0)
    assert (
        verdict.findings[0].text
        == "`two_layer_forward` was not run, because the submission is empty: the file has no content."
    )


def test_another_units_notebook_is_told(u01: Grader) -> None:
    other = {"cells": [{"cell_type": "code", "source": "def unrelated(): pass"}]}
    assert u01.planner.prepare(parse(json.dumps(other).encode())).outcome == "wrong unit: nothing of u01_tensors is in it"


def test_the_digest_follows_the_code_and_nothing_else(u01: Grader, maker: ClassMaker) -> None:
    def digest(made: dict[str, object]) -> str:
        return u01.planner.prepare(parse(json.dumps(made).encode())).digest

    blank, again = maker.blank(), maker.blank()
    again["metadata"] = {"language_info": {"name": "python", "version": "3.99"}}
    again["cells"][0]["metadata"] = {"collapsed": True}
    assert digest(blank) == digest(again)
    again["cells"].append({"cell_type": "code", "source": "more = 1"})
    assert digest(blank) != digest(again)


@pytest.fixture
def handed_in(maker: ClassMaker, tmp_path: Path) -> Path:
    path = tmp_path / "u01_tensors.ipynb"
    path.write_text(json.dumps(maker.filled(maker.right)), "utf-8")
    return path


def test_what_was_looked_at_is_read_and_laid_out_once(u01: Grader, handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = u01.look(handed_in)
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_file", lambda path: pytest.fail("it was read before"))
        patch.setattr(module, "compose", lambda *a: pytest.fail("it was laid out before"))
        paper = u01.take(handed_in)
    assert paper.prepared is prepared
    again = u01.take(handed_in)
    assert again.notebook is not paper.notebook, "whoever took it has filled it in"
    assert again == paper


def test_what_changed_since_it_was_looked_at_is_read_anew(u01: Grader, handed_in: Path) -> None:
    before = u01.look(handed_in)
    draft = handed_in.with_name("draft")
    draft.write_bytes(handed_in.read_bytes().replace(b"return", b"yield "))
    draft.replace(handed_in)
    assert u01.take(handed_in).prepared.digest != before.digest
    u01.look(handed_in)
    handed_in.unlink()
    assert u01.take(handed_in).prepared.outcome == "empty: the file has no content"


def test_another_students_file_is_not_the_one_that_was_looked_at(u01: Grader, handed_in: Path) -> None:
    other = handed_in.with_name("other.ipynb")
    other.write_bytes(b"")
    u01.look(handed_in)
    assert u01.take(other).prepared.outcome == "empty: the file has no content"


def test_the_courses_demonstrations_are_not_run(u01: Grader, maker: ClassMaker) -> None:
    prepared = u01.planner.prepare(parse(json.dumps(maker.filled(maker.right)).encode()))
    left_out = [prepared.sources[place] for place in u01.store.skip(prepared)]
    assert any("step_through(" in source for source in left_out)
    assert not any("def two_layer_backward" in source for source in left_out)


def test_no_secret_is_in_what_the_sandbox_gets(u01: Grader) -> None:
    for probe in u01.probes:
        assert all(set(case) == set(u01.keys[probe.exercise].cases[0].inputs) for case in probe.cases)
        assert "BEGIN SOLUTION" not in probe.source
        assert not any(isinstance(value, Observed) for case in probe.cases for value in case.values())
    assert set(vars(u01.store)) == {"folder", "unit", "probes", "limits", "shown", "inputs", "_order", "_shuffled", "_last"}
    assert u01.store.shown <= {cell.source for cell in u01.release.cells}


def test_another_seed_gives_other_inputs(u01: Grader) -> None:
    other = Grader(u01.where, u01.unit, "another seed", u01.limits)
    one, two = (g.keys["u01-sse-grad"].cases[0].inputs["pred"] for g in (u01, other))
    assert one.shape == two.shape
    assert not bool((one == two).any())


def test_the_seed_is_made_once_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSEKIT_SEED", raising=False)
    where = Course(tmp_path)
    where.autograder.mkdir()
    seed = grading_seed(where)
    assert len(seed) == 32
    assert grading_seed(where) == seed
    assert (where.autograder / "private" / "seed").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("COURSEKIT_SEED", "mine")
    assert grading_seed(where) == "mine"


def test_limits_come_from_the_course() -> None:
    assert limits(Catalog("t", (), {"cell_seconds": 5})).cell_seconds == 5.0
    with pytest.raises(
        CourseError, match=r"course\.toml: \[grading\] has no limit called `cel_seconds`\.\nLimits are: cell_seconds, "
    ):
        limits(Catalog("t", (), {"cel_seconds": 5}))


def test_an_answer_by_autograd_is_flagged_where_it_is_asked_by_hand_and_loses_nothing(
    u01: Grader, maker: ClassMaker
) -> None:
    right = u01.planner.prepare(parse(json.dumps(maker.filled(maker.right)).encode()))
    assert u01.review(right) == {}
    cheat = "def sse_grad(pred, y):\n    p = pred.clone().requires_grad_()\n    ((p - y) ** 2).sum().backward()\n    return p.grad"
    made = maker.filled(lambda e: cheat if e.id == "u01-sse-grad" else maker.right(e))
    flagged = u01.planner.prepare(parse(json.dumps(made).encode()))
    assert u01.review(flagged)["u01-sse-grad"] == ["backward", "requires_grad_"]


@pytest.mark.parametrize("unit", [unit.name for unit in load(course().catalog).units])
def test_no_reference_is_flagged(unit: str) -> None:
    where = course()
    source = read(where.solutions / f"{unit}.py")
    compiler = Compiler.of(source, where.autograder / unit)
    cells = [cell.text for cell in source.cells if cell.is_code]
    for name, exercise in source.exercises.items():
        assert mentions(cells, exercise.function, compiler.key(name).forbids) == []
