"""The little tree of pictures that checks write."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from coursekit.data.tree import tree

PICTURES = torch.arange(3 * 28 * 28).view(3, 28, 28).remainder(251).to(torch.uint8)


def test_pictures_are_written_as_they_are() -> None:
    with tree(["B/b.png", "A/a.png", "A/b.png"], PICTURES, {"A/c.png": "\x89no"}, folders=["C"]) as root:
        assert np.array_equal(np.array(Image.open(root / "A" / "a.png")), PICTURES[1].numpy())
        assert (root / "A" / "c.png").read_bytes() == b"\x89no"
        assert (root / "C").is_dir()
    assert not root.exists()


def test_every_way_of_listing_is_descending_inside_and_as_before_outside() -> None:
    with tree(["A/a.png", "B/b.png", "A/c.png"], PICTURES) as root:
        assert os.listdir(root) == ["B", "A"]
        assert [path.name for path in root.iterdir()] == ["B", "A"]
        assert [path.name for path in root.glob("*/*.png")] == ["b.png", "c.png", "a.png"]
        assert [Path(name).name for name in glob.glob(str(root / "*"))] == ["B", "A"]
        assert next(os.walk(root))[1] == ["B", "A"]
        assert [path.name for path in root.rglob("*.png")] == ["b.png", "c.png", "a.png"]
    for method in (os.listdir, os.scandir, Path.glob, Path.rglob):
        assert method.__module__ != "coursekit.data.tree"


def test_one_picture_in_each_folder_is_descending_too() -> None:
    """From Python 3.13 on pathlib takes the last subfolder of a listing first: names in descending order would come out sorted."""
    with tree(["A/a.png", "B/b.png"], PICTURES[:2]) as root:
        assert [path.name for path in root.rglob("*.png")] == ["b.png", "a.png"]
        assert [path.name for path in root.glob("**/*.png")] == ["b.png", "a.png"]


def test_equal_pictures_differ_in_their_bytes() -> None:
    pair = PICTURES[:1].expand(2, 28, 28)
    with tree(["A/a.png", "A/b.png"], pair) as root:
        assert (root / "A/a.png").read_bytes() != (root / "A/b.png").read_bytes()
