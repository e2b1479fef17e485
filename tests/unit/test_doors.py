"""The doors beside the two commands: dev container, Binder and uv all go through course.py, with a Python that the course supports."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

from coursekit.cli import parser
from coursekit.lab.machine import NEWEST, OLDEST


def supported(version: str) -> bool:
    return OLDEST <= tuple(map(int, version.split("."))) <= NEWEST


def runs_course_py(command: str) -> bool:
    """Whether a shell command begins with course.py and a verb that there is."""
    words = re.match(r"python3 course\.py ([a-z ]+)", command)
    return words is not None and parser().parse_args(words.group(1).split()).call is not None


def test_the_dev_container(repository: Path) -> None:
    described = json.loads((repository / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    image, version = described["image"].split(":")
    assert image == "python"
    assert supported(version)
    assert runs_course_py(described["postCreateCommand"])
    python = described["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python == "${containerWorkspaceFolder}/.venv/bin/python"


def test_binder(repository: Path) -> None:
    folder = repository / ".binder"
    assert {path.name for path in folder.iterdir()} == {"runtime.txt", "postBuild"}
    assert supported((folder / "runtime.txt").read_text("utf-8").strip().removeprefix("python-"))
    first, *lines = (folder / "postBuild").read_text("utf-8").splitlines()
    assert first == "#!/usr/bin/env bash"
    assert os.name == "nt" or os.access(folder / "postBuild", os.X_OK)
    commands = [line for line in lines if not line.startswith("#")]
    assert commands[0] == "set -eu"
    assert runs_course_py(commands[1])
    assert commands[2].startswith(".venv/bin/python -m ipykernel install --prefix ")


def test_uv_leaves_the_environment_to_course_py(repository: Path) -> None:
    assert tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["tool"]["uv"] == {"managed": False}
    assert "uv.lock" in (repository / ".gitignore").read_text("utf-8").splitlines()
    assert not (repository / "uv.lock").exists()
