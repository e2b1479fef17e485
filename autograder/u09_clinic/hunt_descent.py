"""The key of u09-hunt-descent: the walk that stays."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, TRAINED, normal

walk = Key(
    "u09-hunt-descent",
    hints=(
        "Which of the names in the update holds the rate of *this* step? And when the path is printed, why do all later points agree?",
        "`.grad` is an attribute. `.data` is a second name for the same memory. `lr` is set after it is used.",
        "A near-example of the last one: `log = []`, `t = torch.zeros(1)`; twice `t += 1` and `log.append(t)`. The log holds 2 and 2; "
        "with `log.append(t.clone())` it holds 1 and 2.",
    ),
    cases=3,
    guards=("start_after",),
    tolerance={"path": TRAINED, "start_after": EXACT},
)


@walk.inputs
def _(g, case):
    d, steps = [(3, 4), (2, 3), (4, 5)][case]
    rates = (0.05 + 0.2 * torch.rand(steps, generator=g)).tolist()
    return {"a": 0.5 + torch.rand(d, generator=g), "c": normal(g, d), "start": 1 + normal(g, d), "rates": rates}


@walk.oracle
def _(a, c, start, rates):
    t = start.double()
    path = [t + 1]
    for rate in rates:
        t = t - rate * (2 * a.double() * (t - c.double()) + torch.cos(t))
        path.append(t)
    return {"path": path, "start_after": start}


def walked(f, start, rates, record=lambda x: x.data.clone(), clear=True, sign=1.0):
    """The walk with its faults to choose from."""
    x = start.clone().requires_grad_()
    path = [start.clone()]
    for rate in rates:
        f(x).backward()
        x.data -= sign * rate * x.grad
        if clear:
            x.grad.zero_()
        path.append(record(x))
    return path


@walk.wrong(
    "`{function}` raises nothing any more, but all points after the start are the last one. You store the same tensor again and again, "
    "and it goes on moving."
)
def descend_records_one_memory(f, start, rates):
    return walked(f, start, rates, record=lambda x: x.data)


@walk.wrong(
    "The path of `{function}` has the right values and carries graphs. Copy the data, not the tensor that autograd watches."
)
def descend_records_graphs(f, start, rates):
    return walked(f, start, rates, record=lambda x: x.clone())


@walk.wrong(
    "`{function}` takes each step with the rate of the step before: a first value for `lr` silences the message, and the rates "
    "still come one step late."
)
def descend_one_rate_late(f, start, rates):
    return walked(f, start, [rates[0], *rates[:-1]])


@walk.wrong("`{function}` uses one rate for all steps. Set before the loop, a name does not follow the loop.")
def descend_first_rate_only(f, start, rates):
    return walked(f, start, [rates[0]] * len(rates))


@walk.wrong("`{function}` uses the last rate for all steps. Which name changes in each turn of the loop?")
def descend_last_rate_only(f, start, rates):
    return walked(f, start, [rates[-1]] * len(rates))


@walk.wrong(
    "The first step of `{function}` is right, the later ones are too long: the line that cleared the gradient was healthy."
)
def descend_never_clears(f, start, rates):
    return walked(f, start, rates, clear=False)


@walk.wrong("`{function}` walks uphill. Take a look at the sign of the update.")
def descend_uphill(f, start, rates):
    return walked(f, start, rates, sign=-1.0)


@walk.wrong(
    "`{function}` never moves: the gradient is cleared before it is used, or the step was removed together with its message."
)
def descend_stands_still(f, start, rates):
    return walked(f, start, rates, sign=0.0)


@walk.wrong(
    "`{function}` makes a new x in each step. It is no leaf, so its `.grad` stays None, and the second round fails: it is right for a "
    "single rate only."
)
def descend_makes_a_new_x(f, start, rates):
    x = start.clone().requires_grad_()
    path = [start.clone()]
    for rate in rates:
        x.retain_grad()
        f(x).backward()
        x = x.detach() - rate * x.grad
        path.append(x.clone())
    return path


@walk.wrong(
    "`{function}` calls a tensor. A gradient is an attribute of its tensor, and no method computes it on request."
)
def descend_calls_the_gradient(f, start, rates):
    x = start.clone().requires_grad_()
    f(x).backward()
    return x.grad()


@walk.wrong("The path of `{function}` lacks the start: it has one point for each step, and one more is due.")
def descend_without_start(f, start, rates):
    return walked(f, start, rates)[1:]


@walk.wrong(
    "`{function}` moves the caller's start, or gives it away as the first point. A copy at the beginning keeps the two apart."
)
def descend_moves_the_start(f, start, rates):
    path = walked(f, start, rates)
    start.copy_(path[-1])
    return path


@walk.variant
def descend_with_no_grad(f, start, rates):
    x = start.detach().clone().requires_grad_(True)
    path = [x.detach().clone()]
    for lr in rates:
        x.grad = None
        f(x).backward()
        with torch.no_grad():
            x -= lr * x.grad
        path.append(x.detach().clone())
    return path


@walk.variant
def descend_by_new_leaves(f, start, rates):
    path = [start.clone()]
    for lr in rates:
        x = path[-1].clone().requires_grad_()
        path.append((x - lr * torch.autograd.grad(f(x), x)[0]).detach())
    return path
