"""Describe an exception: the student's own line for people, and a place that is the same on every Python and torch for comparing.

A place is the probe's statement that was running, and the operation that failed as the code spells it: `@`, `backward`, `[]`.
"""

from __future__ import annotations

import ast
import bisect
import functools
import linecache
import os
import re
import sysconfig
import tempfile
import traceback
from pathlib import Path
from traceback import FrameSummary
from types import CodeType

from coursekit.checks.snapshot import Failure

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep  # this course's own code, wherever it is installed
STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_RAISES = re.compile(r"(raise\s+\w|assert\b)")

# One operation has several spellings: a @ b, torch.matmul(a, b); w -= g, w.sub_(g).
SIGNS = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "FloorDiv": "floor_divide", "Mod": "remainder", "Pow": "pow",
    "MatMult": "matmul", "USub": "neg", "mm": "matmul", "bmm": "matmul", "subtract": "sub", "multiply": "mul", "divide": "div",
}  # fmt: skip


def _temporary() -> str:
    """Where temporary folders are made. Asked once and early: on a full disk Python finds no place for them, and raises."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return "/tmp"


_IN_TEMPORARY = re.compile(rf"({re.escape(_temporary())}[/\\])[^/\\'\"\s]+(?=[/\\])")


def failure_of(error: BaseException, probe: str = "observe", code: CodeType | None = None) -> Failure:
    """Describe an exception by the student's own line: the last frame that is notebook code and not the probe.

    Args: probe: the probe's name. code: the probe's code, to say which of its statements was running.
    """
    frames = list(traceback.extract_tb(error.__traceback__))
    mine = [f for f in frames if _is_notebook(f.filename) and f.name != probe] or [
        f for f in frames if _is_notebook(f.filename)
    ]
    last = mine[-1] if mine else None
    return Failure(
        type(error).__name__,
        _text(error)[:2000],
        _line(last)[:400] if last else "",
        (last.lineno or 0) if last else 0,
        last.name if last else "",
        _step(error, code),
        _operation(error, frames),
        _own_words(error, frames),
    )


def _line(frame: FrameSummary) -> str:
    return (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()


def _text(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception as another:  # a student's own exception may have a broken __str__
        return f"<its text cannot be made: {type(another).__name__}>"
    # A temporary folder has a new name in each run, and two runs are to give the same verdict.
    return _IN_TEMPORARY.sub(r"\1…", said)


def _is_notebook(filename: str) -> bool:
    """Cells are compiled under names such as <ipython-input-…>, /tmp/ipykernel_…/1.py or <cell>; libraries are files elsewhere."""
    return filename.startswith("<") and not filename.startswith("<frozen") or "ipykernel_" in filename


def _is_library(file: str) -> bool:
    """Python's own code or an installed package: neither the learner's nor the course's."""
    return not file.startswith(PACKAGE) and (file.startswith(("<frozen", STANDARD)) or bool(_INSTALLED.search(file)))


def _own_words(error: BaseException, frames: list[FrameSummary]) -> bool:
    """Whether the text is the learner's or the course's: a `raise` or `assert` of theirs, or the key that their dict lacks."""
    if not frames or _is_library(frames[-1].filename):
        return False
    return type(error) is KeyError or _RAISES.match(_line(frames[-1])) is not None


def _step(error: BaseException, code: CodeType | None) -> int:
    """Which statement of the probe was running, counted from 1; 0 if unknown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    return bisect.bisect_right(_statements(code), trace.tb_lineno) if trace is not None and code is not None else 0


@functools.lru_cache(maxsize=64)
def _statements(code: CodeType) -> tuple[int, ...]:
    """The lines on which the statements of a function begin; none if its source is not known."""
    for node in ast.walk(_tree(_source(code.co_filename))):
        if not isinstance(node, ast.FunctionDef) or node.name != code.co_name:
            continue
        if min([node.lineno, *(item.lineno for item in node.decorator_list)]) == code.co_firstlineno:
            parts = (part for statement in node.body for part in ast.walk(statement))
            return tuple(sorted(part.lineno for part in parts if isinstance(part, ast.stmt)))
    return ()


def _operation(error: BaseException, frames: list[FrameSummary]) -> str:
    """What failed, as the last line of a notebook or key spells it: the name of a call, an operator, an attribute."""
    if type(error) is NameError:
        return str(error.name)[:100]
    own = [frame for frame in frames if not _is_library(frame.filename) and not frame.filename.startswith(PACKAGE)]
    if not own or own[-1].colno is None:
        return ""
    last = own[-1]
    node = _nodes(_source(last.filename)).get((last.lineno, last.colno, last.end_lineno, last.end_colno))
    if node is None:
        return ""
    name = _name(_entered(node, error))
    return SIGNS.get(name.rstrip("_"), name.rstrip("_") or name)[:100]


def _entered(node: ast.AST, error: BaseException) -> ast.AST:
    """The part that failed, where Python 3.11 points at the whole and later ones at the part, or the other way round."""
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return node.generators[0].iter
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return node.iter
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return node.items[0].context_expr
    if isinstance(error, TypeError) and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
        return node.value if ast.unparse(node.value.func) == "super" else node  # 3.12 makes super(A, self).f one step
    return node


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        name = _word(node.func)
        return name if _known(name) else "call"  # a module or a function of the learner's, whatever they call it
    if isinstance(node, ast.Attribute):
        return node.attr if isinstance(node.ctx, ast.Load) else "set attribute"
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.UnaryOp)):
        return type(node.op).__name__
    return "[]" if isinstance(node, ast.Subscript) else type(node).__name__


def _word(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@functools.cache
def _known(name: str) -> bool:
    """Whether Python or torch has a function or method of this name."""
    import builtins

    import torch

    owners = (builtins, torch, torch.Tensor, torch.autograd, torch.autograd.function.FunctionCtx, torch.nn, torch.nn.Module)
    return any(hasattr(owner, name) for owner in (*owners, torch.nn.functional, torch.nn.init, torch.optim, dict, list, str))


def _source(filename: str) -> str:
    return "".join(linecache.getlines(filename))


@functools.lru_cache(maxsize=32)
def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


@functools.lru_cache(maxsize=32)
def _nodes(source: str) -> dict[tuple[int | None, ...], ast.AST]:
    """The parts of a source by their place; of several at one place, the outermost."""
    found: dict[tuple[int | None, ...], ast.AST] = {}
    for node in ast.walk(_tree(source)):  # walks from the outside in
        if isinstance(node, (ast.expr, ast.stmt)) and not isinstance(node, ast.Expr):
            found.setdefault((node.lineno, node.col_offset, node.end_lineno, node.end_col_offset), node)
    return found
