"""The key of u08-train-epoch."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, ON_CPU, SINGLE, normal

epoch = Key(
    "u08-train-epoch",
    hints=(
        "The last batch has 2 pictures, the others 4. By which number must each batch's mean loss be multiplied before you add?",
        "Before the loop: the mode, the device of a parameter, two running sums. In the loop: move, forward, loss, zero_grad, backward, step, "
        "and the sums.",
        "A near-example for the mean: batches with means 1.0 (4 samples) and 4.0 (2 samples): `total += mean * n; count += n`, and `total / "
        "count` is 2.0, not 2.5.",
    ),
    cases=2,
    tolerance={
        "loss": SINGLE,
        "weight": Tolerance(1e-4, 1e-6, "float32, three steps through a batch norm"),
        "bias": Tolerance(1e-4, 1e-6, "the same"),
        "running_mean": SINGLE,
        "batches_seen": EXACT,
        "training": EXACT,
    },
    weights={"loss": 2, "weight": 2},
    guards=("training",),
    equivalent=dict.fromkeys(
        (
            "line 1: device = next(model.parameters()).device -> pass",
            "line 5: x, y = x.to(device), y.to(device) -> pass",
            "line 5: x.to(device) -> x.to()",
            "line 5: x.to(device) -> x",
            "line 5: y.to(device) -> y.to()",
            "line 5: y.to(device) -> y",
        ),
        ON_CPU,
    ),
)


@epoch.inputs
def _(g, case):
    n, d, k, size = [(10, 3, 4, 4), (8, 4, 3, 5)][case]
    return {
        "x": normal(g, n, d) + 0.5,
        "y": torch.randint(k, (n,), generator=g),
        "w": normal(g, d, k),
        "stale": normal(g, k, d),
        "lr": 0.2 + 0.1 * case,
        "batch_size": size,
    }


def training(
    model,
    loader,
    optimizer,
    loss_of=F.cross_entropy,
    mode=True,
    zero="before",
    weigh=True,
    step=True,
    keep=False,
    mean=True,
    per_sample=1.0,
):
    """A right train_epoch, of which each part can be exchanged."""
    total, count = 0.0, 0
    if mode is not None:
        model.train(mode)
    for x, y in loader:
        if zero == "between":
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.zero_grad()
        else:
            if zero == "before":
                optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
        if step:
            optimizer.step()
        total = total + (loss if keep else loss.item()) * (len(y) if weigh else 1)
        count += len(y) if weigh else 1
    return total / count if mean else total


def wrong_epoch(name, hint, **parts):
    def answer(model, loader, optimizer):
        return training(model, loader, optimizer, **parts)

    answer.__name__ = name
    epoch.wrong(hint)(answer)


wrong_epoch(
    "epoch_mean_of_means",
    "The training is right; the loss of `{function}` is the mean of the batches' means. The last batch is smaller, so its pictures count more. "
    "Weigh each mean by its batch's size.",
    weigh=False,
)
wrong_epoch(
    "epoch_double_softmax",
    "`{function}` gives cross_entropy probabilities instead of logits: a softmax too many. With ten letters the loss cannot fall below 1.461.",
    loss_of=lambda z, y: F.cross_entropy(z.softmax(1), y),
)
wrong_epoch(
    "epoch_in_eval",
    "`{function}` trains in whatever mode the model is in. After an evaluation that is the wrong one; call model.train() first.",
    mode=None,
)
wrong_epoch(
    "epoch_never_zero",
    "`{function}` never clears the gradients: each step uses the sum of all batches so far, and of what was left over before.",
    zero="never",
)
wrong_epoch(
    "epoch_zero_between",
    "The weights of `{function}` do not move: there is no step, or the gradients are cleared between backward and step. Which order has "
    "unit 7?",
    zero="between",
)
wrong_epoch(
    "epoch_keeps_graphs",
    "`{function}` returns a tensor that requires grad: the sum keeps the graph of every batch alive. Add loss.item().",
    keep=True,
)
wrong_epoch(
    "epoch_sum",
    "`{function}` returns the sum over the samples. Divide by their number, or losses of sets of different sizes cannot be compared.",
    mean=False,
)


@epoch.wrong(
    "`{function}` returns the last batch's loss alone. It says little about the epoch; the docstring asks for the mean over all samples."
)
def epoch_last_batch(model, loader, optimizer):
    last = []
    training(model, loader, optimizer, loss_of=lambda z, y: last.append(F.cross_entropy(z, y)) or last[-1])
    return last[-1].item()


@epoch.wrong(
    "`{function}` divides by the number of batches after weighing by size, or the other way round. One kind of counting for both sums."
)
def epoch_counts_batches(model, loader, optimizer):
    return training(model, loader, optimizer, mean=False) / len(loader)


@epoch.wrong(
    "`{function}` leaves the model in evaluation mode. Whoever calls it decides what comes next; end where you began to train."
)
def epoch_ends_in_eval(model, loader, optimizer):
    loss = training(model, loader, optimizer)
    model.eval()
    return loss


@epoch.wrong(
    "`{function}` measures the loss a second time, after the step, so that it belongs to a model that has seen the batch. Take the loss that "
    "was differentiated."
)
def epoch_after_step(model, loader, optimizer):
    total, count = 0.0, 0
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            frozen = model.state_dict()["1.running_mean"].clone(), model.state_dict()["1.num_batches_tracked"].clone()
            total += F.cross_entropy(model(x), y, reduction="sum").item()
            model[1].running_mean.copy_(frozen[0])
            model[1].num_batches_tracked.copy_(frozen[1])
        count += len(y)
    return total / count


@epoch.variant
def epoch_with_lists(model, loader, optimizer):
    losses, sizes = [], []
    model.train()
    for x, y in loader:
        device = next(p.device for p in model.parameters())
        x, y = x.to(device), y.to(device)
        model.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        sizes.append(len(x))
    return (torch.stack(losses) * torch.tensor(sizes, device=losses[0].device)).sum().item() / sum(sizes)


@epoch.variant
def epoch_per_sample(model, loader, optimizer):
    everything = []
    model.train()
    for x, y in loader:
        to = next(iter(model.parameters()))
        each = F.cross_entropy(model(x.to(to.device)), y.to(to.device), reduction="none")
        optimizer.zero_grad(set_to_none=True)
        each.mean().backward()
        optimizer.step()
        everything += each.tolist()
    return sum(everything) / len(everything)
