"""The key of u08-confusions."""

import torch
import torch.nn.functional as F

from coursekit.course.authoring import Key

from ._shared import EXACT, NUMBERS, ON_CPU, normal

confused = Key(
    "u08-confusions",
    hints=(
        "If the same cell of the matrix occurs three times in a batch, how often does `matrix[labels, predicted] += 1` raise it?",
        "Collect logits and labels of all batches and put them together. `index_put_` with accumulate=True adds repeated places up; "
        "`argsort(descending=True)` of the losses "
        "brings the most confident mistakes to the top.",
        "A near-example: `pairs = labels * K + predicted`, `torch.bincount(pairs, minlength=K * K).view(K, K)` counts pairs of numbers below K.",
    ),
    tolerance=EXACT,
    weights={"matrix": 2, "worst": 2},
    guards=("mode_after", "running_mean_after", "graphs"),
    equivalent=dict.fromkeys(
        (
            "line 4: x.to(device) -> x.to()",
            "line 4: x.to(device) -> x",
            "line 6: torch.cat([y for _, y in loader]).to(device) -> torch.cat([y for _, y in loader]).to()",
            "line 6: torch.cat([y for _, y in loader]).to(device) -> torch.cat([y for _, y in loader])",
            "line 8: …], dtype=torch.int64, device=device) -> torch.zeros(logits.shape[1], logits.shape[1], dtype=torch.int64)",
        ),
        ON_CPU,
    )
    | dict.fromkeys(
        (
            "line 11: losses.argsort(descending=True).tolist() -> losses.argsort(descending=True)",
            "line 12: labels[i].item() -> labels[i]",
            "line 12: predicted[i].item() -> predicted[i]",
        ),
        NUMBERS,
    ),
)


@confused.inputs
def _(g, case):
    n, d, k, size, top = [(23, 3, 4, 5, 0), (17, 5, 3, 6, 4), (12, 4, 5, 5, 40)][case]
    while True:
        x, w, running, y = 2 * normal(g, n, d), normal(g, d, k), normal(g, d), torch.randint(k - 1, (n,), generator=g)
        z = (x - running) @ w
        predicted, losses = z.argmax(1), F.cross_entropy(z, y, reduction="none")
        wrong = losses[predicted != y]
        matrix = torch.zeros(k, k)
        matrix[y, predicted] += 1  # each pair once: repeated pairs must occur
        enough = (8 if case < 2 else 3) <= len(wrong) <= n - 3 and matrix.sum() < n - 2
        apart = losses.sort().values.diff().min() > 1e-3 and (matrix != matrix.T).any()
        if enough and apart and losses[predicted == y].max() > wrong.min():
            return {
                "x": x,
                "y": y,
                "w": w,
                "running": running,
                "batch_size": size,
                "k": top or len(wrong),
                "mode": case != 1,
            }


def counting(
    model,
    loader,
    k,
    switch=True,
    back=True,
    transposed=False,
    repeated=True,
    by="loss",
    keep_right=False,
    largest=True,
    swap=False,
    first=False,
    size=None,
    off=True,
):
    """Right confusions, of which each part can be exchanged."""
    mode = model.training
    if switch:
        model.eval()
    with torch.set_grad_enabled(not off):
        pairs = [(model(x), y) for x, y in loader]
    if back:
        model.train(mode)
    z, y = torch.cat([z for z, _ in pairs]), torch.cat([y for _, y in pairs])
    predicted = z.argmax(1)
    size = size(y) if size else z.shape[1]
    matrix = torch.zeros(size, size, dtype=torch.int64)
    a, b = (predicted, y) if transposed else (y, predicted)
    if repeated:
        matrix.index_put_((a, b), torch.ones_like(a), accumulate=True)
    else:
        matrix[a, b] += 1
    losses = {
        "loss": F.cross_entropy(z, y, reduction="none"),
        "order": -torch.arange(len(y)),
        "probability": z.softmax(1).amax(1),
    }[by]
    order = losses.argsort(descending=largest).tolist()
    order = order[:k] if first else order
    wrong = [i for i in order if keep_right or predicted[i] != y[i]]
    return matrix, [
        (i, *((predicted[i].item(), y[i].item()) if swap else (y[i].item(), predicted[i].item()))) for i in wrong[:k]
    ]


