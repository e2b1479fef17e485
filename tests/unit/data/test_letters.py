"""The shipped letters: what was planted is there and nothing else is wrong; no font is in two splits."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from coursekit.data.files import data_file
from coursekit.data.letters import LETTERS, extract, read_image, readable

ROOT = Path(__file__).resolve().parents[3]
HELD = ROOT / "autograder" / "heldout"
FONTS = list(csv.DictReader((ROOT / "data" / "make" / "fonts.csv").read_text("utf-8").splitlines()))
RECORD = json.loads((HELD / "letters-defects.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def shipped() -> dict[str, bytes]:
    with tarfile.open(data_file("letters.tar.gz")) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def pixels(shipped: dict[str, bytes]) -> dict[str, bytes]:
    """What can be read, as 784 grey values."""
    found = {}
    for name, data in shipped.items():
        try:
            with Image.open(io.BytesIO(data)) as image:
                assert (image.mode, image.size) == ("L", (28, 28))
                found[name] = image.tobytes()
        except OSError:
            pass
    return found


def paths(kind: str) -> set[str]:
    return {entry["path"] for entry in RECORD[kind]}


def test_the_tree_has_notmnists_form(shipped: dict[str, bytes]) -> None:
    parts = {tuple(name.split("/")[:3]) for name in shipped}
    assert parts == {("letters", split, letter) for split in ("train", "valid") for letter in LETTERS}
    assert all(len(Path(name).stem) == 24 and set(Path(name).stem) <= set("0123456789abcdef") for name in shipped)
    assert Counter(name.split("/")[1] for name in shipped) == {"train": 4038, "valid": 987}
    assert min(Counter(name.rsplit("/", 1)[0] for name in shipped).values()) > 90


def test_exactly_the_recorded_files_cannot_be_read(shipped: dict[str, bytes], pixels: dict[str, bytes]) -> None:
    assert set(shipped) - set(pixels) == paths("corrupt")
    assert {name for name, data in shipped.items() if not data} == {
        e["path"] for e in RECORD["corrupt"] if e["kind"] == "empty"
    }
    assert Counter((e["path"].split("/")[1], e["kind"]) for e in RECORD["corrupt"]) == {
        ("train", "empty"): 4,
        ("train", "truncated"): 6,
        ("valid", "empty"): 2,
        ("valid", "truncated"): 3,
    }


def test_exactly_the_recorded_files_are_copies(shipped: dict[str, bytes], pixels: dict[str, bytes]) -> None:
    twins: dict[bytes, list[str]] = {}
    for name, values in sorted(pixels.items()):
        twins.setdefault(values, []).append(name)
    found = {(copy, original) for original, *copies in twins.values() for copy in copies}
    assert found == {(e["path"], e["of"]) for e in RECORD["duplicates"]} and len(found) == 40
    assert all(shipped[copy] == shipped[original] for copy, original in found)
    assert all(
        copy.split("/")[1] == "valid" and copy.split("/")[2] == original.split("/")[2] for copy, original in found
    )


def test_a_mislabelled_file_lies_in_another_letters_folder(shipped: dict[str, bytes]) -> None:
    assert Counter(path.split("/")[1] for path in paths("mislabelled")) == {"train": 36, "valid": 12}
    for entry in RECORD["mislabelled"]:
        folder = entry["path"].split("/")[2]
        assert folder == entry["label"] != entry["truth"] and entry["truth"] in LETTERS
        assert entry["path"] in shipped
        assert entry["path"].replace(f"/{folder}/", f"/{entry['truth']}/") not in shipped  # there it is missing


def test_a_file_has_one_defect_at_most() -> None:
    names = [Path(e["path"]).name for kind in ("corrupt", "mislabelled") for e in RECORD[kind]]
    assert len(set(names)) == len(names)
    assert not {e["of"] for e in RECORD["duplicates"]} & (paths("corrupt") | paths("mislabelled"))


def test_a_font_name_is_in_one_split_only(shipped: dict[str, bytes]) -> None:
    splits: dict[str, set[str]] = {}
    for name in shipped:
        splits.setdefault(Path(name).name, set()).add(name.split("/")[1])
    assert max(len(found) for found in splits.values()) == 1


def test_no_family_is_in_two_splits() -> None:
    splits: dict[str, set[str]] = {}
    for row in FONTS:
        splits.setdefault(row["family"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert Counter(next(iter(found)) for found in splits.values()) == {"train": 200, "valid": 51, "heldout": 63}


def test_no_font_file_is_listed_twice_and_each_has_a_free_licence() -> None:
    assert len({row["sha256"] for row in FONTS}) == len({row["file"] for row in FONTS}) == len(FONTS)
    assert {row["licence"].split()[0].split("-")[0] for row in FONTS} <= {
        "OFL",
        "Apache",
        "MIT",
        "BSD",
        "CC",
        "GPL",
        "AGPL",
        "GUST",
        "IPA",
        "ParaType",
        "WTFPL",
        "Bitstream",
        "public",
        "AEnigma",
    }
    named = data_file("letters-LICENSES.txt").read_text("utf-8")
    assert all(f"{row['package']} {row['version']}: {row['licence']}" in named for row in FONTS)
    assert "SIL OPEN FONT LICENSE Version 1.1" in named


def test_no_held_out_image_is_shipped(pixels: dict[str, bytes]) -> None:
    held = load_file(HELD / "letters.safetensors")
    images = {bytes(image.flatten().tolist()) for image in held["images"]}
    assert len(images) == len(held["images"]) == 1330 and not images & set(pixels.values())
    assert held["labels"].bincount().tolist() == [133] * 10 and len(held["families"].unique()) == 63


def test_nothing_of_the_instructors_is_in_the_wheel() -> None:
    assert not (ROOT / "data" / "sets" / "letters-defects.json").exists()
    assert '"autograder' not in (ROOT / "pyproject.toml").read_text("utf-8").partition("only-include")[2].partition("]")[0]


def test_extract_and_read(tmp_path: Path, shipped: dict[str, bytes], pixels: dict[str, bytes]) -> None:
    tree = extract(tmp_path)
    good, bad = readable(tree)
    assert {path.relative_to(tmp_path).as_posix() for path in good} == set(pixels)
    assert {path.relative_to(tmp_path).as_posix() for path in bad} == paths("corrupt")
    image = read_image(good[0])
    assert image.dtype == torch.uint8 and image.shape == (1, 28, 28)
    assert bytes(image.flatten().tolist()) == pixels[good[0].relative_to(tmp_path).as_posix()]
    digest = hashlib.sha256(data_file("letters.tar.gz").read_bytes()).hexdigest()
    assert (tree / ".source").read_text("utf-8") == digest and extract(str(tmp_path)) == tree


@pytest.mark.parametrize(("mode", "size"), [("RGB", (28, 28)), ("L", (28, 27)), ("1", (28, 28))])
def test_another_kind_of_picture_is_refused(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    Image.new(mode, size).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not grey 28×28"):
        read_image(tmp_path / "a.png")


def test_a_text_is_no_picture_and_a_missing_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("<html>", "utf-8")
    with pytest.raises(ValueError, match="not a readable picture"):
        read_image(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "b.png")


def test_the_letters_sit_in_the_middle(pixels: dict[str, bytes]) -> None:
    for values in list(pixels.values())[::50]:
        image = torch.tensor(list(values)).view(28, 28)
        rows, columns = image.amax(1).nonzero().flatten(), image.amax(0).nonzero().flatten()
        assert max(len(rows), len(columns)) in range(22, 27)
        assert abs(int(rows[0] + rows[-1]) - 27) <= 2 and abs(int(columns[0] + columns[-1]) - 27) <= 2
