"""Import what a first page and a first cell import, so that its bytecode is there.

Run by the environment's own Python. All of its bytecode would take much longer, torch alone has 2,000 modules. It ends
when the page's part is done; the cell's part is done while JupyterLab's page is looked at.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def page() -> None:
    """JupyterLab's server, its extensions, a kernel."""
    for name in ("jupyterlab.labapp", "ipykernel.kernelapp", "ipykernel.debugger"):
        importlib.import_module(name)
    for names in importlib.import_module("jupyter_server.serverapp").JUPYTER_SERVICE_HANDLERS.values():
        for name in names or ():
            importlib.import_module(name)
    for file in Path(sys.prefix, "etc", "jupyter", "jupyter_server_config.d").glob("*.json"):
        for name in json.loads(file.read_text(encoding="utf-8"))["ServerApp"]["jpserver_extensions"]:
            extension = importlib.import_module(name)
            with contextlib.suppress(AttributeError):
                extension._jupyter_server_extension_points()


def cell() -> None:
    """What notebooks import."""
    with contextlib.suppress(AttributeError):  # Windows
        os.nice(10)
    for name in ("torch", "matplotlib.pyplot", "ipywidgets", "safetensors.torch"):
        importlib.import_module(name)


if __name__ == "__main__":
    if "cell" in sys.argv:
        time.sleep(5)  # JupyterLab is starting
        cell()
    else:
        page()
        subprocess.Popen([sys.executable, __file__, "cell"], stdin=subprocess.DEVNULL)
