"""Make the letters of unit u08: capitals A–J from open fonts, 28×28 grey PNGs, split by font family, with recorded defects.

    python data/make/letters.py fetch FOLDER           download the fonts' Debian 12 packages and unpack them (no root needed)
    python data/make/letters.py build FOLDER           write data/sets/letters.tar.gz, autograder/heldout/letters.*
    python data/make/letters.py build FOLDER --check   write nothing; compare with what is there

`fonts.csv` beside this script lists each font: its family, its file, the package and version it comes from, its licence, its
SHA-256 and its split. A family lies in one split only; clones count as one family (fonts whose letters differ by less than 12 %
of their ink), and fonts whose letters a reader would not know were left out. Pillow's FreeType draws and its zlib packs, so use the Pillow that
constraints.txt pins: then the same fonts give the same bytes. No test runs this script: it needs 330 MB of packages.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from letters_draw import LETTERS, draw, png
from letters_pack import held_out, licences, sums, tar_gz

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SETS, HELD = ROOT / "data" / "sets", ROOT / "autograder" / "heldout"
SALT = "letters of u08, 1"  # changing it renames every file and moves every defect

# How many of each defect lie in each shipped split.
EMPTY = {"train": 4, "valid": 2}
TRUNCATED = {"train": 6, "valid": 3}
MISLABELLED = {"train": 36, "valid": 12}
DUPLICATES = 40  # in valid, of train


class Font(NamedTuple):
    """One line of fonts.csv."""

    family: str
    file: str
    package: str
    version: str
    licence: str
    sha256: str
    split: str


@dataclass
class Picture:
    """One image: where it lies, what it shows, from which font."""

    split: str
    folder: str
    name: str
    truth: str
    font: Font
    data: bytes

    @property
    def path(self) -> str:
        return f"letters/{self.split}/{self.folder}/{self.name}"


def order(*words: str) -> str:
    """A hash that shuffles and names, the same on every machine."""
    return hashlib.sha256("\0".join((SALT, *words)).encode()).hexdigest()


def fonts() -> list[Font]:
    """The fonts of fonts.csv; a family in two splits is refused."""
    with (HERE / "fonts.csv").open(encoding="utf-8", newline="") as file:
        rows = [Font(**row) for row in csv.DictReader(file)]
    split: dict[str, str] = {}
    for row in rows:
        if split.setdefault(row.family, row.split) != row.split:
            sys.exit(f"fonts.csv: family {row.family!r} is in two splits")
    return rows


def fetch(folder: Path) -> None:
    """Download each package in the listed version with apt-get and unpack it into the folder."""
    wanted = sorted({f"{row.package}={row.version}" for row in fonts()})
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as debs:
        subprocess.run(["apt-get", "download", *wanted], cwd=debs, check=True)
        for deb in sorted(Path(debs).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)


def pictures(folder: Path) -> Iterator[Picture]:
    """Draw every letter of every font; an image that an earlier font gave already (a plain bar for I) is left out."""
    seen: set[bytes] = set()
    for font in sorted(fonts(), key=lambda row: (("train", "valid", "heldout").index(row.split), order(row.file))):
        data = (folder / font.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != font.sha256:
            sys.exit(f"{font.file}: not the font of {font.package} {font.version} (SHA-256 differs)")
        for letter in LETTERS:
            pixels = draw(data, letter)
            if pixels not in seen:
                seen.add(pixels)
                yield Picture(font.split, letter, f"{order(font.file)[:24]}.png", letter, font, png(pixels))


def plant(images: list[Picture]) -> dict[str, list[dict[str, str]]]:
    """Spoil the shipped images in place and give the record of what was done."""
    record: dict[str, list[dict[str, str]]] = {"corrupt": [], "mislabelled": [], "duplicates": []}
    decorative = {image.font.family for image in images if image.font.package == "fonts-aenigma"}
    touched: set[str] = set()  # files (fonts): at most one defect each
    for split in ("train", "valid"):
        pool = [image for image in images if image.split == split]
        pool.sort(key=lambda image: order("plant", image.path))

        def take(count: int, pool: list[Picture] = pool) -> list[Picture]:
            plain = [i for i in pool if i.font.file not in touched and i.font.family not in decorative]
            chosen: list[Picture] = []
            for image in plain:
                if len(chosen) < count and image.font.file not in touched:
                    touched.add(image.font.file)
                    chosen.append(image)
            return chosen

        for image in take(EMPTY[split]):
            image.data = b""
            record["corrupt"].append({"path": image.path, "kind": "empty"})
        for image in take(TRUNCATED[split]):
            image.data = image.data[: len(image.data) * 3 // 5]
            record["corrupt"].append({"path": image.path, "kind": "truncated"})
        for number, image in enumerate(take(MISLABELLED[split])):
            misfile(images, image, number, record)
    copy(images, touched, record)
    return {kind: sorted(entries, key=lambda entry: entry["path"]) for kind, entries in record.items()}


def misfile(images: list[Picture], image: Picture, number: int, record: dict[str, list[dict[str, str]]]) -> None:
    """Put an image into another letter's folder, in the place of that letter of the same font."""
    others = [letter for letter in LETTERS if letter != image.truth and {letter, image.truth} != {"I", "J"}]
    wrong = others[(number * 7 + int(order(image.path)[:4], 16)) % len(others)]
    images[:] = [i for i in images if (i.split, i.folder, i.name) != (image.split, wrong, image.name)]
    image.folder = wrong
    record["mislabelled"].append({"path": image.path, "label": wrong, "truth": image.truth})


def copy(images: list[Picture], touched: set[str], record: dict[str, list[dict[str, str]]]) -> None:
    """Copy train images, byte for byte, into valid under new names."""
    pool = [image for image in images if image.split == "train" and image.font.file not in touched]
    pool.sort(key=lambda image: order("copy", image.path))
    for image in pool[:DUPLICATES]:
        twin = Picture(
            "valid", image.folder, f"{order('copy', image.path)[:24]}.png", image.truth, image.font, image.data
        )
        images.append(twin)
        record["duplicates"].append({"path": twin.path, "of": image.path})


def build(folder: Path) -> dict[Path, bytes]:
    """Everything that is written, by path."""
    images = list(pictures(folder))
    held = [image for image in images if image.split == "heldout"]
    shipped = [image for image in images if image.split != "heldout"]
    record = plant(shipped)
    families = sorted({image.font.family for image in held})
    tensors = held_out([(png_pixels(i.data), LETTERS.index(i.truth), families.index(i.font.family)) for i in held])
    return {
        SETS / "letters.tar.gz": tar_gz({image.path: image.data for image in shipped}),
        SETS / "letters-LICENSES.txt": licences([row._asdict() for row in fonts()], folder).encode(),
        HELD / "letters.safetensors": tensors,
        HELD / "letters-defects.json": (json.dumps(record, indent=1) + "\n").encode(),
    }


def png_pixels(data: bytes) -> bytes:
    """The 784 grey values of a PNG."""
    from PIL import Image

    return Image.open(io.BytesIO(data)).tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("fetch", "build"))
    parser.add_argument("folder", type=Path, help="where the packages are unpacked; / where they are installed")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    args = parser.parse_args()
    if args.verb == "fetch":
        fetch(args.folder)
        return 0
    made = build(args.folder)
    different = [path for path, data in made.items() if not path.is_file() or path.read_bytes() != data]
    for path in different:
        print(path.relative_to(ROOT), "differs" if args.check else "written")
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[path])
    if not args.check:
        sums(SETS, [path.name for path in made if path.parent == SETS])
    return 1 if args.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
