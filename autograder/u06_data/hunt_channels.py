"""The key of u06-hunt-channels: the picture whose colours mixed."""

import torch

from coursekit.course.authoring import Key, Tolerance

from ._shared import EXACT

channels = Key(
    "u06-hunt-channels",
    hints=(
        "In memory, which number follows the red of the first pixel: the red of the second, or the green of the first?",
        "`view` keeps the line of numbers and cuts it into other portions. What is needed is that axis 2 becomes axis 0; look at `permute`.",
        "A near-example: a batch of sequences (B, T, D) becomes (T, B, D) by `x.permute(1, 0, 2)`. `x.view(T, B, D)` has that shape too, and "
        "mixes the "
        "sequences.",
    ),
    guards=("picture_after",),
    tolerance={"chw": Tolerance(1e-6, 0, "one float32 quotient"), "picture_after": EXACT},
    strict_dtype=("chw",),
)


@channels.inputs
def _(g, case):
    size = [(2, 5, 3), (4, 3, 2), (3, 4, 4)][case]
    return {"picture": torch.randint(3, 256, size, generator=g).to(torch.uint8)}


@channels.oracle
def _(picture):
    planes = [picture[:, :, c].double() / 255 for c in range(picture.shape[2])]
    return {"chw": torch.stack(planes), "picture_after": picture}


@channels.wrong("`{function}` exchanges rows and columns: the picture lies on its side. Only the colours change their place; H stays before W.")
def on_its_side(picture):
    return picture.permute(2, 1, 0).float() / 255


@channels.wrong("The channels of `{function}` are right and go up to 255. The docstring asks for 0 to 1.")
def not_scaled(picture):
    return picture.permute(2, 0, 1).float()


@channels.wrong("`{function}` divides by 256, but the brightest pixel is 255 and should become 1.")
def by_256(picture):
    return picture.permute(2, 0, 1).float() / 256


@channels.wrong("`{function}` divides whole numbers and keeps the whole part: nearly everything becomes 0. Use `/`, which makes floats.")
def whole_part(picture):
    return (picture.permute(2, 0, 1) // 255).float()


@channels.wrong("`{function}` turns the order of the colours around: blue comes first. Keep the order of the last axis.")
def colours_reversed(picture):
    return picture.permute(2, 0, 1).flip(0).float() / 255


@channels.wrong("`{function}` still gives (H, W, C). Layers expect the channels first.")
def channels_last(picture):
    return picture.float() / 255


@channels.wrong("`{function}` adds an axis for the batch. A dataset gives single samples; collating adds that axis later.")
def with_batch_axis(picture):
    return picture.permute(2, 0, 1).float().unsqueeze(0) / 255


@channels.wrong("The numbers of `{function}` are right, but its dtype is `float64`; the docstring says `float32`.")
def in_double(picture):
    return picture.permute(2, 0, 1).double() / 255


@channels.variant
def chw_by_stack(picture):
    return torch.stack([picture[..., c] for c in range(picture.shape[-1])]).float().div(255)


@channels.variant
def chw_by_movedim(picture):
    return torch.movedim(picture, -1, 0).contiguous() * torch.tensor(1 / 255, device=picture.device)


@channels.variant
def chw_by_transposes(picture):
    return (picture.transpose(1, 2).transpose(0, 1) / 255).to(torch.float32)
