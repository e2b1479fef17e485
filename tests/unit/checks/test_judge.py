"""The order in which mistakes are named, what earns credit, and what each state needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coursekit.checks.judge import judge
from coursekit.checks.key import UNTRIED, ExerciseKey
from coursekit.checks.likeness import REFUSAL
from coursekit.checks.snapshot import Observed
from coursekit.checks.verdict import State, Verdict

A, B, P = torch.tensor([1.0, -2.0, 4.0]), torch.tensor([[3.0, 5.0], [-1.0, 2.5]]), torch.tensor([9.0, 8.0])
Make = Callable[..., Any]
HALF, FLIPPED, KEEPS = "`sse_grad` drops the factor 2.", "`sse_grad` has the sign wrong.", "`sse_grad` works in place."


def rich(make_key: Make, see: Make, fail: Make) -> ExerciseKey:
    """Two observations, a guard and a case that is to be refused; three known mistakes."""
    ok, no = see(a=A, b=B, p_after=P), fail("ValueError", "shapes")
    return make_key(  # type: ignore[no-any-return]
        [ok, ok, no],
        {
            "half": (HALF, [see(a=A / 2, b=B, p_after=P)] * 2 + [no]),
            "flipped": (FLIPPED, [see(a=A, b=-B, p_after=P)] * 2 + [no]),
            "in_place": (KEEPS, [see(a=A, b=B, p_after=P + 1)] * 2 + [no]),
            "careless": ("It takes everything.", [ok, ok, see(a=A, b=B, p_after=P)]),
        },
        guards=("p_after",),
        weights={"a": 2},
    )


def texts(verdict: Verdict) -> list[str]:
    return [finding.text for finding in verdict.findings]


def test_passed(make_key: Make, see: Make, fail: Make) -> None:
    key = rich(make_key, see, fail)
    verdict = judge(key, [see(a=A.double(), b=B, p_after=P)] * 2 + [fail("TypeError", "another error is one, too")])
    assert (verdict.state, verdict.credit, verdict.findings) == (State.PASSED, 1.0, ())
    assert verdict.right == ("a", "b", "p_after", REFUSAL)
    assert verdict.headline == "✔ Passed: u01-sse-grad"


def test_a_known_wrong_answer_comes_first(make_key: Make, see: Make, fail: Make) -> None:
    key = rich(make_key, see, fail)
    verdict = judge(key, [see(a=A / 2, b=B, p_after=P)] * 2 + [fail("ValueError", "mine")])
    assert (texts(verdict), verdict.matched) == ([HALF], ("half",)), "not 'is 0.5 times what is expected'"
    assert verdict.right == ("b",)
    assert verdict.credit == 1 / 5


def test_two_known_mistakes_at_once_are_both_named(make_key: Make, see: Make, fail: Make) -> None:
    key = rich(make_key, see, fail)
    verdict = judge(key, [see(a=A / 2, b=-B, p_after=P + 1)] * 2 + [see(a=A, b=B, p_after=P)])
    assert texts(verdict) == [HALF, FLIPPED, KEEPS, "It takes everything."]
    assert verdict.matched == ("half", "flipped", "in_place", "careless")
    assert (verdict.credit, verdict.right) == (0.0, ())


def test_a_known_and_an_unknown_mistake(make_key: Make, see: Make, fail: Make) -> None:
    verdict = judge(rich(make_key, see, fail), [see(a=A / 2, b=3 * B, p_after=P)] * 2 + [fail("ValueError", "")])
    assert texts(verdict) == [
        HALF,
        "`b` is 3 times what is expected, everywhere. A constant factor is missing or extra.",
    ]
    assert verdict.matched == ("half",)


def test_a_known_mistake_must_show_in_every_case(make_key: Make, see: Make, fail: Make) -> None:
    key = rich(make_key, see, fail)
    ok = see(a=A, b=B, p_after=P)
    verdict = judge(key, [ok, see(a=A / 2, b=B, p_after=P), fail("ValueError", "")])
    assert verdict.matched == ()
    assert texts(verdict) == ["`a` is 0.5 times what is expected, everywhere. A constant factor is missing or extra."]


def test_guards_and_refusals_earn_only_with_all_else_right(make_key: Make, see: Make, fail: Make) -> None:
    key, no = rich(make_key, see, fail), fail("ValueError", "")
    credit = {
        "all but the guard": ([see(a=A, b=B, p_after=P + 2)] * 2 + [no], 4 / 5),
        "all but the refusal": ([see(a=A, b=B, p_after=P)] * 3, 4 / 5),
        "neither": ([see(a=A, b=B, p_after=P + 2)] * 2 + [see()], 3 / 5),
        "only the guard and the refusal": ([see(a=0 * A, b=0 * B, p_after=P)] * 2 + [no], 0.0),
        "a, the guard and the refusal": ([see(a=A, b=0 * B, p_after=P)] * 2 + [no], 2 / 5),
    }
    for name, (seen, expected) in credit.items():
        assert judge(key, seen).credit == expected, name


def test_an_exception_names_the_students_own_line(make_key: Make, see: Make, fail: Make) -> None:
    seen = fail("RuntimeError", "The size of tensor a (3) must match\nmore", "return 2 * (pred - y)", 4, "sse_grad")
    verdict = judge(make_key([see(a=A, b=B)]), [seen])
    assert texts(verdict) == [
        "`sse_grad` raised RuntimeError in your line 4: `return 2 * (pred - y)`. The size of tensor a (3) must match"
    ], "said once, though two observations are missing"
    assert verdict.state is State.NOT_YET
    bare = judge(make_key([see(a=A)]), [fail("AssertionError", "")])
    assert texts(bare) == ["`sse_grad` raised AssertionError."]


def test_an_exception_in_the_checks_own_line(make_key: Make, see: Make, fail: Make) -> None:
    key = make_key([see(a=A)])
    line = "g1, g2 = sse_grad(pred, y)"
    none = fail("TypeError", "cannot unpack non-iterable NoneType object", line, 3, "observe")
    assert texts(judge(key, [none])) == [
        f"The check of `sse_grad` stopped at its line `{line}`. "
        "TypeError: cannot unpack non-iterable NoneType object. Does `sse_grad` end in `return`?"
    ]
    taken = fail("TypeError", "sse_grad() missing 1 required positional argument: 'y'", line, 3, "observe")
    assert texts(judge(key, [taken])) == [
        f"The check of `sse_grad` stopped at its line `{line}`. "
        "TypeError: sse_grad() missing 1 required positional argument: 'y'"
    ]


def test_not_started(make_key: Make, see: Make, fail: Make) -> None:
    key = make_key([see(a=A), fail("ValueError", "")])
    blank = [fail("NotImplementedError", "", "raise NotImplementedError()", 3, "sse_grad")] * 2
    verdict = judge(key, blank)
    assert (verdict.state, verdict.credit) == (State.NOT_STARTED, 0.0)
    assert texts(verdict) == [
        "`sse_grad` is still the blank stub. Replace `raise NotImplementedError()` with your code."
    ]


def test_an_earlier_exercise_that_is_blank_is_named(make_key: Make, see: Make, fail: Make) -> None:
    verdict = judge(
        make_key([see(a=A)]), [fail("NotImplementedError", "", "raise NotImplementedError()", 3, "forward")]
    )
    assert verdict.state is State.NOT_STARTED
    assert texts(verdict) == [
        "`sse_grad` cannot run yet: `forward` is still a blank stub. "
        "Replace its `raise NotImplementedError()` with your code."
    ]


def test_not_defined(make_key: Make, see: Make, fail: Make) -> None:
    verdict = judge(
        make_key([see(a=A)]), [fail("NameError", "name 'sse_grad' is not defined", "sse_grad(x)", 3, "observe")]
    )
    assert verdict.state is State.NOT_STARTED
    assert texts(verdict) == ["`sse_grad` is not defined. Run the cell that defines it, then this one."]
    other = judge(make_key([see(a=A)]), [fail("NameError", "name 'np' is not defined", "np.ones(3)", 3, "sse_grad")])
    assert other.state is State.NOT_YET
    assert texts(other) == ["`sse_grad` raised NameError in your line 3: `np.ones(3)`. name 'np' is not defined"]


def test_not_implemented_from_inside_torch_is_a_mistake_and_not_a_blank(make_key: Make, see: Make, fail: Make) -> None:
    """A module without `forward`, a Subset whose `__getitems__` is not replaced."""
    seen = [fail("NotImplementedError", "Module [Net] is missing the required \"forward\" function", "return net(x)", 3, "sse_grad")]
    verdict = judge(make_key([see(a=A)]), seen)
    assert verdict.state is State.NOT_YET
    assert "missing the required" in verdict.findings[0].text
    in_worker = "Caught NotImplementedError in DataLoader worker process 0.\nOriginal Traceback ...\n    raise NotImplementedError()"
    blank = [fail("NotImplementedError", in_worker, "for batch in loader:", 3, "observe")]
    assert judge(make_key([see(a=A)]), blank).state is State.NOT_STARTED


def test_unfinished(make_key: Make, see: Make, fail: Make) -> None:
    seen = [see(a=A), fail("NotImplementedError", "", "raise NotImplementedError()", 7, "sse_grad")]
    verdict = judge(make_key([see(a=A), see(a=A)]), seen)
    assert verdict.state is State.NOT_YET
    assert texts(verdict) == [
        "`sse_grad` still raises NotImplementedError in your line 7: `raise NotImplementedError()`."
    ]


def test_as_released(make_key: Make, see: Make) -> None:
    key = make_key([see(a=A)], {"as_released": ("Follow one number.", [see(a=A * 7)])}, released=["as_released"])
    verdict = judge(key, [see(a=A * 7)])
    assert (verdict.state, verdict.credit) == (State.NOT_STARTED, 0.0)
    assert texts(verdict) == ["`sse_grad` still behaves as released. Follow one number."]


def test_no_refusal(make_key: Make, see: Make, fail: Make) -> None:
    key = make_key([see(a=A), fail("ValueError", "")])
    assert texts(judge(key, [see(a=A), see(a=A)])) == [
        "`sse_grad` accepts input that does not fit together; it should raise an error instead."
    ]
    slip = fail("NameError", "name 'shapes' is not defined", "if shapes:", 2, "sse_grad")
    assert texts(judge(key, [see(a=A), slip])) == [
        "`sse_grad` raised NameError in your line 2: `if shapes:`. name 'shapes' is not defined"
    ], "a slip is no refusal, and is said"


def test_input_changed(make_key: Make, see: Make) -> None:
    key = make_key([see(a=A, p_after=P)], guards=("p_after",))
    assert texts(judge(key, [see(a=A, p_after=P + 1)])) == [
        "`sse_grad` changes its input `p` in place. Work on a new tensor."
    ]
    assert texts(judge(key, [see(a=A, p_after=P.clone().requires_grad_())])) == [
        "`sse_grad` switches gradient tracking of its input `p`. Work on `p.detach().clone()`."
    ]


def test_aliased(make_key: Make, see: Make) -> None:
    key = make_key([see(a=A, b=B)])
    verdict = judge(key, [see({"pred": (p := 3 * A)}, a=p, b=B)])
    assert texts(verdict) == [
        "`a` and `pred` are the same memory: a change of one in place changes the other. "
        "`a` is 3 times what is expected, everywhere. A constant factor is missing or extra."
    ]
    assert judge(key, [see({"pred": A}, a=A, b=B)]).state is State.PASSED, "sharing alone is no mistake"


def test_lost(make_key: Make, see: Make) -> None:
    said = {
        "timed out": "`sse_grad` did not finish in time. Is there a loop that never ends?",
        "crashed": "`sse_grad` ended the whole Python process. Does it call exit, or use very much memory?",
        "too large": "`sse_grad` returned more data than a check looks at. Is a shape or a loop larger "
        "than it should be?",
        "gone": "`sse_grad` could not be observed: gone.",
    }
    for lost, text in said.items():
        verdict = judge(make_key([see(a=A), see(a=A)]), [see(a=A), Observed(lost=lost)])
        assert (verdict.state, texts(verdict)) == (State.NOT_YET, [text])


def test_missing(make_key: Make, see: Make) -> None:
    assert texts(judge(make_key([see(a=A, b=B)]), [see(a=A)])) == ["`b` is missing from what the check observed."]
    assert texts(judge(make_key([see(a=A)]), [])) == ["`sse_grad` was observed 0 times; expected 1."]


def test_on_a_gpu_everything_is_expected_there(make_key: Make, see: Make) -> None:
    from dataclasses import replace

    def on_gpu(item: Observed) -> Observed:
        return Observed({name: replace(value, device="cuda") for name, value in item.values.items()})  # type: ignore[type-var]

    key = make_key([see(a=A, b=B)], {"half": (HALF, [see(a=A / 2, b=B)])})
    assert judge(key, [on_gpu(see(a=A, b=B))], "cuda").state is State.PASSED
    assert judge(key, [on_gpu(see(a=A / 2, b=-B))], "cuda").matched == ("half",)
    assert texts(judge(key, [see(a=A, b=B)], "cuda"))[0] == (
        "`a` is on cpu; expected cuda. Create new tensors on the device of the inputs."
    )


def test_tolerance_and_strictness_are_per_name(make_key: Make, see: Make) -> None:
    key = make_key([see(a=A, b=B)], tolerance={"a": (0.1, 0.0)}, strict_dtype=("b",))
    assert judge(key, [see(a=A * 1.05, b=B)]).state is State.PASSED
    assert judge(key, [see(a=A * 1.05, b=B.double())]).right == ("a",)


def test_cases_may_look_at_different_things(make_key: Make, see: Make) -> None:
    """A name that a case does not have is no difference between two runs that came to their end there."""
    key = make_key(
        [see(a=A), see(place="meta")],
        {"half": (HALF, [see(a=A / 2), see(place="meta")]), "stays": (FLIPPED, [see(a=A), see(place="cpu")])},
    )
    assert judge(key, [see(a=A), see(place="meta")]).state is State.PASSED
    verdict = judge(key, [see(a=A / 2), see(place="meta")])
    assert (texts(verdict), verdict.matched, verdict.right) == ([HALF], ("half",), ("place",))
    both = judge(key, [see(a=A / 2), see(place="cpu")])
    assert both.matched == ("half", "stays")
    lost = judge(key, [see(a=A / 2), Observed(lost="timed out")])
    assert lost.matched == ()


def untried(make_key: Make, see: Make) -> ExerciseKey:
    """Two cases; the wrong answer was tried on the first one only."""
    ok = see(a=A, b=B)
    return make_key([ok, ok], {"half": (HALF, [see(a=A / 2, b=B), Observed(lost=UNTRIED)])})  # type: ignore[no-any-return]


def test_a_known_wrong_answer_is_named_by_the_cases_in_which_it_was_tried(make_key: Make, see: Make) -> None:
    verdict = judge(untried(make_key, see), [see(a=A / 2, b=B)] * 2)
    assert verdict.matched == ("half",)
    assert texts(verdict) == [HALF]


def test_a_wrong_answer_that_was_right_where_tried_explains_nothing(make_key: Make, see: Make) -> None:
    verdict = judge(untried(make_key, see), [see(a=A, b=B), see(a=A, b=-B)])
    assert verdict.matched == ()
    assert verdict.right == ("a",)


def test_who_claims_not_to_have_been_tried_earns_nothing(make_key: Make, see: Make) -> None:
    verdict = judge(untried(make_key, see), [see(a=A, b=B), Observed(lost=UNTRIED)])
    assert (verdict.state, verdict.credit) == (State.NOT_YET, 0.0)
