"""The key of u08-cross-split-duplicates."""

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, blocks, decode, draw, letters_of, names, png, shuffled, swapped

cross = Key(
    "u08-cross-split-duplicates",
    hints=(
        "How many pictures would you have to compare if you took each of one tree with each of the other? What answers `in` at once?",
        "Put the pixels of all readable validation pictures into a set, then go through the sorted training pictures.",
        "A near-example with texts: `seen = {Path(p).read_text() for p in others}`, `return [p.name for p in sorted(mine) if p.read_text() in "
        "seen]`.",
    ),
    tolerance=EXACT,
    weights={"from_text": 0.5},
)


@cross.inputs
def _(g, case):
    a, b, c = letters_of(g, 3)
    pictures = blocks(g, 9)
    mine = [(a, 0), (a, 1), (b, 2), (b, 3), (c, 4), (c, 3), (a, 5)]
    other = [(a, 1), (c, 2), (b, 6), (b, 5), (b, 5), (a, 7)] + ([(c, 4)] if case == 1 else [])
    first, second = names(g, len(mine)), names(g, len(other))
    second[2] = first[2]  # the same name under b, another picture
    pictures = torch.cat([pictures, swapped(pictures[0])[None]])
    other.append((a, 9))
    second.append(f"same-sum{draw(g, 10, 100)}.png")
    order, back = shuffled(g, list(range(len(mine)))), shuffled(g, list(range(len(other))))
    noise = blocks(g, 1)[0].numpy()
    return {
        "paths": [f"{mine[i][0]}/{first[i]}" for i in order],
        "pictures": pictures[[mine[i][1] for i in order]],
        "raw": {f"{b}/broken{draw(g, 10, 100)}.png": "no picture", f"{c}/cut.png": png(noise, 0.5)},
        "other_paths": [f"{other[i][0]}/{second[i]}" for i in back],
        "other_pictures": pictures[[other[i][1] for i in back]],
    }


def found_in(root, order=sorted, by=lambda pixels, path: pixels.tobytes()):
    got = {}
    for path in order(Path(root).glob("*/*.png")):
        with contextlib.suppress(Exception):
            got[path.relative_to(root).as_posix()] = by(decode(path), path)
    return got


@cross.wrong("`{function}` compares names. Two different pictures may share a name, and the same picture may have two.")
def cross_by_name(train, valid):
    return sorted(set(found_in(train)) & set(found_in(valid)))


@cross.wrong(
    "`{function}` compares the bytes of the files. PNG files of the same pixels may differ; compare what they decode to."
)
def cross_by_bytes(train, valid):
    seen = set(found_in(valid, by=lambda pixels, path: path.read_bytes()).values())
    return [name for name, data in found_in(train, by=lambda pixels, path: path.read_bytes()).items() if data in seen]


@cross.wrong(
    "`{function}` looks for a picture under its own letter only. Under another letter it is a leak, too, and a wrong label besides."
)
def cross_same_letter(train, valid):
    seen = {(name[0], pixels) for name, pixels in found_in(valid).items()}
    return [name for name, pixels in found_in(train).items() if (name[0], pixels) in seen]


@cross.wrong(
    "`{function}` gives the names in the validation tree. It is the training set that gives the pictures up: names relative to train."
)
def cross_names_of_valid(train, valid):
    seen = set(found_in(train).values())
    return [name for name, pixels in found_in(valid).items() if pixels in seen]


@cross.wrong("`{function}` returns its names in the order in which the system lists them. Sort them.")
def cross_unsorted(train, valid):
    seen = set(found_in(valid).values())
    return [name for name, pixels in found_in(train, order=lambda paths: [*paths]).items() if pixels in seen]


@cross.wrong(
    "`{function}` finds one name for each shared picture. A picture that stands twice in the training set must leave it twice."
)
def cross_one_each(train, valid):
    mine = {pixels: name for name, pixels in reversed(found_in(train).items())}
    return sorted(mine[pixels] for pixels in mine.keys() & set(found_in(valid).values()))


@cross.wrong(
    "`{function}` returns a name as often as the picture stands in valid. Each training picture is listed once."
)
def cross_repeats(train, valid):
    return [name for name, pixels in found_in(train).items() for other in found_in(valid).values() if pixels == other]


@cross.wrong("`{function}` stops at a file that cannot be read. Both trees have some; pass over them.")
def cross_stops(train, valid):
    for root in (train, valid):
        for path in Path(root).glob("*/*.png"):
            decode(path)
    return cross_one_each(train, valid)


@cross.wrong(
    "`{function}` takes two pictures for the same that are not: what it compares is a sum or another summary. Compare all pixels."
)
def cross_by_sum(train, valid):
    seen = set(found_in(valid, by=lambda pixels, path: int(pixels.sum())).values())
    return [name for name, total in found_in(train, by=lambda pixels, path: int(pixels.sum())).items() if total in seen]


@cross.wrong(
    "`{function}` finds nothing. An array is never equal to a path, and `in` on a list of arrays compares element by element; turn pixels "
    "into bytes."
)
def cross_finds_nothing(train, valid):
    return []


@cross.wrong("`{function}` looks for repeats within the training tree. The question is what stands in both trees.")
def cross_within(train, valid):
    mine = found_in(train)
    return [name for name, pixels in mine.items() if [*mine.values()].count(pixels) > 1]


@cross.variant
def cross_by_pairs(train, valid):
    other = [*found_in(valid, by=lambda pixels, path: pixels).values()]
    return sorted(
        name
        for name, p in found_in(train, by=lambda pixels, path: pixels).items()
        if any(np.array_equal(p, q) for q in other)
    )


@cross.variant
def cross_by_digest(train, valid):
    def digests(root):
        for letter in sorted(os.listdir(root)):
            for file in sorted(os.listdir(os.path.join(root, letter))):
                with contextlib.suppress(Exception):
                    yield f"{letter}/{file}", hashlib.md5(decode(os.path.join(root, letter, file)).tobytes()).digest()

    known = {digest for _, digest in digests(valid)}
    return [name for name, digest in digests(train) if digest in known]
