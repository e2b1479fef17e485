"""Start JupyterLab on a working folder: this Python's own, for this machine only, fine without a network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from coursekit.errors import CourseError
from coursekit.lab import kernel

HOST = "127.0.0.1"
SETTINGS = Path(__file__).with_name("jupyter")  # labconfig/: no question about fetching Jupyter news


def command(folder: Path, no_browser: bool, port: int | None) -> list[str]:
    """The command line that serves the folder. The token stays on: it keeps the machine's other users out."""
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.ip={HOST}",
        "--log-level=WARN",  # the address is printed all the same
        # There may be no network: no look for updates, no list of extensions, and (see SETTINGS) no news.
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if no_browser:
        words.append("--no-browser")
    if port is not None:
        words += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")  # containers; Jupyter refuses to run as root without being told
    return words


def refuse_taken_port(port: int) -> None:
    """Raises: CourseError: something listens on the port already, or it may not be used."""
    with socket.socket() as probe:
        if os.name != "nt":  # as the server itself does, so that a port which is only closing counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CourseError(
                f"Port {port} cannot be used: {error.strerror}.",
                "Give another one (--port N), or leave --port out to take a free one.",
            ) from error


def start(folder: Path, no_browser: bool, port: int | None) -> int:
    """Serve until stopped. On POSIX this process becomes the server, so that signals reach it."""
    if port is not None:
        refuse_taken_port(port)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel before one in the user's home
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, (str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH")))
    )
    wrong = kernel.other_python()
    if wrong:
        raise CourseError(wrong, kernel.REMEDY)
    words = command(folder, no_browser, port)
    if os.name == "nt":
        return subprocess.call(words, cwd=folder)
    os.chdir(folder)
    os.execv(words[0], words)
