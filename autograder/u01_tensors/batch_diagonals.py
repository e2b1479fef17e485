"""The key of u01-batch-diagonals."""

import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, ON_CPU, normal

diagonals = Key(
    "u01-batch-diagonals",
    forbids=("diagonal", "diag", "diag_embed"),
    hints=(
        "Row i of each matrix gives one number. In which column does it stand, and which shape must the "
        "index therefore have?",
        "The output of gather has the shape of its index, and the index is never broadcast: it needs three "
        "axes, (B, n, 1) for dim=2. `torch.arange`, `view` and `expand` build it; the last axis of the "
        "result is superfluous.",
        "A near-example: column 0 of each matrix of t (B, n, n) is `t.gather(2, torch.zeros(B, n, 1, "
        "dtype=torch.int64)).squeeze(2)`. There each row picks column 0.",
    ),
    guards=("kept_when_t_is_cleared", "t_after"),
    weights={"diagonals": 6},
    tolerance=EXACT,
    equivalent={"line 2: torch.arange(n, device=t.device) -> torch.arange(n)": ON_CPU},
)


@diagonals.inputs
def _(g, case):
    batch, n = [(2, 3), (5, 4), (1, 3)][case]
    return {"t": normal(g, batch, n, n)}


@diagonals.oracle
def _(t):
    found = torch.diagonal(t, dim1=1, dim2=2).clone()
    return {"diagonals": found, "kept_when_t_is_cleared": found, "t_after": t}


def column_of_rows(t):
    return torch.arange(t.shape[1], device=t.device).view(1, -1, 1).expand(t.shape[0], -1, 1)


@diagonals.wrong("`{function}` returns the first matrix's diagonal only, as (1, n): the index has size 1 "
                 "along the batch, and gather does not broadcast it. Repeat the index for every matrix of "
                 "the batch.")
def index_not_expanded(t):
    return t.gather(2, column_of_rows(t)[:1]).squeeze(2)


@diagonals.wrong("`{function}` returns shape (1, 1, n): an index of that shape picks n numbers from the "
                 "first row of the first matrix. The output has the shape of the index; which shape do you "
                 "want?")
def index_in_one_row(t):
    return t.gather(2, torch.arange(t.shape[1], device=t.device).view(1, 1, -1))


@diagonals.wrong("`{function}` returns the first row of each matrix. The index runs along the axis that it "
                 "replaces, so one row picks everything: let the index run along the rows.")
def first_rows(t):
    return t.gather(2, column_of_rows(t).transpose(1, 2)).squeeze(1)


@diagonals.wrong("`{function}` returns the first column of each matrix: the index (B, n, 1) replaces the "
                 "row, and the column stays 0. Which axis should `dim` name?")
def first_columns(t):
    return t.gather(1, column_of_rows(t)).squeeze(2)


@diagonals.wrong("The numbers of `{function}` are right, but an axis of size 1 is left over: (B, n, 1). "
                 "Take it away.")
def keeps_last_axis(t):
    return t.gather(2, column_of_rows(t))


@diagonals.wrong("`{function}` walks the other diagonal, from the top right to the bottom left. In which "
                 "column does row i have its diagonal entry?")
def other_diagonal(t):
    return t.gather(2, t.shape[1] - 1 - column_of_rows(t)).squeeze(2)


@diagonals.wrong("`{function}` returns the transposed result: (n, B). The batch comes first; each row of "
                 "the result belongs to one matrix.")
def diagonals_transposed(t):
    return t.gather(2, column_of_rows(t)).squeeze(2).T


@diagonals.wrong("`{function}` adds each diagonal up to one number. The entries themselves are wanted, n "
                 "for each matrix.")
def traces(t):
    return t.gather(2, column_of_rows(t)).squeeze(2).sum(dim=1)


@diagonals.wrong("`{function}` returns a view on t, as `torch.diagonal` and slices of strides do: when t is "
                 "cleared later, your diagonals become 0 too. gather makes memory of its own.")
def diagonal_view(t):
    return torch.diagonal(t, dim1=1, dim2=2)


@diagonals.wrong("`{function}` returns zeros instead of the diagonal's entries. Are the picked values what "
                 "you return?")
def diagonals_zero(t):
    return torch.zeros_like(t[:, 0])


@diagonals.wrong("The diagonals of `{function}` are right, but t has changed: something wrote into it in "
                 "place, such as `mul_` with a mask. Leave t as it was.")
def masks_t_in_place(t):
    t.mul_(torch.eye(t.shape[1], device=t.device))
    return t.sum(dim=2)


@diagonals.variant
def diagonals_along_rows(t):
    batch, n = t.shape[:2]
    return torch.gather(t, 1, torch.arange(n, device=t.device).repeat(batch, 1, 1)).squeeze(1)


@diagonals.variant
def diagonals_flat(t):
    batch, n, _ = t.shape
    places = torch.arange(0, n * n, n + 1, device=t.device)
    return t.reshape(batch, n * n).gather(1, places.repeat(batch, 1))


@diagonals.variant
def diagonals_by_loop(t):
    places = torch.arange(t.shape[1], device=t.device)
    return torch.stack([torch.stack([row.gather(0, i) for row, i in zip(m, places, strict=True)]) for m in t])
