"""The key of u08-fit."""

import contextlib
import os
from pathlib import Path

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT, draw, normal

resume = Key(
    "u08-fit",
    hints=(
        "If the process ends between two epochs, which objects that decide the rest of the training are lost with it?",
        "Write save first: one dict with five entries, each a state_dict(), a get_state() or a list. Then restore the same five, before the "
        "loop. The history's length is the "
        "number of epochs done.",
        'A near-example, a walk that can be resumed: `if path.exists(): saved = torch.load(path, weights_only=True); '
        'g.set_state(saved["g"]); x = saved["x"]`; '
        'after each step `torch.save({"g": g.get_state(), "x": x}, path)`.',
    ),
    cases=2,
    tolerance={
        name: EXACT
        for name in (
            "lengths",
            "files",
            "names",
            "gap",
            "gap_in_file",
            "gaps_in_history",
            "gap_after_a_crash",
            "valid_accuracy",
        )
    }
    | {
        "weight": Tolerance(1e-3, 1e-5, "float32, up to a dozen steps with momentum through a batch norm"),
        "train_loss": Tolerance(1e-3, 1e-5, "the same"),
        "valid_loss": Tolerance(1e-3, 1e-5, "the same"),
    },
    weights={"gap": 4, "gap_in_file": 2, "weight": 2, "train_loss": 2, "valid_loss": 2},
    guards=("files",),
    equivalent={
        "line 3: torch.load(path, weights_only=True) -> torch.load(path, weights_only=False)": "it reads the same file; what it would allow a "
                                                                                               "hostile file is told in 6.1"
    },
)


@resume.inputs
def _(g, case):
    n, d, k = [(8, 4, 3), (11, 3, 4)][case]  # no last batch of one: batch norm refuses it
    return {
        "x": normal(g, n, d),
        "y": torch.randint(k, (n,), generator=g),
        "w": normal(g, d, k),
        "epochs": 4 - case,
        "stops": [[1, 2], [2]][case],
        "lr": 0.2,
        "dropout": 0.5 * case,
        "seed": draw(g, 10, 1000),
    }


def fitting(
    model,
    optimizer,
    scheduler,
    train_loader,
    valid_loader,
    epochs,
    path,
    without=(),
    late=(),
    count="all",
    order="te",
    extra=False,
    atomic=True,
    steps=True,
):
    """A right fit, of which each part can be exchanged. without: parts that are not restored. late: parts saved before the epoch instead of after."""
    path, history, done = Path(path), [], 0
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    if path.exists():
        saved = torch.load(path, weights_only=True)
        for name, part in parts.items():
            if name not in without:
                part.load_state_dict(saved[name])
        if "buffers" in without:
            model[1].running_mean.zero_()
        if "shuffling" not in without:
            train_loader.generator.set_state(saved["shuffling"])
        if "random" not in without:
            torch.set_rng_state(saved["random"])
        if "history" not in without:
            history = saved["history"]
        done = saved["done"]
    left = range(epochs) if count == "more" else range(done, epochs)
    for number in left:
        before = {
            "shuffling": train_loader.generator.get_state(),
            "random": torch.get_rng_state(),
            "model": {k: v.clone() for k, v in model.state_dict().items()},
        }
        if order == "te":
            train_loss = train_epoch(model, train_loader, optimizer)
        loss, accuracy = evaluate(model, valid_loader)
        if order == "et":
            train_loss = train_epoch(model, train_loader, optimizer)
        if steps:
            scheduler.step()
        history = [*history, {"train_loss": train_loss, "valid_loss": loss, "valid_accuracy": accuracy}]
        saved = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "shuffling": train_loader.generator.get_state(),
            "random": torch.get_rng_state(),
            "history": history,
            "done": number + 1,
        }
        saved |= {name: before[name] for name in late}
        new = path.with_suffix(f".{number}" if extra else ".new")
        torch.save(saved, new if atomic else path)
        if extra:
            torch.save(saved, path)
        elif atomic:
            os.replace(new, path)
    return history


def wrong_fit(name, hint, **parts):
    def answer(model, optimizer, scheduler, train_loader, valid_loader, epochs, path):
        return fitting(model, optimizer, scheduler, train_loader, valid_loader, epochs, path, **parts)

    answer.__name__ = name
    resume.wrong(hint)(answer)


