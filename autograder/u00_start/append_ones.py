"""The key of u00-append-ones."""

import numpy as np
import torch

from coursekit.course.authoring import Key

from ._shared import EXACT

ones = Key(
    "u00-append-ones",
    hints=(
        "How many ones do you need for x of shape (N, D), and which two numbers make the shape of a column of them?",
        "`torch.cat([left, right], dim=...)` joins tensors that have equally many axes. `torch.ones` takes a shape, and "
        "two more arguments by name: `dtype=` and `device=`. x knows both.",
        "A near-example, a row of zeros above x: `zeros = torch.zeros(1, x.shape[1], dtype=x.dtype, device=x.device)`, then "
        "`torch.cat([zeros, x], dim=0)`.",
    ),
    cases=4,
    guards=("x_after",),
    weights={"longer": 3},
    tolerance=EXACT,
    strict_dtype=("longer",),
)


@ones.inputs
def _(g, case):
    n, d = [(4, 3), (2, 5), (3, 2), (5, 4)][case]
    x = torch.randn(n, d, generator=g, dtype=torch.float64 if case == 1 else torch.float32)
    if case == 2:
        x = torch.randint(2, 10, (n, d), generator=g)
    return {"x": x, "place": "meta" if case == 3 else ""}


@ones.oracle
def _(x, place):
    return {"device_followed": place} if place else {"longer": torch.nn.functional.pad(x, (0, 1), value=1), "x_after": x}


def column(x, value=1):
    return torch.full((len(x), 1), value, dtype=x.dtype, device=x.device)


@ones.wrong("`{function}` returns x as it was. Nothing has been appended yet: its result should have one column more.")
def unchanged(x):
    return x


@ones.wrong("`{function}` puts the ones in front. The order of the list given to `torch.cat` is the order in the result.")
def in_front(x):
    return torch.cat([column(x), x], dim=1)


@ones.wrong("`{function}` adds a row, not a column: a sample that nobody measured. Along which axis should N stay as it is?")
def a_row(x):
    return torch.cat([x, torch.ones(1, x.shape[1], dtype=x.dtype, device=x.device)], dim=0)


@ones.wrong("`{function}` appends zeros. A column of zeros would switch off whatever weight it is multiplied with.")
def zeros(x):
    return torch.cat([x, column(x, 0)], dim=1)


@ones.wrong("The device of `{function}` is right, its dtype is not always: a column of float32 turns int64 into float32, without a word. "
            "`torch.ones` takes a dtype by name; whose should it be?")
def own_dtype(x):
    return torch.cat([x, torch.ones(len(x), 1, device=x.device)], dim=1)


@ones.wrong("The numbers and the dtype of `{function}` are right, but it fails where x lives elsewhere than on the CPU: the new column does "
            "not follow. `torch.ones` takes a device by name; whose should it be?")
def own_device(x):
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)


@ones.wrong("`{function}` makes its column with the defaults, float32 on the CPU. Whole numbers become float32, and on another device it "
            "fails. `torch.ones` takes a dtype and a device by name.")
def own_dtype_and_device(x):
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)


@ones.wrong("`{function}` converts x to float32 first, so float64 loses digits and whole numbers lose their type. Leave x as it is, and let "
            "the new column follow x.")
def everything_single(x):
    x = x.float()
    return torch.cat([x, column(x)], dim=1)


@ones.wrong("`{function}` goes through NumPy, which answers in float64 and lives on the CPU only: dtype and device of x are lost. Stay with "
            "tensors; `torch.cat` joins them.")
def through_numpy(x):
    return torch.from_numpy(np.column_stack([x.numpy(), np.ones(len(x))]))


@ones.wrong("`{function}` tries to join x of shape (N, D) with ones of shape (N,). `torch.cat` wants equally many axes; a column is (N, 1).")
def flat_ones(x):
    return torch.cat([x, torch.ones(len(x), dtype=x.dtype, device=x.device)], dim=1)


@ones.wrong("`{function}` appends as many columns as x has. `ones_like(x)` copies the whole shape of x; one column is enough.")
def too_many(x):
    return torch.cat([x, torch.ones_like(x)], dim=1)


@ones.wrong("`{function}` returns the column of ones alone. `torch.cat` returns a new tensor; is that the one that you return?")
def column_only(x):
    return column(x)


@ones.wrong("`{function}` overwrites the last column of x with ones: a feature is lost, the shape has not grown, and the caller's own tensor "
            "has changed.")
def overwrites(x):
    x[:, -1] = 1
    return x


@ones.wrong("`{function}` returns rows and columns swapped. A row is a sample: the result is (N, D + 1).")
def swapped(x):
    return torch.cat([x, column(x)], dim=1).T


@ones.variant
def by_new_ones(x):
    return torch.hstack((x, x.new_ones(x.size(0), 1)))


@ones.variant
def by_filling(x):
    longer = torch.empty(x.shape[0], x.shape[1] + 1, dtype=x.dtype, device=x.device)
    longer[:, :-1] = x
    longer[:, -1] = 1
    return longer


@ones.variant
def by_comparison(x):
    return torch.cat((x, (x[:, :1] == x[:, :1]).to(x.dtype)), 1)
