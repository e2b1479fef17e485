"""Key of unit u07: inputs, wrong answers with their hints, and correct variants for each exercise."""

import math

import torch
from torch import nn

from coursekit.course.authoring import Key, Tolerance

EXACT = Tolerance(0, 0, "copies of the inputs, counts and texts")
STEPS = Tolerance(2e-5, 1e-6, "four float32 steps of a dozen operations each; measured below 1e-6 of the largest weight")


def away_from_zero(g, *shape):
    """Numbers of either sign, between 0.3 and 1.5 in size."""
    return (0.3 + 1.2 * torch.rand(shape, generator=g)) * (2 * torch.randint(0, 2, shape, generator=g) - 1)


def between(g, low, high):
    return round(low + (high - low) * torch.rand((), generator=g, dtype=torch.float64).item(), 4)


def shuffled(g, items):
    return [items[place] for place in torch.randperm(len(items), generator=g).tolist()]


# ---- find_bug --------------------------------------------------------------------------------------------

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


# ---- what the four optimizers share ----------------------------------------------------------------------


def tensors_and_gradients(g):
    """Three tensors, and four rounds of gradients; one tensor starts late, another pauses."""
    shapes = [(1, 2), (1,), (2, 1)]
    grads = [[away_from_zero(g, *shape) for shape in shapes] for _ in range(4)]
    grads[0][0] = grads[2][2] = None            # the first in a group, so that leaving the loop there shows
    return {"values": [away_from_zero(g, *shape) for shape in shapes], "grads": grads}


def torch_walk(kind, values, grads, options, second=None):
    """PyTorch's own optimizer in float64 over the same gradients; the learning rates are halved in the middle."""
    params = [v.double().requires_grad_() for v in values]
    optimizer = kind([{"params": params[:-1]}, {"params": params[-1:], **(second or {})}], **options, foreach=False)
    path = []
    for place, row in enumerate(grads):
        if place == len(grads) // 2:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        for p, grad in zip(params, row, strict=True):
            p.grad = None if grad is None else grad.double()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in params]))
    return torch.stack(path)


class Stepper(torch.optim.Optimizer):
    """The loop over groups and parameters, right; what happens to one parameter is `update`."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, group, self.state[p])


class OutsideStep:
    def step(self):
        memory = self.__dict__.setdefault("memory", {})
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, p.grad, group, memory.setdefault(p, {}))


class SharedStep:
    def step(self):
        memory = self.__dict__.setdefault("memory", {})
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, p.grad, group, memory)


class ZeroForNoneStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    self.update(p, torch.zeros_like(p) if p.grad is None else p.grad, group, self.state[p])


class StopAtNoneStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        return
                    self.update(p, p.grad, group, self.state[p])


class NoNoneTestStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    self.update(p, p.grad, group, self.state[p])


class DefaultsStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, p.grad, self.defaults, self.state[p])


class FirstGroupStep:
    def step(self):
        with torch.no_grad():
            group = self.param_groups[0]
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, group, self.state[p])


class UphillStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        before = p.clone()
                        self.update(p, p.grad, group, self.state[p])
                        p.copy_(2 * before - p)


class RebindStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        before = p.clone()
                        self.update(p, p.grad, group, self.state[p])
                        p.copy_(before)


class ForgetfulStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, p.grad, group, {})


class SpendGradientStep:
    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.update(p, p.grad, group, self.state[p])
                        p.grad.mul_(group["lr"])


SHARED = {
    "outside_state": (OutsideStep, "`{function}` steps right until it is restarted: what it remembers is not in `self.state[p]`, so it is "
                                   "not in the state_dict, and "
                                   "the successor starts from nothing."),
    "one_memory_for_all": (SharedStep, "`{function}` keeps one memory for all parameters, and they write over each other. Each has a dict "
                                       "of its own: `self.state[p]`."),
    "zero_for_none": (ZeroForNoneStep, "`{function}` takes a missing gradient for a gradient of zeros. A parameter that backward did not "
                                       "reach must not move, decay or age."),
    "stops_at_none": (StopAtNoneStep, "`{function}` leaves the whole step at the first parameter without a gradient; those after it stand "
                                      "still. Pass over that one only."),
    "no_test_for_none": (NoNoneTestStep, "`{function}` fails on a parameter whose `.grad` is None. Section 1.2 passes over it."),
    "options_from_defaults": (DefaultsStep, "`{function}` reads its options from `self.defaults` or from attributes set at the start. A "
                                            "group's own options, and every change that a "
                                            "scheduler makes, stand in the group's dict."),
    "first_group_only": (FirstGroupStep, "`{function}` moves the first group only. `self.param_groups` is a list; walk through all of it."),
    "uphill": (UphillStep, "`{function}` walks along the gradient instead of against it. Look at the sign of the move."),
    "never_moves": (RebindStep, "No weight moves under `{function}`. `p = p - ...` makes a new tensor and gives it the name p; the "
                                "optimizer's tensor stays. Write in place."),
    "forgets_everything": (ForgetfulStep, "`{function}` begins each step as if it were the first: what it computes for its memory never "
                                          "gets into `self.state[p]`."),
    "spends_gradient": (SpendGradientStep, "The weights of `{function}` are right, and the gradients are changed afterwards: an operation "
                                           "on `.grad` is in place. `.grad` belongs to the user."),
}


def register_shared(key, base, torchs, *without):
    """Add the mistakes that any optimizer can have. torchs: PyTorch's own class."""
    inherited = type(f"{base.__name__.lower()}_inherited", (torchs,), {})
    key.wrong("The numbers of `{function}` are right, because they are PyTorch's: it inherits the step. Build on torch.optim.Optimizer; the step is "
              "yours to write.")(inherited)
    for name, (mixin, hint) in SHARED.items():
        if name not in without:
            key.wrong(hint)(type(f"{base.__name__.lower()}_{name}", (mixin, base), {}))


# ---- SGD -------------------------------------------------------------------------------------------------

