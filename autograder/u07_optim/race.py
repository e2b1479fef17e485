"""The key of u07-race."""

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, between

racing = Key(
    "u07-race",
    hints=(
        "How many tensors that require a gradient must there be, and how often is each position copied?",
        "Inside the loop over makers: a fresh clone of x0 that requires a gradient, its optimizer, a list with a first copy; then the "
        "four steps and another copy.",
        "A near-example, one racer by hand: `x = x0.clone().requires_grad_()`, `path = [x.detach().clone()]`, then per step `(g,) = "
        "torch.autograd.grad(fn(x), x)`, "
        "`x.data -= 0.1 * g`, `path.append(x.detach().clone())`; at the end `torch.stack(path)`.",
    ),
    cases=2,
    guards=("x0_after",),
    tolerance={"x0_after": EXACT, **dict.fromkeys(("bowl", "valley"), Tolerance(1e-4, 1e-6, "four float32 steps down a curved valley"))},
)


@racing.inputs
def _(g, case):
    return {"x0": 0.4 + 0.8 * torch.rand(3, generator=g), "curvature": torch.tensor([1.0, 4.0, 9.0]) + torch.rand(3, generator=g),
            "lr": between(g, 0.01, 0.02), "steps": 3 + case}


@racing.oracle
def _(x0, curvature, lr, steps):
    def bowl(x):
        return curvature.double() * x

    def valley(x):
        bend = x[1] - x[0] ** 2
        return torch.stack([-2 * (1 - x[0]) - 40 * x[0] * bend, 20 * bend])

    def walk(slope, x, momentum=0.0, adam=False):
        v, s, path = torch.zeros_like(x), torch.zeros_like(x), [x]
        for t in range(1, steps + 1):
            g = slope(x)
            if adam:
                v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g * g
                x = x - 10 * lr * (v / (1 - 0.9 ** t)) / ((s / (1 - 0.999 ** t)).sqrt() + 1e-8)
            else:
                v = momentum * v + g
                x = x - lr * v
            path.append(x)
        return torch.stack(path)

    def all_three(slope, x):
        return {"plain": walk(slope, x), "rolling": walk(slope, x, 0.7), "adam": walk(slope, x, adam=True)}

    return {"bowl": all_three(bowl, x0.double()), "valley": all_three(valley, x0[:2].double()), "x0_after": x0}


def run(fn, make, x, steps, zero=True, keep=lambda x: x.detach().clone(), first=True):
    optimizer = make([x])
    path = [keep(x)] if first else []
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        fn(x).backward()
        optimizer.step()
        path.append(keep(x))
    return torch.stack(path)


@racing.wrong("In `{function}` all racers share one tensor: the second starts where the first arrived. A fresh start belongs inside the "
              "loop over makers.")
def one_track(fn, makers, x0, steps):
    x = x0.clone().requires_grad_()
    found = {}
    for name, make in makers.items():
        x.grad = None
        found[name] = run(fn, make, x, steps)
    return found


@racing.wrong("All rows of `{function}` are the last position: it keeps the tensor itself, or a view of it, and the optimizer goes on "
              "writing into it. Copy each position.")
def keeps_views(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps, keep=lambda x: x.detach()) for name, make in makers.items()}


@racing.wrong("`{function}` never clears the gradient, so every racer runs along the sum of all gradients so far.")
def no_zero(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps, zero=False) for name, make in makers.items()}


@racing.wrong("`{function}` calls `.grad.zero_()` where there is no gradient: before the first backward, and after every `zero_grad()`, "
              "`.grad` is None. Use the optimizer's "
              "method.")
def zeroes_none(fn, makers, x0, steps):
    for make in makers.values():
        x = x0.clone().requires_grad_()
        make([x])
        x.grad.zero_()


@racing.wrong("`{function}` leaves out the starting point: there are steps + 1 positions.")
def no_start(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps, first=False) for name, make in makers.items()}


@racing.wrong("`{function}` stops one step early. `steps` counts moves, and the positions are one more.")
def one_less(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps - 1) for name, make in makers.items()}


@racing.wrong("`{function}` lets the racers walk on the caller's x0. Give each a clone.")
def walks_on_x0(fn, makers, x0, steps):
    found = {}
    for name, make in makers.items():
        x = x0.detach().requires_grad_()
        found[name] = run(fn, make, x, steps)
    return found


@racing.wrong("The positions of `{function}` still hang on the graph: they require a gradient. Detach them, then clone.")
def keeps_graph(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps, keep=lambda x: x.clone()) for name, make in makers.items()}


@racing.wrong("`{function}` records values of the function. The positions are asked for, D numbers each.")
def records_values(fn, makers, x0, steps):
    return {name: run(fn, make, x0.clone().requires_grad_(), steps, keep=lambda x: fn(x).detach().clone()) for name, make in makers.items()}


@racing.wrong("Nobody moves in `{function}`. Does `step` run, and does the gradient live until then?")
def nobody_moves(fn, makers, x0, steps):
    return {name: torch.stack([x0.clone()] * (steps + 1)) for name in makers}


@racing.wrong("`{function}` makes a new optimizer for each step, so velocities and means begin anew every time. One optimizer per racer, "
              "before the loop.")
def fresh_optimizers(fn, makers, x0, steps):
    found = {}
    for name, make in makers.items():
        x = x0.clone().requires_grad_()
        parts = [run(fn, make, x, 1) for _ in range(steps)]
        found[name] = torch.cat([parts[0][:1], *(part[1:] for part in parts)])
    return found


@racing.variant
def by_rows(fn, makers, x0, steps):
    found = {}
    for name in makers:
        path = torch.empty(steps + 1, *x0.shape, device=x0.device)
        path[0] = x0
        x = nn.Parameter(x0.clone())
        optimizer = makers[name]([x])
        for k in range(1, steps + 1):
            loss = fn(x)
            loss.backward()
            optimizer.step()
            x.grad = None
            path[k] = x.data
        found[name] = path
    return found


@racing.variant
def with_autograd_grad(fn, makers, x0, steps):
    def walk(make):
        x = torch.tensor(x0.tolist(), requires_grad=True, device=x0.device)
        optimizer, rows = make([x]), [x0.tolist()]
        for _ in range(steps):
            x.grad, = torch.autograd.grad(fn(x), x)
            optimizer.step()
            rows.append(x.tolist())
        return torch.tensor(rows, device=x0.device)

    return {name: walk(make) for name, make in makers.items()}
