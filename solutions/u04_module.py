# %% [markdown]
# # nn.Module
#
# So far a network was a function, and its weights were loose tensors that you passed around. That works for two
# weights. It does not work for two hundred: each must be updated, saved, moved to another device, and none may
# be forgotten. `nn.Module` is PyTorch's answer, and it is less magic than it seems: three dictionaries, and one
# method that fills them. In this unit you write that method, then the walks over what it has filled, and then you
# use the real thing.
#
# At the end you will be able to
#
# - say what happens at `self.layer = nn.Linear(3, 2)`, and what goes wrong without `super().__init__()`;
# - find out which tensors an optimizer sees, and recognise the four usual ways to hide one from it;
# - write networks with containers, shared layers, and Python control flow;
# - tell parameters, buffers and plain attributes apart, and training from evaluation mode;
# - save and restore a model, and look inside a running one with hooks;
# - build a LeNet and a small ResNet, and say why the second can be deep.
#
# You need the training loop of unit 2 and classes in Python. Plan about three hours. There are eight exercises and
# two bug hunts, 50 points in all.

# %% tags=["parameters"]
seed = 0          # every random number below follows from it
device = "cpu"    # or "cuda"
fast = True       # this unit is quick enough to ignore it

# %% tags=["setup"]
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.checks import check, expect_error, hint, progress

# %% [markdown]
# ## Before you start: three predictions
#
# One question on unit 3 and two on unit 1. Write your answers down, then run the cell.
#
# 1. `Double.forward` takes `x` and a number `s`. Its `backward` returns one gradient. The forward pass runs. What
#    does the backward pass do?
# 2. `x` is (5, 4), `w` is (4, 3), `b` is (3,), and the upstream gradient of `x @ w + b` is all ones, (5, 3). What
#    is the shape of the gradient of `b`, and what is each entry?
# 3. The two-layer network of unit 1 maps 1000 numbers to 10, over 100 hidden units, with no biases. How many weights
#    does it have? How many would the biases add?

# %%
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s):
        return 2 * x

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output

y = Double.apply(torch.ones(3, requires_grad=True), 5)
with expect_error(RuntimeError):
    y.sum().backward()

# %%
b = torch.zeros(3, requires_grad=True)
(torch.ones(5, 4) @ torch.ones(4, 3) + b).sum().backward()
print("2.", tuple(b.grad.shape), b.grad.tolist())
print("3.", 1000 * 100 + 100 * 10, "and", 100 + 10)

# %% [markdown]
# 1. It raises, `{shown expected 2, got 1}`: one gradient for each *input of forward*, and `s` is an input. `None` belongs
#    in its place.
# 2. Shape {shown (3,)}, each entry {shown 5}: `b` was copied to 5 rows, so 5 gradients come back and are added.
# 3. {shown 101 000}, and {shown 110} more. Keep the sum, **101 110**. It will turn up again where it should not.

# %% [markdown]
# ## 1. How a module knows what it has
#
# ### 1.1 The problem
#
# Here is unit 2's training step once more. The weights' names stand in four places, and a forgotten one fails
# silently: a weight that is missing in the update line stays what it was, and the loss falls all the same.

# %%
g = torch.Generator().manual_seed(seed)
x, y = torch.randn(8, 4, generator=g), torch.randn(8, 2, generator=g)
w1, w2 = (torch.randn(shape, generator=g).requires_grad_() for shape in ((4, 5), (5, 2)))
loss = (((x @ w1).relu() @ w2 - y) ** 2).sum()
loss.backward()
with torch.no_grad():
    for w in (w1, w2):                             # add a layer, and remember to add it here
        w -= 0.01 * w.grad
        w.grad = None

# %% [markdown]
# What we want is an object that *collects* its weights while it is built, so that "all of them" is a thing that one
# can ask for. In PyTorch it looks like this. **Predict** what the loop prints, and where the two layers' weights
# come from: nobody told the class that it has any.

# %%
class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.hidden(x).relu())

for name, p in Small().named_parameters():
    print(f"{name:14} {tuple(p.shape)}")

# %% [markdown]
# Four parameters, by the names of the attributes that hold them, in the order in which they were assigned. The
# assignments did it.
#
# ### 1.2 An assignment is a call
#
# In Python, `m.name = value` calls `type(m).__setattr__(m, "name", value)`. A class that defines this method is
# told of every assignment, and may do with it what it likes. The method that all objects have,
# `object.__setattr__`, puts the value into the object's own dictionary, `vars(m)`.
#
# Reading is not symmetric: `m.name` first looks into `vars(m)` and the class, and **only if both have failed** does
# Python call `__getattr__`. **Predict** the printed lines.

# %%
class Loud:
    def __setattr__(self, name, value):
        print("assigned:", name)
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        return f"no {name} here"

loud = Loud()
loud.x = 3
print(loud.x, "|", loud.y, "|", vars(loud))

# %% [markdown]
# `nn.Module` uses both. Its `__init__` makes three dictionaries:
#
# | dictionary | holds | example |
# |---|---|---|
# | `_parameters` | what training changes | a weight, of type `nn.Parameter` |
# | `_buffers` | tensors that belong to the model and are not trained | a running mean |
# | `_modules` | the modules that it is made of | a layer |
#
# Its `__setattr__` looks at the **type** of the value. An `nn.Parameter`, which is a tensor with a label on it, goes
# into the first, a module into the last. A tensor has no such label, and the method leaves it alone: buffers are
# registered by a call, `register_buffer(name, tensor)`. Everything else, numbers, strings, lists, is an ordinary
# attribute. `__getattr__` finds what lies in the dictionaries. So each layer is in one place only, and `vars(m)` does
# not hold it.

# %%
small = Small()
small.note, small.table = "any text", torch.zeros(3)
print([name for name in vars(small) if not name.startswith("_")])
print(list(small._modules), list(small._parameters), list(small.hidden._parameters))

# %% [markdown]
# ### 1.3 Yours
#
# Now write `__setattr__` for a module of your own. `MiniModule` has everything else. The rules, which are
# `nn.Module`'s:
#
# 1. An `nn.Parameter` goes into `_parameters`, a `MiniModule` into `_modules`. If the name stood somewhere else before,
#    as an ordinary attribute or in another of the three dictionaries, it goes away there. A name has one place.
# 2. A name that **is** registered keeps its place for `None`, which switches it off, as `self.bias = None` does. A
#    registered *buffer* also takes any tensor. For everything else a registered name raises `TypeError`: to
#    assign a plain tensor to a parameter's name is a mistake, since the tensor would not be trained.
# 3. All other values are ordinary attributes.
# 4. A parameter or module that comes before `__init__` has run raises `AttributeError`. There is no dictionary yet to
#    put it in. Ordinary attributes work even then.
#
# Inside `__setattr__` write `object.__setattr__(self, name, value)` for an ordinary attribute: `self.name = value`
# would call your method again, and again. `vars(self)` is the dictionary of ordinary attributes. The three others are
# in it, under their names.
#
# {exercise u04-mini-module}

