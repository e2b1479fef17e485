"""Which PyTorch to install and from where: the CPU build, unless an NVIDIA driver is here or CUDA is asked for.

On Linux pip's usual source has the CUDA build alone, several gigabytes of it; PyTorch keeps the CPU build, whose
version ends in +cpu, under an index of its own. To name that version is to ask for it: where it is missing, nothing
is loaded.
"""

import os
import re
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit
from urllib.request import url2pathname

from setup.causes import CERTIFICATE, DISK, NETWORK, NO_MATCH, PROXY, SetupError
from setup.environment import GIGABYTES, check_disk
from setup.installers import Installer, InstallFailed, install
from setup.place import ROOT
from setup.running import say

NOT_THERE = "not found"
CUDA_SIZE = "3 GB to load, 5 GB on the disk"
OTHER_INDEX = 'Correct --torch-index (or COURSE_TORCH_INDEX); --torch-index "" goes back to the usual sources.'


def pinned() -> str:
    """The tested version of torch, as constraints.txt has it."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(r"^torch==(\S+)$", text, re.MULTILINE)
    if not found:
        raise SetupError("constraints.txt has no pin for torch.", "Get the course's files again.")
    return found[1]


def check_index(index: str | None) -> None:
    """Raises: SetupError: no address that an installer could open."""
    if not index:
        return
    parts = urlsplit(index)
    if parts.scheme in ("http", "https") and parts.netloc:
        return
    if parts.scheme != "file":
        raise SetupError(f"The index given for PyTorch is not an address: {index}", OTHER_INDEX)
    if not os.path.isdir(url2pathname(parts.path)):
        raise SetupError(f"The index given for PyTorch is a folder that does not exist: {index}", OTHER_INDEX)


def put(installers: list[Installer], build: str, index: str | None, cpu_index: str) -> None:
    """Install PyTorch alone, unless pip's usual sources are sure to hold the right build.

    Args: build: "cpu" or "cuda". index: where the user wants it from. cpu_index: PyTorch's own for CPU builds.
    Raises: SetupError: the user's index has none, or does not answer. InstallFailed.
    """
    version = pinned()
    apart = build == "cpu" and sys.platform == "linux"  # elsewhere the CPU build is the usual one
    if index:
        put_from_given(installers, [f"torch=={version}+cpu"] * apart + [f"torch=={version}"], index)
    elif apart and not in_usual_sources(installers, f"torch=={version}+cpu"):
        why_not = put_from_pytorch(installers[0], f"torch=={version}+cpu", cpu_index)
        if why_not:
            say(f"  {why_not}: taking the CUDA build, which runs without a GPU too ({CUDA_SIZE}).")
            check_disk(GIGABYTES["cuda"])


def in_usual_sources(installers: list[Installer], requirement: str) -> bool:
    label = "looking for PyTorch's CPU build in pip's sources"
    try:
        install(label, installers, ["--no-deps", requirement], otherwise=NOT_THERE)
    except InstallFailed as failure:
        if failure.cause is NO_MATCH:
            return False
        raise
    return True


def put_from_given(installers: list[Installer], wanted: Sequence[str], index: str) -> None:
    for requirement in wanted:
        label = f"looking for {requirement} in {index}"
        try:
            return install(label, installers, ["--no-deps", requirement], index, otherwise=NOT_THERE)
        except InstallFailed as failure:
            if failure.cause is NO_MATCH:
                continue
            if failure.cause in (CERTIFICATE, PROXY):
                problem = f"{failure.cause.problem} The index given for PyTorch: {index}"
                raise SetupError(problem, failure.cause.remedy) from failure
            if failure.cause is NETWORK:
                raise SetupError(f"The index given for PyTorch does not answer: {index}", OTHER_INDEX) from failure
            raise
    problem = f"The index given for PyTorch has no {wanted[-1]} for this Python and machine: {index}"
    raise SetupError(problem, OTHER_INDEX)


def put_from_pytorch(installer: Installer, requirement: str, cpu_index: str) -> str:
    """Take the CPU build from PyTorch's own index. Returns: why that cannot be, if it cannot."""
    if installer.no_index:
        return "pip's sources have no CPU build of PyTorch, and pip is told to use no index"
    label = "looking for it in PyTorch's own index"
    try:
        install(label, [installer], ["--no-deps", requirement], cpu_index, otherwise=NOT_THERE)
    except InstallFailed as failure:
        if failure.cause is DISK:
            raise
        says = "has none for this Python" if failure.cause is NO_MATCH else "does not answer"
        return f"PyTorch's own index of CPU builds {says}"
    return ""
