"""Starting JupyterLab: its command line, a port that is taken, the kernel that runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from coursekit.errors import CourseError
from coursekit.lab import kernel, server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((server.HOST, 0))
        return int(probe.getsockname()[1])


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    words = server.command(tmp_path, no_browser=True, port=8890)
    assert words[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in words
    assert words[-3:] == ["--no-browser", "--ServerApp.port=8890", "--ServerApp.port_retries=0"]
    assert not any("token" in word or "password" in word for word in words)
    assert "--no-browser" not in server.command(tmp_path, no_browser=False, port=None)


def test_root_is_allowed_only_to_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert "--allow-root" not in server.command(tmp_path, True, None)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    assert "--allow-root" in server.command(tmp_path, True, None)


def test_a_taken_port() -> None:
    with socket.socket() as other:
        other.bind((server.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CourseError) as caught:
            server.refuse_taken_port(port)
    assert caught.value.problem == f"Port {port} cannot be used: Address already in use."
    assert caught.value.remedy == "Give another one (--port N), or leave --port out to take a free one."
    server.refuse_taken_port(port)


def test_the_news_question_is_switched_off_where_jupyterlab_looks() -> None:
    settings = json.loads((server.SETTINGS / "labconfig" / "page_config.json").read_text("utf-8"))
    assert settings == {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def kernelspec(folder: Path, program: str) -> None:
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    words = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": words, "display_name": "P", "language": "python"}), "utf-8")


def test_the_kernel_of_this_environment() -> None:
    assert kernel.other_python() is None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (sys.executable, None),
        ("/nowhere/python", "Jupyter's kernel python3 ({spec}) does not start: /nowhere/python"),
    ],
)
def test_a_kernel_that_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str | None
) -> None:
    kernelspec(tmp_path, program)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    spec = tmp_path / "kernels" / "python3"
    assert kernel.other_python() == (said and said.format(spec=spec))


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_a_kernel_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-python"
    other.write_text('#!/bin/sh\necho \'"/somewhere/else"\'\n', "utf-8")
    other.chmod(0o755)
    kernelspec(tmp_path, str(other))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    spec = tmp_path / "kernels" / "python3"
    assert kernel.other_python() == f"Jupyter's kernel python3 ({spec}) starts another Python: {other}"


@pytest.mark.skipif(os.name == "nt", reason="the process becomes the server on POSIX only")
def test_jupyterlab_answers_and_a_signal_ends_it(tmp_path: Path) -> None:
    port = free_port()
    program = "import sys; from pathlib import Path; from coursekit.lab.server import start; "
    program += f"sys.exit(start(Path({str(tmp_path)!r}), True, {port}))"
    home = dict(os.environ, HOME=str(tmp_path))
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log, env=home)
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://{server.HOST}:{port}/api", timeout=2) as answer:
                    assert "version" in json.load(answer)
                break
            except OSError:
                assert child.poll() is None, (tmp_path / "log").read_text("utf-8")
                time.sleep(0.5)
        else:
            pytest.fail((tmp_path / "log").read_text("utf-8"))
        child.terminate()
        child.wait(timeout=20)
    finally:
        child.kill()
        child.wait()