# %%
class MiniModule:
    """A small nn.Module: it notices parameters and modules that are assigned to its attributes."""

    def __init__(self):
        for place in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, place, {})

    def register_buffer(self, name, tensor):
        """Note a tensor that belongs to the model and is not trained."""
        self._buffers[name] = tensor

    def __getattr__(self, name):                   # called only if the ordinary search finds nothing
        for place in ("_parameters", "_buffers", "_modules"):
            if name in vars(self).get(place, {}):
                return vars(self)[place][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    def __setattr__(self, name, value):
        """Put a value where it belongs.

        Args: name: str. value: anything.
        Raises: TypeError: if the name is registered and cannot take this value.
            AttributeError: for a parameter or module before __init__ has run.
        """
        ### BEGIN SOLUTION
        own = vars(self)
        held = next((place for place in ("_parameters", "_buffers", "_modules") if name in own.get(place, {})), None)
        if isinstance(value, nn.Parameter):
            place = "_parameters"
        elif isinstance(value, MiniModule):
            place = "_modules"
        elif held is None:
            object.__setattr__(self, name, value)
            return
        elif value is None or (held == "_buffers" and isinstance(value, torch.Tensor)):
            place = held
        else:
            raise TypeError(f"{name} is registered in {held}; it cannot take a {type(value).__name__}")
        if place not in own:
            raise AttributeError(f"cannot assign {name}: call super().__init__() first")
        if held != place:
            own.pop(name, None)                    # an ordinary attribute would hide the registered one
            own.get(held, {}).pop(name, None)
        own[place][name] = value
        ### END SOLUTION

# %%
@check("u04-mini-module")
def observe(steps, ready):
    m = MiniModule() if ready else MiniModule.__new__(MiniModule)      # __new__ makes one without __init__
    def child(number):
        made = MiniModule()
        vars(made)["number"] = number
        return made
    make = {"parameter": lambda n: nn.Parameter(torch.full((2,), n, device=device)), "module": child, "number": lambda n: n,
            "tensor": lambda n: torch.full((2,), n, device=device), "none": lambda n: None,
            "leaf": lambda n: torch.full((2,), n, device=device, requires_grad=True)}
    for name, kind, n in steps:
        m.register_buffer(name, make["tensor"](n)) if kind == "buffer" else setattr(m, name, make[kind](n))
    def seen(value):
        return value.tolist() if torch.is_tensor(value) else vars(value)["number"] if isinstance(value, MiniModule) else value
    places = ("_parameters", "_buffers", "_modules")
    return {**{place: [[name, seen(value)] for name, value in vars(m).get(place, {}).items()] for place in places},
            "ordinary": sorted(set(vars(m)) - set(places)),
            "read_back": {name: seen(getattr(m, name, "nothing")) for name, _, _ in steps}}

# %% [markdown]
# ### 1.4 Without `super().__init__()`
#
# `super().__init__()` makes the dictionaries. Forget it, and the first thing that needs them fails. Which thing that
# is depends on what the class does, so the same mistake has several faces. **Predict** which of the two classes below
# fails while it is *built*.

# %%
class NoSuperLayer(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)

class NoSuperTensor(nn.Module):
    def __init__(self):
        self.table = torch.zeros(2)

    def forward(self, x):
        return x + self.table

# %%
with expect_error(AttributeError):
    NoSuperLayer()
plain = NoSuperTensor()                            # no complaint: a tensor is an ordinary attribute
with expect_error(AttributeError):
    list(plain.parameters())
with expect_error(AttributeError):
    plain(torch.ones(2))

# %% [markdown]
# Only the first says what is wrong. The second object was built without complaint; its first use fails at `_parameters`
# or at `_backward_hooks`, attributes of which the author of the class has never heard. If an error names an attribute
# with an underscore that you did not write, look for `super().__init__()`.
#
# In old code you find `super(Net, self).__init__()`, which is the same with the class named twice. Copy such a line to
# another class, forget to change the name, and it fails with another message:

# %%
class Copied(nn.Module):
    def __init__(self):
        super(Small, self).__init__()              # came along from the class above

with expect_error(TypeError):
    Copied()

# %% [markdown]
# ## 2. Walking the tree
#
# ### 2.1 Names
#
# Modules hold modules, which hold parameters: a **tree**. A parameter's full name is its path, `encoder.0.weight`: the
# attribute names from the root, joined by dots. Everything that a model does to "all its parameters" is a walk over that
# tree: `parameters()`, `to(device)`, `state_dict()`, `zero_grad()`, `train()`.
#
# Write the walk. A node is anything with the three dictionaries. For the check it is a `Box`, which has nothing *but*
# them, so that nobody's walk is borrowed. Your function works on `nn.Module` as well.

# %% tags=["setup"]
class Box:
    """What is inside a module: its dictionaries and its mode, and none of its methods."""

    def __init__(self):
        self._parameters, self._buffers, self._modules = {}, {}, {}
        self._non_persistent_buffers_set = set()   # names of buffers that are not saved
        self.training = True

class NormBox(Box):
    """A box of a type of its own, as batch normalisation is a module of a type of its own."""

# %% tags=["setup"]
def build_tree(boxes, parameters, buffers=()):
    """Make boxes from plain data; a number stands for a place in a list, and the same number is the same object."""
    tree = [NormBox() if data.get("norm") else Box() for data in boxes]
    for box, data in zip(tree, boxes, strict=True):
        kinds = (("parameters", parameters), ("buffers", buffers), ("modules", tree))
        for kind, things in kinds:
            for name, place in data.get(kind, {}).items():
                getattr(box, f"_{kind}")[name] = None if place is None else things[place]
        box._non_persistent_buffers_set.update(data.get("temporary", []))
    return tree

# %%
plan = [{"parameters": {"scale": 0}, "modules": {"left": 1, "right": 1}}, {"parameters": {"w": 1, "b": None}}]
root = build_tree(plan, [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(2, 3))])[0]
print(list(root._parameters), list(root._modules), root._modules["left"] is root._modules["right"])

# %% [markdown]
# `left` and `right` are one and the same box, as two branches of a network may share one layer. Its parameter must come
# **once**, under the first of its names. An optimizer that got it twice would update it twice. What counts is the
# object, not its numbers: two layers that happen to hold equal weights are two.
#
# The order is a node's own parameters first, then its modules, each with all that it holds. Entries that are `None` are
# skipped. And beware of a default argument such as `seen=set()`: Python makes it once, when the function is defined,
# and all calls share it.
#
# {exercise u04-named-parameters}

# %%
def named_parameters(module, prefix="", seen=None):
    """Walk a tree of modules and give each parameter once, with its full name.

    Args: module: has the dictionaries _parameters and _modules; an entry may be None. prefix: if not empty, it is put
        before each name, with a dot between. seen: for your own use; callers do not give it.
    Returns: an iterator or list of pairs (name, parameter).
    """
    ### BEGIN SOLUTION
    seen = set() if seen is None else seen
    before = f"{prefix}." if prefix else ""
    for name, p in module._parameters.items():
        if p is not None and id(p) not in seen:
            seen.add(id(p))
            yield before + name, p
    for name, child in module._modules.items():
        if child is not None:
            yield from named_parameters(child, before + name, seen)
    ### END SOLUTION

