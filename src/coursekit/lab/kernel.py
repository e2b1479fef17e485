"""Which Python a notebook runs on: Jupyter's `python3` kernel must start the one that has coursekit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

_ASK = "import sys, ipykernel, json; print(json.dumps(sys.prefix))"  # in ASCII: the two may disagree on an encoding


def other_python() -> str | None:
    """Follow Jupyter's `python3` kernel. Returns: None if it is this Python, else what is wrong."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return "Jupyter knows no kernel named python3."
    program: str = spec.argv[0]
    if re.fullmatch(r"python(3(\.\d+)?)?(\.exe)?", program):
        return None  # jupyter_client puts its own interpreter in the place of a bare name
    try:
        answer = subprocess.run([program, "-c", _ASK], capture_output=True, timeout=30, check=True)
        prefix = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return f"Jupyter's kernel python3 ({spec.resource_dir}) does not start: {program}"
    if os.path.realpath(prefix) != os.path.realpath(sys.prefix):
        return f"Jupyter's kernel python3 ({spec.resource_dir}) starts another Python: {program}"
    return None


REMEDY = "Remove that kernel (jupyter kernelspec remove python3), or unset JUPYTER_PATH if it lies there."
