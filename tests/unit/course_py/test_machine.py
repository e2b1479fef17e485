"""Machines that are refused at once, and homes that cannot be used."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HERE = {
    **{"platform": "linux", "kind": "linux-x86_64", "machine": "x86_64"},
    **{"abi": "cpython-313-x86_64-linux-gnu", "libc": ("glibc", "2.28")},
}
NOT_HERE = "There is no current build of PyTorch for {}: the course cannot run here."


@pytest.fixture
def machine(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The checkout's module, made to believe that it runs on another machine."""
    module = checkout.part("machine")

    def pretend(**other: Any) -> Any:
        here = {**HERE, **other}
        monkeypatch.setattr(module.sys, "platform", here["platform"])
        monkeypatch.setattr(sysconfig, "get_platform", lambda: here["kind"])
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name: here["abi"])
        monkeypatch.setattr(platform, "machine", lambda: here["machine"])
        monkeypatch.setattr(platform, "libc_ver", lambda: here["libc"])
        return module

    monkeypatch.undo()  # the checkout takes any machine
    return pretend


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"kind": "linux-aarch64", "machine": "aarch64", "abi": "cpython-313-aarch64-linux-gnu"},
        {"platform": "darwin", "kind": "macosx-11.0-arm64", "machine": "arm64", "abi": "cpython-313-darwin"},
        {"platform": "win32", "kind": "win-amd64", "machine": "AMD64", "abi": None},
    ],
)
def test_machines_that_have_wheels(machine: Any, other: dict[str, Any]) -> None:
    machine(**other).check_wheels()


@pytest.mark.parametrize(
    ("other", "name", "remedy"),
    [
        (
            {"platform": "darwin", "kind": "macosx-10.9-universal2", "machine": "x86_64"},
            "Intel Macs",
            "On a Mac with an Apple chip, install Python for arm64 instead of this one for Intel: " + sys.executable,
        ),
        (
            {"platform": "win32", "kind": "win-arm64", "machine": "ARM64"},
            "Python for Windows on ARM",
            "Install Python for 64-bit Windows (amd64); Windows on ARM runs it too.",
        ),
        (
            {"platform": "win32", "kind": "win32", "machine": "AMD64"},
            "Python for 32-bit Windows",
            "Install Python for 64-bit Windows (amd64); Windows on ARM runs it too.",
        ),
        (
            {"abi": "cpython-313-x86_64-linux-musl", "libc": ("", "")},
            "Linux with musl, such as Alpine",
            "Use a Linux with glibc, such as Debian, Ubuntu or Fedora.",
        ),
        (
            {"machine": "riscv64", "kind": "linux-riscv64"},
            "this Python on riscv64",
            "Use a 64-bit Python on x86_64 or aarch64.",
        ),
        (
            {"libc": ("glibc", "2.17")},
            "a Linux as old as this one (glibc 2.17)",
            "Use a newer one: glibc must be 2.28 or newer, as in Debian 10, Ubuntu 20.04 and later.",
        ),
    ],
)
def test_machines_that_have_none(machine: Any, other: dict[str, Any], name: str, remedy: str) -> None:
    module = machine(**other)
    with pytest.raises(Exception) as caught:  # noqa: PT011 (the class belongs to the checkout)
        module.check_wheels()
    assert caught.type is module.SetupError
    assert caught.value.args == (NOT_HERE.format(name), remedy)


def test_a_machine_without_wheels_is_refused_before_anything_is_touched(checkout: Any, monkeypatch: Any) -> None:
    module = checkout.part("machine")

    def refuse() -> None:
        raise module.SetupError("no", "none")

    monkeypatch.setattr(module, "check_wheels", refuse)
    assert checkout.course.main(["lab"]) == 1
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("trouble", ["missing", "read-only"])
def test_a_home_that_cannot_be_used(
    checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    variable = "USERPROFILE" if sys.platform == "win32" else "HOME"
    home = tmp_path / "home"
    monkeypatch.setenv(variable, str(home))
    if trouble == "read-only":
        home.mkdir()
        monkeypatch.setattr(checkout.part("machine").os, "access", lambda path, mode: str(path) != str(home))
    assert checkout.course.main(["lab"]) == 1
    problem = "does not exist" if trouble == "missing" else "cannot be written"
    assert capsys.readouterr().err == (
        f"course.py: Your home folder {problem}: {home}\n"
        f"Jupyter keeps its files there. Set {variable} to a folder that you may write to.\n"
    )
    assert not (checkout.root / ".venv").exists()
