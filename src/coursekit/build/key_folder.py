"""Load a unit's key: a folder autograder/uNN_slug/ with one file for each exercise, and _shared.py for what several use."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from coursekit.course.authoring import Key
from coursekit.errors import CourseError


def key_file(exercise: str) -> str:
    """The name of the file that holds an exercise's key: scan.py for u08-scan."""
    return f"{exercise[4:].replace('-', '_')}.py"


def key_files(folder: Path) -> list[Path]:
    """The files of a key, without what an editor may leave beside them."""
    return sorted(path for path in folder.glob("*.py") if re.fullmatch(r"\w+", path.stem))


def short(path: Path) -> str:
    """autograder/uNN_slug/scan.py, as messages name a file of a key."""
    return "/".join(path.parts[-3:])


def load_keys(folder: Path) -> tuple[dict[str, ModuleType], dict[str, Key]]:
    """Import the files of autograder/uNN_slug/ as one package, so that they can import from each other.

    Returns: the modules by file name, and the keys by exercise.
    Raises: CourseError: with the file and what is wrong in it.
    """
    folder = folder.absolute()
    single = folder.with_name(f"{folder.name}.py")
    if single.is_file():
        raise CourseError(
            f"{single.parent.name}/{single.name} is not read: a key is a folder with one file for each exercise.",
            f"Move it into a folder: {folder.parent.name}/{folder.name}/.",
        )
    if not folder.is_dir():
        raise CourseError(
            f"There is no key folder {folder.parent.name}/{folder.name}/.",
            f"Run `coursekit new unit {folder.name}`, or make the folder, with one file for each exercise.",
        )
    name = f"coursekit_key_{folder.name}"
    for old in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name]:
        del sys.modules[old]
    sys.path_importer_cache.pop(str(folder), None)  # it may not know yet a file that was just written
    package = sys.modules[name] = ModuleType(name)
    package.__path__ = [str(folder)]
    modules = {path.name: _import(name, path) for path in key_files(folder)}
    return modules, _keys(modules)


def _import(package: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(f"{package}.{path.stem}")
    except Exception as error:
        raise CourseError(
            f"{_place(path, error)}: the key file cannot be imported: {type(error).__name__}: {getattr(error, 'msg', error)}",
            "Mend the line.",
        ) from error


def _place(path: Path, error: Exception) -> str:
    """File and line of the key's last line that an exception passed through; it may be in a file that `path` imports."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{short(Path(error.filename))}:{error.lineno or 1}"
    own = (frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if Path(frame.filename).parent == path.parent)
    last = next(own, None)
    return f"{short(Path(last.filename))}:{last.lineno or 1}" if last else f"{short(path)}:1"


def _keys(modules: dict[str, ModuleType]) -> dict[str, Key]:
    found: dict[str, tuple[str, Key]] = {}
    for file, module in modules.items():
        for value in vars(module).values():
            if isinstance(value, Key):
                first, key = found.setdefault(value.exercise, (file, value))
                if key is not value:
                    where = f"both in {file}" if first == file else f"in {first} and in {file}"
                    raise CourseError(f"There are two keys for `{value.exercise}`, {where}.", "Keep one of them.")
    return {exercise: key for exercise, (_, key) in found.items()}
