"""The key of u07-rmsprop."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, STEPS, Stepper, between, register_shared, tensors_and_gradients, torch_walk

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
