"""What the doctor knows of the machine itself: Python, wheels, the place it runs in, how workers start, what the console shows."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import platform
import sys
import sysconfig

from coursekit import console
from coursekit.lab.finding import Finding

OLDEST, NEWEST = (3, 11), (3, 14)  # what PyTorch and the pinned packages have wheels for
SYMBOLS = "✔ ✘ ○"
# The variable that a place sets -> its name, and what differs there.
PLACES = {
    "KAGGLE_KERNEL_RUN_TYPE": ("Kaggle", "its own PyTorch and notebook page are used"),  # before Colab: its image is made from Colab's
    "COLAB_RELEASE_TAG": ("Colab", "its own PyTorch and notebook page are used"),
    "BINDER_SERVICE_HOST": ("Binder", "files are gone when it stops; download your notebooks"),
    "CODESPACES": ("Codespaces", "the dev container of .devcontainer/"),
    "REMOTE_CONTAINERS": ("a dev container", "as .devcontainer/ describes it"),
}
HOSTED = ("Colab", "Kaggle")


def place() -> str | None:
    """The name of the known place that this is; None on a machine of one's own."""
    return next((name for variable, (name, _) in PLACES.items() if os.environ.get(variable)), None)


def where() -> Finding:
    """Where the course runs."""
    found = next((", ".join(said) for variable, said in PLACES.items() if os.environ.get(variable)), "a machine of your own")
    return Finding("place", "ok", found)


def python() -> Finding:
    """Whether the course supports this Python."""
    found = f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding("python", "ok", found)
    remedy = f"The course supports Python {_dotted(OLDEST)} to {_dotted(NEWEST)}: install one of them, and start course.py with it."
    return Finding("python", "missing", found, remedy)


def wheels() -> Finding:
    """Whether PyTorch is offered ready-made for this kind of machine."""
    kind = f"{platform.system()} {platform.machine()}"
    lacking = _lacking()
    if lacking is None:
        return Finding("wheels", "ok", f"PyTorch has them for {kind}")
    state, remedy = "missing", "Use the course in Colab, or on another machine."
    if importlib.util.find_spec("torch") is not None:
        state, remedy = "optional", "Yours comes from elsewhere: keep it."
    return Finding("wheels", state, f"PyTorch has none for {lacking}", remedy)  # type: ignore[arg-type]


def _lacking() -> str | None:
    """The kind of machine that this is, if PyTorch has no wheels for it."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    if sys.platform == "darwin" and not arm:
        return "Macs with an Intel processor"
    if sys.platform == "win32" and arm:
        return "Windows on ARM"
    if "musl" in str(sysconfig.get_config_var("SOABI")):
        return "Linux with musl, such as Alpine"
    return None


def workers() -> Finding:
    """How the workers of a DataLoader start here."""
    method = multiprocessing.get_context().get_start_method()
    found = {
        "fork": "fork: a worker is there in milliseconds",
        "spawn": "spawn: a worker imports PyTorch first, 1 to 3 s each",
        "forkserver": "forkserver: a worker imports PyTorch first, 1 to 3 s each",
    }
    return Finding("workers", "ok", found.get(method, method))


def shown() -> Finding:
    """Whether the console can show the checks' signs."""
    encoding = getattr(sys.stdout, "encoding", None) or "none"
    lacks = "" if console.shows(SYMBOLS) else f"; in place of signs that it lacks: {console.fit(SYMBOLS)}"
    return Finding("console", "ok", encoding + lacks)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
