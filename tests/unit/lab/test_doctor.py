"""The doctor: what it finds, how it says so, and when it is not content."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coursekit.errors import CourseError
from coursekit.lab import doctor, kernel, machine
from coursekit.lab.finding import Finding


def isolation(monkeypatch: pytest.MonkeyPatch, answer: tuple[bool, str, str]) -> None:
    made = ModuleType("coursekit.grading.sandbox.trial")
    made.try_bubblewrap = lambda: answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coursekit.grading.sandbox.trial", made)


def test_one_line_per_check_and_one_per_remedy() -> None:
    findings = [
        Finding("python", "ok", "3.11.7"),
        Finding("disk", "missing", "0.2 GB free", "Free some space."),
    ]
    assert doctor.render(findings) == (
        "ok        python        3.11.7\n"
        "missing   disk          0.2 GB free\n"
        "                        -> Free some space."
    )


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("optional", 0), ("missing", 1)])
def test_the_exit_status_and_json(monkeypatch: pytest.MonkeyPatch, capsys: Any, state: Any, status: int) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: Finding("x", state, "found", "do this"),))
    assert doctor.main(as_json=True) == status
    assert json.loads(capsys.readouterr().out) == {
        "ok": status == 0,
        "checks": [{"name": "x", "state": state, "found": "found", "remedy": "do this"}],
    }
    assert doctor.main(as_json=False) == status
    assert capsys.readouterr().out.startswith(state)


def test_this_environment_has_what_a_notebook_needs() -> None:
    for check in (machine.python, doctor.torch, doctor.jupyterlab, doctor.notebook_kernel):
        assert check().state in ("ok", "optional")


def test_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    finding = doctor.torch()
    assert finding.state == "missing"
    assert finding.found.startswith("cannot be imported: ")
    assert finding.remedy == "Set it up: python3 course.py lab (or: pip install .)"


def test_an_unused_driver_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor, "has_nvidia_driver", lambda: True)
    found = f"{torch.__version__}, CPU build, on the CPU; the NVIDIA driver is unused"
    assert doctor.torch() == Finding("torch", "optional", found, "To use the GPU: python3 course.py lab --torch cuda")


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fine GPU")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert doctor.torch() == Finding("torch", "ok", f"{torch.__version__}, CUDA 13.0 build, on Fine GPU")


def test_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "other_python", lambda: "It starts another Python.")
    expected = Finding("kernel", "missing", "It starts another Python.", kernel.REMEDY)
    assert doctor.notebook_kernel() == expected


def test_a_students_install_lacks_nothing_without_nbgrader(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    remedy = "For grading: pip install .[instructor]"
    assert doctor.nbgrader() == Finding("nbgrader", "optional", "not installed", remedy)
    expected = Finding("sandbox", "optional", "not tried: grading is not installed", remedy)
    assert doctor.sandbox() == expected
    assert doctor.jupyterlab().state == "missing"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert doctor.jupyterlab() == Finding("jupyterlab", "optional", "not installed", "Not needed here.")


@pytest.mark.parametrize(
    ("works", "platform", "state"),
    [(True, "linux", "ok"), (False, "linux", "missing"), (False, "darwin", "optional")],
)
def test_the_sandbox_is_tried(monkeypatch: pytest.MonkeyPatch, works: bool, platform: str, state: Any) -> None:
    isolation(monkeypatch, (works, "what was seen", "" if works else "what to do"))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.9.6")
    monkeypatch.setattr(sys, "platform", platform)
    assert doctor.sandbox() == Finding("sandbox", state, "what was seen", "" if works else "what to do")


def test_course_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "keys_folder", lambda: tmp_path)
    monkeypatch.setattr(doctor, "notebooks_folder", lambda: tmp_path)
    (tmp_path / "u01_tensors.ipynb").touch()
    missing = Finding("course files", "missing", "1 notebooks, 0 answer keys", "Build them: coursekit build")
    assert doctor.course_files() == missing
    (tmp_path / "u01_tensors.key").touch()
    assert doctor.course_files() == Finding("course files", "ok", "1 notebooks, 1 answer keys")

    def nowhere() -> Path:
        raise CourseError("Not installed.", "Install again.")

    monkeypatch.setattr(doctor, "keys_folder", nowhere)
    assert doctor.course_files() == Finding("course files", "missing", "Not installed.", "Install again.")


def test_no_browser_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    remedy = "Only the browser test needs one: apt install chromium"
    assert doctor.browser() == Finding("browser", "optional", "no Chromium found", remedy)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 0, 2 * 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    remedy = "Free some space; the course needs 1 GB for data and results."
    assert doctor.disk() == Finding("disk", "missing", "0.2 GB free", remedy)
