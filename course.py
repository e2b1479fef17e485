#!/usr/bin/env python3
"""Set the course up and run it: `course.py lab` opens JupyterLab, `course.py test` runs the tests.

Every other word goes to the course's own command line: `course.py grade UNIT` is `coursekit grade UNIT`.
Standard library only, and the syntax of Python 3.6, so that a Python that is too old can say so.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
STAMP = os.path.join(VENV, "course-setup.json")  # "building" from the start, "ready" at the end
LOG = os.path.join(VENV, "course-setup.log")
HERE = [ROOT, sys.version_info[0], sys.version_info[1]]  # an environment cannot move or change Python
EVERYTHING = ["dev", "instructor"]
GIGABYTES = {"cpu": 3, "cuda": 10}  # installed size and pip's room for unpacking

USAGE = """usage: python3 course.py lab [--no-browser] [--port N] [--folder DIR]
                                          open JupyterLab on your own copies of the notebooks
       python3 course.py test [--full]    lint, types, sync check, tests (--full: the slow ones too)
       python3 course.py COMMAND ...      any other command of coursekit; COMMAND --help explains it

Each first installs what is missing into .venv. Options for that step:
  --torch cpu|cuda     which PyTorch build; without it: cuda where an NVIDIA driver is present, else cpu
  --torch-index URL    where pip looks for PyTorch besides its own sources (or set COURSE_TORCH_INDEX)
"""

# Words in pip's output that name a cause outside the course, and the two lines that we say then.
PIP_CAUSES = (
    (
        "No space left on device|not enough space on the disk|Disk quota exceeded",
        "The disk is full.",
        "Free some space and run the same command again.",
    ),
    (
        "Failed to establish a new connection|name resolution|getaddrinfo failed|nodename nor servname|"
        "Network is unreachable|ConnectTimeoutError|Read timed out|Connection refused|ProxyError",
        "pip could not reach its package source: there seems to be no network.",
        "Connect and run the same command again. "
        "With wheels in a folder, set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER.",
    ),
    (
        "No matching distribution found|ResolutionImpossible",
        "pip found no fitting version of a package that the course needs.",
        "The lines above name it; the sources that pip is configured with must offer it.",
    ),
)


class SetupError(Exception):
    """What is wrong, and one next step."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def has_nvidia_driver():
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None


