"""What all tests share: a machine without a GPU or a browser skips the tests that need one, and says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that these tests belong to."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def written(repository: Path) -> list[Path]:
    """The files that somebody wrote: no notebooks, no data, and nothing that an environment, a tool or a class left here."""
    made = {".git", ".venv", "__pycache__", "build", "dist", "my-course", "handin", "artefacts", "letters-data", "sets"}
    made |= {"source", "release", "submitted", "autograded", "feedback", "evidence", "private"}
    found = []
    for folder, folders, files in os.walk(repository):
        folders[:] = [name for name in folders if name not in made and not name.endswith(("_cache", ".egg-info"))]
        found += [Path(folder, name) for name in files if Path(name).suffix in (".py", ".md", ".toml", ".txt", ".json", ".yml", ".yaml", "")]
    return sorted(found)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's browser, for Playwright's `executable_path`."""
    for name in CHROMIUM:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium on this machine")


@pytest.fixture
def cuda() -> str:
    """The device of tests marked `cuda`."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device on this machine")
    return "cuda"
