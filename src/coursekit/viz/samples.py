"""A row of pictures, each with a title: what a dataset or a transform really gives."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from coursekit.viz.style import Picture


def row(pictures: Sequence[Tensor], titles: Sequence[str], alt: str) -> Picture:
    """Draw pictures side by side.

    Args: pictures: each (H, W), (1, H, W) or (3, H, W); grey ones from their lowest value, black, to their highest, white;
    coloured ones from 0 to 1. titles: one for each, with what should be seen; alt: what a reader who sees none has to know.
    """
    picture = Picture(alt, (max(1.35 * len(pictures), 4.0), 1.9))
    for number, (tensor, title) in enumerate(zip(pictures, titles, strict=True)):
        axes = picture.add_subplot(1, len(pictures), number + 1)
        tensor = tensor.detach().cpu().float()
        if tensor.dim() == 3 and len(tensor) == 3:
            axes.imshow(tensor.permute(1, 2, 0).clamp(0, 1).numpy())
        else:
            axes.imshow(tensor.view(tensor.shape[-2:]).numpy(), cmap="gray")
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    return picture
