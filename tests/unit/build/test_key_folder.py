"""A key's folder is one package: its files share names, and what is wrong in one of them is said with file and line."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from coursekit.build.commands import build
from coursekit.build.compile import Compiler
from coursekit.build.key_folder import key_file, key_files, load_keys
from coursekit.build.source import read
from coursekit.errors import CourseError

KEY = """\
from coursekit.course.authoring import Key

from ._shared import HINTS

one = Key("u01-one", hints=HINTS)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The key of a unit with one exercise."""
    made = tmp_path / "autograder" / "u01_tensors"
    made.mkdir(parents=True)
    (made / "_shared.py").write_text('HINTS = ("a?", "b", "c")\n\n\nclass Box:\n    pass\n', "utf-8")
    (made / "one.py").write_text(KEY, "utf-8")
    return made


def refusal(folder: Path) -> str:
    with pytest.raises(CourseError) as caught:
        load_keys(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("exercise", "file"), [("u08-scan", "scan.py"), ("u01-sse-grad", "sse_grad.py"), ("u01-class", "class.py"), ("u01-2d", "2d.py")]
)
def test_a_file_is_named_by_its_exercise(folder: Path, exercise: str, file: str) -> None:
    assert key_file(exercise) == file
    (folder / file).write_text(KEY.replace("u01-one", exercise), "utf-8")
    assert exercise in load_keys(folder)[1]


def test_files_share_names(folder: Path) -> None:
    modules, keys = load_keys(folder)
    assert list(modules) == ["_shared.py", "one.py"]
    assert keys["u01-one"].hints is modules["_shared.py"].HINTS
    assert [module.__file__ for module in modules.values()] == [str(path) for path in key_files(folder)]


def test_classes_of_a_key_can_be_pickled(folder: Path) -> None:
    """As the workers of a DataLoader do it."""
    box = load_keys(folder)[0]["_shared.py"].Box
    assert pickle.loads(pickle.dumps(box)) is box


def test_a_changed_folder_is_loaded_anew(folder: Path) -> None:
    load_keys(folder)
    before = folder.stat()
    (folder / "_shared.py").write_text('HINTS = ("other",)\n', "utf-8")
    (folder / "two.py").write_text(KEY.replace("u01-one", "u01-two"), "utf-8")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # as on a file system whose clock is coarse
    _, keys = load_keys(folder)
    assert {name: key.hints for name, key in keys.items()} == {"u01-one": ("other",), "u01-two": ("other",)}
    (folder / "two.py").unlink()
    assert list(load_keys(folder)[1]) == ["u01-one"]
    assert "coursekit_key_u01_tensors.two" not in sys.modules


def test_a_relative_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / "one.py").write_text("\n1 / 0\n", "utf-8")
    assert refusal(Path("u01_tensors")).startswith("autograder/u01_tensors/one.py:2: the key file cannot be imported: ZeroDivisionError")


def test_what_an_editor_leaves_is_no_key(folder: Path) -> None:
    for name in (".#one.py", "one.old.py", "one.py~"):
        (folder / name).write_text("= no Python", "utf-8")
    assert list(load_keys(folder)[0]) == ["_shared.py", "one.py"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("_shared.py", "\n\nNONE = missing\n", "_shared.py:3: the key file cannot be imported: NameError: name 'missing' is not defined"),
        ("_shared.py", "def broken(:\n", "_shared.py:1: the key file cannot be imported: SyntaxError: invalid syntax"),
        ("_shared.py", "OTHER = 1\n", "one.py:3: the key file cannot be imported: ImportError: cannot import name 'HINTS' from"),
        ("one.py", KEY + "\none.wrong()\n", "one.py:7: the key file cannot be imported: TypeError: Key.wrong() missing"),
        ("one.py", KEY + "\none.weights.update(1)\n", "one.py:7: the key file cannot be imported: TypeError: 'int' object is not iterable"),
    ],
)
def test_the_file_and_line_of_a_failure(folder: Path, file: str, text: str, said: str) -> None:
    (folder / file).write_text(text, "utf-8")
    assert refusal(folder).startswith(f"autograder/u01_tensors/{said}")
    assert refusal(folder).endswith("\nMend the line.")


def test_two_keys_in_one_file(folder: Path) -> None:
    (folder / "one.py").write_text(KEY + 'two = Key("u01-one")\n', "utf-8")
    assert refusal(folder) == "There are two keys for `u01-one`, both in one.py.\nKeep one of them."


def test_a_key_that_another_file_imports_is_one(folder: Path) -> None:
    (folder / "two.py").write_text("from .one import one as other\n", "utf-8")
    assert list(load_keys(folder)[1]) == ["u01-one"]


def test_no_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "autograder" / "u01_tensors") == (
        "There is no key folder autograder/u01_tensors/.\n"
        "Run `coursekit new unit u01_tensors`, or make the folder, with one file for each exercise."
    )


def test_a_key_in_one_file_is_not_overlooked(folder: Path) -> None:
    folder.with_name("u01_tensors.py").write_text(KEY, "utf-8")
    assert refusal(folder) == (
        "autograder/u01_tensors.py is not read: a key is a folder with one file for each exercise.\n"
        "Move it into a folder: autograder/u01_tensors/."
    )


def test_each_file_may_call_the_units_other_functions(mini: Any) -> None:
    """The hunt's file and the shared one call the function of the first exercise; a name that a file defines itself stays."""
    (mini.key.parent / "_shared.py").write_text("def doubled(x):\n    return sse_grad(x, x * 0)\n\n\ncenter = 7\n", "utf-8")
    mini.change(mini.hunt, "x - x.mean(dim=0) * (i + 2)", "doubled(x) + sse_grad(x, x) - x.mean(dim=0) * (i + 3)")
    mini.change(mini.hunt, "import Key\n", "import Key\n\nfrom ._shared import doubled\n")
    assert build([]) == 0
    modules = Compiler.of(read(mini.source), mini.key.parent).modules
    assert modules["_shared.py"].center == 7
    assert modules["sse_grad.py"].center is modules["hunt_mean.py"].center