def wrong_counts(name, hint, **parts):
    def answer(model, loader, k):
        return counting(model, loader, k, **parts)

    answer.__name__ = name
    confused.wrong(hint)(answer)


wrong_counts(
    "counts_transposed", "The matrix of `{function}` is transposed: rows are the true letters.", transposed=True
)
wrong_counts(
    "counts_pairs_once",
    "`matrix[labels, predicted] += 1` in `{function}` raises a cell once, however often it occurs. Repeated places must add up.",
    repeated=False,
)
wrong_counts(
    "counts_in_training_mode",
    "`{function}` measures in training mode: batch norm uses the batch's own mean and changes its running statistics.",
    switch=False,
)
wrong_counts(
    "counts_stays_in_eval",
    "`{function}` leaves the model in evaluation mode. Put back the mode that it had.",
    back=False,
)
wrong_counts(
    "counts_with_graphs",
    "`{function}` lets autograd record a graph of the whole data set, since all logits are kept. Measure under torch.no_grad().",
    off=False,
)
wrong_counts(
    "counts_by_order",
    "worst of `{function}` are the first mistakes in the loader's order. Sort by loss, largest first.",
    by="order",
)
wrong_counts(
    "counts_by_confidence",
    "`{function}` sorts by the probability of its own answer. The loss looks at the probability of the *true* letter; the two orders differ.",
    by="probability",
)
wrong_counts(
    "counts_mildest_first",
    "worst of `{function}` begins with the mildest mistake. The largest loss comes first.",
    largest=False,
)
wrong_counts(
    "counts_right_ones",
    "worst of `{function}` holds pictures whose letter was predicted right. A large loss is not yet a mistake.",
    keep_right=True,
)
wrong_counts(
    "counts_cuts_first",
    "`{function}` takes the k largest losses and then drops what is right, so fewer than k are left. Drop first, then cut.",
    first=True,
)
wrong_counts(
    "counts_swapped_pair", "The tuples of `{function}` hold the predicted letter before the true one.", swap=True
)
wrong_counts(
    "counts_small_matrix",
    "The matrix of `{function}` has as many rows as there are letters among the labels. A letter without a picture has a row of zeros; take "
    "the number of logits.",
    size=lambda y: int(y.max()) + 1,
)


@confused.wrong(
    "index in worst of `{function}` counts within a batch. It should count all samples, so that dataset[index] is the picture."
)
def counts_within_batches(model, loader, k):
    matrix, worst = counting(model, loader, k)
    return matrix, [(i % loader.batch_size, true, predicted) for i, true, predicted in worst]


@confused.wrong("The matrix of `{function}` holds shares. The docstring asks for counts, int64.")
def counts_as_shares(model, loader, k):
    matrix, worst = counting(model, loader, k)
    return matrix / matrix.sum(), worst


@confused.variant
def counts_by_bincount(model, loader, k):
    was = model.training
    model.eval()
    rows, losses, at = [], [], 0
    with torch.inference_mode():
        for x, y in loader:
            z = model(x.to(next(model.parameters()).device)).cpu()
            for i, (true, predicted, loss) in enumerate(
                zip(y.tolist(), z.argmax(1).tolist(), F.cross_entropy(z, y, reduction="none").tolist(), strict=True)
            ):
                rows.append((at + i, true, predicted))
                losses.append(loss)
            at += len(y)
    model.train(was)
    n = z.shape[1]
    matrix = torch.bincount(torch.tensor([true * n + predicted for _, true, predicted in rows]), minlength=n * n).view(
        n, n
    )
    order = sorted((i for i, true, predicted in rows if true != predicted), key=lambda i: -losses[i])
    return matrix, [rows[i] for i in order[:k]]


@confused.variant
def counts_by_loops(model, loader, k):
    _, worst = counting(model, loader, k)
    everything = counting(model, loader, 10**6, keep_right=True)[1]
    n = [*model.parameters()][-1].shape[0]
    matrix = [[0] * n for _ in range(n)]
    for _, true, predicted in everything:
        matrix[true][predicted] += 1
    return torch.tensor(matrix), worst
