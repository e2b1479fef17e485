"""A good unit is proved; for each thing that can be wrong with a key, the report says so and what to do next."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from coursekit.build.compile import Compiler
from coursekit.build.source import read
from coursekit.checks import key as keys
from coursekit.checks.snapshot import Observed
from coursekit.errors import CourseError
from coursekit.proof.prove import main

EPSILON = "    return 2 * (pred - y)\n    ### END"
SHIFTED = EPSILON.replace("(pred - y)", "(pred - y) + 0 * y.sum()")
LOOP = EPSILON.replace("    return", "    n = 3\n    while n > 0:\n        n -= 1\n    return")


def test_a_good_unit_is_proved(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["u01"], seeds=12) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "u01_tensors"
    head = "exercise       oracle     seeds  variants  own hint  mutants killed  equivalent"
    assert lines[1].split() == head.split()
    assert lines[3].split() == ["u01-sse-grad", "1", "of", "2", "12", "2", "6/6", "12/12", "0"]
    assert lines[4].split() == ["u01-hunt-mean", "no", "oracle", "12", "2", "6/6", "5/5", "0"]
    assert lines[5:] == ["100.0% of the mutants killed; the bar is 98%.", "", "u01_tensors: proved."]
    assert err == ""


def test_the_json_report(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mini.source(EPSILON, SHIFTED)
    assert main([], seeds=1, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    unit = document["units"][0]
    assert (document["ok"], unit["unit"], unit["ok"], unit["bar"]) == (False, "u01_tensors", False, 0.98)
    row = unit["exercises"][0]
    assert row["exercise"] == "u01-sse-grad"
    assert row["own_hint"] == row["wrong"] == 6
    survivor = {"place": "solutions/u01_tensors.py:16", "mutant": "line 3: y.sum() -> y.mean()"}
    assert survivor in row["survivors"]


def test_an_unknown_unit_is_named(mini: Any) -> None:
    with pytest.raises(CourseError, match="There is no unit `u09`"):
        main(["u09"])


SPOILED: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "a wrong answer passes",
        lambda mini: mini.key(
            "def sign(pred, y): return 2 * (y - pred)", "def sign(pred, y): return in_steps(pred, y)"
        ),
        "`u01-sse-grad`: the wrong answer sign passes on the visible inputs. Make it wrong, or choose inputs on which it is.",
    ),
    (
        "a wrong answer passes on fresh inputs",
        lambda mini: mini.key(
            "def sign(pred, y): return 2 * (y - pred)", "def sign(pred, y): return in_steps(pred, y)"
        ),
        "`u01-sse-grad`: the wrong answer sign gives Passed on fresh seed 0. Choose inputs on which it is always wrong.",
    ),
    (
        "a wrong answer gets another's hint",
        lambda mini: mini.key("def sign(pred, y): return 2 * (y - pred)", "def sign(pred, y): return pred - y"),
        "`u01-sse-grad`: the wrong answer sign gets the hint of no_two on the visible inputs. Choose inputs that tell them apart.",
    ),
    (
        "a variant fails",
        lambda mini: mini.key("return (pred - y).mul_(2)", "return (pred - y).mul_(3)"),
        "`u01-sse-grad`: variant 1 (in_steps) does not pass on the visible inputs: Not yet.",
    ),
    (
        "the reference disagrees with the oracle",
        lambda mini: mini.key("(leaf - y).square().sum()", "(leaf - y).square().mean()"),
        "`u01-sse-grad`: the reference and the oracle disagree on `grad` for the visible inputs. "
        "One of them is wrong, or the tolerance is too small.",
    ),
    (
        "the oracle uses another name",
        lambda mini: mini.key('{"grad": leaf.grad}', '{"gradient": leaf.grad}'),
        "`u01-sse-grad`: the oracle gives `gradient`, which the probe does not observe. Use the probe's names.",
    ),
    (
        "the oracle fails",
        lambda mini: mini.key(".sum().backward()", ".backward()"),
        "`u01-sse-grad`: the oracle fails on the visible inputs: RuntimeError:",
    ),
    (
        "the reference is random",
        lambda mini: mini.source("mean = x.mean(dim=0)\n", "mean = x.mean(dim=0) + torch.rand(3)\n"),
        "`u01-hunt-mean`: the reference does not pass on the visible inputs when it runs a second time: Not yet.",
    ),
    (
        "the reference is not finite, and nothing says that it should be",
        lambda mini: mini.hunt("torch.randn(4 + case, 3, generator=g)}", "torch.randn(4 + case, 3, generator=g) / 0}"),
        "`u01-hunt-mean`: the reference gives NaN or infinity on the visible inputs, and no oracle says that it should. "
        "Choose other inputs, or register an oracle.",
    ),
    (
        "the broken code of a hunt passes",
        lambda mini: mini.source("# mean = x.mean()", "# mean = x.sum(0) / len(x)"),
        "`u01-hunt-mean`: the broken code that the release shows passes on the visible inputs. Choose inputs on which the bug shows.",
    ),
    (
        "the inputs are always the same",
        lambda mini: mini.hunt("torch.randn(4 + case, 3, generator=g)}", "torch.arange(12.0).reshape(4, 3)}"),
        "`u01-hunt-mean`: an answer that returns the visible example's results passes on fresh seed 0. "
        "Let the inputs change more with the generator.",
    ),
    (
        "the key's own judge objects",
        lambda mini: mini.key(
            "sse = Key", "def no(inputs, seen): return f\"grad is {tuple(seen['grad'].shape)}\"\nsse = Key"
        ).key("@sse.variant\ndef summed", "sse.judge(no)\n@sse.variant\ndef summed"),
        "`u01-sse-grad`: the reference does not satisfy the key's own judge on the visible inputs: grad is (5, 3)",
    ),
    (
        "too few variants",
        lambda mini: mini.key("@sse.variant\ndef summed", "def summed"),
        "`u01-sse-grad` has 1 correct variants; it needs 2.",
    ),
    (
        "too few wrong answers",
        lambda mini: mini.hunt("range(6)", "range(5)"),
        "`u01-hunt-mean` has 5 wrong answers; it needs 6.",
    ),
    (
        "an equivalent mutant is gone",
        lambda mini: mini.hunt(
            'Key("u01-hunt-mean",', 'Key("u01-hunt-mean", equivalent={"line 9: a -> b": "no reason"},'
        ),
        "`u01-hunt-mean`: the key lists `line 9: a -> b` as equivalent, but there is no such mutant any more. Take it out.",
    ),
    (
        "an equivalent mutant is caught",
        lambda mini: mini.hunt(
            'Key("u01-hunt-mean",',
            'Key("u01-hunt-mean", equivalent={"line 1: x.mean(dim=0) -> x.mean()": "no reason"},',
        ),
        "`u01-hunt-mean`: the key lists `line 1: x.mean(dim=0) -> x.mean()` as equivalent, but the check catches it. Take it out.",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), [item[1:] for item in SPOILED], ids=[item[0] for item in SPOILED])
def test_what_is_wrong_is_said(mini: Any, spoil: Callable[[Any], Any], sentence: str) -> None:
    spoil(mini)
    report = mini.prove(seeds=1)
    assert any(sentence in said for said in report.said), report.said
    assert not report.fine


def test_the_same_trouble_on_many_seeds_is_said_once(mini: Any) -> None:
    mini.hunt("torch.randn(4 + case, 3, generator=g)}", "torch.arange(12.0).reshape(4, 3)}")
    said = mini.prove(seeds=4).said
    assert len(said) == 1
    assert said[0].endswith("(The same on 3 more.)")


def test_survivors_are_listed_with_file_line_and_text(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mini.source(EPSILON, SHIFTED)
    assert main(["u01"], seeds=1) == 1
    out = capsys.readouterr().out
    assert "\n  solutions/u01_tensors.py:16: u01-sse-grad: line 3: y.sum() -> y.mean()\n" in out
    assert "say in the key why nothing can:" in out
    assert out.endswith("u01_tensors: not proved.\n")


def test_a_listed_equivalent_is_counted_out(mini: Any) -> None:
    mini.source(EPSILON, SHIFTED)
    before = mini.prove(seeds=1)
    names = {name: "0 times anything is 0" for _, name in before.rows[0].survivors}
    assert names
    again = mini.__class__(mini.root)
    again.key('Key("u01-sse-grad",', f'Key("u01-sse-grad", equivalent={names!r},')
    from coursekit.proof import stage

    stage._compiler.cache_clear()
    stage.stage.cache_clear()
    report = again.prove(seeds=1)
    assert report.rows[0].equivalent == names
    assert report.rows[0].survivors == []
    assert report.score == 1
    assert report.fine, report.said


def test_an_endless_mutant_is_killed(mini: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coursekit.proof.stage.LEAST", 0.2)
    mini.source(EPSILON, LOOP)
    report = mini.prove(seeds=1)
    survivors = [name for _, name in report.rows[0].survivors]
    assert "line 5: n -= 1 -> pass" not in survivors
    assert report.rows[0].killed > 12


def test_a_mutant_that_ends_python_costs_only_itself(mini: Any) -> None:
    exits = "    import os\n    if len(y) > 999:\n        os._exit(3)\n    return"
    report = mini.source(EPSILON, EPSILON.replace("    return", exits)).prove(seeds=1, jobs=1)
    survivors = [name for _, name in report.rows[0].survivors]
    assert "line 4: len(y) > 999 -> len(y) >= 999" in survivors
    assert "line 4: len(y) > 999 -> len(y) <= 999" not in survivors
    assert report.rows[0].mutants == report.rows[0].killed + len(survivors)
    assert report.rows[0].own_hint == 6


def commit(mini: Any) -> Any:
    """Write the visible key, as a build would. Returns: its path."""
    compiler = Compiler.of(read(mini.root / "solutions" / "u01_tensors.py"), mini.key_folder)
    path = mini.root / "data" / "keys" / "u01_tensors.key"
    path.parent.mkdir(parents=True)
    path.write_bytes(keys.dump("u01_tensors", compiler.compile_all()))
    return path


def test_the_committed_key_is_judged_with(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["u01"], shipped=True) == 1
    assert "`u01-sse-grad`: there is no committed key. Run `coursekit build`." in capsys.readouterr().out
    commit(mini)
    assert main(["u01"], shipped=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["exercise,", "by", "the", "committed", "key", "variants", "own", "hint"]
    assert [line.split() for line in lines[3:5]] == [["u01-sse-grad", "2", "6/6"], ["u01-hunt-mean", "2", "6/6"]]
    assert lines[-1] == "u01_tensors: proved."


def test_a_committed_key_that_this_machine_does_not_give(mini: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """As if another version of torch had made it: a hint is lost, and a right answer refused."""
    path = commit(mini)
    made = keys.parse(path.read_bytes())
    sse = made["u01-sse-grad"]
    wrong = [dataclasses.replace(one, observed=(Observed(),) * len(one.observed)) if one.name == "sign" else one for one in sse.wrong]
    path.write_bytes(keys.dump("u01_tensors", [dataclasses.replace(sse, wrong=tuple(wrong)), made["u01-hunt-mean"]]))
    assert main(["u01"], shipped=True) == 1
    out = capsys.readouterr().out
    assert "5/6" in out
    assert "`u01-sse-grad`: the wrong answer sign gets the hint of" in out
    assert "on the committed key" in out