sgd = Key(
    "u07-sgd",
    hints=(
        "For one parameter: which three tensors are made from p.grad before p moves, and in which order?",
        "Two loops and a test for None as in `PlainSGD`. The velocity of p is `self.state[p].get(name, 0.0)`; store the new one under the "
        "same name. Options come from `group`.",
        "A near-example, steps along a fading mean a of the gradients: `state = self.state[p]`, `a = 0.5 * state.get('a', 0.0) + 0.5 * "
        "p.grad`, `state['a'] = a`, "
        "`p -= group['lr'] * a`.",
    ),
    forbids=("SGD",),  # torch.optim.SGD: a class of the notebook by that name is a variable
    cases=2,
    guards=("grads_after", "state_with_graph", "built_on"),
    weights={"with_momentum": 2, "two_groups": 2, "resumed": 2},
    tolerance={"grads_after": EXACT, "state_with_graph": EXACT, "built_on": EXACT, **dict.fromkeys(
        ("plain", "with_momentum", "with_nesterov", "with_decay", "two_groups", "resumed"), STEPS)},
)


@sgd.inputs
def _(g, case):
    return {**tensors_and_gradients(g), "lr": between(g, 0.05, 0.1), "momentum": between(g, 0.6, 0.9), "weight_decay": between(g, 0.2, 0.5)}


@sgd.oracle
def _(values, grads, lr, momentum, weight_decay):
    def walk(second=None, **options):
        return torch_walk(torch.optim.SGD, values, grads, {"lr": lr, **options}, second)

    whole = walk({"lr": 3 * lr, "nesterov": False}, momentum=momentum, weight_decay=weight_decay, nesterov=True)
    return {"plain": walk(), "with_momentum": walk(momentum=momentum), "with_nesterov": walk(momentum=momentum, nesterov=True),
            "with_decay": walk(weight_decay=weight_decay), "two_groups": whole, "resumed": whole[-1], "grads_after": grads[-1]}


class Momentum(Stepper):
    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})

    def update(self, p, g, group, state):
        g = g + group["weight_decay"] * p
        p -= group["lr"] * self.direction(g, group, state)

    def direction(self, g, group, state):
        state["v"] = v = group["momentum"] * state.get("v", 0.0) + g
        return g + group["momentum"] * v if group["nesterov"] else v


register_shared(sgd, Momentum, torch.optim.SGD, "forgets_everything")


@sgd.wrong("`{function}` has no momentum: each step sees the present gradient only. Is the velocity stored where the next step finds it?")
class sgd_no_momentum(Momentum):
    def direction(self, g, group, state):
        return (1 + group["momentum"]) * g if group["nesterov"] else g


@sgd.wrong("`{function}` follows PyTorch until the learning rate changes: the learning rate is inside its velocity (the classical form of "
           "section 2.2). Multiply at the end.")
class sgd_classical(Momentum):
    def update(self, p, g, group, state):
        g = group["lr"] * (g + group["weight_decay"] * p)
        p -= self.direction(g, group, state)


@sgd.wrong("`{function}` takes a mean of the gradients, with a factor (1 - momentum). PyTorch's velocity is a sum: the new gradient "
           "counts fully.")
class sgd_dampened(Momentum):
    def direction(self, g, group, state):
        mu = group["momentum"]
        state["v"] = v = mu * state.get("v", 0.0) + (1 - mu) * g
        return g + mu * v if group["nesterov"] else v


@sgd.wrong("`nesterov` makes no difference in `{function}`. The option stands in the group; and g + momentum · v needs the *new* velocity "
           "(with the old one it is the velocity itself).")
class sgd_nesterov_ignored(Momentum):
    def direction(self, g, group, state):
        return Momentum.direction(self, g, {**group, "nesterov": False}, state)


@sgd.wrong("`{function}` always takes Nesterov's step. Ask the group's option first.")
class sgd_nesterov_always(Momentum):
    def direction(self, g, group, state):
        return Momentum.direction(self, g, {**group, "nesterov": True}, state)


@sgd.wrong("`{function}` stores Nesterov's direction as the velocity, so the next step starts from the wrong one. The velocity is updated "
           "as without Nesterov.")
class sgd_nesterov_stored(Momentum):
    def direction(self, g, group, state):
        found = Momentum.direction(self, g, group, state)
        state["v"] = found
        return found


@sgd.wrong("With Nesterov `{function}` steps along momentum · v and forgets the gradient itself.")
class sgd_nesterov_without_gradient(Momentum):
    def direction(self, g, group, state):
        found = Momentum.direction(self, g, group, state)
        return found - g if group["nesterov"] else found


@sgd.wrong("`{function}` ignores `weight_decay`.")
class sgd_no_decay(Momentum):
    def update(self, p, g, group, state):
        p -= group["lr"] * self.direction(g, group, state)


@sgd.wrong("`{function}` decays the weights apart from the velocity. PyTorch's SGD adds the decay to the gradient first, so that it "
           "enters the velocity as well.")
class sgd_decoupled(Momentum):
    def update(self, p, g, group, state):
        move = self.direction(g, group, state)
        p -= group["lr"] * (move + group["weight_decay"] * p)


@sgd.wrong("The decay of `{function}` has the wrong sign: weights are pushed away from 0.")
class sgd_decay_sign(Momentum):
    def update(self, p, g, group, state):
        Momentum.update(self, p, g, {**group, "weight_decay": -group["weight_decay"]}, state)


@sgd.wrong("`{function}` writes the decay into `.grad`: the numbers of the weights are right, and the user's gradient is not theirs any "
           "more. Make a new tensor.")
class sgd_decay_in_gradient(Momentum):
    def update(self, p, g, group, state):
        g += group["weight_decay"] * p
        p -= group["lr"] * self.direction(g, group, state)


@sgd.wrong("The velocity of `{function}` *is* the gradient's tensor: at the first step it is stored without a copy, and the next backward "
           "writes into it.")
class sgd_aliased(Momentum):
    def update(self, p, g, group, state):
        if "v" not in state:
            state["v"] = g
        else:
            state["v"].mul_(group["momentum"]).add_(g)
        v = state["v"]
        p -= group["lr"] * ((g + group["momentum"] * v if group["nesterov"] else v) + group["weight_decay"] * p)


@sgd.wrong("The numbers of `{function}` are right, but its state requires a gradient: the update is recorded, and the graph grows with "
           "each step. Where is `no_grad`?")
class sgd_keeps_graph(Momentum):
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad + group["weight_decay"] * p
                    p.data -= group["lr"] * self.direction(g, group, self.state[p]).detach()


