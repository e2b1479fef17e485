"""The key of u08-hunt-evaluate."""

import torch
import torch.nn.functional as F

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, NUMBERS, ON_CPU, SINGLE, normal

evaluation = Key(
    "u08-hunt-evaluate",
    hints=(
        "After the first symptom: seven samples in batches of 3, 3 and 1. How much does the last sample count? After the second: which line "
        "is the last that changes the model?",
        "Collect sums over samples and divide once, at the end; cross_entropy has a `reduction`. And remember how the model was before you "
        "change its mode.",
        "A near-example for the mode: `was = torch.is_grad_enabled()`, `torch.set_grad_enabled(False)`, …, `torch.set_grad_enabled(was)`; not "
        "`True`, since it may have "
        "been off before.",
    ),
    cases=2,
    tolerance={
        "loss": SINGLE,
        "accuracy": Tolerance(1e-6, 0, "a quotient of two counts"),
        "mode_after": EXACT,
        "recording": EXACT,
        "graphs": EXACT,
        "running_mean_after": EXACT,
        "weight_after": EXACT,
    },
    weights={"loss": 2, "accuracy": 2, "mode_after": 2},
    guards=("recording", "running_mean_after", "weight_after", "graphs"),
    equivalent=dict.fromkeys(
        (
            "line 6: x.to(device) -> x.to()",
            "line 6: x.to(device) -> x",
            "line 6: y.to(device) -> y.to()",
            "line 6: y.to(device) -> y",
        ),
        ON_CPU,
    )
    | dict.fromkeys(
        (
            'line 7: F.cross_entropy(logits, y, reduction="sum").item() -> F.cross_entropy(logits, y, reduction="sum")',
            "line 8: (logits.argmax(1) == y).sum().item() -> (logits.argmax(1) == y).sum()",
        ),
        NUMBERS,
    ),
)


@evaluation.inputs
def _(g, case):
    n, d, k, sizes = [(8, 3, 4, [3, 8, 5]), (11, 4, 3, [4, 11, 3])][case]
    while True:
        x, w, running, y = normal(g, n, d) + 0.5, normal(g, d, k), normal(g, d), torch.randint(k, (n,), generator=g)
        logits = (x - running) @ w + w.mean(0)
        batches = [[(part @ w + w.mean(0)).argmax(1) for part in (x - running).split(size)] for size in sizes]
        right = logits.argmax(1) == y
        means = [[part.float().mean().item() for part in right.split(size)] for size in sizes]
        if (
            2 <= right.sum() <= n - 3
            and batches
            and all(abs(sum(m) / len(m) - right.float().mean()) > 0.02 for m in (means[0], means[2]))
        ):
            return {"x": x, "y": y, "w": w, "running": running, "batch_sizes": sizes, "mode": case == 0}


def evaluating(
    model,
    loader,
    switch=True,
    back="as before",
    weigh_loss=True,
    weigh_accuracy=True,
    off=True,
    loss_of=F.cross_entropy,
    sums=False,
    percent=1,
):
    """A right evaluate, of which each part can be exchanged."""
    mode = model.training
    loss = right = count = batches = 0
    if switch:
        model.eval()
    with torch.set_grad_enabled(not off):
        for x, y in loader:
            z = model(x)
            mean, hits = loss_of(z, y).item(), (z.argmax(1) == y).float().mean().item()
            loss, right = loss + mean * (len(y) if weigh_loss else 1), right + hits * (len(y) if weigh_accuracy else 1)
            count, batches = count + len(y), batches + 1
    if back == "as before":
        model.train(mode)
    elif back == "training":
        model.train()
    if sums:
        return loss, right
    return loss / (count if weigh_loss else batches), percent * right / (count if weigh_accuracy else batches)


def wrong_evaluation(name, hint, **parts):
    def answer(model, loader):
        return evaluating(model, loader, **parts)

    answer.__name__ = name
    evaluation.wrong(hint)(answer)


wrong_evaluation(
    "evaluate_mean_of_means",
    "The mode of `{function}` is mended; its means are still means of the batches' means, so they depend on the batch size. "
    "Weigh by the number of samples.",
    weigh_loss=False,
    weigh_accuracy=False,
)
wrong_evaluation(
    "evaluate_loss_of_means",
    "The accuracy of `{function}` is right; its loss is still a mean of means.",
    weigh_loss=False,
)
wrong_evaluation(
    "evaluate_accuracy_of_means",
    "The loss of `{function}` is right; its accuracy is still a mean of means.",
    weigh_accuracy=False,
)
wrong_evaluation(
    "evaluate_stays_in_eval",
    "The numbers of `{function}` are right now. The model still stays in evaluation mode, and whoever trains on, trains without "
    "dropout and with frozen batch statistics.",
    back="never",
)
wrong_evaluation(
    "evaluate_always_trains",
    "`{function}` leaves every model in training mode, also one that was being used and not trained. Put back the mode that it had.",
    back="training",
)
wrong_evaluation(
    "evaluate_in_training",
    "`{function}` no longer switches to evaluation mode: batch norm uses the batch's own mean, so the result depends on who shares a batch, and "
    "measuring changes the running statistics.",
    switch=False,
)
wrong_evaluation("evaluate_sums", "`{function}` returns sums. Divide both by the number of samples.", sums=True)
wrong_evaluation(
    "evaluate_percent",
    "The accuracy of `{function}` is in percent. The docstring asks for a mean, between 0 and 1.",
    percent=100,
)
wrong_evaluation(
    "evaluate_double_softmax",
    "`{function}` measures the cross-entropy of probabilities: a softmax too many.",
    loss_of=lambda z, y: F.cross_entropy(z.softmax(1), y),
)

wrong_evaluation(
    "evaluate_builds_graphs",
    "`{function}` lets autograd record a graph for each batch, which nobody will use: time and memory. Measure under torch.no_grad().",
    off=False,
)


@evaluation.wrong(
    "`{function}` switches recording off for good: after it, nobody gets a gradient any more. Use `with torch.no_grad():`."
)
def evaluate_switches_off(model, loader):
    found = evaluating(model, loader)
    torch.set_grad_enabled(False)
    return found


@evaluation.variant
def evaluate_at_once(model, loader):
    was, where = model.training, next(model.parameters()).device
    try:
        with torch.inference_mode():
            model.eval()
            pairs = [(model(x.to(where)), y.to(where)) for x, y in loader]
        z, y = torch.cat([z for z, _ in pairs]), torch.cat([y for _, y in pairs])
        return F.cross_entropy(z, y).item(), (z.argmax(1) == y).double().mean().item()
    finally:
        model.train(was)


@evaluation.variant
@torch.no_grad()
def evaluate_by_lists(model, loader):
    modes = {module: module.training for module in model.modules()}
    losses, hits = [], []
    for x, y in loader:
        model.eval()
        where = next(model.parameters()).device
        z, y = model(x.to(where)), y.to(where)
        losses += F.cross_entropy(z, y, reduction="none").tolist()
        hits += z.max(1).indices.eq(y).tolist()
    for module, mode in modes.items():
        module.training = mode
    return sum(losses) / len(losses), sum(hits) / len(hits)
