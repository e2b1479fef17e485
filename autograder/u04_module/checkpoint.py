"""The key of u04-checkpoint."""

import collections

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, normal, real, shuffled
from .checkpoint_answers import Sound, flat

checkpoint = Key(
    "u04-checkpoint",
    hints=(
        "Which three questions does `load` have to ask about names and shapes before it copies the first number?",
        "`tensors` is the walk of section 2 with `(*module._parameters.items(), *module._buffers.items())` and without "
        "`seen`. `save` makes a dict of "
        "`t.detach().clone()`. `load` compares the keys of two dicts, then all shapes, then copies under `torch.no_grad()`.",
        "A near-example for one tensor: `if new.shape != t.shape: raise ValueError(...)`, and then `with torch.no_grad(): t.copy_(new)`.",
    ),
    cases=7,
    guards=("state_after", "after_refused_states"),
    weights={"names": 2, "saved": 3, "loaded": 3, "in_the_module": 1, "(refuses wrong input)": 2},
    tolerance=EXACT,
)


@checkpoint.inputs
def _(g, case):
    w, b, s = shuffled(g, ["weight", "bias", "scale"])
    values = [normal(g, 2, 3), normal(g, 3), normal(g, 2), normal(g, 3)]
    buffers = [normal(g, 3), torch.randint(0, 99, (), generator=g), normal(g, 2)]
    head = shuffled(g, ["head", "tail", "0"])[0]
    boxes = [
        {"parameters": {w: 0, b: None}, "buffers": {"mean": 0}, "modules": {"body": 1, head: 2, "off": None}},
        {"parameters": {s: 1}, "buffers": {"count": 1, "cache": 2}, "modules": {"inner": 3}, "temporary": ["cache"]},
        {"parameters": {b: 2, s: 1}, "buffers": {"none": None}},
        {"parameters": {w: 3}},
    ]
    root = real(boxes, [nn.Parameter(t) for t in values], buffers)[0]
    numbers = {}
    state = {}
    for name, t in root.state_dict(keep_vars=True).items():
        fresh = torch.randint(100, 199, (), generator=g) if t.dtype == torch.int64 else normal(g, *t.shape)
        state[name] = numbers.setdefault(id(t), fresh).clone()
    state = {name: state[name] for name in shuffled(g, list(state))}
    narrow = f"body.inner.{w}"
    if case == 4:
        del state[narrow]
        narrow = f"{head}.{b}"
    elif case == 5:
        state[f"body.{b}2"] = normal(g, 3)
    elif case == 6:
        state[narrow] = state[narrow][:1]
    return {
        "boxes": boxes,
        "values": values,
        "buffers": buffers,
        "state": state,
        "narrow": narrow,
        "part": "save" if case < 2 else "load",
    }


@checkpoint.oracle
def _(boxes, values, buffers, state, narrow, part):
    pool = [nn.Parameter(t.clone()) for t in values]
    tree = real(boxes, pool, buffers)
    root = tree[0]
    own = root.state_dict()
    if own.keys() != state.keys() or any(own[name].shape != t.shape for name, t in state.items()):
        return {}
    if part == "save":
        return {
            "names": list(own),
            "shapes": [list(t.shape) for t in own.values()],
            "saved": flat(own.values()).clone(),
            "names_of_a_module": list(root._modules["body"].state_dict()),
        }
    refused = flat((*pool, *buffers)).detach().clone()
    root.load_state_dict(state)
    within = [t for box in tree for t in (*box._parameters.values(), *box._buffers.values())]
    return {
        "after_refused_states": refused,
        "loaded": flat((*pool, *buffers)).detach(),
        "in_the_module": flat(within).detach(),
        "state_after": flat(state.values()),
    }


@checkpoint.wrong(
    "`save` of `{function}` keeps the live tensors: what you saved follows the training. Copy the numbers."
)
class checkpoint_aliases(Sound):
    clones = False


@checkpoint.wrong(
    "What `save` of `{function}` returns still hangs on the graph: it needs a gradient. Detach before you copy."
)
class checkpoint_keeps_graph(Sound):
    detaches = False


@checkpoint.wrong("`{function}` leaves buffers out. A running mean is part of the model.")
class checkpoint_no_buffers(Sound):
    buffers = False


@checkpoint.wrong(
    "`{function}` saves buffers that were registered as not persistent. Their names stand in `_non_persistent_buffers_set`."
)
class checkpoint_temporary_too(Sound):
    temporary = True


