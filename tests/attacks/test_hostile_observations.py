"""Whatever a forged observation holds, decoding refuses it or judging ends in a verdict: nobody's value stops the class."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import torch

from coursekit.checks import wire
from coursekit.checks.judge import judge
from coursekit.checks.key import ExerciseKey, units
from coursekit.checks.render import html, text
from coursekit.checks.snapshot import (
    MAX_AXES,
    Failure,
    Observed,
    Opaque,
    Seen,
    Snapshot,
    decode_observed,
    encode_observed,
)
from coursekit.checks.verdict import State

KEYS = [key for unit in units().values() for key in unit.values()]


def hostile(dice: random.Random, want: Snapshot) -> Snapshot:
    """A value that an honest runner would not send, often of just the right form."""
    shapes: list[tuple[int, ...]] = [(), (0,), (1,) * MAX_AXES, (3, 0, 2), (1, 2, 3)]
    if isinstance(want, Seen):
        shapes += [tuple(want.data.shape)] * 6 + [tuple(reversed(want.data.shape))]
    shape = dice.choice(shapes)
    number = dice.choice([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1.0, 2.0 ** 63])
    dtype = dice.choice([torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.int8,
                         torch.uint8, torch.bool])
    safe = number if dtype.is_floating_point or dtype.is_complex else (0 if not math.isfinite(number) else max(-100, min(100, int(number))))
    made = torch.full(shape, abs(safe) if dtype == torch.uint8 else safe, dtype=torch.float64).to(dtype)
    if made.numel() > 1 and dtype.is_floating_point:
        made.view(-1)[0] = math.nan
    tensor = Seen(made, dice.random() < 0.3, dice.choice(["cpu", "cuda", "<script>"]), dice.choice([None, "x", "</b>" * 40]))
    plain: list[Snapshot] = [None, True, 2 ** 511, -(2 ** 511), number, "x" * 1000, Opaque("a </b>"), [], {}, [number] * 3, [[[]]], {"$tensor": "0"}]
    if isinstance(want, list):
        plain += [[dice.choice([number, None, "x", tensor]) for _ in want]] * 6
    return dice.choice([tensor, *plain]) if not isinstance(want, Seen) else dice.choice([tensor] * 12 + plain)


@pytest.mark.parametrize("key", KEYS, ids=[key.id for key in KEYS])
def test_a_verdict_comes_from_anything(key: ExerciseKey) -> None:
    dice = random.Random(key.id)
    for _ in range(150):
        seen = []
        for case in key.cases:
            values = {name: hostile(dice, want) if dice.random() < 0.7 else want for name, want in case.expected.values.items()}
            values["</pre><script>"] = 1
            failed = Failure("E" * 300, "<script>\x1b[2J" * 50, "\n\n", 10 ** 300, "f")
            one = dice.choice([Observed(values)] * 5 + [Observed(failure=failed), Observed(lost="<script>")])
            tensors: dict[str, Any] = {}
            frame = wire.pack({"o": encode_observed(one, tensors)}, tensors)
            message, tensors = wire.unpack(frame)
            seen.append(decode_observed(message["o"], tensors))
        verdict = judge(key, seen)
        assert 0.0 <= verdict.credit <= 1.0
        assert (verdict.credit == 1.0) == (verdict.state is State.PASSED)
        assert "<script" not in html(verdict, graded=True)
        assert text(verdict, graded=True)


def test_an_observation_that_contradicts_itself_is_refused() -> None:
    for form in ({"values": {"a": 1}, "failure": {"type_name": "ValueError"}}, {"values": {"a": 1}, "failure": {}}):
        with pytest.raises(ValueError, match="both returned and failed"):
            decode_observed(form, {})


@pytest.mark.parametrize("tensor", [torch.zeros(2, dtype=torch.uint16), torch.zeros(2).to(torch.float8_e5m2), torch.zeros((1,) * (MAX_AXES + 1))])
def test_tensors_that_no_honest_runner_sends_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="never sent"):
        decode_observed({"values": {"a": {"$tensor": "0"}}}, {"0": tensor})


def test_half_characters_do_not_come_in() -> None:
    body = json.dumps({"a": "\ud800 \\ud800 \U0001f600 \\\\", "b": "ü"}).encode()
    message, _ = wire.unpack(wire.HEADER.pack(len(body), 0) + body)
    assert message["a"].encode("utf-8")
    assert message["a"].startswith("? \\ud800 ")
    assert message["b"] == "ü"


def test_a_frame_of_very_many_parts_is_refused() -> None:
    for words, fine in (("a,b," * 1000, True), ([[]] * 1000, False)):
        body = json.dumps({"a": words}).encode()
        data = wire.HEADER.pack(len(body), 0) + body
        steps = iter((data[:8], data[8:]))
        if fine:
            assert wire.read(lambda count: next(steps), max_parts=100)[0] == {"a": words}  # noqa: B023
        else:
            with pytest.raises(wire.TooLarge, match="more than 100 parts"):
                wire.read(lambda count: next(steps), max_parts=100)  # noqa: B023
