"""The key of u01-batch-diagonals-backward."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import BY_HAND, EXACT, ON_CPU, normal

scatter = Key(
    "u01-batch-diagonals-backward",
    forbids=BY_HAND,
    hints=(
        "For n = 3 and m = 5: to which entry of the matrix does each of the 5 upstream numbers go back? "
        "Which entries get two?",
        "Start from zeros of shape (B, n·n). Number i of a row of g belongs to the diagonal entry i mod n, "
        "and in a row of n·n numbers the entry (j, j) lies n + 1 places behind (j - 1, j - 1). "
        "`scatter_add_` wants an index as large as g.",
        "A near-example: bin counts with weights. `totals = torch.zeros(B, 4)`, then "
        "`totals.scatter_add_(1, bins, weights)`, where bins (B, m) says for each weight in which of 4 bins "
        "it falls. Weights that share a bin add up.",
    ),
    cases=3,
    guards=("g_after",),
    weights={"grad_t": 6},
    equivalent={"line 2: torch.arange(steps, device=g.device) -> torch.arange(steps)": ON_CPU},
    tolerance={"grad_t": Tolerance(1e-6, 1e-6, "float32 sums of up to 4 numbers, in any order"),
               "g_after": EXACT},
)


@scatter.inputs
def _(g, case):
    batch, steps, n = [(2, 3, 3), (3, 8, 2), (2, 4, 5)][case]
    return {"g": normal(g, batch, steps), "n": n}


@scatter.oracle
def _(g, n):
    leaf = torch.zeros(len(g), n, n, dtype=torch.float64, requires_grad=True)
    walked = torch.cat([torch.diagonal(leaf, dim1=1, dim2=2)] * (g.shape[1] // n + 1), dim=1)[:, :g.shape[1]]
    return {"grad_t": torch.autograd.grad(walked, leaf, g.double())[0], "g_after": g}


def scattered(g, n):
    """The right answer by a matrix of ones and zeros: which of the m numbers goes to which diagonal entry."""
    walk, entry = torch.arange(g.shape[1], device=g.device), torch.arange(n, device=g.device)
    goes = walk.unsqueeze(1) % n == entry
    return torch.diag_embed(g @ goes.to(g.dtype))


@scatter.wrong("`{function}` is right where each entry was picked once, and keeps only one number where "
               "several come back. `scatter_`, assignment by index and indexed `+=` overwrite; what adds?")
def last_one_wins(g, n):
    grad = torch.zeros(len(g), n, n, dtype=g.dtype, device=g.device)
    for i in range(g.shape[1]):
        grad[:, i % n, i % n] = g[:, i]
    return grad


@scatter.wrong("`{function}` averages the numbers that return to one entry. In the forward pass each of "
               "them was a use of its own, and uses add up.")
def mean_of_returns(g, n):
    return scattered(g, n) / scattered(torch.ones_like(g), n).clamp(min=1)


@scatter.wrong("`{function}` uses the first n numbers of each row of g and ignores the second time round "
               "the diagonal. Where do the later ones go?")
def first_round_only(g, n):
    return scattered(g[:, :n], n)


@scatter.wrong("`{function}` makes matrices of size m, read off g. The matrices of the forward pass were "
               "(n, n), and the walk wraps round.")
def ignores_n(g, n):
    return torch.diag_embed(g)


@scatter.wrong("Only the first matrix of `{function}` is filled: an index with one row is not repeated for "
               "the batch. Expand it to the shape of g.")
def index_for_one_matrix(g, n):
    grad = scattered(g, n)
    grad[1:] = 0
    return grad


@scatter.wrong("`{function}` fills whole rows of the matrices. Only diagonal entries were picked; "
               "everything else played no part and gets 0.")
def fills_rows(g, n):
    return scattered(g, n).sum(dim=2, keepdim=True).expand(-1, -1, n).clone()


@scatter.wrong("`{function}` fills the other diagonal, from the top right to the bottom left. In a row of "
               "n·n numbers the main diagonal's entries are n + 1 apart, the other's n - 1.")
def fills_other_diagonal(g, n):
    return scattered(g, n).flip(2)


@scatter.wrong("`{function}` returns zeros. Methods without a final underscore return a new tensor and "
               "leave `grad` alone; is the result dropped?")
def scatter_zero(g, n):
    return torch.zeros_like(scattered(g, n))


@scatter.wrong("`{function}` counts how often each entry was picked, and does not use the numbers in g: it "
               "is right only for an upstream of ones.")
def counts_picks(g, n):
    return scattered(torch.ones_like(g), n)


@scatter.wrong("`{function}` adds the matrices of all samples up: every matrix of the batch holds the "
               "total. Each row of g belongs to its own matrix.")
def sums_over_batch(g, n):
    return scattered(g, n).sum(dim=0, keepdim=True).expand(len(g), n, n).clone()


@scatter.wrong("The numbers of `{function}` are right, but their shape is (B, n·n). Arrange them as "
               "matrices before you return them.")
def stays_flat(g, n):
    return scattered(g, n).flatten(1)


@scatter.wrong("The gradient of `{function}` is right, but g has changed: the rounds were added up inside "
               "the caller's tensor. Collect them in one of your own.")
def folds_g_in_place(g, n):
    grad = scattered(g, n)
    for i in range(g.shape[1] - 1, n - 1, -1):
        g[:, i - n] += g[:, i]
    if g.shape[1] <= n:
        g.mul_(2)
    return grad


@scatter.variant
def scatter_by_index_put(g, n):
    batch, steps = g.shape
    walk = torch.arange(steps, device=g.device) % n
    grad = g.new_zeros(batch, n, n)
    sample = torch.arange(batch, device=g.device).unsqueeze(1)
    return grad.index_put_((sample, walk, walk), g, accumulate=True)


@scatter.variant
def scatter_by_loop(g, n):
    grad = torch.zeros(n, n, len(g), dtype=g.dtype, device=g.device)
    for i, column in enumerate(g.T):
        grad[i % n, i % n] += column
    return grad.permute(2, 0, 1)


@scatter.variant
def scatter_by_matrix(g, n):
    eye = torch.eye(n, dtype=g.dtype, device=g.device)
    walk = eye[torch.arange(g.shape[1], device=g.device) % n]
    return torch.einsum("bi,ij,ik->bjk", g, walk, walk)