@checkpoint.wrong(
    "`{function}` gives a shared tensor under its first name only. A file should fit a model in which the two are "
    "separate: give each name."
)
class checkpoint_shared_once(Sound):
    shared = False


@checkpoint.wrong(
    "`{function}` gives the last part of each name only. Two layers then have one entry, and the later overwrites the earlier."
)
class checkpoint_no_path(Sound):
    path = False


@checkpoint.wrong(
    "`load` of `{function}` accepts a state in which a name is missing. That tensor silently stays as it was."
)
class checkpoint_accepts_missing(Sound):
    missing = False


@checkpoint.wrong(
    "`load` of `{function}` accepts a state with a name that the model does not have. It probably belongs to another model."
)
class checkpoint_accepts_unknown(Sound):
    unknown = False


@checkpoint.wrong(
    "`load` of `{function}` does not compare shapes: a tensor of shape (1,) is broadcast into a larger one without complaint."
)
class checkpoint_broadcasts(Sound):
    shapes = False


@checkpoint.wrong(
    "`load` of `{function}` refuses what does not fit, but it has copied something by then. Look at all names and shapes first."
)
class checkpoint_copies_first(Sound):
    first = False


@checkpoint.wrong("`load` of `{function}` goes by order, not by name: the entries of a state may come in any order.")
class checkpoint_by_order(Sound):
    @classmethod
    def copy(cls, own, state, module):
        with torch.no_grad():
            for t, new in zip(own.values(), state.values(), strict=True):
                if t.shape == new.shape:
                    t.copy_(new)


@checkpoint.wrong(
    "`load` of `{function}` writes into a parameter that needs a gradient while autograd records. Copy under `torch.no_grad()`."
)
class checkpoint_records(Sound):
    @classmethod
    def copy(cls, own, state, module):
        for name, t in own.items():
            t.copy_(state[name])


@checkpoint.wrong(
    "`load` of `{function}` lets the model use the state's own memory (`t.data = ...`): the next training step "
    "changes the state. Copy the "
    "numbers."
)
class checkpoint_shares_state(Sound):
    @classmethod
    def copy(cls, own, state, module):
        for name, t in own.items():
            t.data = state[name]


@checkpoint.wrong(
    "`load` of `{function}` puts new tensors into the module. Who holds the old ones, such as an optimizer, does "
    "not see the change: copy "
    "into the tensors that are there."
)
class checkpoint_replaces(Sound):
    @classmethod
    def copy(cls, own, state, module):
        cls.exchange(module, state, "")

    @classmethod
    def exchange(cls, module, state, prefix):
        for kind, make in ((module._parameters, nn.Parameter), (module._buffers, torch.clone)):
            kind.update(
                {
                    name: make(state[prefix + name])
                    for name, t in kind.items()
                    if t is not None and prefix + name in state
                }
            )
        for name, child in module._modules.items():
            if child is not None:
                cls.exchange(child, state, f"{prefix}{name}.")


@checkpoint.wrong("`load` of `{function}` changes nothing. Do the numbers reach the module's tensors?")
class checkpoint_loads_nothing(Sound):
    @classmethod
    def copy(cls, own, state, module):
        pass


@checkpoint.variant
class checkpoint_in_parts(Sound):
    @classmethod
    def save(cls, module):
        return collections.OrderedDict(
            (name, torch.empty_like(t, requires_grad=False).copy_(t.detach())) for name, t in cls.tensors(module)
        )


@checkpoint.variant
class checkpoint_by_lists:
    @staticmethod
    def tensors(module, prefix=""):
        found = [(prefix + name, t) for name, t in module._parameters.items() if t is not None]
        for name, t in module._buffers.items():
            if t is not None and name not in module._non_persistent_buffers_set:
                found.append((prefix + name, t))
        for name, child in module._modules.items():
            found += checkpoint_by_lists.tensors(child, prefix + name + ".") if child is not None else []
        return found

    @staticmethod
    def save(module):
        with torch.no_grad():
            return {name: t * 1 for name, t in checkpoint_by_lists.tensors(module)}

    @staticmethod
    def load(module, state):
        left, pairs = dict(state), []
        for name, t in checkpoint_by_lists.tensors(module):
            new = left.pop(name)
            if list(new.shape) != list(t.shape):
                raise ValueError(name)
            pairs.append((t, new))
        if left:
            raise KeyError(*left)
        for t, new in pairs:
            t.data[...] = new