@sgd.wrong("Autograd is watching while `{function}` writes into a leaf. `step` needs `@torch.no_grad()` above it.")
class sgd_without_no_grad(Momentum):
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, group, self.state[p])


@sgd.wrong("`{function}` uses the learning rate of the start. A scheduler writes a new one into the group: read it there, in each step.")
class sgd_first_rate(Momentum):
    def update(self, p, g, group, state):
        Momentum.update(self, p, g, {**group, "lr": self.defaults["lr"]}, state)


@sgd.variant
class sgd_in_place(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in filter(lambda p: p.grad is not None, group["params"]):
                g = p.grad.add(p, alpha=group["weight_decay"])
                if group["momentum"] != 0:
                    if "momentum_buffer" not in self.state[p]:
                        self.state[p]["momentum_buffer"] = torch.clone(g)
                    else:
                        self.state[p]["momentum_buffer"].mul_(group["momentum"]).add_(g)
                    buffer = self.state[p]["momentum_buffer"]
                    g = g.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
                p.add_(g, alpha=-group["lr"])


@sgd.variant
class sgd_with_data(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})

    def step(self):
        for group in self.param_groups:
            mu = group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p not in self.state:
                    self.state[p] = {"buf": torch.zeros_like(p.data)}
                g = p.grad.data + group["weight_decay"] * p.data
                old = self.state[p]["buf"].clone()
                self.state[p]["buf"].copy_(mu * old + g)
                p.data = p.data - group["lr"] * ((1 + mu) * g + mu * mu * old if group["nesterov"] else mu * old + g)


# ---- RMSprop ---------------------------------------------------------------------------------------------

rmsprop = Key(
    "u07-rmsprop",
    hints=(
        "What has to be remembered from step to step, and what is it before the first one?",
        "s = alpha · old + (1 - alpha) · grad², stored in `self.state[p]`; then grad over (root of s, plus eps). All of it entry by entry.",
        "A near-example, division by a fading mean of |g|: `a = 0.9 * state.get('a', 0.0) + 0.1 * p.grad.abs()`, `state['a'] = a`, `p -= "
        "group['lr'] * p.grad / (a + 1e-3)`.",
    ),
    forbids=("RMSprop",),
    cases=2,
    guards=("grads_after", "state_with_graph", "built_on"),
    weights={"one_set_of_options": 2},
    tolerance={"grads_after": EXACT, "state_with_graph": EXACT, "built_on": EXACT,
               **dict.fromkeys(("one_set_of_options", "two_groups", "resumed"), STEPS)},
)


@rmsprop.inputs
def _(g, case):
    return {**tensors_and_gradients(g), "lr": between(g, 0.05, 0.1), "alpha": between(g, 0.75, 0.9), "eps": between(g, 0.05, 0.1)}


@rmsprop.oracle
def _(values, grads, lr, alpha, eps):
    options = {"lr": lr, "alpha": alpha, "eps": eps}
    whole = torch_walk(torch.optim.RMSprop, values, grads, options, {"lr": 2 * lr, "alpha": alpha ** 2, "eps": 2 * eps})
    return {"one_set_of_options": torch_walk(torch.optim.RMSprop, values, grads, options), "two_groups": whole, "resumed": whole[-1],
            "grads_after": grads[-1]}


class Rms(Stepper):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def update(self, p, g, group, state):
        state["s"] = s = self.square(g, group["alpha"], state)
        p -= group["lr"] * self.scaled(g, s, group["eps"])

    def square(self, g, alpha, state):
        return alpha * state.get("s", 0.0) + (1 - alpha) * g * g

    def scaled(self, g, s, eps):
        return g / (s.sqrt() + eps)


register_shared(rmsprop, Rms, torch.optim.RMSprop, "first_group_only", "stops_at_none")


@rmsprop.wrong("`{function}` adds eps under the root. It stands outside: sqrt(s) + eps.")
class rms_eps_inside(Rms):
    def scaled(self, g, s, eps):
        return g / (s + eps).sqrt()


@rmsprop.wrong("`{function}` ignores eps. An entry that never saw a gradient then divides 0 by 0.")
class rms_no_eps(Rms):
    def scaled(self, g, s, eps):
        return g / s.sqrt()


@rmsprop.wrong("`{function}` divides by the mean square itself. Its root has the size of a gradient.")
class rms_no_root(Rms):
    def scaled(self, g, s, eps):
        return g / (s + eps)


@rmsprop.wrong("`{function}` sums up all squares and forgets none (that is Adagrad). The old value fades with alpha, the new one counts 1 "
               "- alpha.")
class rms_adagrad(Rms):
    def square(self, g, alpha, state):
        return state.get("s", 0.0) + g * g


@rmsprop.wrong("alpha and 1 - alpha are exchanged in `{function}`: the old value should keep the large share.")
class rms_alpha_swapped(Rms):
    def square(self, g, alpha, state):
        return (1 - alpha) * state.get("s", 0.0) + alpha * g * g


@rmsprop.wrong("`{function}` starts its mean at the first square. PyTorch's starts at 0, so the first step is longer; section 3.1 says how much.")
class rms_starts_at_first(Rms):
    def square(self, g, alpha, state):
        return alpha * state.get("s", g * g) + (1 - alpha) * g * g


@rmsprop.wrong("`{function}` keeps one number for a whole tensor. The mean is over time, not over entries: each entry has its own.")
class rms_one_number(Rms):
    def square(self, g, alpha, state):
        return alpha * state.get("s", 0.0) + (1 - alpha) * (g * g).mean()


@rmsprop.wrong("`{function}` corrects its mean for having started at 0. Adam does that; RMSprop does not.")
class rms_corrected(Rms):
    def update(self, p, g, group, state):
        state["t"] = state.get("t", 0) + 1
        state["s"] = s = self.square(g, group["alpha"], state)
        p -= group["lr"] * self.scaled(g, s / (1 - group["alpha"] ** state["t"]), group["eps"])


@rmsprop.wrong("`{function}` does not square the gradient: it takes the root of a mean of |g|.")
class rms_of_sizes(Rms):
    def square(self, g, alpha, state):
        return alpha * state.get("s", 0.0) + (1 - alpha) * g.abs()


@rmsprop.wrong("`{function}` divides by the mean from before this step. Update it first, then divide.")
class rms_stale(Rms):
    def update(self, p, g, group, state):
        old = state.get("s", torch.zeros_like(g))
        state["s"] = self.square(g, group["alpha"], state)
        p -= group["lr"] * self.scaled(g, old, group["eps"])


