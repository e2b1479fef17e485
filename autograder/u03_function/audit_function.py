"""The key of u03-audit-function."""

import warnings

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, away_from_zero, normal

KINDS = ["drops_upstream", "mixes_upstream", "small_numbers", "sign_mask", "writes_upstream", "keeps_square", "transposed", "too_few"]

audit = Key(
    "u03-audit-function",
    hints=(
        "For each kind in the table: which number would be different if the function were sound? What do you have to look at to see it?",
        "Make float64 copies. Draw an upstream v with torch.randn. Compare v before and after a backward pass; check the functions "
        "v * fn(...) and -v * fn(...) with gradcheck and gradgradcheck at a tiny atol; put all of it into a try.",
        "A near-example, an audit of a forward pass: `def audit(fn, x): found = []`, `kept = x.clone()`, `try: y = fn(x)`, `except Exception "
        "as error: return [f\"raises {error}\"]`, `if not torch.equal(x, kept): found.append(\"changes its input\")`, `return found`.",
    ),
    guards=("inputs_after",),
    tolerance=EXACT,
    equivalent={
        "line 1: t.detach() -> t": "`.clone()` gives memory of its own as well; the given tensors track no gradient",
        "line 1: t.detach().double().clone() -> t.detach().double()": "a copy protects from functions that write into their inputs; gradcheck puts "
                                                                     "back what it moves",
        'line 9: found.append("backward writes into its upstream gradient") -> found.append()': "the TypeError is caught, and an error is a finding",
        "line 12: up * fn(*args) -> up / fn(*args)": "another function of fn, with upstreams of both signs",
    },
)


@audit.inputs
def _(g, case):
    kinds = [KINDS[i] for i in torch.randperm(len(KINDS), generator=g).tolist()]
    small = ["small_numbers", "keeps_square"] if case == 1 else ["small_numbers"]
    sizes = (0.5 + 2 * torch.rand(len(KINDS), generator=g, dtype=torch.float64)).tolist()
    first = (torch.rand(len(KINDS), generator=g) < 0.5).tolist()
    dtype = [torch.float32, torch.float64, torch.float32][case]
    x = away_from_zero(g, *[(2, 3), (5,), (3, 1, 2)][case])
    x.view(-1)[0] = x.view(-1)[0].abs()
    n = 2
    return {"x": x.to(dtype), "a": normal(g, n, n).to(dtype), "b": (normal(g, n, n) + torch.triu(torch.ones(n, n), 1)).to(dtype),
            "kinds": kinds, "scales": [1e-7 if kind in small else size for kind, size in zip(kinds, sizes, strict=True)], "wrong_first": first}


@audit.oracle
def _(x, a, b, kinds, scales, wrong_first):
    return {**{kind: [first, not first] for kind, first in zip(kinds, wrong_first, strict=True)}, "inputs_after": [x, a, b]}


def doubled(inputs):
    return [t.detach().double().clone().requires_grad_() if torch.is_tensor(t) else t for t in inputs]


def auditor(fn, inputs, mixed_signs=True, writes=True, second=True, atol=0.0):
    """A sound auditor by its own central differences along one random direction; each of its parts can be left out."""
    given = doubled(inputs)
    where = [i for i, t in enumerate(given) if torch.is_tensor(t)]
    steps, h = [torch.randn_like(given[i]) for i in where], 1e-4
    v = torch.randn_like(fn(*given).detach())
    said = []
    kept = v.clone()
    torch.autograd.grad(fn(*given), [given[i] for i in where], v)
    if writes and not torch.equal(v, kept):
        said.append("changes its upstream")

    def pulled(at, up, graph=False):
        return torch.autograd.grad(fn(*at), [at[i] for i in where], up * 1, create_graph=graph)

    def moved(sign):
        at = list(given)
        for i, step in zip(where, steps, strict=True):
            at[i] = (given[i].detach() + sign * h * step).requires_grad_()
        return at

    def differ(quotients, claims):
        pairs = [(q.sum().item(), c.sum().item(), c.abs().sum().item()) for q, c in zip(quotients, claims, strict=True)]
        gap = abs(sum(q for q, _, _ in pairs) - sum(c for _, c, _ in pairs))
        return not gap <= atol + 1e-5 * sum(size for _, _, size in pairs)

    for up in (kept, -kept) if mixed_signs else (kept.abs(),):
        first = pulled(given, up, graph=True)
        if differ([up * (fn(*moved(1)) - fn(*moved(-1))) / (2 * h)], [torch.cat([(g * s).flatten() for g, s in zip(first, steps, strict=True)])]):
            return [*said, "gradient"]
    if second:
        weights = [torch.randn_like(g) for g in first]
        quotients = [w * (p - q) / (2 * h) for w, p, q in zip(weights, pulled(moved(1), up), pulled(moved(-1), up), strict=True)]
        loss = sum((w * g).sum() for w, g in zip(weights, first, strict=True))
        again = torch.autograd.grad(loss, [given[i] for i in where], materialize_grads=True)
        if differ(quotients, [g * s for g, s in zip(again, steps, strict=True)]):
            said.append("second")
    return said


def surviving(fn, inputs, **parts):
    """The same, with an error as a finding."""
    try:
        return auditor(fn, inputs, **parts)
    except Exception as error:
        return [str(error)]


def gradchecked(fn, given, **options):
    """gradcheck's verdict alone, with an error as a finding."""
    try:
        return [] if torch.autograd.gradcheck(fn, given, raise_exception=False, **options) else ["gradient"]
    except Exception as error:
        return [str(error)]


