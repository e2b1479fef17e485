"""What course.py says when the machine is unfit, an install fails or is stopped, or a command is misspelt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import namedtuple
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("minor", [8, 10, 15])
def test_a_python_that_the_pins_do_not_know(
    checkout: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, minor: int
) -> None:
    other = SimpleNamespace(version_info=(3, minor, 0, "final", 0), stderr=sys.stderr)
    monkeypatch.setattr(checkout.course, "sys", other)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err == (
        f"course.py: This is Python 3.{minor}; the course needs 3.11 to 3.14.\n"
        "Install one of these and name it, for example: python3.13 course.py lab\n"
    )


def test_the_package_refuses_the_same_pythons() -> None:
    text = (SOURCE / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["requires-python"] == ">=3.11,<3.15"


def test_a_folder_that_is_no_environment_is_left_alone(checkout: Any, capsys: Any) -> None:
    work = checkout.root / ".venv" / "thesis.txt"
    work.parent.mkdir()
    work.write_text("work", "utf-8")
    assert checkout.course.main(["lab"]) == 1
    folder = checkout.root / ".venv"
    said = f"course.py: .venv is there, but is not a Python environment: {folder}\nMove it away.\n"
    assert capsys.readouterr().err.endswith(said)
    assert work.read_text("utf-8") == "work"


DISK = ("The disk is full.", "Free some space and run the same command again.")
CERTIFICATE = (
    "The package source shows a certificate that this machine does not trust.",
    "Where a company or school filters the network, set PIP_CERT=FILE, the certificate that its IT gives out.",
)
PROXY = (
    "The proxy does not let the installer through.",
    "Set HTTPS_PROXY to the proxy of your network, with name and password if it asks for them, or unset it.",
)
NETWORK = (
    "The package source cannot be reached: there seems to be no network.",
    "Connect and run the same command again; behind a proxy, set HTTPS_PROXY. "
    "With wheels in a folder, set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER.",
)
NO_MATCH = (
    "No source has a fitting version of a package that the course needs.",
    "The lines above name it; the sources that pip is configured with must offer it.",
)
UNREADABLE = (
    "A folder that pip is configured with, as an index or for wheels, cannot be read.",
    "Ask for permission to read it, or take it out of pip's configuration (`pip config list` shows it).",
)
PIP_ENDS = "\nERROR: No matching distribution found for numpy==2.4.6"


@pytest.mark.parametrize(
    ("says", "expected"),
    [  # each as pip 23.2 or uv 0.13 put it
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", DISK),
        ("error: Failed to install: torch\n  cause: No space left on device (os error 28)", DISK),
        (
            "Could not fetch URL https://localhost/simple/six/: There was a problem confirming the ssl certificate: "
            "(Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
            f"failed: self-signed certificate (_ssl.c:1006)'))) - skipping{PIP_ENDS}",
            CERTIFICATE,
        ),
        (
            "error: Failed to fetch: https://localhost/simple/six/\n  cause: error sending request for url\n"
            "  cause: client error (Connect)\n  cause: invalid peer certificate: UnknownIssuer",
            CERTIFICATE,
        ),
        (
            "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', OSError('Tunnel "
            f"connection failed: 407 Proxy Authentication Required'))': /simple/six/{PIP_ENDS}",
            PROXY,
        ),
        (
            "error: Request failed after 1 retry in 1.4s\n  cause: error sending request for url\n"
            "  cause: client error (Connect)\n  cause: tunnel error: proxy authorization required",
            PROXY,
        ),
        (
            "WARNING: NewConnectionError('Failed to establish a new connection: [Errno -3] Temporary failure in "
            f"name resolution'){PIP_ENDS}",
            NETWORK,
        ),
        (
            "error: Request failed after 3 retries in 11.6s\n  cause: dns error\n  cause: error resolving DNS\n"
            "  cause: failed to lookup address information: Name or service not known",
            NETWORK,
        ),
        (
            "error: Failed to build the course\n  cause: No solution found when resolving: `hatchling>=1.25`\n"
            "  cause: failed to read from file `/wheels/simple/hatchling/index.html`: Permission denied (os error 13)",
            UNREADABLE,
        ),
        ("ERROR: No matching distribution found for safetensors==0.8.0", NO_MATCH),
        (
            "error: No solution found when resolving dependencies\n  cause: Because there is no version of "
            "safetensors==0.8.0 and you require safetensors==0.8.0, your requirements are unsatisfiable.",
            NO_MATCH,
        ),
    ],
)
def test_causes_of_a_failed_install(checkout: Any, capsys: Any, says: str, expected: tuple[str, str]) -> None:
    checkout.plan((" -e ", says))
    assert checkout.course.main(["lab"]) == 1
    said = capsys.readouterr().err
    log = checkout.root / ".venv" / "course-setup.log"
    assert said.endswith(f"course.py: {expected[0]}\n{expected[1]} All that pip said: {log}\n")
    assert "  | " + says.splitlines()[-1] in said  # pip's own last lines stand above
    assert says in log.read_text(encoding="utf-8")
    assert checkout.stamp()["state"] == "building"


def test_an_unknown_failure_names_the_log(checkout: Any, capsys: Any) -> None:
    checkout.plan((" -e ", "error: subprocess-exited-with-error"))
    assert checkout.course.main(["lab"]) == 1
    log = checkout.root / ".venv" / "course-setup.log"
    said = f"course.py: pip failed.\nIts last lines are above, all that it said is in {log}\n"
    assert capsys.readouterr().err.endswith(said)


def test_an_earlier_failure_is_not_taken_for_the_cause(checkout: Any, capsys: Any) -> None:
    checkout.plan(("uv$", NETWORK_SAID), (" -e ", "error: subprocess-exited-with-error"))
    assert checkout.course.main(["lab"]) == 1
    assert "course.py: pip failed.\n" in capsys.readouterr().err


NETWORK_SAID = "Failed to establish a new connection"


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_no_module_to_make_environments(checkout: Any, capsys: Any, monkeypatch: Any, module: str) -> None:
    checkout.plan(no_pip=True)
    hide(monkeypatch, module)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: This Python has no `{module}` module to make an environment: {sys.executable}\n"
        f"Debian, Ubuntu: sudo apt install python3.{sys.version_info[1]}-venv. "
        "Elsewhere: install a Python that has venv.\n"
    )
    assert not (checkout.root / ".venv").exists()


def test_ensurepip_is_not_needed_where_pip_or_uv_is_there(checkout: Any, monkeypatch: Any, uv: Path) -> None:
    hide(monkeypatch, "ensurepip")
    assert checkout.course.main(["lab"]) == 0
    checkout.plan(no_pip=True)
    shutil.rmtree(checkout.root / ".venv")
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls("pip") == []


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else real(name))


def test_too_little_disk(checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 0, 1.25e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: Only 1.2 GB are free in {checkout.root}; setting up needs 3 GB.\n"
        "Free some space and run the same command again.\n"
    )


def test_a_folder_that_cannot_be_written(checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkout.part("environment").os, "makedirs", refuse)
    assert checkout.course.main(["lab"]) == 1
    assert capsys.readouterr().err.endswith(
        f"course.py: Cannot write to {checkout.root / '.venv'}: Permission denied.\n"
        "Put the course into a folder that you may write to.\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lab", "--nope"], "coursekit: error: unrecognized arguments: --nope"),
        (["--nope"], "coursekit: error: "),
        (["gradee", "u01"], "invalid choice: 'gradee'"),
        (["test", "--ful"], "`test` takes nothing but --full; got: --ful"),
        (["lab", "--torch", "gpu"], "argument --torch: invalid choice: 'gpu'"),
        (["lab", "--port", "x"], "expected a whole number above zero, got 'x'"),
    ],
)
def test_a_misspelt_command_is_refused_before_anything_is_installed(
    checkout: Any, capsys: Any, words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        checkout.course.main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not (checkout.root / ".venv").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_install_stops_pip_and_the_next_run_builds_again(
    checkout: Any, number: signal.Signals, status: int
) -> None:
    checkout.plan(sleep=60)
    base = getattr(sys, "_base_executable", sys.executable)
    # coursekit's parser comes from src: the base Python has no coursekit installed
    shutil.copytree(SOURCE / "src", checkout.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    command = [base, str(checkout.root / "course.py"), "lab", "--torch", "cpu"]
    # A shell's background job ignores Ctrl-C, and so would all that it starts, this test's child as well.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hears)
    try:
        deadline = time.monotonic() + 30
        while not checkout.calls():  # until pip is installing
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(number)
        _, said = child.communicate(timeout=20)  # would wait for pip, which holds the pipe no longer
    finally:
        child.kill()
    assert child.returncode == status
    assert ("Stopped. Run the same command again to go on." in said) == (number == signal.SIGINT)
    assert checkout.stamp()["state"] == "building"
    action, reason = checkout.part("environment").plan(checkout.stamp(), [], "cpu", None)
    assert (action, reason) == ("build", "An earlier set-up of .venv did not finish; building it again.")