@rmsprop.variant
class rms_addcmul(torch.optim.Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if len(self.state[p]) == 0:
                    self.state[p]["square_avg"] = torch.zeros_like(p)
                average = self.state[p]["square_avg"]
                average.mul_(group["alpha"]).addcmul_(p.grad, p.grad, value=1 - group["alpha"])
                p.addcdiv_(p.grad, average.sqrt().add_(group["eps"]), value=-group["lr"])


@rmsprop.variant
class rms_by_lerp(torch.optim.Optimizer):
    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8):
        super().__init__(params, {"alpha": alpha, "eps": eps, "lr": lr})

    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                rate, alpha, eps = (group[name] for name in ("lr", "alpha", "eps"))
                for p in group["params"]:
                    if (g := p.grad) is not None:
                        old = self.state[p].setdefault("mean", torch.zeros_like(g))
                        old.lerp_(g.square(), 1 - alpha)
                        p.sub_(rate * g.div(old.pow(0.5) + eps))


# ---- Adam ------------------------------------------------------------------------------------------------

adam = Key(
    "u07-adam",
    hints=(
        "What are the three things that each parameter remembers, and which of them is not a tensor?",
        "Count t up first, so that it is 1 in the first step. Then m, then s, both stored uncorrected; the correction is made for the step only.",
        "A near-example, a corrected fading mean alone: `t = state['t'] = state.get('t', 0) + 1`, `a = state['a'] = 0.8 * state.get('a', "
        "0.0) + 0.2 * p.grad`, "
        "`p -= group['lr'] * a / (1 - 0.8 ** t)`. In `__init__` the options go to the base class in a dict, as in the two classes above.",
    ),
    forbids=("Adam", "AdamW"),
    cases=2,
    guards=("grads_after", "state_with_graph", "built_on"),
    weights={"no_decay": 2},
    tolerance={"grads_after": EXACT, "state_with_graph": EXACT, "built_on": EXACT, **dict.fromkeys(("no_decay", "two_groups", "resumed"), STEPS)},
)


def adam_inputs(g, case):
    return {**tensors_and_gradients(g), "lr": between(g, 0.04, 0.06), "betas": [between(g, 0.6, 0.7), between(g, 0.8, 0.9)],
            "eps": between(g, 0.05, 0.1), "weight_decay": between(g, 0.3, 0.6)}


@adam.inputs
def _(g, case):
    return adam_inputs(g, case)


@adam.oracle
def _(values, grads, lr, betas, eps, weight_decay):
    options = {"lr": lr, "betas": tuple(betas), "eps": eps}
    other = {"lr": 2 * lr, "betas": tuple(betas[::-1]), "eps": 3 * eps, "weight_decay": 0.0}
    whole = torch_walk(torch.optim.Adam, values, grads, {**options, "weight_decay": weight_decay}, other)
    return {"no_decay": torch_walk(torch.optim.Adam, values, grads, options), "two_groups": whole, "resumed": whole[-1], "grads_after": grads[-1]}


class Moments(Stepper):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, p, g, group, state):
        g = g + group["weight_decay"] * p
        p -= group["lr"] * self.adam(g, group, state)

    def adam(self, g, group, state):
        (b1, b2), t = self.betas(group), self.age(state)
        m, s = self.means(g, b1, b2, state)
        return self.quotient(m, s, b1, b2, t, group["eps"])

    def betas(self, group):
        return group["betas"]

    def age(self, state):
        state["t"] = state.get("t", 0) + 1
        return state["t"]

    def means(self, g, b1, b2, state):
        state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
        state["s"] = b2 * state.get("s", 0.0) + (1 - b2) * g * g
        return state["m"], state["s"]

    def quotient(self, m, s, b1, b2, t, eps):
        return m / (1 - b1 ** t) / ((s / (1 - b2 ** t)).sqrt() + eps)


register_shared(adam, Moments, torch.optim.Adam, "first_group_only", "stops_at_none")


