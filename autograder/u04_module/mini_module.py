"""The key of u04-mini-module."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, shuffled
from .mini_module_answers import PLACES, Mini, breaking, put


def number(g):
    """A number of one decimal, so that float32 lists read well."""
    return torch.randint(-80, 80, (), generator=g).item() / 8


UNSET = "`place` is unset then, the next line raises UnboundLocalError, and any exception refuses"
NO_PLACE = "the last line raises KeyError then, for want of the dictionary, and any exception refuses"

mini = Key(
    "u04-mini-module",
    hints=(
        "For each row of section 1.3's rules: which type or which dictionary do you have to ask about, and in which order?",
        "First find out where the name is registered now, if anywhere. Then decide on a place by `isinstance`. Take the name out of "
        "`vars(self)` and out of its old dictionary, and write it into the new one.",
        "A near-example, a class that keeps all functions in a dictionary of their own: `def __setattr__(self, name, value):`, then `if "
        "callable(value): vars(self).pop(name, None); self._functions[name] = value`, `else: object.__setattr__(self, name, value)`.",
    ),
    cases=8,
    weights={"_parameters": 2, "_modules": 2, "read_back": 2, "(refuses wrong input)": 3},
    tolerance=EXACT,
    equivalent={
        'line 13: raise TypeError(f"{name} is regi… take a {type(value).__name__}") -> pass': UNSET,
        'line 15: raise AttributeError(f"cannot as… call super().__init__() first") -> pass': NO_PLACE,
    },
)


@mini.inputs
def _(g, case):
    names = shuffled(
        g, ["kernel", "alpha", "steps", "body", "head", "zeta", "mean", "table", "gain", "note", "depth", "core"]
    )
    if case == 0:
        kinds = shuffled(
            g, ["parameter", "parameter", "module", "module", "tensor", "leaf", "number", "buffer", "none"]
        )
        pairs = [[kind] for kind in kinds]
    elif case == 1:
        pairs = shuffled(
            g,
            [
                ["tensor", "parameter"],
                ["buffer", "tensor"],
                ["parameter", "none"],
                ["module", "parameter"],
                ["parameter", "module"],
                ["buffer", "parameter"],
                ["module", "none"],
                ["number", "module"],
                ["parameter", "parameter"],
                ["buffer", "none"],
                ["buffer", "module"],
            ],
        )
    elif case == 2:
        pairs = [[kind] for kind in shuffled(g, ["number", "tensor", "none", "leaf"])]
    else:
        pairs = [["parameter"]], [["module"]], [["parameter", "tensor"]], [["module", "number"]], [["buffer", "number"]]
        pairs = pairs[case - 3]
    steps = [[name, kind, number(g)] for name, kinds in zip(names, pairs, strict=False) for kind in kinds]
    return {"steps": steps, "ready": case not in (2, 3, 4)}


@mini.oracle
def _(steps, ready):
    m = nn.Module() if ready else nn.Module.__new__(nn.Module)

    def child(n):
        made = nn.Module()
        vars(made)["number"] = n
        return made

    make = {
        "parameter": lambda n: nn.Parameter(torch.full((2,), n)),
        "module": child,
        "number": lambda n: n,
        "tensor": lambda n: torch.full((2,), n),
        "leaf": lambda n: torch.full((2,), n, requires_grad=True),
        "none": lambda n: None,
    }
    for name, kind, n in steps:
        try:
            m.register_buffer(name, make["tensor"](n)) if kind == "buffer" else setattr(m, name, make[kind](n))
        except (TypeError, AttributeError):
            return {}

    def seen(value):
        return (
            value.tolist()
            if torch.is_tensor(value)
            else vars(value)["number"]
            if isinstance(value, nn.Module)
            else value
        )

    kept = {place: [[name, seen(value)] for name, value in vars(m).get(place, {}).items()] for place in PLACES}
    return {
        **kept,
        "read_back": {name: seen(getattr(m, name, "nothing")) for name, _, _ in steps},
        "ordinary": sorted({name for name, _, _ in steps} & set(vars(m))),
    }


@mini.wrong(
    "`{function}` registers nothing: every value ends up as an ordinary attribute. An optimizer would see no parameter. Look at the type "
    "of the value before you store it."
)
@breaking(parameters=False, modules=False)
def mini_registers_nothing():
    pass


@mini.wrong(
    "`{function}` registers every tensor as a parameter. Only an `nn.Parameter` carries that label; a table of constants must not be "
    "trained."
)
@breaking(tensors=True)
def mini_takes_all_tensors():
    pass


@mini.wrong(
    "`{function}` registers a tensor that has `requires_grad`. That alone makes no parameter: ask for the type `nn.Parameter`."
)
@breaking(leaves=True)
def mini_takes_leaves():
    pass


@mini.wrong(
    "`{function}` registers parameters and no modules. A layer in an attribute would be lost with all that it holds."
)
@breaking(modules=False)
def mini_ignores_modules():
    pass


@mini.wrong("`{function}` registers modules and no parameters of its own.")
@breaking(parameters=False)
def mini_ignores_parameters():
    pass


@mini.wrong(
    "An ordinary attribute stays in `vars(self)` when `{function}` registers a parameter or module under the same name. Python finds the "
    "old one first, and the registered one is hidden."
)
@breaking(hides=True)
def mini_keeps_ordinary():
    pass


@mini.wrong(
    "A name that changes its kind is registered twice by `{function}`: it stays in its old dictionary. Rule 1: a name has one place."
)
@breaking(leaves_old=True)
def mini_keeps_old_place():
    pass


@mini.wrong(
    "A registered buffer that gets a new tensor becomes an ordinary attribute in `{function}`. Rule 2: the name keeps its place."
)
@breaking(buffers=False)
def mini_loses_buffers():
    pass


@mini.wrong(
    "`None` for a registered name becomes an ordinary attribute in `{function}`. It should stand in the dictionary, in the name's place."
)
@breaking(none=False)
def mini_none_is_ordinary():
    pass


@mini.wrong(
    "All that `{function}` registers is right, but it lets a registered name take a value of a wrong kind. A plain tensor in a "
    "parameter's place would not be trained any more: raise TypeError."
)
@breaking(typed=False)
def mini_takes_anything():
    pass


@mini.wrong(
    "`{function}` stores a registered value a second time as an ordinary attribute. Who changes the dictionary later, as `to` and "
    "`load` do, leaves the other one behind."
)
@breaking(doubles=True)
def mini_stores_twice():
    pass


@mini.wrong(
    "`{function}` makes the dictionaries itself if they are missing. Then `__init__` makes them again, empty, and what was registered "
    "before is lost. Raise AttributeError instead."
)
@breaking(ready=False)
def mini_needs_no_init():
    pass


@mini.wrong(
    "`{function}` raises before `__init__` has run, also for ordinary values. Only parameters and modules need the dictionaries; ask for "
    "them with `vars(self).get(...)`."
)
class mini_needs_init_for_all(Mini):
    def __setattr__(self, name, value):
        self._parameters.get(name)
        put(self, name, value)


@mini.variant
class mini_by_cases(Mini):
    def __setattr__(self, name, value):
        kinds = {"_parameters": nn.Parameter, "_modules": Mini}
        places = [place for place in PLACES if place in self.__dict__]
        for place, kind in kinds.items():
            if isinstance(value, kind):
                if not places:
                    raise AttributeError("no dictionaries yet")
                for other in places:
                    if other != place:
                        getattr(self, other).pop(name, None)
                self.__dict__.pop(name, None)
                getattr(self, place).update({name: value})
                return
        for place in places:
            if name in getattr(self, place):
                if value is not None and not (place == "_buffers" and torch.is_tensor(value)):
                    raise TypeError(f"{name} cannot be a {type(value)}")
                getattr(self, place)[name] = value
                return
        self.__dict__[name] = value


@mini.variant
class mini_clears_first(Mini):
    def __setattr__(self, name, value):
        kind = 0 if isinstance(value, nn.Parameter) else 2 if isinstance(value, Mini) else None
        if kind is not None:
            mine = [self.__dict__, self._parameters, self._buffers, self._modules]
            for one in mine:
                one.pop(name, None)
            mine[kind + 1][name] = value
        elif name in self.__dict__.get("_buffers", ()) and (value is None or isinstance(value, torch.Tensor)):
            self._buffers[name] = value
        elif any(name in self.__dict__.get(place, ()) for place in PLACES):
            if value is not None:
                raise TypeError(name)
            (self._parameters if name in self._parameters else self._modules)[name] = None
        else:
            super(Mini, self).__setattr__(name, value)
