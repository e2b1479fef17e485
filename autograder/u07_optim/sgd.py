"""The key of u07-sgd."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, STEPS, Stepper, between, register_shared, tensors_and_gradients, torch_walk

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
