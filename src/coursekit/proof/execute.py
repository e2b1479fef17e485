"""Execute one notebook with papermill, in a process of its own, and keep what explains a failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import coursekit
from coursekit.proof import quotes

CELL_LIMIT = 600  # seconds; the course promises 60 for a whole notebook
# What would change a check's behaviour in a kernel that is started from here.
_FOREIGN = ("COURSEKIT_SANDBOX", "NBGRADER_EXECUTION", "PYTHONHOME", "PYTHONSTARTUP")


@dataclass(frozen=True)
class Job:
    """One notebook to execute.

    Args: text: the notebook. folder: where it runs and leaves its artefacts. checks: exercise ids.
    wanted: what every check should say.
    """

    unit: str
    text: str
    folder: Path
    keys: Path
    device: str
    wanted: str
    checks: tuple[str, ...]


@dataclass
class Outcome:
    """How it went.

    Args: right: how many checks said what they should. problem: empty if all is well.
    artefacts: the folder that is kept, if any.
    """

    unit: str
    device: str
    seconds: float = 0.0
    right: int = 0
    checks: int = 0
    problem: str = ""
    states: dict[str, str] = field(default_factory=dict)
    artefacts: str | None = None


def execute(job: Job) -> Outcome:
    """Execute one notebook in its artefact folder, which stays if anything is wrong.

    It changes this process's environment and stderr: call it in a process of its own.
    """
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    outcome = Outcome(job.unit, job.device, checks=len(job.checks))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coursekit-run-", ignore_cleanup_errors=True) as scratch:
        _environment(job, Path(scratch))
        failure = _papermill(job, Path(scratch))
        outcome.states = _states(Path(scratch) / "results.json")
    outcome.seconds = round(time.monotonic() - began, 2)
    outcome.right = sum(outcome.states.get(name) == job.wanted for name in job.checks)
    outcome.problem = failure or _unlike(job, outcome.states) or _misquoted(job)
    if not outcome.problem:
        _remove(job.folder)
        return outcome
    with (job.folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"{job.unit}: {outcome.problem}\n")
    outcome.artefacts = shown(job.folder)
    return outcome


def _environment(job: Job, scratch: Path) -> None:
    """Let the kernel be this Python with this coursekit and the course's keys; its files stay in scratch."""
    spec = scratch / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), "utf-8"
    )
    for name in _FOREIGN:
        os.environ.pop(name, None)
    package = str(Path(coursekit.__file__).resolve().parents[1])
    search = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ.update(
        {
            # searched first, before a kernel of this name that the user may have
            "JUPYTER_PATH": str(scratch / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
            "IPYTHONDIR": str(scratch / "ipython"),
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(search)),
            "COURSEKIT_KEYS": str(job.keys),
            "COURSEKIT_RESULTS": str(scratch / "results.json"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
    )


def _papermill(job: Job, scratch: Path) -> str:
    """Run the notebook; what papermill and the kernel write to stderr goes to the log.

    Returns: what went wrong, or nothing.
    """
    given, log = scratch / "given.ipynb", job.folder / "log.txt"
    given.write_text(job.text, "utf-8")
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 2)  # file descriptor 2: the kernel inherits it
        import papermill
        from papermill.exceptions import PapermillExecutionError

        try:
            papermill.execute_notebook(
                str(given),
                str(job.folder / f"{job.unit}.ipynb"),
                cwd=str(job.folder),
                kernel_name="python3",
                parameters={"seed": 0, "device": job.device, "fast": True},
                progress_bar=False,
                execution_timeout=CELL_LIMIT,
            )
        except PapermillExecutionError as error:
            file.write(_plain("\n".join(error.traceback)) + "\n")
            return f"In [{error.exec_count}] raised {error.ename}: {_first_line(str(error.evalue))}"
        except Exception as error:
            file.write(f"{type(error).__name__}: {error}\n")
            return f"it did not run to the end: {type(error).__name__}: {_first_line(str(error))}"
    return ""


def _plain(text: str) -> str:
    """A traceback without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _first_line(text: str) -> str:
    return (_plain(text).strip().splitlines() or [""])[0].rstrip(".")


def _states(path: Path) -> dict[str, str]:
    try:
        data: dict[str, str] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data


def _unlike(job: Job, states: dict[str, str]) -> str:
    """The checks that said something else, in words."""
    said = [
        f"{name} said {states[name]}" if name in states else f"{name} said nothing"
        for name in job.checks
        if states.get(name) != job.wanted
    ]
    return f"every check should say {job.wanted}, but {'; '.join(said)}" if said else ""


def _misquoted(job: Job) -> str:
    """The quotations that the outputs do not bear out, in words. Other devices draw other numbers: the prose gives the CPU's."""
    said = quotes.unlike(job.folder / f"{job.unit}.ipynb") if job.device == "cpu" else []
    return "the prose quotes what its cells do not show:\n" + "\n".join(f"  {line}" for line in said) if said else ""


def _remove(folder: Path) -> None:
    """Take away a folder of artefacts, and those above it that are then empty."""
    shutil.rmtree(folder, ignore_errors=True)
    for above in (folder.parent, folder.parent.parent):
        try:
            above.rmdir()
        except OSError:
            return


def shown(folder: Path) -> str:
    return folder.relative_to(Path.cwd()).as_posix() if folder.is_relative_to(Path.cwd()) else str(folder)
