"""What .venv holds by its own record, and whether to keep it, update it or build it again."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setup.causes import SetupError
from setup.place import PYTHON, ROOT, STAMP, VENV

LAYOUT = 2  # of an environment; 1 held the course under another distribution name
HERE = [str(ROOT), *sys.version_info[:2]]  # an environment cannot move or change Python
GIGABYTES = {"cpu": 3, "cuda": 10}  # what an environment takes, with room for unpacking


def fingerprint() -> str:
    """Hash the files that an environment is made from."""
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt", *sorted(Path(__file__).parent.glob("*.py"))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def read_stamp() -> dict[str, Any]:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(**stamp: Any) -> None:
    """Record the environment: state "building" from the start, "ready" at the end."""
    fresh = STAMP.with_name(STAMP.name + ".new")
    fresh.write_text(json.dumps({"layout": LAYOUT, **stamp}), encoding="utf-8")
    os.replace(fresh, STAMP)


def plan(stamp: dict[str, Any], needed: Sequence[str], torch: str, index: str | None) -> tuple[str, str]:
    """Decide about the environment: ("keep" | "update" | "build", what to tell the user)."""
    if not os.path.lexists(VENV):
        return "build", "Setting the course up in .venv; the first time takes up to a few minutes."
    if stamp.get("state") != "ready":
        return "build", "An earlier set-up of .venv did not finish; building it again."
    if not os.access(PYTHON, os.X_OK):
        return "build", "The environment in .venv has lost its Python; building it again."
    if stamp.get("here") != HERE:
        return "build", "The environment in .venv is for another Python or folder; building it again."
    if stamp.get("layout") != LAYOUT:
        return "build", "The environment in .venv is from an earlier version of the course; building it again."
    if (stamp.get("torch"), stamp.get("index")) != (torch, index):
        return "build", "The environment in .venv holds another PyTorch build; building it again."
    if stamp.get("fingerprint") != fingerprint():
        return "update", "The course's requirements have changed; updating .venv."
    if not set(needed) <= set(stamp.get("extras", ())):
        return "update", "Adding what tests and grading need to .venv."
    return "keep", ""


def check_replaceable() -> None:
    """Raises: SetupError: .venv is something that was not made by us or by venv."""
    if not os.path.lexists(VENV):
        return
    inside = [] if VENV.is_symlink() or not VENV.is_dir() else os.listdir(VENV) or ["pyvenv.cfg"]
    if not {STAMP.name, "pyvenv.cfg"} & set(inside):
        raise SetupError(f".venv is there, but is not a Python environment: {VENV}", "Move it away.")


def check_disk(gigabytes: float) -> None:
    """Raises: SetupError: too little is free."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"Only {free:.1f} GB are free in {ROOT}; setting up needs {gigabytes} GB.",
            "Free some space and run the same command again.",
        )


def prepare_folder(anew: bool, gigabytes: float, remembered: dict[str, Any]) -> None:
    """Clear .venv for building anew, mark it unfinished. Raises: SetupError: read-only, too little disk."""
    try:
        if anew and VENV.is_dir():
            shutil.rmtree(VENV)
        check_disk(gigabytes)
        os.makedirs(VENV, exist_ok=True)
        write_stamp(state="building", **remembered)
    except OSError as error:
        problem = f"Cannot write to {VENV}: {error.strerror}."
        raise SetupError(problem, "Put the course into a folder that you may write to.") from error
