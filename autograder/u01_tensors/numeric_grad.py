"""The key of u01-numeric-grad."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, ON_CPU, normal

numeric = Key(
    "u01-numeric-grad",
    forbids=BY_HAND,
    hints=(
        "For a tensor of 6 entries, how many calls of f do you need, and what differs between the two calls "
        "of one entry?",
        "Make a float64 copy of x. For each entry build the two points x + h e and x - h e, where e is 1 at "
        "that entry and 0 elsewhere, and divide the difference of f by their distance.",
        "A near-example for a single number: `x = torch.tensor(2.0, dtype=torch.float64)`, `(f(x + h) - f(x "
        "- h)) / (2 * h)`. For a tensor, `torch.eye(x.numel(), dtype=torch.float64)` has one unit direction "
        "in each row.",
    ),
    cases=3,
    guards=("x_after",),
    weights={"gradient": 6},
    equivalent={"line 2: torch.eye(x.numel(), dtype=torch.float64, device=x.device) -> torch.eye(x.numel(), dtype=torch.float64)": ON_CPU},
    tolerance={"gradient": Tolerance(1e-8, 0, "float64: rounding of f, about 1e-15, over the smallest h, "
                                              "1e-3, leaves 1e-12; the h² term is 1e-6 and must be seen"),
               "x_after": EXACT},
    strict_dtype=("gradient",),
)


@numeric.inputs
def _(g, case):
    shape = [(2, 3), (4,), (2, 1, 3)][case]
    x, a, b = normal(g, *shape), 1 + torch.rand(shape, generator=g), 0.5 + torch.rand(shape, generator=g)
    return {"x": x.double() if case == 1 else x, "a": a, "b": b, "h": [0.1, 0.25, 0.001][case]}


@numeric.oracle
def _(x, a, b, h):
    t, a, b = x.double(), a.double(), b.double()
    return {"gradient": 3 * a * t ** 2 + a * h ** 2 + 2 * b * (b * t).sum(), "x_after": x}


def differences(f, x, h, quotient, dtype=torch.float64):
    """One quotient for each entry, from f at x, one step ahead and one step back."""
    x = x.to(dtype)
    steps = [h * e.view(x.shape) for e in torch.eye(x.numel(), dtype=dtype, device=x.device)]
    return torch.stack([quotient(f(x + step), f(x), f(x - step)) for step in steps]).view(x.shape)


ROUNDED = Tolerance(1e-3, 0, "float32: rounding of f, about 1e-6, over the smallest h, 1e-3; a wrong step is off by more where h is large")


@numeric.wrong("`{function}` takes a one-sided difference: its error shrinks with h, not with h². Step to "
               "both sides of x, and mind the distance between the two points.")
def one_sided(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - here) / h)


@numeric.wrong("`{function}` is exactly twice too large. The two points lie on both sides of x; how far "
               "apart are they?")
def divides_by_h(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - back) / h)


@numeric.wrong("`{function}` has the opposite sign everywhere. Which of the two points belongs first in the "
               "difference?")
def back_minus_ahead(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (back - ahead) / (2 * h))


@numeric.wrong("`{function}` computes in float32: the difference of two nearly equal numbers keeps only a "
               "few of 7 digits. Make a float64 copy of x before the first step, and store the result in "
               "float64.", within=ROUNDED)
def in_single(f, x, h):
    return differences(f, x.float(), h, lambda ahead, here, back: (ahead - back) / (2 * h), torch.float32)


@numeric.wrong("`{function}` returns float64, but it has only float32 precision: the points or the "
               "quotients were rounded on the way. Convert before the computation, not after it.", within=ROUNDED)
def converts_too_late(f, x, h):
    return in_single(f, x, h).double()


@numeric.wrong("`{function}` does not use the h that it is given: the term in h² is missing from its "
               "result. Is a step written into the code, or the derivative taken in another way?")
def fixed_h(f, x, h):
    return differences(f, x, 1e-5, lambda ahead, here, back: (ahead - back) / 2e-5)


@numeric.wrong("Every entry of `{function}` is the same number: all entries of x are moved at once, which "
               "measures their sum. Move one, and leave the others.")
def moves_all_entries(f, x, h):
    x = x.double()
    return torch.full_like(x, ((f(x + h) - f(x - h)) / (2 * h)).item())


@numeric.wrong("The numbers of `{function}` are right, but they come as one flat row. A gradient has the "
               "shape of x.")
def numeric_flat(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: (ahead - back) / (2 * h)).reshape(1, -1)


@numeric.wrong("The first entry of `{function}` is right and the later ones drift: an entry that was moved "
               "is not put back before the next one's turn.")
def not_put_back(f, x, h):
    point = x.double().clone()
    flat, slopes = point.view(-1), []
    for i in range(flat.numel()):
        flat[i] += h
        ahead = f(point)
        flat[i] -= 2 * h
        slopes.append((ahead - f(point)) / (2 * h))
    return torch.stack(slopes).view(x.shape)


@numeric.wrong("The gradient of `{function}` is right, but x is not what it was: the caller's own tensor "
               "was moved and not put back. `x.double()` copies nothing if x is float64 already.")
def leaves_x_moved(f, x, h):
    result = differences(f, x, h, lambda ahead, here, back: (ahead - back) / (2 * h))
    x -= h
    return result


@numeric.wrong("`{function}` returns zeros. If both calls of f see the same point, their difference is 0: "
               "is the moved tensor the one that f is given?")
def both_calls_alike(f, x, h):
    return differences(f, x, h, lambda ahead, here, back: here - here)


@numeric.variant
def numeric_on_a_copy(f, x, h):
    point = x.to(torch.float64, copy=True).contiguous()
    grad = torch.zeros_like(point)
    flat = point.view(-1)
    for i in range(flat.numel()):
        here = flat[i].item()
        flat[i] = here + h
        ahead = f(point).item()
        flat[i] = here - h
        grad.view(-1)[i] = (ahead - f(point).item()) / (2 * h)
        flat[i] = here
    return grad


@numeric.variant
def numeric_by_masks(f, x, h):
    x = x.double()
    grad = torch.empty_like(x)
    for place in torch.ones_like(x).nonzero():
        moved = torch.zeros_like(x)
        moved[tuple(place)] = h
        grad[tuple(place)] = f(x + moved) / (2 * h) - f(x - moved) / (2 * h)
    return grad
