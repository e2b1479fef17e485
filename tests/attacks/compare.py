"""Run attacks against stock nbgrader (and otter-grader) beside coursekit, and print who gives points for them.

    python tests/attacks/compare.py [--otter PATH-TO-THE-OTTER-PROGRAM]

Stock nbgrader gets a course of its own with an assignment written the usual way: `assert torch.allclose(result, expected)` in
hidden tests. Each attack is one student, who answered two exercises honestly and attacks the third.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import attack_files

from coursekit.course import catalog
from coursekit.course.paths import course
from coursekit.grading.collect.intake import parse
from coursekit.grading.demo import ClassMaker, copy_course
from coursekit.grading.judge.grader import Grader
from coursekit.grading.sandbox.limits import Limits

POINTS = {"u01-two-layer-forward": 4, "u01-sse-grad": 4, "u01-two-layer-backward": 8}
INPUTS = "import torch\ng = torch.Generator().manual_seed(7)\n" \
         "x, y, w1, w2 = (torch.randn(*s, generator=g) for s in ((4, 5), (4, 2), (5, 6), (6, 2)))\n"
TESTS = {
    "u01-two-layer-forward": "h, r, pred = two_layer_forward(x, w1, w2)\nassert torch.allclose(pred, (x @ w1).clamp(min=0) @ w2)",
    "u01-sse-grad": "assert torch.allclose(sse_grad(y, 2 * y), -2 * y)",
    "u01-two-layer-backward": "a, b = w1.clone().requires_grad_(), w2.clone().requires_grad_()\n((torch.relu(x @ a) @ b - y) ** 2).sum().backward()\n"
                              "grad_w1, grad_w2 = two_layer_backward(x, y, w1, w2)\nassert torch.allclose(grad_w1, a.grad, atol=1e-4)\n"
                              "assert torch.allclose(grad_w2, b.grad, atol=1e-4)",
}
PLANTED = """\
import sys
class Any:
    __getattr__ = lambda self, name: self
    __call__ = __getitem__ = __add__ = __sub__ = __mul__ = __rmul__ = __pow__ = __matmul__ = __neg__ = lambda self, *a, **k: self
    __iter__ = lambda self: iter([self] * 4)
    __bool__ = lambda self: True
sys.modules["torch"] = Any()
"""


def assignment(maker: ClassMaker, answers: tuple[str, ...], source: bool) -> dict[str, Any]:
    """The usual notebook: a solution cell and a test cell for each exercise. source: with hidden tests, as the instructor has it."""
    made = attack_files.short(maker, answers)
    cells = []
    for name, points in POINTS.items():
        answer = next(cell for cell in made["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == f"{name}-answer")
        base = {"schema_version": 3, "task": False}
        cells.append({**attack_files.code("".join(answer["source"])), "id": f"{name}-a", "metadata": {
            "nbgrader": {**base, "grade_id": f"{name}-answer", "grade": False, "solution": True, "locked": False}}})
        test = f"{INPUTS}### BEGIN HIDDEN TESTS\n{TESTS[name]}\n### END HIDDEN TESTS" if source else INPUTS
        cells.append({**attack_files.code(test), "id": name, "metadata": {
            "nbgrader": {**base, "grade_id": name, "grade": True, "solution": False, "locked": True, "points": points}}})
    first = {**attack_files.code("import torch\nimport numpy as np"), "id": "setup"}
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": [first, *cells], "metadata": spec, "nbformat": 4, "nbformat_minor": 5}


def attacked(attack: attack_files.Attack, made: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    text = attack.code
    for word, value in known.items():
        text = text.replace(f"@{word}@", value)
    at = 1 if attack.facts.get("place") == "start" else max(n for n, cell in enumerate(made["cells"]) if cell["id"].endswith("-a")) + 1
    made["cells"].insert(at, {**attack_files.code(text), "id": "attack"})
    return made


def nbgrader_scores(folder: Path, students: dict[str, dict[str, Any]], maker: ClassMaker, planted: dict[str, str]) -> dict[str, float]:
    """Release and autograde in a stock course. planted: name of a file beside the notebook of the student "planted" -> its text."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    settings = "c = get_config()\nc.CourseDirectory.course_id = 'stock'\nc.ExecutePreprocessor.timeout = 30\n"
    (folder / "nbgrader_config.py").write_text(settings, "utf-8")
    files = {folder / "source" / "hw" / "hw.ipynb": assignment(maker, tuple(POINTS), True)}
    files |= {folder / "submitted" / name / "hw" / "hw.ipynb": made for name, made in students.items()}
    for path, made in files.items():
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(made), "utf-8")
    for name, text in planted.items():
        (folder / "submitted" / "planted" / "hw" / name).write_text(text, "utf-8")
    for command in (["generate_assignment", "hw", "--force"], ["autograde", "hw", "--force"]):
        subprocess.run([sys.executable, "-m", "nbgrader", *command], cwd=folder, env=environment, capture_output=True, timeout=900, check=False)
    query = ("select a.student_id, sum(g.auto_score) from grade g join submitted_notebook n on g.notebook_id = n.id "
             "join submitted_assignment a on n.assignment_id = a.id group by a.student_id")
    with closing(sqlite3.connect(folder / "gradebook.db")) as database:
        return {student: round(score, 2) for student, score in database.execute(query) if score is not None}


