"""What the keys of u07 share: small helpers, and an optimizer's step with its usual mistakes."""

import torch

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "copies of the inputs, counts and texts")
STEPS = Tolerance(2e-5, 1e-6, "four float32 steps of a dozen operations each; measured below 1e-6 of the largest weight")


def away_from_zero(g, *shape):
    """Numbers of either sign, between 0.3 and 1.5 in size."""
    return (0.3 + 1.2 * torch.rand(shape, generator=g)) * (2 * torch.randint(0, 2, shape, generator=g) - 1)


def between(g, low, high):
    return round(low + (high - low) * torch.rand((), generator=g, dtype=torch.float64).item(), 4)


def shuffled(g, items):
    return [items[place] for place in torch.randperm(len(items), generator=g).tolist()]


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