# %%
@check("u04-named-parameters")
def observe(boxes, values, frozen, prefix):
    pool = [nn.Parameter(t, requires_grad=place not in frozen) for place, t in enumerate(values)]
    root = build_tree(boxes, pool, [t.clone() for t in values])[0]
    def places(pairs):                             # by identity: which of the parameters is it?
        return [next((i for i, q in enumerate(pool) if q is p), -1) for _, p in pairs]
    found = list(named_parameters(root))
    again = list(named_parameters(root, prefix))
    return {"names": [name for name, _ in found], "places": places(found),
            "names_with_prefix": [name for name, _ in again], "places_with_prefix": places(again)}

# %% [markdown]
# ### 2.2 Four ways to hide a parameter
#
# Here is the tree of a real network, in colours of what the optimizer sees. A hatched row is a tensor that the model
# uses and the optimizer does not know.

# %%
from coursekit.viz.module_tree import module_tree
from coursekit.viz.show import show, step_through

class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.middle = [nn.Linear(3, 3), nn.Linear(3, 3)]           # a list
        self.shift = torch.zeros(3, requires_grad=True)            # a tensor, not a Parameter
        self.register_buffer("mean", torch.zeros(3))

show(module_tree(Hidden()))

# %% [markdown]
# Two of the four ways are in the picture. **A plain list** is not a module, so `__setattr__` makes it an ordinary
# attribute and never looks inside. **A tensor** with `requires_grad` gets a gradient and has no label. The third is a
# layer that is **built in `forward`**: it is new, with new random weights, in each call. The fourth looks like a list
# and is worse: **`[layer] * 3`** holds one layer three times. **Predict**, for a container of three `nn.Linear(4, 4)`
# made that way: how many parameters, and how many names in the `state_dict`?

# %%
def layer():
    return nn.Linear(4, 4)                         # 16 weights and 4 biases

for kind, layers in (("three layers", [layer(), layer(), layer()]), ("[layer] * 3", [layer()] * 3)):
    net = nn.Sequential(*layers)
    print(f"{kind:13} {sum(p.numel() for p in net.parameters()):3} parameters, {len(net.state_dict())} names")

# %% [markdown]
# {shown 20 parameters} for {shown 60}, while the `state_dict` lists {shown 6 names} in both: `parameters()` gives a shared one once, and
# `state_dict()` gives every name. So a file on disk looks complete. Sharing is a fine tool if you mean it (section 3.4);
# the star is how one gets it by accident.
#
# And the layer in `forward`. **Predict** whether the two calls on the same input agree.

# %%
class Forgetful(nn.Module):
    def forward(self, x):
        return nn.Linear(4, 2).to(x.device)(x)     # a new layer each time

torch.manual_seed(seed)
net = Forgetful()
print(net(torch.ones(4)).tolist(), net(torch.ones(4)).tolist(), len(list(net.parameters())))

# %% [markdown]
# ### 2.3 Bug hunt: the missing thirty thousand
#
# `DeepNet(1000, 100, 10, 3)` has a first layer (1000 to 100), three middle layers (100 to 100) and a last one (100 to
# 10). By hand that is $100\,100 + 3 \cdot 10\,100 + 1\,010 = 131\,410$ parameters. It trains, its loss falls, nothing
# raises. But
#
# ```text
# sum(p.numel() for p in net.parameters())  ->  101110
# ```
#
# 30 300 are missing. Find out which, and why the network runs with them all the same. Mend the class; `forward` is sound.
#
# {exercise u04-hunt-list}

# %%
class DeepNet(nn.Module):
    """relu(first), then `depth` times relu(middle), then last: D_in -> H -> ... -> H -> D_out."""

    def __init__(self, D_in, H, D_out, depth):
        super().__init__()
        ### BEGIN SOLUTION
        self.first = nn.Linear(D_in, H)
        self.middle = nn.ModuleList(nn.Linear(H, H) for _ in range(depth))
        self.last = nn.Linear(H, D_out)
        ### RELEASE SHOWS
        # self.first = nn.Linear(D_in, H)
        # self.middle = [nn.Linear(H, H) for _ in range(depth)]
        # self.last = nn.Linear(H, D_out)
        ### END SOLUTION

    def forward(self, x):
        h = self.first(x).relu()
        for layer in self.middle:
            h = layer(h).relu()
        return self.last(h)

# %%
@check("u04-hunt-list")
def observe(weights, biases, x, lr):
    torch.manual_seed(0)                           # all numbers are set below
    net = DeepNet(weights[0].shape[1], weights[0].shape[0], weights[-1].shape[0], len(weights) - 2)
    with torch.no_grad():
        for layer, w, b in zip((net.first, net.last, *net.middle), [weights[place] for place in (0, -1, *range(1, len(weights) - 1))],
                               [biases[place] for place in (0, -1, *range(1, len(weights) - 1))], strict=False):
            if layer.weight.shape == w.shape:
                layer.weight.copy_(w)
                layer.bias.copy_(b)
    net.to(device)
    out = net(x)
    out.pow(2).sum().backward()
    torch.optim.SGD(net.parameters(), lr=lr).step()
    return {"parameters": sum(p.numel() for p in net.parameters()), "out": out.detach(), "out_after_one_step": net(x).detach(),
            "saved_sums": sorted(t.sum().item() for t in net.state_dict().values())}

# %%
net = DeepNet(1000, 100, 10, 3)
print(sum(p.numel() for p in net.parameters()))

# %% [markdown]
# The middle layers *compute*, as their weights exist. They are random, and stay so: nobody updates them, saves them, or
# moves them to a GPU. The last point is where the bug shows most often, with an error about two devices. On a CPU it
# never does. Print the number of parameters of each network that you write, and work it out by hand once.
#
# The cure is a container that *is* a module. Next you build one.

# %% [markdown]
# ## 3. Composing
#
# ### 3.1 Containers
#
# `nn.ModuleList` is a list that registers what it holds, under the names `0`, `1`, `2`. `nn.ModuleDict` is the same for
# a dict. Neither has a `forward`: they hold, you call. `nn.Sequential` also has a `forward`, which calls one after the
# other.
#
# ### 3.2 A call is more than forward
#
# You write `forward` and never call it. `net(x)` runs `nn.Module.__call__`, which runs the **hooks** that somebody has
# attached, and `forward` between them. A hook is a function that a module calls before or after its work: section 6 uses
# them to look into a running network. `net.forward(x)` computes the same numbers and skips all of them, without a word.

# %%
net = nn.Linear(4, 2)
net.register_forward_hook(lambda module, args, output: print("hook saw", tuple(output.shape)))
x = torch.ones(3, 4)
out = net(x)
same = net.forward(x)
print(torch.equal(out, same))

# %% [markdown]
# One line from the hook, for two forward passes. Now `MySequential`. Its layers are called, not their `forward`. It
# registers them as `nn.Sequential` does, so that either can load the other's file. And it behaves like a list:
# `len(net)`, `net[0]`, `net[-1]`, an `IndexError` beyond the end (this is what ends a `for` loop over it), and a slice
# `net[1:]`, which is a `MySequential` again, of the same layers, counted from 0. (`nn.Sequential` keeps the old numbers
# in a slice.) `self.add_module(name, layer)` is the assignment for names that you compute.
#
# {exercise u04-my-sequential}

