"""The key of u02-scale-grad."""

import torch

from coursekit.course.authoring import Key

from ._shared import SINGLE, normal

scale = Key(
    "u02-scale-grad",
    hints=(
        "What does the function that you register receive, what does it return, and when is it called?",
        "`t.register_hook(f)`: f gets the gradient and returns what goes on. `register_hook` itself returns what you need to return.",
        "A near-example that reverses gradients: `handle = t.register_hook(lambda grad: -grad)`.",
    ),
    cases=2,
    guards=("forward", "grad_beside_t", "removed", "removed_from_leaf", "v_after"),
    weights={"grad_behind_t": 3, "after_two_calls": 2, "of_a_leaf_after_two_calls": 2},
    tolerance=SINGLE,
)


@scale.inputs
def _(g, case):
    shape = [(3, 4), (2, 5)][case]
    return {"a": normal(g, *shape), "b": normal(g, *shape), "v": normal(g, *shape), "s": [-0.5, 3.0][case] + torch.rand((), generator=g).item() / 4}


@scale.oracle
def _(a, b, v, s):
    a, b, v = a.double(), b.double(), v.double()
    return {"forward": a * b + b * a, "grad_behind_t": s * b * v, "grad_beside_t": a * v, "after_two_calls": 2 * s * b * v,
            "of_a_leaf_after_two_calls": 2 * s * b * v, "removed": b * v, "removed_from_leaf": b * v, "v_after": v}


class Handle:
    """Stands for a handle that does nothing."""

    def remove(self):
        pass


@scale.wrong("`{function}` has no effect on the gradients. A hook that returns nothing changes nothing: does yours return its product?")
def hook_returns_nothing(t, s):
    def hook(grad):
        grad * s

    return t.register_hook(hook)


@scale.wrong("`{function}` changes the incoming gradient in place. That tensor is not the hook's own: the v of backward(v) holds other "
             "numbers now. Return a new tensor.")
def hook_in_place(t, s):
    return t.register_hook(lambda grad: grad.mul_(s))


@scale.wrong("`{function}` scales the numbers in t instead of the gradient that arrives there: the forward result has changed.")
def scales_the_values(t, s):
    t.data.mul_(s)
    return Handle()


@scale.wrong("`{function}` does not return the handle, so nobody can end the scaling.")
def no_handle(t, s):
    t.register_hook(lambda grad: grad * s)


@scale.wrong("`{function}` works for one backward only: the hook is removed, or counts its calls. It stays until the caller removes the "
             "handle.")
def works_once(t, s):
    calls = []

    def hook(grad):
        calls.append(1)
        return grad * s if len(calls) == 1 else grad

    return t.register_hook(hook)


@scale.wrong("`{function}` scales again at each call: with every backward the factor grows. Is a result kept in a variable that the next call "
             "starts from?")
def factor_grows(t, s):
    factor = [1.0]

    def hook(grad):
        factor[0] *= s
        return grad * factor[0]

    return t.register_hook(hook)


@scale.wrong("`{function}` scales what has accumulated, so in a leaf the first gradient is scaled twice after two calls. `register_hook` sees "
             "each gradient before it is added.")
def scales_the_sum(t, s):
    if t.is_leaf:
        def after(p):
            p.grad = p.grad * s

        return t.register_post_accumulate_grad_hook(after)
    return t.register_hook(lambda grad: grad * s)


@scale.wrong("`{function}` divides by s.")
def divides(t, s):
    return t.register_hook(lambda grad: grad / s)


@scale.wrong("`{function}` adds s to the gradient. It should multiply.")
def adds(t, s):
    return t.register_hook(lambda grad: grad + s)


@scale.wrong("`{function}` replaces the gradient by s: what arrived is dropped. The upstream has to stay a factor.")
def drops_the_gradient(t, s):
    return t.register_hook(lambda grad: torch.full_like(grad, s))


@scale.wrong("`{function}` sends zeros on. Does the hook return what it computed?")
def sends_zeros(t, s):
    return t.register_hook(torch.zeros_like)


@scale.wrong("The handle of `{function}` does nothing when it is removed. `register_hook` returns the one that does.")
def handle_of_no_use(t, s):
    t.register_hook(lambda grad: grad * s)
    return Handle()


@scale.variant
def scale_by_named_hook(t, s):
    def hook(grad):
        return torch.mul(grad, s)

    handle = t.register_hook(hook)
    return handle


@scale.variant
def scale_on_a_copy(t, s):
    return t.register_hook(lambda grad: grad.clone().mul_(s))
