"""Rules about how an answer is written, such as no `loss.backward()` where a gradient by hand is asked. They flag for review; they cost no points.

Read from the text, on the trusted side: the answer and the notebook's own functions that it calls. Who wants to hide a name
can (`getattr(loss, "back" + "ward")`), which is why a flag asks a person to look, and why its absence proves nothing.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterator, Sequence

from coursekit.grading.collect.syntax import tree


def mentions(sources: Sequence[str], function: str, forbidden: Collection[str]) -> list[str]:
    """Which forbidden names an answer uses, itself or through functions and classes of the same notebook.

    Args: sources: code cells. function: the answer's name. forbidden: names of attributes, methods and imports.
    Returns: the names, sorted; none if the answer cannot be found or parsed.
    """
    definitions, imported = _defined(tuple(sources))
    found: set[str] = set()
    seen, waiting = {function}, [function]
    while waiting:
        for name, is_variable in definitions.get(waiting.pop(), ()):
            if is_variable:
                found |= imported.get(name, frozenset()) & set(forbidden)
            elif name in forbidden:
                found.add(name)
            if name in definitions and name not in seen:
                seen.add(name)
                waiting.append(name)
    return sorted(found)


Names = tuple[tuple[str, bool], ...]  # that a piece of code uses, and whether as a variable


@functools.lru_cache(maxsize=2)  # asked once for each exercise of a submission
def _defined(sources: tuple[str, ...]) -> tuple[dict[str, Names], dict[str, frozenset[str]]]:
    """What the functions, classes and lambdas of a notebook use, and what stands behind each imported name."""
    definitions: dict[str, Names] = {}
    imported: dict[str, frozenset[str]] = {}
    for source in sources:
        uses, imports = _of_cell(source)
        for name, names in uses:
            definitions[name] = definitions.get(name, ()) + names
        for name, words in imports:
            imported[name] = imported.get(name, frozenset()) | words
    return definitions, imported


@functools.lru_cache(maxsize=1000)  # most cells of a class are the release's own
def _of_cell(source: str) -> tuple[list[tuple[str, Names]], list[tuple[str, frozenset[str]]]]:
    """The same of one cell; nothing if it cannot be parsed."""
    uses: list[tuple[str, Names]] = []
    imports: list[tuple[str, frozenset[str]]] = []
    plain = "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    for node in _statements(tree(plain) or ast.Module([], [])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            uses.append((node.name, tuple(_names(node))))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            uses += [(target.id, tuple(_names(node.value))) for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                words = frozenset({*alias.name.split("."), *(getattr(node, "module", None) or "").split(".")})
                imports.append((alias.asname or alias.name.split(".")[0], words))
    return uses, imports


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements, at any depth; definitions and imports are never inside an expression."""
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if not isinstance(node, ast.expr):
                yield node
                waiting.append(node)


def _names(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Names that a piece of code uses, and whether as a variable, which may be the student's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, True
        elif isinstance(node, ast.Attribute):
            yield node.attr, False
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg, False
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, False                 # getattr(loss, "backward")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield from ((word, False) for word in alias.name.split("."))
