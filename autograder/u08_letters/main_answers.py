"""A right main, of which each wrong answer of u08-main exchanges a part."""

import argparse
import json

import torch


def running(
    argv,
    seeded=True,
    given_seed=None,
    optimizer=torch.optim.AdamW,
    defaults=None,
    report=None,
    status=0,
    choose=None,
    say=print,
    swap=False,
):
    """A right main, of which each part can be exchanged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("valid")
    settings = {
        "model": "lenet",
        "epochs": 5,
        "batch-size": 64,
        "lr": 0.002,
        "seed": 0,
        "device": "cpu",
        "out": "letters.pt",
    } | (defaults or {})
    for name, value in settings.items():
        parser.add_argument(
            f"--{name}",
            type=type(value),
            default=value,
            **({"choices": ["lenet", "resnet8"]} if name == "model" and choose is None else {}),
        )
    given = parser.parse_args(argv)
    if seeded:
        torch.manual_seed(given.seed)
    model = (choose or {"lenet": LeNet, "resnet8": ResNet8}.__getitem__)(given.model)()
    train, valid = (given.valid, given.train) if swap else (given.train, given.valid)
    loaders_ = make_loaders(train, valid, given.batch_size, given.seed if given_seed is None else given_seed)
    stepper = optimizer(model.parameters(), lr=given.lr)
    history = fit(
        model,
        stepper,
        torch.optim.lr_scheduler.CosineAnnealingLR(stepper, given.epochs),
        *loaders_,
        given.epochs,
        given.out,
    )
    row = {
        "model": given.model,
        "epochs": len(history),
        "train_images": len(loaders_[0].dataset),
        "valid_images": len(loaders_[1].dataset),
        "valid_loss": history[-1]["valid_loss"],
        "valid_accuracy": history[-1]["valid_accuracy"],
    }
    say(json.dumps(report(row) if report else row))
    return status
