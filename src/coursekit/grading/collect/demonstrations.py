"""Which of a notebook's cells need not run when grading: the course's own, checks and demonstrations, that nothing graded can depend on.

How that is known: the cell is, to the letter, one of the release's that is neither setup nor an answer (a check says nothing in the
sandbox: its probe is sent anew, once all cells have run); no name that it binds is read by any cell that runs or by any probe; and
no cell that runs looks at names in a way that only running it would tell (`globals()`, `eval`, the output history, …): then
everything runs. That demonstrations change nothing in place which is read later is the course's own promise;
tests/unit/grading/collect/test_demonstrations.py holds each unit to it, by grading with and without them.
"""

from __future__ import annotations

import ast
import functools
import symtable
from collections.abc import Iterable, Sequence

from nbformat import NotebookNode

from coursekit.grading.collect import syntax

# A cell of a student's that names one of these may reach any variable, or the history of outputs.
REACHES_ANYTHING = frozenset(
    {
        "globals", "locals", "vars", "dir", "eval", "exec", "compile", "getattr", "__import__", "get_ipython",
        "run_line_magic", "__main__", "__dict__", "_getframe", "currentframe", "f_globals", "__globals__", "inspect", "gc", "builtins", "importlib",
        "In", "Out", "_", "__", "___", "_i", "_ii", "_iii",
    }
)
KEPT_TAGS = frozenset({"parameters", "setup"})


def demonstrations(release: NotebookNode) -> frozenset[str]:
    """The sources of a release's cells that only show something: no setup, and nothing that a student is to write."""
    return frozenset(
        cell.source
        for cell in release.cells
        if cell.cell_type == "code"
        and not cell.metadata.get("nbgrader", {}).get("solution")
        and not KEPT_TAGS & set(cell.metadata.get("tags", ()))
    )


def skippable(sources: Sequence[str], shown: frozenset[str], probes: Iterable[str]) -> frozenset[int]:
    """Places of the cells that need not run.

    Args: sources: code cells in order. shown: the release's demonstrations. probes: sources of the checks.
    """
    candidates: dict[int, set[str]] = {}
    read: set[str] = set()
    for place, source in enumerate(sources):
        bound = _binds(source) if source in shown else None
        if bound is not None:
            candidates[place] = bound
        elif (names := _reads(source)) is None:
            return frozenset()
        else:
            read |= names
    for probe in probes:
        read |= _reads(probe) or set()
    while wanted := [place for place, bound in candidates.items() if bound & read]:
        for place in wanted:                # it runs, and so does what it depends on
            del candidates[place]
            read |= _reads(sources[place], ours=True) or set()
    return frozenset(candidates)


@functools.lru_cache(maxsize=1000)  # most cells of a class are the release's own
def _binds(source: str) -> set[str] | None:
    """Names that a cell defines for those that follow; None if that cannot be told."""
    tree, table = syntax.tree(source), syntax.names(source)
    if tree is None or table is None:
        return None
    if any(isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names) for node in ast.walk(tree)):
        return None
    bound = {name for scope in _scopes(table) for name in _written(scope)}
    return None if _changes(tree, bound | {name for scope in _scopes(table) for name in scope.get_identifiers() if scope is not table}) else bound


def _changes(tree: ast.AST, own: set[str]) -> bool:
    """Whether a cell writes into something that it did not make, or sets something for the whole process."""
    for node in ast.walk(tree):
        written = isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _in_place(node.func)
        if (written or called) and not _made_here(node, own):
            return True
    return False


def _in_place(function: ast.Attribute) -> bool:
    if function.attr in ("manual_seed", "seed") or function.attr.startswith("set_"):
        return isinstance(function.value, ast.Name)     # torch's own, not a new generator's
    return function.attr in ("append", "update") or (function.attr.endswith("_") and not function.attr.endswith("__"))


def _made_here(node: ast.AST, own: set[str]) -> bool:
    """Whether `a.b[0].c()` begins with a variable of the cell's own, or with what torch has just made."""
    calls = -1 if isinstance(node, ast.Call) else 0
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        calls += isinstance(node, ast.Call)
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and (node.id in own or (node.id == "torch" and calls > 0))


@functools.lru_cache(maxsize=1000)
def _reads(source: str, ours: bool = False) -> set[str] | None:
    """Names that a cell, or a function in it, takes from the notebook; None if it might take any."""
    if not source.strip():
        return set()
    tree, table = syntax.tree(source), syntax.names(source)
    if tree is None or table is None:
        return None                         # magics, or broken
    names = {name for scope in _scopes(table) for name in _taken(scope)}
    others: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            others.add(node.attr)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            others.update(part for alias in node.names for part in alias.name.split("."))
            others.add(getattr(node, "module", None) or "")
    return None if not ours and (names | others) & REACHES_ANYTHING else names


def _scopes(table: symtable.SymbolTable) -> Iterable[symtable.SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from _scopes(inner)


def _taken(scope: symtable.SymbolTable) -> Iterable[str]:
    top = scope.get_type() == "module"
    for symbol in scope.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()


def _written(scope: symtable.SymbolTable) -> Iterable[str]:
    top = scope.get_type() == "module"
    for symbol in scope.get_symbols():
        if (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()) and (top or symbol.is_declared_global()):
            yield symbol.get_name()