# %%
class MySequential(nn.Module):
    """Layers that are called one after the other, registered under the names "0", "1", "2" and so on."""

    def __init__(self, *layers):
        """Args: layers: modules, in order; the same one may come twice."""
        ### BEGIN SOLUTION
        super().__init__()
        for place, layer in enumerate(layers):
            self.add_module(str(place), layer)
        ### END SOLUTION

    def forward(self, x):
        """Args: x: what the first layer takes. Returns: what the last one returns."""
        ### BEGIN SOLUTION
        for layer in self._modules.values():
            x = layer(x)                           # not layer.forward(x), which skips hooks
        return x
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self._modules)
        ### END SOLUTION

    def __getitem__(self, index):
        """Args: index: int, negative counts from the end; or a slice. Returns: a layer; or a MySequential of layers."""
        ### BEGIN SOLUTION
        layers = list(self._modules.values())
        return MySequential(*layers[index]) if isinstance(index, slice) else layers[index]
        ### END SOLUTION

# %%
@check("u04-my-sequential")
def observe(weights, order, x, index):
    pool = [nn.Tanh(), *(nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights)]
    for layer, w in zip(pool[1:], weights, strict=True):
        layer.weight.data = w
    called = []
    for place, layer in enumerate(pool):
        layer.register_forward_hook(lambda *_, place=place: called.append(place))
    net = MySequential(*(pool[place] for place in order))
    out, rest = net(x), net[1:]
    seen = list(called)
    return {"out": out.detach(), "called": seen, "names": list(net.state_dict()), "length": len(net),
            "parameters": sum(p.numel() for p in net.parameters()), "item": pool.index(net[index]),
            "in_a_for_loop": [pool.index(layer) for layer in itertools.islice(net, 12)],
            "slice": [type(rest).__name__, *(list(rest.state_dict()) if isinstance(rest, nn.Module) else [])]}

# %% [markdown]
# ### 3.3 A network as a class
#
# A `Sequential` is a chain. As soon as data branches, or a layer takes two inputs, you write a class. The layers are
# made in `__init__`, once; `forward` says how they are used. Write unit 1's network, now with biases:
#
# $$\text{pred} = \text{linear2}(\max(\text{linear1}(x), 0)) .$$
#
# `nn.Linear(i, o)` computes $x W^\top + b$ with $W$ of shape $(o, i)$. So the 1000-100-10 network has a
# `linear1.weight` of shape (100, 1000), and 101 110 parameters.
#
# {exercise u04-two-layer-net}

# %%
class TwoLayerNet(nn.Module):
    """Two linear layers, linear1 and linear2, with a relu between them."""

    def __init__(self, D_in, H, D_out):
        """Args: D_in, H, D_out: sizes of the input, the hidden layer and the output."""
        ### BEGIN SOLUTION
        super().__init__()
        self.linear1 = nn.Linear(D_in, H)
        self.linear2 = nn.Linear(H, D_out)
        ### END SOLUTION

    def forward(self, x):
        """Args: x: (N, D_in) float. Returns: (N, D_out)."""
        ### BEGIN SOLUTION
        return self.linear2(self.linear1(x).clamp(min=0))
        ### END SOLUTION

# %%
@check("u04-two-layer-net")
def observe(sizes, values, x, upstream):
    torch.manual_seed(0)                           # all numbers are set below
    net = TwoLayerNet(*sizes).to(x.device)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name in values and p.shape == values[name].shape:
                p.copy_(values[name])
    called = []
    for child in net.children():
        child.register_forward_hook(lambda *_: called.append(1))
    out = net(x)
    (upstream * out).sum().backward()
    return {"shapes": {name: list(p.shape) for name, p in net.named_parameters()}, "layers_called": len(called),
            "out": out.detach(), "grads": {name: p.grad for name, p in net.named_parameters()}, "x_after": x}

# %% [markdown]
# ### 3.4 Control flow and shared weights
#
# `forward` is Python. Loops, conditions and recursion are allowed in it, and may depend on the data: autograd records
# what was really computed, each time anew (unit 2). So a network can use **the same layer several times**. What is its
# gradient then? Suppose that the layer is applied three times, and imagine three separate layers with equal weights
# $W_1 = W_2 = W_3 = W$. If $W$ changes by $dW$, each of the three changes by $dW$:
#
# $$dL = \langle \bar W_1, dW \rangle + \langle \bar W_2, dW \rangle + \langle \bar W_3, dW \rangle
# \quad\Longrightarrow\quad \bar W = \bar W_1 + \bar W_2 + \bar W_3 .$$
#
# **The gradient of a shared weight is the sum of the gradients that separate ones would get**: copies are summed, as ever
# since unit 1. Autograd does it by itself, since each use adds to `.grad`.
#
# `DynamicNet` has an input layer, a middle layer and an output layer, and runs the middle one $n$ times, with $n$ from
# 0 to 3 given in the call:
#
# $$h_0 = \max(\text{input}(x), 0), \qquad h_{k} = \max(\text{middle}(h_{k-1}), 0), \qquad \text{pred} = \text{output}(h_n) .$$
#
# Its number of parameters does not depend on $n$. **Predict** the gradient of the middle layer for $n = 0$.
#
# {exercise u04-dynamic-net}

# %%
class DynamicNet(nn.Module):
    """input_linear, then n times the one middle_linear, then output_linear, with a relu after all but the last."""

    def __init__(self, D_in, H, D_out):
        """Args: D_in, H, D_out: sizes of the input, the hidden layers and the output."""
        ### BEGIN SOLUTION
        super().__init__()
        self.input_linear = nn.Linear(D_in, H)
        self.middle_linear = nn.Linear(H, H)
        self.output_linear = nn.Linear(H, D_out)
        ### END SOLUTION

    def forward(self, x, n):
        """Args: x: (N, D_in) float. n: how often the middle layer is used, from 0 up. Returns: (N, D_out)."""
        ### BEGIN SOLUTION
        h = self.input_linear(x).clamp(min=0)
        for _ in range(n):
            h = self.middle_linear(h).clamp(min=0)
        return self.output_linear(h)
        ### END SOLUTION

# %%
@check("u04-dynamic-net")
def observe(sizes, values, x, n, upstream):
    torch.manual_seed(0)                           # all numbers are set below
    net = DynamicNet(*sizes).to(x.device)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name in values and p.shape == values[name].shape:
                p.copy_(values[name])
    out = net(x, n)
    (upstream * out).sum().backward()
    looked_at = ("input_linear.weight", "middle_linear.weight", "middle_linear.bias")
    return {"shapes": {name: list(p.shape) for name, p in net.named_parameters()}, "out": out.detach(), "x_after": x,
            "grads": {name: p.grad for name, p in net.named_parameters() if name in looked_at}}

# %% [markdown]
# For $n = 0$ the gradient is `None`, not zero: the layer was not in the graph. An optimizer skips such a parameter.
#
# With a number of layers that is drawn anew in each step, this net still trains. The demonstration has the same form, in
# few lines, so that it runs before yours does. **Predict** whether the loss falls although the network keeps changing.

