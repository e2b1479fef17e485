"""The key of u07-adam."""

import math

import torch

from coursekit.course.authoring import Key

from ._shared import (
    EXACT,
    STEPS,
    Stepper,
    between,
    register_shared,
    tensors_and_gradients,
    torch_walk,
)

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