def fingerprint():
    """Hash the files that an environment is made from."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt", "course.py"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def read_stamp():
    try:
        with open(STAMP, encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(**stamp):
    with open(STAMP + ".new", "w", encoding="utf-8") as file:
        json.dump(stamp, file)
    os.replace(STAMP + ".new", STAMP)


def plan(stamp, needed, torch):
    """Decide about the environment: ("keep" | "update" | "build", what to tell the user)."""
    if not os.path.lexists(VENV):
        return "build", "Setting the course up in .venv; the first time takes a few minutes."
    if stamp.get("state") != "ready":
        return "build", "An earlier set-up of .venv did not finish; building it again."
    if not os.access(PYTHON, os.X_OK):
        return "build", "The environment in .venv has lost its Python; building it again."
    if stamp.get("here") != HERE:
        return "build", "The environment in .venv is for another Python or folder; building it again."
    if stamp.get("torch") != torch:
        return "build", "The environment in .venv holds the other PyTorch build; building it again."
    if stamp.get("fingerprint") != fingerprint():
        return "update", "The course's requirements have changed; updating .venv."
    if not set(needed) <= set(stamp.get("extras", ())):
        return "update", "Adding what tests and grading need to .venv."
    return "keep", ""


def check_can_build():
    """Refuse before anything is touched. Raises: SetupError."""
    for name in ("venv", "ensurepip"):
        if importlib.util.find_spec(name) is None:
            raise SetupError(
                "This Python has no `{}` module to make an environment: {}".format(name, sys.executable),
                "Debian, Ubuntu: sudo apt install python3-venv. Elsewhere: install a Python that has venv.",
            )
    if not os.path.lexists(VENV):
        return
    inside = [] if os.path.islink(VENV) or not os.path.isdir(VENV) else os.listdir(VENV) or ["pyvenv.cfg"]
    if not {os.path.basename(STAMP), "pyvenv.cfg"} & set(inside):
        raise SetupError(".venv is there, but is not a Python environment: {}".format(VENV), "Move it away.")


def prepare_folder(anew, gigabytes, remembered):
    """Clear .venv for building anew, mark it unfinished. Raises: SetupError: read-only, too little disk."""
    try:
        if anew and os.path.isdir(VENV):
            shutil.rmtree(VENV)
        free = shutil.disk_usage(ROOT).free / 1e9
        if free < gigabytes:
            raise SetupError(
                "Only {:.1f} GB are free in {}; setting up needs {} GB.".format(free, ROOT, gigabytes),
                "Free some space and run the same command again.",
            )
        os.makedirs(VENV, exist_ok=True)
        write_stamp(state="building", **remembered)
    except OSError as error:
        problem = "Cannot write to {}: {}.".format(VENV, error.strerror)
        raise SetupError(problem, "Put the course into a folder that you may write to.") from error


def log_tail(lines):
    with open(LOG, "rb") as file:
        file.seek(max(0, os.path.getsize(LOG) - 20000))
        return file.read().decode("utf-8", "replace").rstrip().splitlines()[-lines:] or [""]


def run_logged(label, command):
    """Run a command with its output in the log, showing what it is at. Returns its exit status."""
    say("- {} ...".format(label))
    started = shown = time.monotonic()
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0", PYTHONUTF8="1")
    with open(LOG, "ab") as log:
        log.write("\n$ {}\n".format(" ".join(command)).encode("utf-8"))
        log.flush()
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - shown > (0.5 if clear else 20):
                    shown = time.monotonic()
                    line = "  {:3.0f} s  {}".format(shown - started, log_tail(1)[0].strip()[:64])
                    print(clear + line, end="" if clear else "\n", file=sys.stderr, flush=True)
        finally:
            if child.poll() is None:  # stopped: nothing may go on writing into the environment
                child.terminate()
                child.wait()
    say("{}  {} in {:.0f} s".format(clear, "failed" if child.returncode else "done", time.monotonic() - started))
    return child.returncode


def pip(label, *arguments):
    """Run the environment's pip. Raises: SetupError: with the cause, where the output shows a known one."""
    if run_logged(label, [PYTHON, "-m", "pip", "--no-input", *arguments]) == 0:
        return
    tail = log_tail(200)
    for line in tail[-12:]:
        say("  | " + line)
    for signs, problem, remedy in PIP_CAUSES:
        if any(sign in line for sign in signs.split("|") for line in tail):
            raise SetupError(problem, remedy + " All that pip said: " + LOG)
    raise SetupError("pip failed.", "Its last lines are above, all that it said is in " + LOG)


def refuse_unwanted_cuda(sources):
    """Ask pip which PyTorch it would take, before it loads gigabytes. Raises: SetupError: a CUDA build."""
    report = os.path.join(VENV, "torch-choice.json")
    ask = ["install", "--dry-run", "--no-deps", "--report", report, "-c", "constraints.txt"]
    pip("asking which PyTorch there is", *ask, "torch", *sources)
    with open(report, encoding="utf-8") as file:
        chosen = [item["metadata"] for item in json.load(file)["install"]]  # none if installed
    os.remove(report)
    for metadata in chosen:
        needs = " ".join(metadata.get("requires_dist", ())).lower()
        if "nvidia-" in needs or "cuda-" in needs:
            raise SetupError(
                "No NVIDIA driver is here, and pip finds PyTorch {} only as the CUDA build, "
                "several gigabytes of it.".format(metadata["version"]),
                "Give the CPU build's address, as PyTorch's Get Started page names it: --torch-index URL. "
                "Or take the CUDA build all the same: --torch cuda.",
            )


