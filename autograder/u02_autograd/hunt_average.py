"""The key of u02-hunt-average."""

import torch
from torch import nn

from coursekit.course.authoring import Key

from ._shared import EXACT, SINGLE, normal

average = Key(
    "u02-hunt-average",
    hints=(
        "What does `total` reach after three rounds, if you follow its grad_fn?",
        "A tensor with a history keeps that history alive. Add up something that has none.",
        "A near-example: to remember the largest weight of each round, `largest.append(w.max())` keeps tensors with a history, "
        "`largest.append(w.max().item())` keeps numbers.",
    ),
    cases=2,
    guards=("alive_afterwards", "weight_after", "grad_after", "recording_after"),
    weights={"growth": 4},
    tolerance={"average": SINGLE, "weight_after": EXACT},
)


@average.inputs
def _(g, case):
    k, d = [(2, 3), (4, 2)][case]
    sizes = [(4, 3, 5, 2), (2, 4, 3, 5, 6)][case]
    return {"weight": normal(g, k, d), "xs": [normal(g, n, d) for n in sizes], "ys": [normal(g, n, k) for n in sizes]}


@average.oracle
def _(weight, xs, ys):
    losses = [((torch.tanh(x.double() @ weight.double().T) - y.double()) ** 2).mean() for x, y in zip(xs, ys, strict=True)]
    return {"average": (sum(losses) / len(losses)).item(), "growth": 0, "alive_afterwards": 0, "weight_after": weight}


def batch_losses(model, batches):
    return [((model(x) - y) ** 2).mean() for x, y in batches]


@average.wrong("The average of `{function}` is right, but a list of losses keeps their graphs alive as well as their sum did. What should "
               "the list hold?")
def collects_losses(model, batches):
    return torch.stack(batch_losses(model, batches)).mean()


@average.wrong("`{function}` calls backward to set the saved tensors free. That works, and it leaves gradients in the model's parameters, "
               "which should come out as they went in. Nothing needs to be walked here.")
def frees_by_backward(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        total, count = total + loss.item(), count + 1
    return total / count


@average.wrong("`{function}` switches recording off and not on again: whoever trains after it will be surprised. Use "
               "`with torch.no_grad():`, which ends with its block.")
def switches_off_for_good(model, batches):
    torch.set_grad_enabled(False)
    losses = batch_losses(model, batches)
    return (sum(losses) / len(losses)).item()


@average.wrong("`{function}` tells the model's parameters not to require grad, and leaves them so. The model should come out as it went "
               "in.")
def freezes_the_model(model, batches):
    model.requires_grad_(False)
    losses = batch_losses(model, batches)
    return (sum(losses) / len(losses)).item()


@average.wrong("Memory no longer grows, but `{function}` returns the last batch's loss. Add them up, as numbers.")
def last_batch(model, batches):
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean().item()
    return loss


@average.wrong("Memory no longer grows, but `{function}` returns the sum over the batches. Divide by their number.")
def sum_of_batches(model, batches):
    return sum(((model(x) - y) ** 2).mean().item() for x, y in batches)


@average.wrong("`{function}` returns zero. Is the loss still added to the total?")
def nothing_added(model, batches):
    for _ in batches:
        pass
    return 0.0


@average.wrong("`{function}` divides by the number of samples. The docstring averages over batches.")
def per_sample(model, batches):
    losses, samples = 0.0, 0
    for x, y in batches:
        losses += ((model(x) - y) ** 2).mean().item()
        samples += len(x)
    return losses / samples


@average.wrong("`{function}` keeps the history of one batch: the average that it returns still tracks gradients. The docstring asks for a "
               "float.")
def returns_a_tensor(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        loss = ((model(x) - y) ** 2).mean()
        total, count = total + loss.item(), count + 1
    return loss - loss.item() + total / count


@average.variant
def average_without_recording(model, batches):
    total, count = 0.0, 0
    for x, y in batches:
        with torch.no_grad():
            total = total + ((model(x) - y) ** 2).mean()
        count += 1
    return (total / count).item()


@average.variant
def average_detached(model, batches):
    losses = []
    for x, y in batches:
        losses.append(nn.functional.mse_loss(model(x), y).detach())
    return torch.stack(losses).mean().item()


@average.variant
@torch.no_grad()
def average_decorated(model, batches):
    losses = [float(((model(x) - y) ** 2).mean()) for x, y in batches]
    return sum(losses) / len(losses)