@adam.wrong("`{function}` has no bias correction: with the usual betas its first step is 3.162 · lr. Divide m and s by 1 - beta**t.")
class adam_uncorrected(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (s.sqrt() + eps)


@adam.wrong("`{function}` corrects m and not s, which also started at 0.")
class adam_first_corrected(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (1 - b1 ** t) / (s.sqrt() + eps)


@adam.wrong("`{function}` corrects s and not m, which also started at 0.")
class adam_second_corrected(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / ((s / (1 - b2 ** t)).sqrt() + eps)


@adam.wrong("`{function}` has the two betas the wrong way round: the first fades the gradient, the second its square.")
class adam_betas_swapped(Moments):
    def betas(self, group):
        return group["betas"][::-1]


@adam.wrong("In the first step of `{function}` t is 0, and 1 - beta**0 is 0. Count first, then correct.")
class adam_counts_from_zero(Moments):
    def age(self, state):
        state["t"] = state.get("t", -1) + 1
        return state["t"]


@adam.wrong("`{function}` has one step count for all. A parameter whose first gradient came later is younger: its t belongs to its own state.")
class adam_global_count(Moments):
    @torch.no_grad()
    def step(self):
        count = self.param_groups[0]["count"] = self.param_groups[0].get("count", 0) + 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["t"] = count - 1
                    self.update(p, p.grad, group, self.state[p])


@adam.wrong("`{function}` adds eps under the root. It stands outside.")
class adam_eps_inside(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (1 - b1 ** t) / (s / (1 - b2 ** t) + eps).sqrt()


@adam.wrong("`{function}` adds eps before the correction, so that it is corrected too. Correct s, take the root, then add eps.")
class adam_eps_early(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (1 - b1 ** t) / ((s.sqrt() + eps) / (1 - b2 ** t) ** 0.5)


@adam.wrong("`{function}` divides by s instead of its root.")
class adam_no_root(Moments):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (1 - b1 ** t) / (s / (1 - b2 ** t) + eps)


@adam.wrong("`{function}` squares the mean m instead of averaging the squared gradient. s is a mean of g², and that is not the square of a mean.")
class adam_square_of_mean(Moments):
    def means(self, g, b1, b2, state):
        state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
        state["s"] = b2 * state.get("s", 0.0) + (1 - b2) * state["m"] ** 2
        return state["m"], state["s"]


@adam.wrong("`{function}` stores the corrected means, and corrects them again in the next step. Store them as they are.")
class adam_stores_corrected(Moments):
    def means(self, g, b1, b2, state):
        m = b1 * state.get("m", 0.0) + (1 - b1) * g
        s = b2 * state.get("s", 0.0) + (1 - b2) * g * g
        state["m"], state["s"] = m / (1 - b1 ** state["t"]), s / (1 - b2 ** state["t"])
        return m, s


@adam.wrong("`{function}` ignores `weight_decay`.")
class adam_no_decay(Moments):
    def update(self, p, g, group, state):
        p -= group["lr"] * self.adam(g, group, state)


@adam.wrong("`{function}` shrinks the weights apart from the gradient. That is AdamW, the next exercise; here the decay is added to the "
            "gradient.")
class adam_decoupled(Moments):
    def update(self, p, g, group, state):
        p *= 1 - group["lr"] * group["weight_decay"]
        p -= group["lr"] * self.adam(g, group, state)


@adam.wrong("`{function}` writes the decay into `.grad`. Make a new tensor.")
class adam_decay_in_gradient(Moments):
    def update(self, p, g, group, state):
        g += group["weight_decay"] * p
        p -= group["lr"] * self.adam(g, group, state)


@adam.wrong("The numbers of `{function}` are right, but its state requires a gradient: the update is recorded, and the graph grows with "
            "each step. Where is `no_grad`?")
class adam_keeps_graph(Moments):
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad + group["weight_decay"] * p
                    p.data -= group["lr"] * self.adam(g, group, self.state[p]).detach()


@adam.variant
class adam_like_torch(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                grad = p.grad.add(p, alpha=group["weight_decay"])
                state["exp_avg"].lerp_(grad, 1 - first)
                state["exp_avg_sq"].mul_(second).addcmul_(grad, grad, value=1 - second)
                count = state["step"].item()
                root = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - second ** count)).add_(group["eps"])
                p.addcdiv_(state["exp_avg"], root, value=-group["lr"] / (1 - first ** count))


@adam.variant
class adam_by_lists(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self):
        with torch.no_grad():
            for group in self.param_groups:
                (b1, b2), reached = group["betas"], [p for p in group["params"] if p.grad is not None]
                for p in reached:
                    self.state[p].setdefault("moments", torch.zeros(2, *p.shape, device=p.device))
                    self.state[p]["age"] = self.state[p].get("age", 0) + 1
                    grad = group["weight_decay"] * p + p.grad
                    fade = torch.tensor([b1, b2], device=p.device).view(2, *[1] * p.dim())
                    both = self.state[p]["moments"].mul_(fade).add_((1 - fade) * torch.stack([grad, grad.square()]))
                    m, s = both[0] / (1 - b1 ** self.state[p]["age"]), both[1] / (1 - b2 ** self.state[p]["age"])
                    p.sub_(group["lr"] * m / (s.sqrt() + group["eps"]))


# ---- AdamW -----------------------------------------------------------------------------------------------

adamw = Key(
    "u07-adamw",
    hints=(
        "Which single line of your Adam knows about weight decay? What becomes of it?",
        "The gradient enters m and s as it is. Before the move, multiply p in place by 1 - lr · weight_decay, with both numbers from the group.",
        "A near-example, SGD with decoupled decay: `p *= 1 - group['lr'] * group['weight_decay']`, then `p -= group['lr'] * p.grad`.",
    ),
    forbids=("Adam", "AdamW"),
    cases=2,
    guards=("grads_after", "state_with_graph", "built_on"),
    tolerance={"grads_after": EXACT, "state_with_graph": EXACT, "built_on": EXACT,
               **dict.fromkeys(("no_decay", "default_decay", "two_groups", "resumed"), STEPS)},
    weights={"two_groups": 2},
)


@adamw.inputs
def _(g, case):
    return adam_inputs(g, case)


@adamw.oracle
def _(values, grads, lr, betas, eps, weight_decay):
    options = {"lr": lr, "betas": tuple(betas), "eps": eps}
    other = {"lr": 2 * lr, "betas": tuple(betas[::-1]), "eps": 3 * eps, "weight_decay": weight_decay / 2}
    whole = torch_walk(torch.optim.AdamW, values, grads, {**options, "weight_decay": weight_decay}, other)
    return {"no_decay": torch_walk(torch.optim.AdamW, values, grads, {**options, "weight_decay": 0.0}), "two_groups": whole, "resumed": whole[-1],
            "default_decay": torch_walk(torch.optim.AdamW, values, grads, {**options, "lr": 10 * lr}), "grads_after": grads[-1]}


class Decoupled(Moments):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, group, state):
        p *= 1 - group["lr"] * group["weight_decay"]
        p -= group["lr"] * self.adam(g, group, state)


register_shared(adamw, Decoupled, torch.optim.AdamW, "first_group_only", "one_memory_for_all", "uphill", "stops_at_none", "forgets_everything")


@adamw.wrong("`{function}` adds the decay to the gradient, and Adam divides it by the gradient's size: that is L2, 0.224 instead of 0.905 "
             "in the example above. Shrink the weight itself.")
class adamw_coupled(Decoupled):
    def update(self, p, g, group, state):
        Moments.update(self, p, g, group, state)


@adamw.wrong("`{function}` ignores `weight_decay`.")
class adamw_no_decay(Decoupled):
    def update(self, p, g, group, state):
        p -= group["lr"] * self.adam(g, group, state)


@adamw.wrong("`{function}` decays after Adam's step, so the step is decayed as well. Decay first.")
class adamw_decays_last(Decoupled):
    def update(self, p, g, group, state):
        p -= group["lr"] * self.adam(g, group, state)
        p *= 1 - group["lr"] * group["weight_decay"]


@adamw.wrong("The decay of `{function}` does not know the learning rate. The factor is 1 - lr · weight_decay, so that a schedule calms both.")
class adamw_decay_without_lr(Decoupled):
    def update(self, p, g, group, state):
        p *= 1 - group["weight_decay"]
        p -= group["lr"] * self.adam(g, group, state)


@adamw.wrong("`{function}` decays twice: in the weight, and in the gradient. The gradient stays pure.")
class adamw_decays_twice(Decoupled):
    def update(self, p, g, group, state):
        p *= 1 - group["lr"] * group["weight_decay"]
        Moments.update(self, p, g, group, state)


@adamw.wrong("`{function}` lets parameters without a gradient decay. PyTorch passes over them altogether; test for None before anything else.")
class adamw_decays_idle(Decoupled):
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p *= 1 - group["lr"] * group["weight_decay"]
                if p.grad is not None:
                    p -= group["lr"] * self.adam(p.grad, group, self.state[p])


@adamw.wrong("Without `weight_decay` in the call, `{function}` decays by another amount than its signature says. Does the default reach "
             "the dict that goes to the base class?")
class adamw_other_default(Decoupled):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)


@adamw.wrong("The decay of `{function}` pushes weights away from 0. Look at its sign.")
class adamw_grows(Decoupled):
    def update(self, p, g, group, state):
        p *= 1 + group["lr"] * group["weight_decay"]
        p -= group["lr"] * self.adam(g, group, state)


@adamw.wrong("`{function}` has no bias correction. Divide m and s by 1 - beta**t, as in Adam.")
class adamw_uncorrected(Decoupled):
    def quotient(self, m, s, b1, b2, t, eps):
        return m / (s.sqrt() + eps)


@adamw.variant
class adamw_in_one_line(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["n"], state["mean"], state["square"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                state["n"] += 1
                state["mean"].mul_(b1).add_(p.grad, alpha=1 - b1)
                state["square"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                move = state["mean"] / (1 - b1 ** state["n"]) / (torch.sqrt(state["square"] / (1 - b2 ** state["n"])) + group["eps"])
                p.copy_(p - group["lr"] * (move + group["weight_decay"] * p))


@adamw.variant
class adamw_on_adam(adam_like_torch):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)

    @torch.no_grad()
    def step(self):
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
            group["weight_decay"] = 0.0
        super().step()
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay


# ---- param_groups ----------------------------------------------------------------------------------------

groups = Key(
    "u07-param-groups",
    hints=(
        "For a given tensor, who knows whether it belongs to a normalisation layer: its name, its shape, or its module?",
        "Walk through `model.modules()`, and for each through `module.named_parameters(recurse=False)`: then name and module are both at "
        "hand. A tied tensor comes twice; keep it once.",
        "A near-example, all weights of linear layers: `[p for m in model.modules() if isinstance(m, nn.Linear) for n, p in "
        "m.named_parameters(recurse=False) if n == 'weight']`.",
    ),
    cases=3,
    weights={"decaying": 2, "not_decaying": 2},
    tolerance=EXACT,
)
LAYER_NAMES = ["norm1", "bias_net", "bn", "first", "last", "mix", "normal", "a", "z9"]


@groups.inputs
def _(g, case):
    kinds = [["linear", "batch", "relu", "linear", "block"], ["linear", "layer", "conv", "linear", "group"],
             ["embedding", "layer", "linear", "batch", "block", "linear"]][case]
    names = shuffled(g, LAYER_NAMES)[:len(kinds)]
    layers = dict(zip(names, kinds, strict=True))
    linear = [name for name, kind in layers.items() if kind == "linear"]
    trap = [name for name in ("norm1", "bias_net") if name not in layers]
    layers |= {trap[0]: "linear"} if trap else {}
    return {"layers": layers, "tie": linear[:2] if case else [], "weight_decay": between(g, 0.02, 0.1)}


def sort_by(model, weight_decay, rule, parameters=None):
    """Two groups by a rule over (module, own name, full name, parameter)."""
    decay, rest, seen = [], [], set()
    for prefix, module in model.named_modules():
        for name, p in module.named_parameters(recurse=False):
            if id(p) not in seen:
                (decay if rule(module, name, f"{prefix}.{name}", p) else rest).append(p)
                seen.add(id(p))
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def is_norm(module):
    return isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm))


@groups.oracle
def _(layers, tie, weight_decay):
    of_kind = {"linear": ["weight"], "conv": ["weight"], "embedding": ["weight"], "block": ["0.weight"]}
    exempt = {"linear": ["bias"], "conv": ["bias"], "block": ["0.bias", "1.weight", "1.bias"], "batch": ["weight", "bias"],
              "layer": ["weight", "bias"], "group": ["weight", "bias"]}
    lost = {f"{tie[1]}.weight"} if tie else set()
    found = [{f"{name}.{own}" for name, kind in layers.items() for own in kinds.get(kind, [])} - lost for kinds in (of_kind, exempt)]
    return {"decaying": sorted(found[0] | {"scale"}), "not_decaying": sorted(found[1]), "weight_decays": [weight_decay, 0.0]}


@groups.wrong("`{function}` goes by names: a layer that is called norm1 may be linear, and one called `a` a norm. Ask the module's class.")
def by_full_name(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: "norm" not in full and "bias" not in full and "bn" not in full)


@groups.wrong("`{function}` goes by shape: LayerNorm((2, 3)) has a matrix, and a vector of the model's own is no bias. Ask the module's class.")
def by_shape(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: p.dim() > 1)


@groups.wrong("`{function}` spares biases only. The weights of normalisation layers belong to the second group as well.")
def biases_only(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: name != "bias")


@groups.wrong("`{function}` spares normalisation layers only; the biases of the others decay.")
def norms_only(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: not is_norm(module))


@groups.wrong("`{function}` lets everything decay.")
def all_decay(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: True)


@groups.wrong("`{function}` returns the groups in the wrong order, or with each other's weight decay.")
def groups_swapped(model, weight_decay):
    return sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))[::-1]


