"""Where the environment lies, and what belongs to it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-setup.json"
LOG = VENV / "course-setup.log"


def base_python() -> str:
    """The Python that .venv is made with: not one inside an environment, which may be the old .venv itself."""
    return getattr(sys, "_base_executable", None) or sys.executable