# %%
import random

torch.manual_seed(seed)
random.seed(seed)
layers = nn.ModuleDict({"input": nn.Linear(1000, 100), "middle": nn.Linear(100, 100), "output": nn.Linear(100, 10)})
x, y = torch.randn(64, 1000), torch.randn(64, 10)
optimizer = torch.optim.SGD(layers.parameters(), lr=1e-4, momentum=0.9)
criterion = nn.MSELoss(reduction="sum")

# %%
for step in range(500):
    h = layers["input"](x).relu()
    for _ in range(random.randint(0, 3)):
        h = layers["middle"](h).relu()
    loss = criterion(layers["output"](h), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step in (0, 100, 499):
        print(f"step {step:3}   loss {loss.item():.3g}")

# %% [markdown]
# ## 4. The rest of the loop
#
# ### 4.1 Losses are modules
#
# The cell above used `nn.MSELoss`. A loss is a module without parameters: it is made once, with its options, and called
# with predictions and targets. These three are the common ones.
#
# | module | one entry's loss | predictions, targets |
# |---|---|---|
# | `nn.L1Loss` | $\lvert p - y \rvert$ | equal shapes |
# | `nn.MSELoss` | $(p - y)^2$ | equal shapes |
# | `nn.CrossEntropyLoss` | $-\log \operatorname{softmax}(p)_y$ | scores $(N, K)$, class numbers $(N,)$ of type `int64` |
#
# `reduction` says how the entries become one number: `"mean"` (the default), `"sum"`, or `"none"`. **Predict** the six
# numbers for errors of 1, 2 and 3, first mean, then sum; and the cross-entropy of ten equal scores.

# %%
pred, y = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3)
for loss in (nn.L1Loss, nn.MSELoss):
    print(loss.__name__, round(loss()(pred, y).item(), 4), loss(reduction="sum")(pred, y).item())
scores, classes = torch.zeros(4, 10), torch.tensor([3, 0, 9, 1])
for reduction in ("mean", "sum"):
    print("CrossEntropyLoss", round(nn.CrossEntropyLoss(reduction=reduction)(scores, classes).item(), 4))
print(len(list(nn.CrossEntropyLoss().parameters())), "parameters")

# %% [markdown]
# {shown 2} and {shown 6}, {shown 4.6667} and {shown 14}, and $\ln 10 = {shown 2.3026}$ per sample: a network that knows nothing
# about 10 classes pays $\ln 10$. An untrained
# classifier should start near it.
#
# The mean over *which* numbers? `MSELoss` divides by all entries, $N K$; `CrossEntropyLoss` by the samples, $N$. With
# `"sum"` the gradient grows with the batch, and a learning rate that was right for 64 samples is twice too large for
# 128. Also: cross-entropy takes **scores**, before any softmax. It applies the softmax itself, in a stable way.
#
# ### 4.2 zero_grad
#
# `net.zero_grad()` walks the tree and clears each `.grad`. **Predict** the four lines for a layer's bias: before and
# after the first backward pass, after a second one without clearing, and after `zero_grad()`.

# %%
torch.manual_seed(seed)
net = nn.Linear(4, 3)
x, y = torch.randn(5, 4), torch.randn(5, 3)
print("at first      ", net.bias.grad)
nn.MSELoss()(net(x), y).backward()
print("one backward  ", net.bias.grad)
nn.MSELoss()(net(x), y).backward()
print("a second one  ", net.bias.grad)
net.zero_grad()
print("zero_grad     ", net.bias.grad)

# %% [markdown]
# `None`; a gradient; exactly twice that gradient; `None` again. Older texts show zeros in the last line. That was the
# default until PyTorch 2.0, and `zero_grad(set_to_none=False)` still does it. `None` saves memory, and an optimizer
# skips a parameter whose gradient is `None`, while a zero would still let momentum and weight decay move it.

# %% [markdown]
# ## 5. Modes, buffers, and files
#
# ### 5.1 train and eval
#
# Some layers behave differently while training. **Dropout** sets random entries to 0. **Batch normalisation** subtracts
# the *batch's* mean, divides by its standard deviation, and keeps a running average of both, to use later. What "later"
# means is decided by one attribute, `training`, that each module has. `net.train()` sets it to True and `net.eval()` to
# False, for the whole tree. Nothing else happens: `eval()` stops no gradient, and `torch.no_grad()` changes no mode.
#
# The same two samples, with the same weights, in both modes: **predict** the first line, and whether the second differs.

# %%
torch.manual_seed(seed)
norm = nn.BatchNorm1d(1)
batch = torch.tensor([[10.0], [14.0]])
print("train", norm(batch).flatten().tolist(), "running mean", round(norm.running_mean.item(), 2))
norm.eval()
print("eval ", norm(batch).flatten().tolist(), "running mean", round(norm.running_mean.item(), 2))
print([name for name, _ in norm.named_parameters()], [name for name, _ in norm.named_buffers()])

# %% [markdown]
# In training mode the samples come out as $-1$ and $1$, whatever they were, since the batch is its own measure. In
# evaluation mode they come out as {shown 6.7} and {shown 9.8}: the running mean has moved only a tenth of the way, from 0 to
# {shown 1.2}, and
# so has the variance, from 1 to 1.7. A forgotten `eval()` lets a sample's result depend on its neighbours in the batch.
#
# Write the walk that sets the mode, with one addition. When a network is trained further on a small data set, one often wants the
# normalisation layers to stay in evaluation mode, so that their statistics are kept: all modules of the types `frozen`,
# **and everything below them**, go to evaluation mode, whatever `mode` says. `isinstance(module, frozen)` accepts a
# tuple of types. It may be empty.
#
# {exercise u04-set-mode}

# %%
def set_mode(module, mode, frozen=()):
    """Set the attribute `training` of a module and of everything below it.

    Args: module: has `training` and the dictionary _modules, in which an entry may be None. mode: bool, True for training.
        frozen: a tuple of types; a module of such a type, and all below it, gets False.
    Returns: the module itself.
    """
    ### BEGIN SOLUTION
    mode = mode and not isinstance(module, frozen)
    module.training = mode
    for child in module._modules.values():
        if child is not None:
            set_mode(child, mode, frozen)          # below a frozen one, mode is False already
    return module
    ### END SOLUTION

# %%
@check("u04-set-mode")
def observe(boxes, start, mode, some_frozen):
    tree = build_tree(boxes, [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))])
    for box, training in zip(tree, start, strict=True):
        box.training = training
    returned = set_mode(tree[0], mode, (NormBox,)) if some_frozen else set_mode(tree[0], mode)
    return {"modes": [box.training for box in tree], "returned": tree.index(returned) if returned in tree else "nothing",
            "still_trained": [p.requires_grad for box in tree for p in box._parameters.values()]}