@groups.wrong("Both groups of `{function}` have the same weight decay. The second one's is 0.0.")
def same_decay(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [{**group, "weight_decay": weight_decay} for group in found]


@groups.wrong("The second group of `{function}` does not say what its weight decay is, so it takes the optimizer's default, and AdamW's is not 0. "
              "Write 0.0 into the group.")
def silent_group(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [found[0], {"params": found[1]["params"]}]


@groups.wrong("`{function}` leaves out parameters that belong to a module with children: the model's own `scale` is in no group. Every "
              "module may have parameters.")
def leaves_only(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    own = {id(p) for p in model.parameters(recurse=False)}
    return [{**group, "params": [p for p in group["params"] if id(p) not in own]} for group in found]


@groups.wrong("`{function}` looks at the model's children, not at theirs: parameters inside a nested block are in no group.")
def children_only(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    near = {id(p) for module in (model, *model.children()) for p in module.parameters(recurse=False)}
    return [{**group, "params": [p for p in group["params"] if id(p) in near]} for group in found]


@groups.wrong("The second group of `{function}` is empty: a generator that the first walk has used up gives nothing to the second. Make a "
              "list of it, or sort in one walk.")
def exhausted(model, weight_decay):
    found = sort_by(model, weight_decay, lambda module, name, full, p: name != "bias" and not is_norm(module))
    return [found[0], {"params": [], "weight_decay": 0.0}]


@groups.wrong("`{function}` gives a tied tensor twice (or, with recursion, a child's parameters once more with each parent). Each tensor "
              "belongs to one group, once.")
def doubles(model, weight_decay):
    decay, rest = [], []
    for module in model.modules():
        for name, p in module.named_parameters():
            (rest if name.endswith("bias") or is_norm(module) else decay).append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


@groups.variant
def by_ids_of_exempt(model, weight_decay):
    exempt = {id(p) for m in model.modules() if is_norm(m) for p in m.parameters(recurse=False)}
    exempt |= {id(p) for name, p in model.named_parameters() if name.split(".")[-1] == "bias"}
    return [{"params": [p for p in model.parameters() if id(p) not in exempt], "weight_decay": weight_decay},
            {"params": [p for p in model.parameters() if id(p) in exempt], "weight_decay": 0.0}]


@groups.variant
def by_owner(model, weight_decay):
    owners = {}
    for prefix, module in model.named_modules():
        for name, p in module._parameters.items():
            if p is not None:
                owners.setdefault(p, (module, name))
    free = [p for p, (module, name) in owners.items() if name == "bias" or is_norm(module)]
    rest = [p for p in owners if not any(p is q for q in free)]
    return [dict(params=rest, weight_decay=weight_decay), dict(params=free, weight_decay=0.0)]


# ---- hunt: fine_tune -------------------------------------------------------------------------------------

head = Key(
    "u07-hunt-head",
    hints=(
        "Which tensors does the optimizer hold, and which does the model use?",
        "Print `[id(p) for p in model.parameters()]` and the same for `optimizer.param_groups[0]['params']`, just before the loop.",
        "A near-example: `guests = list(table)`, then `table[0] = newcomer`. The list of guests was made before, so the newcomer is not on it.",
    ),
    cases=2,
    guards=("the_model_has_the_head",),
    weights={"losses": 2, "head_weight": 2},
    tolerance={"the_model_has_the_head": EXACT, **dict.fromkeys(("losses", "body_weight", "head_weight"), Tolerance(
        5e-5, 1e-6, "four float32 training steps through a tanh"))},
)


@head.inputs
def _(g, case):
    n, d, m, k = [(5, 3, 4, 2), (4, 2, 3, 5)][case]
    return {"body_weight": away_from_zero(g, m, d), "head_weight": away_from_zero(g, k, m), "x": away_from_zero(g, n, d),
            "y": away_from_zero(g, n, k), "lr": between(g, 0.1, 0.2), "steps": 4}


@head.oracle
def _(body_weight, head_weight, x, y, lr, steps):
    a, b, x, y = (t.double() for t in (body_weight, head_weight, x, y))
    losses = []
    for _ in range(steps):
        hidden = torch.tanh(x @ a.T)
        error = hidden @ b.T - y
        losses.append((error ** 2).mean().item())
        up = 2 * error / error.numel()
        a, b = a - lr * ((up @ b) * (1 - hidden ** 2)).T @ x, b - lr * up.T @ hidden
    return {"losses": losses, "body_weight": a, "head_weight": b, "the_model_has_the_head": 1}


def tune(model, parameters, x, y, lr, steps, zero=True, late=False, reduce=torch.mean):
    optimizer = torch.optim.SGD(parameters, lr=lr)
    losses = []
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        loss = ((model(x) - y) ** 2)
        loss = reduce(loss)
        loss.backward()
        optimizer.step()
        losses.append(reduce((model(x) - y) ** 2).item() if late else loss.item())
    return losses


@head.wrong("`{function}` now trains the head, and the body stands still. All of the model is to be trained.")
def head_only(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, head.parameters(), x, y, lr, steps)


@head.wrong("`{function}` does not put the new head into the model: it goes on with the old one.")
def keeps_old_head(model, head, x, y, lr, steps):
    return tune(model, model.parameters(), x, y, lr, steps)


@head.wrong("`{function}` trains a copy of the head: the one that the caller passed in stays as it was.")
def copies_head(model, head, x, y, lr, steps):
    model[-1] = nn.Linear(head.in_features, head.out_features, bias=False)
    model[-1].weight.data.copy_(head.weight)
    return tune(model, model.parameters(), x, y, lr, steps)


@head.wrong("`{function}` does not clear the gradients: from the second step on they are sums.")
def never_clears(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, zero=False)


@head.wrong("`{function}` stores each loss after its update. The first entry belongs to the weights from before any update.")
def loss_after_update(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, late=True)


@head.wrong("`{function}` uses the sum of the squared errors. Keep the mean; that was not the fault.")
def sums(model, head, x, y, lr, steps):
    model[-1] = head
    return tune(model, model.parameters(), x, y, lr, steps, reduce=torch.sum)


@head.wrong("`{function}` adds the new head behind the old one: the model has one layer more. It is to be replaced.")
def appends_head(model, head, x, y, lr, steps):
    optimizer = torch.optim.SGD(model[:-1].parameters(), lr=lr)
    optimizer.add_param_group({"params": list(head.parameters()), "lr": 2 * lr})
    model[-1] = head
    return tune_with(optimizer, model, x, y, steps)


def tune_with(optimizer, model, x, y, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@head.variant
def adds_a_group(model, head, x, y, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model[-1] = head
    optimizer.add_param_group({"params": head.parameters()})
    return tune_with(optimizer, model, x, y, steps)


@head.variant
def zero_at_the_end(model, head, x, y, lr, steps):
    model[len(model) - 1] = head
    optimizer = torch.optim.SGD(list(model.parameters()), lr=lr, momentum=0.0)
    losses = []
    while len(losses) < steps:
        loss = nn.functional.mse_loss(model(x), y)
        losses.append(float(loss))
        loss.backward()
        optimizer.step()
        model.zero_grad()
    return losses


# ---- warmup_cosine ---------------------------------------------------------------------------------------

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


# ---- clip_by_norm ----------------------------------------------------------------------------------------

clip = Key(
    "u07-clip-by-norm",
    hints=(
        "How many norms are there, and how many factors?",
        "Make a list of the gradients that exist. One norm over all their entries; if it is too large, multiply each gradient in place by "
        "the same factor.",
        "A near-example, limiting the largest entry: `grads = [p.grad for p in params if p.grad is not None]`, `top = max(g.abs().max() "
        "for g in grads)`, "
        "`if top > c:` `for g in grads: g *= c / top`.",
    ),
    cases=4,
    guards=("values_after",),
    weights={"grads": 2},
    equivalent={"line 3: norm > max_norm -> norm >= max_norm": "a norm of exactly max_norm is scaled by exactly 1"},
    tolerance={"values_after": EXACT, **dict.fromkeys(("norm", "grads", "in_the_same_memory"), Tolerance(
        1e-5, 1e-7, "float32 sums of ten squares; PyTorch's own function adds 1e-6 to the norm"))},
)


@clip.inputs
def _(g, case):
    shapes = [(2, 3), (3,), (1, 2)]
    grads = [away_from_zero(g, *shape) * scale for shape, scale in zip(shapes, (1.0, 3.0, 0.5), strict=True)]
    grads[[2, 0, 1, 0][case]] = None
    if case == 3:
        grads = [None] * 3
    norm = math.sqrt(sum((t ** 2).sum().item() for t in grads if t is not None))
    factor = between(g, 0.2, 0.5) if case != 1 else between(g, 1.5, 2.0)
    return {"values": [away_from_zero(g, *shape) for shape in shapes], "grads": grads, "max_norm": round(norm * factor, 4) or 1.0}


@clip.oracle
def _(values, grads, max_norm):
    params = [v.double().requires_grad_() for v in values]
    for p, grad in zip(params, grads, strict=True):
        p.grad = None if grad is None else grad.double()
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm).item()
    found = [None if p.grad is None else p.grad for p in params]
    return {"norm": norm, "grads": found, "in_the_same_memory": found, "values_after": values}


def listed(params):
    return [p.grad for p in params if p.grad is not None]


def total_norm(grads):
    return sum((g ** 2).sum() for g in grads) ** 0.5


def scale_all(grads, norm, max_norm):
    if norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm


@clip.wrong("`{function}` clips each tensor by its own norm, so their proportions change. One norm over all of them, one factor.")
def each_by_itself(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        scale_all([g], g.norm(), max_norm)
    return norm


@clip.wrong("`{function}` limits each entry. That changes the direction; the whole vector is to be shortened.")
def by_value(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        g.clamp_(-max_norm, max_norm)
    return norm


@clip.wrong("`{function}` scales gradients that are short enough up to max_norm. It should leave them alone.")
def always_scales(params, max_norm):
    grads = listed(params)
    norm = total_norm(grads)
    for g in grads:
        g *= max_norm / norm
    return norm


@clip.wrong("`{function}` adds up the norms of the tensors. Lengths of perpendicular parts add in squares.")
def sum_of_norms(params, max_norm):
    grads = listed(params)
    return scale_all(grads, sum(g.norm() for g in grads), max_norm)


@clip.wrong("`{function}` returns the right norm and scales nothing: `params` was a generator, and the first walk used it up. Keep the "
            "gradients in a list.")
def walks_twice(params, max_norm):
    params = iter(params)
    norm = total_norm([p.grad for p in params if p.grad is not None])
    return scale_all(listed(params), norm, max_norm)


@clip.wrong("`{function}` fails on a parameter whose gradient is None. Pass over it.")
def no_test_for_none(params, max_norm):
    grads = [p.grad for p in params]
    return scale_all(grads, total_norm(grads), max_norm)


@clip.wrong("`{function}` fails when nothing has a gradient. There the norm is 0, and nothing is to be scaled.")
def fails_on_nothing(params, max_norm):
    grads = listed(params)
    return scale_all(grads, torch.cat([g.flatten() for g in grads]).norm(), max_norm)


@clip.wrong("`{function}` returns the norm from after clipping. The one from before is the news.")
def norm_after(params, max_norm):
    grads = listed(params)
    scale_all(grads, total_norm(grads), max_norm)
    return total_norm(grads)


@clip.wrong("`{function}` forgets the square root of the sum of squares.")
def no_root(params, max_norm):
    grads = listed(params)
    return scale_all(grads, sum((g ** 2).sum() for g in grads), max_norm)


@clip.wrong("`{function}` takes the largest entry for the norm.")
def largest_entry(params, max_norm):
    grads = listed(params)
    return scale_all(grads, max((g.abs().max() for g in grads), default=0.0), max_norm)


@clip.wrong("`{function}` takes a mean of squares. The norm has their sum.")
def mean_of_squares(params, max_norm):
    grads = listed(params)
    return scale_all(grads, total_norm(grads) / max(1, sum(g.numel() for g in grads)) ** 0.5, max_norm)


@clip.wrong("`{function}` clips the weights. Their gradients are meant.")
def clips_weights(params, max_norm):
    params = list(params)
    norm = total_norm(listed(params))
    scale_all([p.data for p in params], norm, max_norm)
    return norm


@clip.wrong("`{function}` puts new tensors into `.grad`; the old ones stay long. In place: whoever holds the gradient must see the change.")
def new_tensors(params, max_norm):
    params = [p for p in params if p.grad is not None]
    norm = total_norm(listed(params))
    for p in params:
        p.grad = p.grad * (max_norm / norm) if norm > max_norm else p.grad
    return norm


@clip.variant
def by_torch(params, max_norm):
    return torch.nn.utils.clip_grad_norm_(params, max_norm)


@clip.variant
def by_one_vector(params, max_norm):
    params = [p for p in params if p.grad is not None]
    if not params:
        return 0.0
    norm = torch.linalg.vector_norm(torch.cat([p.grad.reshape(-1) for p in params])).item()
    factor = min(1.0, max_norm / max(norm, 1e-12))
    for p in params:
        p.grad.mul_(factor)
    return norm


# ---- race ------------------------------------------------------------------------------------------------

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
