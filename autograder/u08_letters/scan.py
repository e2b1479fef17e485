"""The key of u08-scan."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from coursekit.course.authoring import Key

from ._shared import EXACT, LETTERS, blocks, decode, names, png, shuffled, swapped

scan_key = Key(
    "u08-scan",
    hints=(
        "Which object could be a dictionary's key such that two files meet under it exactly if their pixels are equal?",
        "One pass: try read_pixels, note the failures, and append each name to the list under its pixels' bytes. Afterwards look at the lists with "
        "more than one name: how many different letters do they hold?",
        'A near-example, words by their letters: `same = {}`, `for word in sorted(words): same.setdefault("".join(sorted(word)), []).append(word)`, '
        "`groups = [group for group in same.values() if len(group) > 1]`.",
    ),
    tolerance=EXACT,
    weights={"letters": 0.5},
)


@scan_key.inputs
def _(g, case):
    a, b, c, d, empty = shuffled(g, list(LETTERS))[:5]
    if case == 0:
        copies = [[a], [a, a], [b], [b, c], [c], [d]]
    elif case == 1:
        copies = [[a], [a, a, b], [b, b], [c, c, c], [c], [d, a, c], [d]]
    else:
        copies = [[a], [b], [b, b, b], [c], [c, d], [d, d]]
    pictures = blocks(g, len(copies))
    pictures = torch.cat([pictures, swapped(pictures[0])[None]])
    copies.append([a])
    flat = shuffled(g, [(number, letter) for number, where in enumerate(copies) for letter in where])
    paths = [f"{letter}/{name}" for (_, letter), name in zip(flat, names(g, len(flat)), strict=True)]
    noise = blocks(g, 1)[0].numpy()
    raw = {
        f"{d}/{name}": text
        for name, text in zip(
            names(g, 5, "x"),
            (
                "no picture",
                png(noise, 0.5 + 0.04 * case),
                png(noise[:, :27]),
                png(np.stack([noise] * 3, 2)[:6, :6]),
                "",
            ),
            strict=True,
        )
    }
    raw |= {"notes.txt": "who made this", f"{a}/notes.txt": "and this", "stray.png": png(noise)}
    return {"paths": paths, "pictures": pictures[[number for number, _ in flat]], "raw": raw, "folders": [empty]}


class Report(NamedTuple):
    counts: dict
    corrupt: list
    duplicates: list
    mislabelled: list


def scanner(
    root,
    order=sorted,
    label=None,
    by=lambda pixels, path: pixels.tobytes(),
    empty=True,
    count_all=False,
    decodes=True,
    sized=True,
    named=lambda root, path: path.relative_to(root).as_posix(),
    conflicts=True,
    group=list,
    suspects=list,
    overlap=False,
    unique=False,
):
    """A right scan, of which each part can be exchanged."""
    root, corrupt, same = Path(root), [], {}
    counts = {p.name: 0 for p in root.iterdir() if p.is_dir()} if empty else {}
    for path in order(root.glob("*/*.png")):
        counts.setdefault(path.parent.name, 0)
        try:
            pixels = decode(path, decodes, sized)
        except Exception:
            corrupt.append(named(root, path))
            counts[path.parent.name] += count_all
            continue
        key = by(pixels, path)
        if not (unique and key in same):
            counts[path.parent.name] += 1
        same.setdefault(key, []).append((path.parent.name, named(root, path)))
    duplicates, mislabelled = [], []
    for found in same.values():
        if len(found) > 1:
            several = len({letter for letter, _ in found}) > 1
            if several and conflicts:
                mislabelled += suspects([name for _, name in found])
            if not several or not conflicts or overlap:
                duplicates.append(group([name for _, name in found]))
    return Report(counts, corrupt, duplicates, order(mislabelled))


def wrong_scan(name, hint, **parts):
    def answer(root):
        return scanner(root, **parts)

    answer.__name__ = name
    scan_key.wrong(hint)(answer)


wrong_scan(
    "scan_opens_only",
    "`{function}` takes a file that was cut short for a picture. Opening reads the header only; which call of yours asks for the "
    "pixels?",
    decodes=False,
)
wrong_scan(
    "scan_any_size",
    "`{function}` accepts pictures that are not grey and 28 × 28. They decode without an error; what does their shape say?",
    sized=False,
)
wrong_scan(
    "scan_compares_files",
    "`{function}` compares the bytes of the files. Two PNG files of the same pixels may differ; compare what they decode to.",
    by=lambda pixels, path: path.read_bytes(),
)
wrong_scan(
    "scan_unsorted",
    "`{function}` returns the names in the order in which the system lists them, and that is another one on each machine. Sort before you "
    "go through them.",
    order=lambda paths: [*paths],
)
wrong_scan(
    "scan_no_conflicts",
    "`{function}` counts a picture under two letters as an ordinary duplicate. One of its labels is wrong: such names belong to "
    "mislabelled.",
    conflicts=False,
)
wrong_scan(
    "scan_conflicts_twice",
    "In `{function}`, pictures under two letters stand in mislabelled and in duplicates. The definition of duplicates ends with: and "
    "under no other.",
    overlap=True,
)
wrong_scan(
    "scan_only_repeats",
    "The groups of `{function}` lack their first name. A group holds all copies; which one to keep is decided later.",
    group=lambda found: found[1:],
)
wrong_scan(
    "scan_trusts_first_label",
    "`{function}` takes the first label of each conflict for right. Nothing says that it is; list all pictures of the group.",
    suspects=lambda found: found[1:],
)
wrong_scan(
    "scan_counts_corrupt",
    "counts of `{function}` includes files that cannot be read. Count after reading has succeeded.",
    count_all=True,
)
wrong_scan(
    "scan_counts_unique",
    "counts of `{function}` leaves out repeated pictures. It counts readable files; what to drop is not its business.",
    unique=True,
)
wrong_scan(
    "scan_forgets_empty",
    "`{function}` has no count for a letter whose folder is empty. A class without a picture is exactly what a report should show: "
    "start from the folders.",
    empty=False,
)
wrong_scan(
    "scan_by_sum",
    "`{function}` takes different pictures for the same, since something it compares, a sum or a histogram, is equal. Compare all pixels.",
    by=lambda pixels, path: int(pixels.sum()),
)
wrong_scan(
    "scan_bare_names",
    '`{function}` gives file names without the letter\'s folder. Names are relative to root, such as "A/x1.png".',
    named=lambda root, path: path.name,
)


@scan_key.wrong(
    "`{function}` stops at the first file that cannot be read. That a file is corrupt is a result here; catch the exception, and note the name."
)
def scan_stops(root):
    for path in sorted(Path(root).glob("*/*.png")):
        decode(path)
    return scanner(root)


@scan_key.wrong(
    "The pictures are not compared at all in `{function}`: duplicates and mislabelled are empty. Which dictionary brings equal pictures together?"
)
def scan_finds_none(root):
    return scanner(root)._replace(duplicates=[], mislabelled=[])


@scan_key.variant
def scan_by_digest(root):
    letters = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    counts, corrupt, of = dict.fromkeys(letters, 0), [], {}
    for letter in letters:
        for file in sorted(os.listdir(os.path.join(root, letter))):
            if not file.endswith(".png"):
                continue
            try:
                pixels = decode(os.path.join(root, letter, file))
            except Exception:
                corrupt += [f"{letter}/{file}"]
                continue
            counts[letter] += 1
            of[f"{letter}/{file}"] = hashlib.sha256(pixels.tobytes()).hexdigest()
    groups = {}
    for name, digest in of.items():
        groups.setdefault(digest, []).append(name)
    return Report(
        counts,
        corrupt,
        sorted(v for v in groups.values() if len(v) > 1 and len({n[0] for n in v}) == 1),
        sorted(n for v in groups.values() if len({n[0] for n in v}) > 1 for n in v),
    )


@scan_key.variant
def scan_by_pairs(root):
    root, kept, corrupt = Path(root), [], []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.png")):
            try:
                kept.append((f"{folder.name}/{path.name}", decode(path)))
            except Exception:
                corrupt.append(f"{folder.name}/{path.name}")
    alike = {a: [b for b, q in kept if np.array_equal(p, q)] for a, p in kept}
    conflict = [a for a, same in alike.items() if len({b[0] for b in same}) > 1]
    counts = {p.name: sum(name.startswith(p.name + "/") for name, _ in kept) for p in root.iterdir() if p.is_dir()}
    return Report(
        counts,
        corrupt,
        [same for a, same in alike.items() if len(same) > 1 and same[0] == a and a not in conflict],
        conflict,
    )
