"""The key of u07-warmup-cosine."""

import math

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import (
    between,
)

schedule = Key(
    "u07-warmup-cosine",
    hints=(
        "Which three stretches has t, and what is the factor at the end of one and the beginning of the next?",
        "Two early returns, for t < warmup and for t >= total; below them total - warmup is at least 1. The share of the cosine that is "
        "done runs from 0 to 1.",
        "A near-example, a straight line down instead of the cosine: `done = (t - warmup) / (total - warmup)`, `return floor + (1 - "
        "floor) * (1 - done)`.",
    ),
    cases=4,
    weights={"warm_up": 2, "cosine": 2},
    tolerance=Tolerance(1e-6, 1e-9, "Python floats, one cosine"),
)


@schedule.inputs
def _(g, case):
    warmup, total = [(4, 11), (0, 6), (3, 3), (5, 9)][case]
    return {"warmup": warmup, "total": total, "floor": between(g, 0.05, 0.3), "lr": between(g, 0.01, 0.1)}


@schedule.oracle
def _(warmup, total, floor, lr):
    def cosine(bottom):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        line = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(total - warmup, 1), eta_min=bottom)
        rates = []
        for _ in range(total - warmup):
            rates.append(line.get_last_lr()[0])
            optimizer.step()
            line.step()
        return rates

    up = [(t + 1) / (warmup + 1) for t in range(warmup)]
    whole = up + cosine(floor) + [floor] * 5
    return {"warm_up": up, "cosine": cosine(floor), "after_the_end": [floor, floor], "without_floor": (up + cosine(0.0))[::2],
            "first_rates": [lr * factor for factor in whole[:3]]}


def ramp(t, warmup, total, floor, first=1, last=1, start=None, period=1.0, clamp=True, shape=None, top=1.0):
    """The schedule with its typical mistakes open."""
    if t < warmup:
        return top * (t + first) / (warmup + last)
    if clamp and t >= total:
        return floor
    start = warmup if start is None else start
    done = (t - start) / (total - start)
    fall = (1 + math.cos(math.pi * period * done)) / 2 if shape is None else shape(done)
    return floor + (1 - floor) * fall


@schedule.wrong("The first factor of `{function}` is 0: one update is computed and thrown away. The numerator is t + 1.")
def starts_at_zero(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, first=0)


@schedule.wrong("`{function}` is at 1 already in the last update of the warm-up, and again in the next. Divide by warmup + 1.")
def arrives_early(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, last=0)


@schedule.wrong("`{function}` starts its line at t / warmup: 0 in the first update, and a divisor without the + 1. Put the formula's two + 1 in.")
def both_off(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, first=0, last=0)


@schedule.wrong("The cosine of `{function}` ignores the floor.")
def no_floor(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, 0.0)


@schedule.wrong("`{function}` cuts the cosine off at the floor. The curve should reach it at its very end: floor + (1 - floor) · ...")
def floor_as_maximum(t, warmup, total, floor=0.0):
    return max(ramp(t, warmup, total, 0.0), floor) if t >= warmup else ramp(t, warmup, total, floor)


@schedule.wrong("`{function}` adds the floor to the whole cosine: just after the warm-up the factor is above 1.")
def floor_added(t, warmup, total, floor=0.0):
    return floor + ramp(t, warmup, total, 0.0) if warmup <= t < total else ramp(t, warmup, total, floor)


@schedule.wrong("The cosine of `{function}` starts counting at 0 instead of at the end of the warm-up, so it jumps there.")
def counts_from_zero(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, start=0)


@schedule.wrong("`{function}` goes through a whole wave and is back at 1 at the end. Half a wave: the angle ends at π.")
def whole_wave(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, period=2.0)


@schedule.wrong("`{function}` has no case for t >= total: the rate rises again after the end, and where warmup equals total it divides by zero.")
def no_end(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, clamp=False)


@schedule.wrong("`{function}` goes down in a straight line. The formula has a cosine.")
def straight_line(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, shape=lambda done: 1 - done)


@schedule.wrong("`{function}` takes a quarter of a wave, cos from 0 to π/2. The formula is (1 + cos) / 2, with an angle up to π.")
def quarter_wave(t, warmup, total, floor=0.0):
    return ramp(t, warmup, total, floor, shape=lambda done: math.cos(math.pi / 2 * done))


@schedule.wrong("After the end `{function}` gives 0. The floor holds there as well.")
def zero_after_the_end(t, warmup, total, floor=0.0):
    return 0.0 if t >= total else ramp(t, warmup, total, floor)


@schedule.variant
def by_clamped_share(t, warmup, total, floor=0.0):
    up = (t + 1) / (warmup + 1)
    done = 1.0 if t >= total else max(t - warmup, 0) / (total - warmup) if total > warmup else 0.0
    down = floor + (1 - floor) * math.cos(math.pi * done / 2) ** 2
    return up if t < warmup else down


@schedule.variant
def by_tensor(t, warmup, total, floor=0.0):
    line = [(i + 1) / (warmup + 1) for i in range(warmup)]
    angles = torch.linspace(0, math.pi, total - warmup + 1, dtype=torch.float64)
    line += (floor + (1 - floor) * (1 + angles.cos()) / 2).tolist()[:total - warmup]
    return line[t] if t < total else floor
