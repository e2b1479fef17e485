"""Correct submissions in odd clothes: name -> cells to put before and after the right answers, or another arrangement of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from coursekit.grading.demo import ClassMaker, as_cell, cell_of, code

Notebook = dict[str, Any]

# Cells that students add before their answers.
BEFORE = {
    "a warning": "import warnings\nwarnings.warn('deprecated')",
    "stderr": "import sys\nprint('oops', file=sys.stderr)",
    "logging": "import logging\nlogging.basicConfig(level=logging.DEBUG)\nlogging.getLogger().info('hello')",
    "prints": "for i in range(500):\n    print(i)",
    "a progress bar": "from tqdm import tqdm\nfor _ in tqdm(range(20)):\n    pass",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()",
    "a plot style": "import matplotlib.pyplot as plt\nplt.style.use('ggplot')\nplt.rcParams['figure.dpi'] = 50",
    "inline magic": "%matplotlib inline",
    "cell magic time": "%%time\nsum(range(1000))",
    "line magic": "%timeit -n 1 -r 1 sum(range(10))",
    "capture magic": "%%capture out\nprint('hidden')",
    "writefile magic": "%%writefile note.txt\nhello",
    "a shell line": "!echo hello",
    "env magic": "%env COLOUR=blue",
    "top-level await": "import asyncio\nawait asyncio.sleep(0)",
    "an async function": "import asyncio\nasync def later():\n    return 3\nprint(await later())",
    "an error that is left in": "1 / 0",
    "a syntax error that is left in": "def broken(:\n    pass",
    "a missing package": "import a_package_that_is_not_here",
    "a name error": "print(not_defined_yet)",
    "seeds": "import random\nimport numpy as np\nrandom.seed(1)\nnp.random.seed(1)\ntorch.manual_seed(1)",
    "grad off": "torch.set_grad_enabled(False)",
    "anomaly detection": "torch.autograd.set_detect_anomaly(True)",
    "print options": "torch.set_printoptions(precision=2, sci_mode=True)",
    "numpy print options": "import numpy as np\nnp.set_printoptions(precision=1)",
    "threads set": "torch.set_num_threads(1)",
    "deterministic": "torch.use_deterministic_algorithms(True)",
    "rich display": "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>x</b>'), Markdown('*x*'))",
    "widgets": "import ipywidgets\nipywidgets.IntSlider()",
    "an underscore": "_ = 5\n__ = 6",
    "shadowed builtins": "list_ = list\nsum_ = sum\nid = 3\ninput = 4\ntype_ = type",
    "names of inputs": "x = y = w1 = w2 = w = b = g = t = pred = upstream = n = shape = 'mine'",
    "other import names": "import torch as th\nimport torch.nn.functional as F\nfrom torch import einsum, nn",
    "a star import of math": "from math import *",
    "unicode names": "größe = 3\nπ = 3.14\n변수 = 1",
    "a thread": "import threading\nthreading.Thread(target=lambda: sum(range(10))).start()",
    "a timer left running": "import threading\nt = threading.Timer(30, print)\nt.daemon = True\nt.start()",
    "garbage collection off": "import gc\ngc.disable()",
    "a deep recursion limit": "import sys\nsys.setrecursionlimit(5000)",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')",
    "all warnings shown": "import warnings\nwarnings.simplefilter('always')",
    "a long comment": "# " + "x" * 5000,
    "an empty cell": "",
    "only a comment": "# nothing here",
    "a dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int = 1\nP()",
    "type hints": "from typing import *\nfrom __future__ import annotations",
    "a big tensor": "big = torch.zeros(2000, 2000)",
    "sys.exit": "import sys\nsys.exit()",
    "their own check": "def check_mine():\n    assert True\ncheck_mine()",
    "help": "help(len)\ntorch.zeros?",
    "progress and hints": "progress()\nhint('u01-sse-grad')",
}

# What students put around their functions: `f` is each answer in turn.
AROUND = {
    "prints inside": "def wrap(f):\n    def g(*a, **k):\n        print('called', f.__name__)\n        return f(*a, **k)\n    return g",
    "stderr inside": "import sys\ndef wrap(f):\n    def g(*a, **k):\n        print('called', file=sys.stderr)\n        return f(*a, **k)\n    return g",
    "a warning inside": "import warnings\ndef wrap(f):\n    def g(*a, **k):\n        warnings.warn('slow')\n        return f(*a, **k)\n    return g",
    "tqdm inside": "from tqdm import tqdm\ndef wrap(f):\n    def g(*a):\n        for _ in tqdm([0]):\n            r = f(*a)\n        return r\n    return g",
    "no_grad": "def wrap(f):\n    return torch.no_grad()(f)",
    "inference free": "def wrap(f):\n    def g(*a):\n        with torch.enable_grad():\n            return f(*a)\n    return g",
    "functools.wraps": "import functools\ndef wrap(f):\n    @functools.wraps(f)\n    def g(*a, **k):\n        return f(*a, **k)\n    return g",
    "a partial": "import functools\ndef wrap(f):\n    return functools.partial(f)",
    "a lambda": "def wrap(f):\n    return lambda *a: f(*a)",
    "a callable object": "class wrap:\n    def __init__(self, f): self.f = f\n    def __call__(self, *a): return self.f(*a)",
    "a method": "class Holder:\n    def __init__(self, f): self.f = f\n    def run(self, *a): return self.f(*a)\ndef wrap(f):\n    return Holder(f).run",
    "a static method": "def wrap(f):\n    class H:\n        run = staticmethod(f)\n    return H.run",
    "a counter": "calls = []\ndef wrap(f):\n    def g(*a):\n        calls.append(f)\n        return f(*a)\n    return g",
    "copies of the inputs": "def wrap(f):\n    def g(*a):\n        return f(*[v.clone() if isinstance(v, torch.Tensor) else v for v in a])\n    return g",
    "float64 inside": (
        "def wrap(f):\n    def g(*a):\n        up = [v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for v in a]\n"
        "        return f(*a) if f.__name__ in ('batch_diagonals', 'numeric_grad') else f(*up)\n    return g"
    ),
    "results not contiguous": (
        "def lay(v):\n    return v.T.contiguous().T if isinstance(v, torch.Tensor) and v.dim() == 2 else v\ndef wrap(f):\n    def g(*a):\n"
        "        r = f(*a)\n        return tuple(map(lay, r)) if isinstance(r, tuple) else lay(r)\n    return g"
    ),
    "results in a wide buffer": (
        "def lay(v):\n    if not isinstance(v, torch.Tensor) or v.dim() == 0:\n        return v\n    b = v.new_zeros(*v.shape, 2)\n"
        "    b[..., 0] = v\n    return b[..., 0]\ndef wrap(f):\n    def g(*a):\n        r = f(*a)\n"
        "        return tuple(map(lay, r)) if isinstance(r, tuple) else lay(r)\n    return g"
    ),
    "lists for tuples": "def wrap(f):\n    def g(*a):\n        r = f(*a)\n        return list(r) if isinstance(r, tuple) else r\n    return g",
    "a named tuple": (
        "from collections import namedtuple\ndef wrap(f):\n    def g(*a):\n        r = f(*a)\n"
        "        return namedtuple('R', [f'r{i}' for i in range(len(r))])(*r) if isinstance(r, tuple) else r\n    return g"
    ),
    "a generator unpacked": "def wrap(f):\n    def g(*a):\n        r = f(*a)\n        return tuple(v for v in r) if isinstance(r, tuple) else r\n    return g",
    "a try block": "def wrap(f):\n    def g(*a):\n        try:\n            return f(*a)\n        finally:\n            pass\n    return g",
    "a memo by id": "memo = {}\ndef wrap(f):\n    def g(*a):\n        return memo.setdefault(object(), f(*a))\n    return g",
    "an assertion": "def wrap(f):\n    def g(*a):\n        r = f(*a)\n        assert r is not None\n        return r\n    return g",
    "a timer": "import time\ndef wrap(f):\n    def g(*a):\n        t = time.perf_counter()\n        r = f(*a)\n        print(time.perf_counter() - t)\n        return r\n    return g",
    "a logger": "import logging\nlog = logging.getLogger('me')\ndef wrap(f):\n    def g(*a):\n        log.warning('%s', f)\n        return f(*a)\n    return g",
    "parameters instead of tensors": (
        "def wrap(f):\n    def g(*a):\n        r = f(*[v.detach() if isinstance(v, torch.Tensor) else v for v in a])\n"
        "        return r\n    return g"
    ),
}

FIRST = 4  # cells before the first one of the unit's own: title, parameters, the look for the course, imports


def wardrobe(maker: ClassMaker) -> Iterator[tuple[str, Notebook]]:
    """All correct submissions, at least 100."""
    whole = maker.filled(maker.right)
    functions = [exercise.function for exercise in maker.source.exercises.values()]
    rewrap = "\n".join(f"{name} = wrap({name})" for name in functions)
    for name, text in BEFORE.items():
        made = copy.deepcopy(whole)
        made["cells"].insert(FIRST, code(text))
        yield f"before: {name}", made
    for name, text in AROUND.items():
        made = copy.deepcopy(whole)
        made["cells"].append(code(f"{text}\n{rewrap}"))
        yield f"around: {name}", made
    for index in range(3):
        yield f"variant {index + 1} of each", maker.filled(lambda e, i=index: _variant(maker, e, i))
    for name, arrange in ARRANGEMENTS.items():
        made = copy.deepcopy(whole)
        arrange(made, [exercise.id for exercise in maker.source.exercises.values()])
        yield f"arranged: {name}", made


def _variant(maker: ClassMaker, exercise: Any, index: int) -> str:
    variants = maker.compiler.key(exercise.id).variants
    return as_cell(variants[index % len(variants)], exercise.function, maker.compiler.names) or maker.right(exercise)


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _pull(made: Notebook, ids: list[str]) -> str:
    """Take all answers out; their text."""
    texts = [_source(cell_of(made, f"{name}-answer")) for name in ids]
    for name in ids:
        cell_of(made, f"{name}-answer")["source"] = "# moved"
    return "\n\n\n".join(texts)


def _one_cell(made: Notebook, ids: list[str]) -> None:
    made["cells"].insert(FIRST, code(_pull(made, ids)))


def _at_the_end(made: Notebook, ids: list[str]) -> None:
    made["cells"].append(code(_pull(made, ids)))


def _in_a_module(made: Notebook, ids: list[str]) -> None:
    made["cells"].insert(FIRST, code("%%writefile mine.py\nimport torch\nimport numpy as np\n" + _pull(made, ids)))
    made["cells"].insert(FIRST + 1, code("from mine import *"))


def _in_the_checks(made: Notebook, ids: list[str]) -> None:
    for name in ids:
        answer, check = cell_of(made, f"{name}-answer"), cell_of(made, name)
        check["source"] = f"{_source(answer)}\n\n{_source(check)}"
        answer["source"] = ""


def _without(made: Notebook, keep: Callable[[dict[str, Any]], bool]) -> None:
    made["cells"] = [cell for cell in made["cells"] if keep(cell)]


ARRANGEMENTS: dict[str, Callable[[Notebook, list[str]], Any]] = {
    "all answers in one cell at the top": _one_cell,
    "all answers in one cell at the end": _at_the_end,
    "answers in a module of their own": _in_a_module,
    "answers in the check cells": _in_the_checks,
    "no check cells": lambda made, ids: _without(
        made, lambda cell: cell["metadata"].get("nbgrader", {}).get("grade") is not True
    ),
    "no prose": lambda made, ids: _without(made, lambda cell: cell["cell_type"] == "code"),
    "no demonstrations": lambda made, ids: _without(
        made,
        lambda c: (
            c["cell_type"] != "code"
            or "nbgrader" in c["metadata"]
            or "import" in _source(c)
            or "device =" in _source(c)
        ),
    ),
    "each check twice": lambda made, ids: made["cells"].extend(copy.deepcopy(cell_of(made, name)) for name in ids),
    "the stub kept above the answer": lambda made, ids: [
        cell_of(made, f"{n}-answer").update(
            source="def stub():\n    raise NotImplementedError()\n\n" + _source(cell_of(made, f"{n}-answer"))
        )
        for n in ids
    ],
    "each answer defined twice": lambda made, ids: [
        cell_of(made, f"{n}-answer").update(source="\n\n".join([_source(cell_of(made, f"{n}-answer"))] * 2))
        for n in ids
    ],
    "no nbgrader metadata": lambda made, ids: [cell["metadata"].pop("nbgrader", None) for cell in made["cells"]],
    "cell ids gone": lambda made, ids: [cell.pop("id", None) for cell in made["cells"]],
    "saved by an old Jupyter": lambda made, ids: (
        made.update(nbformat_minor=1),
        [cell.pop("id", None) for cell in made["cells"]],
    ),
    "a slow cell": lambda made, ids: made["cells"].append(code("import time\ntime.sleep(0.5)")),
    "notes between cells": lambda made, ids: made["cells"].insert(
        5, {"cell_type": "markdown", "metadata": {}, "source": "my <b>notes</b>"}
    ),
    "outputs of an earlier run": lambda made, ids: [
        cell.update(outputs=[{"output_type": "stream", "name": "stdout", "text": "old"}], execution_count=7)
        for cell in made["cells"]
        if cell["cell_type"] == "code"
    ],
    "collapsed and tagged cells": lambda made, ids: [
        cell["metadata"].update(collapsed=True, tags=["mine"], jupyter={"source_hidden": True})
        for cell in made["cells"]
    ],
    "parameters changed": lambda made, ids: made["cells"].insert(2, code("seed = 123\nfast = False")),
    "a later cell that reuses names": lambda made, ids: made["cells"].append(code("h = r = x = losses = None")),
    "trailing spaces": lambda made, ids: [
        cell.update(source="\n".join(line + "  " for line in _source(cell).split("\n")) + "\n\n")
        for cell in made["cells"]
        if "nbgrader" in cell["metadata"]
    ],
}