# %% [markdown]
# ### 5.2 Buffers
#
# A running mean is part of the model. It must be saved, it must follow `to(device)` and `double()`, and it must **not**
# be trained. That is a buffer. The three kinds side by side:
#
# | | `nn.Parameter` | buffer | plain tensor |
# |---|---|---|---|
# | in `parameters()`, so the optimizer changes it | yes | no | no |
# | in `state_dict()`, so it is saved | yes | yes (unless `persistent=False`) | no |
# | follows `to`, `double`, `cuda` | yes | yes | no |
#
# **Predict** the printed types, and which of the two is saved.

# %%
class Tables(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("kept", torch.ones(2))
        self.plain = torch.ones(2)

tables = Tables().double()
print(tables.kept.dtype, tables.plain.dtype, list(tables.state_dict()))

# %% [markdown]
# ### 5.3 Bug hunt: the model that forgot
#
# `Centre` subtracts from each feature its running mean. It is trained on data whose features have means of about 3, is
# put into evaluation mode, and works: its outputs have a mean near 0. Then it is saved, and loaded into a new object.
# There is no error. The loaded model's outputs have a mean near **3**. Its `state_dict` is `OrderedDict()`.
#
# Mend the class. The formula of the running mean is right.
#
# {exercise u04-hunt-buffer}

# %%
class Centre(nn.Module):
    """Subtract a running mean from each feature; in training mode the mean follows the batches."""

    def __init__(self, features):
        super().__init__()
        ### BEGIN SOLUTION
        self.register_buffer("mean", torch.zeros(features))
        ### RELEASE SHOWS
        # self.mean = torch.zeros(features)
        ### END SOLUTION

    def forward(self, x):
        """Args: x: (N, features). Returns: x minus the running mean."""
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=0)
        return x - self.mean

# %%
@check("u04-hunt-buffer")
def observe(batches, x):
    model = Centre(x.shape[1]).to(x.device)
    for batch in batches:
        model(batch)
    out = model.eval()(x)
    saved = {name: t.detach().clone() for name, t in model.state_dict().items()}
    loaded = Centre(x.shape[1]).to(x.device).eval()
    loaded.load_state_dict(saved)
    return {"out": out.detach(), "out_after_loading": loaded(x).detach(), "saved": saved,
            "trained": [name for name, _ in model.named_parameters()], "type_after_double": str(model.double().mean.dtype)}

# %%
torch.manual_seed(seed)
data = 3 + torch.randn(100, 16, 4)
model, loaded = Centre(4), Centre(4)
for batch in data:
    model(batch)
loaded.load_state_dict(model.state_dict())
for name, m in (("trained", model), ("loaded", loaded)):
    print(name, round(m.eval()(data[-1]).mean().item(), 2))

# %% [markdown]
# `forward` assigns a plain tensor to `self.mean`. For a registered buffer that is allowed and it stays a buffer: rule 2
# of section 1.3. On a GPU the broken class would have failed at once, with an error about two devices. On a CPU the
# loss of a running statistic is silent.
#
# ### 5.4 state_dict
#
# A `state_dict` maps each full name to a tensor: parameters and buffers. It holds no code. To load it you build the
# object first, and then copy the numbers in. Three details decide whether that works.
#
# - **Aliases.** `net.state_dict()` gives the *live* tensors. `best = net.state_dict()` keeps nothing: it follows the training.
#   **Predict** the two numbers of the next cell.
# - **In place.** Loading copies numbers into the tensors that are there. New objects would leave the optimizer with the old ones.
# - **Strictness.** A missing name, an extra name, or another shape is an error. Silence would be worse.

# %%
net = nn.Linear(1, 1, bias=False)
nn.init.constant_(net.weight, 5.0)
best = net.state_dict()
kept = {name: t.clone() for name, t in net.state_dict().items()}
with torch.no_grad():
    net.weight -= 1                                # training goes on
print(best["weight"].item(), kept["weight"].item())

# %% [markdown]
# {shown 4} and {shown 5}. Now your own, in three parts: a walk over all tensors, `save`, and `load`. The walk is that of section 2 with two
# differences: buffers come too, after a module's own parameters, and a shared tensor comes under **each** of its names.
# Buffers whose name is in their module's `_non_persistent_buffers_set` are left out.
#
# `save` copies. `load` looks first and copies afterwards, so that a refused state changes nothing. One trap:
# `a.copy_(b)` broadcasts. A bias of shape (1,) would fill one of shape (64,) without complaint.
#
# {exercise u04-checkpoint}

# %%
class Checkpoint:
    """Save and load the state of a tree of modules."""

    @staticmethod
    def tensors(module, prefix=""):
        """Args: module: has a module's dictionaries; entries may be None. prefix: as it stands before each name, dot included.
        Returns: pairs (name, tensor) of all that is saved, the live tensors; a shared one under each of its names."""
        ### BEGIN SOLUTION
        for name, t in (*module._parameters.items(), *module._buffers.items()):
            if t is not None and name not in module._non_persistent_buffers_set:
                yield prefix + name, t
        for name, child in module._modules.items():
            if child is not None:
                yield from Checkpoint.tensors(child, f"{prefix}{name}.")
        ### END SOLUTION

    @staticmethod
    def save(module):
        """Returns: dict from each name to a copy that later training does not change, without a gradient."""
        ### BEGIN SOLUTION
        return {name: t.detach().clone() for name, t in Checkpoint.tensors(module)}
        ### END SOLUTION

    @staticmethod
    def load(module, state):
        """Copy the numbers of `state` into the module's tensors, in place.

        Raises: KeyError: if a name is missing or unknown. ValueError: if a shape differs. Then nothing has been changed.
        """
        ### BEGIN SOLUTION
        own = dict(Checkpoint.tensors(module))
        if own.keys() != state.keys():
            raise KeyError(f"missing or unknown names: {sorted(own.keys() ^ state.keys())}")
        for name, t in own.items():
            if t.shape != state[name].shape:
                raise ValueError(f"{name}: {tuple(state[name].shape)} does not fit {tuple(t.shape)}")
        with torch.no_grad():
            for name, t in own.items():
                t.copy_(state[name])
        ### END SOLUTION

# %%
@check("u04-checkpoint")
def observe(boxes, values, buffers, state, narrow, part):
    pool = [nn.Parameter(t) for t in values]
    tree = build_tree(boxes, pool, buffers)
    def flat(tensors):                             # all numbers in one row
        return torch.cat([t.flatten().float() for t in tensors if t is not None])
    if part == "save":
        saved = Checkpoint.save(tree[0])
        with torch.no_grad():
            pool[0].add_(1)                        # training goes on
        return {"names": list(saved), "shapes": [list(t.shape) for t in saved.values()], "saved": flat(saved.values()),
                "names_of_a_module": list(Checkpoint.save(tree[0]._modules["body"]))}
    for broken in ({**state, narrow: state[narrow][:1]}, {k: t for k, t in state.items() if k != narrow}, {**state, "more": values[0]}):
        try:
            Checkpoint.load(tree[0], broken)
        except Exception:
            pass                                   # whether it refuses is seen in cases of its own
    refused = flat((*pool, *buffers)).detach()
    Checkpoint.load(tree[0], state)
    inside = [t for box in tree for t in (*box._parameters.values(), *box._buffers.values())]
    found = {"after_refused_states": refused, "loaded": flat((*pool, *buffers)).detach(), "in_the_module": flat(inside).detach()}
    with torch.no_grad():
        pool[0].add_(1)
    return {**found, "state_after": flat(state.values())}

