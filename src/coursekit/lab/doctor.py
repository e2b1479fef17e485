"""What this machine has and lacks for the course: one line per check, one line of remedy per failure."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from coursekit.course.paths import keys_folder, notebooks_folder
from coursekit.errors import CourseError
from coursekit.lab import kernel, machine
from coursekit.lab.finding import Finding

INSTALL = "Set it up: python3 course.py lab (or: pip install .)"
INSTALL_INSTRUCTOR = "For grading: pip install .[instructor]"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
NEEDED_GIGABYTES = 1.0


def torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that the build needs is absent
        return Finding("torch", "missing", f"cannot be imported: {error}", INSTALL)
    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    if torch.cuda.is_available():
        return Finding("torch", "ok", f"{torch.__version__}, {build}, on {torch.cuda.get_device_name()}")
    found = f"{torch.__version__}, {build}, on the CPU"
    if has_nvidia_driver():
        return Finding("torch", "optional", f"{found}; the NVIDIA driver is unused", _torch_remedy(build))
    return Finding("torch", "ok", found)


def _torch_remedy(build: str) -> str:
    if build.startswith("CPU"):
        return "To use the GPU: python3 course.py lab --torch cuda"
    return "nvidia-smi shows what the driver says; this build may be too new for it."


def has_nvidia_driver() -> bool:
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None


def jupyterlab() -> Finding:
    if machine.place() in machine.HOSTED:
        return _package("jupyterlab", "optional", "Not needed here.")
    return _package("jupyterlab", "missing", INSTALL)


def nbgrader() -> Finding:
    return _package("nbgrader", "optional", INSTALL_INSTRUCTOR)


def _package(name: str, absent: Literal["missing", "optional"], remedy: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, absent, "not installed", remedy)


def notebook_kernel() -> Finding:
    try:
        wrong = kernel.other_python()
    except ImportError:
        return Finding("kernel", "missing", "Jupyter is not installed", INSTALL)
    if wrong:
        return Finding("kernel", "missing", wrong, kernel.REMEDY)
    return Finding("kernel", "ok", "python3 starts this Python")


def course_files() -> Finding:
    try:
        keys, notebooks = keys_folder(), notebooks_folder()
    except CourseError as error:
        return Finding("course files", "missing", error.problem, error.remedy)
    counts = len(list(keys.glob("*.key"))), len(list(notebooks.glob("*.ipynb")))
    found = f"{counts[1]} notebooks, {counts[0]} answer keys"
    if not all(counts):
        return Finding("course files", "missing", found, "Build them: coursekit build")
    return Finding("course files", "ok", found)


def sandbox() -> Finding:
    """Really start one; without the grading packages there is nothing to put into it."""
    if nbgrader().state != "ok":
        return Finding("sandbox", "optional", "not tried: grading is not installed", INSTALL_INSTRUCTOR)
    from coursekit.grading.sandbox.trial import try_bubblewrap

    works, what, remedy = try_bubblewrap()
    if works:
        return Finding("sandbox", "ok", what)
    return Finding("sandbox", "missing" if sys.platform == "linux" else "optional", what, remedy)


def browser() -> Finding:
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return Finding("browser", "ok", path)
    remedy = "Only the browser test needs one: apt install chromium"
    return Finding("browser", "optional", "no Chromium found", remedy)


def disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < NEEDED_GIGABYTES:
        remedy = f"Free some space; the course needs {NEEDED_GIGABYTES:.0f} GB for data and results."
        return Finding("disk", "missing", f"{free:.1f} GB free", remedy)
    return Finding("disk", "ok", f"{free:.0f} GB free")


CHECKS: tuple[Callable[[], Finding], ...] = (
    machine.python,
    machine.where,
    torch,
    machine.wheels,
    machine.workers,
    machine.shown,
    jupyterlab,
    notebook_kernel,
    course_files,
    nbgrader,
    sandbox,
    browser,
    disk,
)


def render(findings: list[Finding]) -> str:
    """One line per check; a failure's remedy on a line below it."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8}  {finding.name:<12}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':<24}-> {finding.remedy}")
    return "\n".join(lines)


def main(as_json: bool) -> int:
    """Run every check. Returns: 0 if nothing needed is missing, else 1."""
    findings = [check() for check in CHECKS]
    fine = all(finding.state != "missing" for finding in findings)
    if as_json:
        print(json.dumps({"ok": fine, "checks": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print(render(findings))
    return 0 if fine else 1
