"""The key of u09-hunt-epochs: steps instead of epochs."""

import copy
import itertools

import torch
import torch.nn.functional as F

from coursekit.course.authoring import Key

from ._shared import TRAINED, normal

epochs = Key(
    "u09-hunt-epochs",
    hints=(
        "How does Python ask an iterator for its next item? What should happen when there is none, though steps are left? And what does "
        "cross_entropy do with its input?",
        "`next(iterator)`; a new `iter(loader)` at each end, not at each step; `F.cross_entropy` takes logits.",
        "A near-example of a stream that starts again: `def forever(source):` with `while True:` and in it `yield from source`. Each turn "
        "asks the source for a new iterator.",
    ),
    cases=3,
    tolerance=TRAINED,
)


@epochs.inputs
def _(g, case):
    n, d, k, batch_size, steps = [(7, 3, 4, 3, 8), (5, 4, 3, 2, 7), (8, 2, 5, 3, 2)][case]
    orders = [torch.randperm(n, generator=g).tolist() for _ in range(steps + 1)]
    labels = torch.randint(0, k, (n,), generator=g)
    return {
        "x": normal(g, n, d),
        "y": labels,
        "w": 2 * normal(g, k, d),
        "orders": orders,
        "lr": 0.5,
        "batch_size": batch_size,
        "steps": steps,
    }


@epochs.oracle
def _(x, y, w, orders, lr, batch_size, steps):
    a, losses = w.double(), []
    batches = [order[i : i + batch_size] for order in orders for i in range(0, len(order), batch_size)]
    for chosen in batches[:steps]:
        rows, right = x[chosen].double(), F.one_hot(y[chosen], len(w)).double()
        p = torch.softmax(rows @ a.T, dim=1)
        losses.append(float(-(right * p.log()).sum() / len(chosen)))
        a = a - lr * (p - right).T @ rows / len(chosen)
    return {"losses": losses, "weight": a}


def stepped(model, batches, lr, steps, loss_of=F.cross_entropy):
    """The loop over a stream of batches, with the loss to choose."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for x, y in itertools.islice(batches, steps):
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def forever(loader):
    while True:
        yield from loader


def one_pass(loader, steps):
    """The batches of a loader that is never started again; StopIteration if there are too few."""
    batches, taken = iter(loader), []
    while len(taken) < steps:
        taken.append(next(batches))
    return taken


@epochs.wrong(
    "`{function}` gets its batches right; its losses stay near the floor, for the loss applies a softmax of its own to what has "
    "already been through one."
)
def train_double_softmax(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.cross_entropy(F.softmax(z, dim=1), y))


@epochs.wrong(
    "`{function}` makes a new iterator at each step, so each step sees the first batch of a new order. In shuffled epochs some samples "
    "come twice and others not at all."
)
def train_first_batch_each_time(model, loader, lr, steps):
    return stepped(model, (next(iter(loader)) for _ in range(steps)), lr, steps)


@epochs.wrong("`{function}` makes a new iterator at each step, and its loss still has one softmax too many.")
def train_first_batch_and_softmax(model, loader, lr, steps):
    return stepped(
        model, (next(iter(loader)) for _ in range(steps)), lr, steps, lambda z, y: F.cross_entropy(z.softmax(1), y)
    )


@epochs.wrong(
    "The first epoch of `{function}` is right. The later ones repeat its batches in the same order: `itertools.cycle`, and a list of the "
    "loader, keep what they saw once. "
    "They keep random augmentation, too, and the whole data set in memory."
)
def train_cycles(model, loader, lr, steps):
    return stepped(model, itertools.cycle(loader), lr, steps)


@epochs.wrong(
    "`{function}` stops after one epoch and returns fewer losses than steps. StopIteration is not to be silenced: it says that "
    "the loader wants to be started again."
)
def train_one_epoch(model, loader, lr, steps):
    return stepped(model, iter(loader), lr, steps)


@epochs.wrong(
    "At the end of the epoch `{function}` goes on with the batch that it has. Where does it ask the loader for a new iterator?"
)
def train_last_batch_again(model, loader, lr, steps):
    seen = list(loader)
    return stepped(model, itertools.chain(seen, itertools.repeat(seen[-1])), lr, steps)


@epochs.wrong(
    "`{function}` raises StopIteration: `next` works, and the loader is at its end before the steps are. Who starts it again?"
)
def train_stops(model, loader, lr, steps):
    return stepped(model, one_pass(loader, steps), lr, steps)


@epochs.wrong(
    "`{function}` raises StopIteration when there are more steps than batches: who starts the loader again? And where the steps suffice, "
    "its losses are not those of "
    "the logits."
)
def train_only_next(model, loader, lr, steps):
    return stepped(model, one_pass(loader, steps), lr, steps, lambda z, y: F.cross_entropy(z.softmax(1), y))


@epochs.wrong(
    "The losses of `{function}` are negative: `nll_loss` expects *log*-probabilities, and gets probabilities."
)
def train_nll_of_softmax(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.nll_loss(F.softmax(z, dim=1), y))


@epochs.wrong(
    "`{function}` leaves the short batch at the end of an epoch out. The docstring wants every batch of the loader."
)
def train_drops_the_short(model, loader, lr, steps):
    return stepped(model, (batch for batch in forever(loader) if len(batch[1]) == loader.batch_size), lr, steps)


@epochs.wrong("`{function}` sums the loss over a batch where the docstring says mean: its steps grow with the batch.")
def train_sums(model, loader, lr, steps):
    return stepped(model, forever(loader), lr, steps, lambda z, y: F.cross_entropy(z, y, reduction="sum"))


@epochs.wrong(
    "`{function}` reports losses and leaves the model as it was: the updates happen to a copy, or not at all."
)
def train_a_copy(model, loader, lr, steps):
    return stepped(copy.deepcopy(model), forever(loader), lr, steps)


@epochs.wrong("`{function}` adds up the gradients of all steps: the line that cleared them was healthy.")
def train_never_zeroes(model, loader, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for x, y in itertools.islice(forever(loader), steps):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@epochs.variant
def train_by_exception(model, loader, lr, steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    batches, losses = iter(loader), []
    for _ in range(steps):
        try:
            x, y = next(batches)
        except StopIteration:
            batches = iter(loader)
            x, y = next(batches)
        loss = F.nll_loss(F.log_softmax(model(x), dim=1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@epochs.variant
def train_by_epochs(model, loader, lr, steps):
    losses = []
    while len(losses) < steps:
        for x, y in loader:
            if len(losses) == steps:
                break
            loss = F.cross_entropy(model(x), y)
            grads = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for p, grad in zip(model.parameters(), grads, strict=True):
                    p -= lr * grad
            losses.append(loss.item())
    return losses
