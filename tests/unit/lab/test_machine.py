"""What the doctor says of Python, wheels, the place, workers and the console."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import platform
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from coursekit.lab import doctor, machine
from coursekit.lab.finding import Finding


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of one's own, with Linux on an ordinary processor."""
    for variable in machine.PLACES:
        monkeypatch.delenv(variable, raising=False)
    be(monkeypatch, "linux", "Linux", "x86_64")


def be(monkeypatch: pytest.MonkeyPatch, name: str, system: str, processor: str) -> None:
    monkeypatch.setattr(sys, "platform", name)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)


def test_the_doctor_asks_all_of_them() -> None:
    assert {machine.python, machine.where, machine.wheels, machine.workers, machine.shown} <= set(doctor.CHECKS)


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 9), "missing"), ((3, 11, 0), "ok"), ((3, 14, 2), "ok"), ((3, 15, 0), "missing")]
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: Any) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "executable", "/bin/python")
    remedy = "The course supports Python 3.11 to 3.14: install one of them, and start course.py with it."
    found = f"{'.'.join(map(str, version))} (/bin/python)"
    assert machine.python() == Finding("python", state, found, "" if state == "ok" else remedy)


@pytest.mark.parametrize(
    ("variables", "name", "said"),
    [
        ([], None, "a machine of your own"),
        (["COLAB_RELEASE_TAG"], "Colab", "Colab, its own PyTorch and notebook page are used"),
        (["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"], "Kaggle", "Kaggle, its own PyTorch and notebook page are used"),
        (["BINDER_SERVICE_HOST"], "Binder", "Binder, files are gone when it stops; download your notebooks"),
        (["CODESPACES", "REMOTE_CONTAINERS"], "Codespaces", "Codespaces, the dev container of .devcontainer/"),
        (["REMOTE_CONTAINERS"], "a dev container", "a dev container, as .devcontainer/ describes it"),
    ],
)
def test_the_place(monkeypatch: pytest.MonkeyPatch, variables: list[str], name: str | None, said: str) -> None:
    for variable in variables:
        monkeypatch.setenv(variable, "1")
    assert machine.place() == name
    assert machine.where() == Finding("place", "ok", said)


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        (("linux", "Linux", "x86_64"), None),
        (("linux", "Linux", "aarch64"), None),
        (("darwin", "Darwin", "arm64"), None),
        (("win32", "Windows", "AMD64"), None),
        (("darwin", "Darwin", "x86_64"), "Macs with an Intel processor"),
        (("win32", "Windows", "ARM64"), "Windows on ARM"),
    ],
)
def test_wheels(monkeypatch: pytest.MonkeyPatch, kind: tuple[str, str, str], lacking: str | None) -> None:
    be(monkeypatch, *kind)
    if lacking is None:
        assert machine.wheels() == Finding("wheels", "ok", f"PyTorch has them for {kind[1]} {kind[2]}")
        return
    found = f"PyTorch has none for {lacking}"
    assert machine.wheels() == Finding("wheels", "optional", found, "Yours comes from elsewhere: keep it.")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert machine.wheels() == Finding("wheels", "missing", found, "Use the course in Colab, or on another machine.")


def test_no_wheels_for_musl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "cpython-312-x86_64-linux-musl")
    assert machine.wheels().found == "PyTorch has none for Linux with musl, such as Alpine"


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("fork", "fork: a worker is there in milliseconds"),
        ("spawn", "spawn: a worker imports PyTorch first, 1 to 3 s each"),
        ("forkserver", "forkserver: a worker imports PyTorch first, 1 to 3 s each"),
    ],
)
def test_workers(monkeypatch: pytest.MonkeyPatch, method: str, said: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    context = multiprocessing.get_context(method)
    monkeypatch.setattr(multiprocessing, "get_context", lambda: context)
    assert machine.workers() == Finding("workers", "ok", said)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", "utf-8"), ("cp949", "cp949; in place of signs that it lacks: + x ○"), ("ascii", "ascii; in place of signs that it lacks: + x o")],
)
def test_the_console(monkeypatch: pytest.MonkeyPatch, encoding: str, said: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert machine.shown() == Finding("console", "ok", said)


def test_the_supported_pythons_are_those_of_the_project() -> None:
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text("utf-8")
    oldest, newest = (".".join(map(str, bound)) for bound in (machine.OLDEST, (machine.NEWEST[0], machine.NEWEST[1] + 1)))
    assert tomllib.loads(text)["project"]["requires-python"] == f">={oldest},<{newest}"
