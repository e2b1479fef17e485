"""The key of u06-transforms."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT

SINGLE = Tolerance(1e-5, 1e-6, "float32, eps 1.2e-7; means of up to 60 numbers, one difference and one quotient")


def normal(g, *shape):
    return torch.randn(*shape, generator=g)


transforms = Key(
    "u06-transforms",
    hints=(
        "One number per channel: over which axes of (N, C, H, W) do you average?",
        "`mean` and `std` take a tuple of axes. Shape the results (C, 1, 1), so that they meet an image (C, H, W) as unit 1 taught. Where the "
        "deviation is 0, "
        "divide by 1. `std(..., correction=0)` divides by the number of entries.",
        "A near-example, tables (N, D) scaled by their largest absolute value per column: `top = rows.abs().amax(dim=0)`, `self.top = "
        "torch.where(top > 0, top, 1.0)`, then `return row / self.top`. And `for f in [f1, f2]: x = f(x)` applies f1 first.",
    ),
    guards=("image_after", "train_after", "composed_of_none"),
    weights={"training": 2, "validation": 2},
    tolerance={"training": SINGLE, "validation": SINGLE, "normalized": SINGLE, "composed": SINGLE, "composed_of_none": EXACT,
               "image_after": EXACT, "train_after": EXACT},
)


@transforms.inputs
def _(g, case):
    n, c, h, w = [(5, 2, 2, 3), (3, 3, 4, 2), (4, 1, 2, 5)][case]
    spread = torch.tensor([0.3, 2.5, 1.7])[:c].view(1, c, 1, 1)
    train = normal(g, n, c, h, w) * spread + torch.tensor([2.0, -1.0, 0.5])[:c].view(1, c, 1, 1)
    if case == 1:
        train[:, 2] = 3.0                               # constant in training; exact in float32
    return {"train": train, "image": normal(g, c, h, w) + 1.5, "shift": normal(g, 1, 1, 1).abs()[0] + 0.5}


def scale(train, image, axes=(0, 2, 3), correction=0, guard=True):
    """Normalise with the faults open."""
    mean, std = train.mean(dim=axes, keepdim=True)[0], train.std(dim=axes, keepdim=True, correction=correction)[0]
    return (image - mean) / (torch.where(std > 0, std, 1.0) if guard else std)


def pair(first, second):
    return first, second


@transforms.oracle
def _(train, image, shift):
    def normal_form(t):
        out = []
        for c in range(train.shape[1]):
            values = train[:, c].double().flatten()
            m = values.sum() / values.numel()
            s = ((values - m) ** 2).sum().div(values.numel()).sqrt()
            out.append((t[c].double() - m) / (s if s > 0 else 1.0))
        return torch.stack(out)

    return {"training": normal_form(image.flip(-1) + shift), "validation": normal_form(image), "normalized": normal_form(image),
            "composed": (image.double() + shift) * 2 - 1, "composed_of_none": shift, "image_after": image, "train_after": train}


@transforms.wrong("The validation transform of `{function}` augments as well. Validation looks at pictures as they are; which of the two chains "
                  "should hold `augment`?")
def validation_augmented(train_images, augment):
    both = lambda t: scale(train_images, augment(t))  # noqa: E731
    return both, both


@transforms.wrong("The training transform of `{function}` does not augment.")
def training_not_augmented(train_images, augment):
    both = lambda t: scale(train_images, t)  # noqa: E731
    return both, both


@transforms.wrong("`{function}` normalises first and augments afterwards, when a pixel no longer means brightness. The first step of a chain is "
                  "applied first.")
def augments_last(train_images, augment):
    return lambda t: augment(scale(train_images, t)), lambda t: scale(train_images, t)


@transforms.wrong("`{function}` returns the two transforms in the other order: the first one is for training.")
def pair_swapped(train_images, augment):
    return lambda t: scale(train_images, t), lambda t: scale(train_images, augment(t))


@transforms.wrong("`{function}` normalises each picture by its own mean and deviation. That removes its brightness, and training statistics are "
                  "not used at all.")
def own_statistics(train_images, augment):
    own = lambda t: scale(t.unsqueeze(0), t)  # noqa: E731
    return lambda t: own(augment(t)), own


@transforms.wrong("The training side of `{function}` is right, but validation pictures are normalised by their own statistics. Both sides use "
                  "the numbers of the "
                  "training part.")
def validation_by_its_own(train_images, augment):
    return lambda t: scale(train_images, augment(t)), lambda t: scale(t.unsqueeze(0), t)


@transforms.wrong("Only the training side of `{function}` is normalised. The model would be asked about another world than the one it learned "
                  "in.")
def validation_not_normalised(train_images, augment):
    return lambda t: scale(train_images, augment(t)), lambda t: t.clone()


@transforms.wrong("`{function}` uses one mean and one deviation for all channels together. Each channel has its own: which axes does your mean "
                  "leave over?")
def one_for_all_channels(train_images, augment):
    def norm(t):
        std = train_images.std(correction=0)
        return (t - train_images.mean()) / std
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` has statistics for each single pixel. Average over the axes of height and width too.")
def one_per_pixel(train_images, augment):
    norm = lambda t: scale(train_images, t, axes=(0,))  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("The deviation of `{function}` is divided by one less than the number of entries; PyTorch's default corrects for a sample of a "
                  "larger whole. "
                  "Here the deviation of the data themselves is asked for: look at `correction`.")
def corrected_deviation(train_images, augment):
    norm = lambda t: scale(train_images, t, correction=1)  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides a constant channel by its deviation 0: the result is not finite. Such a channel is only shifted.")
def divides_by_zero(train_images, augment):
    norm = lambda t: scale(train_images, t, guard=False)  # noqa: E731
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides by the variance. Its square root brings a channel to deviation 1.")
def by_variance(train_images, augment):
    def norm(t):
        std = train_images.std(dim=(0, 2, 3), correction=0).view(-1, 1, 1)
        return (t - train_images.mean(dim=(0, 2, 3)).view(-1, 1, 1)) / torch.where(std > 0, std ** 2, 1.0)
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` divides before it subtracts the mean. The mean belongs to unscaled pixels: bracket the difference.")
def divides_first(train_images, augment):
    def norm(t):
        std = train_images.std(dim=(0, 2, 3), correction=0).view(-1, 1, 1)
        return t / torch.where(std > 0, std, 1.0) - train_images.mean(dim=(0, 2, 3)).view(-1, 1, 1)
    return lambda t: norm(augment(t)), norm


@transforms.wrong("`{function}` writes into the picture that it is given. The dataset may keep that tensor for the next epoch: make a new one.")
def normalises_in_place(train_images, augment):
    def norm(t):
        return t.copy_(scale(train_images, t))
    return lambda t: scale(train_images, augment(t)), norm


@transforms.variant
def transforms_by_functions(train_images, augment):
    flat = train_images.transpose(0, 1).flatten(1)
    mean = flat.mean(dim=1)[:, None, None]
    std = flat.var(dim=1, unbiased=False).sqrt()[:, None, None]
    std[std == 0] = 1.0

    def norm(t):
        return t.sub(mean).div(std)
    return lambda t: norm(augment(t)), norm


@transforms.variant
def transforms_by_batch_norm(train_images, augment):
    means = [float(train_images[:, c].double().mean()) for c in range(train_images.shape[1])]
    stds = [float(train_images[:, c].double().std(correction=0)) or 1.0 for c in range(train_images.shape[1])]

    def norm(t):
        return torch.stack([(plane - m) / s for plane, m, s in zip(t, means, stds, strict=True)])
    return lambda t: norm(augment(t)), norm