# %% [markdown]
# Where copies are made, the memory of a large model is needed twice. That is the reason for PyTorch's choice of live
# tensors: a `torch.save(net.state_dict(), path)` writes them to a file at once. To keep a state in memory, copy it. And
# PyTorch's `load_state_dict` copies what fits before it raises. Build a new object after such an error.

# %% [markdown]
# ## 6. A LeNet, and looking inside
#
# ### 6.1 The network
#
# LeNet, of 1998, reads digits of 32 × 32 pixels. Two convolutions of 5 × 5 turn the picture into 16 small maps, and
# three linear layers turn those into 10 scores. A convolution holds one filter for each pair of input and output
# channel: the first has weights of shape (6, 1, 5, 5). **Predict** the number of parameters of `conv2` (6 to 16
# channels), and which of the five layers has the most.

# %%
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):                                   # (N, 1, 32, 32)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)          # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)          # (N, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))                  # (N, 400) -> (N, 120)
        return self.fc3(F.relu(self.fc2(x)))

# %%
torch.manual_seed(seed)
net = LeNet().to(device)
parameters = list(net.parameters())
print(len(parameters), "tensors, the first", tuple(parameters[0].shape))
for name, child in net.named_children():
    print(f"{name}  {[tuple(p.shape) for p in child.parameters()]}  {sum(p.numel() for p in child.parameters())}")
print("in all", sum(p.numel() for p in parameters))

# %%
show(module_tree(net))

# %% [markdown]
# `conv2` has $16 \cdot 6 \cdot 25 + 16 = {shown 2416}$ parameters, and `fc1` has {shown 48 120} of the {shown 61 706}. A convolution uses each
# weight at every place of the picture: few weights, much arithmetic. In the linear layers each weight is used once per
# sample.
#
# ### 6.2 Layers take mini-batches
#
# Axis 0 is the batch. One picture is (1, 32, 32); the network takes (N, 1, 32, 32). The reason is speed: one large
# matrix product uses a processor far better than many small ones, and a loss is a mean over samples anyway. For a
# single sample, add an axis with `unsqueeze(0)`. **Predict** which of the layers below objects.

# %%
digit = torch.randn(1, 32, 32, device=device)      # one picture, no batch axis
print(tuple(net.conv1(digit).shape))               # a convolution takes it for one sample
with expect_error(RuntimeError):
    net(digit)
print(tuple(net(digit.unsqueeze(0)).shape))
with expect_error(ValueError):
    nn.BatchNorm1d(4)(torch.randn(1, 4))           # a batch of one has no spread

# %% [markdown]
# The convolution accepts both forms. `flatten(1)` then kept an axis of 16 channels as if it were the batch, and `fc1`
# objected to rows of 25 numbers: `{shown 16x25 and 400x120}`. The error stands three layers behind its cause. Batch normalisation needs more than
# one number per feature while it trains: the spread of one number is 0.
#
# ### 6.3 Forward hooks
#
# To see the shapes inside, you could write `print` into `forward`. A **forward hook** needs no change to the class:
# `layer.register_forward_hook(f)` calls `f(module, args, output)` after each call of the layer. If `f` returns
# something other than `None`, that *replaces* the output. `register_forward_pre_hook(f)` calls `f(module, args)`
# before. Each gives a handle, and `handle.remove()` takes the hook away. Do that: a forgotten one runs for ever.

# %%
def tell(name):
    return lambda module, args, output: print(f"{name}  {tuple(args[0].shape)} -> {tuple(output.shape)}")

handles = [child.register_forward_hook(tell(name)) for name, child in net.named_children()]
digits = torch.randn(2, 1, 32, 32, device=device)
net(digits)
for handle in handles:
    handle.remove()
print(tuple(net(digits).shape), "and no more lines")

# %% [markdown]
# The hook of a layer with several outputs sees a tuple. A function such as `F.relu` has no hook, since it is not a module.
# To look at an activation, make it a layer, `nn.ReLU()`.
#
# A hook that changes the output is a tool for experiments. Here it switches off one channel of `conv1`, without a new
# class. **Predict** whether the third line equals the first.

# %%
def without_channel_0(module, args, output):
    output = output.clone()                        # the hook returns a tensor of its own
    output[:, 0] = 0
    return output

print(net(digits)[0, :3].tolist())
handle = net.conv1.register_forward_hook(without_channel_0)
print(net(digits)[0, :3].tolist())
handle.remove()
print(net(digits)[0, :3].tolist())

# %% [markdown]
# ### 6.4 Backward hooks
#
# `layer.register_full_backward_hook(f)` calls `f(module, grad_input, grad_output)` when the backward pass has passed
# the layer. Both are tuples: the gradients of the loss with respect to the layer's outputs (`grad_output`, the
# upstream), and with respect to its inputs. They are about *activations*. A weight's gradient is not in them; it
# arrives in `weight.grad`. The input must need a gradient too, or PyTorch warns that the first layer has none to pass
# on. **Predict** the order of the five lines.

# %%
def tell_back(name):
    def hook(module, grad_input, grad_output):
        print(f"{name}  upstream {tuple(grad_output[0].shape)}, passes on {tuple(grad_input[0].shape)}")
    return hook

handles = [child.register_full_backward_hook(tell_back(name)) for name, child in net.named_children()]
nn.CrossEntropyLoss()(net(digits.requires_grad_()), torch.tensor([3, 7], device=device)).backward()
for handle in handles:
    handle.remove()

# %% [markdown]
# Last layer first, and what one passes on has the shape of what went into it. If a hook returns a tuple, it replaces
# `grad_input`. In old code you find `register_backward_hook`, without `full`. It looked at the wrong place in layers
# that consist of several operations, and is no longer to be used.

# %% [markdown]
# ## 7. Residual blocks, stacked
#
# ### 7.1 Why depth is hard
#
# Each layer multiplies the gradient that passes. If the factor is 0.4, twenty layers leave $0.4^{20} \approx 10^{-8}$,
# and the first layers do not learn. The picture shows this with the hooks of section 6: for each linear layer the size
# (root mean square) of its output, and of the gradient that arrives there, in a chain of 20 layers `relu(linear(h))`
# and in one of 20 blocks `h + relu(linear(h))`. Both have the same layers with the same weights. Step through it:
# forward hooks run from left to right, backward hooks from right to left.

# %%
from coursekit.viz.flow import flow_frame, record_flow

class Chain(nn.Module):
    def __init__(self, depth, width, residual):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.residual = residual

    def forward(self, h):
        for layer in self.layers:
            h = h + layer(h).relu() if self.residual else layer(h).relu()
        return h

# %%
depth, flows = 20, {}
x = torch.randn(32, 64, generator=torch.Generator().manual_seed(seed))
for name, residual in (("plain", False), ("residual", True)):
    torch.manual_seed(seed)                        # the same weights in both
    flows[name] = record_flow(Chain(depth, 64, residual), x, lambda out: out.pow(2).mean())
    print(f"{name:9} gradient at layer 1: {flows[name].gradients[0]:.1e}, at layer 20: {flows[name].gradients[-1]:.1e}")
