"""A sound MiniModule, and nn.Module's rules, of which each wrong answer of u04-mini-module breaks one."""

import torch
from torch import nn

PLACES = ("_parameters", "_buffers", "_modules")


class Mini:
    """A sound MiniModule; wrong ones exchange its __setattr__."""

    def __init__(self):
        for place in PLACES:
            object.__setattr__(self, place, {})

    def register_buffer(self, name, tensor):
        self._buffers[name] = tensor

    def __getattr__(self, name):
        for place in PLACES:
            if name in vars(self).get(place, {}):
                return vars(self)[place][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name, value):
        put(self, name, value)


def put(
    m,
    name,
    value,
    *,
    tensors=False,
    leaves=False,
    modules=True,
    parameters=True,
    buffers=True,
    typed=True,
    hides=False,
    leaves_old=False,
    none=True,
    ready=True,
    doubles=False,
):
    """nn.Module's rules, each of which can be broken."""
    own = vars(m)
    held = next((place for place in PLACES if name in own.get(place, {})), None)
    if isinstance(value, nn.Parameter) or (
        isinstance(value, torch.Tensor) and (tensors or (leaves and value.requires_grad))
    ):
        place = "_parameters" if parameters else None
    elif isinstance(value, Mini):
        place = "_modules" if modules else None
    elif held is None or (value is None and not none) or (held == "_buffers" and not buffers):
        place = None
    elif value is None or (held == "_buffers" and isinstance(value, torch.Tensor)) or not typed:
        place = held
    else:
        raise TypeError(f"{name} is registered in {held}")
    if place is None:
        object.__setattr__(m, name, value)
        return
    if place not in own:
        if ready:
            raise AttributeError("call super().__init__() first")
        for one in PLACES:
            own.setdefault(one, {})
    if held != place:
        if not hides:
            own.pop(name, None)
        if not leaves_old:
            own.get(held, {}).pop(name, None)
    own[place][name] = value
    if doubles:
        own[name] = value


def breaking(**rules):
    """Make a MiniModule with some rules broken."""
    return lambda function: type(
        function.__name__, (Mini,), {"__setattr__": lambda m, name, value: put(m, name, value, **rules)}
    )
