"""The arrows between packages, files and the rooms of grading, read from the import statements, and what grading must never use."""

from __future__ import annotations

import ast
import re
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
    "grading/inside/runner.py": "runs the probes inside the sandbox",
    "grading/inside/shell.py": "runs the student's cells inside the sandbox",
}

# The rooms of grading, lowest first: each imports only those before it. The verbs stand above them all.
ROOMS = ("inside", "sandbox", "collect", "judge", "gradebook")
# What the rooms below judge/ may import of the rest: with none of it a key, a reference or an expected value could be named.
BLIND = frozenset(
    {
        "coursekit.errors",
        "coursekit.checks.wire", "coursekit.checks.snapshot", "coursekit.checks.failure", "coursekit.checks.probe",
        "coursekit.course.catalog", "coursekit.course.paths",  # where the collector finds the unit
        "coursekit.data.files",  # where the student's data sets lie
    }
)
# The fields and classes that hold what the sandbox and those who talk to it must not know.
TELLING = frozenset({"expected", "reference", "wrong", "wrong_answers", "variants", "Case", "KnownWrong", "ExerciseKey", "Compiler"})


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
MODULES = {".".join(["coursekit", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path for path in FILES}


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


def module_of(imported: str) -> str | None:
    """The module of ours that an import names, itself or something in it; None if it is nobody of ours."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in MODULES), None)


def test_no_files_import_each_other_in_a_circle() -> None:
    """Neither at the top nor inside functions."""
    waiting = {name: {module_of(one) for one in imports(path)} - {None, name} for name, path in MODULES.items()}
    while free := [name for name, others in waiting.items() if not others & set(waiting)]:
        for name in free:
            del waiting[name]
    assert not waiting, f"in a circle, or above one: {', '.join(sorted(waiting))}"


def room_of(path: Path) -> str | None:
    """The room of grading that a file is in; None for the verbs."""
    parts = path.relative_to(PACKAGE).parts
    return parts[1] if len(parts) > 2 else None


GRADING = [path for path in FILES if part_of(path) == "grading"]
IN_ROOMS = [path for path in GRADING if room_of(path) is not None]
BELOW_JUDGE = [path for path in IN_ROOMS if room_of(path) in ROOMS[: ROOMS.index("judge")]]


def spoken(path: Path) -> set[str]:
    """The modules of ours that a file imports, or names in a program that another process is to run."""
    strings = [node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)]
    return {*imports(path), *(word for one in strings if isinstance(one, str) for word in re.findall(r"\bcoursekit(?:\.\w+)+", one))}


@pytest.mark.parametrize("path", IN_ROOMS, ids=name)
def test_each_room_of_grading_knows_only_those_below(path: Path) -> None:
    own = ROOMS.index(room_of(path) or "")
    for module in spoken(path):
        words = module.split(".")
        if words[:2] == ["coursekit", "grading"]:
            assert len(words) > 2 and words[2] in ROOMS[: own + 1], f"{name(path)} knows {module}"


@pytest.mark.parametrize("path", BELOW_JUDGE, ids=name)
def test_below_the_judge_nothing_can_name_what_is_expected(path: Path) -> None:
    for module in imports(path):
        ours = module_of(module)
        known = ours is None or ours == "coursekit" or ours in BLIND or ours.startswith("coursekit.grading.")
        assert known, f"{name(path)} imports {module}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        said = {word for field in ("id", "attr", "arg", "name", "value") if isinstance(word := getattr(node, field, None), str)}
        assert not said & TELLING, f"{name(path)}, line {getattr(node, 'lineno', '?')}: {', '.join(said & TELLING)}"


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_says_in_one_sentence_what_it_does_and_whether_it_is_trusted(room: str) -> None:
    (only,) = ast.parse((PACKAGE / "grading" / room / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
    assert "trusted" in only.value.value and only.value.value.count(". ") == 0


def test_every_file_of_grading_is_a_verb_or_in_a_room() -> None:
    assert {room_of(path) for path in GRADING} == {None, *ROOMS}
    assert {path.stem for path in GRADING if room_of(path) is None} == {"__init__", "batch", "demo", "grade", "rejudge"}


def test_the_exceptions_are_still_needed() -> None:
    for file in MAY_RUN_CODE:
        assert (PACKAGE / file).is_file(), f"{file} is gone: take it out of MAY_RUN_CODE"
