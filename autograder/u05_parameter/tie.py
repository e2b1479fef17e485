"""The key of u05-tie."""

from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

tying = Key(
    "u05-tie",
    hints=(
        "After tying, how many Parameter objects are there under the two names?",
        "Find the source's Parameter with `get_parameter`, and the module that holds the target with "
        "`get_submodule`. Then let that module's attribute be the Parameter itself: `setattr(holder, name, "
        'parameter)`. `target.rpartition(".")` parts the path from the name.',
        'A near-example, replacing a bias by a new one: `path, _, name = "head.bias".rpartition(".")`, then '
        "`setattr(module.get_submodule(path), name, nn.Parameter(torch.zeros(3)))`.",
    ),
    cases=5,
    weights={"tensors": 2, "grads": 2, "target_after_a_step": 2, "(refuses wrong input)": 2},
    tolerance={
        "value": EXACT,
        "tensors": EXACT,
        "saved": EXACT,
        **dict.fromkeys(("grads", "source_after_a_step", "target_after_a_step"), SINGLE),
    },
)


@tying.inputs
def _(g, case):
    source, target, a, b = [
        ("text.embed.weight", "head.weight", (4, 3), (4, 3)),
        ("head.out.weight", "table", (2, 5), (2, 5)),
        ("embed.weight", "head.weight", (4, 3), (3, 4)),
        ("table", "head.weight", (1, 3), (4, 3)),
        ("weight", "deep.down.bias", (3,), (3,)),
    ][case]
    values = {source: normal(g, *a), "other.bias": normal(g, 2), target: normal(g, *b)}
    if case == 1:
        values = dict(reversed(values.items()))
    return {"values": values, "source": source, "target": target, "upstream": normal(g, *a)}


@tying.oracle
def _(values, source, target, upstream):
    a = values[source].double()
    if a.shape != values[target].shape:
        return {}
    return {
        "value": a,
        "tensors": 2,
        "saved": sorted(values),
        "grads": [upstream + 3 * a**2],
        "source_after_a_step": a + 1,
        "target_after_a_step": a + 1,
    }


def held_by(module, target):
    path, _, name = target.rpartition(".")
    return module.get_submodule(path), name


def same_shapes(module, source, target):
    a, b = module.get_parameter(source), module.get_parameter(target)
    if a.shape != b.shape:
        raise ValueError("shapes differ")
    return a, b


@tying.wrong(
    "`{function}` copies the numbers. The two are equal now, and part ways at the first step: there are still two Parameters."
)
def tie_copies(module, source, target):
    a, b = same_shapes(module, source, target)
    b.data.copy_(a.data)


@tying.wrong(
    "`{function}` shares the memory, but two Parameters remain (`b.data = a.data`, or a new `nn.Parameter` "
    "around it): each has a gradient of its own, and both are counted. Assign the Parameter itself."
)
def tie_shares_memory(module, source, target):
    a, b = same_shapes(module, source, target)
    b.data = a.data


@tying.wrong("`{function}` ties in the wrong direction: the target's numbers survive, and the source's are lost.")
def tie_reversed(module, source, target):
    same_shapes(module, source, target)
    holder, name = held_by(module, source)
    setattr(holder, name, module.get_parameter(target))


@tying.wrong(
    "`{function}` ties Parameters of different shapes. The assignment does not mind, and forward fails much later. Compare first."
)
def tie_no_check(module, source, target):
    holder, name = held_by(module, target)
    setattr(holder, name, module.get_parameter(source))


@tying.wrong("`{function}` compares the number of elements. (4, 3) and (3, 4) have equally many; compare the shapes.")
def tie_checks_numel(module, source, target):
    if module.get_parameter(source).numel() != module.get_parameter(target).numel():
        raise ValueError("sizes differ")
    tie_no_check(module, source, target)


@tying.wrong("`{function}` compares the last size only. (1, 3) and (4, 3) agree in it; compare the whole shapes.")
def tie_checks_last(module, source, target):
    if module.get_parameter(source).shape[-1] != module.get_parameter(target).shape[-1]:
        raise ValueError("sizes differ")
    tie_no_check(module, source, target)


@tying.wrong(
    "`{function}` uses the full name as an attribute of the outermost module. A name with dots is a path: find the module that holds the "
    "Parameter first."
)
def tie_dotted_attribute(module, source, target):
    a, _ = same_shapes(module, source, target)
    setattr(module, target, a)


@tying.wrong(
    "`{function}` assigns a plain tensor to the name of a Parameter (`.data` and `detach()` give one), and the module refuses it."
)
def tie_assigns_tensor(module, source, target):
    a, _ = same_shapes(module, source, target)
    holder, name = held_by(module, target)
    setattr(holder, name, a.detach())


@tying.wrong(
    "`{function}` makes a new Parameter for both names. They are tied, but an optimizer that was made earlier "
    "holds the old one, and trains nothing. The source's own Parameter must stay."
)
def tie_new_for_both(module, source, target):
    a, _ = same_shapes(module, source, target)
    fresh = nn.Parameter(a.detach().clone())
    for path in (source, target):
        holder, name = held_by(module, path)
        setattr(holder, name, fresh)


@tying.wrong("`{function}` takes the Parameter away from the source. Both names shall have it.")
def tie_moves(module, source, target):
    tie_no_check(module, *((source, target) if same_shapes(module, source, target) else ()))
    holder, name = held_by(module, source)
    delattr(holder, name)


@tying.wrong("The two are tied by `{function}`, but the numbers are an average of both. The source's numbers stay.")
def tie_averages(module, source, target):
    a, b = same_shapes(module, source, target)
    a.data.add_(b.data).div_(2)
    tie_no_check(module, source, target)


@tying.wrong("`{function}` changes nothing. Does it assign to an attribute of a module, or to a local name only?")
def tie_local_name(module, source, target):
    a, b = same_shapes(module, source, target)
    b = a  # noqa: F841


@tying.variant
def tie_by_walking(module, source, target):
    shared = dict(module.named_parameters(remove_duplicate=False))[source]
    *way, name = target.split(".")
    holder = module
    for step in way:
        holder = getattr(holder, step)
    if list(getattr(holder, name).shape) != list(shared.shape):
        raise ValueError(f"{source} and {target} differ in shape")
    setattr(holder, name, shared)


@tying.variant
def tie_by_registering(module, source, target):
    a, b = module.get_parameter(source), module.get_parameter(target)
    assert a.size() == b.size(), f"{a.size()} and {b.size()}"
    holder, name = held_by(module, target)
    holder.register_parameter(name, a)
