"""The key of u08-hunt-overfit."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, normal

overfit = Key(
    "u08-hunt-overfit",
    hints=(
        "Which function in the loop turns logits into probabilities? How many of them do?",
        "Look up what F.cross_entropy expects as its first argument. Then compare with what it gets.",
        "A near-example: `F.cross_entropy(torch.tensor([[9.0, 0.0]]), torch.tensor([0]))` is 0.0001. With the softmax of the same logits it "
        "is 0.3133, and with larger "
        "logits it does not get smaller.",
    ),
    cases=2,
    tolerance={
        "losses": Tolerance(1e-4, 1e-5, "float32, six steps of Adam"),
        "logits_after": Tolerance(1e-3, 1e-4, "float32, six steps of Adam"),
        "training": EXACT,
        "leftover_graph": EXACT,
    },
    guards=("training", "leftover_graph"),
)


@overfit.inputs
def _(g, case):
    n, d, h, k = [(5, 4, 6, 3), (7, 3, 5, 4)][case]
    return {
        "x": normal(g, n, d),
        "y": torch.randint(k, (n,), generator=g),
        "w1": normal(g, d, h),
        "w2": normal(g, h, k),
        "lr": 0.05 + 0.05 * case,
    }


def overfitting(
    model,
    x,
    y,
    steps,
    lr,
    loss_of=F.cross_entropy,
    make=torch.optim.Adam,
    when="before",
    zero=True,
    mode=True,
    keep=False,
):
    """A right overfit_batch, of which each part can be exchanged."""
    optimizer, losses = make(model.parameters(), lr=lr), []
    model.train(mode)
    for _ in range(steps):
        loss = loss_of(model(x), y)
        if zero:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if when == "after":
            loss = loss_of(model(x), y)
        losses.append(loss if keep else loss.item())
    return losses


def wrong_overfit(name, hint, **parts):
    def answer(model, x, y, steps, lr):
        return overfitting(model, x, y, steps, lr, **parts)

    answer.__name__ = name
    overfit.wrong(hint)(answer)


wrong_overfit(
    "overfit_nll_of_probabilities",
    "`{function}` now has nll_loss of the probabilities, which takes *log*-probabilities: its losses are negative. "
    "Go back to cross_entropy.",
    loss_of=lambda z, y: F.nll_loss(z.softmax(1), y),
)
wrong_overfit(
    "overfit_sum",
    "`{function}` adds the losses of the batch up; cross_entropy takes the mean unless told otherwise.",
    loss_of=lambda z, y: F.cross_entropy(z, y, reduction="sum"),
)
wrong_overfit(
    "overfit_sgd", "`{function}` uses another optimizer than Adam. The optimizer was not the bug.", make=torch.optim.SGD
)
wrong_overfit(
    "overfit_after",
    "`{function}` records each loss after its step. The docstring says before: the first number is to be compared with ln K.",
    when="after",
)
wrong_overfit(
    "overfit_no_zero",
    "`{function}` no longer clears the gradients: each step uses the sum of all before it.",
    zero=False,
)
wrong_overfit(
    "overfit_in_eval", "`{function}` leaves the model in evaluation mode. This test is about training.", mode=False
)
wrong_overfit(
    "overfit_keeps_graphs",
    "`{function}` returns tensors, each of which keeps its graph alive. Take the number out with .item().",
    keep=True,
)
wrong_overfit(
    "overfit_sigmoid",
    "`{function}` now has a sigmoid where the softmax was. cross_entropy takes what the model returns, with nothing in between.",
    loss_of=lambda z, y: F.cross_entropy(z.sigmoid(), y),
)
wrong_overfit(
    "overfit_log_of_softmax_axis",
    "`{function}` takes log_softmax over the batch instead of the classes. And cross_entropy does it itself: leave it out.",
    loss_of=lambda z, y: F.nll_loss(z.log_softmax(0), y),
)


@overfit.variant
def overfit_by_nll(model, x, y, steps, lr):
    return overfitting(model, x, y, steps, lr, loss_of=lambda z, y: F.nll_loss(F.log_softmax(z, dim=1), y))


@overfit.variant
def overfit_log_softmax_twice(model, x, y, steps, lr):
    """log-softmax of log-softmax is log-softmax: not the mistake."""
    return overfitting(
        model, x, y, steps, lr, loss_of=lambda z, y: nn.CrossEntropyLoss()(z - z.logsumexp(1, keepdim=True), y)
    )
