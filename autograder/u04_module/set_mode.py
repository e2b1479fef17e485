"""The key of u04-set-mode."""

import collections

from coursekit.course.authoring import Key

from ._shared import EXACT, shuffled, whole

mode_key = Key(
    "u04-set-mode",
    hints=(
        "If a module is of a frozen type, which mode must be handed to everything below it?",
        "Compute the mode of this module first: it is False if `mode` is False or if `isinstance(module, frozen)`. Set "
        "it, and call the function for each "
        "module in `_modules` with the *computed* mode. Return the module.",
        "A near-example, the depth of each module: `def number(module, depth): module.depth = depth`, then `for child in module._modules.values(): "
        "number(child, depth + 1)`.",
    ),
    cases=6,
    guards=("still_trained",),
    weights={"modes": 4},
    tolerance=EXACT,
)


@mode_key.inputs
def _(g, case):
    names = ["stem", "body", "head", "norm", "tail", "left", "right"]
    frozen, mode, count = case != 2, case != 1, whole(g, 6, 9)
    while True:
        boxes = [{"modules": {}} for _ in range(count)]
        above = [0] * count
        for place in range(1, count):
            above[place] = whole(g, max(0, place - 3), place - 1)
            boxes[above[place]]["modules"][shuffled(g, names)[0] + str(place)] = place
            if whole(g, 0, 1):
                boxes[place]["parameters"] = {"w": whole(g, 0, 1)}
        boxes[0]["modules"]["off"] = None
        norms = [0] if case == 4 else shuffled(g, list(range(1, count)))[: whole(g, 1, 3)]
        for place in norms:
            boxes[place]["norm"] = True
        start = [bool(whole(g, 0, 1)) for _ in boxes]
        off = frozen_places(boxes) if frozen else set()
        deep = [place for place in range(1, count) if above[place] and place not in off]
        children = [place for place in off if place not in norms]
        fair = (
            (not frozen or (children and any(start[place] for place in norms)))
            and (deep or case == 4)
            and (case == 4 or not mode or any(not start[place] for place in deep))
            and start[0] != (mode and case != 4)
        )
        if (
            fair
            and any("parameters" in boxes[place] for place in off or range(count))
            and (mode or any(start[place] for place in deep))
        ):
            return {"boxes": boxes, "start": start, "mode": mode, "some_frozen": frozen}


def frozen_places(boxes):
    """All norm boxes and what lies below them, by place."""
    off = {place for place, data in enumerate(boxes) if data.get("norm")}
    for _ in boxes:
        off |= {child for place in off for child in boxes[place]["modules"].values() if child is not None}
    return off


@mode_key.oracle
def _(boxes, start, mode, some_frozen):
    off = frozen_places(boxes) if some_frozen else set()
    return {
        "modes": [mode and place not in off for place in range(len(boxes))],
        "returned": 0,
        "still_trained": [True for data in boxes for _ in data.get("parameters", {})],
    }


def everything(module):
    """A module and all below it."""
    found = [module]
    for child in module._modules.values():
        found += everything(child) if child is not None else []
    return found


def under(module, frozen):
    """What has to be frozen: by identity."""
    return {id(part) for box in everything(module) if isinstance(box, frozen) for part in everything(box)}


@mode_key.wrong("`{function}` sets the mode of the root alone. Its modules have an attribute of their own each.")
def mode_root_only(module, mode, frozen=()):
    module.training = mode and not isinstance(module, frozen)
    return module


@mode_key.wrong("`{function}` goes one level deep. Let it call itself for each child.")
def mode_one_level(module, mode, frozen=()):
    for box in (module, *(child for child in module._modules.values() if child is not None)):
        box.training = mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` sets the modules below and forgets the module itself.")
def mode_not_the_root(module, mode, frozen=()):
    for box in everything(module)[1:]:
        box.training = mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` does not look at `frozen`: modules of these types are in training mode.")
def mode_ignores_frozen(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode
    return module


@mode_key.wrong(
    "`{function}` freezes a module and not what lies below it: its children are in training mode. Hand the "
    "module's own mode on, not the "
    "one that was asked for."
)
def mode_freezes_one(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and not isinstance(box, frozen)
    return module


@mode_key.wrong(
    "`{function}` leaves frozen modules as they were. If one was in training mode before, it still is; set it to evaluation mode."
)
def mode_skips_frozen(module, mode, frozen=()):
    for box in everything(module):
        if id(box) not in under(module, frozen):
            box.training = mode
    return module


@mode_key.wrong(
    "`{function}` puts everything into training mode whenever it is called: the modules below do not get `mode`."
)
def mode_always_trains(module, mode, frozen=()):
    for box in everything(module):
        box.training = id(box) not in under(module, frozen)
    return module


@mode_key.wrong("`{function}` does the opposite: True should mean training.")
def mode_reversed(module, mode, frozen=()):
    for box in everything(module):
        box.training = not mode and id(box) not in under(module, frozen)
    return module


@mode_key.wrong(
    "`{function}` returns nothing. It should return the module, so that a call can stand inside an expression."
)
def mode_returns_nothing(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and id(box) not in under(module, frozen)


@mode_key.wrong(
    "`{function}` switches off the gradients of frozen modules. That is another thing: a mode changes what a layer "
    "computes, `requires_grad` "
    "what is trained."
)
def mode_freezes_gradients(module, mode, frozen=()):
    for box in everything(module):
        box.training = mode and id(box) not in under(module, frozen)
        if not box.training:
            for p in box._parameters.values():
                p.requires_grad_(False)
    return module


@mode_key.wrong("`{function}` turns each mode round. It should set it, whatever it was.")
def mode_toggles(module, mode, frozen=()):
    for box in everything(module):
        box.training = not box.training
    return module


@mode_key.wrong("`{function}` fails at an entry of `_modules` that is None. Skip it.")
def mode_fails_at_none(module, mode, frozen=()):
    for child in module._modules.values():
        child.training = mode
    return module


@mode_key.variant
def mode_by_list(module, mode, frozen=()):
    for box in everything(module):
        box.training = bool(mode) and id(box) not in under(module, frozen)
    return module


@mode_key.variant
def mode_by_stack(module, mode, frozen=()):
    waiting = collections.deque([(module, mode)])
    while waiting:
        box, wanted = waiting.popleft()
        if isinstance(box, tuple(frozen)):
            wanted = False
        setattr(box, "training", wanted)
        waiting.extend((child, wanted) for child in box._modules.values() if child is not None)
    return module
