"""course.py in a small checkout of its own, with stand-ins for pip, uv, venv and ensurepip that keep a record."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3]
SETTINGS = {
    **{"extra_index_urls": [], "find_links": [], "no_index": False, "constraints": [], "trusted_hosts": []},
    **{"cert": None, "client_cert": None, "proxy": "", "timeout": 15.0, "retries": 5, "pre": False},
    **{"index_url": "default"},
}

# Keeps a record of each call, and fails where the plan says so: [a pattern of the call, what is said then].
STAND_IN = """
import json, os, re, sys, time
root = {root!r}
plan = json.load(open(os.path.join(root, "plan.json")))
with open(os.path.join(root, "calls.jsonl"), "a") as calls:
    calls.write(json.dumps([{name!r}, *sys.argv[1:]]) + "\\n")
with open(os.path.join(root, "environments.jsonl"), "a") as environments:
    environments.write(json.dumps(dict(os.environ)) + "\\n")
print("Collecting torch", flush=True)
time.sleep(plan["sleep"])
for words, said in plan["fails"]:
    if re.search(words, " ".join([{name!r}, *sys.argv[1:]])):
        print(said, flush=True)
        sys.exit(1)
"""
# `python -m pip` and `python -c` look into the current folder first, and course.py calls them from its own.
FAKE_PIP = {
    "pip/__init__.py": "",
    "pip/_internal/__init__.py": "",
    "pip/_internal/models/__init__.py": "",
    "pip/_internal/models/index.py": "class PyPI:\n    simple_url = 'default'\n",
    "pip/_internal/commands.py": """
import json, os
from types import SimpleNamespace
settings = json.load(open("plan.json"))["settings"]
if settings is None:
    raise ImportError
def create_command(name):
    return SimpleNamespace(parse_args=lambda words: (SimpleNamespace(**settings), words))
""",
}
FAKE_VENV = """
import os, sys
folder = os.path.join(sys.argv[-1], "Scripts" if os.name == "nt" else "bin")
os.makedirs(folder)
open(os.path.join(sys.argv[-1], "pyvenv.cfg"), "w").close()
if os.name != "nt":
    os.symlink(sys.executable, os.path.join(folder, "python"))
"""


class Checkout:
    """A small checkout with course.py in it, loaded as a module."""

    def __init__(self, root: Path, **place: object) -> None:
        self.root = root
        shutil.copy(SOURCE / "course.py", root / "course.py")
        shutil.copytree(SOURCE / "setup", root / "setup", ignore=shutil.ignore_patterns("__pycache__"))
        self.write({**FAKE_PIP, "venv.py": FAKE_VENV, "setup/warm.py": ""})
        self.write({"pip/__main__.py": self.stand_in("pip"), "ensurepip.py": self.stand_in("ensurepip")})
        self.write({"constraints.txt": "numpy==2.4.6\ntorch==2.13.0\n"})
        self.write({"pyproject.toml": '[project]\nrequires-python = ">=3.11,<3.15"\n'})
        with open(root / "setup" / "place.py", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = Path({value!r})\n" for name, value in place.items())
        self.plan()
        forget()
        spec = importlib.util.spec_from_file_location("course_under_test", root / "course.py")
        assert spec is not None
        assert spec.loader is not None
        self.course: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.course)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")

    def stand_in(self, name: str) -> str:
        return STAND_IN.format(root=str(self.root), name=name)

    def plan(self, *fails: tuple[str, str], sleep: float = 0, no_pip: bool = False, **settings: object) -> None:
        """Say what an installer is to do: fail at some calls, take its time; and how pip is configured."""
        plan = {"fails": fails, "sleep": sleep, "settings": None if no_pip else {**SETTINGS, **settings}}
        (self.root / "plan.json").write_text(json.dumps(plan), encoding="utf-8")

    def part(self, name: str) -> Any:
        """A module of the checkout's own set-up."""
        module = importlib.import_module(f"setup.{name}")
        assert isinstance(module, ModuleType)
        return module

    def calls(self, name: str = "") -> list[list[str]]:
        """What was called, or what one installer was told to install."""
        path = self.root / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call[call.index("install") + 1 :] for call in calls if call[0] == name] if name else calls

    def environments(self) -> list[dict[str, str]]:
        lines = (self.root / "environments.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def stamp(self) -> dict[str, Any]:
        return json.loads((self.root / ".venv" / "course-setup.json").read_text(encoding="utf-8"))


def forget() -> None:
    """The next checkout has a set-up of its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "setup"]:
        del sys.modules[name]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Linux without an NVIDIA driver; uv is not to be had."""
    root = tmp_path / "course"
    root.mkdir()
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    made = Checkout(root, PYTHON=sys.executable)
    monkeypatch.setattr(made.course, "hand_over", lambda python, words: 0)
    monkeypatch.setattr(made.part("machine"), "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(made.part("machine"), "check_wheels", lambda: None)
    monkeypatch.setattr(made.part("pytorch").sys, "platform", "linux")
    for part in ("installers", "steps"):
        monkeypatch.setattr(made.part(part), "find_uv", lambda: None)
    for name in ("COURSE_TORCH_INDEX", "PYTHONSAFEPATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, before)
    forget()


@pytest.fixture
def uv(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that is there from the start."""
    if os.name == "nt":
        pytest.skip("the stand-in is a script with #!")
    program = checkout.root / "uv"
    program.write_text(f"#!{sys.executable}\n{checkout.stand_in('uv')}", encoding="utf-8")
    program.chmod(0o755)
    for part in ("installers", "steps"):
        monkeypatch.setattr(checkout.part(part), "find_uv", lambda: str(program))
    return program
