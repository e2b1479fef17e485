"""Bring .venv to what a command needs."""

import importlib.util
import os
import sys
import sysconfig
import time
from collections.abc import Sequence

from setup import environment, machine, pytorch
from setup.causes import SetupError
from setup.installers import Installer, InstallFailed, ask_pip, find_installers, find_uv, install
from setup.place import LOG, PYTHON, VENV, base_python
from setup.running import run_logged, say


def set_up(needed: Sequence[str], asked: str | None, index: str | None, cpu_index: str) -> str:
    """Install what is missing; in well under a second when nothing is.

    Args: needed: extras of pyproject.toml. asked, index: the wished build of PyTorch and where it is to come from,
    None for what was wished before; an empty index takes that back. cpu_index: PyTorch's own for CPU builds.
    Returns: the environment's Python. Raises: SetupError.
    """
    stamp = environment.read_stamp()
    asked = asked or stamp.get("asked")
    index = (stamp.get("index") if index is None else index) or None
    torch = asked or ("cuda" if machine.has_nvidia_driver() else "cpu")
    action, reason = environment.plan(stamp, needed, torch, index)
    machine.check_home()
    if action == "keep":
        return str(PYTHON)
    started = time.monotonic()
    machine.check_wheels()
    pytorch.check_index(index)
    extras = sorted(set(needed) | set(stamp.get("extras", ())))
    say(reason)
    if action == "build":
        check_tools()
        environment.check_replaceable()
    remembered = {key: stamp.get(key) for key in ("asked", "index")} | {"extras": stamp.get("extras", [])}
    gigabytes = environment.GIGABYTES[torch] if action == "build" else 1
    environment.prepare_folder(action == "build", gigabytes, remembered)
    try:
        base = base_python()
        if action == "build":
            make_environment(base)
        installers = find_installers(base)
        if stamp.get("fingerprint") != environment.fingerprint() or action == "build":
            pytorch.put(installers, torch, index, cpu_index)
        target = f".[{','.join(extras)}]" if extras else "."
        install("installing JupyterLab and the rest", installers, ["-c", "constraints.txt", "-e", target])
        finish(installers[0])
    except InstallFailed as failure:
        raise explained(failure) from failure
    environment.write_stamp(
        state="ready",
        here=environment.HERE,
        torch=torch,
        fingerprint=environment.fingerprint(),
        **{"asked": asked, "index": index, "extras": extras},
    )
    say(f"The environment is ready ({time.monotonic() - started:.0f} s).")
    return str(PYTHON)


def check_tools() -> None:
    """Raises: SetupError: this Python can make no environment that anything could be installed into."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing == ["ensurepip"] and (find_uv() or ask_pip(base_python())):
        return  # one of these installs just as well
    if missing:
        raise SetupError(
            f"This Python has no `{missing[0]}` module to make an environment: {sys.executable}",
            f"Debian, Ubuntu: sudo apt install python3.{sys.version_info[1]}-venv. "
            "Elsewhere: install a Python that has venv.",
        )


def make_environment(base: str) -> None:
    made = run_logged("making the environment", [base, "-m", "venv", "--without-pip", VENV])
    if not made.worked:
        raise SetupError("Python's venv module failed: " + made.lines[-1], f"All that it said: {LOG}")


def finish(installer: Installer) -> None:
    """Give the environment a pip, for whoever types `%pip`, and the bytecode that a first page would wait for."""
    if not has_pip() and installer.name == "uv":
        command, variables = installer.line(["pip"]), installer.environment()
        run_logged("adding pip", command, environment=variables, otherwise="not to be had")
    if not has_pip() and importlib.util.find_spec("ensurepip"):
        run_logged("adding pip", [PYTHON, "-m", "ensurepip"])
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    otherwise = "something is not right (python3 course.py doctor says what)"
    warm = [str(PYTHON), "setup/warm.py"]
    run_logged("getting ready for the first start", warm, environment=writing, otherwise=otherwise)


def has_pip() -> bool:
    return os.path.isdir(os.path.join(sysconfig.get_path("purelib", "venv", {"base": str(VENV)}), "pip"))


def explained(failure: InstallFailed) -> SetupError:
    """Show the end of what the installer said, and name the cause."""
    for line in failure.lines[-12:]:
        say("  | " + line)
    if failure.cause is None:
        return SetupError(f"{failure.name} failed.", f"Its last lines are above, all that it said is in {LOG}")
    return SetupError(failure.cause.problem, f"{failure.cause.remedy} All that {failure.name} said: {LOG}")
