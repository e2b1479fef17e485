"""Refuse a machine on which no set-up can end well, in one line and at once."""

import os
import platform
import shutil
import sys
import sysconfig

from setup.causes import SetupError

OLDEST_GLIBC = (2, 28)  # PyTorch's wheels for Linux are built for this one and newer
NO_WHEELS = "There is no current build of PyTorch for {}: the course cannot run here."


def check_wheels() -> None:
    """Raises: SetupError: nobody builds PyTorch for this kind of machine."""
    kind = sysconfig.get_platform()  # of this Python: an Intel Python on an ARM machine counts as Intel
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise SetupError(
            NO_WHEELS.format("Intel Macs"),
            "On a Mac with an Apple chip, install Python for arm64 instead of this one for Intel: " + sys.executable,
        )
    if kind in ("win-arm64", "win32"):
        raise SetupError(
            NO_WHEELS.format("Python for 32-bit Windows" if kind == "win32" else "Python for Windows on ARM"),
            "Install Python for 64-bit Windows (amd64); Windows on ARM runs it too.",
        )
    if sys.platform == "linux":
        check_linux()


def check_linux() -> None:
    if "musl" in f"{sysconfig.get_config_var('SOABI')} {sysconfig.get_config_var('HOST_GNU_TYPE')}":
        raise SetupError(
            NO_WHEELS.format("Linux with musl, such as Alpine"),
            "Use a Linux with glibc, such as Debian, Ubuntu or Fedora.",
        )
    if platform.machine() not in ("x86_64", "aarch64") or sys.maxsize < 2**32:
        raise SetupError(
            NO_WHEELS.format(f"this Python on {platform.machine()}"),
            "Use a 64-bit Python on x86_64 or aarch64.",
        )
    name, version = platform.libc_ver()
    numbers = version.split(".")
    if name == "glibc" and tuple(map(int, numbers[:2])) < OLDEST_GLIBC:
        raise SetupError(
            NO_WHEELS.format(f"a Linux as old as this one (glibc {version})"),
            "Use a newer one: glibc must be 2.28 or newer, as in Debian 10, Ubuntu 20.04 and later.",
        )


def check_home() -> None:
    """Raises: SetupError: the home folder is missing or read-only."""
    home = os.path.expanduser("~")
    variable = "USERPROFILE" if os.name == "nt" else "HOME"
    if not os.path.isdir(home):
        problem = f"Your home folder does not exist: {home}"
    elif not os.access(home, os.W_OK):
        problem = f"Your home folder cannot be written: {home}"
    else:
        return
    raise SetupError(problem, f"Jupyter keeps its files there. Set {variable} to a folder that you may write to.")


def has_nvidia_driver() -> bool:
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None
