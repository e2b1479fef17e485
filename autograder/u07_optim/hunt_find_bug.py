"""The key of u07-hunt-find-bug."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, between, shuffled

find = Key(
    "u07-hunt-find-bug",
    hints=(
        "Which entry can only be None if backward never ran? Which list shows that an old gradient was still there?",
        "Compare `after_backward` with `slope`, in a round that is not the first. Then `at_step` with `after_backward`. Only then ask whether "
        "`w` moved, and whether it had a reason to move.",
        "A near-example, for a log of a bath: `if log['tap'][-1] is None: return 'nobody opened it'`; `if log['level'][-1] != "
        "log['inflow'][-1]: "
        "return 'plugged from before'`; what is left is decided by whether it overflowed.",
    ),
    cases=2,
    tolerance=EXACT,
    equivalent={
        'line 1: log["w"][0] -> log["w"][1]': "what moves goes on moving after the first round, unless it has arrived, and there `moved` "
                                              "is not asked",
        'line 2: log["after_backward"][-1] -> log["after_backward"][0]': "backward runs in every round or in none",
        'line 8: log["at_step"][-1] -> log["at_step"][0]': "the gradient is cleared too late in every round or in none; a slope of 0 was "
                                                           "dealt with before",
    },
)
FAULTS = ("nothing", "no zero_grad", "zero_grad too late", "no backward", "no step", "other tensor")


def log_of(fault, start, aim, curvature, lr, fill_with_zeros=False, rounds=3):
    """Train one weight on curvature (w - aim)² / 2 with a fault, and write down what happens."""
    w = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    held = w.detach().clone().requires_grad_() if fault == "other tensor" else w
    optimizer = torch.optim.SGD([held], lr=lr)
    log = {"loss": [], "w": [w.item()], "slope": [], "after_backward": [], "at_step": []}
    for _ in range(rounds):
        if fault not in ("no zero_grad", "zero_grad too late"):
            optimizer.zero_grad()
        loss = curvature * (w - aim) ** 2 / 2
        log["slope"].append(torch.autograd.grad(loss, w, retain_graph=True)[0].item())
        log["loss"].append(loss.item())
        if fault != "no backward":
            loss.backward()
        log["after_backward"].append(None if w.grad is None else w.grad.item())
        if fault == "zero_grad too late":
            optimizer.zero_grad(set_to_none=not fill_with_zeros)
        log["at_step"].append(None if w.grad is None else w.grad.item())
        if fault != "no step":
            optimizer.step()
        log["w"].append(w.item())
    return log


@find.inputs
def _(g, case):
    def make(fault, at_rest=False, **more):
        aim = between(g, -2, 2)
        start = aim if at_rest else aim + between(g, 0.5, 2) * (1 if between(g, 0, 1) < 0.5 else -1)
        return log_of(fault, start, aim, between(g, 0.8, 1.2), between(g, 0.1, 0.4), **more)

    aim, far = (round(8 * between(g, low, 2)) / 8 for low in (-2, 1))
    arrives = log_of("nothing", aim + far, aim, 4.0, 0.25)                 # at the minimum after one step, to the last digit
    moving = [arrives] + [make(fault) for fault in (["nothing", "no zero_grad", "no zero_grad"] if case else ["no zero_grad", "nothing", "nothing"])]
    staying = shuffled(g, [make("no backward"), make("no step"), make("other tensor"), make("zero_grad too late"),
                           make("zero_grad too late", fill_with_zeros=True), make("nothing", at_rest=True)])
    return {"weights_move": shuffled(g, moving), "weights_stay": staying}


def diagnosis(log, round=-1, rest="nothing", none_only=False, piled=None, unheld="other tensor", blank="no backward"):
    """The right rules with their typical gaps open."""
    moved = log["w"][0] != log["w"][-1]
    after, slope, at_step = log["after_backward"][round], log["slope"][round], log["at_step"][round]
    if after is None:
        return blank
    if abs(after - slope) > 1e-9:
        return piled or ("no zero_grad" if moved else unheld)
    if slope == 0:
        return rest
    if at_step is None or (at_step == 0 and not none_only):
        return "zero_grad too late"
    return "nothing" if moved else "no step"


@find.oracle
def _(weights_move, weights_stay):
    def first_that_fits(log):                             # play each fault again, and see which one gives this very log
        aim, lr = log["w"][0] - log["slope"][0], None
        for fault in FAULTS:
            for zeros in (False, True):
                for lr in [step / 10000 for step in range(1000, 4001)] if log["w"][0] != log["w"][-1] else [0.2]:
                    if lr_fits(log, lr):
                        curvature = log["slope"][0] ** 2 / (2 * log["loss"][0]) if log["loss"][0] else 1.0
                        aim = log["w"][0] - log["slope"][0] / curvature
                        again = log_of(fault, log["w"][0], aim, curvature, lr, zeros)
                        if all(near(again[name], log[name]) for name in log):
                            return fault
        return None

    def lr_fits(log, lr):
        return log["w"][0] == log["w"][-1] or abs(log["w"][0] - lr * log["slope"][0] - log["w"][1]) < 1e-9

    def near(a, b):
        return all((x is None) == (y is None) and (x is None or abs(x - y) < 1e-6) for x, y in zip(a, b, strict=True))

    return {"weights_move": [first_that_fits(log) for log in weights_move], "weights_stay": [first_that_fits(log) for log in weights_stay]}


@find.wrong("`{function}` calls a loop that started at the minimum faulty. Its slope is 0, so there is nothing to do, and nothing is what "
            "it does.")
def accuses_rest(log):
    return diagnosis(log, rest="no step")


@find.wrong("`{function}` takes a gradient of 0.0 at the step for a live one. `zero_grad(set_to_none=False)` fills with zeros: compare "
            "with the slope.")
def knows_only_none(log):
    return diagnosis(log, none_only=True)


@find.wrong("`{function}` misses the optimizer that holds another tensor. There too old gradients pile up, because its `zero_grad` clears "
            "the copy's. What is "
            "different about `w`?")
def no_other_tensor(log):
    return diagnosis(log, unheld="no zero_grad")


@find.wrong("`{function}` looks at the first round, where nothing has piled up yet. Look at a later one.")
def first_round_only(log):
    return diagnosis(log, round=0)


@find.wrong("`{function}` says the same about every log. Which two lists differ between them?")
def always_sound(log):
    return "nothing"


@find.wrong("`{function}` takes 'cleared too late' for 'never computed'. Where backward ran, `after_backward` is a number.")
def late_is_no_backward(log):
    found = diagnosis(log)
    return "no backward" if found == "zero_grad too late" else found


@find.wrong("`{function}` takes a missing step for an optimizer with another tensor. Does the gradient pile up when `zero_grad` reaches it?")
def no_step_is_other(log):
    found = diagnosis(log)
    return "other tensor" if found == "no step" else found


@find.wrong("`{function}` sees the pile of old gradients and always blames the other tensor. If `w` moves, the optimizer has the right one.")
def always_other(log):
    return diagnosis(log, piled="other tensor")


@find.variant
def by_table(log):
    after, at_step = log["after_backward"], log["at_step"]
    backward = any(value is not None for value in after)
    clean = backward and all(abs(a - s) < 1e-9 for a, s in zip(after, log["slope"], strict=True))
    alive = any(at_step)
    still = len(set(log["w"])) == 1
    table = {(True, True, True): "no step", (True, True, False): "nothing", (True, False, True): "zero_grad too late",
             (False, True, True): "other tensor", (False, True, False): "no zero_grad"}
    if not backward:
        return "no backward"
    return "nothing" if not any(log["slope"]) else table[clean, alive, still]


@find.variant
def by_elimination(log):
    if None in log["after_backward"]:
        return FAULTS[3]
    if sum(map(abs, log["slope"])) == 0:
        return FAULTS[0]
    growth = [b - s for b, s in zip(log["after_backward"][1:], log["slope"][1:], strict=True)]
    if max(map(abs, growth)) > 1e-9:
        return FAULTS[5] if log["w"][1] == log["w"][0] else FAULTS[1]
    if log["at_step"][0] in (None, 0):
        return FAULTS[2]
    return FAULTS[4] if log["w"][1] == log["w"][0] else FAULTS[0]
