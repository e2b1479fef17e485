"""Inside one outer sandbox: a process with torch and its company loaded, which forks one isolated runner per request.

It holds no secret and sees no submission. On its control socket come a runner's settings and that runner's end of a
socket; what goes back is a handle (pidfd) of the first process of the new sandbox, or why there is none.
"""

from __future__ import annotations

import array
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursekit.grading.inside.shell import Shell

PRELOADED = (
    "torch", "torch.utils.data", "numpy", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "IPython.display", "safetensors.torch",
    "coursekit.checks", "coursekit.viz", "coursekit.grading.inside.runner", "pandas", "tqdm.auto",
)
READY = b"ready"
MESSAGE = 16 << 10
# What notebooks do first, run in a child that is thrown away: the modules that it needs are then loaded here.
REHEARSAL = (
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2], label='$x^2$')\naxes.legend()",
    "from IPython.display import display, HTML, Markdown\ndisplay(HTML('<b>'), 1)",
    "def divide(x):\n    return x / 0\ndivide(1)",
    "%%time\n1 + 1",
    "import asyncio\nawait asyncio.sleep(0)",
    "import torch\nprint(torch.ones(2, requires_grad=True).sum())\ntorch.zeros(2, 3) @ torch.zeros(2)",
    "print(",
)


def preload() -> Shell:
    """Load and use once whatever makes a first cell slow, with one thread: a pool of threads would not survive a fork."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue                        # optional: what is missing here is missing in the sandbox as well
    import torch

    from coursekit.grading.inside.shell import Shell

    torch.set_num_threads(1)
    warm_torch()
    warm_figures()
    shell = Shell(1 << 20)
    for name in rehearse(shell):
        try:
            importlib.import_module(name)
        except Exception:
            continue
    torch.manual_seed(0)
    return shell


def warm_torch() -> None:
    """The first optimizer, backward, einsum and factorisation each cost up to a second."""
    import torch
    from torch.nn import functional

    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    for kind in (torch.optim.Adam, torch.optim.SGD):
        optimizer = kind(layer.parameters(), lr=0.1)
        functional.cross_entropy(layer(torch.zeros(2, 4)), torch.zeros(2, dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    square = torch.eye(3)
    torch.einsum("ij,jk->ik", square, square)
    torch.linalg.svd(square)
    torch.linalg.solve(square, square)
    functional.conv2d(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2))
    repr(torch.zeros(2))


def warm_figures() -> None:
    """The first figure finds fonts and fills caches."""
    import matplotlib.pyplot as plt

    plt.figure()
    plt.plot([1, 2])
    plt.title("$x$")
    plt.savefig(io.BytesIO(), format="png")
    plt.close("all")


def rehearse(shell: Shell) -> list[str]:
    """Names of the modules that typical cells load, learned from a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = set(sys.modules)
            for source in REHEARSAL:
                shell.run(source)
            with open(writing, "w", encoding="utf-8") as file:
                file.write("\n".join(name for name in sys.modules if name not in before))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        names = file.read().split()
    os.waitpid(child, 0)
    return names


def alone() -> None:
    """Raise if there is a second thread: it would be missing in every fork, with whatever it held locked."""
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise RuntimeError(f"the zygote has {threads} threads, and a fork keeps one")


class Zygote:
    """Forks on request, one at a time, until the control socket closes."""

    def __init__(self, control: socket.socket, scratch: str) -> None:
        from coursekit.grading.inside import seccomp

        self.control = control
        self.scratch = scratch
        self.shell = preload()
        self.program = seccomp.assemble()

    def serve(self) -> None:
        from coursekit.grading.inside import fork

        user = os.getuid(), os.getgid()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that end
        self.control.send(READY)
        while True:
            request, descriptors = self.receive()
            if not request:
                return
            try:
                child, handle = fork.apart()
            except OSError as error:
                child, handle = -1, -1
                self.control.send((error.strerror or str(error)).encode())
            if child == 0:
                self.first(user, json.loads(request), descriptors[0])
            if child > 0:
                self.control.sendmsg([b"ok"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))])
                os.close(handle)
            for descriptor in descriptors:
                os.close(descriptor)

    def receive(self) -> tuple[bytes, list[int]]:
        data, extra, _, _ = self.control.recvmsg(MESSAGE, socket.CMSG_SPACE(4))
        numbers = array.array("i")
        for level, kind, content in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers.frombytes(content)
        return data, list(numbers)

    def first(self, user: tuple[int, int], settings: dict[str, Any], connection: int) -> None:
        """In the first process of a new sandbox. Never returns."""
        from coursekit.grading.inside import fork
        from coursekit.grading.inside.runner import run

        def begin(number: int) -> None:
            os.makedirs(os.environ["IPYTHONDIR"], exist_ok=True)
            run(number, settings, self.shell)

        fork.first(user, connection, settings, self.scratch, self.program, begin)


def main() -> None:
    """Load, check, freeze, serve. Argument: the control socket's number."""
    from coursekit.grading.inside import fork

    control = socket.socket(fileno=int(sys.argv[1]))
    sys.argv = [""]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    zygote = Zygote(control, os.environ["HOME"])
    alone()
    fork.dumpable(False)
    gc.collect()
    gc.freeze()
    fork.huge_pages()
    zygote.serve()
