"""The key of u04-my-sequential."""

from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

seq = Key(
    "u04-my-sequential",
    hints=(
        "Under which names does `nn.Sequential` register its layers, and which dictionary holds them in order?",
        "`self.add_module(str(place), layer)` in `__init__`, after `super().__init__()`. A list of "
        "`self._modules.values()` gives `len`, items and slices; "
        "a slice of it goes into a new MySequential.",
        "A near-example, a container that adds its layers' results: `forward` starts with `total = 0` and does `total "
        "= total + layer(x)` for each layer "
        "in `self._modules.values()`.",
    ),
    cases=5,
    weights={"out": 2, "names": 2, "called": 2},
    tolerance={
        "out": SINGLE,
        **dict.fromkeys(("called", "names", "length", "parameters", "item", "in_a_for_loop", "slice"), EXACT),
    },
)


@seq.inputs
def _(g, case):
    weights = [normal(g, 3, 3) for _ in range(3)]  # square, so that layers in a wrong order still fit and give numbers
    order = [[1, 0, 3], [1, 0, 2, 0, 2, 3], [1, 2, 0, 2], [1, 0, 3], [1, 0, 2]][case]
    return {
        "weights": weights,
        "order": order,
        "x": normal(g, 2, 3),
        "index": [1, -2, -len(order), len(order), -len(order) - 1][case],
    }


@seq.oracle
def _(weights, order, x, index):
    layers = [nn.Tanh(), *(nn.Linear(w.shape[1], w.shape[0], bias=False).double() for w in weights)]
    for layer, w in zip(layers[1:], weights, strict=True):
        layer.weight.data = w.double()
    net = nn.Sequential(*(layers[place] for place in order))
    if not -len(order) <= index < len(order):
        return {}
    return {
        "out": net(x.double()).detach(),
        "called": order,
        "names": list(net.state_dict()),
        "length": len(order),
        "item": order[index],
        "parameters": sum(p.numel() for p in net.parameters()),
        "in_a_for_loop": order,
        "slice": ["MySequential", *nn.Sequential(*net[1:]).state_dict()],
    }


class Seq(nn.Module):
    """A sound container; wrong ones exchange a method."""

    def __init__(self, *layers):
        super().__init__()
        self.fill(layers)

    def fill(self, layers):
        for place, layer in enumerate(layers):
            self.add_module(str(place), layer)

    def forward(self, x):
        for layer in self.mine():
            x = layer(x)
        return x

    def mine(self):
        return list(self._modules.values())

    def __len__(self):
        return len(self.mine())

    def __getitem__(self, index):
        layers = self.mine()
        return type(self)(*layers[index]) if isinstance(index, slice) else layers[index]


@seq.wrong(
    "The layers of `{function}` run, and are not registered: a plain list is an ordinary attribute. Its `state_dict` is empty."
)
class seq_list(Seq):
    def fill(self, layers):
        self.layers = list(layers)

    def mine(self):
        return self.layers


@seq.wrong(
    "`{function}` keeps its layers in a ModuleList, so that their names are `layers.0.weight`. A file of "
    "`nn.Sequential` has `0.weight`: register the "
    "layers in the container itself."
)
class seq_module_list(Seq):
    def fill(self, layers):
        self.layers = nn.ModuleList(layers)

    def mine(self):
        return list(self.layers)


@seq.wrong("`{function}` calls `layer.forward(x)`. The numbers are right and no hook runs: call the layer.")
class seq_calls_forward(Seq):
    def forward(self, x):
        for layer in self.mine():
            x = layer.forward(x)
        return x


@seq.wrong("`{function}` gives the original input to every layer. Each layer takes what the one before returned.")
class seq_same_input(Seq):
    def forward(self, x):
        return [layer(x) for layer in self.mine()][-1]


@seq.wrong("`{function}` leaves the last layer out.")
class seq_drops_last(Seq):
    def forward(self, x):
        for layer in self.mine()[:-1]:
            x = layer(x)
        return x


@seq.wrong(
    "`{function}` registers its layers under names that begin with a word, such as `layer0`. Its files would not fit `nn.Sequential`."
)
class seq_names_with_word(Seq):
    def fill(self, layers):
        for place, layer in enumerate(layers):
            self.add_module(f"layer{place}", layer)


@seq.wrong("`{function}` counts its layers from 1.")
class seq_from_one(Seq):
    def fill(self, layers):
        for place, layer in enumerate(layers, 1):
            self.add_module(str(place), layer)


@seq.wrong(
    "`{function}` registers layers under the name of their type: of two layers of one type, only the second is left."
)
class seq_by_type(Seq):
    def fill(self, layers):
        for layer in layers:
            self.add_module(type(layer).__name__, layer)


@seq.wrong("A layer that comes twice is run once by `{function}`. The same module may have several places.")
class seq_unique(Seq):
    def mine(self):
        return list(self.children())


@seq.wrong("A slice of `{function}` is a plain list. It should be a MySequential of these layers.")
class seq_slice_is_list(Seq):
    def __getitem__(self, index):
        return self.mine()[index]


@seq.wrong(
    "`{function}` looks an item up by its name, `str(index)`: a negative index has no such name. Make a list of the layers and index that."
)
class seq_item_by_name(Seq):
    def __getitem__(self, index):
        return type(self)(*self.mine()[index]) if isinstance(index, slice) else self._modules[str(index)]


@seq.wrong(
    "All is right but an index beyond the end: `{function}` begins again at the front. A `for` loop over it would "
    "never end. Let the list raise "
    "its IndexError."
)
class seq_wraps_around(Seq):
    def __getitem__(self, index):
        layers = self.mine()
        return type(self)(*layers[index]) if isinstance(index, slice) else layers[index % len(layers)]

    def __iter__(self):
        return iter(self.mine())


@seq.wrong("`{function}` does not call `super().__init__()` before it registers.")
class seq_no_super(Seq):
    def __init__(self, *layers):
        self.fill(layers)


@seq.wrong("`{function}` runs its layers from the last to the first.")
class seq_reversed(Seq):
    def forward(self, x):
        for layer in reversed(self.mine()):
            x = layer(x)
        return x


@seq.variant
class seq_by_setattr(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        for place in range(len(layers)):
            setattr(self, f"{place}", layers[place])
        self.count = len(layers)

    def forward(self, x):
        for place in range(self.count):
            x = getattr(self, str(place))(x)
        return x

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(getattr(self, str(place)) for place in range(self.count))

    def __getitem__(self, index):
        return list(self)[index] if isinstance(index, int) else type(self)(*list(self)[index])


@seq.variant
class seq_by_range(nn.Module):
    def __init__(self, *layers):
        nn.Module.__init__(self)
        self._modules = {str(place): layer for place, layer in enumerate(layers)}

    def forward(self, x):
        result = x
        for name in self._modules:
            result = self._modules[name](result)
        return result

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.__class__(*(self[place] for place in range(*index.indices(len(self)))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._modules[str(place)]