@audit.wrong("`{function}` reports every function, sound ones too. That catches nothing: look at what it says about `torch.exp`.")
def audit_reports_all(fn, *inputs):
    return ["looks suspicious"]


@audit.wrong("`{function}` never reports anything. Do your findings reach the list that you return?")
def audit_reports_none(fn, *inputs):
    return []


@audit.wrong("`{function}` trusts gradcheck alone, with its standard tolerance. Section 5.2 shows three wrong functions that pass it, and "
             "section 6 a fourth.")
def audit_gradcheck_alone(fn, *inputs):
    return gradchecked(fn, doubled(inputs))


@audit.wrong("`{function}` gives false alarms when the inputs are float32: rounding is larger than what it looks for. Turn the inputs into "
             "float64 first.")
def audit_in_single(fn, *inputs):
    found = [item for item in surviving(fn, inputs) if item != "gradient"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = [t.detach().clone().requires_grad_() if torch.is_tensor(t) else t for t in inputs]
        return found + gradchecked(lambda *t: (fn(*t), -fn(*t)), given, atol=0.0)


@audit.wrong("`{function}` does not find a lost factor in numbers near 1e-7: the absolute tolerance is larger than the values. gradcheck's "
             "atol is 1e-5.")
def audit_absolute_tolerance(fn, *inputs):
    return surviving(fn, inputs, atol=1e-5)


@audit.wrong("`{function}` finds everything but the function that passes positive upstreams only: gradcheck never asks with a negative one. "
             "Check v * fn(x) and -v * fn(x) with a random v.")
def audit_positive_upstream(fn, *inputs):
    return surviving(fn, inputs, mixed_signs=False)


@audit.wrong("`{function}` does not notice that a backward pass writes into its upstream. Keep a copy of v, and compare after the backward "
             "pass.")
def audit_ignores_writes(fn, *inputs):
    return surviving(fn, inputs, writes=False)


@audit.wrong("`{function}` does not test the second derivative. Which function of torch.autograd does?")
def audit_first_only(fn, *inputs):
    return surviving(fn, inputs, second=False)


@audit.wrong("`{function}` raises when the function under test does. An error is a finding: catch it and put it on the list.")
def audit_dies(fn, *inputs):
    return auditor(fn, inputs)


@audit.wrong("`{function}` tests with an upstream of ones, as `.sum().backward()` does: a function that drops or mixes up its upstream, or "
             "blocks negative ones, looks right.")
def audit_with_ones(fn, *inputs):
    given = doubled(inputs)
    leaves = [t for t in given if torch.is_tensor(t)]
    try:
        grads = torch.autograd.grad(fn(*given).sum(), leaves)
        for leaf, grad in zip(leaves, grads, strict=True):
            step = 1e-4 * torch.randn_like(leaf)
            before, ends = leaf.detach().clone(), []
            for sign in (1, -1):
                leaf.data = before + sign * step
                ends.append(fn(*given).sum().item())
            leaf.data = before
            if abs((ends[0] - ends[1]) / 2 - (grad * step).sum().item()) > 1e-5 * (grad * step).abs().sum().item():
                return ["gradient"]
    except Exception as error:
        return [str(error)]
    return []


@audit.wrong("`{function}` is right about every function, and switches `requires_grad` of the caller's tensors, or writes into them. Work "
             "on detached float64 copies.")
def audit_touches_inputs(fn, *inputs):
    found = surviving(fn, inputs)
    for t in inputs:
        if torch.is_tensor(t):
            t.requires_grad_()
    return found


@audit.wrong("`{function}` looks at the first tensor only. A function of two inputs has two gradients, and either may be wrong.")
def audit_first_tensor_only(fn, *inputs):
    place = next(i for i, t in enumerate(inputs) if torch.is_tensor(t))
    rest = doubled(inputs)
    others = [t.detach() if torch.is_tensor(t) and i != place else t for i, t in enumerate(rest)]
    last = max(i for i, t in enumerate(inputs) if torch.is_tensor(t))
    return surviving(lambda t: fn(*others[:last], t, *others[last + 1:]), [inputs[last]])


@audit.wrong("`{function}` compares the gradient with a quotient of a step that is far too large, or too strictly: sound functions are "
             "reported. What error does a central difference have at your step?")
def audit_too_strict(fn, *inputs):
    given = doubled(inputs)
    try:
        v = torch.randn_like(fn(*given))
        return [] if torch.autograd.gradcheck(lambda *t: (v * fn(*t)).sum(), given, eps=0.3, atol=0, rtol=1e-6, raise_exception=False) else ["off"]
    except Exception:
        return []


@audit.variant
def audit_by_hand(fn, *inputs):
    return surviving(fn, inputs)


@audit.variant
def audit_in_two_checks(fn, *inputs):
    given, found = doubled(inputs), []
    try:
        v = torch.randn_like(fn(*given).detach())
        kept = v.clone()
        fn(*given).backward(v)
        if not torch.equal(v, kept):
            found.append("writes into its upstream")
        for up in (kept, -kept):
            found += gradchecked(lambda *t: up * fn(*t), given, atol=1e-13, rtol=1e-4)
        if not torch.autograd.gradgradcheck(fn, given, (up.clone().requires_grad_(),), atol=1e-13, raise_exception=False):
            found.append("second derivative")
    except Exception as error:
        found.append(repr(error))
    return found