def otter_scores(program: str, folder: Path, students: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Grade the same notebooks with `otter run`, whose tests come in an archive beside the submission."""
    import zipfile

    tests = folder / "tests"
    tests.mkdir(parents=True)
    for name, text in TESTS.items():
        word = name.replace("-", "_")
        lines = "\n".join(f">>> {line}" for line in (INPUTS + text).strip().splitlines())
        case = {"code": lines, "hidden": True, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        (tests / f"{word}.py").write_text(f"OK_FORMAT = True\ntest = { {'name': word, 'points': POINTS[name], 'suites': [suite]} !r}\n", "utf-8")
    with zipfile.ZipFile(folder / "autograder.zip", "w") as archive:
        archive.writestr("otter_config.json", json.dumps({"show_all": True}))
        for path in tests.iterdir():
            archive.write(path, f"tests/{path.name}")
    scores = {}
    for name, made in students.items():
        path = folder / f"{name}.ipynb"
        path.write_text(json.dumps(made), "utf-8")
        out = folder / f"out-{name}"
        out.mkdir()
        command = [program, "run", str(path), "-a", str(folder / "autograder.zip"), "-o", str(out), "--no-logo"]
        subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
        results = out / "results.json"
        scores[name] = sum(test.get("score", 0) for test in json.loads(results.read_text("utf-8"))["tests"]) if results.is_file() else float("nan")
    return scores


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--otter", help="the otter program of an environment that has otter-grader and torch")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="coursekit-compare-") as place:
        top = Path(place)
        where = copy_course(course(), top / "course")
        unit = catalog.load(where.catalog).unit("u01")
        maker, ours = ClassMaker(where, unit), Grader(where, unit, "compare", Limits(cell_seconds=5, probe_seconds=3))
        attacks = [attack for attack in attack_files.every() if "stock" in attack.facts and "hand-in" not in attack.facts]
        known = {"COURSE": str(where.root)}
        plain = lambda: assignment(maker, attack_files.HONEST, False)  # noqa: E731
        students = {"honest": plain(), "planted": plain()} | {attack.path.stem: attacked(attack, plain(), known) for attack in attacks}
        students["planted"]["cells"].insert(-1, {**attack_files.code("def two_layer_backward(*a): return 1, 1"), "id": "attack"})
        (top / "stock").mkdir()
        columns = {"stock nbgrader": nbgrader_scores(top / "stock", students, maker, {"torch.py": PLANTED})}
        if chosen.otter:
            columns["otter-grader"] = otter_scores(chosen.otter, top / "otter", students)
        mine: dict[str, float] = {}
        for name in students:
            match = [attack for attack in attacks if attack.path.stem == name]
            data = attack_files.submission(match[0], maker, known) if match else json.dumps(attack_files.short(maker, attack_files.HONEST)).encode()
            verdicts = ours.judge(ours.store.evidence(ours.planner.prepare(parse(data)), "bubblewrap", reuse=False))
            mine[name] = sum(verdict.credit * unit.exercise(key).points for key, verdict in verdicts.items())
        columns["coursekit"] = mine
    print(f"nbgrader {version('nbgrader')}; torch {version('torch')}; the honest part earns 8, everything right earns 16\n")
    if "otter-grader" in columns:
        columns["otter-grader"].pop("planted")           # it takes the notebook alone, no files beside it
    print("| attack | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name in students:
        print(f"| {name.replace('_', ' ')} | " + " | ".join(_said(name, scores) for scores in columns.values()) + " |")
    return 1 if any(score > 8 for score in mine.values()) else 0


def _said(name: str, scores: dict[str, float]) -> str:
    score = scores.get(name)
    if score is None or score != score:
        return "no result"
    return f"{score:g}" if score <= 8 else f"**{score:g}: gained**"


if __name__ == "__main__":
    sys.exit(main())
