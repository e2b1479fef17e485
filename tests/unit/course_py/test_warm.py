"""What set-up imports once is there to be imported, and leaves its bytecode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "module"), [("page", "jupyterlab"), ("cell", "torch")])
def test_what_is_imported_is_there(part: str, module: str) -> None:
    code = f"import sys; from setup import warm; warm.{part}(); print({module!r} in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["True"]), done.stderr
