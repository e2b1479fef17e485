"""The arrows between the packages, read from the import statements, and what grading must never use."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "coursekit"
STDLIB = frozenset(sys.stdlib_module_names)

# What each part may import of the others. Every part may import errors and itself; the arrows have no circle.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"console"},
    "console": set(),
    "errors": set(),
    "course": set(),
    "checks": {"console"},
    "data": set(),
    "viz": {"data"},
    "build": {"course", "checks"},
    "grading": {"course", "checks", "build", "data"},
    "proof": {"course", "checks", "build", "grading"},
    "lab": {"console", "course", "checks", "grading"},
}
# checks/ tells the student where the keys lie: it may ask course/paths.py, nothing else of course/.
ALLOWED_MODULES: dict[str, set[str]] = {"checks": {"coursekit.course.paths"}}

INSTRUCTOR = frozenset({"nbgrader", "papermill", "jupytext", "nbclient", "tqdm", "libcst"})
# The student's packages; nothing of [instructor] is among them. IPython comes with JupyterLab.
STUDENT = frozenset(
    {"torch", "numpy", "safetensors", "jinja2", "matplotlib", "PIL", "ipywidgets", "IPython", "jupyter_client"}
)

# The runner is the untrusted side: it lives in the sandbox and its task is to run a student's code.
MAY_RUN_CODE = {
    "grading/runner.py": "runs the probes inside the sandbox",
    "grading/shell.py": "runs the student's cells inside the sandbox",
}


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """Every module that a file imports: everywhere, or only what importing the file itself loads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module else alias.name


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_part_is_in_the_map() -> None:
    assert {part_of(path) for path in FILES} <= set(ALLOWED)


def test_the_arrows_have_no_circle() -> None:
    settled: set[str] = set()
    while len(settled) < len(ALLOWED):
        free = {part for part, others in ALLOWED.items() if part not in settled and others <= settled}
        assert free, f"a circle among {set(ALLOWED) - settled}"
        settled |= free


@pytest.mark.parametrize("path", FILES, ids=name)
def test_arrows_run_one_way(path: Path) -> None:
    part = part_of(path)
    for module in imports(path):
        words = module.split(".")
        if words[0] != "coursekit" or len(words) == 1 or words[1] in ("__version__", "errors", part):
            continue
        exempt = any(module.startswith(one) for one in ALLOWED_MODULES.get(part, ()))
        assert words[1] in ALLOWED[part] or exempt, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) in ("checks", "data", "viz")], ids=name)
def test_checks_and_pictures_need_only_a_students_packages(path: Path) -> None:
    for module in imports(path):
        top = module.partition(".")[0]
        assert top not in INSTRUCTOR, f"{name(path)} imports {module}"
        assert top in STDLIB | STUDENT | {"coursekit"}, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) in ("course", "cli", "console", "errors")], ids=name)
def test_the_model_and_the_parser_need_only_python(path: Path) -> None:
    for module in imports(path):
        assert module.partition(".")[0] in STDLIB | {"coursekit"}, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "lab"], ids=name)
def test_a_students_install_can_import_the_lab(path: Path) -> None:
    for module in imports(path, everywhere=False):  # inside a function, submit looks for nbgrader's exchange
        assert module.partition(".")[0] not in INSTRUCTOR, f"{name(path)} imports {module}"


def forbidden(path: Path) -> Iterator[str]:
    """What would turn a submission's bytes into code or objects: pickle and its users, eval, exec."""
    for module in imports(path):
        if module.partition(".")[0] in (
            "pickle",
            "cPickle",
            "dill",
            "cloudpickle",
            "joblib",
            "marshal",
            "shelve",
        ):
            yield f"import {module}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            runs = called in ("eval", "exec", "builtins.eval", "builtins.exec")
            if called in ("torch.load", "numpy.load", "np.load") or (runs and name(path) not in MAY_RUN_CODE):
                yield f"line {node.lineno}: {called}()"


@pytest.mark.parametrize(
    "path", [path for path in FILES if part_of(path) in ("grading", "checks", "data", "course", "lab")], ids=name
)
def test_bytes_never_become_code_or_objects(path: Path) -> None:
    assert list(forbidden(path)) == []


def test_the_exceptions_are_still_needed() -> None:
    for file in MAY_RUN_CODE:
        assert (PACKAGE / file).is_file(), f"{file} is gone: take it out of MAY_RUN_CODE"
