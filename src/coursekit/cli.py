"""The command line: parse, call one function, say what went wrong. Needs only Python until a verb runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from coursekit import __version__, console
from coursekit.errors import CourseError

FINE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# Packages that only `pip install .[instructor]` brings, by import name.
INSTRUCTOR_PACKAGES = frozenset(
    {"nbgrader", "papermill", "jupytext", "nbclient", "nbformat", "nbconvert", "tqdm", "libcst"}
)


def _call(place: str, *arguments: object) -> int:
    """Import one function when it is needed and call it; None counts as fine."""
    module, _, function = place.partition(":")
    called: Callable[..., int | None] = getattr(importlib.import_module(module), function)
    return called(*arguments) or FINE


def _grade(a: argparse.Namespace) -> int:
    if a.isolation == "bubblewrap":
        _call("coursekit.grading.collect.collector:start", a.unit)
    return _call("coursekit.grading.grade:main", a.unit, a.submitted, a.jobs, a.isolation, a.resume, a.json)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    port = _positive(text)
    if port > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return port


def parser() -> argparse.ArgumentParser:
    """Build the parser; each verb's namespace carries `call`: namespace -> exit status."""
    top = argparse.ArgumentParser(prog="coursekit", description="A PyTorch course: study it, write it, grade it.")
    top.add_argument("--version", action="version", version=f"coursekit {__version__}")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        made.set_defaults(call=call)
        return made

    _student_verbs(verb)
    _author_verbs(verb)
    _instructor_verbs(verb)
    return top


_Verb = Callable[[str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def _json(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="print the report as JSON on stdout")


def _student_verbs(verb: _Verb) -> None:
    lab = verb(
        "lab",
        "open JupyterLab on your own copies of the notebooks",
        lambda a: _call("coursekit.lab.workspace:main", a.folder, a.no_browser, a.port),
    )
    lab.add_argument("--folder", metavar="DIR", help="your working folder (default: my-course in the course's folder)")
    lab.add_argument("--no-browser", action="store_true", help="start the server and print its address only")
    lab.add_argument(
        "--port", type=_port, metavar="N", help="port to listen on (default: the first free one from 8888)"
    )

    doctor = verb("doctor", "check what this machine has", lambda a: _call("coursekit.lab.doctor:main", a.json))
    _json(doctor)

    submit = verb(
        "submit",
        "check that a notebook is complete enough to grade, and write the file to hand in",
        lambda a: _call("coursekit.lab.submit:main", a.unit, a.notebook, a.out),
    )
    submit.add_argument("unit", metavar="UNIT")
    submit.add_argument("--notebook", metavar="FILE", help="your notebook (default: the one in my-course)")
    submit.add_argument("--out", metavar="PLACE", help="folder or .ipynb file to write what is handed in to")


def _author_verbs(verb: _Verb) -> None:
    build = verb(
        "build",
        "build the release notebooks and the visible keys from their source",
        lambda a: _call("coursekit.build.commands:build", a.units, a.check),
    )
    build.add_argument("units", nargs="*", metavar="UNIT", help="default: every unit")
    build.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is committed is out of date")

    new = verb("new", "scaffold a unit or an exercise", _new)
    kinds = new.add_subparsers(title="what", metavar="unit|exercise", required=True)
    unit = kinds.add_parser("unit", help="a new unit")
    unit.add_argument("name", help="for example u02_autograd")
    unit.add_argument("title", help='for example "Autograd from scratch"')
    unit.set_defaults(what="unit")
    exercise = kinds.add_parser("exercise", help="a new exercise in a unit")
    exercise.add_argument("unit", metavar="UNIT")
    exercise.add_argument("id", help="for example u02-my-relu")
    exercise.add_argument("--kind", choices=("exercise", "hunt"), default="exercise", help="hunt: a bug hunt")
    exercise.set_defaults(what="exercise")

    prove = verb(
        "prove",
        "prove that the checks accept right answers and name wrong ones",
        lambda a: _call("coursekit.proof.prove:main", a.units, a.seeds, a.json, a.page, a.shipped),
    )
    prove.add_argument("units", nargs="*", metavar="UNIT", help="default: every unit")
    prove.add_argument("--seeds", type=_positive, default=200, metavar="N", help="fresh seeds for the reference")
    prove.add_argument("--shipped", action="store_true", help="only judge this machine's answers with the committed keys")
    prove.add_argument("--page", metavar="FILE", help="renew these units' rows in a table such as docs/proof.md")
    _json(prove)

    run = verb(
        "run",
        "execute the notebooks with papermill",
        lambda a: _call("coursekit.proof.run:main", a.units, a.device, a.jobs, a.release, a.json),
    )
    run.add_argument("units", nargs="*", metavar="UNIT", help="default: every unit")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--jobs", type=_positive, default=1, metavar="N", help="notebooks at a time")
    run.add_argument("--release", action="store_true", help="run the release notebooks instead of the solutions")
    _json(run)


def _new(a: argparse.Namespace) -> int:
    if a.what == "unit":
        return _call("coursekit.build.scaffold:new_unit", a.name, a.title)
    return _call("coursekit.build.scaffold:new_exercise", a.unit, a.id, a.kind)


def _isolation(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--isolation",
        choices=("bubblewrap", "bubblewrap-cold", "none"),
        default="bubblewrap",
        help="bubblewrap-cold: a fresh interpreter for each submission, for audits; "
        "none: run submissions without a sandbox, only for code that you trust",
    )


def _instructor_verbs(verb: _Verb) -> None:
    grade = verb(
        "grade",
        "grade a unit's submissions into the gradebook",
        _grade,
    )
    grade.add_argument("unit", metavar="UNIT")
    grade.add_argument(
        "--submitted", metavar="DIR", help="nbgrader's folder layout, a folder of files, or a zip of them"
    )
    grade.add_argument("--jobs", type=_positive, metavar="N", help="submissions at a time (default: one per core)")
    _isolation(grade)
    grade.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")
    _json(grade)

    judge = verb(
        "judge",
        "judge a graded class again from its evidence, after a key changed",
        lambda a: _call("coursekit.grading.rejudge:main", a.unit, not a.no_feedback, a.json),
    )
    judge.add_argument("unit", metavar="UNIT")
    judge.add_argument("--no-feedback", action="store_true", help="leave the feedback pages as they are")
    _json(judge)

    demo = verb(
        "demo",
        "make a class of made-up students and grade it",
        lambda a: _call("coursekit.grading.demo:main", a.students, a.folder, a.isolation, a.json),
    )
    demo.add_argument("--students", type=_positive, default=30, metavar="N")
    demo.add_argument("--folder", metavar="DIR", help="where to put the class (default: a new folder)")
    _isolation(demo)
    _json(demo)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Returns: 0 fine, 1 the work failed, 2 usage, 130 interrupted."""
    console.make_safe()
    arguments = parser().parse_args(words)
    # nbformat imports jsonschema, which would import this and build 39 grammars, over a second, for a format no notebook has.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    try:
        status: int = arguments.call(arguments)
        sys.stdout.flush()
        return status
    except CourseError as error:
        return _failed(error.problem, error.remedy)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in INSTRUCTOR_PACKAGES:
            raise
        return _failed(
            f"This command needs the package {package}, which a student's install leaves out.",
            "Install the instructor's part: pip install .[instructor]",
        )
    except KeyboardInterrupt:
        print("coursekit: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; without this, Python would complain again while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _failed(problem: str, remedy: str) -> int:
    print(f"coursekit: {problem}", file=sys.stderr)
    if remedy:
        print(remedy, file=sys.stderr)
    return FAILED
