"""The key of u02-predict-grads."""

import math

import torch

from coursekit.course.authoring import Key, Tolerance

predict = Key(
    "u02-predict-grads",
    hints=(
        "For each snippet: which tensors are leaves, how many walks are there, what was saved, and what was not recorded?",
        "A walk adds to `.grad`. A part that was not recorded is a constant. A second walk needs the saved tensors of the first. In place on a "
        "watched leaf is refused.",
        "A near-example: `y = 4 * x * x.detach()`, then `y.backward()`. The detached factor is the constant a, so x.grad is 4 · a.",
    ),
    cases=2,
    weights={"C": 0.5, "E": 0.5, "G": 0.5, "J": 0.5},
    tolerance=Tolerance(1e-5, 1e-6, "formulas of at most three operations; PyTorch's side of them runs in float32"),
)

SNIPPETS = {
    "A": "for _ in range(3):\n    (x * x).backward()",
    "B": "with torch.no_grad():\n    k = x * x\n(k * x).backward()",
    "C": "x += 1\n(x * x).backward()",
    "D": "y = x + x\ny.backward()\ny.backward()",
    "E": "y = x * x\ny.backward()\ny.backward()",
    "F": "s = torch.sigmoid(x)\ns.data.zero_()\ns.backward()",
    "G": "s = torch.sigmoid(x)\ns.detach().zero_()\ns.backward()",
    "H": "torch.stack([x, x * x]).backward(torch.tensor([5.0, a]))",
    "I": "x.register_hook(lambda grad: 10 * grad)\ny = x * x.detach()\ny.backward(retain_graph=True)\ny.backward()",
    "J": "k = x.detach().clone().requires_grad_()\n(k * k).backward()",
}


@predict.inputs
def _(g, case):
    return {"a": round([1.6, 3.2][case] + torch.rand((), generator=g).item(), 3)}


@predict.oracle
def _(a):
    found = {}
    for name, text in SNIPPETS.items():
        names = {"torch": torch, "a": a, "x": torch.tensor(a, requires_grad=True)}
        try:
            exec(text, names)
            found[name] = None if names["x"].grad is None else names["x"].grad.item()
        except RuntimeError as error:
            found[name] = type(error).__name__
    return found


RIGHT = {"A": lambda a: 6 * a, "B": lambda a: a * a, "C": lambda a: "RuntimeError", "D": lambda a: 4.0, "E": lambda a: "RuntimeError",
         "F": lambda a: 0.0, "G": lambda a: "RuntimeError", "H": lambda a: 5 + 2 * a * a, "I": lambda a: 20 * a, "J": lambda a: None}


def answer(snippet, a, **other):
    """Right except for some snippets."""
    return other.get(snippet, RIGHT[snippet])(a)


@predict.wrong("In snippet A, `{function}` counts one walk. How often does `backward` run, and what does it do to `.grad`?")
def a_counts_once(snippet, a):
    return answer(snippet, a, A=lambda a: 2 * a)


@predict.wrong("In snippet B, `{function}` differentiates all three factors. What was computed under no_grad is a constant.")
def b_sees_through_no_grad(snippet, a):
    return answer(snippet, a, B=lambda a: 3 * a * a)


@predict.wrong("In snippet B, `{function}` differentiates k, and forgets the factor x that stands beside it. Which of the two is the constant?")
def b_wrong_factor(snippet, a):
    return answer(snippet, a, B=lambda a: 2 * a)


@predict.wrong("In snippet C, `{function}` gives a number. `x += 1` is in place, and x is a leaf that is watched.")
def c_in_place_allowed(snippet, a):
    return answer(snippet, a, C=lambda a: 2 * (a + 1))


@predict.wrong("In snippet D, `{function}` expects an error at the second walk. It needs saved tensors; what does an addition save?")
def d_refuses_always(snippet, a):
    return answer(snippet, a, D=lambda a: "RuntimeError")


@predict.wrong("In snippet D, `{function}` counts one walk. Nothing was saved, so the second one works too.")
def d_counts_once(snippet, a):
    return answer(snippet, a, D=lambda a: 2.0)


@predict.wrong("In snippet E, `{function}` lets the second walk pass. A product saves its factors, and the first walk sets them free.")
def e_walks_twice(snippet, a):
    return answer(snippet, a, E=lambda a: 4 * a)


@predict.wrong("In snippet F, `{function}` gives the true derivative of the sigmoid. Which s does the walk find when it computes s (1 - s)?")
def f_true_slope(snippet, a):
    return answer(snippet, a, F=lambda a: (1 / (1 + math.exp(-a))) * (1 - 1 / (1 + math.exp(-a))))


@predict.wrong("In snippet F, `{function}` expects an error. `.data` has no version counter in common with s, so nobody notices.")
def f_noticed(snippet, a):
    return answer(snippet, a, F=lambda a: "RuntimeError")


@predict.wrong("In snippet G, `{function}` expects a silent zero. `detach()` shares the version counter, and the walk compares it.")
def g_silent(snippet, a):
    return answer(snippet, a, G=lambda a: 0.0)


@predict.wrong("In snippet H, `{function}` ignores the vector that the walk starts with, as if it were all ones. Each output's slope is weighted.")
def h_all_ones(snippet, a):
    return answer(snippet, a, H=lambda a: 1 + 2 * a)


@predict.wrong("In snippet H, `{function}` keeps one output. Both lead back to x, and what they send is added.")
def h_one_output(snippet, a):
    return answer(snippet, a, H=lambda a: 2 * a * a)


@predict.wrong("In snippet I, `{function}` differentiates the detached factor as well. It is the constant a.")
def i_sees_through_detach(snippet, a):
    return answer(snippet, a, I=lambda a: 40 * a)


@predict.wrong("In snippet I, `{function}` lets the hook act on the sum, or once. It acts on each walk's gradient before that is added.")
def i_hook_on_the_sum(snippet, a):
    return answer(snippet, a, I=lambda a: 110 * a)


@predict.wrong("In snippet I, `{function}` counts one walk. How often does `backward` run?")
def i_counts_once(snippet, a):
    return answer(snippet, a, I=lambda a: 10 * a)


@predict.wrong("In snippet J, `{function}` gives x a gradient. k is a leaf of its own: the walk ends there.")
def j_reaches_x(snippet, a):
    return answer(snippet, a, J=lambda a: 2 * a)


@predict.wrong("In snippet J, `{function}` says 0. No walk ever reached x, so `.grad` was never made; what does an attribute hold "
               "that was never set?")
def j_zero(snippet, a):
    return answer(snippet, a, J=lambda a: 0.0)


@predict.wrong("`{function}` returns the same number for every snippet.")
def all_zeros(snippet, a):
    return 0.0


@predict.variant
def predict_by_lambdas(snippet, a):
    table = {"A": lambda: 6 * a, "B": lambda: a ** 2, "D": lambda: 4, "F": lambda: 0, "H": lambda: 2 * a ** 2 + 5, "I": lambda: 20 * a,
             "J": lambda: None}
    return table[snippet]() if snippet in table else RuntimeError.__name__


@predict.variant
def predict_by_running(snippet, a):
    names = {"torch": torch, "a": a, "x": torch.tensor(a, requires_grad=True)}
    try:
        exec(SNIPPETS[snippet], names)
    except Exception as error:
        return type(error).__name__
    return None if names["x"].grad is None else float(names["x"].grad)