step_through(lambda k: flow_frame(flows, k), 2 * depth + 1, strip=(depth, 2 * depth))

# %% [markdown]
# In the plain chain the outputs shrink at first, from {shown 0.61} to {shown 0.068} in the end, where the biases keep them: forward,
# nothing seems wrong. The gradient falls from ${shown 6 \cdot 10^{-5}}$ at layer 20 to ${shown 3 \cdot 10^{-12}}$ at layer 1, by a
# factor of 0.41 per layer. With the sum, the gradient at layer 1 is {shown 3.5}, and it *grows* on its way, by a quarter per
# layer, and the outputs nearly as fast. (Seed 0, on a CPU.) Growth is what the batch normalisation of the next section
# is for.
#
# The reason is one line of calculus. For $y = x + f(x)$ the gradient is
#
# $$\bar x = \bar y + (\text{what comes back through } f) .$$
#
# The first term is a copy: whatever $f$ does, the gradient arrives at the first layer undiminished. Adding is a copy
# backward, as in unit 1.
#
# ### 7.2 The block
#
# A ResNet's block has two 3 × 3 convolutions, each followed by batch normalisation:
#
# $$f(x) = \text{bn2}(\text{conv2}(\max(\text{bn1}(\text{conv1}(x)), 0))), \qquad y = \max(f(x) + \text{skip}(x),\, 0) .$$
#
# With `padding=1` a 3 × 3 convolution keeps height and width. With a stride of 2 in `conv1` it halves them, rounding
# up. To be added, $f(x)$ and $\text{skip}(x)$ must have equal shapes. So `skip` depends on the case:
#
# - if channels and size stay, it is the identity, `nn.Identity()`: no parameters, and $x$ passes untouched;
# - otherwise it is `nn.Sequential(conv, bn)` with a convolution of 1 × 1 and the block's stride.
#
# No convolution has a bias, since batch normalisation subtracts it again right away and has one of its own. The relu
# comes *after* the addition. If it stood before, a block could only ever add. And nothing may write into $x$: the skip
# path reads it, and so does the caller. An in-place relu on $x$ would spoil both.
#
# A test for such a block: set `bn2.weight` and `bn2.bias` to 0, so that $f(x) = 0$. What must come out?
#
# {exercise u04-residual-block}

# %%
class ResidualBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + skip(x)), with the attributes conv1, bn1, conv2, bn2, skip."""

    def __init__(self, cin, cout, stride):
        """Args: cin, cout: channels in and out. stride: of conv1, 1 or 2."""
        ### BEGIN SOLUTION
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.skip = nn.Identity()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm2d(cout))
        ### END SOLUTION

    def forward(self, x):
        """Args: x: (N, cin, H, W) float; stays as it is. Returns: (N, cout, H / stride, W / stride), rounded up."""
        ### BEGIN SOLUTION
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.skip(x))
        ### END SOLUTION

# %%
@check("u04-residual-block")
def observe(sizes, values, x, upstream):
    torch.manual_seed(0)                           # all numbers are set below
    block = ResidualBlock(*sizes).to(x.device)
    x.requires_grad_()
    with torch.no_grad():
        for name, p in block.named_parameters():
            if name in values and p.shape == values[name].shape:
                p.copy_(values[name])
    seen = {"shapes": {name: list(p.shape) for name, p in block.named_parameters()}}
    block(x * 1)                                   # gives the normalisations their statistics
    out = block.eval()(x * 1)
    seen["grad_x"] = torch.autograd.grad((upstream * out).sum(), x)[0]
    given = x.detach().clone()
    out_again = block(given)
    torch.nn.init.zeros_(block.bn2.weight)
    torch.nn.init.zeros_(block.bn2.bias)
    return {**seen, "out": out_again.detach(), "out_without_branch": block(x * 1).detach(), "x_after": given}

# %% [markdown]
# ### 7.3 A small ResNet
#
# Blocks are stacked. Every few blocks the stride is 2 and the channels double: half the height and width, twice the
# channels. At the end each channel is averaged over its whole map, and one linear layer gives the scores. The next cell
# stacks blocks in that way. It takes the block as an argument, and runs with a stand-in of the same shape, so that it
# works before yours does. When your check has passed, exchange the name. It is then a ResNet-8: one convolution, three
# blocks of two, and a linear layer make eight layers with weights on the main path, and 77 754 parameters.

# %%
class Plain(nn.Sequential):
    """A stand-in: one convolution, normalisation, relu. No skip."""
    def __init__(self, cin, cout, stride):
        super().__init__(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())

def resnet(block, channels=(16, 32, 64), classes=10):
    layers, cin = [nn.Conv2d(1, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()], channels[0]
    for place, cout in enumerate(channels):
        layers.append(block(cin, cout, 1 if place == 0 else 2))
        cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, classes))

# %%
torch.manual_seed(seed)
net = resnet(Plain).to(device)                     # then: resnet(ResidualBlock)
x = torch.randn(2, 1, 28, 28, device=device)
for layer in net[:6]:
    x = layer(x)
    print(f"{type(layer).__name__:14} {tuple(x.shape)}")
print(tuple(net(torch.randn(2, 1, 28, 28, device=device)).shape), sum(p.numel() for p in net.parameters()), "parameters")

# %% [markdown]
# ## Summary
#
# - An assignment to a module's attribute is a call of `__setattr__`. By the *type* of the value it goes into `_parameters`, `_modules`, or,
#   if the name is a buffer's, `_buffers`. `super().__init__()` makes these dictionaries.
# - `parameters()`, `state_dict()`, `to()`, `train()` are walks over the tree. They find what is registered. A list, a plain tensor and a
#   layer made in `forward` are not, and nothing complains. Count the parameters.
# - Shared parameters come once in `parameters()`, under each name in `state_dict()`, and their gradients add up.
# - Call the module, not `forward`: hooks run in the call. Forward hooks see outputs, backward hooks see gradients of activations. Remove them.
# - `train()` and `eval()` set one attribute. Buffers are saved and moved, and not trained.
# - `state_dict()` gives live tensors. Loading copies in place, and should refuse whatever does not fit.
# - $y = x + f(x)$ hands the gradient on undiminished, and so networks can be deep.
#
# The next unit looks at what the tree holds: parameters.
#
# Next: [u05 Parameter](u05_parameter.ipynb).

# %%
progress()

# %% [markdown]
# ### Further reading
#
# - PyTorch documentation: the note "Modules", and the reference page of `torch.nn.Module`. Its source, `torch/nn/modules/module.py`, is worth an
#   evening: look for `__setattr__` and `_call_impl`.
# - PyTorch tutorials: "What is torch.nn really?" by Jeremy Howard, and "Learning PyTorch with Examples" by Justin Johnson, where a network
#   of random depth was made popular.
# - Python documentation, "Data model": the section on customizing attribute access.
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998): LeNet.
# - K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition" (2015), and by the same authors "Identity Mappings in Deep
#   Residual Networks" (2016).
# - S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift" (2015).
