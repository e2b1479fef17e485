"""The authors' words: what a decorator registers, and what it gives back."""

from __future__ import annotations

from coursekit.course.authoring import FLOAT32, Key, Tolerance


def test_decorators_register_and_return_their_function() -> None:
    key = Key("u01-x", hints=("a?", "b", "c"))

    @key.inputs
    def inputs(g: object, case: int) -> dict[str, int]:
        return {"x": case}

    @key.oracle
    def oracle(x: int) -> dict[str, int]:
        return {"y": x}

    @key.wrong("`{function}` is off.")
    def off(x: int) -> int:
        return x + 1

    @key.variant
    def other(x: int) -> int:
        return x

    @key.judge
    def judged(inputs: object, observed: object) -> str | None:
        return None

    assert (key.make_inputs, key.expected_by_oracle, key.extra_judge) == (inputs, oracle, judged)
    assert [(item.name, item.hint, item.answer) for item in key.wrong_answers] == [("off", "`{function}` is off.", off)]
    assert key.variants == [other]
    assert inputs(None, 2) == {"x": 2}


def test_tolerance_of_a_name() -> None:
    loose = Tolerance(0.1, 0.0, "a sum of many terms")
    assert Key("u01-x", tolerance=loose).tolerance_of("anything") is loose
    mixed = Key("u01-x", tolerance={"y": loose})
    assert mixed.tolerance_of("y") is loose
    assert mixed.tolerance_of("z") is FLOAT32


def test_keys_share_nothing() -> None:
    one, two = Key("u01-x"), Key("u01-y")
    one.variant(len)
    assert two.variants == []
