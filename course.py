#!/usr/bin/env python3
"""Set the course up and run it: `course.py lab` opens JupyterLab, `course.py test` runs the tests.

Every other word goes to the course's own command line: `course.py grade UNIT` is `coursekit grade UNIT`.
Standard library only, and the syntax of Python 3.6, so that a Python that is too old can say so.
"""

import argparse
import importlib
import os
import re
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.realpath(__file__))
EVERYTHING = ["dev", "instructor"]
PYTORCH_CPU = "https://download.pytorch.org/whl/cpu"  # as PyTorch's "Get Started" page gives it

USAGE = """usage: python3 course.py lab [--no-browser] [--port N] [--folder DIR]
                                          open JupyterLab on your own copies of the notebooks
       python3 course.py test [--full]    lint, types, sync check, tests (--full: the slow ones too)
       python3 course.py COMMAND ...      any other command of coursekit; COMMAND --help explains it

Each first installs what is missing into .venv. Options for that step:
  --torch cpu|cuda     which PyTorch build; without it: cuda where an NVIDIA driver is present, else cpu
  --torch-index URL    take PyTorch from this index (or set COURSE_TORCH_INDEX); "" for the usual sources again
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def check_python():
    """Whether this Python is one that pyproject.toml names."""
    with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
        bounds = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', file.read(), re.MULTILINE)
    oldest, beyond = map(int, bounds.groups())
    if (3, oldest) <= sys.version_info[:2] < (3, beyond):
        return True
    here = sys.version_info[:2]
    say("course.py: This is Python {}.{}; the course needs 3.{} to 3.{}.".format(*here, oldest, beyond - 1))
    say("Install one of these and name it, for example: python3.{} course.py lab".format(beyond - 2))
    return False


def run_tests(python, full):
    """Lint, types, sync check, tests; the first failure ends it. pytest's closing line ends the output."""
    steps = (
        ("lint", ["ruff", "check", "."]),
        ("types", ["mypy"]),
        ("the release is in sync with its source", ["coursekit", "build", "--check"]),
        ("tests", ["pytest", "-n", "2"] if full else ["pytest", "-n", "2", "-m", "not slow"]),
    )
    for title, command in steps:
        say("== {}: {}".format(title, " ".join(command)))
        status = subprocess.call([python, "-m", *command], cwd=ROOT)
        if status != 0:
            return status
    return 0


def hand_over(python, words):
    """Become coursekit: on POSIX the same process, so that signals reach it. Returns its status elsewhere."""
    command = [python, "-m", "coursekit", *words]
    if os.name == "nt":
        return subprocess.call(command)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return os.execv(python, command)


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
    from setup import steps  # not before the check of this Python

    needed = [] if words[0] == "lab" else EVERYTHING
    python = steps.set_up(needed, chosen.torch, chosen.torch_index, PYTORCH_CPU)
    return run_tests(python, "--full" in words) if words[0] == "test" else hand_over(python, words)


def main(arguments):
    if not check_python():
        return 1
    sys.path.insert(0, ROOT)
    from setup.causes import SetupError  # not before the check of this Python

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