def set_up(needed, asked, index):
    """Bring .venv to what is needed; in well under a second when it is there already."""
    stamp = read_stamp()
    asked, index = asked or stamp.get("asked"), index or stamp.get("index")
    torch = asked or ("cuda" if has_nvidia_driver() else "cpu")
    action, reason = plan(stamp, needed, torch)
    if action == "keep":
        return
    started = time.monotonic()
    say(reason)
    extras = sorted(set(needed) | set(stamp.get("extras", ())))
    remembered = {"asked": asked, "index": index, "extras": extras}
    sources = ["--extra-index-url", index] if index else []
    if action == "build":
        check_can_build()
    prepare_folder(action == "build", GIGABYTES[torch] if action == "build" else 1, remembered)
    if action == "build":
        base = getattr(sys, "_base_executable", None) or sys.executable  # not a Python inside the old .venv
        if run_logged("making the environment", [base, "-m", "venv", VENV]) != 0:
            raise SetupError("Python's venv module failed: " + log_tail(1)[0], "All that it said: " + LOG)
    if torch == "cpu" and sys.platform.startswith("linux"):
        refuse_unwanted_cuda(sources)
    target = ["-c", "constraints.txt", "-e", ".[{}]".format(",".join(extras)) if extras else "."]
    pip("installing PyTorch, JupyterLab and the rest", "install", *target, *sources)
    write_stamp(state="ready", here=HERE, torch=torch, fingerprint=fingerprint(), **remembered)
    say("The environment is ready ({:.0f} s).".format(time.monotonic() - started))


def run_tests(full):
    """Lint, types, sync check, tests; the first failure ends it. pytest's closing line ends the output."""
    steps = (
        ("lint", ["ruff", "check", "."]),
        ("types", ["mypy"]),
        ("the release is in sync with its source", ["coursekit", "build", "--check"]),
        ("tests", ["pytest", "-n", "2"] if full else ["pytest", "-n", "2", "-m", "not slow"]),
    )
    for title, command in steps:
        say("== {}: {}".format(title, " ".join(command)))
        status = subprocess.call([PYTHON, "-m", *command], cwd=ROOT)
        if status != 0:
            return status
    return 0


def hand_over(words):
    """Become coursekit: on POSIX the same process, so that signals reach it. Returns its status elsewhere."""
    command = [PYTHON, "-m", "coursekit", *words]
    if os.name == "nt":
        return subprocess.call(command)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return os.execv(PYTHON, command)


def run(arguments):
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False, usage=USAGE[7:].rstrip())
    options.add_argument("--torch", choices=("cpu", "cuda"))
    options.add_argument("--torch-index", default=os.environ.get("COURSE_TORCH_INDEX"))
    chosen, words = options.parse_known_args(arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] != "test":
        # A misspelt command is refused before minutes of installing: coursekit's parser needs only Python.
        sys.path.insert(0, os.path.join(ROOT, "src"))
        importlib.import_module("coursekit.cli").parser().parse_args(words)
    elif words[1:] not in ([], ["--full"]):
        options.error("`test` takes nothing but --full; got: " + " ".join(words[1:]))
    set_up([] if words[0] == "lab" else EVERYTHING, chosen.torch, chosen.torch_index)
    return run_tests("--full" in words) if words[0] == "test" else hand_over(words)


def main(arguments):
    if sys.version_info < (3, 11):
        say("course.py: This is Python {}.{}; the course needs 3.11 or newer.".format(*sys.version_info))
        say("Install a newer Python and name it, for example: python3.12 course.py lab")
        return 1
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    try:
        return run(arguments)
    except SetupError as error:
        say("course.py: {}\n{}".format(*error.args))
        return 1
    except KeyboardInterrupt:
        say("\nStopped. Run the same command again to go on.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
