"""course.py in a small checkout of its own, with stand-ins for pip and venv."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "course.py"
CPU = {"version": "2.13.0+cpu", "requires_dist": ["filelock", "sympy>=1.13.3"]}

# `python -m pip` looks into the current folder first, and course.py calls it from its own.
FAKE_PIP = """
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
plan = json.load(open(os.path.join(here, "plan.json")))
with open(os.path.join(here, "calls.jsonl"), "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "--report" in sys.argv:
    report = {"install": [{"metadata": plan["torch"]}] if plan["torch"] else []}
    json.dump(report, open(sys.argv[sys.argv.index("--report") + 1], "w"))
else:
    print("Collecting torch", flush=True)
    time.sleep(plan.get("sleep", 0))
    print(plan.get("says", "Successfully installed"), flush=True)
    sys.exit(plan.get("status", 0))
"""
FAKE_VENV = """
import os, sys
folder = os.path.join(sys.argv[1], "Scripts" if os.name == "nt" else "bin")
os.makedirs(folder)
open(os.path.join(sys.argv[1], "pyvenv.cfg"), "w").close()
if os.name != "nt":
    os.symlink(sys.executable, os.path.join(folder, "python"))
"""


class Checkout:
    """A small checkout with course.py in it, loaded as a module."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(SOURCE, root / "course.py")
        (root / "pip.py").write_text(FAKE_PIP, "utf-8")
        (root / "venv.py").write_text(FAKE_VENV, "utf-8")
        (root / "pyproject.toml").write_text("[project]\n", "utf-8")
        (root / "constraints.txt").write_text("torch==2.13.0\n", "utf-8")
        self.plan(torch=CPU)
        spec = importlib.util.spec_from_file_location("course_under_test", root / "course.py")
        assert spec is not None
        assert spec.loader is not None
        self.course: Any = importlib.util.module_from_spec(spec)
        assert isinstance(self.course, ModuleType)
        spec.loader.exec_module(self.course)

    def plan(self, **plan: object) -> None:
        """Say what pip is to do: torch (its metadata), says, status, sleep."""
        (self.root / "plan.json").write_text(json.dumps({"torch": CPU, **plan}), "utf-8")

    def calls(self) -> list[list[str]]:
        path = self.root / "calls.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def stamp(self) -> dict[str, Any]:
        return json.loads((self.root / ".venv" / "course-setup.json").read_text("utf-8"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Checkout(tmp_path)
    course = made.course
    monkeypatch.setattr(course, "PYTHON", sys.executable)
    monkeypatch.setattr(course, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(course, "hand_over", lambda words: 0)
    monkeypatch.setattr(course.sys, "platform", "linux")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("COURSE_TORCH_INDEX", "PYTHONSAFEPATH"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, before)