wrong_fit(
    "fit_without_optimizer",
    "After a resume of `{function}` the momentum starts at zero, and the parameters take another way. Save and restore the optimizer's state_dict.",
    without=["optimizer"],
)
wrong_fit(
    "fit_without_scheduler",
    "After a resume of `{function}` the schedule of the learning rate begins anew, so it falls at another epoch. A scheduler has a state_dict, too.",
    without=["scheduler"],
)
wrong_fit(
    "fit_never_schedules", "`{function}` takes no step of the scheduler: the learning rate never falls.", steps=False
)
wrong_fit(
    "fit_without_shuffling",
    "After a resume, `{function}` repeats an order of pictures that belongs to another epoch. The loader's generator has a state: "
    "get_state, set_state.",
    without=["shuffling"],
)
wrong_fit(
    "fit_without_random",
    "Without dropout a resume of `{function}` is exact; with dropout it is not: the masks come from the global generator. Save "
    "torch.get_rng_state() as well.",
    without=["random"],
)
wrong_fit(
    "fit_without_generators",
    "Neither of the two generators is restored in `{function}`: shuffling and dropout go on from wherever the new process happens to be.",
    without=["random", "shuffling"],
)
wrong_fit("fit_without_model", "`{function}` does not put the saved parameters back into the model.", without=["model"])
wrong_fit(
    "fit_without_history",
    "After a resume the history of `{function}` begins anew: its length is not the number of epochs in all.",
    without=["history"],
)
wrong_fit(
    "fit_state_from_before",
    "The generator states in the checkpoint of `{function}` are those from before the epoch, and the parameters those from after it. Take all "
    "parts at "
    "one moment.",
    late=["shuffling", "random"],
)
wrong_fit(
    "fit_trains_more",
    "`{function}` trains `epochs` more epochs after a resume. The number counts those that are done already.",
    count="more",
)
wrong_fit(
    "fit_measures_first",
    "`{function}` measures before it trains: the last parameters are never measured. Train, then evaluate.",
    order="et",
)
wrong_fit(
    "fit_many_files",
    "`{function}` leaves more files than the checkpoint behind. Write to a second name and rename it with os.replace.",
    extra=True,
)
wrong_fit(
    "fit_loses_buffers",
    "`{function}` restores the parameters and not the buffers: batch norm's running statistics start anew. Save the model's whole state_dict.",
    without=["buffers"],
)

wrong_fit(
    "fit_overwrites",
    "`{function}` writes over the only checkpoint. When the disk is full, or the power fails, in the middle of it, neither the old nor the "
    "new one is left; write to "
    "another name, then os.replace.",
    atomic=False,
)


@resume.wrong(
    "`{function}` never writes a checkpoint, or not under the given path: each call starts from the beginning."
)
def fit_without_checkpoint(model, optimizer, scheduler, train_loader, valid_loader, epochs, path):
    with contextlib.suppress(OSError):
        found = fitting(
            model, optimizer, scheduler, train_loader, valid_loader, epochs, Path(path).with_suffix(".other")
        )
        Path(path).with_suffix(".other").unlink()
        torch.save({"model": {name: torch.zeros_like(value) for name, value in model.state_dict().items()}}, path)
    return found


@resume.wrong(
    "`{function}` seeds the generators itself, at each start. A resume then repeats the first epochs' randomness; restore the saved states instead."
)
def fit_seeds_again(model, optimizer, scheduler, train_loader, valid_loader, epochs, path):
    train_loader.generator.manual_seed(0)
    torch.manual_seed(0)
    return fitting(
        model, optimizer, scheduler, train_loader, valid_loader, epochs, path, without=["shuffling", "random"]
    )


@resume.variant
def fit_with_for(model, optimizer, scheduler, train_loader, valid_loader, epochs, path):
    return fitting(model, optimizer, scheduler, train_loader, valid_loader, epochs, path)


@resume.variant
def fit_by_closures(model, optimizer, scheduler, train_loader, valid_loader, epochs, path):
    path, start, rows = str(path), 0, {"train_loss": [], "valid_loss": [], "valid_accuracy": []}
    if os.path.isfile(path):
        state = torch.load(path, weights_only=True)
        [
            part.load_state_dict(state[name])
            for name, part in (("model", model), ("optimizer", optimizer), ("schedule", scheduler))
        ]
        torch.random.set_rng_state(state["rng"][0])
        train_loader.generator.set_state(state["rng"][1])
        rows, start = state["rows"], state["epoch"]
    for epoch_ in range(start, epochs):
        rows["train_loss"].append(train_epoch(model, train_loader, optimizer))
        scheduler.step()
        for name, value in zip(("valid_loss", "valid_accuracy"), evaluate(model, valid_loader), strict=True):
            rows[name].append(value)
        torch.save(
            {
                "epoch": epoch_ + 1,
                "schedule": scheduler.state_dict(),
                "rows": rows,
                "rng": [torch.random.get_rng_state(), train_loader.generator.get_state()],
                "model": {name: value.cpu() for name, value in model.state_dict().items()},
                "optimizer": optimizer.state_dict(),
            },
            path + "~",
        )
        Path(path + "~").rename(path)
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
