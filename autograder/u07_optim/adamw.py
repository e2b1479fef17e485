"""The key of u07-adamw."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, STEPS, register_shared, torch_walk
from .adam import Moments, adam_inputs, adam_like_torch

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
