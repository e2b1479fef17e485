"""Parsing Python, one thread at a time: in Python 3.11 two threads that parse at once can end in a SystemError of `ast`."""

from __future__ import annotations

import ast
import contextlib
import symtable
import threading

_one = threading.Lock()


def tree(source: str) -> ast.Module | None:
    """The syntax tree of a piece of code; None if it has none: it is broken, or holds magics."""
    with _one, contextlib.suppress(SyntaxError, ValueError, RecursionError):
        return ast.parse(source)
    return None


def names(source: str) -> symtable.SymbolTable | None:
    """What a piece of code and the functions in it bind and read; None if it cannot be told."""
    with _one, contextlib.suppress(SyntaxError, ValueError, RecursionError):
        return symtable.symtable(source, "<cell>", "exec")
    return None
